//! What a fit takes, in bytes: upper bounds, and how a budget is shared out.

use faer::Mat;
use fluorspar_movie::{Budget, MovieShape};

use crate::block::Shape;
use crate::decimate::SAMPLE;
use crate::find::shape_of;
use crate::follow;
use crate::grid::Grid;
use crate::moments::Moments;
use crate::parts::{parts, pixels, tiles};
use crate::project::slab;
use crate::{Parameters, block, probe, trend};

/// Bytes of frames read at a time in the first pass, where there is room.
const CHUNK: usize = 64 << 20;
/// Small things.
const SLACK: usize = 1 << 20;
/// Bytes in which a thread packs matrices to multiply them. More is reserved,
/// twice the processor's third-level cache, but not touched.
const PACKED: usize = 4 << 20;
/// Bytes of a block or tile in lists of them.
const ENTRY: usize = 512;
/// Entries of a column of a matrix are filled up to a multiple of this.
const PADDING: usize = 16;
/// Bytes of a pixel while it is averaged, beside its bins: sums, the bin being
/// filled, its unit, scratch, and its share of the lists of image lines.
const AVERAGED: usize = Moments::BYTES + 7 * size_of::<f32>();

/// What matters of a movie and its blocks.
pub(crate) struct Memory {
    shape: MovieShape,
    /// The largest block.
    pub(crate) largest: Shape,
    blocks: usize,
    tiles: usize,
    /// Tiles of a block.
    tiles_of_block: usize,
    /// Most pixels in tiles that lie side by side.
    line: usize,
    /// Most pixels and most blocks of a part.
    part: usize,
    part_blocks: usize,
    /// Bytes of components of a pixel, where every block has as many as it may.
    reserved: usize,
    max_rank: usize,
    threads: usize,
}

/// How a budget is shared out in the first pass.
pub(crate) struct Share {
    /// Frames read at a time.
    pub(crate) chunk: usize,
    /// Blocks searched at a time.
    pub(crate) at_once: usize,
    /// Pixels averaged in one pass.
    pub(crate) band: usize,
}

impl Memory {
    pub(crate) fn new(
        grid: &Grid,
        shape: MovieShape,
        parameters: &Parameters,
        threads: usize,
    ) -> Self {
        let across = grid.columns.tiles();
        let largest = (0..grid.blocks())
            .map(|block| shape_of(grid, block))
            .max_by_key(|shape| shape.iter().product::<usize>());
        let smallest = (0..grid.blocks())
            .map(|block| shape_of(grid, block).iter().product::<usize>())
            .min()
            .map_or(1, |pixels| pixels.max(1));
        // Of the blocks that a pixel lies in.
        let tiles_of_block = (0..grid.blocks().min(1))
            .map(|k| grid.tiles_of(k).len())
            .sum();
        let columns = tiles_of_block * parameters.max_rank.min(shape.frames);
        let parts = parts(grid, shape.frames);
        let part = parts
            .iter()
            .map(|part| pixels(grid, &tiles(grid, part.clone())))
            .max();
        let line = (0..grid.tiles()).step_by(across).map(|first| {
            let lines = grid.image_lines(first);
            lines.len() * shape.width
        });
        Self {
            shape,
            largest: largest.unwrap_or_default(),
            blocks: grid.blocks(),
            tiles: grid.tiles(),
            tiles_of_block,
            line: line.max().unwrap_or(0),
            part: part.unwrap_or(0),
            part_blocks: parts.iter().map(ExactSizeIterator::len).max().unwrap_or(0),
            reserved: size_of::<f32>() * columns * (smallest + PADDING - 1).div_ceil(smallest),
            max_rank: parameters.max_rank,
            threads: threads.max(1),
        }
    }

    fn small(&self) -> usize {
        SLACK + PACKED * self.threads + ENTRY * (self.blocks + self.tiles)
    }

    fn pixels(&self) -> usize {
        self.shape.frame_len()
    }

    fn frame(&self) -> usize {
        size_of::<f32>() * self.pixels()
    }

    /// Components as they are found, of `rank` altogether.
    fn spatial(&self, rank: usize) -> usize {
        let pixels: usize = self.largest.iter().product();
        size_of::<f32>() * rank * pixels.next_multiple_of(PADDING)
    }

    /// Room for what is held of all pixels while they are looked at first.
    pub(crate) fn room_to_probe(&self, budget: Budget, spatial: &[Mat<f32>]) -> usize {
        budget.bytes.saturating_sub(self.probing(held(spatial)))
    }

    /// Mean and noise, provisional and final ones.
    fn probing(&self, spatial: usize) -> usize {
        self.small() + spatial + 4 * self.frame()
    }

    /// What the first pass holds whatever the budget is.
    fn fixed(&self, spatial: usize, bins: usize) -> usize {
        self.small() + spatial + 4 * self.frame() + block::shared(self.largest, bins, self.max_rank)
    }

    /// What a thread takes to search a block, or to keep a part.
    fn search(&self, bins: usize) -> usize {
        let rank = self.max_rank.min(bins);
        let piece = self.spatial(self.part_blocks * rank) + 2 * size_of::<f32>() * self.part;
        block::workspace(self.largest, bins, self.max_rank).max(piece)
    }

    /// Shares what `budget` leaves beside the components found so far.
    pub(crate) fn share(&self, budget: Budget, spatial: &[Mat<f32>], bins: usize) -> Share {
        let free = budget.bytes.saturating_sub(self.fixed(held(spatial), bins));
        let search = self.search(bins);
        // Components take the place of the sums.
        let pixel = SAMPLE * bins + AVERAGED.max(self.reserved);
        // One part comes first; what is left of the room is for speed.
        let spare = free.saturating_sub(self.part * pixel);
        let chunk = (spare / 4).min(CHUNK).max(self.frame());
        let at_once = (spare / 2 / search).clamp(1, self.threads);
        let rest = free.saturating_sub(chunk.max(at_once * search));
        Share {
            chunk: chunk / self.frame(),
            at_once,
            band: rest / pixel,
        }
    }

    /// Upper bound for a fit that finds `rank` components within `budget`, or
    /// within the least that there can be.
    pub(crate) fn bound(&self, budget: Budget, rank: usize) -> usize {
        let phases = [
            self.looking(budget, rank),
            self.finding(budget, rank),
            self.following(rank),
            self.smoothing(rank),
            self.assembling(rank),
        ];
        phases.into_iter().max().unwrap_or(0)
    }

    fn looking(&self, budget: Budget, rank: usize) -> usize {
        let fixed = self.probing(self.spatial(rank));
        let least = fixed + probe::workspace(self.shape, 0);
        let most = fixed + probe::workspace(self.shape, usize::MAX);
        budget.bytes.max(least).min(most)
    }

    fn finding(&self, budget: Budget, rank: usize) -> usize {
        // Bins are at least one frame.
        let bins = self.shape.frames;
        let fixed = self.fixed(self.spatial(rank), bins);
        let search = self.search(bins);
        let pixel = SAMPLE * bins + AVERAGED;
        let least = self.part * pixel + search.max(self.frame());
        let most = self.pixels() * pixel + (self.threads * search).max(CHUNK.max(self.frame()));
        budget.bytes.max(fixed + least).min(fixed + most)
    }

    fn following(&self, rank: usize) -> usize {
        let slab = slab(self.shape).min(self.shape.frames);
        let parts = self.tiles_of_block * rank + (PADDING - 1) * self.tiles;
        let weights = self.spatial(rank) + (PADDING - 1) * self.frame();
        let run = follow::run(self.shape, rank).min(self.shape.frames);
        let values = (slab + 1) * self.pixels() // frames, and the mean
            + slab * (parts + self.threads * self.line)
            + rank * run;
        self.factors(rank) + weights + size_of::<f32>() * values
    }

    fn smoothing(&self, rank: usize) -> usize {
        self.factors(rank) + trend::workspace(self.shape.frames, rank, self.threads)
    }

    fn assembling(&self, rank: usize) -> usize {
        let pixels: usize = self.largest.iter().product();
        let entry = size_of::<u32>() + size_of::<f32>();
        let rows = size_of::<u64>() * (self.pixels() + 1);
        self.factors(rank) + entry * rank * pixels + rows + size_of::<u32>() * rank
    }

    /// Mean, noise, components and time courses.
    fn factors(&self, rank: usize) -> usize {
        let courses = size_of::<f32>() * rank * self.shape.frames;
        self.small() + 2 * self.frame() + self.spatial(rank) + courses
    }
}

/// Bytes of components.
fn held(spatial: &[Mat<f32>]) -> usize {
    let values = spatial
        .iter()
        .map(|of| of.nrows().next_multiple_of(PADDING) * of.ncols());
    size_of::<f32>() * values.sum::<usize>()
}
