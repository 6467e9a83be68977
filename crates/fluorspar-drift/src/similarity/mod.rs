//! How alike two sessions' codes are: correlations, dissimilarity matrices, subspaces, shapes.
//!
//! | question | function |
//! |---|---|
//! | is population activity, tuning, mean activity alike? | [`correlations()`], corrected by reliability |
//! | how reliable is a session's own pattern? | [`split_half_reliability`], [`disattenuate`] |
//! | which conditions does the code hold apart? | [`correlation_rdm`], [`euclidean_rdm`], [`mahalanobis_rdm`], [`crossnobis_rdm`] |
//! | do two sessions hold the same conditions apart? | [`compare_rdms`], [`noise_ceiling`], [`linear_cka`] |
//! | do they use the same directions of activity? | [`principal_angles`], [`subspace_overlap`], [`alignment_index`] |
//! | would a linear map of latents restore the code? | [`align_latents`], [`canonical_correlations`] |
//! | what kind of change is it: none, other cells, a rotation, a linear map? | [`shape_ladder`], [`ShapeAlignment`], [`CellMatching`] |
//!
//! Rows are conditions, trials or samples, columns are cells. Cells may be
//! many: nothing here forms a matrix of cells × cells, except that matching of
//! cells which is limited to [`MAXIMUM_MATCHED_CELLS`].

mod assignment;
mod cca;
mod cka;
mod correlations;
pub(crate) mod linear;
mod noise;
mod rdm;
mod rdm_compare;
mod reliability;
mod shape;
mod shape_ladder;
mod stochastic;
mod subspace;

pub use cca::{
    LatentAlignment, align_latents, canonical_correlations, normalised_correlations,
    shuffled_correlations,
};
pub use cka::{biased_linear_cka, linear_cka};
pub(crate) use correlations::Terms;
pub use correlations::{Correlation, Correlations, Tuning, correlations};
pub use noise::NoisePrecision;
pub use rdm::{Rdm, correlation_rdm, crossnobis_rdm, euclidean_rdm, mahalanobis_rdm};
pub use rdm_compare::{
    MINIMUM_CONDITIONS, NoiseCeiling, RdmComparison, compare_rdms, noise_ceiling,
};
pub use reliability::{Disattenuated, ceiling, disattenuate, split_half_reliability};
pub(crate) use shape::unaligned_distance;
pub use shape::{ShapeAlignment, ShapeScore};
pub use shape_ladder::{
    CellMatching, LadderRung, MAXIMUM_MATCHED_CELLS, ShapeLadder, shape_ladder,
};
pub use stochastic::{bures_distance, stochastic_shape_distance};
pub use subspace::{
    Components, PrincipalComponents, SubspaceOverlap, alignment_index, chance_cosine_sd,
    participation_ratio, principal_angles, principal_components, subspace_overlap, vector_angle,
};
