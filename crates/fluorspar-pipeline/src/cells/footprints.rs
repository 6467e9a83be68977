//! Footprints, found plane by plane.

use fluorspar_movie::{Budget, Checkpoints, Footprints, silent};
use fluorspar_segment::{Detector, Evidence, Segmentation};
use ndarray::{Array3, ArrayView1};
use serde::{Deserialize, Serialize};

use super::memory::{CellsSize, for_tiles};
use super::{Settings, kept_at};
use crate::Error;
use crate::artefact::StoredLowRank;
use crate::error::Context;

/// What was found in one plane, as it is kept.
#[derive(Serialize, Deserialize)]
struct Piece {
    indptr: Vec<u64>,
    indices: Vec<u32>,
    weights: Vec<f32>,
    /// The numbers of each ROI's evidence, and whether it was given.
    evidence: Vec<([f32; 10], bool)>,
    activity_image: Vec<f32>,
}

/// Looks for cells in one plane after the other, those kept already but for
/// reading them.
pub(super) fn find(
    lowrank: &StoredLowRank,
    settings: &Settings<'_>,
    frame_rate: f64,
    budget: Budget,
    kept: &dyn Checkpoints,
) -> Result<Segmentation, Error> {
    let place = "segmentation";
    let detector = Detector::new(settings.parameters.clone()).at(place)?;
    let (height, width) = (lowrank.height(), lowrank.width());
    let mut planes = Vec::with_capacity(lowrank.planes());
    for plane in 0..lowrank.planes() {
        let name = format!("footprints-{plane:04}");
        let piece = kept.load(&name).map_err(kept_at(place))?;
        let piece = piece.and_then(|bytes| unpack(&bytes, height, width));
        let found = if let Some(found) = piece {
            found
        } else {
            let movie = lowrank.plane(plane)?;
            let given = in_plane(settings.given, plane)?;
            let (height, width) = (movie.height(), movie.width());
            let diameter = settings.parameters.diameter;
            let size = CellsSize {
                // As many as could lie side by side.
                rois: ((height * width) as f64 / diameter.powi(2)).ceil() as usize,
                frames: movie.frames(),
                planes: 1,
                image: (height, width),
                diameter,
                rank: movie.rank(),
            };
            let budget = for_tiles(&size, budget);
            let found = detector
                .detect_beside(&movie, &given, frame_rate, budget, &silent)
                .at(place)?;
            let bytes = postcard::to_stdvec(&Piece::of(&found)).at(place)?;
            kept.keep(&name, &bytes).map_err(kept_at(place))?;
            found
        };
        planes.push(found);
    }
    Segmentation::of_planes(planes, settings.given).at(place)
}

/// The footprints of one plane, as those of a movie that has no other.
fn in_plane(all: &Footprints, plane: usize) -> Result<Footprints, Error> {
    let mut out = Footprints::new(all.height(), all.width());
    for one in all.iter().filter(|one| one.plane as usize == plane) {
        out.push(one.indices, one.weights, 0).at("segmentation")?;
    }
    Ok(out)
}

impl Piece {
    fn of(found: &Segmentation) -> Self {
        let evidence = found.evidence.iter().map(|e| {
            let numbers = [
                e.snr,
                e.relative_area,
                e.spread,
                e.elongation,
                e.focus,
                e.stability,
                e.asymmetry,
                e.skewness,
                e.duplicate,
                e.probability,
            ];
            (numbers, e.given)
        });
        Self {
            indptr: found.footprints.indptr().to_vec(),
            indices: found.footprints.indices().to_vec(),
            weights: found.footprints.weights().to_vec(),
            evidence: evidence.collect(),
            activity_image: found.activity_image.iter().copied().collect(),
        }
    }
}

/// A piece that cannot be understood is none: it is made again.
fn unpack(bytes: &[u8], height: usize, width: usize) -> Option<Segmentation> {
    let piece: Piece = postcard::from_bytes(bytes).ok()?;
    let rois = piece.evidence.len();
    let footprints = Footprints::from_csr(
        height,
        width,
        piece.indptr,
        piece.indices,
        piece.weights,
        vec![0; rois],
    );
    let evidence = piece.evidence.into_iter().map(|(numbers, given)| {
        let [
            snr,
            relative_area,
            spread,
            elongation,
            focus,
            stability,
            asymmetry,
            skewness,
            duplicate,
            probability,
        ] = numbers;
        Evidence {
            snr,
            relative_area,
            spread,
            elongation,
            focus,
            stability,
            asymmetry,
            skewness,
            duplicate,
            given,
            probability,
        }
    });
    let image = ArrayView1::from(&piece.activity_image);
    let image = image.into_shape_with_order((1, height, width)).ok()?;
    Some(Segmentation {
        footprints: footprints.ok()?,
        evidence: evidence.collect(),
        activity_image: Array3::from(image.to_owned()),
    })
}
