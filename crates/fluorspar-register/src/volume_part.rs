//! A movie of planes registered in parts.

use std::ops::Range;

use fluorspar_movie::{Budget, Lost, Movie, MovieSink, Progress, Workspaces};
use ndarray::{ArrayView2, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::depth::{Segments, Stretches};
use crate::images::{Accumulator, Sums};
use crate::part::REMEMBERED;
use crate::stage::{Mover, stream};
use crate::{Error, Motion, Registration, Shift, VolumeRegistrar, VolumeRegistration, shift_lines};

/// What registering a run of volumes gave; made by [`register_volumes_part`],
/// put together by [`VolumeRegistration::from_parts`].
///
/// Serialises with `serde`. It takes about as much as 26 volumes of 16-bit pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumePart {
    frames: Range<usize>,
    shared: Vec<Shift>,
    /// `(volume, plane)`.
    shifts: Vec<Shift>,
    /// `(volume, plane)`.
    untrusted: Vec<bool>,
    /// Of each plane.
    sums: Vec<Sums>,
    stretches: Stretches,
    nan_frames: Vec<u64>,
    saturated: Vec<u64>,
}

impl VolumePart {
    /// Which volumes of the movie these are.
    pub fn frames(&self) -> Range<usize> {
        self.frames.clone()
    }

    /// Whether it is whole and made with `registrar`.
    fn check(&self, registrar: &VolumeRegistrar) -> Result<(), Error> {
        let (count, planes) = (self.frames.len(), registrar.planes.len());
        let size = registrar.planes[0].reference().dim();
        let fits = self.shared.len() == count
            && [self.shifts.len(), self.untrusted.len()] == [count * planes; 2]
            && [self.sums.len(), self.nan_frames.len(), self.saturated.len()] == [planes; 3]
            && self.sums.iter().all(|sums| sums.are_of(size))
            && self.stretches.are_of((planes, size.0, size.1));
        if fits {
            return Ok(());
        }
        Err(Error::Image(format!(
            "the part of volumes {} to {} was registered to another reference",
            self.frames.start, self.frames.end
        )))
    }
}

/// Where the planes of the last trusted volume were: the shift they share, and
/// those of all.
type Place = (Shift, Vec<Shift>);

/// As [`register_volumes`](crate::register_volumes), the volumes `frames` of
/// `movie` alone.
///
/// If there is a `sink`, it is that of the whole movie, and `frames` begin at
/// a multiple of [`MovieSink::align`]. Motion does not depend on how the rest
/// of the movie is cut: where its first volumes are not trusted, volumes before
/// them are looked at.
///
/// # Errors
/// [`Error::Image`] for volumes outside the movie, otherwise as
/// [`register_volumes`](crate::register_volumes).
pub fn register_volumes_part(
    movie: &dyn Movie,
    registrar: &VolumeRegistrar,
    frames: Range<usize>,
    sink: Option<&mut dyn MovieSink>,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<VolumePart, Error> {
    registrar.check(movie)?;
    let all = movie.shape().frames;
    if frames.start > frames.end || frames.end > all {
        return Err(Error::Image(format!(
            "volumes {} to {} are not all in the movie of {}",
            frames.start,
            frames.end,
            movie.shape()
        )));
    }
    let count = frames.len();
    let planes = registrar.planes.len();
    let pixels = registrar.pixels();
    let length = registrar.window().len();
    let budget = registrar.block_budget(budget, count, sink.as_deref());
    let movers: Vec<Mover<'_>> = registrar
        .references()
        .map(|reference| Mover::new(None, registrar.line_offset(), reference))
        .collect();
    let mut images: Vec<Accumulator> = registrar.references().map(Accumulator::new).collect();
    let mut segments = Segments::new(registrar, all, frames.start);
    let mut shared: Vec<Shift> = Vec::with_capacity(count);
    let mut shifts: Vec<Shift> = Vec::with_capacity(count * planes);
    let mut untrusted: Vec<bool> = Vec::with_capacity(count * planes);
    let mut last: Option<usize> = None;
    // Looked for once it is needed.
    let mut before: Option<Option<(usize, Place)>> = None;
    let mut saturated = vec![0_u64; planes];
    let mut nan_frames = vec![0_u64; planes];
    let (mut maps, mut present) = (Vec::new(), Vec::new());
    let spaces = Workspaces::new(|| (registrar.planes[0].scratch(), movers[0].scratch()));
    let rooms = Workspaces::new(|| registrar.settling());
    stream(movie, frames.clone(), sink, budget, |block, out| {
        let begin = block.frames.start - frames.start;
        let volumes = block.frames.len();
        maps.resize(volumes * planes * length, 0.0_f32);
        present.resize(volumes * planes, false);
        maps.par_chunks_exact_mut(length)
            .zip(&mut present)
            .enumerate()
            .try_for_each_init(
                || spaces.lend(),
                |space, (image, (map, present))| {
                    let (scratch, moving) = &mut **space;
                    let plane = image % planes;
                    movers[plane].load(block, image, moving)?;
                    let size = registrar.planes[plane].reference().dim();
                    let view = ArrayView2::from_shape(size, &moving.frame);
                    *present = view.is_ok_and(|view| registrar.map(plane, view, scratch, map));
                    Ok::<(), Error>(())
                },
            )?;
        shifts.resize((begin + volumes) * planes, Shift::default());
        let found: Vec<Shift> = shifts[begin * planes..]
            .par_chunks_exact_mut(planes)
            .zip(maps.par_chunks_exact(length * planes))
            .zip(present.par_chunks_exact(planes))
            .map_init(
                || rooms.lend(),
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
                let place = if let Some(last) = last {
                    let of_planes = &shifts[last * planes..(last + 1) * planes];
                    (volume - last <= REMEMBERED).then(|| (shared[last], of_planes.to_vec()))
                } else {
                    if before.is_none() {
                        before = Some(last_before(movie, registrar, frames.start)?);
                    }
                    let known = before.as_ref().and_then(Option::as_ref);
                    known
                        .filter(|(last, _)| frames.start + volume - last <= REMEMBERED)
                        .map(|(_, place)| place.clone())
                };
                let (together, of_planes) =
                    place.unwrap_or_else(|| (Shift::default(), vec![Shift::default(); planes]));
                shift = Shift {
                    quality: shift.quality,
                    ..together
                };
                let slots = &mut shifts[volume * planes..(volume + 1) * planes];
                for (slot, place) in slots.iter_mut().zip(of_planes) {
                    *slot = Shift {
                        quality: slot.quality,
                        ..place
                    };
                }
            }
            shared.push(shift);
            let present = &present[k * planes..(k + 1) * planes];
            untrusted.extend(present.iter().map(|present| !(trusted && *present)));
        }
        let moved: Result<Vec<(u64, bool)>, Error> = out
            .frames
            .par_chunks_exact_mut(pixels * out.pixel_type.bytes())
            .enumerate()
            .map_init(
                || spaces.lend(),
                |space, (image, target)| {
                    let moving = &mut space.1;
                    let mover = &movers[image % planes];
                    let gap = mover.load(block, image, moving)?;
                    let shift = &shifts[begin * planes + image];
                    let Lost { saturated, .. } =
                        mover.store(shift, &[], out.pixel_type, target, moving);
                    progress(u64::from(image % planes == 0));
                    Ok((saturated, gap))
                },
            )
            .collect();
        for (image, (lost, gap)) in moved?.into_iter().enumerate() {
            saturated[image % planes] += lost;
            nan_frames[image % planes] += u64::from(gap);
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
        segments.add(block.frames.start, out.pixel_type, &out.frames, doubted);
        Ok(())
    })?;
    Ok(VolumePart {
        frames,
        shared,
        shifts,
        untrusted,
        sums: images.into_iter().map(Accumulator::sums).collect(),
        stretches: segments.stretches(),
        nan_frames,
        saturated,
    })
}

/// The last trusted one of the volumes before `start`, as far back as matters.
fn last_before(
    movie: &dyn Movie,
    registrar: &VolumeRegistrar,
    start: usize,
) -> Result<Option<(usize, Place)>, Error> {
    let planes = registrar.planes.len();
    let (height, width) = registrar.planes[0].reference().dim();
    let mut scratch = registrar.scratch();
    let mut volume = vec![0.0_f32; planes * height * width];
    for frame in (start.saturating_sub(REMEMBERED)..start).rev() {
        movie.read(frame..frame + 1, &mut volume)?;
        for image in volume.chunks_exact_mut(height * width) {
            shift_lines(image, width, registrar.line_offset());
        }
        let mut shifts = vec![Shift::default(); planes];
        let view = ArrayView3::from_shape((planes, height, width), &volume)
            .map_err(|e| Error::Image(e.to_string()))?;
        let shared = registrar.estimate(view, &mut scratch, &mut shifts);
        if registrar.trusts(&shared) {
            return Ok(Some((frame, (shared, shifts))));
        }
    }
    Ok(None)
}

impl VolumeRegistration {
    /// The registration of the whole movie from `parts` that follow each other
    /// from its first volume to its last, all made with `registrar`. Where the
    /// movie is cut shows in the last digits of images and depths alone.
    ///
    /// # Errors
    /// [`Error::Image`] if there are no parts, one is missing, or one was made
    /// with another reference; whatever reading a part gives.
    pub fn from_parts<E: From<Error>>(
        registrar: &VolumeRegistrar,
        parts: impl IntoIterator<Item = Result<VolumePart, E>>,
    ) -> Result<Self, E> {
        let mut whole: Option<VolumePart> = None;
        let mut stretches = Vec::new();
        for part in parts {
            let mut part = part?;
            part.check(registrar)?;
            stretches.push(std::mem::take(&mut part.stretches));
            let end = whole.as_ref().map_or(0, |whole| whole.frames.end);
            if part.frames.start != end {
                let start = part.frames.start;
                let message = format!("of the parts, that of volumes {end} to {start} is missing");
                return Err(Error::Image(message).into());
            }
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.append(part),
            }
        }
        let whole = whole.ok_or_else(|| Error::Image("there are no parts".into()))?;
        let planes = registrar.planes.len();
        let per_plane = whole.sums.iter().zip(registrar.references()).enumerate();
        let registrations = per_plane.map(|(plane, (sums, reference))| {
            let shifts = || whole.shifts.iter().skip(plane).step_by(planes);
            let untrusted = whole.untrusted.iter().skip(plane).step_by(planes);
            Registration {
                motion: Motion {
                    dy: shifts().map(|s| s.dy).collect(),
                    dx: shifts().map(|s| s.dx).collect(),
                    quality: shifts().map(|s| s.quality).collect(),
                    untrusted: untrusted.copied().collect(),
                    field: None,
                    line_offset: registrar.line_offset(),
                    reference: reference.to_owned(),
                },
                images: sums.finish(reference),
                nan_frames: whole.nan_frames[plane],
                saturated: whole.saturated[plane],
            }
        });
        Ok(Self {
            planes: registrations.collect(),
            drift: Stretches::join(&stretches, registrar, whole.frames.end),
            shared: whole.shared,
        })
    }
}

impl VolumePart {
    /// Adds the part that follows.
    fn append(&mut self, next: Self) {
        self.frames.end = next.frames.end;
        self.shared.extend(next.shared);
        self.shifts.extend(next.shifts);
        self.untrusted.extend(next.untrusted);
        for (sums, next) in self.sums.iter_mut().zip(&next.sums) {
            sums.add(next);
        }
        for (counts, next) in [
            (&mut self.nan_frames, next.nan_frames),
            (&mut self.saturated, next.saturated),
        ] {
            for (count, next) in counts.iter_mut().zip(next) {
                *count += next;
            }
        }
    }
}
