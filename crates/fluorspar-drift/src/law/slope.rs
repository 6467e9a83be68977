//! Loss per day between neighbouring sessions, against practice.

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::solve::{dot, minimise};
use super::table::{Options, Table};
use crate::Error;
use crate::inference::{Alternative, add_one_p, factorial_within, next_order};
use crate::random::{Domain, stream};
use crate::statistics::{interval, mean, variance};

/// Fewest steps of an animal: 5! orders.
const STEPS: usize = 5;
/// Resamples from which the spread of a slope is taken.
const SPREAD: usize = 200;

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
/// Two things must agree: the order of steps (permuted; covers steps that
/// vary by chance) and resamples of cells (cover noise). Neighbouring steps share a session and
/// late ones may be less noisy than early ones, so that orders are not alike
/// even if drift is constant; therefore what is compared between orders is the slope
/// in units of its spread over resamples in that order (Janssen 1997, Stat Probab Lett
/// 36:9). The p value is the larger of both. With several animals the slopes are
/// averaged, orders are permuted within each, and animals are drawn before cells.
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

/// What one order of one animal's steps gives.
struct Found {
    /// Slope of the first epoch, the mean slope of others taken off.
    slope: f64,
    /// Rate of the first epoch at the middle of practice.
    rate: f64,
    /// Variance of the slope over resamples, to first order; NaN without resamples.
    variance: f64,
}

impl Animal {
    /// The similarities come in the given order, gaps with them.
    fn slope(&self, similarity: &[Vec<f64>], order: &[usize], spread: bool) -> Found {
        let gap: Vec<f64> = order.iter().map(|&k| self.gap[k]).collect();
        let mut out = Found {
            slope: 0.0,
            rate: f64::NAN,
            variance: f64::NAN,
        };
        let others = (similarity.len() - 1) as f64;
        let mut leverage = Vec::new();
        for (epoch, all) in similarity.iter().enumerate() {
            let values: Vec<f64> = order.iter().map(|&k| all[k]).collect();
            let p = trend(&values, &gap, &self.practice, self.level_free);
            let share = if epoch == 0 { 1.0 } else { -1.0 / others };
            out.slope += share * p[1];
            if epoch == 0 {
                out.rate = p[0];
            }
            if spread {
                let weights = weights(&p, &gap, &self.practice);
                leverage.push(weights.iter().map(|w| share * w).collect::<Vec<f64>>());
            }
        }
        if spread {
            let moved: Vec<f64> = self
                .resampled
                .iter()
                .take(SPREAD)
                .map(|epochs| {
                    let of = |(all, weights): (&Vec<f64>, &Vec<f64>)| -> f64 {
                        order.iter().zip(weights).map(|(&k, w)| w * all[k]).sum()
                    };
                    epochs.iter().zip(&leverage).map(of).sum()
                })
                .filter(|v: &f64| v.is_finite())
                .collect();
            out.variance = variance(&moved);
        }
        out
    }

    fn whole(&self) -> Vec<usize> {
        (0..self.gap.len()).collect()
    }
}

/// Expected similarity of a step.
fn expected(p: &[f64], gap: f64, practice: f64) -> f64 {
    let level = p.get(2).copied().unwrap_or(0.0);
    (level - gap * (p[0] + p[1] * practice)).min(3.0).exp()
}

/// Rate at the middle of practice, slope, and the level if it is free.
fn trend(similarity: &[f64], gap: &[f64], practice: &[f64], level_free: bool) -> Vec<f64> {
    let nothing = vec![f64::NAN; 2];
    if similarity.iter().any(|v| !v.is_finite()) {
        return nothing;
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
        let steps = similarity.iter().zip(gap).zip(practice);
        steps.map(|((c, &g), &x)| expected(p, g, x) - c).collect()
    });
    if cost.is_finite() { p } else { nothing }
}

/// How much the slope moves with each similarity, to first order: the row of
/// `(JᵀJ)⁻¹ Jᵀ` that belongs to it.
fn weights(p: &[f64], gap: &[f64], practice: &[f64]) -> Vec<f64> {
    let columns: Vec<Vec<f64>> = {
        let steps = || gap.iter().zip(practice);
        let value = |(&g, &x): (&f64, &f64)| expected(p, g, x);
        let mut columns = vec![
            steps().map(|s| -s.0 * s.1 * value(s)).collect(),
            steps().map(|s| -s.0 * value(s)).collect::<Vec<f64>>(),
        ];
        if p.len() > 2 {
            columns.push(steps().map(value).collect());
        }
        columns
    };
    // What of the slope's column the others cannot do.
    let mut own = columns[0].clone();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for column in &columns[1..] {
        let mut direction = column.clone();
        for known in &basis {
            let along = dot(known, &direction);
            direction
                .iter_mut()
                .zip(known)
                .for_each(|(d, k)| *d -= along * k);
        }
        let length = dot(&direction, &direction).sqrt();
        let direction: Vec<f64> = direction.iter().map(|d| d / length).collect();
        if direction.iter().all(|d| d.is_finite()) {
            let along = dot(&direction, &own);
            own.iter_mut()
                .zip(&direction)
                .for_each(|(o, d)| *o -= along * d);
            basis.push(direction);
        }
    }
    let square = dot(&own, &own);
    own.iter().map(|o| o / square).collect()
}

fn test(animals: &[Animal], options: &Options) -> Result<SlopeTest, Error> {
    options.check()?;
    let known = animals.iter().all(|a| a.resampled.len() >= STEPS);
    // Mean slope over animals, and the same in units of its spread.
    let of = |orders: &[Vec<usize>]| {
        let found: Vec<Found> = animals
            .iter()
            .zip(orders)
            .map(|(a, order)| a.slope(&a.observed, order, known))
            .collect();
        let n = found.len() as f64;
        let slope = found.iter().map(|f| f.slope).sum::<f64>() / n;
        let spread = found.iter().map(|f| f.variance).sum::<f64>().sqrt() / n;
        let ratio = if spread > 0.0 {
            slope / spread
        } else {
            f64::NAN
        };
        (slope, if known { ratio } else { slope })
    };
    let whole: Vec<Vec<usize>> = animals.iter().map(Animal::whole).collect();
    let (slope, observed) = of(&whole);
    if !observed.is_finite() {
        return Err(Error::Undefined(
            "no trend fits the neighbouring sessions".into(),
        ));
    }
    let rates = animals.iter().zip(&whole);
    let middles: Vec<f64> = rates
        .map(|(a, o)| a.slope(&a.observed, o, false).rate)
        .collect();
    let all = factorial_within(whole[0].len(), options.permutations).filter(|_| animals.len() == 1);
    let p_order = if let Some(all) = all {
        let mut order = whole[0].clone();
        let mut reached = 1;
        while next_order(&mut order) {
            let value = of(std::slice::from_ref(&order)).1;
            reached += usize::from(Alternative::TwoSided.reaches(value, observed));
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
                Alternative::TwoSided.reaches(of(&orders).1, observed)
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
                .map(|b| a.slope(&a.resampled[b], &order, false).slope)
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
