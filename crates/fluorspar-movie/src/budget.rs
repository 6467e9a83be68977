use std::ops::Range;

/// How much memory one stage may hold for its frames, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes.
    pub bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: 1 << 30 }
    }
}

/// Longest block in frames: beyond this a larger block only delays progress.
const LONGEST: usize = 1024;

/// Cuts `frames` into blocks that fit `budget`, each but the last a multiple
/// of `align` frames.
///
/// The cut depends on the movie's shape and the budget only, never on the
/// number of threads. `bytes_per_frame` is what the caller holds per frame of
/// a block, all its buffers together. A block is never shorter than `align`
/// frames, even where the budget is smaller than that.
///
/// ```
/// use fluorspar_movie::{Budget, frame_blocks};
/// let blocks: Vec<_> = frame_blocks(10, 100, Budget { bytes: 450 }, 2).collect();
/// assert_eq!(blocks, [0..4, 4..8, 8..10]);
/// ```
pub fn frame_blocks(
    frames: usize,
    bytes_per_frame: usize,
    budget: Budget,
    align: usize,
) -> impl Iterator<Item = Range<usize>> {
    let align = align.max(1);
    let fits = (budget.bytes / bytes_per_frame.max(1)).min(LONGEST);
    let length = (fits / align).max(1) * align;
    (0..frames)
        .step_by(length)
        .map(move |start| start..(start + length).min(frames))
}
