//! Planes recorded together, and depth.

use fluorspar_movie::{Budget, Movie, MovieSink, Progress};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::correlate::Scratch;
use crate::images::Accumulator;
use crate::stage::{Mover, stream};
use crate::{
    Error, Images, Mode, Motion, Parameters, Reference, Registrar, Registration, Shift, apply,
    phase_correlation,
};

/// Most volumes that references are built from.
const VOLUMES: usize = 200;
/// Volumes that the plane of most structure is looked for in.
const FIRST: usize = 20;
/// Rounds of building the references of all planes together.
const ROUNDS: usize = 2;

/// Estimates one shift for planes that are recorded at the same time, such as
/// those of light beads microscopy: their correlation maps are added up, each
/// weighted by how well its plane matches as a rule, so that dim planes borrow
/// from bright ones.
#[derive(Clone, Debug)]
pub struct VolumeRegistrar {
    planes: Vec<Registrar>,
    weights: Vec<f32>,
}

impl VolumeRegistrar {
    /// Builds the references of all planes of `movie` together: the plane of
    /// most structure first, then every plane from the shifts of all, so that
    /// one shift brings all of them onto their references. Rigid.
    ///
    /// # Errors
    /// As [`Reference::build`].
    pub fn build(movie: &dyn Movie, parameters: &Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        let parameters = Parameters {
            mode: Mode::Rigid,
            ..parameters.clone()
        };
        let shape = movie.shape();
        if shape.frames == 0 || shape.planes == 0 {
            return Err(Error::Image("the movie has no frames".into()));
        }
        let few = Parameters {
            reference_frames: FIRST,
            ..parameters.clone()
        };
        let strength = |plane| -> Result<f32, Error> {
            let reference = Reference::build(&Plane { movie, plane }, &few)?;
            Ok(reference.usual_quality().unwrap_or(0.0))
        };
        let mut strongest = (0, f32::NEG_INFINITY);
        for plane in 0..shape.planes {
            let found = strength(plane)?;
            if found > strongest.1 {
                strongest = (plane, found);
            }
        }
        let plane = strongest.0;
        let first = Reference::build(&Plane { movie, plane }, &parameters)?;
        let registrar = Registrar::new(&first, &parameters)?;
        let count = VOLUMES.min(parameters.reference_frames).min(shape.frames);
        let numbers: Vec<usize> = (0..count).map(|k| k * shape.frames / count).collect();
        let mut means = average(movie, &numbers, |volume, scratch: &mut Option<Scratch>| {
            let scratch = scratch.get_or_insert_with(|| registrar.scratch());
            registrar.estimate(volume.index_axis(Axis(0), plane), scratch)
        })?;
        for _ in 1..ROUNDS {
            let all = Self::new(means.view(), &parameters)?;
            means = average(
                movie,
                &numbers,
                |volume, scratch: &mut Option<Vec<Scratch>>| {
                    let scratch = scratch.get_or_insert_with(|| all.scratch());
                    all.estimate(volume, scratch)
                },
            )?;
        }
        let mut registrar = Self::new(means.view(), &parameters)?;
        registrar.weigh(movie, &numbers)?;
        Ok(registrar)
    }

    /// Against the images `(plane, y, x)`, all planes of equal weight.
    ///
    /// # Errors
    /// As [`Registrar::new`].
    pub fn new(references: ArrayView3<'_, f32>, parameters: &Parameters) -> Result<Self, Error> {
        let planes: Result<Vec<Registrar>, Error> = references
            .outer_iter()
            .map(|image| Registrar::rigid(image, parameters))
            .collect();
        let planes = planes?;
        if planes.is_empty() {
            return Err(Error::Image("there are no planes".into()));
        }
        Ok(Self {
            weights: vec![1.0; planes.len()],
            planes,
        })
    }

    /// Weighs each plane by the height of its own correlation peak.
    fn weigh(&mut self, movie: &dyn Movie, numbers: &[usize]) -> Result<(), Error> {
        let mut sums = vec![0.0_f64; self.planes.len()];
        let shape = movie.shape();
        let mut volume = Array3::zeros((shape.planes, shape.height, shape.width));
        let mut scratch = self.scratch();
        let step = numbers.len().div_ceil(FIRST).max(1);
        for &frame in numbers.iter().step_by(step) {
            read(movie, frame, &mut volume)?;
            for (plane, sum) in sums.iter_mut().enumerate() {
                let image = volume.index_axis(Axis(0), plane);
                let shift = self.planes[plane].estimate(image, &mut scratch[plane]);
                *sum += f64::from(shift.quality);
            }
        }
        let largest = sums.iter().copied().fold(0.0, f64::max);
        if largest > 0.0 {
            self.weights = sums.iter().map(|s| (s / largest) as f32).collect();
        }
        Ok(())
    }

    /// The reference of each plane, `(y, x)`.
    pub fn references(&self) -> impl Iterator<Item = ArrayView2<'_, f32>> {
        self.planes.iter().map(Registrar::reference)
    }

    /// How much each plane has to say, the most telling one 1.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Work space for one thread.
    pub fn scratch(&self) -> Vec<Scratch> {
        self.planes.iter().map(Registrar::scratch).collect()
    }

    /// The shift that all planes of `volume` `(plane, y, x)` share; quality 0
    /// if the size is another or no plane has structure.
    pub fn estimate(&self, volume: ArrayView3<'_, f32>, scratch: &mut [Scratch]) -> Shift {
        if volume.len_of(Axis(0)) != self.planes.len() || scratch.len() != self.planes.len() {
            return Shift::default();
        }
        let mut sum: Vec<f32> = Vec::new();
        let mut total = 0.0;
        let mut perfect = 0.0;
        for ((image, registrar), (buffers, &weight)) in volume
            .outer_iter()
            .zip(&self.planes)
            .zip(scratch.iter_mut().zip(&self.weights))
        {
            let Some(map) = registrar.map(image, buffers) else {
                continue;
            };
            sum.resize(map.len(), 0.0);
            for (sum, value) in sum.iter_mut().zip(map) {
                *sum += weight * value;
            }
            total += weight;
            perfect += weight * registrar.perfect();
        }
        if total <= 0.0 || perfect <= 0.0 {
            return Shift::default();
        }
        self.planes[0].peak(&sum, perfect)
    }
}

/// Registers volumes with one shift for all planes and, if there is a `sink`,
/// writes the registered movie into it, `(frame, plane, y, x)`. Returns one
/// [`Registration`] per plane; they share their shifts.
///
/// # Errors
/// As [`crate::register`].
pub fn register_volumes(
    movie: &dyn Movie,
    registrar: &VolumeRegistrar,
    sink: Option<&mut dyn MovieSink>,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Vec<Registration>, Error> {
    let shape = movie.shape();
    let planes = registrar.planes.len();
    let first = registrar.planes[0].reference();
    if (shape.planes, shape.height, shape.width) != (planes, first.nrows(), first.ncols()) {
        return Err(Error::Image(format!(
            "the movie is {shape}, the references {planes} planes of {} × {} px",
            first.nrows(),
            first.ncols()
        )));
    }
    let movers: Vec<Mover<'_>> = registrar
        .references()
        .map(|reference| Mover::new(None, 0, reference))
        .collect();
    let mut images: Vec<_> = registrar.references().map(Accumulator::new).collect();
    let mut shifts: Vec<Shift> = Vec::with_capacity(shape.frames);
    let mut untrusted = Vec::with_capacity(shape.frames);
    let mut lost = vec![0_u64; planes];
    let mut gaps = vec![0_u64; planes];
    stream(movie, sink, budget, |block, out| {
        let plane_bytes = first.len() * out.pixel_type.bytes();
        let found: Vec<Shift> = (0..block.frames.len())
            .into_par_iter()
            .map_init(
                || {
                    (
                        registrar.scratch(),
                        movers[0].scratch(),
                        Array3::zeros((planes, first.nrows(), first.ncols())),
                    )
                },
                |(scratch, moving, volume), k| {
                    for (plane, mut image) in volume.outer_iter_mut().enumerate() {
                        movers[plane].load(block, k * planes + plane, moving);
                        for (slot, &value) in image.iter_mut().zip(&moving.frame) {
                            *slot = value;
                        }
                    }
                    registrar.estimate(volume.view(), scratch)
                },
            )
            .collect();
        let begin = shifts.len();
        for shift in found {
            let trusted = registrar.planes[0].trusts(&shift);
            let before = shifts.last().copied().unwrap_or_default();
            let quality = shift.quality;
            shifts.push(if trusted {
                shift
            } else {
                Shift { quality, ..before }
            });
            untrusted.push(!trusted);
        }
        let moved: Vec<(u64, bool)> = out
            .frames
            .par_chunks_exact_mut(plane_bytes)
            .enumerate()
            .map_init(
                || movers[0].scratch(),
                |moving, (image, target)| {
                    let mover = &movers[image % planes];
                    let gap = mover.load(block, image, moving);
                    let shift = &shifts[begin + image / planes];
                    let lost = mover.store(shift, &[], out.pixel_type, target, moving);
                    progress(u64::from(image % planes == 0));
                    (lost.saturated, gap)
                },
            )
            .collect();
        for (image, (saturated, gap)) in moved.into_iter().enumerate() {
            lost[image % planes] += saturated;
            gaps[image % planes] += u64::from(gap);
        }
        let counts: Vec<bool> = untrusted[begin..].iter().map(|u: &bool| !u).collect();
        for (plane, images) in images.iter_mut().enumerate() {
            let every = (plane, planes);
            images.add_every(out.pixel_type, &out.frames, every, &counts);
        }
    })?;
    let images: Vec<Images> = images.into_iter().map(Accumulator::finish).collect();
    let per_plane = images.into_iter().zip(registrar.references());
    Ok(per_plane
        .enumerate()
        .map(|(plane, (images, reference))| Registration {
            motion: Motion {
                dy: shifts.iter().map(|s| s.dy).collect(),
                dx: shifts.iter().map(|s| s.dx).collect(),
                quality: shifts.iter().map(|s| s.quality).collect(),
                untrusted: untrusted.clone(),
                field: None,
                line_offset: 0,
                reference: reference.to_owned(),
            },
            images,
            nan_frames: gaps[plane],
            saturated: lost[plane],
        })
        .collect())
}

/// Where each plane lies beside the first, from the images `(plane, y, x)`:
/// shifts between neighbours, added up. A sample that was scanned at an angle
/// or a microscope whose beads are not in line shows here.
///
/// # Errors
/// As [`phase_correlation`].
pub fn plane_offsets(
    references: ArrayView3<'_, f32>,
    max_shift: (usize, usize),
    parameters: &Parameters,
) -> Result<Vec<Shift>, Error> {
    let mut offsets = vec![Shift {
        quality: 1.0,
        ..Shift::default()
    }];
    for plane in 1..references.len_of(Axis(0)) {
        let image = |k| references.index_axis(Axis(0), k);
        let step = phase_correlation(image(plane - 1), image(plane), max_shift, parameters)?;
        let before = offsets[plane - 1];
        offsets.push(Shift {
            dy: before.dy + step.dy,
            dx: before.dx + step.dx,
            quality: step.quality,
        });
    }
    offsets.truncate(references.len_of(Axis(0)));
    Ok(offsets)
}

/// How deep a frame lies in a reference stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depth {
    /// In planes of the stack from its first; between planes by the parabola
    /// through the three highest peaks.
    pub z: f32,
    /// Where the frame lies in the nearest plane.
    pub shift: Shift,
}

/// Finds the depth of frames in a stack recorded around the plane of imaging,
/// for the drift of the focus over a session.
#[derive(Clone, Debug)]
pub struct DepthFinder {
    planes: Vec<Registrar>,
}

impl DepthFinder {
    /// For the stack `(z, y, x)`.
    ///
    /// # Errors
    /// As [`Registrar::new`]; [`Error::Image`] for an empty stack.
    pub fn new(stack: ArrayView3<'_, f32>, parameters: &Parameters) -> Result<Self, Error> {
        let VolumeRegistrar { planes, .. } = VolumeRegistrar::new(stack, parameters)?;
        Ok(Self { planes })
    }

    /// Work space for one thread.
    pub fn scratch(&self) -> Scratch {
        self.planes[0].scratch()
    }

    /// The depth of `frame` `(y, x)`; better of the mean of some seconds than
    /// of a single frame. `None` for frames without structure.
    pub fn find(&self, frame: ArrayView2<'_, f32>, scratch: &mut Scratch) -> Option<Depth> {
        let shifts: Vec<Shift> = self
            .planes
            .iter()
            .map(|registrar| registrar.estimate(frame, scratch))
            .collect();
        let height = |k: usize| shifts[k].quality;
        let best =
            (0..shifts.len()).max_by(|&a, &b| height(a).total_cmp(&height(b)).then(b.cmp(&a)))?;
        if height(best) <= 0.0 {
            return None;
        }
        let mut z = best as f32;
        if best > 0 && best + 1 < shifts.len() {
            let (before, after) = (height(best - 1), height(best + 1));
            let bend = 2.0 * height(best) - before - after;
            if bend > 0.0 {
                z += ((after - before) / (2.0 * bend)).clamp(-0.5, 0.5);
            }
        }
        Some(Depth {
            z,
            shift: shifts[best],
        })
    }
}

/// The mean of the volumes `numbers`, each plane moved by the volume's shift
/// `(plane, y, x)`; the mean shift is taken off.
fn average<S: Send>(
    movie: &dyn Movie,
    numbers: &[usize],
    estimate: impl Fn(ArrayView3<'_, f32>, &mut Option<S>) -> Shift + Sync,
) -> Result<Array3<f32>, Error> {
    let shape = movie.shape();
    let size = (shape.planes, shape.height, shape.width);
    let mut volume = Array3::zeros(size);
    let mut scratch = None;
    let mut shifts = Vec::with_capacity(numbers.len());
    for &frame in numbers {
        read(movie, frame, &mut volume)?;
        shifts.push(estimate(volume.view(), &mut scratch));
    }
    let mut order: Vec<usize> = (0..numbers.len())
        .filter(|&k| shifts[k].quality > 0.0)
        .collect();
    order.sort_by(|&a, &b| {
        shifts[b]
            .quality
            .total_cmp(&shifts[a].quality)
            .then(a.cmp(&b))
    });
    order.truncate((order.len() / 2).max(FIRST.min(order.len())));
    order.sort_unstable();
    let n = order.len().max(1) as f32;
    let my = order.iter().map(|&k| shifts[k].dy).sum::<f32>() / n;
    let mx = order.iter().map(|&k| shifts[k].dx).sum::<f32>() / n;
    let mut sum = Array3::<f64>::zeros(size);
    for &k in &order {
        read(movie, numbers[k], &mut volume)?;
        let by = (shifts[k].dy - my, shifts[k].dx - mx);
        sum.axis_iter_mut(Axis(0))
            .zip(volume.axis_iter(Axis(0)))
            .collect::<Vec<_>>()
            .into_par_iter()
            .for_each(|(mut sum, image)| {
                let mut moved = Array2::zeros(image.dim());
                apply(image, by, moved.view_mut());
                sum.zip_mut_with(&moved, |s, &v| *s += f64::from(v));
            });
    }
    Ok(sum.mapv(|v| (v / f64::from(n)) as f32))
}

/// Volume `frame` of a movie; what is not a number becomes 0.
fn read(movie: &dyn Movie, frame: usize, into: &mut Array3<f32>) -> Result<(), Error> {
    if let Some(pixels) = into.as_slice_mut() {
        movie.read(frame..frame + 1, pixels)?;
        for value in pixels.iter_mut().filter(|v| !v.is_finite()) {
            *value = 0.0;
        }
    }
    Ok(())
}

/// One plane of a movie.
struct Plane<'a> {
    movie: &'a dyn Movie,
    plane: usize,
}

impl Movie for Plane<'_> {
    fn shape(&self) -> fluorspar_movie::MovieShape {
        fluorspar_movie::MovieShape {
            planes: 1,
            ..self.movie.shape()
        }
    }

    fn pixel_type(&self) -> fluorspar_movie::PixelType {
        self.movie.pixel_type()
    }

    fn frame_rate(&self) -> Option<f64> {
        self.movie.frame_rate()
    }

    fn read(
        &self,
        frames: std::ops::Range<usize>,
        into: &mut [f32],
    ) -> Result<(), fluorspar_movie::Error> {
        fluorspar_movie::check_read(self.shape(), &frames, into.len())?;
        let length = self.shape().frame_len();
        let mut volume = vec![0.0; self.movie.shape().frame_len()];
        for (frame, out) in frames.zip(into.chunks_exact_mut(length)) {
            self.movie.read(frame..frame + 1, &mut volume)?;
            out.copy_from_slice(&volume[self.plane * length..(self.plane + 1) * length]);
        }
        Ok(())
    }

    fn read_native(
        &self,
        frames: std::ops::Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let length = self.shape().frame_len() * self.pixel_type().bytes();
        let mut volume = vec![0; length * self.movie.shape().planes];
        for (frame, out) in frames.zip(into.chunks_exact_mut(length.max(1))) {
            self.movie.read_native(frame..frame + 1, &mut volume)?;
            out.copy_from_slice(&volume[self.plane * length..(self.plane + 1) * length]);
        }
        Ok(())
    }
}
