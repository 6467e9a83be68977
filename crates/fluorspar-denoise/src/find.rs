//! The first pass: the components of every block, part by part.

use std::ops::Range;

use faer::{Mat, MatRef};
use fluorspar_movie::{Budget, Checkpoints, Movie, Progress};
use rayon::prelude::*;

use crate::advance::Advance;
use crate::block::{BlockSearch, Shape};
use crate::decimate::{Statistics, decimate};
use crate::grid::Grid;
use crate::linear::Products;
use crate::memory::Memory;
use crate::parallel::few_at_once;
use crate::parts::{band, parts};
use crate::piece;
use crate::probe::Probe;
use crate::standardise::Standardised;
use crate::{Error, Parameters};

/// What the search works on.
pub(crate) struct Search<'a> {
    pub(crate) movie: &'a dyn Movie,
    pub(crate) grid: &'a Grid,
    pub(crate) parameters: &'a Parameters,
    pub(crate) memory: &'a Memory,
    pub(crate) budget: Budget,
    pub(crate) kept: &'a dyn Checkpoints,
}

/// The components `(pixel, component)` of each block, in units of the noise.
pub(crate) struct Found {
    pub(crate) spatial: Vec<Mat<f32>>,
    pub(crate) statistics: Statistics,
}

impl Search<'_> {
    /// Takes what is kept and finds the rest.
    pub(crate) fn run<'p>(&self, progress: Progress<'p>) -> Result<(Found, Advance<'p>), Error> {
        let shape = self.movie.shape();
        let mut found = Found {
            spatial: vec![Mat::new(); self.grid.blocks()],
            statistics: Statistics {
                mean: vec![0.0; shape.frame_len()],
                noise: vec![0.0; shape.frame_len()],
            },
        };
        let parts = parts(self.grid, shape.frames);
        let mut missing = Vec::new();
        for part in &parts {
            if !self.load(part, &mut found)? {
                missing.push(part.clone());
            }
        }
        let loaded = parts.len() - missing.len();
        if missing.is_empty() {
            let mut advance = Advance::new(progress, parts.len(), 1);
            advance.searched(shape.frames, loaded);
            return Ok((found, advance));
        }
        let room = self.memory.room_to_probe(self.budget, &found.spatial);
        let probe = Probe::new(self.movie, room)?;
        let bins = shape.frames / probe.bin;
        let share = |found: &Found| self.memory.share(self.budget, &found.spatial, bins);
        let (mut passes, mut rest) = (0, &parts[..]);
        while !rest.is_empty() {
            band(self.grid, &mut rest, share(&found).band);
            passes += 1;
        }
        let mut advance = Advance::new(progress, parts.len(), passes);
        advance.searched(shape.frames, loaded);
        let search = BlockSearch::prepare(
            self.memory.largest,
            bins,
            self.parameters,
            share(&found).at_once,
        )?;
        let mut rest = &missing[..];
        while !rest.is_empty() {
            let share = share(&found);
            let (band, tiles) = band(self.grid, &mut rest, share.band);
            let decimated = decimate(
                self.movie,
                self.grid,
                &tiles,
                &probe,
                share.chunk,
                &mut found.statistics,
                &mut |frames| advance.searched(frames, band.len()),
            )?;
            let data = Standardised {
                grid: self.grid,
                probe: &probe,
                statistics: &found.statistics,
                decimated: &decimated,
                bins,
            };
            let of_part = |part: &Range<usize>| self.part(part, &search, &data, share.at_once);
            // Parts side by side wherever there is memory for a block on each thread.
            let spatial: Vec<Vec<Mat<f32>>> = if share.at_once < rayon::current_num_threads() {
                band.iter().map(of_part).collect::<Result<_, _>>()?
            } else {
                band.par_iter().map(of_part).collect::<Result<_, _>>()?
            };
            for (part, spatial) in band.iter().zip(spatial) {
                found.put(part, spatial);
            }
        }
        Ok((found, advance))
    }

    /// Searches the blocks of a part and keeps what was found.
    fn part(
        &self,
        part: &Range<usize>,
        search: &BlockSearch,
        data: &Standardised<'_>,
        at_once: usize,
    ) -> Result<Vec<Mat<f32>>, Error> {
        let found = few_at_once(part.clone(), at_once, Vec::new, |room, block| {
            let shape = shape_of(self.grid, block);
            data.load(block, shape, room);
            let pixels = shape.iter().product();
            let data = MatRef::from_column_major_slice(room, pixels, data.bins);
            search
                .find(data, shape, &mut Products::default())
                .map_err(|error| error.in_block(block))
        });
        let found: Vec<Mat<f32>> = found.into_iter().collect::<Result<_, _>>()?;
        let piece = piece::components(self.grid, part, &found, data.statistics);
        self.kept.keep(&name(part), &piece)?;
        Ok(found)
    }

    /// Takes a part from what is kept, if it is there and whole.
    fn load(&self, part: &Range<usize>, found: &mut Found) -> Result<bool, Error> {
        let Some(piece) = self.kept.load(&name(part))? else {
            return Ok(false);
        };
        let most = self.parameters.max_rank;
        let spatial = piece::read_components(&piece, self.grid, part, most, &mut found.statistics);
        Ok(spatial.map(|spatial| found.put(part, spatial)).is_some())
    }
}

impl Found {
    fn put(&mut self, part: &Range<usize>, spatial: Vec<Mat<f32>>) {
        for (slot, found) in self.spatial[part.clone()].iter_mut().zip(spatial) {
            *slot = found;
        }
    }
}

/// Name of what is kept of a part: its first block.
fn name(part: &Range<usize>) -> String {
    format!("components-{:06}", part.start)
}

/// Extent of a block along `(plane, y, x)`.
pub(crate) fn shape_of(grid: &Grid, block: usize) -> Shape {
    grid.block(block).map(|range| range.len())
}
