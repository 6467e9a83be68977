//! A session made ready to train on and to be read.

use fluorspar_decode::{
    Classifier, Decoder as _, Features, LinearSvm, Scaling, gram, gram_of_some, read_out, weights,
};
use ndarray::{Array2, ArrayView2};

use super::FOLDS;
use crate::Parameters;
use crate::analyse::context::{Context, Window};
use crate::analyse::population::outside;

/// What of a session does not depend on the other one.
pub(super) struct Prepared<'a> {
    /// Mean over the epoch `(trial, cell)`.
    activity: ArrayView2<'a, f32>,
    pub(super) labels: &'a [i64],
    /// Its usable cells that vary, ascending by index.
    cells: Vec<usize>,
    /// Mean and one over the standard deviation of each of `cells`.
    scaling: Scaling,
    /// For each cell of the session its place in `cells`.
    place: Vec<Option<usize>>,
    /// Inner products over all of `cells`.
    gram: Array2<f64>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(
        context: &'a Context<'_>,
        window: &'a Window<'_>,
        session: usize,
        variable: &str,
        classes: &[i64],
    ) -> Result<Self, String> {
        if window.bins[session].is_empty() {
            return Err(outside(session));
        }
        if let Some(reason) = context.shortage(session, variable, classes) {
            return Err(reason);
        }
        let labels = context.labels(session, variable);
        for class in classes {
            let n = labels.iter().filter(|l| *l == class).count();
            if n < FOLDS {
                let number = session + 1;
                return Err(format!(
                    "session {number} has {n} trials with {variable} = {class}; {FOLDS} are needed"
                ));
            }
        }
        let say = |e: fluorspar_decode::Error| format!("session {}: {e}", session + 1);
        let activity = window.means[session].t();
        let mut usable: Vec<usize> = context.roster.of(session).map(|(_, cell)| cell).collect();
        usable.sort_unstable();
        let features = Features::new(activity).of_cells(&usable).map_err(say)?;
        let all = Scaling::standardise(&features).map_err(say)?;
        // Cells that do not vary say nothing and would only be carried along.
        let varies: Vec<usize> = (0..usable.len())
            .filter(|&k| all.weight[k] != 0.0)
            .collect();
        let cells: Vec<usize> = varies.iter().map(|&k| usable[k]).collect();
        let scaling = Scaling {
            centre: varies.iter().map(|&k| all.centre[k]).collect(),
            weight: varies.iter().map(|&k| all.weight[k]).collect(),
        };
        if cells.is_empty() {
            return Err(format!("no cell of session {} varies", session + 1));
        }
        let scaled = Features::new(activity)
            .of_cells(&cells)
            .and_then(|f| f.scaled(&scaling))
            .map_err(say)?;
        let gram = gram(&scaled).map_err(say)?;
        let mut place = vec![None; activity.ncols()];
        for (k, &cell) in cells.iter().enumerate() {
            place[cell] = Some(k);
        }
        Ok(Self {
            activity,
            labels,
            cells,
            scaling,
            place,
            gram,
        })
    }

    /// Which of the chosen cells vary: their numbers in the choice and in `cells`.
    fn varying(&self, chosen: &[usize]) -> (Vec<usize>, Vec<usize>) {
        chosen
            .iter()
            .enumerate()
            .filter_map(|(k, &cell)| Some((k, self.place[cell]?)))
            .unzip()
    }

    /// Inner products over the chosen cells, standardised.
    pub(super) fn gram(&self, chosen: &[usize]) -> Result<Array2<f64>, String> {
        let (_, places) = self.varying(chosen);
        if places.is_empty() {
            return Err("no shared cell varies".into());
        }
        let scaled = Features::new(self.activity)
            .of_cells(&self.cells)
            .and_then(|f| f.scaled(&self.scaling));
        scaled
            .and_then(|features| gram_of_some(self.gram.view(), &features, &places))
            .map_err(|e| e.to_string())
    }
}

/// A decoder trained on a session, with a weight for each chosen cell.
pub(super) struct Reader {
    classifier: Classifier,
    /// Numbers of the cells with weights, in the choice.
    kept: Vec<usize>,
    /// The training session's units of these cells.
    scaling: Scaling,
    /// `(cell, pair of classes)`.
    weights: Array2<f64>,
}

impl Reader {
    pub(super) fn new(
        parameters: &Parameters,
        session: &Prepared<'_>,
        chosen: &[usize],
    ) -> Result<Self, String> {
        let say = |e: fluorspar_decode::Error| e.to_string();
        let gram = session.gram(chosen)?;
        let all: Vec<usize> = (0..session.labels.len()).collect();
        let classifier = machine(parameters)
            .train(gram.view(), session.labels, &all)
            .map_err(say)?;
        let (kept, places) = session.varying(chosen);
        let columns: Vec<usize> = places.iter().map(|&k| session.cells[k]).collect();
        let scaling = Scaling {
            centre: places.iter().map(|&k| session.scaling.centre[k]).collect(),
            weight: places.iter().map(|&k| session.scaling.weight[k]).collect(),
        };
        let pairs = classifier.pairs().count();
        let coefficients = Array2::from_shape_fn((all.len(), pairs), |(trial, pair)| {
            classifier.coefficients(pair).map_or(0.0, |c| c[trial])
        });
        let features = Features::new(session.activity)
            .of_cells(&columns)
            .and_then(|f| f.scaled(&scaling))
            .map_err(say)?;
        let weights = weights(&features, coefficients.view()).map_err(say)?;
        Ok(Self {
            classifier,
            kept,
            scaling,
            weights,
        })
    }

    /// The label of each trial of another session, in the units of the training
    /// session or in its own. A cell that does not vary in its own units is at
    /// its mean.
    pub(super) fn read(
        &self,
        test: &Prepared<'_>,
        chosen: &[usize],
        own_units: bool,
    ) -> Result<Vec<i64>, String> {
        let say = |e: fluorspar_decode::Error| e.to_string();
        let columns: Vec<usize> = self.kept.iter().map(|&k| chosen[k]).collect();
        let own = own_units.then(|| Scaling {
            centre: columns
                .iter()
                .map(|&c| test.place[c].map_or(0.0, |k| test.scaling.centre[k]))
                .collect(),
            weight: columns
                .iter()
                .map(|&c| test.place[c].map_or(0.0, |k| test.scaling.weight[k]))
                .collect(),
        });
        let features = Features::new(test.activity)
            .of_cells(&columns)
            .and_then(|f| f.scaled(own.as_ref().unwrap_or(&self.scaling)))
            .map_err(say)?;
        let mut decision = read_out(&features, self.weights.view()).map_err(say)?;
        for (pair, mut column) in decision.columns_mut().into_iter().enumerate() {
            column += self.classifier.bias(pair).unwrap_or(0.0);
        }
        self.classifier.vote_of(decision.view()).map_err(say)
    }
}

/// The decoder of all analyses. Its tolerance is libsvm's.
pub(super) fn machine(parameters: &Parameters) -> LinearSvm {
    LinearSvm {
        c: parameters.c,
        tolerance: 1e-3,
        ..LinearSvm::default()
    }
}
