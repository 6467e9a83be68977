//! The peak of a correlation map to a fraction of a pixel.

/// Half the side of the patch around the peak.
pub(crate) const REACH: usize = 3;
const SIDE: usize = 2 * REACH + 1;
/// Length scale of the interpolating kernel in pixels.
const LENGTH: f64 = 0.85;

/// Interpolates a 7 × 7 patch as a Gaussian process with the kernel
/// `exp(−d² / (2 · 0.85²))` would, and finds the maximum of its mean.
///
/// The kernel is a product of one along y and one along x, so the weights
/// need only the inverse of a 7 × 7 matrix. Unlike a search on a grid, the
/// maximum is followed to convergence by Newton's method.
#[derive(Clone, Debug)]
pub(crate) struct Refiner {
    inverse: [[f64; SIDE]; SIDE],
}

impl Refiner {
    pub(crate) fn new() -> Self {
        let mut kernel = [[0.0; SIDE]; SIDE];
        for (i, row) in kernel.iter_mut().enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = gauss(i as f64 - j as f64).0;
            }
        }
        Self {
            inverse: invert(kernel),
        }
    }

    /// The maximum near the middle of `patch`, `(dy, dx)` from its centre, each within ±1.
    pub(crate) fn peak(&self, patch: &[[f64; SIDE]; SIDE]) -> (f64, f64) {
        let mut half = [[0.0; SIDE]; SIDE];
        let mut weights = [[0.0; SIDE]; SIDE];
        for i in 0..SIDE {
            for j in 0..SIDE {
                half[i][j] = (0..SIDE).map(|k| self.inverse[i][k] * patch[k][j]).sum();
            }
        }
        for i in 0..SIDE {
            for j in 0..SIDE {
                weights[i][j] = (0..SIDE).map(|k| half[i][k] * self.inverse[k][j]).sum();
            }
        }
        let (mut best, mut at) = (f64::NEG_INFINITY, (0.0, 0.0));
        for i in -4..=4 {
            for j in -4..=4 {
                let candidate = (f64::from(i) * 0.2, f64::from(j) * 0.2);
                let value = evaluate(&weights, candidate).0;
                if value > best {
                    (best, at) = (value, candidate);
                }
            }
        }
        for _ in 0..8 {
            let (_, gradient, hessian) = evaluate(&weights, at);
            let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
            // Newton's step leads uphill only where the surface is concave.
            if hessian[0] >= 0.0 || determinant <= 0.0 {
                break;
            }
            let dy = (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant;
            let dx = (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant;
            at = (
                (at.0 - dy.clamp(-0.2, 0.2)).clamp(-1.0, 1.0),
                (at.1 - dx.clamp(-0.2, 0.2)).clamp(-1.0, 1.0),
            );
            if dy.abs() + dx.abs() < 1e-6 {
                break;
            }
        }
        at
    }
}

/// Kernel and its first and second derivative at distance `d`.
fn gauss(d: f64) -> (f64, f64, f64) {
    let square = LENGTH * LENGTH;
    let value = (-d * d / (2.0 * square)).exp();
    (
        value,
        -d / square * value,
        (d * d / square - 1.0) / square * value,
    )
}

/// Value, gradient `(y, x)` and Hessian `(yy, yx, xx)` of the interpolation.
fn evaluate(weights: &[[f64; SIDE]; SIDE], (y, x): (f64, f64)) -> (f64, [f64; 2], [f64; 3]) {
    let at = |u: f64| -> [(f64, f64, f64); SIDE] {
        std::array::from_fn(|k| gauss(u - (k as f64 - REACH as f64)))
    };
    let (ky, kx) = (at(y), at(x));
    let mut value = 0.0;
    let mut gradient = [0.0; 2];
    let mut hessian = [0.0; 3];
    for (row, a) in weights.iter().zip(&ky) {
        for (w, b) in row.iter().zip(&kx) {
            value += w * a.0 * b.0;
            gradient[0] += w * a.1 * b.0;
            gradient[1] += w * a.0 * b.1;
            hessian[0] += w * a.2 * b.0;
            hessian[1] += w * a.1 * b.1;
            hessian[2] += w * a.0 * b.2;
        }
    }
    (value, gradient, hessian)
}

/// Gauss–Jordan elimination with pivoting; the kernel matrix is well
/// conditioned (148).
fn invert(mut a: [[f64; SIDE]; SIDE]) -> [[f64; SIDE]; SIDE] {
    let mut out = [[0.0; SIDE]; SIDE];
    for (i, row) in out.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    for column in 0..SIDE {
        let pivot = (column..SIDE)
            .max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()))
            .unwrap_or(column);
        a.swap(column, pivot);
        out.swap(column, pivot);
        let scale = 1.0 / a[column][column];
        for j in 0..SIDE {
            a[column][j] *= scale;
            out[column][j] *= scale;
        }
        for i in 0..SIDE {
            if i != column {
                let factor = a[i][column];
                for j in 0..SIDE {
                    a[i][j] -= factor * a[column][j];
                    out[i][j] -= factor * out[column][j];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_displaced_gaussian_is_found(y in -0.5_f64..0.5, x in -0.5_f64..0.5, sigma in 1.15_f64..2.0) {
            let patch = std::array::from_fn(|i| std::array::from_fn(|j| {
                let (v, u) = (i as f64 - 3.0 - y, j as f64 - 3.0 - x);
                (-(v * v + u * u) / (2.0 * sigma * sigma)).exp()
            }));
            let (dy, dx) = Refiner::new().peak(&patch);
            prop_assert!((dy - y).abs() < 0.02 && (dx - x).abs() < 0.02, "{} {}", dy - y, dx - x);
        }
    }

    #[test]
    fn a_flat_patch_does_not_move() {
        let (dy, dx) = Refiner::new().peak(&[[0.0; SIDE]; SIDE]);
        assert!(dy.abs() <= 1.0 && dx.abs() <= 1.0);
    }
}
