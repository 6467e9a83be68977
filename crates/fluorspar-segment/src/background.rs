//! What many cells' widths share: neuropil, and light that no focus explains.

use rayon::prelude::*;

use crate::activity::{Activity, Combination, Gather};
use crate::stats::axpy;

/// A smooth background in units of each pixel's noise: tents (bilinear bumps
/// that sum to one everywhere) on a square grid of knots, each with a time
/// course of its own. Tents two diameters apart are too wide to follow a cell.
pub(crate) struct Background {
    step: usize,
    columns: usize,
    /// Of each knot, one value per bin.
    pub(crate) courses: Vec<Vec<f32>>,
    /// Of each knot, the products with the movie: `Σ tent · Z`.
    pub(crate) products: Vec<Vec<f32>>,
    /// Of each knot, the products with its neighbours' tents, itself first.
    pub(crate) gram: Vec<Vec<(u32, f32)>>,
}

impl Background {
    /// Knots `step` pixels apart, courses at zero.
    pub(crate) fn new(activity: &Activity<'_>, step: usize) -> Self {
        let step = step.max(1);
        let (height, width) = (activity.height, activity.width);
        let rows = height.saturating_sub(1) / step + 2;
        let columns = width.saturating_sub(1) / step + 2;
        let mut background = Self {
            step,
            columns,
            courses: vec![vec![0.0; activity.bins()]; rows * columns],
            products: Vec::new(),
            gram: Vec::new(),
        };
        let parts: Vec<(Vec<f32>, Combination)> = (0..rows * columns)
            .into_par_iter()
            .map_init(
                || Gather::new(activity.rank()),
                |gather, knot| background.knot(activity, gather, knot),
            )
            .collect();
        (background.products, background.gram) = parts.into_iter().unzip();
        background
    }

    /// Products of one knot's tent with the movie and with its neighbours.
    fn knot(
        &self,
        activity: &Activity<'_>,
        gather: &mut Gather,
        knot: usize,
    ) -> (Vec<f32>, Vec<(u32, f32)>) {
        let (row, column) = (knot / self.columns, knot % self.columns);
        let span = |k: usize, end: usize| {
            (k * self.step).saturating_sub(self.step - 1)..((k + 1) * self.step).min(end)
        };
        let mut inside = Vec::new();
        let mut gram = vec![(knot as u32, 0.0)];
        for y in span(row, activity.height) {
            for x in span(column, activity.width) {
                let pixel = y * activity.width + x;
                if activity.scale[pixel] <= 0.0 {
                    continue;
                }
                let tents = self.tents(y, x);
                let own = tents.iter().find(|t| t.0 == knot).map_or(0.0, |t| t.1);
                if own <= 0.0 {
                    continue;
                }
                inside.push((pixel, own));
                for (other, weight) in tents.into_iter().filter(|t| t.1 > 0.0) {
                    match gram.iter_mut().find(|g| g.0 as usize == other) {
                        Some(entry) => entry.1 += own * weight,
                        None => gram.push((other as u32, own * weight)),
                    }
                }
            }
        }
        let combination = activity.combination(inside.into_iter(), gather);
        (activity.course(&combination), gram)
    }

    /// The knots that reach a pixel and their tents' heights there.
    pub(crate) fn tents(&self, y: usize, x: usize) -> [(usize, f32); 4] {
        let (row, column) = (y / self.step, x / self.step);
        let part = |v: usize| (v % self.step) as f32 / self.step as f32;
        let (v, u) = (part(y), part(x));
        let knot = row * self.columns + column;
        [
            (knot, (1.0 - v) * (1.0 - u)),
            (knot + 1, (1.0 - v) * u),
            (knot + self.columns, v * (1.0 - u)),
            (knot + self.columns + 1, v * u),
        ]
    }

    /// Takes the background off one pixel's activity.
    pub(crate) fn subtract(&self, y: usize, x: usize, out: &mut [f32]) {
        for (knot, height) in self.tents(y, x) {
            if height > 0.0 {
                axpy(-height, &self.courses[knot], out);
            }
        }
    }
}
