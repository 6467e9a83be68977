//! Movies of planes recorded together, from end to end.

use fluorspar_movie::{Budget, Lost, Movie, MovieSink, PixelType, Progress};
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::depth::{Drift, Segments};
use crate::images::Accumulator;
use crate::stage::{Mover, Moving, stream};
use crate::{Error, Images, Motion, Registration, Shift, VolumeRegistrar};

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
    /// `align` volumes: the registrar itself, the sums behind [`Images`], work
    /// space of each thread, a block. It stays within the budget if that is
    /// larger.
    pub fn memory(&self, frames: usize, pixel_type: PixelType, align: usize) -> usize {
        self.fixed(frames) + align.max(1) * self.per_volume(pixel_type)
    }

    fn pixels(&self) -> usize {
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
/// believed stays where the last good one was, all planes of it. Works on the
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
    registrar.check(movie)?;
    let count = movie.shape().frames;
    let planes = registrar.planes.len();
    let pixels = registrar.pixels();
    let length = registrar.window().len();
    let budget = registrar.block_budget(budget, count, sink.as_deref());
    let movers: Vec<Mover<'_>> = registrar
        .references()
        .map(|reference| Mover::new(None, registrar.line_offset(), reference))
        .collect();
    let mut images: Vec<Accumulator> = registrar.references().map(Accumulator::new).collect();
    let mut segments = Segments::new(registrar, count);
    let mut shared: Vec<Shift> = Vec::with_capacity(count);
    // `(volume, plane)`.
    let mut shifts: Vec<Shift> = Vec::with_capacity(count * planes);
    let mut untrusted: Vec<bool> = Vec::with_capacity(count * planes);
    let mut last: Option<usize> = None;
    let mut lost = vec![0_u64; planes];
    let mut gaps = vec![0_u64; planes];
    let (mut maps, mut present) = (Vec::new(), Vec::new());
    stream(movie, 0..count, sink, budget, |block, out| {
        let begin = block.frames.start;
        let volumes = block.frames.len();
        maps.resize(volumes * planes * length, 0.0_f32);
        present.resize(volumes * planes, false);
        maps.par_chunks_exact_mut(length)
            .zip(&mut present)
            .enumerate()
            .for_each_init(
                || (registrar.planes[0].scratch(), movers[0].scratch()),
                |(scratch, moving), (image, (map, present))| {
                    let plane = image % planes;
                    movers[plane].load(block, image, moving);
                    let size = registrar.planes[plane].reference().dim();
                    let view = ArrayView2::from_shape(size, &moving.frame);
                    *present = view.is_ok_and(|view| registrar.map(plane, view, scratch, map));
                },
            );
        shifts.resize((begin + volumes) * planes, Shift::default());
        let found: Vec<Shift> = shifts[begin * planes..]
            .par_chunks_exact_mut(planes)
            .zip(maps.par_chunks_exact(length * planes))
            .zip(present.par_chunks_exact(planes))
            .map_init(
                || registrar.settling(),
                |settling, ((shifts, maps), present)| {
                    registrar.settle(maps, present, settling, shifts)
                },
            )
            .collect();
        for (k, mut shift) in found.into_iter().enumerate() {
            let volume = begin + k;
            let trusted = registrar.trusts(&shift);
            if trusted {
                last = Some(volume);
            } else {
                // A volume too poor to trust stays where the last good one was.
                let before = last.map_or(Shift::default(), |last| shared[last]);
                shift = Shift {
                    quality: shift.quality,
                    ..before
                };
                for plane in 0..planes {
                    let before = last.map_or(Shift::default(), |l| shifts[l * planes + plane]);
                    let slot = &mut shifts[volume * planes + plane];
                    *slot = Shift {
                        quality: slot.quality,
                        ..before
                    };
                }
            }
            shared.push(shift);
            let present = &present[k * planes..(k + 1) * planes];
            untrusted.extend(present.iter().map(|present| !(trusted && *present)));
        }
        let moved: Vec<(u64, bool)> = out
            .frames
            .par_chunks_exact_mut(pixels * out.pixel_type.bytes())
            .enumerate()
            .map_init(
                || movers[0].scratch(),
                |moving, (image, target)| {
                    let mover = &movers[image % planes];
                    let gap = mover.load(block, image, moving);
                    let shift = &shifts[begin * planes + image];
                    let Lost { saturated, .. } =
                        mover.store(shift, &[], out.pixel_type, target, moving);
                    progress(u64::from(image % planes == 0));
                    (saturated, gap)
                },
            )
            .collect();
        for (image, (saturated, gap)) in moved.into_iter().enumerate() {
            lost[image % planes] += saturated;
            gaps[image % planes] += u64::from(gap);
        }
        let doubted = &untrusted[begin * planes..];
        for (plane, images) in images.iter_mut().enumerate() {
            let counts: Vec<bool> = doubted
                .iter()
                .skip(plane)
                .step_by(planes)
                .map(|u| !u)
                .collect();
            images.add_every(out.pixel_type, &out.frames, (plane, planes), &counts);
        }
        segments.add(begin, out.pixel_type, &out.frames, doubted);
        Ok(())
    })?;
    let drift = segments.finish();
    let images: Vec<Images> = images.into_iter().map(Accumulator::finish).collect();
    let per_plane = images.into_iter().zip(registrar.references()).enumerate();
    let planes = per_plane.map(|(plane, (images, reference))| {
        let shifts = || shifts.iter().skip(plane).step_by(planes);
        Registration {
            motion: Motion {
                dy: shifts().map(|s| s.dy).collect(),
                dx: shifts().map(|s| s.dx).collect(),
                quality: shifts().map(|s| s.quality).collect(),
                untrusted: untrusted
                    .iter()
                    .skip(plane)
                    .step_by(planes)
                    .copied()
                    .collect(),
                field: None,
                line_offset: registrar.line_offset(),
                reference: reference.to_owned(),
            },
            images,
            nan_frames: gaps[plane],
            saturated: lost[plane],
        }
    });
    Ok(VolumeRegistration {
        planes: planes.collect(),
        shared,
        drift,
    })
}

impl VolumeRegistrar {
    /// What of `budget` is left for the buffers that [`stream`] counts.
    fn block_budget(&self, budget: Budget, frames: usize, sink: Option<&dyn MovieSink>) -> Budget {
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
    stream(movie, 0..shape.frames, Some(sink), budget, |block, out| {
        out.frames
            .par_chunks_exact_mut(shape.height * shape.width * out.pixel_type.bytes())
            .enumerate()
            .for_each_init(
                || any.scratch(),
                |moving: &mut Moving, (image, target)| {
                    let (plane, frame) = (image % planes, block.frames.start + image / planes);
                    let shift = Shift {
                        dy: motions[plane].dy[frame],
                        dx: motions[plane].dx[frame],
                        quality: 1.0,
                    };
                    movers[plane].load(block, image, moving);
                    movers[plane].store(&shift, &[], out.pixel_type, target, moving);
                    progress(u64::from(plane == 0));
                },
            );
        Ok(())
    })
}
