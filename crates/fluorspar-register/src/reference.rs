use fluorspar_movie::{Movie, MovieExt};
use ndarray::{Array2, Array3, ArrayView2, Axis};
use rayon::prelude::*;

use crate::correlate::{check_size, is_constant};
use crate::{Error, Parameters, Registrar, Shift, apply};

/// Most bytes of frames held while the reference is built.
const MEMORY: usize = 256 << 20;
/// Fewest frames it is built from, where the movie has them.
const FEWEST: usize = 20;
/// Frames averaged into the first guess.
const SEED: usize = 20;
/// The reference stands when no shift changes by more than this, pixels.
const CONVERGED: f32 = 0.02;

/// The image that frames are registered to.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    image: Array2<f32>,
}

impl Reference {
    /// Builds a reference from frames spread evenly over `movie`.
    ///
    /// The first guess is the mean of the frames most like one another. Then,
    /// round by round, every chosen frame is registered to the current
    /// reference, the better ones (a growing share, up to one half) are
    /// averaged where they belong, to a fraction of a pixel and always from
    /// the raw frame, and the mean shift of those is taken off, so that the
    /// reference does not wander. At most 256 MiB of frames are held.
    ///
    /// Pixels that are not finite are left out of the averages.
    ///
    /// # Errors
    /// [`Error::Image`] for a movie without frames, with several planes, or
    /// with a side below 16 pixels; [`Error::Movie`] if it cannot be read.
    pub fn build(movie: &dyn Movie, parameters: &Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        let shape = movie.shape();
        if shape.frames == 0 {
            return Err(Error::Image("the movie has no frames".into()));
        }
        if shape.planes != 1 {
            return Err(Error::Image(format!(
                "the movie has {} planes; register them one by one",
                shape.planes
            )));
        }
        check_size(shape.height, shape.width)?;
        let fits = (MEMORY / (4 * shape.frame_len())).max(FEWEST);
        let count = parameters.reference_frames.min(fits).min(shape.frames);
        let mut frames = Array3::zeros((count, shape.height, shape.width));
        for (k, mut slot) in frames.axis_iter_mut(Axis(0)).enumerate() {
            let at = k * shape.frames / count;
            slot.assign(&movie.read_array(at..at + 1)?.index_axis(Axis(0), 0));
        }
        fill_gaps(&mut frames);
        let mut image = first_guess(&frames);
        let mut before: Vec<Shift> = vec![Shift::default(); count];
        for round in 0..parameters.reference_iterations {
            if is_constant(image.view()) {
                break;
            }
            let registrar = Registrar::new(&Self { image }, parameters)?;
            let shifts: Vec<Shift> = (0..count)
                .into_par_iter()
                .map_init(
                    || registrar.scratch(),
                    |scratch, k| registrar.estimate(frames.index_axis(Axis(0), k), scratch),
                )
                .collect();
            image = average_best(&frames, &shifts, round);
            let change = shifts
                .iter()
                .zip(&before)
                .map(|(a, b)| (a.dy - b.dy).abs().max((a.dx - b.dx).abs()))
                .fold(0.0, f32::max);
            before = shifts;
            // The share of frames still grows in the first eight rounds.
            if change < CONVERGED && round >= 3 {
                break;
            }
        }
        Ok(Self { image })
    }

    /// Takes an image `(y, x)` as it is.
    pub fn from_image(image: Array2<f32>) -> Self {
        Self { image }
    }

    /// The image `(y, x)`.
    pub fn image(&self) -> ArrayView2<'_, f32> {
        self.image.view()
    }
}

/// Replaces pixels that are not finite by the mean of that pixel in the other
/// frames, or by 0 where no frame has it.
fn fill_gaps(frames: &mut Array3<f32>) {
    if frames.iter().all(|v| v.is_finite()) {
        return;
    }
    let mean = frames.map_axis(Axis(0), |values| {
        let (mut sum, mut n) = (0.0, 0_u32);
        for &v in values.iter().filter(|v| v.is_finite()) {
            sum += f64::from(v);
            n += 1;
        }
        (sum / f64::from(n.max(1))) as f32
    });
    for mut frame in frames.axis_iter_mut(Axis(0)) {
        frame.zip_mut_with(&mean, |v, &m| {
            if !v.is_finite() {
                *v = m;
            }
        });
    }
}

/// The mean of the frames most correlated with the frame that has the best neighbours.
fn first_guess(frames: &Array3<f32>) -> Array2<f32> {
    let count = frames.len_of(Axis(0));
    // Coarse pixels carry less noise and are enough to find calm frames.
    let coarse: Vec<Vec<f32>> = frames
        .axis_iter(Axis(0))
        .map(|frame| standardised(frame, 4))
        .collect();
    let similarity: Vec<Vec<f64>> = (0..count)
        .into_par_iter()
        .map(|i| {
            (0..count)
                .map(|j| {
                    coarse[i]
                        .iter()
                        .zip(&coarse[j])
                        .map(|(a, b)| f64::from(a * b))
                        .sum()
                })
                .collect()
        })
        .collect();
    let take = SEED.min(count);
    let ranked = |i: usize| {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| {
            similarity[i][b]
                .total_cmp(&similarity[i][a])
                .then(a.cmp(&b))
        });
        order.truncate(take);
        order
    };
    let score = |i: usize| ranked(i).iter().map(|&j| similarity[i][j]).sum::<f64>();
    let scores: Vec<f64> = (0..count).map(score).collect();
    let seed = (0..count)
        .max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a)))
        .unwrap_or(0);
    mean_of(
        ranked(seed)
            .iter()
            .map(|&k| frames.index_axis(Axis(0), k).to_owned()),
    )
}

/// Means of `side × side` pixels, of zero mean and unit length.
fn standardised(frame: ArrayView2<'_, f32>, side: usize) -> Vec<f32> {
    let mut out: Vec<f64> = frame
        .exact_chunks((side, side))
        .into_iter()
        .map(|part| part.iter().map(|&v| f64::from(v)).sum())
        .collect();
    let mean = out.iter().sum::<f64>() / out.len().max(1) as f64;
    let length = out
        .iter()
        .map(|v| (v - mean).powi(2))
        .sum::<f64>()
        .sqrt()
        .max(1e-30);
    for v in &mut out {
        *v = (*v - mean) / length;
    }
    out.into_iter().map(|v| v as f32).collect()
}

fn mean_of(frames: impl Iterator<Item = Array2<f32>>) -> Array2<f32> {
    let mut sum: Option<Array2<f64>> = None;
    let mut n = 0.0;
    for frame in frames {
        let frame = frame.mapv(f64::from);
        sum = Some(match sum {
            None => frame,
            Some(sum) => sum + frame,
        });
        n += 1.0;
    }
    sum.map(|sum| sum.mapv(|v| (v / n) as f32))
        .unwrap_or_default()
}

/// The mean of the frames of best quality, each where it belongs.
fn average_best(frames: &Array3<f32>, shifts: &[Shift], round: usize) -> Array2<f32> {
    let count = shifts.len();
    let keep = (count * (1 + round.min(7)) / 16).clamp(SEED.min(count), count);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| {
        shifts[b]
            .quality
            .total_cmp(&shifts[a].quality)
            .then(a.cmp(&b))
    });
    order.truncate(keep);
    let mean = |pick: fn(&Shift) -> f32| {
        order
            .iter()
            .map(|&k| f64::from(pick(&shifts[k])))
            .sum::<f64>()
            / keep as f64
    };
    let (my, mx) = (mean(|s| s.dy) as f32, mean(|s| s.dx) as f32);
    mean_of(order.iter().map(|&k| {
        let frame = frames.index_axis(Axis(0), k);
        let mut moved = Array2::zeros(frame.dim());
        apply(
            frame,
            (shifts[k].dy - my, shifts[k].dx - mx),
            moved.view_mut(),
        );
        moved
    }))
}
