//! Decoder axes: directions in the space of cells, written as sums of trials.

use ndarray::ArrayView2;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::random::{Domain, stream};
use crate::validation::check_count;
use crate::{Decoder, Error, Kernel, Workspace};

/// A direction `w = Σ c x` in the space of cells, by its coefficient for each
/// sample of a Gram matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// One per sample of the matrix; 0 where a trial has no part.
    pub coefficients: Vec<f64>,
}

/// Which direction stands for a code.
#[derive(Clone, Copy)]
pub enum AxisKind<'a> {
    /// Difference of the two class means, first minus second.
    MeanDifference,
    /// The weights of a decoder.
    Weights(&'a dyn Decoder),
    /// The pattern of a decoder, the covariance of the training trials times
    /// its weights (Haufe et al. 2014, NeuroImage 87:96): where the signal is,
    /// rather than what cancels noise.
    Pattern(&'a dyn Decoder),
}

impl std::fmt::Debug for AxisKind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MeanDifference => "MeanDifference",
            Self::Weights(_) => "Weights",
            Self::Pattern(_) => "Pattern",
        })
    }
}

impl Axis {
    /// The axis between the first two classes, ascending, of some trials.
    ///
    /// # Errors
    /// As [`Decoder::fit`].
    pub fn new(
        kind: AxisKind<'_>,
        kernel: &Kernel,
        labels: &[i64],
        trials: &[usize],
    ) -> Result<Self, Error> {
        let classes = kernel.classes(labels, trials)?;
        let mut coefficients = vec![0.0; kernel.trials()];
        match kind {
            AxisKind::MeanDifference => {
                for (&class, sign) in classes.iter().zip([1.0, -1.0]) {
                    let of_class = || trials.iter().filter(|&&t| labels[t] == class);
                    let n = of_class().count() as f64;
                    of_class().for_each(|&t| coefficients[t] += sign / n);
                }
            }
            AxisKind::Weights(decoder) | AxisKind::Pattern(decoder) => {
                let pair: Vec<usize> = trials
                    .iter()
                    .copied()
                    .filter(|&t| labels[t] == classes[0] || labels[t] == classes[1])
                    .collect();
                let model = decoder.fit(kernel, labels, &pair, &mut Workspace::default())?;
                let weights = model.coefficients(0).unwrap_or_default();
                for (&trial, &weight) in pair.iter().zip(weights) {
                    coefficients[trial] += weight;
                }
                if matches!(kind, AxisKind::Pattern(_)) {
                    coefficients = pattern(kernel, &coefficients, &pair);
                }
            }
        }
        Ok(Self { coefficients })
    }

    /// Inner product of two axes of the same Gram matrix.
    ///
    /// # Errors
    /// [`Error::Shape`] if an axis is of another matrix.
    pub fn dot(&self, other: &Self, kernel: &Kernel) -> Result<f64, Error> {
        for axis in [self, other] {
            if axis.coefficients.len() != kernel.trials() {
                return Err(Error::Shape(format!(
                    "an axis of {} samples in a Gram matrix of {}",
                    axis.coefficients.len(),
                    kernel.trials()
                )));
            }
        }
        let sum = self.coefficients.iter().enumerate();
        Ok(sum
            .filter(|(_, a)| **a != 0.0)
            .map(|(i, a)| {
                let row = kernel.row(i).iter().zip(&other.coefficients);
                a * row.map(|(k, b)| k * b).sum::<f64>()
            })
            .sum())
    }

    /// Cosine of the angle between two axes; NaN if one has no length.
    ///
    /// # Errors
    /// As [`Axis::dot`].
    pub fn cosine(&self, other: &Self, kernel: &Kernel) -> Result<f64, Error> {
        let product = self.dot(other, kernel)?;
        let lengths = self.dot(self, kernel)? * other.dot(other, kernel)?;
        Ok(if lengths > 0.0 {
            (product / lengths.sqrt()).clamp(-1.0, 1.0)
        } else {
            f64::NAN
        })
    }
}

/// Covariance times weights: with trials centred by `H`, the coefficients
/// `H K c / (n − 1)`.
fn pattern(kernel: &Kernel, coefficients: &[f64], trials: &[usize]) -> Vec<f64> {
    let mut values: Vec<f64> = trials
        .iter()
        .map(|&t| {
            let row = kernel.row(t).iter().zip(coefficients);
            row.map(|(k, c)| k * c).sum()
        })
        .collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let mut out = vec![0.0; coefficients.len()];
    for (&trial, value) in trials.iter().zip(&mut values) {
        out[trial] += (*value - mean) / (n - 1.0).max(1.0);
    }
    out
}

/// Cosine of two axes between noisy vectors that differ by `effect` per cell
/// *without any drift*: with `cells`, noise of standard deviation `sd` and
/// `trials` per class and session, `‖δ‖² / (‖δ‖² + 2 N σ² / n)`.
pub fn cosine_without_drift(effect: f64, sd: f64, cells: usize, trials: usize) -> f64 {
    let signal = effect * effect * cells as f64;
    signal / (signal + 2.0 * cells as f64 * sd * sd / trials as f64)
}

/// The angle between the axes of two sessions with its noise floor.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisAngle {
    /// Cosine of the axes from all trials. Noise alone turns axes: compare it
    /// with the floor, not with 1.
    pub cosine: f64,
    /// Cosine between the axes of two halves of the first session, mean over
    /// splits.
    pub reliability_first: f64,
    /// The same of the second session.
    pub reliability_second: f64,
    /// What `cosine` would be without drift: halves brought to full length
    /// by Spearman and Brown, geometric mean of both sessions. NaN if a
    /// reliability is not above 0.
    pub floor: f64,
    /// Cosine of axes without noise: between halves of different sessions,
    /// over the geometric mean of both reliabilities. NaN if one of them is
    /// not above 0; may exceed 1 by chance.
    pub corrected: f64,
}

/// Compares the axes of two sessions whose trials lie in one Gram matrix
/// (in the same units), with `splits` random halvings stratified by class.
///
/// Disattenuation is exact for differences of means; for other axes it is an
/// approximation, because their direction depends on the number of trials.
///
/// # Errors
/// [`Error::Parameter`] without splits, [`Error::TooFewTrials`] if a class has
/// fewer than two trials; as [`Axis::new`].
pub fn axis_angle(
    kind: AxisKind<'_>,
    kernel: &Kernel,
    labels: &[i64],
    first: &[usize],
    second: &[usize],
    splits: usize,
    seed: u64,
) -> Result<AxisAngle, Error> {
    check_count("splits", splits, 1)?;
    let whole = |trials: &[usize]| Axis::new(kind, kernel, labels, trials);
    let cosine = whole(first)?.cosine(&whole(second)?, kernel)?;
    let (mut own, mut between) = ([0.0; 2], 0.0);
    for split in 0..splits {
        let mut rng = stream(seed, Domain::Halves, 0, split);
        let mut halves = Vec::with_capacity(4);
        for trials in [first, second] {
            for half in halve(kernel, labels, trials, &mut rng)? {
                halves.push(whole(&half)?);
            }
        }
        own[0] += halves[0].cosine(&halves[1], kernel)? / splits as f64;
        own[1] += halves[2].cosine(&halves[3], kernel)? / splits as f64;
        for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            between += halves[a].cosine(&halves[b], kernel)? / (4 * splits) as f64;
        }
    }
    let full = own.map(|r| 2.0 * r / (1.0 + r));
    let both = own.iter().all(|&r| r > 0.0);
    Ok(AxisAngle {
        cosine,
        reliability_first: own[0],
        reliability_second: own[1],
        floor: if both {
            (full[0] * full[1]).sqrt()
        } else {
            f64::NAN
        },
        corrected: if both {
            between / (own[0] * own[1]).sqrt()
        } else {
            f64::NAN
        },
    })
}

/// Two halves with as much of every class in each.
pub(crate) fn halve(
    kernel: &Kernel,
    labels: &[i64],
    trials: &[usize],
    rng: &mut ChaCha8Rng,
) -> Result<[Vec<usize>; 2], Error> {
    let mut halves = [Vec::new(), Vec::new()];
    let mut turn = 0;
    for class in kernel.classes(labels, trials)? {
        let mut members: Vec<usize> = trials
            .iter()
            .copied()
            .filter(|&t| labels[t] == class)
            .collect();
        if members.len() < 2 {
            return Err(Error::TooFewTrials {
                label: class,
                trials: members.len(),
                folds: 2,
            });
        }
        members.shuffle(rng);
        for trial in members {
            halves[turn % 2].push(trial);
            turn += 1;
        }
        // An odd class ends on one side; the next one starts on the other.
    }
    for half in &mut halves {
        half.sort_unstable();
    }
    Ok(halves)
}

/// Cosine between two axes of different sessions from blocks: `own` Gram
/// matrices of each, and `cross` `(trial of a, trial of b)` between them; `a`
/// and `b` are one coefficient per trial. NaN if an axis has no length.
///
/// # Errors
/// [`Error::Shape`] if the sizes disagree.
pub fn cosine_of_blocks(
    a: &[f64],
    b: &[f64],
    own_a: ArrayView2<'_, f64>,
    own_b: ArrayView2<'_, f64>,
    cross: ArrayView2<'_, f64>,
) -> Result<f64, Error> {
    let form = |left: &[f64], matrix: ArrayView2<'_, f64>, right: &[f64]| {
        if matrix.dim() != (left.len(), right.len()) {
            return Err(Error::Shape(format!(
                "a block of {:?} for axes of {} and {} trials",
                matrix.dim(),
                left.len(),
                right.len()
            )));
        }
        Ok(matrix
            .rows()
            .into_iter()
            .zip(left)
            .map(|(row, l)| l * row.iter().zip(right).map(|(k, r)| k * r).sum::<f64>())
            .sum::<f64>())
    };
    let lengths = form(a, own_a, a)? * form(b, own_b, b)?;
    let product = form(a, cross, b)?;
    Ok(if lengths > 0.0 {
        (product / lengths.sqrt()).clamp(-1.0, 1.0)
    } else {
        f64::NAN
    })
}
