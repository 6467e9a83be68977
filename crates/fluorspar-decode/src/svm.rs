use crate::decoder::{one_against_one, positive};
use crate::{Classifier, Decoder, Error, Kernel, Workspace};

mod newton;
mod solver;

pub(crate) use solver::Buffers;

/// A linear soft-margin support vector machine: the C-SVM of Cortes and
/// Vapnik (1995) with hinge loss and a bias that is not penalised, as libsvm
/// (`SVC(kernel="linear")`) and MATLAB's `fitcsvm` solve it. Several classes
/// vote pair by pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearSvm {
    /// Penalty on margin violations.
    pub c: f64,
    /// How far the optimality conditions may be violated at the end, in units
    /// of the decision value (libsvm's `eps`, there 0.001).
    pub tolerance: f64,
    /// Most steps of the solver per pair of classes.
    pub max_steps: usize,
}

impl Default for LinearSvm {
    fn default() -> Self {
        Self {
            c: 1.0,
            tolerance: 1e-6,
            max_steps: 2_000_000,
        }
    }
}

impl Decoder for LinearSvm {
    fn fit(
        &self,
        kernel: &Kernel,
        labels: &[i64],
        train: &[usize],
        workspace: &mut Workspace,
    ) -> Result<Classifier, Error> {
        positive("c", self.c)?;
        positive("tolerance", self.tolerance)?;
        let classes = kernel.classes(labels, train)?;
        one_against_one(classes, labels, train, |signs| {
            workspace.svm.solve(self, kernel, train, signs)
        })
    }
}
