use std::ops::Range;

use fluorspar_movie::{
    Budget, Lost, Movie, MovieSink, PixelType, Progress, Workspaces, frame_blocks, from_native,
    to_native,
};
use ndarray::{Array2, Array4, ArrayView2};
use rayon::prelude::*;

use crate::correlate::Scratch;
use crate::field::{Warp, WarpScratch};
use crate::part::register_part;
use crate::warp::{Lines, apply_rows};
use crate::{Error, Grid, Images, Registrar, Shift, shift_lines};

/// Where each frame of a movie belongs; all that [`reapply`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    /// Shift along y per frame, pixels; `registered[y, x] = raw[y + dy, x + dx]`.
    /// Untrusted frames have that of the last trusted one among the thousand
    /// before them, or none.
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

/// Most bytes of a block of frames for each thread: small enough to stay in the
/// cache that threads share, large enough that they rarely wait.
const BLOCK: usize = 8 << 20;

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
    let frames = 0..movie.shape().frames;
    let part = register_part(movie, registrar, frames, sink, budget, progress)?;
    Registration::from_parts(registrar, [Ok(part)])
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
    let spaces = Workspaces::new(|| mover.scratch());
    stream(movie, 0..count, Some(sink), budget, |block, out| {
        let length = out.bytes();
        out.frames
            .par_chunks_exact_mut(length)
            .enumerate()
            .try_for_each_init(
                || spaces.lend(),
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
                    mover.load(block, k, moving)?;
                    mover.store(&shift, nodes, out.pixel_type, target, moving);
                    progress(1);
                    Ok(())
                },
            )
    })
}

pub(crate) fn check_size(movie: &dyn Movie, reference: ArrayView2<'_, f32>) -> Result<(), Error> {
    let shape = movie.shape();
    let (height, width) = reference.dim();
    if (shape.planes, shape.height, shape.width) == (1, height, width) {
        return Ok(());
    }
    Err(Error::Image(format!(
        "the movie is {shape}, the reference {height} × {width} px"
    )))
}

/// Raw frames of one block, in the movie's own type.
pub(crate) struct Block<'a> {
    pub(crate) frames: Range<usize>,
    pixel_type: PixelType,
    raw: Raw<'a>,
}

/// Where raw frames come from.
enum Raw<'a> {
    /// They lie in memory, one slice each.
    Here(Vec<&'a [u8]>),
    /// Each thread reads its own: they are in its cache then, and nobody waits.
    Movie(&'a dyn Movie),
}

/// Registered frames of one block as they will be stored.
pub(crate) struct Output {
    pub(crate) pixel_type: PixelType,
    pixels: usize,
    pub(crate) frames: Vec<u8>,
}

impl Output {
    /// Bytes of a frame.
    pub(crate) fn bytes(&self) -> usize {
        self.pixels * self.pixel_type.bytes()
    }
}

/// Hands the frames `range` of a movie block by block to `work` and what that made of it to the
/// sink, which stores one block while the next is worked on.
pub(crate) fn stream(
    movie: &dyn Movie,
    range: Range<usize>,
    mut sink: Option<&mut dyn MovieSink>,
    budget: Budget,
    mut work: impl FnMut(&Block<'_>, &mut Output) -> Result<(), Error> + Send,
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
        bytes: budget.bytes.min(BLOCK * rayon::current_num_threads()),
    };
    let pixel_type = movie.pixel_type();
    let frame_bytes = pixels * pixel_type.bytes();
    let held = 2 * empty().bytes() + pixels * pixel_type.bytes().max(size_of::<f32>());
    let mut raw = Vec::new();
    let (mut out, mut ready) = (empty(), empty());
    let mut waiting: Option<usize> = None;
    for part in frame_blocks(range.len(), held, budget, align) {
        let frames = range.start + part.start..range.start + part.end;
        let make = || {
            // Frames are lent one by one: in many files something lies between them.
            let lent: Option<Vec<&[u8]>> = frames
                .clone()
                .map(|frame| movie.view_bytes(frame..frame + 1))
                .collect();
            let block = Block {
                frames: frames.clone(),
                pixel_type,
                raw: if let Some(lent) = lent {
                    Raw::Here(lent)
                } else if shape.planes == 1 && movie.reads_single_frames() {
                    Raw::Movie(movie)
                } else {
                    raw.resize(frames.len() * frame_bytes, 0);
                    movie.read_native(frames.clone(), &mut raw)?;
                    Raw::Here(raw.chunks_exact(frame_bytes.max(1)).collect())
                },
            };
            out.frames.resize(frames.len() * out.bytes(), 0);
            work(&block, &mut out)
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

pub(crate) fn estimate(
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
    raw: Vec<u8>,
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
            raw: Vec::new(),
            frame: vec![0.0; self.reference.len()],
            gaps: false,
            lines: Lines::default(),
            field: WarpScratch::default(),
        }
    }

    /// Image `k` of a block as `f32`, plane after plane and frame after frame;
    /// says whether it has gaps.
    ///
    /// # Errors
    /// [`Error::Movie`] if it cannot be read.
    pub(crate) fn load(
        &self,
        block: &Block<'_>,
        k: usize,
        moving: &mut Moving,
    ) -> Result<bool, Error> {
        let Block {
            pixel_type, raw, ..
        } = block;
        let size = moving.frame.len() * pixel_type.bytes();
        let bytes = match raw {
            Raw::Here(raw) => {
                let images = raw.first().map_or(1, |frame| frame.len() / size.max(1));
                let at = k % images.max(1) * size;
                &raw[k / images.max(1)][at..at + size]
            }
            Raw::Movie(movie) => {
                let frame = block.frames.start + k;
                moving.raw.resize(size, 0);
                movie.read_native(frame..frame + 1, &mut moving.raw)?;
                &moving.raw[..]
            }
        };
        from_native(*pixel_type, bytes, &mut moving.frame);
        let whole = !matches!(pixel_type, PixelType::F32 | PixelType::F64);
        self.straighten(moving);
        moving.gaps = !whole && moving.frame.iter().any(|v| !v.is_finite());
        Ok(moving.gaps)
    }

    /// Moves odd lines of the frame to where they belong beside even ones.
    pub(crate) fn straighten(&self, moving: &mut Moving) {
        shift_lines(&mut moving.frame, self.reference.ncols(), self.line_offset);
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
            ..
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
