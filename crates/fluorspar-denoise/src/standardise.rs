//! Blocks of the decimated movie in units of their noise.

use half::slice::HalfFloatSliceExt;

use crate::block::Shape;
use crate::decimate::{Decimated, Statistics};
use crate::grid::Grid;
use crate::probe::Probe;

/// The decimated movie, on its way to units of the noise.
pub(crate) struct Standardised<'a> {
    pub(crate) grid: &'a Grid,
    pub(crate) probe: &'a Probe,
    pub(crate) statistics: &'a Statistics,
    pub(crate) decimated: &'a Decimated,
    pub(crate) bins: usize,
}

impl Standardised<'_> {
    /// Fills `room` with a block `(pixel, bin)`, column-major.
    pub(crate) fn load(&self, block: usize, shape: Shape, room: &mut Vec<f32>) {
        let height: usize = shape.iter().product();
        room.resize(height * self.bins, 0.0);
        let root = (self.probe.bin as f32).sqrt();
        for tile in self.grid.tiles_of(block) {
            let (mut scale, mut offset) = (Vec::new(), Vec::new());
            for pixel in self.grid.lines(tile).into_iter().flatten() {
                let noise = self.statistics.noise[pixel];
                let inverse = if noise > 0.0 { 1.0 / noise } else { 0.0 };
                let shift = self.statistics.mean[pixel] - self.probe.mean[pixel];
                scale.push(self.probe.noise[pixel] * inverse);
                offset.push(root * shift * inverse);
            }
            let lines = self.grid.lines_within(block, tile);
            let mut values = vec![0.0; scale.len()];
            let columns = room.chunks_exact_mut(height);
            for (bin, column) in self.decimated.bins(tile, values.len()).zip(columns) {
                bin.convert_to_f32_slice(&mut values);
                let mut first = 0;
                for line in &lines {
                    let at = first..first + line.len();
                    standardise(
                        &values[at.clone()],
                        &scale[at.clone()],
                        &offset[at],
                        &mut column[line.clone()],
                    );
                    first += line.len();
                }
            }
        }
    }
}

fluorspar_movie::vectorised! {
    fn standardise<'a>(values: &'a [f32], scale: &'a [f32], offset: &'a [f32], out: &'a mut [f32]) {
        for (((out, &v), &scale), &offset) in out.iter_mut().zip(values).zip(scale).zip(offset) {
            *out = v * scale - offset;
        }
    }
}
