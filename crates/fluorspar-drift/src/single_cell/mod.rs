//! What single cells are selective for, when they fire, and which of them come and go.
//!
//! | question | function | pitfall it guards against |
//! |---|---|---|
//! | does a cell tell labels apart? | [`selectivity`](fn@selectivity) | p from permuted labels, false discovery rate over cells |
//! | one variable or several? | [`classify`] | untested cells are not counted as unselective |
//! | when does it fire, and in which order? | [`peak_bins`], [`sequence`](fn@sequence), [`kendall_tau_b`] | sorted on some trials, judged on the others |
//! | how many bits? | [`skaggs`], [`mutual_information`] | raw beside bias-corrected |
//! | which cells join and leave? | [`Turnover`], [`half_turnover`] | the turnover that two halves of one day show |
//! | how long does a cell stay? | [`kaplan_meier`], [`recurrence`] | not seen is not silent: censored |
//! | how unstable is one cell's tuning? | [`stability_index`](fn@stability_index) | halves on both sides |
//! | is it the gain or the shape? | [`gain_and_shape`], [`gain_shape_change`] | noise taken off with trial halves |

mod classes;
mod effects;
mod exceed;
mod gain_shape;
mod information;
mod integers;
mod mutual;
mod peaks;
mod permutations;
mod rank_correlation;
mod recurrence;
mod selectivity;
mod sequence;
mod stability_index;
mod survival;
mod turnover;

pub use classes::{Class, Classes, classify};
pub use gain_shape::{GainShape, GainShapeChange, gain_and_shape, gain_shape_change};
pub use information::{Skaggs, skaggs};
pub(crate) use integers::doubled_ranks;
pub(crate) use mutual::of_counts as information_of_counts;
pub use mutual::{Bias, MutualInformation, equal_bins, mutual_information};
pub use peaks::{Peaks, half_means, mean_over_trials, peak_bins, peaks, time_reliability};
pub use permutations::Permutations;
pub(crate) use rank_correlation::of_counts as order_of_counts;
pub use rank_correlation::{kendall_tau_b, spearman};
pub use recurrence::{Recurrence, markov_recurrence, recurrence};
pub use selectivity::{Selectivity, Statistic, effect_sizes, selectivity};
pub use sequence::{Sequence, peak_shift, peak_shift_chance, ridge_to_background, sequence};
pub(crate) use stability_index::index as drift_index;
pub use stability_index::{StabilityIndex, pooled_index, stability_index};
pub use survival::{Spell, Survival, kaplan_meier, spells};
pub(crate) use turnover::split_halves;
pub use turnover::{Turnover, chance_jaccard, expected_flicker, half_turnover, turnover};
