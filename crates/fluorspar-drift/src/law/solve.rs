//! Least squares within bounds, and the root of a covariance.

/// Sum of products, in four sums side by side (the order is fixed).
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut sums = [0.0; 4];
    let (left, right) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in left.zip(right) {
        for k in 0..4 {
            sums[k] += x[k] * y[k];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Lower triangular root of a symmetric positive definite matrix, row after
/// row; `None` if it is not positive definite.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    rows: Vec<f64>,
    n: usize,
}

impl Root {
    pub(crate) fn new(matrix: &[f64], n: usize) -> Option<Self> {
        let mut rows = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let known = dot(&rows[i * n..i * n + j], &rows[j * n..j * n + j]);
                let rest = matrix[i * n + j] - known;
                if i == j {
                    if !(rest > 0.0 && rest.is_finite()) {
                        return None;
                    }
                    rows[i * n + i] = rest.sqrt();
                } else {
                    rows[i * n + j] = rest / rows[j * n + j];
                }
            }
        }
        Some(Self { rows, n })
    }

    /// `L⁻¹ v` in place: errors of that covariance become independent with variance 1.
    pub(crate) fn whiten(&self, v: &mut [f64]) {
        for i in 0..self.n {
            let row = &self.rows[i * self.n..=i * self.n + i];
            v[i] = (v[i] - dot(&row[..i], v)) / row[i];
        }
    }

    /// `L v`: independent errors become ones of that covariance.
    pub(crate) fn colour(&self, v: &[f64]) -> Vec<f64> {
        (0..self.n)
            .map(|i| {
                let row = &self.rows[i * self.n..=i * self.n + i];
                dot(row, v)
            })
            .collect()
    }

    /// Logarithm of the determinant of the matrix.
    pub(crate) fn log_determinant(&self) -> f64 {
        (0..self.n)
            .map(|i| 2.0 * self.rows[i * self.n + i].ln())
            .sum()
    }
}

/// Solves `A x = b` for symmetric `A`; `None` if it is not positive definite.
fn solve(matrix: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let root = Root::new(matrix, n)?;
    let mut x = b.to_vec();
    root.whiten(&mut x);
    for i in (0..n).rev() {
        let above: f64 = (i + 1..n).map(|k| root.rows[k * n + i] * x[k]).sum();
        x[i] = (x[i] - above) / root.rows[i * n + i];
    }
    Some(x)
}

/// Least sum of squares of `residuals` within `bounds` from `start`
/// (Levenberg-Marquardt; a parameter that would leave its bounds stays on them).
/// Gives the parameters and the sum.
pub(crate) fn minimise(
    start: &[f64],
    bounds: &[(f64, f64)],
    residuals: impl Fn(&[f64]) -> Vec<f64>,
) -> (Vec<f64>, f64) {
    let size = start.len();
    let inside = |k: usize, v: f64| v.max(bounds[k].0).min(bounds[k].1);
    let mut at: Vec<f64> = (0..size).map(|k| inside(k, start[k])).collect();
    let sum = |r: &[f64]| dot(r, r);
    let mut r = residuals(&at);
    let mut cost = sum(&r);
    let mut damping = 1e-2;
    for _ in 0..60 {
        let columns: Vec<Vec<f64>> = (0..size)
            .map(|k| {
                let mut step = 1e-6 * (1.0 + at[k].abs());
                if at[k] + step > bounds[k].1 {
                    step = -step;
                }
                let mut moved = at.clone();
                moved[k] += step;
                residuals(&moved)
                    .iter()
                    .zip(&r)
                    .map(|(a, b)| (a - b) / step)
                    .collect()
            })
            .collect();
        let slope: Vec<f64> = columns.iter().map(|c| dot(c, &r)).collect();
        // On a bound and pushed outwards: not free.
        let free: Vec<usize> = (0..size)
            .filter(|&k| {
                let (low, high) = bounds[k];
                !(at[k] <= low && slope[k] >= 0.0 || at[k] >= high && slope[k] <= 0.0)
            })
            .collect();
        if free.is_empty() || !cost.is_finite() {
            break;
        }
        let n = free.len();
        let mut better = false;
        let mut small = false;
        for _ in 0..12 {
            let mut matrix = vec![0.0; n * n];
            for (a, &i) in free.iter().enumerate() {
                for (b, &j) in free.iter().enumerate() {
                    matrix[a * n + b] = dot(&columns[i], &columns[j]);
                }
                matrix[a * n + a] = matrix[a * n + a] * (1.0 + damping) + 1e-12;
            }
            let right: Vec<f64> = free.iter().map(|&k| -slope[k]).collect();
            let Some(step) = solve(&matrix, &right) else {
                damping *= 10.0;
                continue;
            };
            let mut next = at.clone();
            for (&k, s) in free.iter().zip(&step) {
                // A parameter on a logarithm goes far enough in steps of 2.
                next[k] = inside(k, at[k] + s.clamp(-2.0, 2.0));
            }
            let there = residuals(&next);
            let value = sum(&there);
            if value < cost {
                small = cost - value < 1e-7 * (1e-12 + cost);
                (at, r, cost) = (next, there, value);
                damping = (damping * 0.2).max(1e-9);
                better = true;
                break;
            }
            damping *= 6.0;
        }
        if !better || small {
            break;
        }
    }
    (at, cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_whitens_its_own_covariance() {
        let matrix = [4.0, 2.0, 2.0, 3.0];
        let root = Root::new(&matrix, 2).unwrap();
        let mut v = root.colour(&[0.3, -1.2]);
        root.whiten(&mut v);
        assert!((v[0] - 0.3).abs() < 1e-12 && (v[1] + 1.2).abs() < 1e-12);
        assert!((root.log_determinant() - 8.0_f64.ln()).abs() < 1e-12);
        assert!(Root::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }

    #[test]
    fn rosenbrock_is_found_and_bounds_hold() {
        let valley = |p: &[f64]| vec![1.0 - p[0], 10.0 * (p[1] - p[0] * p[0])];
        let (p, cost) = minimise(&[-1.2, 1.0], &[(-5.0, 5.0), (-5.0, 5.0)], valley);
        assert!((p[0] - 1.0).abs() < 1e-5 && cost < 1e-9, "{p:?} {cost}");
        let (p, _) = minimise(&[-1.2, 1.0], &[(-5.0, 0.5), (-5.0, 5.0)], valley);
        assert!(
            (p[0] - 0.5).abs() < 1e-6 && (p[1] - 0.25).abs() < 1e-4,
            "{p:?}"
        );
    }
}
