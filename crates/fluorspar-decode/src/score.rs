//! How good predictions are.

use ndarray::Array2;

use crate::Error;

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// All labels that occur in truth or prediction, ascending.
    pub classes: Vec<i64>,
    /// Trials by `(true class, predicted class)`.
    pub counts: Array2<u32>,
}

impl Confusion {
    /// Counts.
    ///
    /// # Errors
    /// [`Error::Shape`] if the lengths differ, [`Error::Empty`] without trials.
    pub fn new(truth: &[i64], predicted: &[i64]) -> Result<Self, Error> {
        same_length(truth.len(), predicted.len())?;
        if truth.is_empty() {
            return Err(Error::Empty);
        }
        // There are few classes: looking through them is faster than sorting trials.
        let mut classes: Vec<i64> = Vec::new();
        for label in truth.iter().chain(predicted) {
            if !classes.contains(label) {
                classes.push(*label);
            }
        }
        classes.sort_unstable();
        let mut counts = Array2::zeros((classes.len(), classes.len()));
        let place = |label: &i64| classes.binary_search(label).unwrap_or(0);
        for (t, p) in truth.iter().zip(predicted) {
            counts[[place(t), place(p)]] += 1;
        }
        Ok(Self { classes, counts })
    }

    /// Share of trials that are right.
    pub fn accuracy(&self) -> f64 {
        f64::from(self.counts.diag().sum()) / f64::from(self.counts.sum())
    }

    /// Mean over the true classes of the share of each that is right.
    pub fn balanced_accuracy(&self) -> f64 {
        let (mut sum, mut classes) = (0.0, 0_u32);
        for (k, row) in self.counts.rows().into_iter().enumerate() {
            let all = row.sum();
            if all > 0 {
                sum += f64::from(row[k]) / f64::from(all);
                classes += 1;
            }
        }
        sum / f64::from(classes)
    }
}

/// Mean over classes of the share of each class's trials that were decoded
/// right: chance is one over the number of classes, whatever their sizes.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::Empty`] without trials.
///
/// ```
/// use fluorspar_decode::balanced_accuracy;
/// // Saying "0" always is right in 3 of 4 trials, but in one of two classes.
/// assert_eq!(balanced_accuracy(&[0, 0, 0, 1], &[0, 0, 0, 0]), Ok(0.5));
/// ```
pub fn balanced_accuracy(truth: &[i64], predicted: &[i64]) -> Result<f64, Error> {
    same_length(truth.len(), predicted.len())?;
    // One pass without a table: resampling calls this millions of times.
    let mut classes: Vec<(i64, u32, u32)> = Vec::new();
    for (label, guess) in truth.iter().zip(predicted) {
        let right = u32::from(label == guess);
        match classes.iter_mut().find(|class| class.0 == *label) {
            Some(class) => {
                class.1 += right;
                class.2 += 1;
            }
            None => classes.push((*label, right, 1)),
        }
    }
    if classes.is_empty() {
        return Err(Error::Empty);
    }
    classes.sort_unstable();
    let sum: f64 = classes
        .iter()
        .map(|&(_, right, all)| f64::from(right) / f64::from(all))
        .sum();
    Ok(sum / classes.len() as f64)
}

/// Share of trials that were decoded right. With unequal classes chance is
/// not one over their number.
///
/// # Errors
/// As [`balanced_accuracy`].
pub fn accuracy(truth: &[i64], predicted: &[i64]) -> Result<f64, Error> {
    Ok(Confusion::new(truth, predicted)?.accuracy())
}

/// Area under the receiver operating characteristic: the probability that a
/// trial of the class has a greater value than one of another, ties for half.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::NotFinite`] (trial, 0),
/// [`Error::Empty`] without trials on one of the sides.
pub fn area_under_roc(values: &[f64], belongs: &[bool]) -> Result<f64, Error> {
    same_length(values.len(), belongs.len())?;
    if let Some(row) = values.iter().position(|v| !v.is_finite()) {
        return Err(Error::NotFinite { row, column: 0 });
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let inside = belongs.iter().filter(|&&b| b).count();
    let outside = belongs.len() - inside;
    if inside == 0 || outside == 0 {
        return Err(Error::Empty);
    }
    let (mut wins, mut below) = (0.0, 0.0);
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mine = tied.iter().filter(|&&t| belongs[t]).count() as f64;
        let others = tied.len() as f64 - mine;
        wins += mine * (below + others / 2.0);
        below += others;
    }
    Ok(wins / (inside as f64 * outside as f64))
}

/// Sensitivity of behaviour `z(hits) − z(false alarms)`, half a trial added to
/// every count so that perfect performance stays finite (Hautus 1995, Behav
/// Res Methods 27:46).
///
/// # Errors
/// [`Error::Empty`] without go or without no-go trials.
///
/// ```
/// use fluorspar_decode::d_prime;
/// assert!((d_prime(50, 50, 50, 50)?).abs() < 1e-12);
/// assert!(d_prime(100, 0, 0, 100)? > 5.0);
/// # Ok::<(), fluorspar_decode::Error>(())
/// ```
pub fn d_prime(
    hits: u32,
    misses: u32,
    false_alarms: u32,
    correct_rejections: u32,
) -> Result<f64, Error> {
    let rate = |yes: u32, no: u32| {
        let all = f64::from(yes) + f64::from(no);
        if all == 0.0 {
            return Err(Error::Empty);
        }
        Ok((f64::from(yes) + 0.5) / (all + 1.0))
    };
    Ok(quantile(rate(hits, misses)?) - quantile(rate(false_alarms, correct_rejections)?))
}

/// Accuracy of an ideal observer of two classes with separation `d_prime`
/// whose decision axis is turned by an angle: `Φ(d′/2 · cos θ)`.
pub fn rotated_accuracy(d_prime: f64, cosine: f64) -> f64 {
    normal(d_prime / 2.0 * cosine)
}

/// How much of what a session's own decoder knows another one knows:
/// `(A − chance) / (A_own − chance)`. NaN unless the own one is above chance.
pub fn relative_accuracy(accuracy: f64, own: f64, chance: f64) -> f64 {
    if own > chance {
        (accuracy - chance) / (own - chance)
    } else {
        f64::NAN
    }
}

fn same_length(truth: usize, predicted: usize) -> Result<(), Error> {
    if truth == predicted {
        return Ok(());
    }
    Err(Error::Shape(format!(
        "{truth} labels and {predicted} predictions"
    )))
}

fn normal(x: f64) -> f64 {
    statrs::function::erf::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

/// The standard normal quantile of a probability between 0 and 1.
fn quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * statrs::function::erf::erfc_inv(2.0 * p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_values() {
        let confusion = Confusion::new(&[0, 0, 0, 1], &[0, 0, 1, 1]).unwrap();
        assert_eq!(confusion.counts, ndarray::array![[2, 1], [0, 1]]);
        assert_eq!(confusion.accuracy(), 0.75);
        assert!((confusion.balanced_accuracy() - 5.0 / 6.0).abs() < 1e-15);
        let area = area_under_roc(&[1.0, 2.0, 2.0, 3.0], &[false, false, true, true]);
        assert_eq!(area, Ok(3.5 / 4.0));
        assert_eq!(area_under_roc(&[1.0], &[true]), Err(Error::Empty));
        // Φ⁻¹(0.8413447) = 1.
        assert!((quantile(0.841_344_746_068_543) - 1.0).abs() < 1e-9);
        assert!((rotated_accuracy(2.5, 1.0) - 0.894_350).abs() < 1e-5);
        assert!((rotated_accuracy(2.5, 0.5) - 0.734_014).abs() < 1e-5);
        assert!((relative_accuracy(0.7, 0.9, 0.5) - 0.5).abs() < 1e-12);
        assert!(relative_accuracy(0.7, 0.4, 0.5).is_nan());
    }
}
