use ndarray::ArrayView2;

use crate::classifier::Machine;
use crate::svm::Buffers;
use crate::{Classifier, Error, Kernel};

/// Memory that refits share; one per thread.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pub(crate) svm: Buffers,
}

/// Something that learns labels from a Gram matrix. All cross-validations,
/// permutations and transfers work with any of them.
pub trait Decoder: Sync {
    /// Trains on the trials `train`; `labels` are those of all trials of the
    /// matrix, of which only the training trials' are looked at.
    ///
    /// # Errors
    /// [`Error::Shape`] if the sizes disagree, [`Error::OneClass`],
    /// [`Error::Empty`], [`Error::Parameter`], [`Error::NotConverged`].
    fn fit(
        &self,
        kernel: &Kernel,
        labels: &[i64],
        train: &[usize],
        workspace: &mut Workspace,
    ) -> Result<Classifier, Error>;

    /// [`Decoder::fit`] once, on a Gram matrix `(trial, trial)` as it is.
    ///
    /// # Errors
    /// As [`Kernel::new`] and [`Decoder::fit`].
    fn train(
        &self,
        gram: ArrayView2<'_, f64>,
        labels: &[i64],
        train: &[usize],
    ) -> Result<Classifier, Error> {
        self.fit(
            &Kernel::new(gram)?,
            labels,
            train,
            &mut Workspace::default(),
        )
    }
}

/// Trains one machine per pair of classes with `solve(signs)`, signs being +1
/// for the first class, −1 for the second and 0 for trials of others; it
/// returns one coefficient per training trial and a bias.
pub(crate) fn one_against_one(
    classes: Vec<i64>,
    labels: &[i64],
    train: &[usize],
    mut solve: impl FnMut(&[f64]) -> Result<(Vec<f64>, f64), Error>,
) -> Result<Classifier, Error> {
    let mut machines = Vec::with_capacity(classes.len() * (classes.len() - 1) / 2);
    let mut signs = vec![0.0; train.len()];
    for first in 0..classes.len() {
        for second in first + 1..classes.len() {
            for (sign, &trial) in signs.iter_mut().zip(train) {
                let label = labels[trial];
                *sign = f64::from(
                    i8::from(label == classes[first]) - i8::from(label == classes[second]),
                );
            }
            let (coefficients, bias) = solve(&signs)?;
            machines.push(Machine {
                first,
                second,
                coefficients,
                bias,
            });
        }
    }
    Ok(Classifier {
        classes,
        trials: train.len(),
        machines,
    })
}

/// Refuses a parameter that is not positive and finite.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), Error> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::Parameter {
        name,
        value,
        rule: "must be positive",
    })
}
