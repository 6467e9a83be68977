use std::ops::Range;

use fluorspar_movie::{
    Budget, Lost, Movie, MovieSink, PixelType, Progress, frame_blocks, from_native, to_native,
};
use ndarray::{Array2, Array4, ArrayView2};
use rayon::prelude::*;

use crate::correlate::Scratch;
use crate::field::{Warp, WarpScratch};
use crate::images::Accumulator;
use crate::warp::{Lines, apply_rows};
use crate::{Error, Grid, Images, Registrar, Shift, shift_lines};

/// Where each frame of a movie belongs; all that [`reapply`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    /// Shift along y per frame, pixels; `registered[y, x] = raw[y + dy, x + dx]`.
    /// Untrusted frames have that of the last trusted one.
    pub dy: Vec<f32>,
    /// Shift along x per frame, pixels.
    pub dx: Vec<f32>,
    /// Height of the correlation peak per frame, 0 to 1.
    pub quality: Vec<f32>,
    /// Frames whose own shift is not believed: without structure, far less
    /// like the reference than usual, or at the largest shift allowed.
    pub untrusted: Vec<bool>,
    /// Displacement of the parts of each frame beyond its shift.
    pub field: Option<Field>,
    /// Whole pixels by which odd lines were moved to the left first.
    pub line_offset: i32,
    /// What frames were registered to, `(y, x)`.
    pub reference: Array2<f32>,
}

/// A registered movie: its motion and what was seen on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Where each frame belongs.
    pub motion: Motion,
    /// Summaries of the registered, trusted frames; the reference and nothing
    /// else if there are none.
    pub images: Images,
    /// Frames with pixels that were not finite; these pixels took the reference's value.
    pub nan_frames: u64,
    /// Samples that interpolation brought outside the sink's pixel type.
    pub saturated: u64,
}

/// A displacement field per frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Where its nodes lie.
    pub grid: Grid,
    /// Displacement beyond the frame's shift, pixels, `(frame, component,
    /// node y, node x)`; component 0 is along y. Between nodes by cubic convolution.
    pub nodes: Array4<f32>,
}

/// Most bytes of a block of frames; more would only be waited for longer.
const BLOCK: usize = 192 << 20;

/// Registers every frame of `movie` and, if there is a `sink`, writes the
/// registered movie into it (without finishing it), in its own pixel type.
///
/// The movie is read once, in blocks that fit `budget`. Frames are sampled
/// once, by cubic convolution, with shift and displacement field together.
/// Works on the caller's rayon pool; the result does not depend on the number
/// of threads or the budget. `progress` counts frames.
///
/// # Errors
/// [`Error::Image`] if the movie's size is not the reference's, [`Error::Movie`]
/// if it cannot be read or the sink refuses.
pub fn register(
    movie: &dyn Movie,
    registrar: &Registrar,
    sink: Option<&mut dyn MovieSink>,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Registration, Error> {
    let reference = registrar.reference();
    check_size(movie, reference)?;
    let count = movie.shape().frames;
    let nodes = registrar.grid().map_or(0, |grid| 2 * grid.len());
    let mover = Mover::new(registrar.grid(), registrar.line_offset(), reference);
    let mut shifts: Vec<Shift> = Vec::with_capacity(count);
    let mut fields: Vec<f32> = vec![0.0; count * nodes];
    let mut untrusted = vec![false; count];
    let mut last_trusted: Option<usize> = None;
    let mut images = Accumulator::new(reference);
    let mut lost = Lost::default();
    let mut nan_frames = 0;
    stream(movie, sink, budget, |block, out| {
        let first = block.frames.start;
        let length = out.bytes();
        let part = &mut fields[first * nodes..block.frames.end * nodes];
        // `max(1)`: an empty field still has one slice per frame.
        let mut slots: Vec<&mut [f32]> = if nodes == 0 {
            block.frames.clone().map(|_| Default::default()).collect()
        } else {
            part.chunks_exact_mut(nodes).collect()
        };
        let found: Vec<(Shift, Lost, bool)> = out
            .frames
            .par_chunks_exact_mut(length)
            .zip(slots.par_iter_mut())
            .enumerate()
            .map_init(
                || (registrar.scratch(), mover.scratch()),
                |(scratch, moving), (k, (out_frame, nodes))| {
                    let gaps = mover.load(block, k, moving);
                    let shift = estimate(registrar, &moving.frame, scratch, nodes);
                    let lost = if registrar.trusts(&shift) {
                        mover.store(&shift, nodes, out.pixel_type, out_frame, moving)
                    } else {
                        Lost::default()
                    };
                    progress(1);
                    (shift, lost, gaps)
                },
            )
            .collect();
        // A frame too poor to trust stays where the last good one was.
        let mut moving = None;
        for (k, (mut shift, part_lost, gaps)) in found.into_iter().enumerate() {
            let frame = first + k;
            if registrar.trusts(&shift) {
                last_trusted = Some(frame);
            } else {
                untrusted[frame] = true;
                let (mut before, quality) = (Shift::default(), shift.quality);
                if let Some(last) = last_trusted {
                    before = shifts.get(last).copied().unwrap_or_default();
                    fields.copy_within(last * nodes..(last + 1) * nodes, frame * nodes);
                } else {
                    fields[frame * nodes..(frame + 1) * nodes].fill(0.0);
                }
                shift = Shift { quality, ..before };
                let moving = moving.get_or_insert_with(|| mover.scratch());
                mover.load(block, k, moving);
                let target = &mut out.frames[k * length..(k + 1) * length];
                let nodes = &fields[frame * nodes..(frame + 1) * nodes];
                lost += mover.store(&shift, nodes, out.pixel_type, target, moving);
            }
            lost += part_lost;
            nan_frames += u64::from(gaps);
            shifts.push(shift);
        }
        let counts: Vec<bool> = untrusted[block.frames.clone()].iter().map(|u| !u).collect();
        images.add(out.pixel_type, &out.frames, &counts);
    })?;
    let field = registrar.grid().map(|grid| {
        let (rows, columns) = grid.dim();
        Field {
            grid: grid.clone(),
            nodes: Array4::from_shape_vec((count, 2, rows, columns), fields).unwrap_or_default(),
        }
    });
    Ok(Registration {
        motion: Motion {
            dy: shifts.iter().map(|s| s.dy).collect(),
            dx: shifts.iter().map(|s| s.dx).collect(),
            quality: shifts.iter().map(|s| s.quality).collect(),
            untrusted,
            field,
            line_offset: registrar.line_offset(),
            reference: reference.to_owned(),
        },
        images: images.finish(),
        nan_frames,
        saturated: lost.saturated,
    })
}

/// Moves the frames of `movie` as `motion` says, into `sink`: a second
/// channel recorded at the same time, or the same movie again, to the byte.
///
/// # Errors
/// [`Error::Image`] if the movie has another size or another number of frames
/// than the motion, [`Error::Movie`] as for [`register`].
pub fn reapply(
    movie: &dyn Movie,
    motion: &Motion,
    sink: &mut dyn MovieSink,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<(), Error> {
    check_size(movie, motion.reference.view())?;
    let count = movie.shape().frames;
    if motion.dy.len() != count || motion.dx.len() != count {
        return Err(Error::Image(format!(
            "the movie has {count} frames, the motion {}",
            motion.dy.len()
        )));
    }
    let grid = motion.field.as_ref().map(|field| &field.grid);
    let mover = Mover::new(grid, motion.line_offset, motion.reference.view());
    stream(movie, Some(sink), budget, |block, out| {
        let length = out.bytes();
        out.frames
            .par_chunks_exact_mut(length)
            .enumerate()
            .for_each_init(
                || mover.scratch(),
                |moving, (k, target)| {
                    let frame = block.frames.start + k;
                    let shift = Shift {
                        dy: motion.dy[frame],
                        dx: motion.dx[frame],
                        quality: 1.0,
                    };
                    let nodes = motion
                        .field
                        .as_ref()
                        .map(|field| field.nodes.index_axis(ndarray::Axis(0), frame));
                    let nodes = nodes
                        .as_ref()
                        .and_then(|n| n.as_slice())
                        .unwrap_or_default();
                    mover.load(block, k, moving);
                    mover.store(&shift, nodes, out.pixel_type, target, moving);
                    progress(1);
                },
            );
    })
}

fn check_size(movie: &dyn Movie, reference: ArrayView2<'_, f32>) -> Result<(), Error> {
    let shape = movie.shape();
    let (height, width) = reference.dim();
    if (shape.planes, shape.height, shape.width) == (1, height, width) {
        return Ok(());
    }
    Err(Error::Image(format!(
        "the movie is {shape}, the reference {height} × {width} px"
    )))
}

/// Raw frames of one block.
pub(crate) struct Block<'a> {
    pub(crate) frames: Range<usize>,
    pixels: Pixels<'a>,
}

pub(crate) enum Pixels<'a> {
    /// As they are stored.
    Lent(PixelType, &'a [u8]),
    Read(&'a [f32]),
}

/// Registered frames of one block as they will be stored.
pub(crate) struct Output {
    pub(crate) pixel_type: PixelType,
    pixels: usize,
    pub(crate) frames: Vec<u8>,
}

impl Output {
    /// Bytes of a frame.
    fn bytes(&self) -> usize {
        self.pixels * self.pixel_type.bytes()
    }
}

/// Hands a movie block by block to `work` and what that made of it to the
/// sink, which stores one block while the next is worked on.
pub(crate) fn stream(
    movie: &dyn Movie,
    mut sink: Option<&mut dyn MovieSink>,
    budget: Budget,
    mut work: impl FnMut(&Block<'_>, &mut Output) + Send,
) -> Result<(), Error> {
    let shape = movie.shape();
    let pixels = shape.frame_len();
    let native = sink.as_ref().and_then(|sink| sink.native_type());
    let empty = || Output {
        pixel_type: native.unwrap_or(PixelType::F32),
        pixels,
        frames: Vec::new(),
    };
    let align = sink.as_ref().map_or(1, |sink| sink.align());
    let budget = Budget {
        bytes: budget.bytes.min(BLOCK),
    };
    let lends = movie.view_bytes(0..shape.frames.min(1)).is_some();
    let held = 2 * empty().bytes() + if lends { 0 } else { 4 * pixels };
    let mut raw = Vec::new();
    let (mut out, mut ready) = (empty(), empty());
    let mut waiting: Option<usize> = None;
    for frames in frame_blocks(shape.frames, held, budget, align) {
        let make = || {
            let block = Block {
                pixels: if let Some(bytes) = movie.view_bytes(frames.clone()) {
                    Pixels::Lent(movie.pixel_type(), bytes)
                } else {
                    raw.resize(frames.len() * pixels, 0.0);
                    movie.read(frames.clone(), &mut raw)?;
                    Pixels::Read(&raw)
                },
                frames: frames.clone(),
            };
            out.frames.resize(frames.len() * out.bytes(), 0);
            work(&block, &mut out);
            Ok::<(), Error>(())
        };
        let keep = || store(&mut sink, waiting, &ready, native.is_some());
        let (made, kept) = rayon::join(make, keep);
        kept?;
        made?;
        std::mem::swap(&mut out, &mut ready);
        waiting = Some(frames.start);
    }
    store(&mut sink, waiting, &ready, native.is_some())
}

/// Writes the block that begins at frame `first`.
fn store(
    sink: &mut Option<&mut dyn MovieSink>,
    first: Option<usize>,
    block: &Output,
    native: bool,
) -> Result<(), Error> {
    let (Some(sink), Some(first)) = (sink, first) else {
        return Ok(());
    };
    if native {
        sink.write_native(first, &block.frames)?;
    } else {
        let mut values = vec![0.0; block.frames.len() / size_of::<f32>()];
        from_native(PixelType::F32, &block.frames, &mut values);
        sink.write(first, &values)?;
    }
    Ok(())
}

fn estimate(
    registrar: &Registrar,
    frame: &[f32],
    scratch: &mut Scratch,
    nodes: &mut [f32],
) -> Shift {
    ArrayView2::from_shape(registrar.reference().dim(), frame)
        .map(|view| registrar.estimate_field(view, scratch, nodes))
        .unwrap_or_default()
}

/// Takes frames from where they are to where they belong.
pub(crate) struct Mover<'a> {
    warp: Option<Warp>,
    line_offset: i32,
    reference: ArrayView2<'a, f32>,
}

/// Work space of one thread.
pub(crate) struct Moving {
    pub(crate) frame: Vec<f32>,
    /// Whether the frame has pixels that are not finite.
    gaps: bool,
    lines: Lines,
    field: WarpScratch,
}

impl<'a> Mover<'a> {
    pub(crate) fn new(
        grid: Option<&Grid>,
        line_offset: i32,
        reference: ArrayView2<'a, f32>,
    ) -> Self {
        Self {
            warp: grid.map(Warp::new),
            line_offset,
            reference,
        }
    }

    pub(crate) fn scratch(&self) -> Moving {
        Moving {
            frame: vec![0.0; self.reference.len()],
            gaps: false,
            lines: Lines::default(),
            field: WarpScratch::default(),
        }
    }

    /// Frame `k` of a block as `f32`; says whether it has gaps.
    pub(crate) fn load(&self, block: &Block<'_>, k: usize, moving: &mut Moving) -> bool {
        let length = moving.frame.len();
        let whole = match block.pixels {
            Pixels::Lent(pixel_type, bytes) => {
                let size = length * pixel_type.bytes();
                from_native(
                    pixel_type,
                    &bytes[k * size..(k + 1) * size],
                    &mut moving.frame,
                );
                !matches!(pixel_type, PixelType::F32 | PixelType::F64)
            }
            Pixels::Read(values) => {
                moving
                    .frame
                    .copy_from_slice(&values[k * length..(k + 1) * length]);
                false
            }
        };
        shift_lines(&mut moving.frame, self.reference.ncols(), self.line_offset);
        moving.gaps = !whole && moving.frame.iter().any(|v| !v.is_finite());
        moving.gaps
    }

    /// Moves the loaded frame, its gaps filled from the reference, and stores it.
    pub(crate) fn store(
        &self,
        shift: &Shift,
        nodes: &[f32],
        pixel_type: PixelType,
        out: &mut [u8],
        moving: &mut Moving,
    ) -> Lost {
        let Moving {
            frame,
            gaps,
            lines,
            field,
        } = moving;
        if *gaps {
            for (value, &reference) in frame.iter_mut().zip(self.reference) {
                if !value.is_finite() {
                    *value = reference;
                }
            }
        }
        let size = self.reference.dim();
        let row_bytes = size.1 * pixel_type.bytes();
        let mut lost = Lost::default();
        let take = |y: usize, row: &[f32]| {
            lost += to_native(
                pixel_type,
                row,
                &mut out[y * row_bytes..(y + 1) * row_bytes],
            );
        };
        let by = (shift.dy, shift.dx);
        match &self.warp {
            Some(warp) => warp.apply_rows(frame, by, nodes, field, take),
            None => apply_rows(frame, size, by, lines, take),
        }
        lost
    }
}
