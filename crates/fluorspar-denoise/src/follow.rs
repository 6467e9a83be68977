//! The last pass: components followed through the movie, run of frames by run.

use fluorspar_movie::{Checkpoints, Movie, MovieShape};
use ndarray::Array2;

use crate::Error;
use crate::piece;
use crate::project::{Bases, slab};

/// Frames in a run at most.
const RUN: usize = 1024;
/// Bytes of a run's time courses at most, where it is not a single slab.
const BYTES: usize = 16 << 20;

/// Frames in a run: whole slabs. It follows from the movie's shape and the
/// number of components alone, so that a run that is finished fits whatever
/// the budget is next time.
pub(crate) fn run(shape: MovieShape, rank: usize) -> usize {
    let slab = slab(shape);
    (RUN.min(BYTES / (4 * rank.max(1))) / slab).max(1) * slab
}

/// Time courses `(component, frame)` of `movie`, read once but for what is
/// kept; their noise is 1.
pub(crate) fn follow(
    movie: &dyn Movie,
    bases: &Bases<'_>,
    kept: &dyn Checkpoints,
    progress: &mut dyn FnMut(usize),
) -> Result<Array2<f32>, Error> {
    let shape = movie.shape();
    let rank = bases.rank();
    let run = run(shape, rank);
    let mut courses = vec![0.0_f32; rank * shape.frames];
    let mut buffer = Vec::new();
    for start in (0..shape.frames).step_by(run) {
        let frames = start..(start + run).min(shape.frames);
        let name = format!("courses-{start:09}");
        if let Some(piece) = kept.load(&name)?
            && piece::read_courses(&piece, &mut courses, shape.frames, &frames).is_some()
        {
            progress(frames.len());
            continue;
        }
        bases.project(movie, frames.clone(), &mut buffer, &mut courses, progress)?;
        let piece = piece::courses(&courses, shape.frames, &frames);
        kept.keep(&name, &piece)?;
    }
    Array2::from_shape_vec((rank, shape.frames), courses).map_err(|e| Error::Input(e.to_string()))
}
