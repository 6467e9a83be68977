//! A movie registered in parts, on one machine or several.

use std::ops::Range;

use fluorspar_movie::{Budget, Lost, Movie, MovieSink, Progress, Workspaces};
use ndarray::Array4;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::correlate::Scratch;
use crate::images::{Accumulator, Sums};
use crate::stage::{Mover, Moving, check_size, estimate, stream};
use crate::{Error, Field, Motion, Registrar, Registration, Shift};

/// A frame that is not trusted stays where the last trusted one was, if that
/// is no longer ago than so many frames.
pub(crate) const REMEMBERED: usize = 1000;

/// What registering a run of frames gave; made by [`register_part`], put
/// together by [`Registration::from_parts`].
///
/// Serialises with `serde`, so that parts can be registered at other times and
/// on other machines. It takes about as much as 26 frames of 16-bit pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    frames: Range<usize>,
    shifts: Vec<Shift>,
    untrusted: Vec<bool>,
    /// Displacements `(frame, component, node)`; empty for rigid registration.
    fields: Vec<f32>,
    sums: Sums,
    nan_frames: u64,
    saturated: u64,
}

impl Part {
    /// Which frames of the movie these are.
    pub fn frames(&self) -> Range<usize> {
        self.frames.clone()
    }

    /// Whether it is whole and made with `registrar`.
    fn check(&self, registrar: &Registrar) -> Result<(), Error> {
        let count = self.frames.len();
        let nodes = registrar.grid().map_or(0, |grid| 2 * grid.len());
        let fits = self.shifts.len() == count
            && self.untrusted.len() == count
            && self.fields.len() == count * nodes
            && self.sums.are_of(registrar.reference().dim());
        if fits {
            return Ok(());
        }
        Err(Error::Image(format!(
            "the part of frames {} to {} was registered to another reference",
            self.frames.start, self.frames.end
        )))
    }
}

/// Where the last trusted frame was.
#[derive(Clone, Debug, Default)]
struct Place {
    shift: Shift,
    nodes: Vec<f32>,
}

/// As [`register`](crate::register), the `frames` of `movie` alone.
///
/// If there is a `sink`, it is that of the whole movie, and `frames` begin at
/// a multiple of [`MovieSink::align`]. The part does not depend on how the
/// rest of the movie is cut: where its first frames are not trusted, frames
/// before it are looked at.
///
/// # Errors
/// [`Error::Image`] for frames outside the movie, otherwise as
/// [`register`](crate::register).
pub fn register_part(
    movie: &dyn Movie,
    registrar: &Registrar,
    frames: Range<usize>,
    sink: Option<&mut dyn MovieSink>,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Part, Error> {
    let reference = registrar.reference();
    check_size(movie, reference)?;
    if frames.start > frames.end || frames.end > movie.shape().frames {
        return Err(Error::Image(format!(
            "frames {} to {} are not all in the movie of {}",
            frames.start,
            frames.end,
            movie.shape()
        )));
    }
    let count = frames.len();
    let nodes = registrar.grid().map_or(0, |grid| 2 * grid.len());
    let mover = Mover::new(registrar.grid(), registrar.line_offset(), reference);
    let spaces = Workspaces::new(|| (registrar.scratch(), mover.scratch()));
    let mut shifts: Vec<Shift> = Vec::with_capacity(count);
    let mut fields: Vec<f32> = vec![0.0; count * nodes];
    let mut untrusted = vec![false; count];
    let mut last_trusted: Option<usize> = None;
    // Looked for once it is needed.
    let mut before: Option<Option<(usize, Place)>> = None;
    let mut images = Accumulator::new(reference);
    let mut lost = Lost::default();
    let mut nan_frames = 0;
    stream(movie, frames.clone(), sink, budget, |block, out| {
        let first = block.frames.start - frames.start;
        let length = out.bytes();
        let part = &mut fields[first * nodes..(first + block.frames.len()) * nodes];
        // `max(1)`: an empty field still has one slice per frame.
        let mut slots: Vec<&mut [f32]> = if nodes == 0 {
            block.frames.clone().map(|_| Default::default()).collect()
        } else {
            part.chunks_exact_mut(nodes).collect()
        };
        let found: Result<Vec<(Shift, Lost, bool)>, Error> = out
            .frames
            .par_chunks_exact_mut(length)
            .zip(slots.par_iter_mut())
            .enumerate()
            .map_init(
                || spaces.lend(),
                |space, (k, (out_frame, nodes))| {
                    let (scratch, moving) = &mut **space;
                    let gaps = mover.load(block, k, moving)?;
                    let shift = estimate(registrar, &moving.frame, scratch, nodes);
                    let lost = if registrar.trusts(&shift) {
                        mover.store(&shift, nodes, out.pixel_type, out_frame, moving)
                    } else {
                        Lost::default()
                    };
                    progress(1);
                    Ok((shift, lost, gaps))
                },
            )
            .collect();
        let mut moving = None;
        for (k, (mut shift, part_lost, gaps)) in found?.into_iter().enumerate() {
            let frame = first + k;
            if registrar.trusts(&shift) {
                last_trusted = Some(frame);
            } else {
                untrusted[frame] = true;
                let place = if let Some(last) = last_trusted {
                    (frame - last <= REMEMBERED).then(|| Place {
                        shift: shifts[last],
                        nodes: fields[last * nodes..(last + 1) * nodes].to_vec(),
                    })
                } else {
                    if before.is_none() {
                        before = Some(last_before(movie, registrar, &mover, frames.start)?);
                    }
                    let known = before.as_ref().and_then(Option::as_ref);
                    known
                        .filter(|(last, _)| frames.start + frame - last <= REMEMBERED)
                        .map(|(_, place)| place.clone())
                };
                let place = place.unwrap_or_else(|| Place {
                    shift: Shift::default(),
                    nodes: vec![0.0; nodes],
                });
                let own = &mut fields[frame * nodes..(frame + 1) * nodes];
                own.copy_from_slice(&place.nodes);
                shift = Shift {
                    quality: shift.quality,
                    ..place.shift
                };
                let moving = moving.get_or_insert_with(|| mover.scratch());
                mover.load(block, k, moving)?;
                let target = &mut out.frames[k * length..(k + 1) * length];
                lost += mover.store(&shift, own, out.pixel_type, target, moving);
            }
            lost += part_lost;
            nan_frames += u64::from(gaps);
            shifts.push(shift);
        }
        let counts: Vec<bool> = untrusted[first..first + block.frames.len()]
            .iter()
            .map(|u| !u)
            .collect();
        images.add(out.pixel_type, &out.frames, &counts);
        Ok(())
    })?;
    Ok(Part {
        frames,
        shifts,
        untrusted,
        fields,
        sums: images.sums(),
        nan_frames,
        saturated: lost.saturated,
    })
}

/// The last trusted one of the frames before `start`, as far back as matters.
fn last_before(
    movie: &dyn Movie,
    registrar: &Registrar,
    mover: &Mover<'_>,
    start: usize,
) -> Result<Option<(usize, Place)>, Error> {
    let nodes = registrar.grid().map_or(0, |grid| 2 * grid.len());
    let mut scratch: Scratch = registrar.scratch();
    let mut moving: Moving = mover.scratch();
    for frame in (start.saturating_sub(REMEMBERED)..start).rev() {
        movie.read(frame..frame + 1, &mut moving.frame)?;
        mover.straighten(&mut moving);
        let mut place = vec![0.0; nodes];
        let shift = estimate(registrar, &moving.frame, &mut scratch, &mut place);
        if registrar.trusts(&shift) {
            let nodes = place;
            return Ok(Some((frame, Place { shift, nodes })));
        }
    }
    Ok(None)
}

impl Registration {
    /// The registration of the whole movie from `parts` that follow each
    /// other from its first frame to its last, all made with `registrar`.
    ///
    /// Sums of pixels are those of the parts, added up in order: where the
    /// movie is cut shows in the last digits of [`Images`](crate::Images), and
    /// nowhere else.
    ///
    /// # Errors
    /// [`Error::Image`] if there are no parts, one is missing, or one was made
    /// with another reference; whatever reading a part gives.
    pub fn from_parts<E: From<Error>>(
        registrar: &Registrar,
        parts: impl IntoIterator<Item = Result<Part, E>>,
    ) -> Result<Self, E> {
        let mut whole: Option<Part> = None;
        for part in parts {
            let part = part?;
            part.check(registrar)?;
            let end = whole.as_ref().map_or(0, |whole| whole.frames.end);
            if part.frames.start != end {
                let start = part.frames.start;
                let message = format!("of the parts, that of frames {end} to {start} is missing");
                return Err(Error::Image(message).into());
            }
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => {
                    whole.frames.end = part.frames.end;
                    whole.shifts.extend(part.shifts);
                    whole.untrusted.extend(part.untrusted);
                    whole.fields.extend(part.fields);
                    whole.sums.add(&part.sums);
                    whole.nan_frames += part.nan_frames;
                    whole.saturated += part.saturated;
                }
            }
        }
        let whole = whole.ok_or_else(|| Error::Image("there are no parts".into()))?;
        let field = registrar.grid().map(|grid| {
            let (rows, columns) = grid.dim();
            let shape = (whole.frames.len(), 2, rows, columns);
            Field {
                grid: grid.clone(),
                nodes: Array4::from_shape_vec(shape, whole.fields).unwrap_or_default(),
            }
        });
        let reference = registrar.reference();
        Ok(Self {
            images: whole.sums.finish(reference),
            motion: Motion {
                dy: whole.shifts.iter().map(|s| s.dy).collect(),
                dx: whole.shifts.iter().map(|s| s.dx).collect(),
                quality: whole.shifts.iter().map(|s| s.quality).collect(),
                untrusted: whole.untrusted,
                field,
                line_offset: registrar.line_offset(),
                reference: reference.to_owned(),
            },
            nan_frames: whole.nan_frames,
            saturated: whole.saturated,
        })
    }
}
