//! Loss per day between neighbouring sessions, against practice.

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::solve::minimise;
use super::table::{Options, Table};
use crate::Error;
use crate::inference::{Alternative, add_one_p, factorial_within, next_order};
use crate::random::{Domain, stream};
use crate::statistics::{interval, mean, variance};

/// Fewest steps of an animal: 5! orders.
const STEPS: usize = 5;

/// Change of the rate of loss with practice.
#[derive(Clone, Debug, PartialEq)]
pub struct SlopeTest {
    /// Change of the loss per day with one practice session; mean over animals. Negative: drift slows.
    pub slope: f64,
    /// Lower end of its interval over resamples of (animals and) cells.
    pub lo: f64,
    /// Upper end of its interval.
    pub hi: f64,
    /// Two-sided; the larger of the next two.
    pub p: f64,
    /// Against all orders of the steps, or many.
    pub p_order: f64,
    /// Share of resamples on the rarer side of 0, twice, add-one.
    pub p_resampled: f64,
    /// Loss per day at the middle step, mean over animals.
    pub middle: f64,
    /// Steps of the animal with the fewest.
    pub n_steps: usize,
    /// Cells of the animal with the fewest.
    pub n_cells: usize,
    /// Animals used.
    pub n_animals: usize,
    /// Seed of orders and resamples.
    pub seed: u64,
}

/// Slope of the loss per day over practice, from neighbouring sessions only:
/// least squares of `C(i, i+1) = exp(level − gap · (rate + slope · practice))`, `gap`
/// in days, practice counted from its middle. Working with C and not with its
/// logarithm keeps noise from raising early rates: the logarithm of a noisy number is low on
/// average. `level` is free if gaps differ (something lost whatever the
/// gap would else look like a rate that falls when gaps grow), else 0.
///
/// Two things must agree: the order of steps (permuted; covers noise that
/// all cells share, if steps vary alike) and resamples of cells (cover steps of unequal noise).
/// The p value is the larger. With several animals the slopes are averaged, orders are
/// permuted within each, and animals are drawn before cells.
///
/// The null is a constant loss of similarity per day. A random walk with
/// constant steps breaks it, see [`super::likelihood_test`].
///
/// # Errors
/// [`Error::Undefined`] if no animal has five steps between neighbours with a value; malformed
/// tables as in [`super::fit`].
pub fn rate_slope(tables: &[Table], options: &Options) -> Result<SlopeTest, Error> {
    let animals = gather(tables, &[])?;
    test(&animals, options)
}

/// The slope of `tables` less the mean slope of `others` (one list of animals for each other epoch, in the same
/// order): does the code slow down more than the others of the same cells?
/// Resamples of one number are of the same cells in all tables, and orders are the
/// same for all.
///
/// # Errors
/// As [`rate_slope`]; [`Error::Shape`] unless all lists have the same animals, sessions and numbers of resamples.
pub fn rate_slope_difference(
    tables: &[Table],
    others: &[Vec<Table>],
    options: &Options,
) -> Result<SlopeTest, Error> {
    if others.is_empty() {
        return Err(Error::Nothing("other epochs"));
    }
    for list in others {
        let alike = list.len() == tables.len()
            && list.iter().zip(tables).all(|(a, b)| {
                a.days == b.days
                    && a.practice == b.practice
                    && a.resampled.dim().0 == b.resampled.dim().0
            });
        if !alike {
            return Err(Error::Shape(
                "the epochs differ in animals, sessions or resamples".into(),
            ));
        }
    }
    let animals = gather(tables, others)?;
    test(&animals, options)
}

/// Steps of one animal.
struct Animal {
    gap: Vec<f64>,
    /// From the middle of practice.
    practice: Vec<f64>,
    /// Similarity of every step, for each epoch; the first is the one asked about.
    observed: Vec<Vec<f64>>,
    /// The same of each resample.
    resampled: Vec<Vec<Vec<f64>>>,
    level_free: bool,
    n_cells: usize,
}

fn gather(tables: &[Table], others: &[Vec<Table>]) -> Result<Vec<Animal>, Error> {
    let mut out = Vec::new();
    let mut most = 0;
    for (k, table) in tables.iter().enumerate() {
        let epochs: Vec<&Table> = std::iter::once(table)
            .chain(others.iter().map(|list| &list[k]))
            .collect();
        for epoch in &epochs {
            epoch.check()?;
        }
        let steps: Vec<usize> = (0..table.sessions().saturating_sub(1))
            .filter(|&i| {
                epochs
                    .iter()
                    .all(|e| corrected(e, e.similarity[[i, i + 1]], i).is_finite())
            })
            .collect();
        most = most.max(steps.len());
        if steps.len() < STEPS {
            continue;
        }
        let gap: Vec<f64> = steps
            .iter()
            .map(|&i| table.days[i + 1] - table.days[i])
            .collect();
        let middle: Vec<f64> = steps
            .iter()
            .map(|&i| 0.5 * (table.practice[i] + table.practice[i + 1]))
            .collect();
        let centre = mean(&middle);
        let resamples = table.resampled.dim().0;
        out.push(Animal {
            level_free: gap.iter().any(|g| (g - gap[0]).abs() > 1e-6 * gap[0]),
            practice: middle.iter().map(|p| p - centre).collect(),
            observed: epochs
                .iter()
                .map(|e| {
                    steps
                        .iter()
                        .map(|&i| corrected(e, e.similarity[[i, i + 1]], i))
                        .collect()
                })
                .collect(),
            resampled: (0..resamples)
                .map(|b| {
                    epochs
                        .iter()
                        .map(|e| {
                            steps
                                .iter()
                                .map(|&i| corrected(e, e.resampled[[b, i, i + 1]], i))
                                .collect()
                        })
                        .collect()
                })
                .collect(),
            gap,
            n_cells: epochs.iter().map(|e| e.n_cells).min().unwrap_or(0),
        });
    }
    if out.is_empty() {
        return Err(Error::Undefined(format!(
            "{most} steps between neighbouring sessions: a trend over practice needs {STEPS}"
        )));
    }
    Ok(out)
}

/// A similarity of sessions `i` and `i + 1` without their amplitudes.
fn corrected(table: &Table, value: f64, i: usize) -> f64 {
    table
        .amplitude
        .as_ref()
        .map_or(value, |a| value / (a[i] * a[i + 1]))
}

impl Animal {
    /// Slope and rate of the first epoch, the mean slope of others taken off;
    /// the similarities come in the given order, gaps with them.
    fn slope(&self, similarity: &[Vec<f64>], order: &[usize]) -> (f64, f64) {
        let gap: Vec<f64> = order.iter().map(|&k| self.gap[k]).collect();
        let found: Vec<(f64, f64)> = similarity
            .iter()
            .map(|all| {
                let values: Vec<f64> = order.iter().map(|&k| all[k]).collect();
                trend(&values, &gap, &self.practice, self.level_free)
            })
            .collect();
        let others: Vec<f64> = found[1..].iter().map(|f| f.0).collect();
        let reference = if others.is_empty() {
            0.0
        } else {
            mean(&others)
        };
        (found[0].0 - reference, found[0].1)
    }

    fn whole(&self) -> Vec<usize> {
        (0..self.gap.len()).collect()
    }
}

/// Slope over practice and rate at its middle.
fn trend(similarity: &[f64], gap: &[f64], practice: &[f64], level_free: bool) -> (f64, f64) {
    if similarity.iter().any(|v| !v.is_finite()) {
        return (f64::NAN, f64::NAN);
    }
    let usual = mean(gap);
    let reach = practice.iter().fold(1e-9, |m: f64, p| m.max(p.abs()));
    let start = -(mean(similarity).max(0.02)).ln() / usual;
    let steepest = 20.0 / usual / reach;
    let mut first = vec![start, 0.0];
    let mut bounds = vec![(-2.0 / usual, 20.0 / usual), (-steepest, steepest)];
    if level_free {
        first.push(0.0);
        bounds.push((-1.5, 0.2));
    }
    let (p, cost) = minimise(&first, &bounds, |p| {
        let level = p.get(2).copied().unwrap_or(0.0);
        similarity
            .iter()
            .zip(gap)
            .zip(practice)
            .map(|((c, g), x)| (level - g * (p[0] + p[1] * x)).min(3.0).exp() - c)
            .collect()
    });
    if cost.is_finite() {
        (p[1], p[0])
    } else {
        (f64::NAN, f64::NAN)
    }
}

fn test(animals: &[Animal], options: &Options) -> Result<SlopeTest, Error> {
    options.check()?;
    let of = |orders: &[Vec<usize>]| {
        let slopes: Vec<f64> = animals
            .iter()
            .zip(orders)
            .map(|(a, order)| a.slope(&a.observed, order).0)
            .collect();
        mean(&slopes)
    };
    let whole: Vec<Vec<usize>> = animals.iter().map(Animal::whole).collect();
    let slope = of(&whole);
    if !slope.is_finite() {
        return Err(Error::Undefined(
            "no trend fits the neighbouring sessions".into(),
        ));
    }
    let middles: Vec<f64> = animals
        .iter()
        .zip(&whole)
        .map(|(a, o)| a.slope(&a.observed, o).1)
        .collect();
    let all = factorial_within(whole[0].len(), options.permutations).filter(|_| animals.len() == 1);
    let p_order = if let Some(all) = all {
        let mut order = whole[0].clone();
        let mut reached = 1;
        while next_order(&mut order) {
            let value = of(std::slice::from_ref(&order));
            reached += usize::from(Alternative::TwoSided.reaches(value, slope));
        }
        reached as f64 / all as f64
    } else {
        let reached = (0..options.permutations)
            .into_par_iter()
            .filter(|&k| {
                let mut rng = stream(options.seed, Domain::Sessions, k as u64);
                let mut orders = whole.clone();
                for order in &mut orders {
                    order.shuffle(&mut rng);
                }
                Alternative::TwoSided.reaches(of(&orders), slope)
            })
            .count();
        add_one_p(reached, options.permutations)
    };
    let resampled = resampled(animals, options.seed);
    let (lo, hi) = interval(&resampled, options.confidence);
    let finite: Vec<f64> = resampled
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    let below = finite.iter().filter(|&&v| v <= 0.0).count();
    let above = finite.iter().filter(|&&v| v >= 0.0).count();
    let p_resampled = if lo.is_finite() && variance(&finite) > 0.0 {
        (2.0 * add_one_p(below.min(above), finite.len())).min(1.0)
    } else {
        f64::NAN
    };
    Ok(SlopeTest {
        slope,
        lo,
        hi,
        // NaN (no resamples) leaves the order alone to decide.
        p: p_order.max(p_resampled),
        p_order,
        p_resampled,
        middle: mean(&middles),
        n_steps: whole.iter().map(Vec::len).min().unwrap_or(0),
        n_cells: animals.iter().map(|a| a.n_cells).min().unwrap_or(0),
        n_animals: animals.len(),
        seed: options.seed,
    })
}

/// Slopes of resamples: of cells, after animals if there are several.
fn resampled(animals: &[Animal], seed: u64) -> Vec<f64> {
    let count = animals.iter().map(|a| a.resampled.len()).min().unwrap_or(0);
    let slopes: Vec<Vec<f64>> = animals
        .iter()
        .map(|a| {
            let order = a.whole();
            (0..count)
                .into_par_iter()
                .map(|b| a.slope(&a.resampled[b], &order).0)
                .collect()
        })
        .collect();
    if let [one] = slopes.as_slice() {
        return one.clone();
    }
    (0..count)
        .map(|b| {
            let mut rng = stream(seed, Domain::Animals, b as u64);
            let drawn: Vec<f64> = (0..slopes.len())
                .map(|_| slopes[rng.random_range(0..slopes.len())][rng.random_range(0..count)])
                .collect();
            mean(&drawn)
        })
        .collect()
}
