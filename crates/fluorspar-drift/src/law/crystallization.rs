//! Whether a rate that falls explains more than any steady drift.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::excess::Excess;
use super::fit::{Fit, Grid, Problem, expected_at};
use super::shape::Law;
use super::table::{Options, Table};
use crate::Error;
use crate::inference::{Alternative, add_one_p};
use crate::random::{Domain, stream};

/// What steady drift may look like; the exponential is a plateau at 0.
const NULLS: [Law; 3] = [Law::Plateau, Law::RandomWalk, Law::SteadySteps];
/// Fewest sessions of an animal.
const SESSIONS: usize = 6;

/// [`Law::Crystallizing`] against the nulls.
#[derive(Clone, Debug, PartialEq)]
pub struct LikelihoodTest {
    /// The largest p value of the nulls: all must be rejected.
    pub p: f64,
    /// The null that is hardest to reject.
    pub hardest: Law,
    /// Its ratio.
    pub ratio: f64,
    /// All nulls.
    pub nulls: Vec<NullLaw>,
    /// Fit of the crystallizing law to each animal.
    pub fits: Vec<Fit>,
    /// Sessions of the animal with the fewest.
    pub n_sessions: usize,
    /// Cells of the animal with the fewest.
    pub n_cells: usize,
    /// Animals used.
    pub n_animals: usize,
    /// Seed of the simulations.
    pub seed: u64,
}

/// One null of a [`LikelihoodTest`].
#[derive(Clone, Debug, PartialEq)]
pub struct NullLaw {
    /// The law of steady drift.
    pub law: Law,
    /// Twice the log-likelihood ratio of the crystallizing law over it, summed over animals.
    pub ratio: f64,
    /// Share of experiments simulated under it with a ratio as large, add-one.
    pub p: f64,
    /// Its fit to each animal.
    pub fits: Vec<Fit>,
}

/// Likelihood-ratio test of drift that slows down, by parametric bootstrap
/// (Cox 1962, J R Stat Soc B 24:406; Williams 1970, Biometrics 26:23).
///
/// For each law of steady drift, experiments are simulated from its fit with the noise
/// of the data: a drawn resample of cells less the resamples' mean, so that
/// noise, dependence between pairs and their skew are those measured. Both laws
/// are fitted anew to every one.
///
/// Resamples of cells do not show what all cells share. Two kinds of it are
/// estimated from what the crystallizing law leaves unexplained: steps that
/// vary in size by chance, which a few free parameters could pass off as a trend, are
/// simulated with the variance found; what is still left enlarges the simulated
/// ratios in proportion. Without resamples the noise is Gaussian with the chosen
/// covariance.
///
/// Why three nulls: a code with a fixed part levels off ([`Law::Plateau`]), tuning
/// that wanders without bound looks more stable from day to day although its steps
/// never change ([`Law::RandomWalk`]), and drift with a pull back that begins
/// far from its balance does so too ([`Law::SteadySteps`]). A fall of the rate that any of them
/// explains is no evidence of crystallization, so the p value is the largest.
///
/// Several animals, each a table: laws are fitted to each, ratios are added.
/// Tables with fewer than six sessions are left out.
///
/// # Errors
/// [`Error::Undefined`] if no animal has six sessions with similarities; as
/// [`super::fit`] for malformed tables.
pub fn likelihood_test(tables: &[Table], options: &Options) -> Result<LikelihoodTest, Error> {
    options.check()?;
    let mut used = Vec::new();
    let mut most = 0;
    for table in tables {
        table.check()?;
        let Ok(problem) = Problem::new(table, options) else {
            continue;
        };
        most = most.max(problem.points.n_sessions);
        if problem.points.n_sessions >= SESSIONS {
            used.push(problem);
        }
    }
    if used.is_empty() {
        return Err(Error::Undefined(format!(
            "{most} sessions with similarities: telling laws of drift apart needs {SESSIONS}"
        )));
    }
    let animals: Vec<Animal<'_>> = used.iter().map(Animal::new).collect();
    let fits = animals
        .iter()
        .map(|a| {
            a.problem
                .describe(Law::Crystallizing, &a.crystal.0, a.crystal.1)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let nulls = NULLS
        .iter()
        .enumerate()
        .map(|(index, &law)| against(&animals, law, index, options))
        .collect::<Result<Vec<_>, _>>()?;
    let hardest = nulls
        .iter()
        .max_by(|a, b| a.p.total_cmp(&b.p).then(b.ratio.total_cmp(&a.ratio)))
        .ok_or(Error::Nothing("nulls"))?;
    Ok(LikelihoodTest {
        p: hardest.p,
        hardest: hardest.law,
        ratio: hardest.ratio,
        fits,
        n_sessions: used.iter().map(|p| p.points.n_sessions).min().unwrap_or(0),
        n_cells: used.iter().map(|p| p.points.n_cells).min().unwrap_or(0),
        n_animals: used.len(),
        seed: options.seed,
        nulls,
    })
}

struct Animal<'a> {
    problem: &'a Problem,
    grid: Grid,
    crystal: (Vec<f64>, f64),
    excess: Excess,
}

impl<'a> Animal<'a> {
    fn new(problem: &'a Problem) -> Self {
        let grid = Grid::new(problem, Law::Crystallizing);
        let crystal = problem.search(Law::Crystallizing, &problem.points.observed, &grid, None);
        Self {
            excess: Excess::estimate(problem, Law::Crystallizing, &crystal.0),
            problem,
            grid,
            crystal,
        }
    }

    /// An experiment under a law: steps that vary as those of the data, and their noise.
    fn simulate(&self, law: Law, inner: &[f64], rng: &mut impl Rng) -> Vec<f64> {
        let points = &self.problem.points;
        let times = self.excess.warp(&points.times, rng);
        let expected = expected_at(points, &times, law, inner);
        let noise = &points.noise;
        if noise.is_empty() {
            let white: Vec<f64> = expected
                .iter()
                .map(|_| StandardNormal.sample(rng))
                .collect();
            let noise = self.problem.root.colour(&white);
            return expected.iter().zip(noise).map(|(e, n)| e + n).collect();
        }
        let drawn = &noise[rng.random_range(0..noise.len())];
        expected.iter().zip(drawn).map(|(e, n)| e + n).collect()
    }
}

fn against(
    animals: &[Animal<'_>],
    law: Law,
    index: usize,
    options: &Options,
) -> Result<NullLaw, Error> {
    let mut fits = Vec::new();
    let mut ratio = 0.0;
    let mut simulated = vec![0.0; options.simulations];
    for (number, animal) in animals.iter().enumerate() {
        let problem = animal.problem;
        let grid = Grid::new(problem, law);
        let (inner, cost) = problem.search(law, &problem.points.observed, &grid, None);
        fits.push(problem.describe(law, &inner, cost)?);
        ratio += cost - animal.crystal.1;
        let task = (index * animals.len() + number) as u64;
        let found: Vec<f64> = (0..options.simulations)
            .into_par_iter()
            .map(|k| {
                let mut rng = stream(options.seed, Domain::Models, task << 32 | k as u64);
                let observed = animal.simulate(law, &inner, &mut rng);
                let null = problem.near(law, &observed, &inner).1;
                let near = Some(animal.crystal.0.as_slice());
                let other = problem
                    .search(Law::Crystallizing, &observed, &animal.grid, near)
                    .1;
                null - other
            })
            .collect();
        for (sum, difference) in simulated.iter_mut().zip(found) {
            *sum += animal.excess.spread * difference;
        }
    }
    let reached = simulated
        .iter()
        .filter(|&&v| Alternative::Greater.reaches(v, ratio))
        .count();
    Ok(NullLaw {
        law,
        ratio,
        p: add_one_p(reached, options.simulations),
        fits,
    })
}
