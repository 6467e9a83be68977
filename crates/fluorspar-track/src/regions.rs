//! Where two fields lie on each other, and where they do not.
//!
//! An alignment may be right in one part of the field and wrong in another,
//! and where it is wrong neighbours are found all the same. What tells them
//! from the same cells is that they lie at any distance and look alike by
//! accident. The ROIs around a place are asked together which explains them
//! better.

use crate::candidates::Candidate;
use crate::model::{MatchModel, Sharing};
use crate::placed::Placed;

/// Radius of what lies around a ROI, in largest distances of one cell.
const AROUND: f64 = 3.0;
/// Odds that a place is aligned, before it is looked at.
const BEFORE: f64 = 20.0;
/// One ROI's evidence counts at most so much, either way.
const MOST: f64 = 3.0;

/// Which ROIs lie around each ROI of a session, itself among them.
///
/// They are asked for many times, in every round of learning with every other
/// session, and looking for them takes longer than adding them up.
pub(crate) struct Surroundings {
    starts: Vec<usize>,
    rois: Vec<u32>,
}

impl Surroundings {
    /// `distance` is the largest distance of one cell.
    pub(crate) fn new(of: &Placed, distance: f64) -> Self {
        let (mut starts, mut rois) = (vec![0], Vec::new());
        for place in &of.places {
            let radius = AROUND * distance;
            of.squares
                .near(&of.places, place, place.plane, radius, |other, _| {
                    rois.push(other as u32);
                });
            starts.push(rois.len());
        }
        Self { starts, rois }
    }

    /// The ROIs around each ROI, by ROI.
    fn each(&self) -> impl Iterator<Item = &[u32]> {
        let ends = self.starts.windows(2);
        ends.map(|ends| &self.rois[ends[0]..ends[1]])
    }
}

/// Probability that the fields lie on each other around each ROI of a
/// session, whose `candidates` are given by ROI.
///
/// Where they do, a ROI has its partner at the distance and with the looks of
/// the same cell, and other ROIs keep apart from it as they do within a
/// session. Where they do not, ROIs of the other session are strewn around it.
/// The logarithm of the ratio of the two likelihoods is summed over the
/// ROIs around.
pub(crate) fn aligned(
    surroundings: &Surroundings,
    candidates: &[Candidate],
    model: &MatchModel,
    sharing: Sharing,
    distance: f64,
) -> Vec<f64> {
    let rois = surroundings.starts.len() - 1;
    let evidence = evidence(rois, candidates, model, sharing, distance);
    let around = |others: &[u32]| {
        let mut sum = BEFORE.ln();
        for &other in others {
            sum += evidence[other as usize];
        }
        1.0 / (1.0 + (-sum).exp())
    };
    surroundings.each().map(around).collect()
}

/// Logarithm of the likelihood ratio of each ROI's surroundings. ROIs without
/// candidates have none to speak of: the field may end there.
fn evidence(
    rois: usize,
    candidates: &[Candidate],
    model: &MatchModel,
    sharing: Sharing,
    distance: f64,
) -> Vec<f64> {
    let area = std::f64::consts::PI * distance * distance;
    let mut out = vec![0.0; rois];
    let mut before = None;
    for candidate in candidates {
        let sum = &mut out[candidate.ours as usize];
        if before != Some(candidate.ours) {
            before = Some(candidate.ours);
            // A partner is expected, and others keep apart from it.
            let others = f64::from(candidate.density) * area;
            *sum = others * model.kept_apart() - sharing.found;
        }
        *sum += model.against_strewn(candidate, sharing.found).ln();
    }
    for value in &mut out {
        *value = value.clamp(-MOST, MOST);
    }
    out
}
