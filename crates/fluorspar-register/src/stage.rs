use fluorspar_movie::{Budget, Movie, MovieSink, Progress, frame_blocks};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::correlate::Scratch;
use crate::{Error, Registrar, Shift, apply};

/// What registration found out about a movie.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    /// Shift along y per frame, pixels; `registered[y, x] = raw[y + dy, x + dx]`.
    pub dy: Vec<f32>,
    /// Shift along x per frame, pixels.
    pub dx: Vec<f32>,
    /// Height of the correlation peak per frame, 0 to 1.
    pub quality: Vec<f32>,
    /// Frames whose shift should not be believed: without structure, of low
    /// quality beside their neighbours, or at the largest shift allowed.
    pub untrusted: Vec<bool>,
    /// Mean of the registered frames that have structure, `(y, x)`.
    pub mean_image: Array2<f32>,
    /// Frames with pixels that were not finite; these pixels took the reference's value.
    pub nan_frames: u64,
}

/// Frames on each side of the running median of the quality.
const NEIGHBOURS: usize = 50;

/// Registers every frame of `movie` and, if there is a `sink`, writes the
/// registered movie into it (without finishing it).
///
/// The movie is read once, in blocks that fit `budget`. Works on the caller's
/// rayon pool; the result does not depend on the number of threads.
/// `progress` counts frames.
///
/// # Errors
/// [`Error::Image`] if the movie's size is not the reference's, [`Error::Movie`]
/// if it cannot be read or the sink refuses.
pub fn register(
    movie: &dyn Movie,
    registrar: &Registrar,
    mut sink: Option<&mut dyn MovieSink>,
    budget: Budget,
    progress: Progress<'_>,
) -> Result<Motion, Error> {
    let shape = movie.shape();
    let (height, width) = registrar.reference().dim();
    if (shape.planes, shape.height, shape.width) != (1, height, width) {
        return Err(Error::Image(format!(
            "the movie is {shape}, the reference {height} × {width} px"
        )));
    }
    let length = shape.frame_len();
    let mut shifts: Vec<Shift> = Vec::with_capacity(shape.frames);
    let mut sum = vec![0.0_f64; length];
    let mut counted = 0_u64;
    let mut nan_frames = 0;
    let align = sink.as_ref().map_or(1, |sink| sink.align());
    let mut raw = Vec::new();
    let mut registered = Vec::new();
    for frames in frame_blocks(shape.frames, 8 * length, budget, align) {
        raw.resize(frames.len() * length, 0.0);
        registered.resize(frames.len() * length, 0.0);
        movie.read(frames.clone(), &mut raw)?;
        let found: Vec<(Shift, bool)> = raw
            .par_chunks_mut(length)
            .zip(registered.par_chunks_mut(length))
            .map_init(
                || registrar.scratch(),
                |scratch, (frame, out)| {
                    let result = one(registrar, frame, out, scratch);
                    progress(1);
                    result
                },
            )
            .collect();
        // Every pixel adds its frames in order, whoever does the adding.
        sum.par_chunks_mut(4096)
            .enumerate()
            .for_each(|(part, sums)| {
                for (k, (shift, _)) in found.iter().enumerate() {
                    if shift.quality > 0.0 {
                        let start = k * length + part * 4096;
                        for (s, &v) in sums.iter_mut().zip(&registered[start..]) {
                            *s += f64::from(v);
                        }
                    }
                }
            });
        counted += found
            .iter()
            .filter(|(shift, _)| shift.quality > 0.0)
            .count() as u64;
        nan_frames += found.iter().filter(|(_, gaps)| *gaps).count() as u64;
        shifts.extend(found.iter().map(|(shift, _)| *shift));
        if let Some(sink) = sink.as_deref_mut() {
            sink.write(frames.start, &registered)?;
        }
    }
    let mean_image = if counted == 0 {
        registrar.reference().to_owned()
    } else {
        let mean: Vec<f32> = sum.iter().map(|s| (s / counted as f64) as f32).collect();
        Array2::from_shape_vec((height, width), mean).unwrap_or_default()
    };
    Ok(Motion {
        untrusted: untrusted(&shifts, registrar),
        dy: shifts.iter().map(|s| s.dy).collect(),
        dx: shifts.iter().map(|s| s.dx).collect(),
        quality: shifts.iter().map(|s| s.quality).collect(),
        mean_image,
        nan_frames,
    })
}

/// Registers one frame; says whether it had gaps.
fn one(
    registrar: &Registrar,
    frame: &mut [f32],
    out: &mut [f32],
    scratch: &mut Scratch,
) -> (Shift, bool) {
    let size = registrar.reference().dim();
    let gaps = frame.iter().any(|v| !v.is_finite());
    if gaps {
        for (value, &reference) in frame.iter_mut().zip(registrar.reference()) {
            if !value.is_finite() {
                *value = reference;
            }
        }
    }
    let mut shift = Shift::default();
    if let (Ok(view), Ok(target)) = (
        ArrayView2::from_shape(size, &*frame),
        ArrayViewMut2::from_shape(size, out),
    ) {
        shift = registrar.estimate(view, scratch);
        apply(view, (shift.dy, shift.dx), target);
    }
    (shift, gaps)
}

fn untrusted(shifts: &[Shift], registrar: &Registrar) -> Vec<bool> {
    let (my, mx) = registrar.max_shift();
    let share = registrar.parameters().trusted_quality as f32;
    (0..shifts.len())
        .map(|k| {
            let start = k.saturating_sub(NEIGHBOURS);
            let end = (k + NEIGHBOURS + 1).min(shifts.len());
            let mut around: Vec<f32> = shifts[start..end].iter().map(|s| s.quality).collect();
            let middle = around.len() / 2;
            let (_, &mut median, _) = around.select_nth_unstable_by(middle, f32::total_cmp);
            let shift = shifts[k];
            shift.quality <= 0.0
                || shift.quality < share * median
                || shift.dy.abs() >= my as f32 - 0.01
                || shift.dx.abs() >= mx as f32 - 0.01
        })
        .collect()
}
