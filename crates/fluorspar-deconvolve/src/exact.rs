use crate::interior::{Interior, Problem};
use crate::lockstep::LANES;
use crate::{Error, Kernel, Solution};

/// Relative duality gap at which events are told from the rest.
pub(crate) const PRECISION: f64 = 1e-6;
/// Rounds of the search for λ.
const ROUNDS: usize = 24;
/// Relative error of the residual at which λ is found.
const TOLERANCE: f64 = 1e-6;

/// Minimises `½ Σ (y − c)² + λ Σ s` over `s ≥ 0`, where `c` is `s` convolved
/// with the kernel: the optimum of the convex problem for a kernel with a rise
/// (AR(2)) too, by an interior-point method of linear cost whose events are
/// then solved for exactly. [`oasis_ar1`](crate::oasis_ar1) gives the same for
/// AR(1), faster. Events are in units of the autoregression: calcium peaks at
/// [`Kernel::peak`] times their size.
///
/// Samples that are not finite have no weight.
///
/// # Errors
/// [`Error::Parameter`] unless `λ` is finite and not negative.
pub fn exact(trace: &[f64], kernel: Kernel, lambda: f64) -> Result<Solution, Error> {
    if !(lambda >= 0.0 && lambda.is_finite()) {
        return Err(Error::Parameter {
            name: "lambda",
            value: lambda,
            rule: "must be finite and not negative",
        });
    }
    let mut memory = Interior::default();
    memory.load(
        trace.len(),
        |lane, t| if lane == 0 { trace[t] } else { 0.0 },
    );
    let problems = [Problem { kernel, lambda }; LANES];
    memory.solve(&problems, PRECISION);
    memory.polish(&problems);
    Ok(solution(&memory, kernel, trace.len()))
}

/// The solution with the largest λ whose residual `Σ (y − c)²` is at most
/// `allowed`, and λ; λ = 0 where even that leaves more.
///
/// # Errors
/// [`Error::Parameter`] unless `allowed` is a number.
pub fn exact_constrained(
    trace: &[f64],
    kernel: Kernel,
    allowed: f64,
) -> Result<(Solution, f64), Error> {
    if allowed.is_nan() {
        return Err(Error::Parameter {
            name: "allowed",
            value: allowed,
            rule: "must be a number",
        });
    }
    let mut memory = Interior::default();
    memory.load(
        trace.len(),
        |lane, t| if lane == 0 { trace[t] } else { 0.0 },
    );
    let mut problems = [Problem {
        kernel,
        lambda: 0.0,
    }; LANES];
    constrain(&mut memory, &mut problems, &[allowed; LANES]);
    Ok((solution(&memory, kernel, trace.len()), problems[0].lambda))
}

fn solution(memory: &Interior, kernel: Kernel, samples: usize) -> Solution {
    let events: Vec<f64> = (0..samples).map(|t| memory.event(0, t)).collect();
    let (g1, g2) = kernel.coefficients();
    let (mut c, mut before) = (0.0, 0.0);
    let calcium = events
        .iter()
        .map(|s| {
            (c, before) = (g1 * c + g2 * before + s, c);
            c
        })
        .collect();
    Solution { calcium, events }
}

/// Finds λ of every lane. On given events the residual is `R₀ + a λ²`, so two
/// solutions tell the next λ; a bracket keeps it honest.
pub(crate) fn constrain(
    memory: &mut Interior,
    problems: &mut [Problem; LANES],
    allowed: &[f64; LANES],
) {
    let residuals = |memory: &mut Interior, problems: &[Problem; LANES]| {
        memory.solve(problems, PRECISION);
        memory.polish(problems);
        memory.costs(problems, 1)[0].0
    };
    for problem in problems.iter_mut() {
        problem.lambda = 0.0;
    }
    let at_zero = residuals(memory, problems);
    let squares = memory.squares();
    // Below: λ² and residual within bounds; above: the same beyond them.
    let mut below: [(f64, f64); LANES] = std::array::from_fn(|l| (0.0, at_zero[l]));
    let mut above: [Option<(f64, f64)>; LANES] = [None; LANES];
    let mut done: [bool; LANES] = std::array::from_fn(|l| at_zero[l] >= allowed[l]);
    for l in 0..LANES {
        if !done[l] {
            // Where no events at all are within bounds, this λ allows none.
            problems[l].lambda =
                (squares[l]).sqrt() * problems[l].kernel.norm() * 1.001 + f64::MIN_POSITIVE;
            if squares[l] <= allowed[l] {
                done[l] = true;
            } else {
                above[l] = Some((problems[l].lambda.powi(2), squares[l]));
            }
        }
    }
    for round in 0..ROUNDS {
        if done.iter().all(|&d| d) {
            break;
        }
        for l in 0..LANES {
            if let (false, Some(above)) = (done[l], above[l]) {
                let share = (allowed[l] - below[l].1) / (above.1 - below[l].1);
                // A secant in λ² first creeps along the flat end of the curve; halving does not.
                let share = if round % 2 == 1 {
                    share
                } else {
                    0.25 * share.min(0.5) + 0.5 * share
                };
                let square = below[l].0 + (above.0 - below[l].0) * share.clamp(1e-6, 1.0 - 1e-6);
                problems[l].lambda = square.sqrt();
            }
        }
        let found = residuals(memory, problems);
        for l in 0..LANES {
            if done[l] {
                continue;
            }
            let here = (problems[l].lambda.powi(2), found[l]);
            if found[l] <= allowed[l] {
                below[l] = here;
                done[l] = allowed[l] - found[l] <= TOLERANCE * allowed[l];
            } else {
                above[l] = Some(here);
            }
        }
    }
    // What is returned keeps within bounds.
    for l in 0..LANES {
        if above[l].is_some() {
            problems[l].lambda = below[l].0.sqrt();
        }
    }
    memory.solve(problems, PRECISION);
    memory.polish(problems);
}
