//! Where in the space of activity a code moves: drift vectors and their parts.
//!
//! | question | function |
//! |---|---|
//! | how far does a condition's pattern move, apart from trial noise? | [`drift_magnitude`], [`halves_magnitude`] |
//! | does it move inside the space of coding, or beside it? | [`drift_in_subspace`], [`drift_per_direction`] |
//! | along the axes on which trials vary anyway? | [`noise_alignment`] |
//! | is there a part that stays? | [`fit_stable_part`] |
//! | do steps add up like a random walk, are they heavy-tailed? | [`displacement_exponent`], [`step_kurtosis`] |
//! | would any turn of the decoder by that angle lose as much? | [`rotated_decoder_accuracies`] |
//!
//! Trials are `(trial, cell)`; whatever is squared is corrected for trial noise.

mod alignment;
mod decompose;
mod rotation;
mod vectors;

pub(crate) use alignment::alignment_of;
pub use alignment::{NoiseAlignment, noise_alignment};
pub use decompose::{StablePart, displacement_exponent, fit_stable_part, step_kurtosis};
pub use rotation::rotated_decoder_accuracies;
pub use vectors::{
    ConditionTrials, DriftMagnitude, DriftShare, drift_in_subspace, drift_magnitude,
    drift_per_direction, drift_vector, halves_magnitude,
};
