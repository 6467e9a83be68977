use fluorspar_movie::Footprints;
use ndarray::Array3;
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::image::Images;
use super::roi::{Roi, rois};
use super::tissue::Tissue;
use super::{FieldsPlan, Placement};
use crate::Error;
use crate::random::{Domain, normal, stream};

/// What a ROI is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoiKind {
    /// One cell.
    Whole,
    /// A part of one cell.
    Part,
    /// Two neighbours taken for one cell; its identity is that of the larger.
    Merged,
    /// No cell.
    False,
}

/// One session: what segmentation found, and what was there.
#[derive(Clone, Debug)]
pub struct FieldSession {
    /// How the field lies on the tissue.
    pub placement: Placement,
    /// The ROIs in random order, with their planes, weights at most 1.
    pub footprints: Footprints,
    /// Which cell each ROI is, −1 for none (roi).
    pub cell: Vec<i64>,
    /// What each ROI is (roi).
    pub kind: Vec<RoiKind>,
    /// Whether each cell's centre lies in this session's field (cell).
    pub present: Vec<bool>,
    /// Centre `(y, x)` of each cell in this session's field, its own
    /// displacement included (cell; pixels). May lie outside the field.
    pub centres: Vec<(f64, f64)>,
    /// Mean image, axes `(plane, y, x)`, neuropil about 1: all cells,
    /// detected or not, texture and vessels, shading and noise. `None` if
    /// the plan asks for none.
    pub mean_image: Option<Array3<f32>>,
}

/// One cell in one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) centre: (f64, f64),
    pub(crate) present: bool,
    pub(crate) detected: bool,
    /// Relative brightness in this session.
    pub(crate) brightness: f64,
}

impl FieldSession {
    pub(crate) fn draw(
        plan: &FieldsPlan,
        tissue: &Tissue,
        images: Option<&Images>,
        session: usize,
    ) -> Result<Self, Error> {
        let placement = Placement::draw(plan, session);
        let sights = sights(plan, tissue, &placement, session);
        let first_plane = (plan.axial_planes + placement.axial) as usize;
        let cells_of = |plane: usize| {
            let at = first_plane + plane;
            tissue.starts[at]..tissue.starts[at + 1]
        };
        let mut all: Vec<Roi> = (0..plan.planes)
            .into_par_iter()
            .flat_map_iter(|plane| {
                let range = cells_of(plane);
                rois(
                    plan,
                    session,
                    plane,
                    &placement,
                    &tissue.cells[range.clone()],
                    &sights[range.clone()],
                    range.start,
                )
            })
            .collect();
        all.shuffle(&mut stream(plan.seed, Domain::RoiOrder, session, 0));

        let mut footprints = Footprints::new(plan.height, plan.width);
        let (mut cell, mut kind) = (Vec::new(), Vec::new());
        for roi in &all {
            footprints.push(&roi.indices, &roi.weights, roi.plane)?;
            cell.push(roi.cell);
            kind.push(roi.kind);
        }
        drop(all);
        Ok(Self {
            mean_image: images.map(|images| {
                images.render(plan, session, &placement, |plane| {
                    let range = cells_of(plane);
                    (&tissue.cells[range.clone()], &sights[range])
                })
            }),
            placement,
            footprints,
            cell,
            kind,
            present: sights.iter().map(|sight| sight.present).collect(),
            centres: sights.iter().map(|sight| sight.centre).collect(),
        })
    }
}

/// Where every cell of the tissue is in a session, and whether it is detected.
fn sights(plan: &FieldsPlan, tissue: &Tissue, placement: &Placement, session: usize) -> Vec<Sight> {
    let first_plane = (plan.axial_planes + placement.axial) as usize;
    let shown = tissue.starts[first_plane]..tissue.starts[first_plane + plan.planes];
    tissue
        .cells
        .par_iter()
        .zip(&tissue.chances)
        .enumerate()
        .map(|(index, (cell, &chance))| {
            let mut rng = stream(plan.seed, Domain::Sights, session, index);
            let (y, x) = placement.to_session((cell.y, cell.x));
            let y = y + plan.jitter_px * normal(&mut rng);
            let x = x + plan.jitter_px * normal(&mut rng);
            let present = shown.contains(&index)
                && (0.0..=plan.height as f64 - 1.0).contains(&y)
                && (0.0..=plan.width as f64 - 1.0).contains(&x);
            Sight {
                centre: (y, x),
                present,
                detected: rng.random::<f64>() < chance,
                brightness: cell.brightness * (0.2 * normal(&mut rng)).exp(),
            }
        })
        .collect()
}
