use crate::{Ar1, Error};

/// Calcium and events of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Calcium, one value per sample.
    pub calcium: Vec<f64>,
    /// Events; the first is the calcium itself.
    pub events: Vec<f64>,
}

/// Minimises `½ Σ (y − c)² + λ Σ s` over `c` with `s_t = c_t − g c_{t−1} ≥ 0`
/// and `c ≥ 0`: the exact solution in one pass (OASIS, AR(1)), in double
/// precision.
///
/// Samples that are not finite have no weight.
///
/// # Errors
/// [`Error::Parameter`] unless `0 < g < 1` and `λ ≥ 0`.
pub fn oasis_ar1(trace: &[f64], g: f64, lambda: f64) -> Result<Solution, Error> {
    let found = Ar1::solve(trace, 0.0, g, lambda, 0.0)?;
    let mut solution = Solution {
        calcium: vec![0.0; trace.len()],
        events: vec![0.0; trace.len()],
    };
    found.write(&mut solution.events, Some(&mut solution.calcium));
    Ok(solution)
}
