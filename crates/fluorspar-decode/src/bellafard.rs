use ndarray::{Array2, ArrayView3, Axis};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::random::{Domain, stream};
use crate::validation::{check_count, plain_score, predictions};
use crate::{Error, Features, HoldOut, Kernel, LinearSvm, Workspace, gram};

/// The published decoder of Bellafard et al. 2024 (Nature 629:1109; code
/// `bellafard/DAT-Decoding`): a window of 10 frames slides by one; its mean
/// activity is decoded by a linear support vector machine (`C = 1`, cells as
/// they are) trained on 90 % of the trials and tested on the rest, 32 times;
/// plain accuracy.
///
/// For comparison with the paper. What to know before quoting its numbers:
/// * The hold-out is not stratified and accuracy is plain: with unequal
///   classes chance is the larger one's share, not 50 %.
/// * The 32 hold-outs share their trials. Their spread says how much the cut
///   matters, nothing about other trials or animals: do not make a standard
///   error of it.
/// * Neighbouring windows share nine frames of ten.
/// * The shuffled curve permutes training labels only, once per hold-out: it
///   shows the chance level, it is not a test.
///
/// Our default is [`CrossValidation`](crate::CrossValidation) with a
/// [`PermutationTest`](crate::PermutationTest): stratified, every trial tested
/// once per repeat, balanced accuracy, refitted null.
#[derive(Clone, Debug, PartialEq)]
pub struct Bellafard2024 {
    /// Frames per window.
    pub window: usize,
    /// Frames from window to window.
    pub stride: usize,
    /// The splits.
    pub hold_out: HoldOut,
    /// The machine.
    pub decoder: LinearSvm,
}

impl Default for Bellafard2024 {
    fn default() -> Self {
        Self {
            window: 10,
            stride: 1,
            hold_out: HoldOut {
                share: 0.9,
                repeats: 32,
                seed: 1,
            },
            decoder: LinearSvm {
                c: 1.0,
                tolerance: 1e-3,
                ..LinearSvm::default()
            },
        }
    }
}

/// Accuracy of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// First frame.
    pub start: usize,
    /// Mean plain accuracy over hold-outs.
    pub accuracy: f64,
    /// The same after training on shuffled labels.
    pub shuffled: f64,
}

impl Bellafard2024 {
    /// Decodes `activity` `(trial, cell, frame)`, window by window, on rayon's
    /// current pool.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an empty window or stride, [`Error::Empty`] if no
    /// window fits, [`Error::Shape`], [`Error::NotFinite`], [`Error::OneClass`]
    /// if a training set happens to lack a class.
    pub fn decode(
        &self,
        activity: ArrayView3<'_, f32>,
        labels: &[i64],
    ) -> Result<Vec<Window>, Error> {
        check_count("window", self.window, 1)?;
        check_count("stride", self.stride, 1)?;
        let (trials, cells, frames) = activity.dim();
        if labels.len() != trials {
            return Err(Error::Shape(format!(
                "{trials} trials and {} labels",
                labels.len()
            )));
        }
        if frames < self.window {
            return Err(Error::Empty);
        }
        let splits = self.hold_out.splits(trials)?;
        let starts: Vec<usize> = (0..=frames - self.window).step_by(self.stride).collect();
        starts
            .into_par_iter()
            .map_init(Workspace::default, |workspace, start| {
                let mut means = Array2::<f32>::zeros((trials, cells));
                for frame in start..start + self.window {
                    means += &activity.index_axis(Axis(2), frame);
                }
                means /= self.window as f32;
                let kernel = Kernel::new(gram(&Features::new(means.view()))?.view())?;
                let guesses = predictions(&self.decoder, &kernel, labels, &splits, workspace)?;
                let accuracy = plain_score(labels, &guesses)?.mean;
                let mut shuffled = 0.0;
                for split in &splits {
                    let mut rng = stream(self.hold_out.seed, Domain::Training, 0, split.repeat);
                    let mut drawn: Vec<i64> = split.train.iter().map(|&t| labels[t]).collect();
                    drawn.shuffle(&mut rng);
                    let mut wrong = labels.to_vec();
                    for (&trial, label) in split.train.iter().zip(drawn) {
                        wrong[trial] = label;
                    }
                    let mut alone = split.clone();
                    alone.repeat = 0;
                    let guesses = predictions(&self.decoder, &kernel, &wrong, &[alone], workspace)?;
                    shuffled += plain_score(labels, &guesses)?.mean;
                }
                Ok(Window {
                    start,
                    accuracy,
                    shuffled: shuffled / splits.len() as f64,
                })
            })
            .collect()
    }
}
