use ndarray::{Array2, ArrayView2};

use crate::Error;

/// Tuning as gain times shape: `F_n = g_n f_n` with `‖f_n‖ = 1`.
#[derive(Clone, Debug, PartialEq)]
pub struct GainShape {
    /// Length of each cell's tuning curve.
    pub gain: Vec<f64>,
    /// The curves at length 1, `(cell, bin)`; NaN for a silent cell.
    pub shape: Array2<f64>,
}

/// Factorises tuning curves `(cell, bin)`.
///
/// Noise adds to every length; for a change between sessions use
/// [`gain_shape_change`], which takes it off.
pub fn gain_and_shape(tuning: ArrayView2<'_, f64>) -> GainShape {
    let gain: Vec<f64> = tuning
        .rows()
        .into_iter()
        .map(|row| row.iter().map(|v| v * v).sum::<f64>().sqrt())
        .collect();
    let mut shape = tuning.to_owned();
    for (mut row, &gain) in shape.rows_mut().into_iter().zip(&gain) {
        row.mapv_inplace(|v| if gain > 0.0 { v / gain } else { f64::NAN });
    }
    GainShape { gain, shape }
}

/// How each cell's tuning changed from one session to another.
///
/// `‖F₂ − F₁‖² = (g₂ − g₁)² + 2 g₁ g₂ (1 − cos)`: what the gain changed plus
/// what the shape changed.
#[derive(Clone, Debug, PartialEq)]
pub struct GainShapeChange {
    /// Gain in the first session; NaN where noise leaves no length.
    pub first_gain: Vec<f64>,
    /// Gain in the second.
    pub second_gain: Vec<f64>,
    /// Cosine between the shapes; noise can take it beyond −1 to 1.
    pub shape_cosine: Vec<f64>,
    /// Squared change by gain, `(g₂ − g₁)²`.
    pub gain_part: Vec<f64>,
    /// Squared change by shape, `2 g₁ g₂ (1 − cos)`.
    pub shape_part: Vec<f64>,
}

impl GainShapeChange {
    /// Cosine between shapes for the population, each cell weighted by the
    /// product of its gains: noisy cells, whose own cosine is far off, count little.
    pub fn cosine(&self) -> f64 {
        let (shape, gains) = self
            .shape_cosine
            .iter()
            .zip(self.first_gain.iter().zip(&self.second_gain))
            .filter(|(cosine, _)| cosine.is_finite())
            .fold((0.0, 0.0), |(s, g), (cosine, (one, two))| {
                (s + cosine * one * two, g + one * two)
            });
        shape / gains
    }

    /// Share of the squared change that is the gain's, over all cells where
    /// both parts exist; NaN if nothing changed.
    pub fn gain_share(&self) -> f64 {
        let (gain, shape) = self
            .gain_part
            .iter()
            .zip(&self.shape_part)
            .filter(|(g, s)| g.is_finite() && s.is_finite())
            .fold((0.0, 0.0), |(g, s), (x, y)| (g + x, s + y));
        if gain + shape > 0.0 {
            gain / (gain + shape)
        } else {
            f64::NAN
        }
    }
}

/// Change of gain and of shape; each array is the tuning `(cell, bin)` of half
/// of a session's trials.
///
/// Products between halves hold no trial noise: `g² = ⟨F_a, F_b⟩` within a
/// session, and between sessions all halves are independent anyway. Where a
/// product within a session is not positive the cell has no length above
/// noise and all its entries but the other gain are NaN. Curves that are known
/// without noise can be passed as both halves. Subtract a baseline first if
/// it is not part of the tuning.
///
/// # Errors
/// [`Error::Shape`] if the arrays differ in shape.
pub fn gain_shape_change(
    first: [ArrayView2<'_, f64>; 2],
    second: [ArrayView2<'_, f64>; 2],
) -> Result<GainShapeChange, Error> {
    let shape = first[0].dim();
    if [first[1], second[0], second[1]]
        .iter()
        .any(|half| half.dim() != shape)
    {
        return Err(Error::Shape("halves differ in cells or bins".into()));
    }
    let dot = |a: &ArrayView2<'_, f64>, b: &ArrayView2<'_, f64>, cell: usize| -> f64 {
        a.row(cell)
            .iter()
            .zip(b.row(cell))
            .map(|(x, y)| x * y)
            .sum()
    };
    let mut out = GainShapeChange {
        first_gain: Vec::with_capacity(shape.0),
        second_gain: Vec::with_capacity(shape.0),
        shape_cosine: Vec::with_capacity(shape.0),
        gain_part: Vec::with_capacity(shape.0),
        shape_part: Vec::with_capacity(shape.0),
    };
    for cell in 0..shape.0 {
        let gain = |halves: &[ArrayView2<'_, f64>; 2]| {
            let square = dot(&halves[0], &halves[1], cell);
            if square > 0.0 {
                square.sqrt()
            } else {
                f64::NAN
            }
        };
        let (one, two) = (gain(&first), gain(&second));
        let cross = first
            .iter()
            .flat_map(|a| second.iter().map(move |b| dot(a, b, cell)))
            .sum::<f64>()
            / 4.0;
        out.first_gain.push(one);
        out.second_gain.push(two);
        out.shape_cosine.push(cross / (one * two));
        out.gain_part.push((two - one).powi(2));
        out.shape_part.push(2.0 * (one * two - cross));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, stream};
    use ndarray::{Axis, arr2};
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn gain_and_shape_multiply_to_the_curve() {
        let tuning = arr2(&[[3.0, 4.0], [0.0, 0.0]]);
        let found = gain_and_shape(tuning.view());
        assert_eq!(found.gain, [5.0, 0.0]);
        assert_eq!(found.shape.row(0).to_vec(), [0.6, 0.8]);
        assert!(found.shape.row(1).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn the_parts_add_up_to_the_change() {
        let a = arr2(&[[1.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 3.0, 0.0]]);
        let b = arr2(&[[2.0, 4.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]);
        let found = gain_shape_change([a.view(); 2], [b.view(); 2]).unwrap();
        assert!((found.shape_cosine[0] - 1.0).abs() < 1e-12);
        assert!(found.shape_part[0].abs() < 1e-12);
        assert_eq!((found.gain_part[1], found.shape_part[1]), (0.0, 2.0));
        let change = (&b - &a).mapv(|v| v * v).sum_axis(Axis(1));
        for cell in 0..3 {
            let parts = found.gain_part[cell] + found.shape_part[cell];
            assert!((parts - change[cell]).abs() < 1e-12);
        }
        let none = Array2::<f64>::zeros((0, 3));
        let empty = gain_shape_change([none.view(); 2], [none.view(); 2]).unwrap();
        assert!(empty.gain_share().is_nan());
        assert!(gain_shape_change([none.view(); 2], [a.view(); 2]).is_err());
    }

    #[test]
    fn noise_is_no_change_of_shape() {
        let mut rng = stream(4, Domain::Planted, 0);
        let mut half = |gain: f64| {
            Array2::from_shape_fn((3000, 20), |(cell, bin)| {
                let noise: f64 = StandardNormal.sample(&mut rng);
                gain * f64::from(u8::from(bin == cell % 20)) * 8.0 + noise
            })
        };
        let halves = [half(1.0), half(1.0), half(1.5), half(1.5)];
        let [a, b, c, d] = halves.each_ref().map(|half| half.view());
        let found = gain_shape_change([a, b], [c, d]).unwrap();
        assert!((found.cosine() - 1.0).abs() < 0.03, "{}", found.cosine());
        // (1.5 − 1)² of what the change is.
        assert!(found.gain_share() > 0.8, "{}", found.gain_share());
        let naive = gain_shape_change([a, a], [c, c]).unwrap();
        assert!(naive.cosine() < 0.85 && naive.gain_share() < 0.4);
    }
}
