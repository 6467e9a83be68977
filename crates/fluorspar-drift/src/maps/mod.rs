//! Several maps within a session: traversals that switch between codes are not drift.
//!
//! On a track an animal may hold several maps of the same place and switch
//! between them from run to run or from trial to trial, while each map stays
//! as it is for weeks (Sheintuch, Geva et al. 2020, Current Biology 30:1588).
//! Averaged together, sessions that hold them in different shares look as if
//! the code had drifted.
//!
//! | step | function | gives |
//! |---|---|---|
//! | how alike are two traversals? | [`traversal_similarity`] | `(traversal, traversal)` |
//! | one map or several? which traversal is in which? | [`find_maps`] | [`SessionMaps`], tested |
//! | which map is which in other sessions? | [`align_maps`] | [`MapAlignment`]: similarity within a map, between maps and of the mixture against days |
//!
//! **Switching against drift.** Between maps all cells change at once; in
//! drift each changes at its own time, and traversals that follow each other
//! are alike. Two sets of traversals are therefore compared with pairs *equally
//! far apart in time* within the sets, and the test's null keeps the course of
//! every cell but takes away that they change together.
//!
//! **Reliability.** A single traversal is mostly noise, and some are noisier
//! than others. All similarities between sets are divided by the root of the
//! product of those within them, over distinct traversals (disattenuation):
//! 1 for one map at any noise, 0 for maps with nothing in common.

mod across;
mod find;
mod moments;
mod split;

pub use across::{MapAlignment, MapSession, MapSimilarity, Relation, align_maps};
pub use find::{MapParameters, Pattern, SessionMaps, Split, find_maps};
pub use moments::traversal_similarity;
