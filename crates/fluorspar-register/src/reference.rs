use fluorspar_movie::{Movie, Workspaces, vectorised};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::correlate::is_constant;
use crate::field::{Warp, WarpScratch};
use crate::frames::Frames;
use crate::model::{self, Model};
use crate::piecewise::Piecewise;
use crate::{Error, Mode, Parameters, Registrar, Shift, apply};

/// Frames averaged into the first guess.
const SEED: usize = 20;
/// The reference stands when nine of ten shifts change by no more than this,
/// pixels, beside the change of all.
const CONVERGED: f32 = 0.05;
/// Rounds that take every [`FEW`]th frame only.
const EARLY: usize = 2;
const FEW: usize = 4;
/// Pixels of the small images that frames are compared by.
const COMPARED: usize = 4096;
/// Partial sums of an average; more cost memory, fewer leave cores idle.
const PARTS: usize = 8;

/// The image that frames are registered to, and what was learnt with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    image: Array2<f32>,
    usual_quality: Option<f32>,
    line_offset: Option<f32>,
    model: Option<Model>,
}

/// Frames and where they belong.
struct Sample<'a> {
    frames: Frames<'a>,
    shifts: Vec<Shift>,
    /// Displacements beyond the shifts, empty for rigid registration.
    fields: Vec<Vec<f32>>,
}

impl Reference {
    /// Builds a reference from frames spread evenly over `movie`.
    ///
    /// The first guess is the mean of the frames most like one another. Then,
    /// round by round, the chosen frames (every fourth at first) are registered
    /// to the current reference, the better half is averaged where it belongs, to a fraction of a pixel and always from
    /// the raw frame, and the mean shift of those is taken off, so that the
    /// reference does not wander. For [`Mode::Piecewise`] the spectrum of the
    /// noise and the stiffness of the field are learnt next, and the average
    /// is made once more with every part of a frame where it belongs. Frames
    /// that the movie lends are looked at where they are; of others as many are
    /// taken as fit 512 MiB as `f32`, and held in the movie's own type.
    ///
    /// Pixels that are not finite are left out of the averages.
    ///
    /// # Errors
    /// [`Error::Image`] for a movie without frames, with several planes, or
    /// with a side below 16 pixels; [`Error::Movie`] if it cannot be read.
    pub fn build(movie: &dyn Movie, parameters: &Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        let mut held = Vec::new();
        let mut frames = Frames::spread(movie, parameters.reference_frames, &mut held)?;
        let line_offset = frames.straighten(parameters);
        let mut image = first_guess(&frames);
        let mut sample = Sample {
            shifts: vec![Shift::default(); frames.len()],
            fields: Vec::new(),
            frames,
        };
        let all: Vec<usize> = (0..sample.shifts.len()).collect();
        let few: Vec<usize> = all.iter().copied().step_by(FEW).collect();
        for round in 0..parameters.reference_iterations {
            if is_constant(image.view()) {
                break;
            }
            let registrar = Registrar::rigid(image.view(), parameters)?;
            // A few frames are enough to begin with.
            let early = round < EARLY && few.len() > SEED;
            let change = sample.locate(&registrar, if early { &few } else { &all });
            image = sample.average(&sample.better(), None);
            if change < CONVERGED && !early {
                break;
            }
        }
        let mut reference = Self {
            image,
            usual_quality: sample.usual_quality(),
            line_offset: Some(line_offset),
            model: None,
        };
        if parameters.mode == Mode::Piecewise && !is_constant(reference.image.view()) {
            let model = sample.learn(&reference, None, parameters)?;
            reference.model = Some(model);
            let registrar = Registrar::new(&reference, parameters)?;
            sample.locate(&registrar, &sample.better());
            if let Some(grid) = registrar.grid() {
                reference.image = sample.average(&sample.ranked(), Some(&Warp::new(grid)));
                let registrar = Registrar::rigid(reference.image.view(), parameters)?;
                sample.locate(&registrar, if few.len() > SEED { &few } else { &all });
                reference.usual_quality = sample.usual_quality();
                let model = sample.learn(&reference, reference.model.as_ref(), parameters)?;
                reference.model = Some(model);
            }
        }
        Ok(reference)
    }

    /// Takes an image `(y, x)` as it is.
    pub fn from_image(image: Array2<f32>) -> Self {
        Self {
            image,
            usual_quality: None,
            line_offset: None,
            model: None,
        }
    }

    /// Learns from frames of `movie` how good a match is usual and, for
    /// [`Mode::Piecewise`], the spectrum of the noise and the stiffness of
    /// the displacement field; the image stays as it is. For a reference that
    /// came as an image.
    ///
    /// # Errors
    /// As [`Reference::build`]; [`Error::Image`] if the sizes differ or the
    /// image has pixels that are not finite.
    pub fn learn(self, movie: &dyn Movie, parameters: &Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        let mut held = Vec::new();
        let most = parameters.reference_frames.min(model::FRAMES);
        let mut frames = Frames::spread(movie, most, &mut held)?;
        if self.image.dim() != frames.size() {
            return Err(Error::Image(format!(
                "the movie is {}, the reference {} × {} px",
                movie.shape(),
                self.image.nrows(),
                self.image.ncols()
            )));
        }
        let line_offset = frames.straighten(parameters);
        let mut sample = Sample {
            shifts: vec![Shift::default(); frames.len()],
            fields: Vec::new(),
            frames,
        };
        let all: Vec<usize> = (0..sample.shifts.len()).collect();
        sample.locate(&Registrar::rigid(self.image.view(), parameters)?, &all);
        let mut learnt = Self {
            usual_quality: sample.usual_quality(),
            line_offset: Some(line_offset),
            ..self
        };
        if parameters.mode == Mode::Piecewise {
            learnt.model = Some(sample.learn(&learnt, None, parameters)?);
        }
        Ok(learnt)
    }

    /// The image `(y, x)`.
    pub fn image(&self) -> ArrayView2<'_, f32> {
        self.image.view()
    }

    /// How far odd lines lie to the right of even ones in the movie that the
    /// reference was built from, pixels; `None` if it has not seen one.
    pub fn line_offset(&self) -> Option<f32> {
        self.line_offset
    }

    pub(crate) fn usual_quality(&self) -> Option<f32> {
        self.usual_quality
    }

    pub(crate) fn piecewise(
        &self,
        registrar: &Registrar,
        parameters: &Parameters,
    ) -> Result<Piecewise, Error> {
        let model = self.model.as_ref().ok_or_else(|| {
            Error::Image(
                "this reference knows only an image; let it learn from a movie before \
                 piecewise registration"
                    .into(),
            )
        })?;
        model.piecewise(registrar, parameters)
    }
}

impl Sample<'_> {
    /// Registers the frames `numbers`, the others losing their place; returns
    /// how much the shifts of those that had one have changed beside the change
    /// that all share, the 90th percentile in pixels.
    fn locate(&mut self, registrar: &Registrar, numbers: &[usize]) -> f32 {
        let nodes = registrar.grid().map_or(0, |grid| 2 * grid.len());
        let spaces = Workspaces::new(|| (registrar.scratch(), self.frames.room()));
        let found: Vec<(Shift, Vec<f32>)> = numbers
            .par_iter()
            .map_init(
                || spaces.lend(),
                |space, &k| {
                    let (scratch, frame) = &mut **space;
                    let mut field = vec![0.0; nodes];
                    self.frames.load(k, frame);
                    let shift = registrar.estimate_field(frame.view(), scratch, &mut field);
                    (shift, field)
                },
            )
            .collect();
        let nowhere = vec![Shift::default(); self.shifts.len()];
        let before = std::mem::replace(&mut self.shifts, nowhere);
        self.fields = vec![Vec::new(); before.len()];
        for (&k, (shift, field)) in numbers.iter().zip(found) {
            self.shifts[k] = shift;
            self.fields[k] = field;
        }
        let known: Vec<usize> = (0..before.len())
            .filter(|&k| before[k].quality > 0.0 && self.shifts[k].quality > 0.0)
            .collect();
        let percentile = |values: &mut Vec<f32>, tenths: usize| {
            values.sort_unstable_by(f32::total_cmp);
            let at = values.get(values.len() * tenths / 10);
            at.copied().unwrap_or(f32::INFINITY)
        };
        let mut change = 0.0_f32;
        for part in [|s: &Shift| s.dy, |s: &Shift| s.dx] {
            let mut changes: Vec<f32> = known
                .iter()
                .map(|&k| part(&self.shifts[k]) - part(&before[k]))
                .collect();
            let shared = percentile(&mut changes, 5);
            for change in &mut changes {
                *change = (*change - shared).abs();
            }
            change = change.max(percentile(&mut changes, 9));
        }
        change
    }

    /// The frames that have a place, by falling quality, ties by number.
    fn ranked(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.shifts.len())
            .filter(|&k| self.shifts[k].quality > 0.0)
            .collect();
        order.sort_by(|&a, &b| {
            let quality = |k: usize| self.shifts[k].quality;
            quality(b).total_cmp(&quality(a)).then(a.cmp(&b))
        });
        order
    }

    fn usual_quality(&self) -> Option<f32> {
        let order = self.ranked();
        order.get(order.len() / 2).map(|&k| self.shifts[k].quality)
    }

    /// The better half of the frames that have a place.
    fn better(&self) -> Vec<usize> {
        let mut order = self.ranked();
        let count = order.len();
        order.truncate((count / 2).clamp(SEED.min(count), count));
        order
    }

    /// The mean of the frames `order`, each where it belongs.
    fn average(&self, order: &[usize], warp: Option<&Warp>) -> Array2<f32> {
        let kept = order.len() as f64;
        let mean = |pick: &dyn Fn(usize) -> f32| {
            (order.iter().map(|&k| f64::from(pick(k))).sum::<f64>() / kept) as f32
        };
        let (my, mx) = (mean(&|k| self.shifts[k].dy), mean(&|k| self.shifts[k].dx));
        let nodes = order.first().map_or(0, |&k| self.fields[k].len());
        let middle: Vec<f32> = (0..nodes).map(|n| mean(&|k| self.fields[k][n])).collect();
        average(&self.frames, order, |k, frame, out, scratch| {
            let shift = (self.shifts[k].dy - my, self.shifts[k].dx - mx);
            match warp {
                None => apply(frame, shift, out),
                Some(warp) => {
                    let field: Vec<f32> = self.fields[k]
                        .iter()
                        .zip(&middle)
                        .map(|(a, b)| a - b)
                        .collect();
                    warp.apply(frame, shift, &field, out, scratch);
                }
            }
        })
    }

    /// What the better frames say about noise and stiffness, beginning with
    /// what is known already.
    fn learn(
        &self,
        reference: &Reference,
        known: Option<&Model>,
        parameters: &Parameters,
    ) -> Result<Model, Error> {
        let order = self.better();
        // Evenly over the good ones, not the very best only.
        let step = order.len().div_ceil(model::FRAMES).max(1);
        let chosen: Vec<usize> = order.into_iter().step_by(step).collect();
        let shifts: Vec<Shift> = chosen.iter().map(|&k| self.shifts[k]).collect();
        let load = |&k: &usize| {
            let mut frame = self.frames.room();
            self.frames.load(k, &mut frame);
            frame
        };
        let held: Vec<Array2<f32>> = chosen.iter().map(load).collect();
        let frames: Vec<ArrayView2<'_, f32>> = held.iter().map(|frame| frame.view()).collect();
        Model::learn(&frames, &shifts, reference.image(), known, parameters)
    }
}

/// The mean of the frames most correlated with the frame that has the best neighbours.
fn first_guess(frames: &Frames<'_>) -> Array2<f32> {
    let (count, (height, width)) = (frames.len(), frames.size());
    // Coarse pixels carry less noise and are enough to find calm frames.
    let side = ((height * width / COMPARED) as f64).sqrt().round().max(2.0) as usize;
    let rooms = Workspaces::new(|| frames.room());
    let coarse: Vec<Vec<f32>> = (0..count)
        .into_par_iter()
        .map_init(
            || rooms.lend(),
            |frame, k| {
                frames.load(k, frame);
                standardised(frame.view(), side)
            },
        )
        .collect();
    let above: Vec<Vec<f32>> = (0..count)
        .into_par_iter()
        .map(|i| (0..=i).map(|j| product(&coarse[i], &coarse[j])).collect())
        .collect();
    let similarity = |i: usize, j: usize| above[i.max(j)][i.min(j)];
    let take = SEED.min(count);
    let ranked = |i: usize| {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| {
            similarity(i, b)
                .total_cmp(&similarity(i, a))
                .then(a.cmp(&b))
        });
        order.truncate(take);
        order
    };
    let score = |i: usize| ranked(i).iter().map(|&j| similarity(i, j)).sum::<f32>();
    let scores: Vec<f32> = (0..count).into_par_iter().map(score).collect();
    let seed = (0..count)
        .max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a)))
        .unwrap_or(0);
    average(frames, &ranked(seed), |_, frame, mut out, _| {
        out.assign(&frame);
    })
}

/// Means of `side × side` pixels, of zero mean and unit length.
fn standardised(frame: ArrayView2<'_, f32>, side: usize) -> Vec<f32> {
    let (rows, columns) = (frame.nrows() / side, frame.ncols() / side);
    let mut out = vec![0.0_f64; rows * columns];
    let mut line = vec![0.0_f32; frame.ncols()];
    for (y, sums) in out.chunks_exact_mut(columns.max(1)).enumerate() {
        line.fill(0.0);
        for k in 0..side {
            let row = frame.row(y * side + k);
            for (sum, &value) in line.iter_mut().zip(row.as_slice().unwrap_or_default()) {
                *sum += value;
            }
        }
        for (sum, part) in sums.iter_mut().zip(line.chunks_exact(side)) {
            *sum = f64::from(part.iter().sum::<f32>());
        }
    }
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

vectorised! {
    fn product<'a>(a: &'a [f32], b: &'a [f32]) -> f32 {
        let mut lanes = [0.0_f32; 16];
        for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
            for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                *lane += a * b;
            }
        }
        let whole = a.len() / 16 * 16;
        let rest: f32 = a[whole..].iter().zip(&b[whole..]).map(|(a, b)| a * b).sum();
        lanes.iter().sum::<f32>() + rest
    }

    /// `sum += (values − mean) · scale`.
    fn add<'a>(sum: &'a mut [f64], values: &'a [f32], mean: f32, scale: f32) {
        for (sum, &value) in sum.iter_mut().zip(values) {
            *sum += f64::from((value - mean) * scale);
        }
    }

    /// Mean and standard deviation.
    fn moments<'a>(values: &'a [f32]) -> (f64, f64) {
        let centre = values.first().copied().unwrap_or(0.0);
        let (mut sum, mut square) = (0.0, 0.0);
        for part in values.chunks(4096) {
            let mut lanes = [[0.0_f32; 16]; 2];
            let (whole, rest) = part.as_chunks::<16>();
            for lane in whole {
                for k in 0..16 {
                    let value = lane[k] - centre;
                    lanes[0][k] += value;
                    lanes[1][k] += value * value;
                }
            }
            for &value in rest {
                lanes[0][0] += value - centre;
                lanes[1][0] += (value - centre) * (value - centre);
            }
            let [s, q] = lanes.map(|lane| lane.iter().map(|&v| f64::from(v)).sum::<f64>());
            sum += s;
            square += q;
        }
        let n = values.len().max(1) as f64;
        let mean = sum / n;
        (mean + f64::from(centre), (square / n - mean * mean).max(0.0).sqrt())
    }
}

/// The mean of the frames `order`, each as `place(number, frame, out, scratch)`
/// puts it, all brought to the same mean and contrast first: of a movie that
/// fades, the end counts as much as the beginning.
fn average(
    frames: &Frames<'_>,
    order: &[usize],
    place: impl Fn(usize, ArrayView2<'_, f32>, ArrayViewMut2<'_, f32>, &mut WarpScratch) + Sync,
) -> Array2<f32> {
    let (height, width) = frames.size();
    let part = order.len().div_ceil(PARTS).max(1);
    let sums: Vec<(Array2<f64>, f64, f64)> = order
        .par_chunks(part)
        .map(|numbers| {
            let mut sum = Array2::<f64>::zeros((height, width));
            let (mut brightness, mut contrast) = (0.0, 0.0);
            let mut moved = Array2::<f32>::zeros((height, width));
            let mut scratch = WarpScratch::default();
            let mut frame = frames.room();
            for &k in numbers {
                frames.load(k, &mut frame);
                place(k, frame.view(), moved.view_mut(), &mut scratch);
                if let (Some(sum), Some(moved)) = (sum.as_slice_mut(), moved.as_slice()) {
                    let (mean, deviation) = moments(moved);
                    brightness += mean;
                    contrast += deviation;
                    let scale = 1.0 / deviation.max(f64::from(f32::MIN_POSITIVE));
                    add(sum, moved, mean as f32, scale as f32);
                }
            }
            (sum, brightness, contrast)
        })
        .collect();
    let count = order.len().max(1) as f64;
    let mut total = Array2::<f64>::zeros((height, width));
    let (mut brightness, mut contrast) = (0.0, 0.0);
    for (sum, mean, deviation) in &sums {
        total += sum;
        brightness += mean / count;
        contrast += deviation / count;
    }
    total.mapv(|v| (brightness + contrast * v / count) as f32)
}
