use crate::validation::predictions;
use crate::{Classifier, CrossValidation, Decoder, Error, Kernel, Split, Workspace, score};

/// Chooses among decoders by cross-validation *inside* the training trials:
/// used in a cross-validation, this is a nested one, and the test trials have
/// no say in the choice.
///
/// ```
/// use fluorspar_decode::{CrossValidation, Decoder, LinearSvm, Tuned};
/// let candidates: Vec<LinearSvm> = [0.01, 0.1, 1.0]
///     .map(|c| LinearSvm { c, ..LinearSvm::default() })
///     .to_vec();
/// let tuned = Tuned { candidates, inner: CrossValidation { folds: 4, repeats: 1, seed: 7 } };
/// let gram = ndarray::Array2::from_shape_fn((16, 16), |(i, j)| {
///     f64::from(u8::from(i == j)) + if i % 2 == j % 2 { 1.0 } else { -1.0 }
/// });
/// let labels: Vec<i64> = (0..16).map(|t| t % 2).collect();
/// let score = CrossValidation::default().score(&tuned, gram.view(), &labels)?;
/// assert_eq!(score.mean, 1.0);
/// # Ok::<(), fluorspar_decode::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned<D> {
    /// What is chosen from; of equally good ones the first, so put the
    /// strongest penalty there.
    pub candidates: Vec<D>,
    /// How candidates are compared; seeded, so that the same training trials
    /// are always cut alike.
    pub inner: CrossValidation,
}

impl<D: Decoder> Tuned<D> {
    /// The place of the best candidate for some training trials, and the inner
    /// balanced accuracy of each.
    ///
    /// # Errors
    /// [`Error::Empty`] without candidates; as [`CrossValidation::splits`] and
    /// [`Decoder::fit`].
    pub fn choose(
        &self,
        kernel: &Kernel,
        labels: &[i64],
        train: &[usize],
        workspace: &mut Workspace,
    ) -> Result<(usize, Vec<f64>), Error> {
        kernel.classes(labels, train)?;
        let splits: Vec<Split> = self.inner.splits_of(labels, train)?;
        let scores: Vec<f64> = self
            .candidates
            .iter()
            .map(|decoder| {
                let guesses = predictions(decoder, kernel, labels, &splits, workspace)?;
                Ok(score(labels, &guesses)?.mean)
            })
            .collect::<Result<_, Error>>()?;
        let mut best = None;
        for (place, &value) in scores.iter().enumerate() {
            if best.is_none_or(|b: usize| value > scores[b] + 1e-12) {
                best = Some(place);
            }
        }
        Ok((best.ok_or(Error::Empty)?, scores))
    }
}

impl<D: Decoder> Decoder for Tuned<D> {
    fn fit(
        &self,
        kernel: &Kernel,
        labels: &[i64],
        train: &[usize],
        workspace: &mut Workspace,
    ) -> Result<Classifier, Error> {
        let (best, _) = self.choose(kernel, labels, train, workspace)?;
        self.candidates[best].fit(kernel, labels, train, workspace)
    }
}
