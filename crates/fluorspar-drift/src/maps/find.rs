//! How many maps a session holds, tested.

use ndarray::{Array2, ArrayView3};
use rand::RngExt;
use rayon::prelude::*;

use super::moments::Sparse;
use super::split::{best_division, likeness, settle};
use crate::Error;
use crate::inference::add_one_p;
use crate::random::{Domain, stream};

/// How [`find_maps`] decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapParameters {
    /// Largest p at which traversals are held to be in different maps.
    pub alpha: f64,
    /// Largest similarity that two different maps may have, 1 being that of a
    /// map with itself. Sets of traversals that differ significantly but are
    /// more alike than this are one map that varies.
    pub max_similarity: f64,
    /// Fewest traversals of a map.
    pub min_traversals: usize,
    /// Most maps looked for.
    pub max_maps: usize,
    /// Most surrogate sessions behind each p.
    pub surrogates: usize,
    /// Seed of the surrogates.
    pub seed: u64,
}

impl Default for MapParameters {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            max_similarity: 0.5,
            min_traversals: 3,
            max_maps: 4,
            surrogates: 499,
            seed: 1,
        }
    }
}

impl MapParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let share = "must lie between 0 and 1";
        for (ok, name, value, rule) in [
            (
                self.alpha > 0.0 && self.alpha < 1.0,
                "alpha",
                self.alpha,
                share,
            ),
            (
                self.max_similarity > 0.0 && self.max_similarity < 1.0,
                "max_similarity",
                self.max_similarity,
                share,
            ),
            (
                self.min_traversals >= 2,
                "min_traversals",
                self.min_traversals as f64,
                "must be at least 2",
            ),
            (
                self.max_maps >= 1,
                "max_maps",
                self.max_maps as f64,
                "must be at least 1",
            ),
            (
                add_one_p(0, self.surrogates) <= self.alpha,
                "surrogates",
                self.surrogates as f64,
                "is too small for a p of alpha",
            ),
        ] {
            if !ok {
                return Err(Error::Parameter { name, value, rule });
            }
        }
        Ok(())
    }
}

/// How the maps of a session follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One map.
    One,
    /// Several maps, none of which comes back after another: within this
    /// session alone an abrupt lasting change looks the same. If a map comes
    /// back in another session ([`super::align_maps`]) it was a switch.
    Step,
    /// Several maps, of which at least one comes back.
    Alternating,
}

impl Pattern {
    /// The pattern as a word for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Step => "step",
            Self::Alternating => "alternating",
        }
    }
}

/// A test of whether some traversals of a session hold one map or two.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Traversals in either set of the best division.
    pub sizes: [usize; 2],
    /// How far the similarity between the sets falls short of what one map
    /// would have at the same distances in time, times the root of the
    /// product of the sizes.
    pub statistic: f64,
    /// Similarity between the sets as a share of that of one map: 1 for one
    /// map, 0 for maps with nothing in common. The best division is chosen,
    /// so that chance makes it smaller than 1: about 0.8 where traversals are noisy.
    pub similarity: f64,
    /// Share of surrogate sessions that reach the statistic, add-one; no more
    /// are drawn once it is clear that it will not be small enough. NaN, as
    /// it does not matter, if the sets are too similar for two maps.
    pub p: f64,
    /// Whether it counts as two maps.
    pub accepted: bool,
}

/// The maps of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionMaps {
    /// The map of each traversal, from 0 in the order of appearance; `None`
    /// for one without activity that can be compared.
    pub map: Vec<Option<usize>>,
    /// How many there are.
    pub count: usize,
    /// How they follow each other.
    pub pattern: Pattern,
    /// Mean similarity of two traversals of the same map, by map: the
    /// reliability of a single traversal. About 0 if there is nothing but noise.
    pub within: Vec<f64>,
    /// Similarity of maps `(map, map)`, corrected for reliability; 1 on the
    /// diagonal, NaN where a reliability is not above 0.
    pub between: Array2<f64>,
    /// How much surer each traversal is of its map than of the next best, in
    /// units of the similarity of one map; infinite if there is one map, NaN
    /// if it has none. Small or negative: it could be either.
    pub margin: Vec<f64>,
    /// Every test made, the whole session first.
    pub splits: Vec<Split>,
    /// The null hypothesis of the tests.
    pub null: &'static str,
    /// Seed of the surrogates.
    pub seed: u64,
}

/// Surrogates between two looks at whether more are worth their time.
const BATCH: usize = 16;
const NULL: &str = "every cell changes at its own time";

/// Finds the maps of a session, and tests whether there is more than one.
///
/// Activity `(traversal, cell, bin)`, traversals in the order of time: rates
/// by place for one running direction, or for both one after the other on the
/// axis of bins. Every cell must have been seen in the whole session.
///
/// 1. Traversals are divided in two so that the similarity between the sets
///    falls as short as possible of that within them at the same distance in
///    time ([`Split::statistic`]).
/// 2. The same is done in surrogate sessions in which each cell's course over
///    traversals is moved round by a number of traversals of its own, and
///    reversed or not. What single cells do, noise and drift included, stays;
///    that they do it together goes.
/// 3. Two maps are found if no more than a share [`MapParameters::alpha`] of
///    the surrogates reach the statistic and the similarity is at most
///    [`MapParameters::max_similarity`]. Each set is then divided further.
///
/// In simulated sessions of one map (80 cells, 8 to 30 traversals, still or
/// with up to a third of the cells changing before each traversal) p ≤ 0.05
/// occurs in 3.5 to 6.3 % of 400. The level is that of the test for cells whose
/// changes do not depend on each other. If all cells change together but
/// gradually, from one map into another in the course of the session, p may be
/// small; but traversals that follow each other stay alike, and this is not
/// called two maps.
///
/// Works on the caller's rayon pool; the result does not depend on the number
/// of threads.
///
/// # Errors
/// [`Error::Parameter`]; [`Error::Nothing`]; [`Error::NotFinite`];
/// [`Error::Undefined`] if fewer than twice `min_traversals` traversals can be
/// compared.
pub fn find_maps(
    activity: ArrayView3<'_, f32>,
    parameters: &MapParameters,
) -> Result<SessionMaps, Error> {
    parameters.validate()?;
    let sparse = Sparse::new(activity)?;
    let similarity = sparse.similarity(|_, traversal| traversal);
    let usable: Vec<usize> = (0..sparse.traversals)
        .filter(|&a| similarity.row(a).iter().any(|v| v.is_finite()))
        .collect();
    // Saturating: the parameter may be anything.
    let needed = parameters.min_traversals.saturating_mul(2);
    if usable.len() < needed {
        return Err(Error::Undefined(format!(
            "{} traversals with activity that can be compared; several maps cannot be told from one below {needed}",
            usable.len()
        )));
    }
    let filled = Array2::from_shape_fn((usable.len(), usable.len()), |(a, b)| {
        let value = similarity[[usable[a], usable[b]]];
        if a != b && value.is_finite() {
            value
        } else {
            0.0
        }
    });
    let (label, splits) = divide_further(&sparse.of(&usable), parameters);
    let label = sort_out(&filled, label, parameters);
    let mut found = describe(&filled, &label);
    // Silent traversals have no place among the maps.
    let of_all = |a: usize| usable.binary_search(&a).ok();
    found.map = (0..sparse.traversals)
        .map(|a| of_all(a).map(|place| label[place]))
        .collect();
    found.margin = (0..sparse.traversals)
        .map(|a| of_all(a).map_or(f64::NAN, |place| found.margin[place]))
        .collect();
    Ok(SessionMaps {
        splits,
        seed: parameters.seed,
        ..found
    })
}

/// Divides a session, then its parts, as long as the test finds two maps: the
/// set of each traversal and all tests.
fn divide_further(session: &Sparse, parameters: &MapParameters) -> (Vec<usize>, Vec<Split>) {
    let mut splits = Vec::new();
    let mut label = vec![0; session.traversals];
    let (mut sets, mut next) = (1, 0);
    while next < sets {
        let set: Vec<usize> = (0..label.len()).filter(|&a| label[a] == next).collect();
        let enough = set.len() / 2 >= parameters.min_traversals;
        let test = (enough && sets < parameters.max_maps)
            .then(|| divide(&session.of(&set), parameters, splits.len() as u64))
            .flatten();
        let accepted = test.as_ref().is_some_and(|(split, _)| split.accepted);
        if let Some((split, side)) = test {
            splits.push(split);
            if accepted {
                for (&a, &side) in set.iter().zip(&side) {
                    label[a] = if side == 0 { next } else { sets };
                }
                sets += 1;
            }
        }
        if !accepted {
            next += 1;
        }
    }
    (label, splits)
}

/// The best division of a session and its test.
fn divide(part: &Sparse, parameters: &MapParameters, test: u64) -> Option<(Split, Vec<usize>)> {
    let observed = best_division(
        &part.similarity(|_, traversal| traversal),
        parameters.min_traversals,
    )?;
    let n = part.traversals;
    let reaches = |surrogate: usize| {
        let index = (test << 32) | surrogate as u64;
        let mut rng = stream(parameters.seed, Domain::Maps, index);
        let course: Vec<(usize, bool)> = (0..part.cells.len())
            .map(|_| (rng.random_range(0..n), rng.random()))
            .collect();
        let similarity = part.similarity(|cell, traversal| {
            let (shift, reversed) = course[cell];
            let place = (traversal + shift) % n;
            if reversed { n - 1 - place } else { place }
        });
        best_division(&similarity, parameters.min_traversals)
            .is_some_and(|found| found.statistic >= observed.statistic)
    };
    let distinct = observed.similarity <= parameters.max_similarity;
    let (mut reached, mut drawn) = (0, 0);
    let wanted = if distinct { parameters.surrogates } else { 0 };
    while drawn < wanted && add_one_p(reached, parameters.surrogates) <= parameters.alpha {
        let batch = drawn..(drawn + BATCH).min(wanted);
        drawn = batch.end;
        reached += batch.into_par_iter().filter(|&k| reaches(k)).count();
    }
    let p = if distinct {
        add_one_p(reached, drawn)
    } else {
        f64::NAN
    };
    let second = observed.label.iter().sum::<usize>();
    let split = Split {
        sizes: [n - second, second],
        statistic: observed.statistic,
        similarity: observed.similarity,
        p,
        accepted: distinct && p <= parameters.alpha,
    };
    Some((split, observed.label))
}

/// Joins sets that are one map after all (a division in two cuts the third of
/// three maps in half), sorts traversals among all sets at once, and numbers
/// the sets in the order of appearance.
fn sort_out(
    similarity: &Array2<f64>,
    mut label: Vec<usize>,
    parameters: &MapParameters,
) -> Vec<usize> {
    loop {
        number(&mut label);
        let sets = label.iter().max().map_or(0, |k| k + 1);
        if let Some(settled) = settle(similarity, label.clone(), sets)
            && (0..sets).all(|k| {
                let size = settled.iter().filter(|l| **l == k).count();
                size >= parameters.min_traversals
            })
        {
            label = settled;
            number(&mut label);
        }
        let between = between(&means(similarity, &label, sets));
        let alike = (0..sets)
            .flat_map(|k| (k + 1..sets).map(move |l| (k, l)))
            .filter(|&pair| between[pair] > parameters.max_similarity)
            .max_by(|&a, &b| between[a].total_cmp(&between[b]));
        let Some((k, l)) = alike else {
            return label;
        };
        for set in &mut label {
            if *set == l {
                *set = k;
            }
        }
    }
}

fn number(label: &mut [usize]) {
    let mut order = Vec::new();
    for set in label {
        let place = order.iter().position(|k| k == set);
        *set = place.unwrap_or_else(|| {
            order.push(*set);
            order.len() - 1
        });
    }
}

/// What the maps of traversals are to each other.
fn describe(similarity: &Array2<f64>, label: &[usize]) -> SessionMaps {
    let count = label.iter().max().map_or(0, |k| k + 1);
    let within = means(similarity, label, count);
    let likeness = likeness(similarity, label, count);
    let margin = (0..label.len()).map(|a| {
        let Some(likeness) = &likeness else {
            return f64::NAN;
        };
        let own = label[a];
        let other = (0..count)
            .filter(|&k| k != own)
            .map(|k| likeness[[a, k]])
            .fold(f64::NEG_INFINITY, f64::max);
        (likeness[[a, own]] - other) / within[[own, own]].max(1e-6).sqrt()
    });
    let changes = label.windows(2).filter(|pair| pair[0] != pair[1]).count();
    SessionMaps {
        map: label.iter().copied().map(Some).collect(),
        count,
        pattern: match count {
            0 | 1 => Pattern::One,
            _ if changes + 1 > count => Pattern::Alternating,
            _ => Pattern::Step,
        },
        within: (0..count).map(|k| within[[k, k]]).collect(),
        between: between(&within),
        margin: margin.collect(),
        splits: Vec::new(),
        null: NULL,
        seed: 0,
    }
}

/// Mean similarities `(map, map)` divided by the roots of those within.
fn between(means: &Array2<f64>) -> Array2<f64> {
    Array2::from_shape_fn(means.dim(), |(k, l)| {
        let (own, other) = (means[[k, k]], means[[l, l]]);
        if own > 0.0 && other > 0.0 {
            means[[k, l]] / (own * other).sqrt()
        } else {
            f64::NAN
        }
    })
}

/// Mean similarity of distinct traversals of every two maps.
fn means(similarity: &Array2<f64>, label: &[usize], count: usize) -> Array2<f64> {
    let mut sum = Array2::<f64>::zeros((count, count));
    let mut pairs = Array2::<f64>::zeros((count, count));
    for ((a, b), &value) in similarity.indexed_iter() {
        if a != b {
            sum[[label[a], label[b]]] += value;
            pairs[[label[a], label[b]]] += 1.0;
        }
    }
    sum / pairs
}
