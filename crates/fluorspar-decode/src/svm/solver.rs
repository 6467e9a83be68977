//! Sequential minimal optimisation of the dual, the working pair chosen by
//! second-order information (Fan, Chen, Lin 2005, JMLR 6:1889).
//!
//! In terms of `β = y α` the dual reads: minimise `½ βᵀKβ − βᵀy` with `Σβ = 0`
//! and `β` between 0 and `y C`. With the error `e = y − Kβ`, the conditions of
//! Karush, Kuhn and Tucker say that no trial whose `β` may grow has a greater
//! error than one whose `β` may shrink. Trials outside the training set have
//! both bounds at 0 and take no part.

use pulp::{Simd, WithSimd};

use super::LinearSvm;
use crate::{Error, Kernel};

/// Steps of pairs, per trial, after which all free trials are moved at once.
const PATIENCE: usize = 4;

/// One entry per trial of the Gram matrix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers {
    pub(super) weight: Vec<f64>,
    pub(super) error: Vec<f64>,
    pub(super) upper: Vec<f64>,
    pub(super) lower: Vec<f64>,
}

impl Buffers {
    /// `signs` are those of the training trials. Returns their `β` and the bias.
    pub(crate) fn solve(
        &mut self,
        svm: &LinearSvm,
        kernel: &Kernel,
        train: &[usize],
        signs: &[f64],
    ) -> Result<(Vec<f64>, f64), Error> {
        for buffer in [
            &mut self.weight,
            &mut self.error,
            &mut self.upper,
            &mut self.lower,
        ] {
            buffer.clear();
            buffer.resize(kernel.stride(), 0.0);
        }
        for (&trial, &sign) in train.iter().zip(signs) {
            self.error[trial] = sign;
            self.upper[trial] = if sign > 0.0 { svm.c } else { 0.0 };
            self.lower[trial] = if sign < 0.0 { -svm.c } else { 0.0 };
        }
        let mut left = svm.max_steps;
        let mut patience = 0;
        loop {
            let first = left == svm.max_steps;
            let steps = left.min(if first {
                PATIENCE * train.len()
            } else {
                patience
            });
            let converged = pulp::Arch::new().dispatch(Steps {
                kernel,
                most: steps,
                tolerance: svm.tolerance,
                buffers: self,
            });
            if converged {
                break;
            }
            left -= steps;
            if left == 0 {
                return Err(Error::NotConverged {
                    steps: svm.max_steps,
                });
            }
            self.newton(kernel, train);
            // Then pairs correct which trials are at a bound; where that keeps
            // changing (trials that coincide), they get ever more time for it.
            patience = (patience + patience / 4).max(train.len().div_ceil(4));
        }
        let weights = train.iter().map(|&t| self.weight[t]).collect();
        Ok((weights, self.bias(train, signs)))
    }

    /// The bias from the free support vectors, or the middle of what the
    /// bounds allow.
    fn bias(&self, train: &[usize], signs: &[f64]) -> f64 {
        let (mut sum, mut free) = (0.0, 0.0);
        let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
        for (&trial, &sign) in train.iter().zip(signs) {
            let (weight, error) = (self.weight[trial], self.error[trial]);
            let grows = weight < self.upper[trial];
            let shrinks = weight > self.lower[trial];
            if grows && shrinks {
                sum += error;
                free += 1.0;
            } else if grows && sign != 0.0 {
                least = least.max(error);
            } else if shrinks {
                most = most.min(error);
            }
        }
        if free > 0.0 {
            sum / free
        } else {
            f64::midpoint(least, most)
        }
    }
}

/// The solver's loop, compiled for the widest instructions of the processor.
/// Neither the order of a sum nor a choice depends on their width.
struct Steps<'a> {
    kernel: &'a Kernel,
    most: usize,
    tolerance: f64,
    buffers: &'a mut Buffers,
}

impl WithSimd for Steps<'_> {
    /// Whether the optimum was reached.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Buffers {
            weight,
            error,
            upper,
            lower,
        } = self.buffers;
        let (mut highest, mut grow) = highest(simd, error, weight, upper);
        for _ in 0..self.most {
            if highest == f64::NEG_INFINITY {
                return true;
            }
            let inverse = self.kernel.inverse_distance(grow);
            let (lowest, shrink) = partner(
                simd,
                error,
                weight,
                lower,
                inverse,
                (highest, self.tolerance),
            );
            if highest - lowest < self.tolerance {
                return true;
            }
            // As far as the best along the pair, or to the first bound.
            let best = (highest - error[shrink]) * inverse[shrink];
            let up = upper[grow] - weight[grow];
            let down = weight[shrink] - lower[shrink];
            let step = best.min(up).min(down);
            weight[grow] = if step == up {
                upper[grow]
            } else {
                weight[grow] + step
            };
            weight[shrink] = if step == down {
                lower[shrink]
            } else {
                weight[shrink] - step
            };
            let (a, b) = (self.kernel.row(grow), self.kernel.row(shrink));
            (highest, grow) = moved(simd, error, weight, upper, [a, b], step);
        }
        false
    }
}

/// The greatest error among trials whose weight may grow, and the trial.
#[inline(always)]
fn highest<S: Simd>(simd: S, error: &[f64], weight: &[f64], upper: &[f64]) -> (f64, usize) {
    let [error, weight, upper] = [error, weight, upper].map(|x| S::as_simd_f64s(x).0);
    let mut best = Best::new(simd);
    for ((&error, &weight), &upper) in error.iter().zip(weight).zip(upper) {
        let grows = simd.less_than_f64s(weight, upper);
        best.offer(simd, grows, error);
    }
    best.find(simd)
}

/// Takes the step, `error −= step (a − b)`, and then is [`highest`].
#[inline(always)]
fn moved<S: Simd>(
    simd: S,
    error: &mut [f64],
    weight: &[f64],
    upper: &[f64],
    rows: [&[f64]; 2],
    step: f64,
) -> (f64, usize) {
    let error = S::as_mut_simd_f64s(error).0;
    let [weight, upper, a, b] = [weight, upper, rows[0], rows[1]].map(|x| S::as_simd_f64s(x).0);
    let step = simd.splat_f64s(step);
    let mut best = Best::new(simd);
    for ((((error, &weight), &upper), &a), &b) in
        error.iter_mut().zip(weight).zip(upper).zip(a).zip(b)
    {
        *error = simd.sub_f64s(*error, simd.mul_f64s(step, simd.sub_f64s(a, b)));
        let grows = simd.less_than_f64s(weight, upper);
        best.offer(simd, grows, *error);
    }
    best.find(simd)
}

/// The lowest error among trials whose weight may shrink, and the trial with
/// which the objective falls most.
#[inline(always)]
fn partner<S: Simd>(
    simd: S,
    error: &[f64],
    weight: &[f64],
    lower: &[f64],
    inverse_distance: &[f64],
    (highest, tolerance): (f64, f64),
) -> (f64, usize) {
    let [error, weight, lower, inverse] =
        [error, weight, lower, inverse_distance].map(|x| S::as_simd_f64s(x).0);
    // Gaps of rounding between trials that coincide would be gained for ever.
    let enough = simd.splat_f64s(highest - 0.5 * tolerance);
    let highest = simd.splat_f64s(highest);
    let infinity = simd.splat_f64s(f64::INFINITY);
    let mut lowest = infinity;
    let mut best = Best::new(simd);
    for (((&error, &weight), &lower), &inverse) in error.iter().zip(weight).zip(lower).zip(inverse)
    {
        let shrinks = simd.less_than_f64s(lower, weight);
        let below = simd.and_m64s(shrinks, simd.less_than_f64s(error, enough));
        let gap = simd.sub_f64s(highest, error);
        let gain = simd.mul_f64s(simd.mul_f64s(gap, gap), inverse);
        best.offer(simd, below, gain);
        lowest = simd.min_f64s(lowest, simd.select_f64s(shrinks, error, infinity));
    }
    (simd.reduce_min_f64s(lowest), best.find(simd).1)
}

/// The greatest value of each lane and where it was.
struct Best<S: Simd> {
    value: S::f64s,
    place: S::f64s,
    here: S::f64s,
    one: S::f64s,
    none: S::f64s,
}

impl<S: Simd> Best<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Self {
            value: simd.splat_f64s(f64::NEG_INFINITY),
            place: simd.splat_f64s(0.0),
            here: simd.splat_f64s(0.0),
            one: simd.splat_f64s(1.0),
            none: simd.splat_f64s(f64::NEG_INFINITY),
        }
    }

    /// The next values, of which some count.
    #[inline(always)]
    fn offer(&mut self, simd: S, counts: S::m64s, value: S::f64s) {
        // One maximum from each value to the next: nothing else waits.
        let value = simd.select_f64s(counts, value, self.none);
        let better = simd.less_than_f64s(self.value, value);
        self.value = simd.max_f64s(self.value, value);
        self.place = simd.select_f64s(better, self.here, self.place);
        self.here = simd.add_f64s(self.here, self.one);
    }

    /// The greatest of all, the first of equals.
    #[inline(always)]
    fn find(self, simd: S) -> (f64, usize) {
        let most = simd.reduce_max_f64s(self.value);
        let values: &[f64] = pulp::bytemuck::cast_slice(std::slice::from_ref(&self.value));
        let places: &[f64] = pulp::bytemuck::cast_slice(std::slice::from_ref(&self.place));
        let mut first = usize::MAX;
        for (lane, (&value, &place)) in values.iter().zip(places).enumerate() {
            let index = place as usize * S::F64_LANES + lane;
            first = if value == most {
                first.min(index)
            } else {
                first
            };
        }
        (most, if first == usize::MAX { 0 } else { first })
    }
}
