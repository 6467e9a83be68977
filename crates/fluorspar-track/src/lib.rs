//! The same cells across imaging sessions, with a probability for each.
//!
//! 1. Sessions are laid on each other from their footprints, their mean images
//!    or both: turned, shifted, bent, plane by plane, through other sessions if
//!    need be. What cannot be aligned is said, not forced ([`Alignment`],
//!    [`Verdict`]).
//! 2. Two ROIs near each other get a probability of being one cell. How far the
//!    same cell is displaced and how alike it looks is learnt from the data, and
//!    so is what different cells do: from pairs *within* sessions, which are
//!    known to differ, and from sessions displaced on purpose ([`MatchModel`]; in
//!    the line of CellReg, Sheintuch et al. 2017, Cell Rep. 21:1102, and of
//!    ROICaT, Nguyen et al. 2024). That a ROI has at most one partner is part of
//!    it ([`Pair::p_same`]).
//! 3. ROIs of all sessions are sorted into cells, at most one a session, so that
//!    the log odds of all pairs within cells sum to the most ([`Tracks`]), and cut
//!    to the precision asked for.
//! 4. Where a cell was not detected, its footprint can be moved there
//!    ([`transfer`]).
//!
//! ```
//! use fluorspar_movie::Footprints;
//! use fluorspar_track::{Parameters, SessionRois, Verdict, track};
//!
//! // Forty cells of 8 x 8 pixels strewn over a field, and the same ones moved by three pixels.
//! let session = |moved: u32| {
//!     let mut all = Footprints::new(160, 160);
//!     for k in 0..40_u32 {
//!         let (y, x) = ((k * 37 + k * k * 11) % 140 + 5, (k * 53 + k * k * 7) % 140 + 5 + moved);
//!         let pixels: Vec<u32> = (0..64).map(|p| (y + p / 8) * 160 + x + p % 8).collect();
//!         all.push(&pixels, &[1.0; 64], 0)?;
//!     }
//!     Ok::<_, fluorspar_movie::Error>(all)
//! };
//! let (a, b) = (session(0)?, session(3)?);
//! let tracks = track(&[SessionRois::new(&a), SessionRois::new(&b)], &Parameters::default())?;
//! assert_eq!(tracks.alignments[0].verdict, Verdict::Aligned);
//! let matched = tracks.roi_index.rows().into_iter().filter(|row| row[0] >= 0 && row[0] == row[1]);
//! assert!(matched.count() > 35);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod align;
mod alignment;
mod association;
mod candidates;
mod cluster;
mod error;
mod fit;
mod hash;
mod looks;
mod model;
mod pairs;
mod parameters;
mod placed;
mod regions;
mod session;
mod track;
mod tracks;
mod transfer;
mod transform;

pub use alignment::{Alignment, Fit, Verdict};
pub use error::Error;
pub use model::{MatchModel, SameCell};
pub use parameters::Parameters;
pub use session::SessionRois;
pub use track::track;
pub use tracks::{Pair, Presence, Tracks};
pub use transfer::{Transferred, transfer};
pub use transform::Transform;
