//! In how many exchanges of labels a cell's statistic is at least as extreme
//! as observed. Sums over a class are products of values `(cell, trial)` with
//! memberships `(trial, exchange)`, in blocks that stay in cache.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::Permutations;
use super::integers::Integers;

/// Cells of one task.
pub(super) const CELLS: usize = 256;
/// Exchanges of one product.
const EXCHANGES: usize = 512;
/// Statistics that differ by less than this share of the observed are ties.
const TIE: f32 = 1e-5;
/// Least variance within classes, as a share of the whole: rounding leaves
/// less than this of two classes that do not vary.
const LEAST_VARIANCE: f32 = 1e-5;

/// When an exchange counts as at least as extreme as what was observed.
#[derive(Debug)]
pub(super) enum Rule {
    /// The sum over class A is not between two integers: for every statistic
    /// that rises with that sum.
    Outside { low: f32, high: f32 },
    /// d′ of classes that differ in size, from the sum and the sum of squares of class A.
    Spread(Spread),
    /// Variance between classes, from the sums of all but the last.
    Between(Between),
}

/// What one cell brings into the products.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) values: Integers,
    /// Squares about the mean, for [`Rule::Spread`].
    pub(super) squares: Option<Integers>,
    pub(super) rule: Rule,
}

/// Turns sums of integers into d′².
#[derive(Debug)]
pub(super) struct Spread {
    expected: f32,
    unit: f32,
    square_unit: f32,
    square_offset: f32,
    square_total: f32,
    n: [f32; 2],
    reached: f32,
}

impl Spread {
    pub(super) fn new(values: &Integers, squares: &Integers, codes: &[u8], n: [usize; 2]) -> Self {
        let all = (n[0] + n[1]) as f64;
        let whole = squares.offset * all + squares.total / squares.scale;
        let variance = whole / all;
        let mut spread = Self {
            expected: (values.total * n[0] as f64 / all) as f32,
            unit: (1.0 / (values.scale * variance.sqrt())) as f32,
            square_unit: (1.0 / (squares.scale * variance)) as f32,
            square_offset: (squares.offset * n[0] as f64 / variance) as f32,
            square_total: all as f32,
            n: n.map(|n| n as f32),
            reached: 0.0,
        };
        let sum = values.sum(codes, 0) as f32;
        let square = squares.sum(codes, 0) as f32;
        spread.reached = spread.score(sum, square) * (1.0 - TIE);
        spread
    }

    #[inline(always)]
    fn score(&self, sum: f32, square: f32) -> f32 {
        let deviation = (sum - self.expected) * self.unit;
        let in_a = square * self.square_unit + self.square_offset;
        let [a, b] = self.n;
        let variance_a = (in_a - deviation * deviation / a) / (a - 1.0);
        let variance_b = (self.square_total - in_a - deviation * deviation / b) / (b - 1.0);
        deviation * deviation / (variance_a + variance_b).max(LEAST_VARIANCE)
    }
}

/// Turns sums of integers into the variance between classes.
#[derive(Debug)]
pub(super) struct Between {
    expected: Vec<f32>,
    n: Vec<f32>,
    reached: f32,
}

impl Between {
    pub(super) fn new(values: &Integers, codes: &[u8], n: &[usize]) -> Self {
        let all = codes.len() as f64;
        let mut between = Self {
            expected: n
                .iter()
                .map(|&n| (values.total * n as f64 / all) as f32)
                .collect(),
            n: n.iter().map(|&n| n as f32).collect(),
            reached: 0.0,
        };
        let sums: Vec<[f32; 1]> = (0..n.len() - 1)
            .map(|class| [values.sum(codes, class) as f32])
            .collect();
        let sums: Vec<&[f32]> = sums.iter().map(|s| &s[..]).collect();
        between.reached = between.score(&sums, 0) * (1.0 - TIE);
        between
    }

    #[inline(always)]
    fn score(&self, sums: &[&[f32]], exchange: usize) -> f32 {
        let mut last = 0.0;
        let mut score = 0.0;
        for (class, sums) in sums.iter().enumerate() {
            let deviation = sums[exchange] - self.expected[class];
            last -= deviation;
            score += deviation * deviation / self.n[class];
        }
        score + last * last / self.n[sums.len()]
    }
}

impl Rule {
    /// How many of the exchanges with these sums reach the observed statistic.
    fn count(&self, sums: &[&[f32]]) -> u32 {
        match self {
            Self::Outside { low, high } => sums[0]
                .iter()
                .map(|s| u32::from(s <= low || s >= high))
                .sum(),
            Self::Spread(spread) => sums[0]
                .iter()
                .zip(sums[1])
                .map(|(&s, &q)| u32::from(spread.score(s, q) >= spread.reached))
                .sum(),
            Self::Between(between) => (0..sums[0].len())
                .map(|k| u32::from(between.score(sums, k) >= between.reached))
                .sum(),
        }
    }
}

/// How many exchanges reach what was observed, for each subject.
pub(super) fn exceedances(subjects: &[Subject], permutations: &Permutations) -> Vec<usize> {
    let trials = permutations.trials();
    let mut reached = vec![0; subjects.len()];
    let Some(first) = subjects.first() else {
        return reached;
    };
    let stack = |of: fn(&Subject) -> Option<&Integers>| -> Vec<f32> {
        subjects
            .iter()
            .filter_map(of)
            .flat_map(|integers| integers.values.iter().copied())
            .collect()
    };
    // Which values are summed over which class, in the order `Rule::count` wants them.
    let values = stack(|s| Some(&s.values));
    let squares = stack(|s| s.squares.as_ref());
    let plan: Vec<(&[f32], u8)> = match &first.rule {
        Rule::Outside { .. } => vec![(&values, 0)],
        Rule::Spread(_) => vec![(&values, 0), (&squares, 0)],
        Rule::Between(between) => (1..between.n.len())
            .map(|class| (&values[..], (class - 1) as u8))
            .collect(),
    };
    let mut members = vec![0.0_f32; EXCHANGES * trials];
    let mut sums = vec![vec![0.0_f32; subjects.len() * EXCHANGES]; plan.len()];
    for from in (0..permutations.drawn()).step_by(EXCHANGES) {
        let to = (from + EXCHANGES).min(permutations.drawn());
        let width = to - from;
        let codes = permutations.exchanged(from, to);
        let mut filled = None;
        for (&(left, class), out) in plan.iter().zip(&mut sums) {
            if filled != Some(class) {
                for (member, &code) in members.iter_mut().zip(codes) {
                    *member = f32::from(u8::from(code == class));
                }
                filled = Some(class);
            }
            let rows = subjects.len();
            let slots = MatMut::from_row_major_slice_mut(&mut out[..rows * width], rows, width);
            let left = MatRef::from_row_major_slice(left, rows, trials);
            let right = MatRef::from_column_major_slice(&members[..trials * width], trials, width);
            matmul(slots, Accum::Replace, left, right, 1.0, Par::Seq);
        }
        for (row, (subject, reached)) in subjects.iter().zip(&mut reached).enumerate() {
            let rows: Vec<&[f32]> = sums
                .iter()
                .map(|s| &s[row * width..(row + 1) * width])
                .collect();
            *reached += subject.rule.count(&rows) as usize;
        }
    }
    reached
}
