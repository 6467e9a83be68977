use std::ops::Range;

use fluorspar_movie::Movie;
use rayon::prelude::*;

use crate::Error;

/// Frames that one thread reads at a time: the inner chunks of Zarr stores and more.
const TOGETHER: usize = 16;

/// Reads `frames` by several threads, each whole multiples of a few frames,
/// so that what is stored together is decoded once.
pub(crate) fn read(movie: &dyn Movie, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
    let length = movie.shape().frame_len();
    let mut parts = Vec::new();
    let (mut start, mut rest) = (frames.start, into);
    while start < frames.end {
        let end = ((start / TOGETHER + 1) * TOGETHER).min(frames.end);
        let (part, after) = rest.split_at_mut((end - start) * length);
        parts.push((start..end, part));
        (start, rest) = (end, after);
    }
    parts
        .into_par_iter()
        .map(|(frames, part)| movie.read(frames, part))
        .collect::<Result<Vec<()>, _>>()?;
    Ok(())
}
