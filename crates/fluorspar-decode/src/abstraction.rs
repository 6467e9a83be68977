//! Does a code generalise to contexts it was not learnt in? (Bernardi et al.
//! 2020, Cell 183:954.) For drift, contexts are days.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::axis::{Axis, AxisKind, halve};
use crate::random::{Domain, draw, stream};
use crate::validation::check_count;
use crate::{
    Decoder, Error, Features, Kernel, Tested, Workspace, balanced_accuracy, cross_gram, gram,
};

/// Cross-condition generalisation performance.
///
/// Of each class one context is held out, in all combinations; a decoder of the
/// other contexts reads the two held-out conditions. All conditions are drawn
/// down to the same number of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generalisation {
    /// Times that trials are drawn.
    pub resamples: usize,
    /// Geometric nulls: cells of the two held-out conditions are renamed,
    /// independently of each other, which keeps how spread and how far apart
    /// trials are and loses where they lie. 0 for none.
    pub permutations: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for Generalisation {
    fn default() -> Self {
        Self {
            resamples: 10,
            permutations: 100,
            seed: 1,
        }
    }
}

/// How well a code generalises.
#[derive(Clone, Debug, PartialEq)]
pub struct Generalised {
    /// Balanced accuracy in held-out conditions, mean over combinations and
    /// resamples, beside its geometric null (p is 1 without permutations).
    pub tested: Tested,
    /// Mean accuracy by held-out context of the lower and of the higher class.
    pub pairs: BTreeMap<(usize, usize), f64>,
    /// Trials per condition.
    pub trials: usize,
}

/// Trials of each `(class, context)`.
type Conditions = BTreeMap<(i64, usize), Vec<usize>>;

impl Generalisation {
    /// `activity` `(trial, cell)` should be standardised by cell
    /// ([`Features::to_array`]), or the null renames baselines as well. There
    /// must be two classes. On rayon's current pool; the bytes do not depend on
    /// the number of threads.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::OneClass`], [`Error::Empty`] with fewer than two
    /// contexts or if a context lacks a class; [`Error::Parameter`] for more than
    /// two classes or no resamples; as [`Decoder::fit`].
    pub fn measure(
        &self,
        decoder: &dyn Decoder,
        activity: ArrayView2<'_, f32>,
        labels: &[i64],
        context: &[usize],
    ) -> Result<Generalised, Error> {
        check_count("resamples", self.resamples, 1)?;
        let kernel = Kernel::new(gram(&Features::new(activity))?.view())?;
        let (classes, contexts, conditions) = conditions(&kernel, labels, context)?;
        let trials = conditions
            .values()
            .map(Vec::len)
            .min()
            .ok_or(Error::Empty)?;
        let mut pairs = BTreeMap::new();
        for &a in &contexts {
            for &b in &contexts {
                pairs.insert((a, b), 0.0);
            }
        }
        let mut workspace = Workspace::default();
        for resample in 0..self.resamples {
            let drawn = self.draw(&conditions, trials, resample);
            for (&held, sum) in &mut pairs {
                let (train, test) = parts(&drawn, classes, held);
                let model = decoder.fit(&kernel, labels, &train, &mut workspace)?;
                let guesses = model.predict_in(&kernel, &train, &test)?;
                *sum += fraction(labels, &test, &guesses)? / self.resamples as f64;
            }
        }
        let observed = pairs.values().sum::<f64>() / pairs.len() as f64;
        let held: Vec<(usize, usize)> = pairs.keys().copied().collect();
        let null = (0..self.permutations)
            .into_par_iter()
            .map_init(Workspace::default, |workspace, index| {
                // One resample and all combinations per permutation.
                let drawn = self.draw(&conditions, trials, index % self.resamples);
                let mut rng = stream(self.seed, Domain::Names, 0, index);
                let mut sum = 0.0;
                for &held in &held {
                    let (train, test) = parts(&drawn, classes, held);
                    let model = decoder.fit(&kernel, labels, &train, workspace)?;
                    let source = activity.select(ndarray::Axis(0), &train);
                    let mut guesses = Vec::with_capacity(test.len());
                    for condition in test.chunks(trials) {
                        let mut names: Vec<usize> = (0..activity.ncols()).collect();
                        names.shuffle(&mut rng);
                        let moved = activity.select(ndarray::Axis(0), condition);
                        let cross = cross_gram(
                            &Features::new(moved.view()).of_cells(&names)?,
                            &Features::new(source.view()),
                        )?;
                        guesses.extend(model.predict(cross.view())?);
                    }
                    sum += fraction(labels, &test, &guesses)?;
                }
                Ok(sum / held.len() as f64)
            })
            .collect::<Result<Vec<f64>, Error>>()?;
        Ok(Generalised {
            tested: Tested::new(observed, null),
            pairs,
            trials,
        })
    }

    /// The same number of trials of every condition.
    fn draw(&self, conditions: &Conditions, trials: usize, resample: usize) -> Conditions {
        let mut rng = stream(self.seed, Domain::Trials, 0, resample);
        conditions
            .iter()
            .map(|(&key, members)| (key, draw(&mut rng, members, trials)))
            .collect()
    }
}

/// Training trials, ascending, and test trials, condition by condition.
fn parts(drawn: &Conditions, classes: [i64; 2], held: (usize, usize)) -> (Vec<usize>, Vec<usize>) {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (&(class, context), members) in drawn {
        let out = if class == classes[0] { held.0 } else { held.1 };
        if context == out {
            test.extend(members);
        } else {
            train.extend(members);
        }
    }
    train.sort_unstable();
    (train, test)
}

fn fraction(labels: &[i64], test: &[usize], guesses: &[i64]) -> Result<f64, Error> {
    let truth: Vec<i64> = test.iter().map(|&t| labels[t]).collect();
    balanced_accuracy(&truth, guesses)
}

/// Two classes, contexts, and the trials of every combination.
fn conditions(
    kernel: &Kernel,
    labels: &[i64],
    context: &[usize],
) -> Result<([i64; 2], Vec<usize>, Conditions), Error> {
    let all: Vec<usize> = (0..labels.len()).collect();
    let classes = kernel.classes(labels, &all)?;
    let [first, second] = classes[..] else {
        return Err(Error::Parameter {
            name: "classes",
            value: classes.len() as f64,
            rule: "must be two",
        });
    };
    if context.len() != labels.len() {
        return Err(Error::Shape(format!(
            "{} contexts for {} labels",
            context.len(),
            labels.len()
        )));
    }
    let mut contexts = context.to_vec();
    contexts.sort_unstable();
    contexts.dedup();
    let mut out: Conditions = BTreeMap::new();
    for (trial, (&label, &context)) in labels.iter().zip(context).enumerate() {
        out.entry((label, context)).or_default().push(trial);
    }
    if contexts.len() < 2 || out.len() < 2 * contexts.len() {
        return Err(Error::Empty);
    }
    Ok(([first, second], contexts, out))
}

/// How parallel the coding vectors of one variable are in different contexts.
#[derive(Clone, Debug, PartialEq)]
pub struct Parallelism {
    /// Mean cosine between the differences of class means of two contexts;
    /// noise lowers it. By chance 0, with a standard deviation of one over the
    /// root of the number of cells.
    pub raw: f64,
    /// The same with lengths from products between halves of the trials, which
    /// noise does not lengthen. NaN if a length is not above 0: too few trials.
    pub corrected: f64,
}

/// The parallelism score of two classes over contexts, lengths corrected with
/// `splits` random halvings of each context's trials.
///
/// # Errors
/// As [`Generalisation::measure`]; [`Error::TooFewTrials`] if a condition has
/// fewer than two trials.
pub fn parallelism(
    kernel: &Kernel,
    labels: &[i64],
    context: &[usize],
    splits: usize,
    seed: u64,
) -> Result<Parallelism, Error> {
    check_count("splits", splits, 1)?;
    let (_, contexts, _) = conditions(kernel, labels, context)?;
    let mut axes = Vec::with_capacity(contexts.len());
    let mut squares = Vec::with_capacity(contexts.len());
    for (number, &name) in contexts.iter().enumerate() {
        let trials: Vec<usize> = (0..labels.len()).filter(|&t| context[t] == name).collect();
        let axis = |trials: &[usize]| Axis::new(AxisKind::MeanDifference, kernel, labels, trials);
        axes.push(axis(&trials)?);
        let mut square = 0.0;
        for split in 0..splits {
            let mut rng = stream(seed, Domain::Contexts, number, split);
            let [a, b] = halve(kernel, labels, &trials, &mut rng)?;
            square += axis(&a)?.dot(&axis(&b)?, kernel)? / splits as f64;
        }
        squares.push(square);
    }
    let (mut raw, mut corrected, mut pairs) = (0.0, 0.0, 0.0);
    for i in 0..axes.len() {
        for j in i + 1..axes.len() {
            raw += axes[i].cosine(&axes[j], kernel)?;
            corrected += if squares[i] > 0.0 && squares[j] > 0.0 {
                axes[i].dot(&axes[j], kernel)? / (squares[i] * squares[j]).sqrt()
            } else {
                f64::NAN
            };
            pairs += 1.0;
        }
    }
    Ok(Parallelism {
        raw: raw / pairs,
        corrected: corrected / pairs,
    })
}
