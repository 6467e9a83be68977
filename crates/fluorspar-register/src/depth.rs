//! How deep a frame or a volume lies, and how planes lie beside each other.

use std::ops::Range;

use fluorspar_movie::{PixelType, from_native};
use ndarray::{Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::correlate::Scratch;
use crate::tie::stands_out;
use crate::{Error, Parameters, Registrar, Shift, VolumeRegistrar};

/// Stretches of a movie whose depth is looked at.
const STRETCHES: usize = 40;
/// Fewest volumes in one.
const SHORTEST: usize = 10;
const NEIGHBOURS: [isize; 3] = [-1, 0, 1];

/// Where each plane lies beside the first, from the images `(plane, y, x)`:
/// shifts between neighbours within `max_shift` `(y, x)` pixels, added up. A
/// sample that was scanned at an angle or a microscope whose beads are not in
/// line shows here. Neighbours that have nothing in common, whose correlation
/// does not stand out of its noise, count as in line, with quality 0.
///
/// # Errors
/// [`Error::Image`] if a side is below 16 pixels or a pixel is not finite;
/// [`Error::Parameter`].
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
        let registrar = Registrar::with_max_shift(image(plane - 1), max_shift, parameters)?;
        let window = registrar.window();
        let mut scratch = registrar.scratch();
        let mut step = Shift::default();
        if let Some(map) = registrar.map(image(plane), &mut scratch) {
            let peak = registrar.peak(map, registrar.perfect());
            if stands_out(window, map, peak, peak.quality * registrar.perfect()) {
                step = peak;
            }
        }
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

/// How deep a stretch of a movie lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Frames of the stretch.
    pub frames: Range<usize>,
    /// Depth beside the references, in planes, along the order of planes.
    pub z: f32,
}

/// Finds the depth of frames and volumes in a stack recorded around the
/// plane of imaging, for the drift of the focus over a session.
#[derive(Clone, Debug)]
pub struct DepthFinder {
    planes: Vec<Registrar>,
    /// Mean peaks of the stack's own images against the plane before, their
    /// own and the plane after.
    usual: [f32; 3],
}

impl DepthFinder {
    /// For the stack `(z, y, x)`.
    ///
    /// # Errors
    /// As [`Registrar::new`]; [`Error::Image`] for an empty stack.
    pub fn new(stack: ArrayView3<'_, f32>, parameters: &Parameters) -> Result<Self, Error> {
        let VolumeRegistrar { planes, .. } = VolumeRegistrar::new(stack, parameters)?;
        let usual = heights(&planes, stack);
        Ok(Self { planes, usual })
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
            z += vertex([height(best - 1), height(best), height(best + 1)]).unwrap_or(0.0);
        }
        Some(Depth {
            z,
            shift: shifts[best],
        })
    }

    /// How much deeper than the stack a `volume` of the same planes lies, in
    /// planes along their order, within half a plane: from the peaks of every
    /// plane against its neighbours in the stack, all planes together, beside
    /// those of the stack itself. Works on the caller's rayon pool. Better of
    /// the mean of some seconds than of a single volume.
    ///
    /// `None` for volumes of another size, without structure, less like the
    /// stack in its own planes than in their neighbours, or of one plane.
    pub fn find_volume(&self, volume: ArrayView3<'_, f32>) -> Option<f32> {
        beside(&self.planes, self.usual, volume)
    }
}

/// See [`DepthFinder::find_volume`].
fn beside(planes: &[Registrar], usual: [f32; 3], volume: ArrayView3<'_, f32>) -> Option<f32> {
    if volume.len_of(Axis(0)) != planes.len() || planes.len() < 2 {
        return None;
    }
    Some(vertex(heights(planes, volume))? - vertex(usual)?)
}

/// Mean peaks of all planes of a volume against the plane before, their own
/// and the plane after.
fn heights(planes: &[Registrar], volume: ArrayView3<'_, f32>) -> [f32; 3] {
    let per_plane: Vec<[f32; 3]> = planes
        .par_iter()
        .enumerate()
        .map_init(
            || planes[0].scratch(),
            |scratch, (plane, _)| {
                NEIGHBOURS.map(|step| {
                    let other = plane.checked_add_signed(step).and_then(|k| planes.get(k));
                    other.map_or(f32::NAN, |other| {
                        let image = volume.index_axis(Axis(0), plane);
                        other.estimate(image, scratch).quality
                    })
                })
            },
        )
        .collect();
    [0, 1, 2].map(|k| {
        let all = per_plane.iter().map(|heights| heights[k]);
        let (sum, count) = all
            .filter(|height| height.is_finite())
            .fold((0.0, 0.0_f32), |(sum, count), h| (sum + h, count + 1.0));
        sum / count.max(1.0)
    })
}

/// The highest place of the parabola through three heights, within half a
/// step of the middle; `None` if the middle is not above the others' mean.
fn vertex([before, here, after]: [f32; 3]) -> Option<f32> {
    let bend = 2.0 * here - before - after;
    (bend > 0.0).then(|| ((after - before) / (2.0 * bend)).clamp(-0.5, 0.5))
}

/// Volumes of a stretch of a movie of so many.
fn stretch(frames: usize) -> usize {
    frames.div_ceil(STRETCHES).max(SHORTEST)
}

/// A stretch of the movie, as far as a part of the movie holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Stretch {
    /// All of it; `None` where its volumes say nothing.
    Whole(Option<Drift>),
    /// Its last volumes or its first ones or some between.
    Cut {
        frames: Range<usize>,
        /// Trusted volumes, and their sum `(plane, y, x)`.
        count: u64,
        sum: Array3<f32>,
    },
}

/// The stretches that a part of a movie is made up of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stretches(Vec<Stretch>);

impl Stretches {
    /// Whether sums are those of so many planes of this size.
    pub(crate) fn are_of(&self, size: (usize, usize, usize)) -> bool {
        self.0.iter().all(|stretch| match stretch {
            Stretch::Whole(_) => true,
            Stretch::Cut { sum, .. } => sum.dim() == size,
        })
    }

    /// The depth of all stretches of a movie of so many volumes, from those
    /// of its parts in order.
    pub(crate) fn join<'a>(
        parts: impl IntoIterator<Item = &'a Self>,
        registrar: &VolumeRegistrar,
        frames: usize,
    ) -> Vec<Drift> {
        let mut segments = Segments::new(registrar, frames, 0);
        for stretch in parts.into_iter().flat_map(|part| &part.0) {
            match stretch {
                Stretch::Whole(found) => segments.found.extend(found.clone()),
                Stretch::Cut { frames, count, sum } => {
                    segments.sum += sum;
                    segments.count += count;
                    if segments.frames.is_empty() {
                        segments.frames = frames.clone();
                    }
                    segments.frames.end = frames.end;
                    if frames.end.is_multiple_of(segments.length) {
                        segments.close();
                    }
                }
            }
        }
        segments.finish()
    }
}

/// Averages stretches of a registered movie and finds their depth.
pub(crate) struct Segments<'a> {
    registrar: &'a VolumeRegistrar,
    usual: [f32; 3],
    length: usize,
    /// `(plane, y, x)`; empty where there is one plane.
    sum: Array3<f32>,
    count: u64,
    /// The stretch so far.
    frames: Range<usize>,
    /// Whether the stretch began before the part.
    cut: bool,
    found: Vec<Drift>,
    stretches: Vec<Stretch>,
}

impl<'a> Segments<'a> {
    /// For a part of a movie of so many `frames` that begins at `first`.
    pub(crate) fn new(registrar: &'a VolumeRegistrar, frames: usize, first: usize) -> Self {
        let planes = &registrar.planes;
        let (height, width) = planes[0].reference().dim();
        let several = planes.len() > 1;
        let mut usual = [0.0; 3];
        let mut sum = Array3::zeros((if several { planes.len() } else { 0 }, height, width));
        if several {
            for (mut image, plane) in sum.outer_iter_mut().zip(planes) {
                image.assign(&plane.reference());
            }
            usual = heights(planes, sum.view());
            sum.fill(0.0);
        }
        let length = stretch(frames);
        Self {
            registrar,
            usual,
            length,
            sum,
            count: 0,
            frames: first..first,
            cut: !first.is_multiple_of(length),
            found: Vec::new(),
            stretches: Vec::new(),
        }
    }

    /// Adds a block of volumes that begins at frame `begin`, but those of
    /// which a plane is untrusted.
    pub(crate) fn add(
        &mut self,
        begin: usize,
        pixel_type: PixelType,
        block: &[u8],
        untrusted: &[bool],
    ) {
        let planes = self.sum.len_of(Axis(0));
        if planes == 0 {
            return;
        }
        let pixels = self.sum.len() / planes;
        let image = pixels * pixel_type.bytes();
        let volumes = block
            .chunks_exact(image * planes)
            .zip(untrusted.chunks_exact(planes));
        for (k, (volume, untrusted)) in volumes.enumerate() {
            self.frames.end = begin + k + 1;
            if !untrusted.contains(&true) {
                self.count += 1;
                if let Some(sums) = self.sum.as_slice_mut() {
                    sums.par_chunks_exact_mut(pixels)
                        .zip(volume.par_chunks_exact(image))
                        .for_each(|(sum, bytes)| add(sum, pixel_type, bytes));
                }
            }
            if self.frames.end.is_multiple_of(self.length) {
                if self.cut {
                    self.keep();
                } else {
                    let drift = self.close();
                    self.stretches.push(Stretch::Whole(drift));
                }
                self.cut = false;
            }
        }
    }

    /// Keeps what there is of a stretch that is not all in this part.
    fn keep(&mut self) {
        if !self.frames.is_empty() {
            self.stretches.push(Stretch::Cut {
                frames: self.frames.clone(),
                count: self.count,
                sum: self.sum.clone(),
            });
        }
        self.sum.fill(0.0);
        self.count = 0;
        self.frames = self.frames.end..self.frames.end;
    }

    /// Finds the depth of the stretch, and begins the next.
    fn close(&mut self) -> Option<Drift> {
        // Neither brightness nor scale of an image matters to its peak.
        let z = (self.count > 0)
            .then(|| beside(&self.registrar.planes, self.usual, self.sum.view()))
            .flatten();
        let drift = z.map(|z| Drift {
            frames: self.frames.clone(),
            z,
        });
        self.found.extend(drift.clone());
        self.sum.fill(0.0);
        self.count = 0;
        self.frames = self.frames.end..self.frames.end;
        drift
    }

    /// The stretches of the part.
    pub(crate) fn stretches(mut self) -> Stretches {
        if self.sum.is_empty() {
            return Stretches::default();
        }
        self.keep();
        Stretches(self.stretches)
    }

    /// The depth of all stretches, the last of which may be shorter.
    fn finish(mut self) -> Vec<Drift> {
        // A short rest says less than the stretches before it.
        if self.found.is_empty() || 2 * self.frames.len() >= self.length {
            self.close();
        }
        self.found
    }
}

/// `sum += image`, a piece at a time.
fn add(sum: &mut [f32], pixel_type: PixelType, image: &[u8]) {
    let mut piece = [0.0_f32; 1024];
    let bytes = image.chunks(piece.len() * pixel_type.bytes());
    for (sum, bytes) in sum.chunks_mut(1024).zip(bytes) {
        let piece = &mut piece[..sum.len()];
        from_native(pixel_type, bytes, piece);
        for (sum, value) in sum.iter_mut().zip(piece) {
            *sum += *value;
        }
    }
}
