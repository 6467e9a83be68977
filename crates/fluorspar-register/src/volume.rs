//! Planes recorded together.

use fluorspar_movie::Movie;
use ndarray::{Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::correlate::{Scratch, check_size};
use crate::sample::{FIRST, MEMORY, OnePlane, Placed, Sample, VOLUMES, strongest_plane};
use crate::tie::{Evidence, Found, Tie, Window};
use crate::{Error, Mode, Parameters, Reference, Registrar, Shift, line_offset};

/// Rounds of building the references of all planes together.
const ROUNDS: usize = 2;

/// Estimates the shifts of planes that are recorded at the same time, such as
/// those of light beads microscopy.
///
/// The correlation maps of all planes are added up, each weighted by how well
/// its plane is seen as a rule; the peak is the shift that all share. Beside
/// it planes may be shifted in proportion to their depth, as in tissue that
/// tilts, and each has a deviation of its own, both normal with widths learnt
/// from the movie: a plane seen well follows its own peak as far as planes do
/// deviate, a plane seen badly stays with the others. Where planes move as
/// one, the widths are 0 and so are all deviations. Rigid: parts of planes do
/// not move beside the whole.
///
/// ```
/// use fluorspar_movie::{ArrayMovie, Budget, ImageOrder, Volumes, silent};
/// use fluorspar_register::{Parameters, VolumeRegistrar, register_volumes};
/// use ndarray::Array3;
///
/// // Two planes, one image after the other; odd volumes lie a pixel along x.
/// let texture = |z: i64, y: i64, x: i64| ((y * 7919 + x * 104_729 + z).pow(2) % 1009) as f32;
/// let images = ArrayMovie::new(Array3::from_shape_fn((40, 64, 64), |(k, y, x)| {
///     texture(k as i64 % 2, y as i64, x as i64 + (k as i64 / 2) % 2)
/// }));
/// let order = ImageOrder { first: 0, frame_step: 2, plane_step: 1 };
/// let movie = Volumes::new(images, 20, 2, order)?;
///
/// let registrar = VolumeRegistrar::build(&movie, &Parameters::default())?;
/// let found = register_volumes(&movie, &registrar, None, Budget::default(), &silent)?;
/// let motion = &found.planes[1].motion;
/// assert!((motion.dx[0] - motion.dx[1] - 1.0).abs() < 0.1);
/// # Ok::<(), fluorspar_register::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct VolumeRegistrar {
    pub(crate) planes: Vec<Registrar>,
    pub(crate) tie: Tie,
    weights: Vec<f32>,
    /// Quality of the volumes that the references were made of.
    usual_quality: Option<f32>,
    trusted_quality: f32,
    line_offset: i32,
}

/// All that a [`VolumeRegistrar`] has learnt; serialises with `serde`, so that
/// a movie can be registered in parts at other times and on other machines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VolumeReference {
    /// `(plane, y, x)`.
    images: Array3<f32>,
    tie: Tie,
    weights: Vec<f32>,
    usual_quality: Option<f32>,
    line_offset: i32,
}

/// Work space for [`VolumeRegistrar::look_again`].
pub(crate) struct Look {
    maps: Vec<f32>,
    present: Vec<bool>,
    sum: Vec<f32>,
}

/// What a movie says about planes beside their references.
struct Learnt {
    tie: Tie,
    weights: Vec<f32>,
    usual_quality: Option<f32>,
}

/// Work space of one thread for [`VolumeRegistrar::estimate`].
#[derive(Clone, Debug)]
pub struct VolumeScratch {
    /// Planes are of one size, so one serves all.
    plane: Scratch,
    maps: Vec<f32>,
    present: Vec<bool>,
    pub(crate) settling: Settling,
}

/// Work space for [`VolumeRegistrar::settle`].
#[derive(Clone, Debug)]
pub(crate) struct Settling {
    sum: Vec<f32>,
    found: Vec<Found>,
}

impl VolumeRegistrar {
    /// Builds the references of all planes of `movie` together: the plane of
    /// most structure first, then every plane from its shifts, then every
    /// plane from the shifts of all, each with its own deviation.
    ///
    /// What a volume says of its planes is asked of references that it is no
    /// part of, where the movie has 20 volumes or more. Up to 200 volumes,
    /// evenly spread, are read about six times; up to 256 MiB of frames and
    /// ten volumes as `f32` are held.
    ///
    /// # Errors
    /// [`Error::Image`] for a movie without frames or with a side below 16
    /// pixels; [`Error::Parameter`]; [`Error::Movie`] if it cannot be read.
    pub fn build(movie: &dyn Movie, parameters: &Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        let shape = movie.shape();
        if shape.frames == 0 || shape.planes == 0 {
            return Err(Error::Image("the movie has no frames".into()));
        }
        check_size(shape.height, shape.width)?;
        let parameters = rigid(parameters);
        let plane = strongest_plane(movie, &parameters)?;
        let fits = (MEMORY / (4 * shape.height * shape.width)).max(FIRST);
        let first = Parameters {
            reference_frames: parameters.reference_frames.min(VOLUMES).min(fits),
            ..parameters.clone()
        };
        let reference = Reference::build(&OnePlane::new(movie, plane), &first)?;
        let offset = reference.line_offset().unwrap_or(0.0);
        let parameters = Parameters {
            line_offset: Some(offset),
            ..parameters
        };
        let line_offset = offset.round() as i32;
        let sample = Sample::of(movie, parameters.reference_frames, line_offset);
        let registrar = Registrar::new(&reference, &parameters)?;
        let mut scratch = registrar.scratch();
        let mut shifts = Vec::with_capacity(sample.numbers.len());
        let mut last = None;
        sample.each(|_, volume| {
            let shift = registrar.estimate(volume.index_axis(Axis(0), plane), &mut scratch);
            shifts.push((shift, vec![shift; shape.planes]));
        })?;
        for _ in 0..ROUNDS {
            let halves = if shifts.len() < FIRST { 1 } else { 2 };
            let means = sample.averages(&shifts, halves)?;
            let pair: Result<Vec<Self>, Error> = means
                .iter()
                .map(|means| Self::new(means.view(), &parameters))
                .collect();
            let (learnt, placed) = Self::learn_across(&pair?, &sample)?;
            shifts = placed;
            last = Some(learnt);
        }
        let mut means = sample.averages(&shifts, 1)?;
        let all = Self::new(means.remove(0).view(), &parameters)?;
        Ok(match last {
            Some(learnt) => all.with(learnt),
            None => all,
        })
    }

    /// Against the images `(plane, y, x)`, all planes of equal weight and
    /// tied to one shift.
    ///
    /// # Errors
    /// [`Error::Image`] if there are no planes, a side is below 16 pixels or
    /// a pixel is not finite; [`Error::Parameter`].
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
            tie: Tie::rigid(planes.iter().map(Registrar::perfect)),
            weights: vec![1.0; planes.len()],
            planes,
            usual_quality: None,
            trusted_quality: parameters.trusted_quality as f32,
            line_offset: parameters.line_offset.unwrap_or(0.0).round() as i32,
        })
    }

    /// What it has learnt, for [`VolumeRegistrar::from_reference`].
    pub fn reference(&self) -> VolumeReference {
        let (height, width) = self.planes[0].reference().dim();
        let mut images = Array3::zeros((self.planes.len(), height, width));
        for (mut slot, image) in images.outer_iter_mut().zip(self.references()) {
            slot.assign(&image);
        }
        VolumeReference {
            images,
            tie: self.tie.clone(),
            weights: self.weights.clone(),
            usual_quality: self.usual_quality,
            line_offset: self.line_offset,
        }
    }

    /// The registrar that `reference` was taken of, given the same parameters.
    ///
    /// # Errors
    /// As [`VolumeRegistrar::new`]; [`Error::Image`] if the reference is of
    /// several numbers of planes.
    pub fn from_reference(
        reference: &VolumeReference,
        parameters: &Parameters,
    ) -> Result<Self, Error> {
        let registrar = Self::new(reference.images.view(), &rigid(parameters))?;
        let planes = registrar.planes.len();
        if (reference.tie.planes(), reference.weights.len()) != (planes, planes) {
            return Err(Error::Image(format!(
                "the reference has {planes} images, but knows of {} planes",
                reference.tie.planes()
            )));
        }
        Ok(Self {
            tie: reference.tie.clone(),
            weights: reference.weights.clone(),
            usual_quality: reference.usual_quality,
            line_offset: reference.line_offset,
            ..registrar
        })
    }

    /// Learns from volumes of `movie` how well each plane is seen, how far
    /// planes deviate and how good a match is usual, for references that came
    /// as images; finds the offset of odd lines if `parameters` do not give it.
    ///
    /// # Errors
    /// [`Error::Image`] if the movie has other planes or another size than the
    /// references, or no frames; [`Error::Parameter`]; [`Error::Movie`].
    pub fn learn(mut self, movie: &dyn Movie, parameters: &Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        self.check(movie)?;
        let shape = movie.shape();
        if shape.frames == 0 {
            return Err(Error::Image("the movie has no frames".into()));
        }
        if parameters.line_offset.is_none() {
            let bare = Sample::of(movie, FIRST, 0);
            let mut middle = Vec::with_capacity(bare.numbers.len() * shape.height * shape.width);
            bare.each(|_, volume| {
                middle.extend(volume.index_axis(Axis(0), shape.planes / 2).iter());
            })?;
            let size = (bare.numbers.len(), shape.height, shape.width);
            let frames = Array3::from_shape_vec(size, middle).unwrap_or_default();
            self.line_offset = line_offset(frames.view(), 0..shape.height).round() as i32;
        }
        let sample = Sample::of(movie, parameters.reference_frames, self.line_offset);
        let (learnt, _) = Self::learn_across(std::slice::from_ref(&self), &sample)?;
        Ok(self.with(learnt))
    }

    /// What a sample says about references of which `pair[k % pair.len()]` is
    /// made of the volumes `k`, and where its volumes belong. Each is compared
    /// with references that it is no part of: its own noise in them would look
    /// like a match at the place that it was put.
    fn learn_across(pair: &[Self], sample: &Sample<'_>) -> Result<(Learnt, Placed), Error> {
        let first = &pair[0];
        let other = |k: usize| &pair[(k + 1) % pair.len()];
        let planes = first.planes.len();
        // The height of each plane's own peak, wherever that is: good enough
        // to add maps up until more is known.
        let mut heights = vec![0.0_f32; planes];
        sample.some(FIRST).each(|k, volume| {
            // An odd step: places in the part are even and odd as in the whole.
            let found: Vec<f32> = other(k)
                .planes
                .par_iter()
                .enumerate()
                .map_init(
                    || first.planes[0].scratch(),
                    |scratch, (plane, registrar)| {
                        let image = volume.index_axis(Axis(0), plane);
                        registrar.estimate(image, scratch).quality
                    },
                )
                .collect();
            for (sum, height) in heights.iter_mut().zip(found) {
                *sum += height;
            }
        })?;
        let weights = relative(&heights);
        let mut evidence = Evidence::new(planes);
        let window = first.window();
        let mut maps = vec![0.0; planes * window.len()];
        let mut present = vec![false; planes];
        let mut sum = vec![0.0; window.len()];
        sample.each(|k, volume| {
            other(k).maps(volume, &mut maps, &mut present);
            let shared = first.sum(&weights, &maps, &present, &mut sum);
            evidence.add(shared, window, &maps, &present);
        })?;
        let mut tie = first.tie.clone();
        evidence.learn(&mut tie);
        let placed = (0..sample.numbers.len()).map(|k| {
            let mut shifts = vec![Shift::default(); planes];
            let shared = evidence.resolve(k, &tie, &mut shifts);
            (shared, shifts)
        });
        let placed = placed.collect();
        let heights: Vec<f32> = tie.heights().collect();
        let learnt = Learnt {
            weights: relative(&heights),
            usual_quality: evidence.usual_quality(),
            tie,
        };
        Ok((learnt, placed))
    }

    /// Against other images of the same planes, with what was learnt of these.
    pub(crate) fn beside(
        &self,
        references: ArrayView3<'_, f32>,
        parameters: &Parameters,
    ) -> Result<Self, Error> {
        let other = Self::new(references, parameters)?;
        if other.planes.len() != self.planes.len() {
            return Err(Error::Image(format!(
                "{} planes cannot be compared with {}",
                other.planes.len(),
                self.planes.len()
            )));
        }
        Ok(Self {
            weights: self.weights.clone(),
            ..other
        })
    }

    pub(crate) fn look(&self) -> Look {
        Look {
            maps: vec![0.0; self.planes.len() * self.window().len()],
            present: vec![false; self.planes.len()],
            sum: vec![0.0; self.window().len()],
        }
    }

    /// The shift that all planes of a volume share, and each plane's own
    /// peak, tied to nothing. Planes are looked at in parallel.
    pub(crate) fn look_again(
        &self,
        volume: ArrayView3<'_, f32>,
        look: &mut Look,
    ) -> (Shift, Vec<Shift>) {
        let Look { maps, present, sum } = look;
        self.maps(volume, maps, present);
        let together = self.sum(&self.weights, maps, present, sum);
        let maps = maps.chunks_exact(sum.len()).zip(&self.planes);
        let alone = maps.map(|(map, plane)| plane.peak(map, plane.perfect()));
        (together, alone.collect())
    }

    fn with(self, learnt: Learnt) -> Self {
        Self {
            tie: learnt.tie,
            weights: learnt.weights,
            usual_quality: learnt.usual_quality,
            ..self
        }
    }

    /// The reference of each plane, `(y, x)`.
    pub fn references(&self) -> impl Iterator<Item = ArrayView2<'_, f32>> {
        self.planes.iter().map(Registrar::reference)
    }

    /// How much each plane has to say, the most telling one 1.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Standard deviation over volumes of the last plane's shift beside the
    /// first's, as far as shifts grow evenly with depth, pixels along y and x,
    /// as learnt from the movie; 0 where noise explains it.
    pub fn shear(&self) -> (f32, f32) {
        self.tie.shear()
    }

    /// Standard deviation of the planes' own shifts about the shared shift and
    /// the shear, pixels along y and x, as learnt from the movie; 0 where the
    /// planes' scatter is no more than noise explains.
    pub fn spread(&self) -> (f32, f32) {
        self.tie.spread()
    }

    /// Standard error of each plane's own peak in a single volume, pixels;
    /// infinite for planes too weak to be located on their own, which then
    /// have no say in [`VolumeRegistrar::spread`], and for all before
    /// anything is learnt.
    pub fn own_errors(&self) -> Vec<f32> {
        self.tie.errors().collect()
    }

    /// Whole pixels by which [`register_volumes`](crate::register_volumes)
    /// moves odd lines of all planes to the left first.
    pub fn line_offset(&self) -> i32 {
        self.line_offset
    }

    /// Whether the shared shift of a volume can be believed; see
    /// [`Registrar::trusts`].
    pub fn trusts(&self, shared: &Shift) -> bool {
        let usual = self.usual_quality.unwrap_or(0.0);
        self.planes[0].trusts(shared) && shared.quality >= self.trusted_quality * usual
    }

    /// Work space for one thread.
    pub fn scratch(&self) -> VolumeScratch {
        VolumeScratch {
            plane: self.planes[0].scratch(),
            maps: vec![0.0; self.planes.len() * self.window().len()],
            present: vec![false; self.planes.len()],
            settling: self.settling(),
        }
    }

    /// The most probable shift of every plane of `volume` `(plane, y, x)` into
    /// `shifts`, each with the height of its own map there as its quality;
    /// returns the shared shift, its quality that of the summed maps. Nothing
    /// is allocated.
    ///
    /// All are 0 if the size is another or no plane has structure. A plane
    /// without structure has the shared shift, quality 0.
    pub fn estimate(
        &self,
        volume: ArrayView3<'_, f32>,
        scratch: &mut VolumeScratch,
        shifts: &mut [Shift],
    ) -> Shift {
        shifts.fill(Shift::default());
        let planes = self.planes.len();
        if volume.len_of(Axis(0)) != planes || shifts.len() != planes {
            return Shift::default();
        }
        let length = self.window().len();
        let slots = scratch.maps.chunks_exact_mut(length);
        let slots = slots.zip(&mut scratch.present).zip(volume.outer_iter());
        for (plane, ((map, present), image)) in slots.enumerate() {
            *present = self.map(plane, image, &mut scratch.plane, map);
        }
        self.settle(
            &scratch.maps,
            &scratch.present,
            &mut scratch.settling,
            shifts,
        )
    }

    pub(crate) fn settling(&self) -> Settling {
        Settling {
            sum: vec![0.0; self.window().len()],
            found: vec![Found::default(); self.planes.len()],
        }
    }

    pub(crate) fn window(&self) -> Window {
        self.planes[0].window()
    }

    /// The correlation map of one plane; whether there is one.
    pub(crate) fn map(
        &self,
        plane: usize,
        image: ArrayView2<'_, f32>,
        scratch: &mut Scratch,
        into: &mut [f32],
    ) -> bool {
        let map = self.planes[plane].map(image, scratch);
        if let Some(map) = map.filter(|map| map.len() == into.len()) {
            into.copy_from_slice(map);
            true
        } else {
            into.fill(0.0);
            false
        }
    }

    /// The maps of all planes of a volume, in parallel.
    fn maps(&self, volume: ArrayView3<'_, f32>, maps: &mut [f32], present: &mut [bool]) {
        maps.par_chunks_exact_mut(self.window().len())
            .zip(present)
            .enumerate()
            .for_each_init(
                || self.planes[0].scratch(),
                |scratch, (plane, (map, present))| {
                    *present = self.map(plane, volume.index_axis(Axis(0), plane), scratch, map);
                },
            );
    }

    /// The peak of the weighted sum of maps.
    fn sum(&self, weights: &[f32], maps: &[f32], present: &[bool], sum: &mut [f32]) -> Shift {
        sum.fill(0.0);
        let (mut total, mut perfect) = (0.0, 0.0);
        let maps = maps.chunks_exact(sum.len()).zip(present);
        let maps = maps.zip(&self.planes).zip(weights);
        for (((map, &present), registrar), &weight) in maps {
            if present {
                for (sum, value) in sum.iter_mut().zip(map) {
                    *sum += weight * value;
                }
                total += weight;
                perfect += weight * registrar.perfect();
            }
        }
        if total <= 0.0 || perfect <= 0.0 {
            return Shift::default();
        }
        self.planes[0].peak(sum, perfect)
    }

    /// The shared shift and those of all planes, from their maps.
    pub(crate) fn settle(
        &self,
        maps: &[f32],
        present: &[bool],
        settling: &mut Settling,
        shifts: &mut [Shift],
    ) -> Shift {
        let shared = self.sum(&self.weights, maps, present, &mut settling.sum);
        if shared.quality <= 0.0 {
            shifts.fill(Shift::default());
            return Shift::default();
        }
        let window = self.window();
        let length = window.len();
        let at = |plane: usize, dy: isize, dx: isize| {
            if present[plane] {
                window.at(&maps[plane * length..(plane + 1) * length], dy, dx)
            } else {
                f32::NAN
            }
        };
        self.tie.resolve(shared, at, &mut settling.found, shifts)
    }

    /// Says so if `movie` is of another size.
    pub(crate) fn check(&self, movie: &dyn Movie) -> Result<(), Error> {
        let shape = movie.shape();
        let planes = self.planes.len();
        let (height, width) = self.planes[0].reference().dim();
        if (shape.planes, shape.height, shape.width) == (planes, height, width) {
            return Ok(());
        }
        Err(Error::Image(format!(
            "the movie is {shape}, the references {planes} planes of {height} × {width} px"
        )))
    }
}

/// Beside the largest; all 1 if none is positive.
fn relative(heights: &[f32]) -> Vec<f32> {
    let largest = heights.iter().copied().fold(0.0, f32::max);
    let share = |&height: &f32| {
        if largest > 0.0 {
            height.max(0.0) / largest
        } else {
            1.0
        }
    };
    heights.iter().map(share).collect()
}

fn rigid(parameters: &Parameters) -> Parameters {
    Parameters {
        mode: Mode::Rigid,
        ..parameters.clone()
    }
}
