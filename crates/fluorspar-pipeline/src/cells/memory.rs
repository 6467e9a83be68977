//! How much memory finding cells takes.

use fluorspar_deconvolve::Oasis;
use fluorspar_denoise::Blocks;
use fluorspar_movie::Budget;
use fluorspar_segment::Detector;
use fluorspar_trace::Extractor;

use super::panels::panel_frames;

/// Most bytes that a batch of ROIs takes: larger ones are not faster.
const BATCH_BYTES: usize = 256 << 20;
/// Arrays of a batch that are held at once.
const BATCH_ARRAYS: usize = 8;
/// ROIs that the deconvolution takes side by side.
const LANES: usize = 8;
/// Bytes of a ROI's pixels, its ring and its overlaps.
const ROI_BYTES: usize = 8 << 10;
/// Traces that the kernel is learnt from, at most.
const LEARNT: usize = 48;
/// Encoded and decoded chunks, 4 MiB each: per array that is written, and per thread.
const CHUNKS: usize = 2 * (4 << 20);

/// What decides how much memory finding cells takes.
#[derive(Clone, Copy, Debug)]
pub struct CellsSize {
    /// ROIs in all planes.
    pub rois: usize,
    /// Frames of the movie.
    pub frames: usize,
    /// Planes.
    pub planes: usize,
    /// Rows and columns of an image.
    pub image: (usize, usize),
    /// Diameter of a cell (pixels).
    pub diameter: f64,
    /// Components of the denoised movie, in all planes.
    pub rank: usize,
}

/// Bytes of traces that are held in memory.
pub(super) fn panels_in_memory(budget: Budget) -> usize {
    budget.bytes / 2
}

/// ROIs that are worked on at a time, all frames of each.
pub(super) fn batch(frames: usize, budget: Budget) -> usize {
    let bytes = (budget.bytes / 4).min(BATCH_BYTES);
    (bytes / (4 * BATCH_ARRAYS * frames.max(1)) / LANES).max(1) * LANES
}

impl CellsSize {
    /// What one plane has of what all planes have, if they have as much each.
    fn in_plane(&self, all: usize) -> usize {
        all.div_ceil(self.planes.max(1))
    }

    /// Bytes of one plane of the denoised movie, and of the images of all.
    fn lowrank(&self) -> usize {
        let side = Blocks::default().side;
        let pixels = self.image.0 * self.image.1;
        let rank = self.in_plane(self.rank);
        rank * (4 * self.frames + 8 * side * side) + 24 * pixels * self.planes
    }

    /// Bytes of finding cells in one plane, with these for tiles of it.
    fn detection(&self, tiles: usize) -> usize {
        let budget = Budget { bytes: tiles };
        let (rois, rank) = (self.in_plane(self.rois), self.in_plane(self.rank));
        Detector::workspace(self.diameter, rois, self.frames, self.image, rank, budget)
    }
}

/// What is left of the budget for tiles beside what detection holds anyhow.
pub(super) fn for_tiles(size: &CellsSize, budget: Budget) -> Budget {
    let held = size.lowrank() + size.detection(0);
    Budget {
        bytes: budget.bytes.saturating_sub(held),
    }
}

/// Bytes that finding the cells of one session takes, at most, from
/// `lowrank.zarr` and `registered.zarr` to `rois.zarr`, on `threads` threads:
/// what is held whatever the budget, and what follows from that. `budget` is
/// what the stage is given for its blocks, as in [`segment`](crate::segment).
///
/// The floor is one plane's components over all frames, one tile of the plane
/// (256 MiB or less) with the traces of its cells in at most 4,000 bins, and
/// 256 frames of all ROIs.
///
/// ```
/// use fluorspar_movie::Budget;
/// use fluorspar_pipeline::{CellsSize, cells_workspace};
///
/// let size = CellsSize {
///     rois: 73_307,
///     frames: 36_000,
///     planes: 30,
///     image: (512, 512),
///     diameter: 11.0,
///     rank: 36_000,
/// };
/// let budget = Budget { bytes: 2 << 30 };
/// assert!(cells_workspace(&size, 16, budget) < 8 << 30);
/// ```
pub fn cells_workspace(size: &CellsSize, threads: usize, budget: Budget) -> usize {
    let CellsSize { rois, frames, .. } = *size;
    let frame_len = size.planes * size.image.0 * size.image.1;
    let plane = size.lowrank();
    let detection = plane + size.detection(for_tiles(size, budget).bytes);

    let batch = batch(frames, budget).min(rois.next_multiple_of(LANES).max(LANES));
    let panel = panel_frames(rois, frame_len).min(frames);
    let all = 4 * 4 * rois * frames;
    let traces = ROI_BYTES * rois
        + if all <= panels_in_memory(budget) {
            all
        } else {
            0
        };
    let part = Budget {
        bytes: budget.bytes / 8,
    };
    // A piece, and the same as it is kept.
    let extraction = 2 * 3 * 4 * rois * panel + Extractor::workspace(frame_len, rois, part);
    // Products, neuropil, the result, and solutions in double precision.
    let demixing = (3 * 4 + 3 * 8) * rois * panel;
    let threads = threads.max(1);
    let batches = 4 * BATCH_ARRAYS * batch * frames
        + 6 * CHUNKS
        + threads * (CHUNKS + 12 * 8 * frames)
        + 4 * LEARNT * frames
        + Oasis::workspace(frames, threads);
    let measuring = plane + batches;
    detection.max(24 * frame_len + traces + extraction.max(demixing).max(measuring))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: CellsSize = CellsSize {
        rois: 73_307,
        frames: 36_000,
        planes: 30,
        image: (512, 512),
        diameter: 11.0,
        rank: 30 * 1200,
    };

    #[test]
    fn the_largest_session_fits_a_workstation() {
        let budget = Budget { bytes: 8 << 30 };
        let bytes = cells_workspace(&LARGEST, 16, budget);
        assert!(bytes < 8 << 30, "{bytes}");
    }

    #[test]
    fn what_is_taken_follows_the_budget_down_to_a_floor() {
        let size = CellsSize {
            rois: 2000,
            frames: 20_000,
            planes: 1,
            image: (512, 512),
            diameter: 11.0,
            rank: 600,
        };
        let at = |bytes: usize| cells_workspace(&size, 2, Budget { bytes });
        assert!(at(1 << 30) <= 1 << 30, "{}", at(1 << 30));
        assert!(at(4 << 30) <= 4 << 30);
        assert!(at(1 << 30) >= at(1 << 20));
        // Twice the frames do not take twice the memory.
        let longer = CellsSize {
            frames: 40_000,
            ..size
        };
        let budget = Budget { bytes: 1 << 30 };
        assert!(cells_workspace(&longer, 2, budget) < 3 * at(1 << 30) / 2);
    }

    #[test]
    fn batches_are_whole_groups_of_lanes() {
        for bytes in [0, 1 << 20, 1 << 30, usize::MAX] {
            let batch = batch(36_000, Budget { bytes });
            assert!(batch > 0 && batch.is_multiple_of(LANES));
        }
    }
}
