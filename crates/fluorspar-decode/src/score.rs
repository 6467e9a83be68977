use std::collections::BTreeMap;

use crate::Error;

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
    if truth.len() != predicted.len() {
        return Err(Error::Shape(format!(
            "{} labels and {} predictions",
            truth.len(),
            predicted.len()
        )));
    }
    let mut classes: BTreeMap<i64, (u32, u32)> = BTreeMap::new();
    for (label, guess) in truth.iter().zip(predicted) {
        let (right, all) = classes.entry(*label).or_default();
        *right += u32::from(label == guess);
        *all += 1;
    }
    if classes.is_empty() {
        return Err(Error::Empty);
    }
    let total: f64 = classes
        .values()
        .map(|&(right, all)| f64::from(right) / f64::from(all))
        .sum();
    Ok(total / classes.len() as f64)
}
