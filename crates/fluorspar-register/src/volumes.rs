//! Movies of planes recorded together, from end to end.

use fluorspar_movie::{Budget, Movie, MovieSink, PixelType, Progress, Workspaces};
use rayon::prelude::*;

use crate::depth::Drift;
use crate::stage::{Mover, stream};
use crate::volume_part::register_volumes_part;
use crate::{Error, Motion, Registration, Shift, VolumeRegistrar};

/// A registered movie of planes.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeRegistration {
    /// Every plane with its own motion. Untrusted volumes are untrusted in all
    /// planes; where one plane of a volume has no structure, it has the shift
    /// that the others share and is untrusted too.
    pub planes: Vec<Registration>,
    /// The shift that the planes share, per volume, before deviations.
    pub shared: Vec<Shift>,
    /// Depth over the movie, found from means of stretches of it; empty for
    /// movies of one plane.
    pub drift: Vec<Drift>,
}

impl VolumeRegistrar {
    /// Bytes that [`register_volumes`] holds at least on the current rayon
    /// pool, for volumes of `pixel_type` into a sink that takes blocks of
    /// `align` volumes: the registrar itself, the sums behind
    /// [`Images`](crate::Images), work space of each thread, a block. It stays
    /// within the budget if that is larger.
    pub fn memory(&self, frames: usize, pixel_type: PixelType, align: usize) -> usize {
        self.fixed(frames) + align.max(1) * self.per_volume(pixel_type)
    }

    pub(crate) fn pixels(&self) -> usize {
        self.planes[0].reference().len()
    }

    /// What does not depend on the length of a block.
    fn fixed(&self, frames: usize) -> usize {
        let (planes, pixels) = (self.planes.len(), self.pixels());
        // Reference and filter; sums in double and single precision, maximum,
        // centre and lines; the running mean of a stretch and a place to move it.
        let per_pixel = 8 + 100 + 8;
        // Spectra, frame, moved frame, windows and plans.
        let per_thread = 64 * pixels;
        let results = frames * (planes * size_of::<(Shift, bool)>() * 2 + size_of::<Shift>());
        // Pools run one more job than threads where blocks are written meanwhile.
        let threads = rayon::current_num_threads() + 1;
        planes * pixels * per_pixel + threads * per_thread + results
    }

    /// Bytes of one volume of a block: raw, registered twice, its maps.
    fn per_volume(&self, pixel_type: PixelType) -> usize {
        let raw = 4 + 2 * pixel_type.bytes();
        self.planes.len() * (raw * self.pixels() + 4 * self.window().len())
    }
}

/// Registers volumes, each plane by its most probable shift, and, if there is
/// a `sink`, writes the registered movie into it (without finishing it), `(frame,
/// plane, y, x)`, in its own pixel type.
///
/// The movie is read once, in blocks that fit `budget` beside what
/// [`VolumeRegistrar::memory`] counts. A volume whose shared shift is not
/// believed stays where the last good one was, all planes of it, if that was
/// no more than a thousand volumes ago. Works on the
/// caller's rayon pool; the result depends neither on the number of threads
/// nor on the budget. `progress` counts volumes.
///
/// # Errors
/// [`Error::Image`] if the movie has other planes or another size than the
/// references, [`Error::Movie`] if it cannot be read or the sink refuses.
pub fn register_volumes(
    movie: &dyn Movie,
    registrar: &VolumeRegistrar,
    sink: Option<&mut dyn MovieSink>,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<VolumeRegistration, Error> {
    let frames = 0..movie.shape().frames;
    let part = register_volumes_part(movie, registrar, frames, sink, budget, progress)?;
    VolumeRegistration::from_parts(registrar, [Ok(part)])
}

impl VolumeRegistrar {
    /// What of `budget` is left for the buffers that [`stream`] counts.
    pub(crate) fn block_budget(
        &self,
        budget: Budget,
        frames: usize,
        sink: Option<&dyn MovieSink>,
    ) -> Budget {
        let stored = sink
            .and_then(MovieSink::native_type)
            .unwrap_or(PixelType::F32);
        let rest = budget.bytes.saturating_sub(self.fixed(frames));
        let maps = 4 * self.window().len() * self.planes.len();
        let volumes = rest / self.per_volume(stored);
        Budget {
            bytes: volumes * (self.per_volume(stored) - maps),
        }
    }
}

/// Moves the planes of `movie` as `motions` say, one per plane, into `sink`: a
/// second channel recorded at the same time, or the same movie again, to the byte.
///
/// # Errors
/// [`Error::Image`] if the movie has other planes, another size or another
/// number of frames than the motions, or if these have displacement fields;
/// [`Error::Movie`] as for [`register_volumes`].
pub fn reapply_volumes(
    movie: &dyn Movie,
    motions: &[Motion],
    sink: &mut dyn MovieSink,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let shape = movie.shape();
    let planes = motions.len();
    if shape.planes != planes {
        return Err(Error::Image(format!(
            "the movie has {} planes, the motion {planes}",
            shape.planes
        )));
    }
    for motion in motions {
        let (height, width) = motion.reference.dim();
        if (shape.height, shape.width) != (height, width) {
            return Err(Error::Image(format!(
                "the movie is {shape}, the reference {height} × {width} px"
            )));
        }
        if motion.dy.len() != shape.frames || motion.dx.len() != shape.frames {
            return Err(Error::Image(format!(
                "the movie has {} frames, the motion {}",
                shape.frames,
                motion.dy.len()
            )));
        }
        if motion.field.is_some() {
            return Err(Error::Image(
                "planes recorded together have no displacement fields".into(),
            ));
        }
    }
    let movers: Vec<Mover<'_>> = motions
        .iter()
        .map(|motion| Mover::new(None, motion.line_offset, motion.reference.view()))
        .collect();
    let Some(any) = movers.first() else {
        return Ok(());
    };
    let spaces = Workspaces::new(|| any.scratch());
    stream(movie, 0..shape.frames, Some(sink), budget, |block, out| {
        out.frames
            .par_chunks_exact_mut(shape.height * shape.width * out.pixel_type.bytes())
            .enumerate()
            .try_for_each_init(
                || spaces.lend(),
                |moving, (image, target)| {
                    let (plane, frame) = (image % planes, block.frames.start + image / planes);
                    let shift = Shift {
                        dy: motions[plane].dy[frame],
                        dx: motions[plane].dx[frame],
                        quality: 1.0,
                    };
                    movers[plane].load(block, image, moving)?;
                    movers[plane].store(&shift, &[], out.pixel_type, target, moving);
                    progress(u64::from(plane == 0));
                    Ok(())
                },
            )
    })
}
