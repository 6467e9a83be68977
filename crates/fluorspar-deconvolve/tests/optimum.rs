//! The optimum of the convex problem, against a solver that knows nothing of its structure.

use fluorspar_deconvolve::{Ar1, Kernel, exact, exact_constrained, oasis_ar1};
use proptest::prelude::*;

/// `H`, a column per event.
fn matrix(kernel: Kernel, samples: usize) -> Vec<Vec<f64>> {
    (0..samples)
        .map(|event| {
            (0..samples)
                .map(|t| if t < event { 0.0 } else { kernel.at(t - event) })
                .collect()
        })
        .collect()
}

struct Problem {
    y: Vec<f64>,
    columns: Vec<Vec<f64>>,
}

impl Problem {
    fn new(y: &[f64], kernel: Kernel) -> Self {
        Self {
            y: y.to_vec(),
            columns: matrix(kernel, y.len()),
        }
    }

    fn residual(&self, s: &[f64]) -> Vec<f64> {
        let mut r = self.y.clone();
        for (column, &s) in self.columns.iter().zip(s) {
            for (r, h) in r.iter_mut().zip(column) {
                *r -= h * s;
            }
        }
        for (r, y) in r.iter_mut().zip(&self.y) {
            if !y.is_finite() {
                *r = 0.0;
            }
        }
        r
    }

    fn squares(&self, s: &[f64]) -> f64 {
        self.residual(s).iter().map(|r| r * r).sum()
    }

    fn cost(&self, s: &[f64], lambda: f64) -> f64 {
        0.5 * self.squares(s) + lambda * s.iter().sum::<f64>()
    }

    /// Coordinate descent to a duality gap of next to nothing: each event in
    /// turn is set to what is best for it, until none moves.
    fn solve(&self, lambda: f64) -> Vec<f64> {
        let known: Vec<f64> = self
            .y
            .iter()
            .map(|y| f64::from(u8::from(y.is_finite())))
            .collect();
        let mut s = vec![0.0; self.y.len()];
        let mut r = self.residual(&s);
        for _ in 0..200_000 {
            let mut moved = 0.0_f64;
            for (j, column) in self.columns.iter().enumerate() {
                let (mut slope, mut bend) = (-lambda, 0.0);
                for ((h, r), w) in column.iter().zip(&r).zip(&known) {
                    slope += w * h * r;
                    bend += w * h * h;
                }
                if bend == 0.0 {
                    continue;
                }
                let next = f64::max(s[j] + slope / bend, 0.0);
                let step = next - s[j];
                if step != 0.0 {
                    for (r, h) in r.iter_mut().zip(column) {
                        *r -= step * h;
                    }
                    s[j] = next;
                    moved = moved.max(step.abs());
                }
            }
            if moved < 1e-13 {
                break;
            }
        }
        s
    }

    /// The largest λ within `allowed`, by halving.
    fn constrained(&self, allowed: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1e3);
        for _ in 0..45 {
            let middle = f64::midpoint(low, high);
            if self.squares(&self.solve(middle)) <= allowed {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

fn kernels() -> impl Strategy<Value = Kernel> {
    (0.3_f64..0.97, prop_oneof![Just(0.0), 0.05_f64..0.9])
        .prop_map(|(d, share)| Kernel::new(d, d * share).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn events_cost_what_the_optimum_costs(
        mut y in prop::collection::vec(-1.0_f64..3.0, 3..40),
        kernel in kernels(),
        lambda in prop_oneof![Just(0.0), 0.0_f64..2.0],
        gap in 0_usize..80,
    ) {
        if gap < y.len() {
            y[gap] = f64::NAN;
        }
        let problem = Problem::new(&y, kernel);
        let found = exact(&y, kernel, lambda).unwrap();
        prop_assert!(found.events.iter().all(|&s| s >= 0.0));
        let best = problem.cost(&problem.solve(lambda), lambda);
        let ours = problem.cost(&found.events, lambda);
        prop_assert!(ours <= best + 1e-7 * (1.0 + best), "{ours} {best}");
        if kernel.is_ar1() {
            let pools = problem.cost(&oasis_ar1(&y, kernel.decay(), lambda).unwrap().events, lambda);
            prop_assert!((pools - best).abs() <= 1e-9 * (1.0 + best), "{pools} {best}");
        }
    }

    #[test]
    fn the_noise_constraint_has_the_lambda_of_halving(
        y in prop::collection::vec(-0.5_f64..3.0, 8..25),
        kernel in (0.4_f64..0.9, prop_oneof![Just(0.0), 0.1_f64..0.6]).prop_map(|(d, share)| Kernel::new(d, d * share).unwrap()),
        share in 0.05_f64..0.8,
    ) {
        let problem = Problem::new(&y, kernel);
        let least = problem.squares(&problem.solve(0.0));
        let all: f64 = y.iter().map(|y| y * y).sum();
        let allowed = least + share * (all - least);
        prop_assume!(all - least > 0.1);
        let lambda = problem.constrained(allowed);
        let best = problem.solve(lambda);
        let (found, ours) = exact_constrained(&y, kernel, allowed).unwrap();
        prop_assert!(problem.squares(&found.events) <= allowed * (1.0 + 1e-8));
        prop_assert!((ours - lambda).abs() < 1e-4 * (1.0 + lambda), "{ours} {lambda}");
        let sum = |s: &[f64]| s.iter().sum::<f64>();
        prop_assert!((sum(&found.events) - sum(&best)).abs() < 1e-4 * (1.0 + sum(&best)));
        if kernel.is_ar1() {
            let mut pools = Ar1::solve(&y, 0.0, kernel.decay(), 0.0, 0.0).unwrap();
            pools.constrain(allowed).unwrap();
            prop_assert!((pools.lambda() - lambda).abs() < 1e-6 * (1.0 + lambda), "{} {lambda}", pools.lambda());
            prop_assert!((pools.residual() / allowed - 1.0).abs() < 1e-6);
            let mut events = vec![0.0_f64; y.len()];
            pools.write(&mut events, None);
            prop_assert!((problem.squares(&events) / allowed - 1.0).abs() < 1e-6);
        }
    }
}

/// Long enough that events are many, still small enough to be certain.
#[test]
fn a_slow_rise_is_solved_to_the_optimum() {
    let kernel = Kernel::from_seconds(1.5, 0.2, 30.0).unwrap();
    let mut state = 1_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
    };
    let y: Vec<f64> = (0..250_usize)
        .map(|t| {
            let events = [20_usize, 60, 63, 150].iter().filter(|&&e| e <= t);
            0.3 * noise()
                + events
                    .map(|&e| kernel.at(t - e) / kernel.peak())
                    .sum::<f64>()
        })
        .collect();
    let problem = Problem::new(&y, kernel);
    let found = exact(&y, kernel, 0.0).unwrap();
    // The gradient's signs prove the optimum.
    let r = problem.residual(&found.events);
    for (t, column) in problem.columns.iter().enumerate() {
        let slope: f64 = -column.iter().zip(&r).map(|(h, r)| h * r).sum::<f64>();
        assert!(slope > -1e-6, "{t}: {slope}");
        if found.events[t] > 1e-6 {
            assert!(slope.abs() < 1e-6, "{t}: {slope} {}", found.events[t]);
        }
    }
}

#[test]
fn small_problems_by_hand() {
    let y = [0.0, 1.0, 0.9, 0.81, 0.2, 0.1, 1.5, 1.4, 0.3, 0.2];
    let events = |lambda: f64, s_min: f64| {
        let mut events = [0.0_f64; 10];
        Ar1::solve(&y, 0.0, 0.9, lambda, s_min)
            .unwrap()
            .write(&mut events, None);
        events
    };
    for (found, expected) in [
        (events(0.0, 0.0), [(1, 0.7811), (6, 0.5892)].as_slice()),
        // By hand: pools of 5 and 4 samples from 1 and 6, (Σ g^k y − λ k) / Σ g^{2k} with
        // k = 1 − g⁵ and, for the last, 1.
        (events(0.5, 0.0), &[(1, 0.7213), (6, 0.4577)]),
        (events(0.0, 0.6), &[(1, 1.0142)]),
    ] {
        for (t, s) in found.iter().enumerate() {
            let known = expected.iter().find(|e| e.0 == t).map_or(0.0, |e| e.1);
            assert!((s - known).abs() < 1e-4, "{t}: {s}, not {known}");
        }
    }
}
