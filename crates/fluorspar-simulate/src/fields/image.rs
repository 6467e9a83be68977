use ndarray::{Array3, Axis};
use rand::RngExt;
use rayon::prelude::*;

use super::session::Sight;
use super::{FieldsPlan, Placement};
use crate::cells::Cell;
use crate::random::{Domain, normal, stream};
use crate::texture::{Texture, vignette};

/// What the mean images of all sessions have in common.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// One per tissue plane.
    textures: Vec<Texture>,
    vignette: Vec<f32>,
}

/// Share of the surrounding neuropil that is not seen in the middle of a cell.
const COVER: f32 = 0.3;

impl Images {
    pub(crate) fn new(plan: &FieldsPlan) -> Self {
        let margin = plan.rim() as usize;
        Self {
            textures: (0..plan.tissue_planes())
                .into_par_iter()
                .map(|plane| Texture::new(plan.seed, plane, margin, plan.height, plan.width))
                .collect(),
            vignette: vignette(plan.height, plan.width, plan.vignetting),
        }
    }

    /// The mean image of a session, axes `(plane, y, x)`; `cells` gives those
    /// of a plane.
    pub(crate) fn render<'a>(
        &self,
        plan: &FieldsPlan,
        session: usize,
        placement: &Placement,
        cells: impl Fn(usize) -> (&'a [Cell], &'a [Sight]) + Sync,
    ) -> Array3<f32> {
        let mut rng = stream(plan.seed, Domain::MeanImages, session, plan.planes);
        let gain = 1.0 + plan.brightness_range * (2.0 * rng.random::<f64>() - 1.0);
        let places: Vec<(f32, f32)> = (0..plan.height * plan.width)
            .into_par_iter()
            .map(|pixel| {
                let (y, x) = (pixel / plan.width, pixel % plan.width);
                let (y, x) = placement.to_tissue((y as f64, x as f64));
                (y as f32, x as f32)
            })
            .collect();
        let first = (plan.axial_planes + placement.axial) as usize;
        let turn = placement.rotation_deg.to_radians();
        let mut all = Array3::zeros((plan.planes, plan.height, plan.width));
        let images: Vec<_> = all.axis_iter_mut(Axis(0)).collect();
        images
            .into_par_iter()
            .enumerate()
            .for_each(|(plane, mut image)| {
                let mut cover = vec![0.0_f32; places.len()];
                let mut light = vec![0.0_f32; places.len()];
                let (cells, sights) = cells(plane);
                for (cell, sight) in cells.iter().zip(sights) {
                    let shown = plan.cell_contrast * sight.brightness;
                    for (index, weight) in pixels(plan, cell, sight, turn, placement.scale) {
                        cover[index] += weight;
                        light[index] += weight * shown as f32;
                    }
                }
                let mut rng = stream(plan.seed, Domain::MeanImages, session, plane);
                let texture = &self.textures[first + plane];
                for (index, value) in image.iter_mut().enumerate() {
                    let neuropil =
                        texture.at(places[index]) * (1.0 - COVER * cover[index].min(1.0));
                    let mean = gain as f32 * self.vignette[index] * (neuropil + light[index]);
                    let noise = plan.image_noise * normal(&mut rng);
                    *value = mean + mean.max(0.0).sqrt() * noise as f32;
                }
            });
        all
    }
}

/// The pixels in the field that a cell covers, and its weight there.
fn pixels(
    plan: &FieldsPlan,
    cell: &Cell,
    sight: &Sight,
    turn: f64,
    scale: f64,
) -> impl Iterator<Item = (usize, f32)> {
    let (height, width) = (plan.height as i64, plan.width as i64);
    let (y, x) = sight.centre;
    let reach = 2.0 * plan.diameter_px;
    let near =
        (-reach..height as f64 + reach).contains(&y) && (-reach..width as f64 + reach).contains(&x);
    let all = if near {
        cell.turned(turn, scale).pixels(y, x)
    } else {
        Vec::new()
    };
    all.into_iter()
        .filter(move |(y, x, _)| (0..height).contains(y) && (0..width).contains(x))
        .map(move |(y, x, weight)| ((y * width + x) as usize, weight))
}
