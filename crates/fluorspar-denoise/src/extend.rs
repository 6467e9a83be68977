use faer::Mat;
use fluorspar_movie::{Movie, Progress};
use ndarray::{Axis, concatenate};

use crate::decimate::Statistics;
use crate::follow::follow;
use crate::grid::Grid;
use crate::project::{Bases, round};
use crate::{Error, LowRank};

impl LowRank {
    /// Follows the components through further frames: `movie` holds only the
    /// new ones, which are appended to V. U, mean and noise stay as they are.
    ///
    /// This is the last pass of [`Denoiser::fit`](crate::Denoiser::fit) alone,
    /// cheap enough to keep up with a microscope: frames of a movie that has
    /// been fitted get the time courses that they got there, but for rounding
    /// and for the smoothing in time, which new frames, whose future is not
    /// known yet, go without.
    /// A cell that never spoke before has no component, so it stays silent:
    /// watch the [residual](crate::residual), and fit anew when it grows.
    ///
    /// # Errors
    /// [`Error::Input`] if the frames have another size, no pixels, or values
    /// too large for `f32`; [`Error::Movie`] if
    /// they cannot be read. Nothing is changed then.
    pub fn extend(&mut self, movie: &dyn Movie, progress: Progress<'_>) -> Result<(), Error> {
        let (own, new) = (Movie::shape(self), movie.shape());
        if (own.planes, own.height, own.width) != (new.planes, new.height, new.width) {
            return Err(Error::Input(format!(
                "new frames of {new} cannot extend a low-rank movie of {own}"
            )));
        }
        if own.frame_len() == 0 {
            return Err(Error::Input(format!("{own}: there are no pixels")));
        }
        let grid = Grid::new(own, self.parts().blocks);
        let spatial = self.block_components(&grid)?;
        let statistics = Statistics {
            mean: self.mean().iter().copied().collect(),
            noise: self.noise().iter().copied().collect(),
        };
        let bases = Bases::new(&grid, &spatial, &statistics);
        let mut more = follow(movie, &bases, &(), &mut |n| progress(n as u64))?;
        if !more.iter().all(|v| v.is_finite()) {
            return Err(Error::Input(
                "new frames hold values too large for float32".into(),
            ));
        }
        round(&mut more);
        let all = concatenate(Axis(1), &[self.v(), more.view()])
            .map_err(|e| Error::Input(e.to_string()))?;
        self.replace_courses(all);
        Ok(())
    }

    /// The components `(pixel, component)` of each block in units of the
    /// noise, taken back out of U.
    fn block_components(&self, grid: &Grid) -> Result<Vec<Mat<f32>>, Error> {
        let blocks = grid.blocks();
        let of = &self.parts().component_block;
        if of.windows(2).any(|pair| pair[0] > pair[1])
            || of.last().is_some_and(|&last| last as usize >= blocks)
        {
            return Err(Error::Input(
                "low-rank movie: its components do not belong to its blocks in order".into(),
            ));
        }
        let mut first = 0;
        let mut all = Vec::with_capacity(blocks);
        for block in 0..blocks {
            let rank = of[first..]
                .iter()
                .take_while(|&&b| b as usize == block)
                .count();
            let pixels = grid
                .block(block)
                .iter()
                .map(ExactSizeIterator::len)
                .product();
            let mut components = Mat::zeros(pixels, rank);
            for tile in grid.tiles_of(block) {
                let within = grid.lines_within(block, tile).into_iter().flatten();
                let pixels = grid.lines(tile).into_iter().flatten();
                for ((pixel, at), blend) in pixels.zip(within).zip(grid.weights(block, tile)) {
                    let scale = blend * self.noise().as_slice().map_or(0.0, |n| n[pixel]);
                    let (indices, weights) = self.row(pixel);
                    let own = indices.partition_point(|&k| (k as usize) < first);
                    let entries = indices[own..].iter().zip(&weights[own..]);
                    for (&k, &weight) in entries.take_while(|(k, _)| (**k as usize) < first + rank)
                    {
                        if scale > 0.0 {
                            components[(at, k as usize - first)] = weight / scale;
                        }
                    }
                }
            }
            all.push(components);
            first += rank;
        }
        Ok(all)
    }
}
