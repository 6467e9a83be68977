use crate::{Classifier, Decoder, Error, Kernel, Workspace};

/// The class whose mean over training trials is most like the trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Template {
    /// Least Euclidean distance.
    #[default]
    Euclidean,
    /// Greatest cosine. On a Gram matrix of trials centred over cells
    /// ([`centre_over_cells`](crate::centre_over_cells)): greatest correlation.
    Cosine,
}

impl Decoder for Template {
    fn fit(
        &self,
        kernel: &Kernel,
        labels: &[i64],
        train: &[usize],
        _: &mut Workspace,
    ) -> Result<Classifier, Error> {
        let classes = kernel.classes(labels, train)?;
        let mut scores = Vec::with_capacity(classes.len());
        for class in &classes {
            let places: Vec<usize> = (0..train.len())
                .filter(|&k| labels[train[k]] == *class)
                .collect();
            let n = places.len() as f64;
            let mut square = 0.0;
            for &a in &places {
                for &b in &places {
                    square += kernel.at(train[a], train[b]);
                }
            }
            square /= n * n;
            // The trial's own norm is the same for all classes and drops out.
            let (weight, bias) = match self {
                Self::Euclidean => (1.0, -0.5 * square),
                Self::Cosine if square > 0.0 => (1.0 / square.sqrt(), 0.0),
                Self::Cosine => return Err(Error::NoVariance),
            };
            let mut coefficients = vec![0.0; train.len()];
            for place in places {
                coefficients[place] = weight / n;
            }
            scores.push((coefficients, bias));
        }
        Ok(Classifier::from_scores(classes, &scores))
    }
}
