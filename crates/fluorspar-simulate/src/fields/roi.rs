use std::f64::consts::TAU;

use rand::{Rng, RngExt};

use super::session::{RoiKind, Sight};
use super::{FieldsPlan, Placement};
use crate::cells::{Cell, OUTLINE};
use crate::random::{Domain, normal, stream};

/// One ROI before it gets its number.
#[derive(Clone, Debug)]
pub(crate) struct Roi {
    pub(crate) cell: i64,
    pub(crate) kind: RoiKind,
    pub(crate) plane: u32,
    /// Centre of the cell in this session.
    centre: (f64, f64),
    pub(crate) indices: Vec<u32>,
    pub(crate) weights: Vec<f32>,
}

/// Share of a ROI's pixels that must lie in the field.
const IN_FIELD: f64 = 0.6;
/// Pixels that segmentation would not take for a ROI any more.
const SMALLEST: usize = 5;

/// The ROIs of one plane of a session; `sights` and `cells` are those of the
/// tissue plane it shows, the first of which has the number `first`.
pub(crate) fn rois(
    plan: &FieldsPlan,
    session: usize,
    plane: usize,
    placement: &Placement,
    cells: &[Cell],
    sights: &[Sight],
    first: usize,
) -> Vec<Roi> {
    let turn = placement.rotation_deg.to_radians();
    let mut all: Vec<Roi> = cells
        .iter()
        .zip(sights)
        .enumerate()
        .filter(|(_, (_, sight))| sight.detected && sight.present)
        .filter_map(|(index, (cell, sight))| {
            let mut rng = stream(plan.seed, Domain::RoiShapes, session, first + index);
            let cell = cell.turned(turn, placement.scale);
            let part = rng.random::<f64>() < plan.fragment_fraction;
            let pixels = outline(&mut rng, &cell, sight.centre, plan.shape_noise, part);
            let (indices, weights) = clip(plan, &pixels)?;
            Some(Roi {
                cell: (first + index) as i64,
                kind: if part { RoiKind::Part } else { RoiKind::Whole },
                plane: plane as u32,
                centre: sight.centre,
                indices,
                weights,
            })
        })
        .collect();
    merge(plan, session, plane, &mut all);
    add_false(plan, session, plane, &mut all);
    all
}

/// The pixels `(y, x, weight)` that segmentation finds of a cell.
fn outline<R: Rng>(
    rng: &mut R,
    cell: &Cell,
    (cy, cx): (f64, f64),
    noise: f64,
    part: bool,
) -> Vec<(i64, i64, f32)> {
    // A part lies on one side of a line near the centre.
    let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
    let off = rng.random_range(-0.3..0.5) * cell.radius();
    let shape = cell.reshaped(rng, noise);
    // Two long waves and a slope make the weights uneven.
    let waves: [(f64, f64, f64); 3] = std::array::from_fn(|index| {
        let length = [2.0, 1.5, 6.0][index] * 2.0 * cell.radius();
        let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
        (
            sin * TAU / length,
            cos * TAU / length,
            rng.random_range(0.0..TAU),
        )
    });
    let size = 0.5 * noise * (2.0_f64 / 3.0).sqrt();
    let mut pixels = shape.pixels(cy, cx);
    pixels.retain_mut(|(y, x, weight)| {
        let (v, u) = (*y as f64 - cy, *x as f64 - cx);
        if *weight < OUTLINE || (part && sin * v + cos * u < off) {
            return false;
        }
        let sum: f64 = waves
            .iter()
            .map(|(ky, kx, phase)| (ky * v + kx * u + phase).sin())
            .sum();
        *weight *= (size * sum).exp() as f32;
        true
    });
    pixels
}

/// What of `pixels` lies in the field, unless that is too little.
fn clip(plan: &FieldsPlan, pixels: &[(i64, i64, f32)]) -> Option<(Vec<u32>, Vec<f32>)> {
    let (height, width) = (plan.height as i64, plan.width as i64);
    let (indices, weights): (Vec<u32>, Vec<f32>) = pixels
        .iter()
        .filter(|(y, x, _)| (0..height).contains(y) && (0..width).contains(x))
        .map(|&(y, x, weight)| ((y * width + x) as u32, weight))
        .unzip();
    let enough =
        indices.len() >= SMALLEST && indices.len() as f64 >= IN_FIELD * pixels.len() as f64;
    enough.then_some((indices, weights))
}

/// Makes one ROI of some pairs of neighbours, which keeps the identity of the larger.
fn merge(plan: &FieldsPlan, session: usize, plane: usize, all: &mut Vec<Roi>) {
    if plan.merge_fraction == 0.0 {
        return;
    }
    let near = FieldsPlan::CLOSE_DIAMETERS * plan.diameter_px;
    let mut rng = stream(plan.seed, Domain::Merges, session, plane);
    all.sort_by(|a, b| a.centre.0.total_cmp(&b.centre.0));
    let mut gone = vec![false; all.len()];
    for i in 0..all.len() {
        for j in i + 1..all.len() {
            let (dy, dx) = (
                all[j].centre.0 - all[i].centre.0,
                all[j].centre.1 - all[i].centre.1,
            );
            if dy > near {
                break;
            }
            if dy.hypot(dx) > near || rng.random::<f64>() >= plan.merge_fraction {
                continue;
            }
            let merged = |roi: &Roi| roi.kind == RoiKind::Merged;
            if gone[i] || gone[j] || merged(&all[i]) || merged(&all[j]) {
                continue;
            }
            let larger = all[j].indices.len() > all[i].indices.len();
            let (kept, lost) = if larger { (j, i) } else { (i, j) };
            let union = union(&all[kept], &all[lost]);
            (all[kept].indices, all[kept].weights) = union;
            all[kept].kind = RoiKind::Merged;
            gone[lost] = true;
        }
    }
    let mut gone = gone.into_iter();
    all.retain(|_| !gone.next().unwrap_or(false));
}

/// All pixels of two ROIs, with the larger of their weights.
fn union(a: &Roi, b: &Roi) -> (Vec<u32>, Vec<f32>) {
    let pixels = |roi: &Roi| -> Vec<(u32, f32)> {
        let weights = roi.weights.iter().copied();
        roi.indices.iter().copied().zip(weights).collect()
    };
    let mut all = pixels(a);
    all.extend(pixels(b));
    all.sort_by_key(|&(index, _)| index);
    all.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.max(next.1);
        }
        same
    });
    all.into_iter().unzip()
}

/// Adds blobs that are no cells, so many that they are the planned share.
fn add_false(plan: &FieldsPlan, session: usize, plane: usize, all: &mut Vec<Roi>) {
    let mut rng = stream(plan.seed, Domain::FalseRois, session, plane);
    let mean = all.len() as f64 * plan.false_rois / (1.0 - plan.false_rois);
    // Rounded up or down at random, so that small planes get their share too.
    let count = (mean + rng.random::<f64>()).floor() as usize;
    for _ in 0..count {
        let centre = (
            rng.random::<f64>() * (plan.height - 1) as f64,
            rng.random::<f64>() * (plan.width - 1) as f64,
        );
        let diameter = plan.diameter_px * (0.3 * normal(&mut rng)).exp().clamp(0.5, 1.5);
        let blob = Cell::draw(&mut rng, centre, diameter);
        let pixels = outline(&mut rng, &blob, centre, 0.7, false);
        if let Some((indices, weights)) = clip(plan, &pixels) {
            all.push(Roi {
                cell: -1,
                kind: RoiKind::False,
                plane: plane as u32,
                centre,
                indices,
                weights,
            });
        }
    }
}
