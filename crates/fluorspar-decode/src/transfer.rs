//! Decoders that are trained on some trials and read others: of another
//! session, time, context or outcome.
//!
//! All trials lie in one Gram matrix, one below the other; what is trained on
//! and what is read are lists of trials.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};
use rand::seq::SliceRandom;

use crate::random::{Domain, stream};
use crate::validation::predictions;
use crate::{
    Confusion, CrossValidation, Decoder, Error, Kernel, Workspace, balanced_accuracy, score,
};

/// Trains on the trials of one session and reads those of another.
///
/// `own` `(training trial, training trial)` and `cross` `(test trial, training
/// trial)` are inner products in the features of the training session: centre
/// and scale both sessions by it ([`Scaling`](crate::Scaling)). Scaling the
/// test session by itself instead tells drift of gain and baseline from drift
/// of tuning.
///
/// Returns the predicted label of each test trial.
///
/// # Errors
/// As [`Decoder::train`] and [`Classifier::predict`](crate::Classifier::predict).
pub fn across(
    decoder: &dyn Decoder,
    own: ArrayView2<'_, f64>,
    labels: &[i64],
    cross: ArrayView2<'_, f64>,
) -> Result<Vec<i64>, Error> {
    let all: Vec<usize> = (0..labels.len()).collect();
    decoder.train(own, labels, &all)?.predict(cross)
}

/// Trains on some trials and reads others, for instance correct and error
/// trials: what a decoder of correct trials says in an error tells whether the
/// error was in the code or in what was made of it.
///
/// # Errors
/// [`Error::Shape`] if a trial is on both sides; as [`Decoder::fit`];
/// [`Error::Empty`] without test trials.
pub fn apart(
    decoder: &dyn Decoder,
    kernel: &Kernel,
    labels: &[i64],
    train: &[usize],
    test: &[usize],
) -> Result<Confusion, Error> {
    kernel.check(labels, test)?;
    if let Some(both) = test.iter().find(|t| train.contains(t)) {
        return Err(Error::Shape(format!("the trial {both} is on both sides")));
    }
    let classifier = decoder.fit(kernel, labels, train, &mut Workspace::default())?;
    let guesses = classifier.predict_in(kernel, train, test)?;
    let truth: Vec<i64> = test.iter().map(|&t| labels[t]).collect();
    Confusion::new(&truth, &guesses)
}

/// Trains on all sessions but one and reads that one, each in turn: what of
/// the code is common to all days. `session` is that of each trial. Balanced
/// accuracy of each session, in ascending order of its number.
///
/// # Errors
/// As [`apart`]; [`Error::Empty`] with fewer than two sessions.
pub fn leave_one_session_out(
    decoder: &dyn Decoder,
    kernel: &Kernel,
    labels: &[i64],
    session: &[usize],
) -> Result<BTreeMap<usize, f64>, Error> {
    let members = by_session(kernel, labels, session)?;
    if members.len() < 2 {
        return Err(Error::Empty);
    }
    members
        .iter()
        .map(|(&left_out, test)| {
            let train: Vec<usize> = (0..labels.len())
                .filter(|&t| session[t] != left_out)
                .collect();
            let confusion = apart(decoder, kernel, labels, &train, test)?;
            Ok((left_out, confusion.balanced_accuracy()))
        })
        .collect()
}

/// Is there a subspace in which the code is stable?
#[derive(Clone, Debug, PartialEq)]
pub struct Concatenated {
    /// Balanced accuracy of one decoder of all sessions, by session.
    pub together: BTreeMap<usize, f64>,
    /// That of a decoder of the session alone, with as many training trials.
    pub alone: BTreeMap<usize, f64>,
    /// Trials of each class taken from each session for the common decoder.
    pub trials: usize,
}

/// One decoder trained on trials of all sessions, against decoders of single
/// sessions with as many training trials altogether (Rule et al. 2020, eLife
/// 9:e51121: matched trial counts). If the common one is as good, some
/// subspace carries the label on all days.
///
/// Of each session and class `trials` are drawn, as few as the smallest has
/// divided by the number of sessions; the common decoder takes these, the one
/// alone takes that times the number of sessions from its own. Both are
/// cross-validated over the drawn trials; draws are averaged.
///
/// # Errors
/// [`Error::TooFewTrials`] if that leaves fewer trials than folds;
/// [`Error::OneClass`] if a session lacks a class; as [`Decoder::fit`].
pub fn concatenated(
    decoder: &dyn Decoder,
    kernel: &Kernel,
    labels: &[i64],
    session: &[usize],
    validation: &CrossValidation,
    draws: usize,
) -> Result<Concatenated, Error> {
    let members = by_session(kernel, labels, session)?;
    crate::validation::check_count("draws", draws, 1)?;
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let mut smallest = (usize::MAX, 0_i64);
    for trials in members.values() {
        for &class in &classes {
            let n = trials.iter().filter(|&&t| labels[t] == class).count();
            smallest = smallest.min((n, class));
        }
    }
    let take = smallest.0 / members.len().max(1);
    if take < validation.folds {
        return Err(Error::TooFewTrials {
            label: smallest.1,
            trials: take,
            folds: validation.folds,
        });
    }
    let mut workspace = Workspace::default();
    let mut together: BTreeMap<usize, f64> = members.keys().map(|&s| (s, 0.0)).collect();
    let mut alone = together.clone();
    for draw in 0..draws {
        let mut rng = stream(validation.seed, Domain::Sessions, 0, draw);
        // The first `take` of each shuffled class join the common decoder.
        let mut common = Vec::new();
        for (number, trials) in &members {
            let mut own = Vec::new();
            for &class in &classes {
                let mut list: Vec<usize> = trials
                    .iter()
                    .copied()
                    .filter(|&t| labels[t] == class)
                    .collect();
                list.shuffle(&mut rng);
                common.extend(&list[..take]);
                own.extend(&list[..take * members.len()]);
            }
            own.sort_unstable();
            let splits = validation.splits_of(labels, &own)?;
            let guesses = predictions(decoder, kernel, labels, &splits, &mut workspace)?;
            *alone.entry(*number).or_default() += score(labels, &guesses)?.mean / draws as f64;
        }
        common.sort_unstable();
        // Folds that hold as much of each session as of each class.
        let place = |t: usize| classes.binary_search(&labels[t]).unwrap_or(0);
        let strata: Vec<i64> = (0..labels.len())
            .map(|t| (session[t] * classes.len() + place(t)) as i64)
            .collect();
        let splits = validation.splits_of(&strata, &common)?;
        let guesses = predictions(decoder, kernel, labels, &splits, &mut workspace)?;
        for (number, sum) in &mut together {
            let own: Vec<Vec<Option<i64>>> = guesses
                .iter()
                .map(|row| {
                    row.iter()
                        .enumerate()
                        .map(|(t, guess)| guess.filter(|_| session[t] == *number))
                        .collect()
                })
                .collect();
            *sum += score(labels, &own)?.mean / draws as f64;
        }
    }
    Ok(Concatenated {
        together,
        alone,
        trials: take,
    })
}

/// Trains at each time and reads at each time, `(training time, test time)`:
/// balanced accuracy of held-out trials, mean over repeats. A code that stands
/// still is square, one that moves on is diagonal.
///
/// Samples of the Gram matrix are trials at times, time after time: sample
/// `time * trials + trial`. Held-out trials are held out at all times.
///
/// # Errors
/// [`Error::Shape`] unless the matrix has `times * labels.len()` samples; as
/// [`CrossValidation::score`].
pub fn cross_temporal(
    decoder: &dyn Decoder,
    kernel: &Kernel,
    labels: &[i64],
    times: usize,
    validation: &CrossValidation,
) -> Result<Array2<f64>, Error> {
    let trials = labels.len();
    if trials.checked_mul(times) != Some(kernel.trials()) {
        return Err(Error::Shape(format!(
            "{} samples for {trials} trials at {times} times",
            kernel.trials()
        )));
    }
    let splits = validation.splits(labels)?;
    let repeated: Vec<i64> = (0..times).flat_map(|_| labels.iter().copied()).collect();
    let at = |time: usize, list: &[usize]| -> Vec<usize> {
        list.iter().map(|&t| time * trials + t).collect()
    };
    let mut guesses = vec![vec![vec![None; trials]; validation.repeats]; times * times];
    let mut workspace = Workspace::default();
    for split in &splits {
        for trained in 0..times {
            let train = at(trained, &split.train);
            let classifier = decoder.fit(kernel, &repeated, &train, &mut workspace)?;
            for read in 0..times {
                let test = at(read, &split.test);
                let found = classifier.predict_in(kernel, &train, &test)?;
                for (&trial, label) in split.test.iter().zip(found) {
                    guesses[trained * times + read][split.repeat][trial] = Some(label);
                }
            }
        }
    }
    let mut out = Array2::zeros((times, times));
    for (value, guesses) in out.iter_mut().zip(&guesses) {
        *value = score(labels, guesses)?.mean;
    }
    Ok(out)
}

/// Trains at each time of one session and reads at each time of another,
/// `(training time, test time)`: balanced accuracy.
///
/// Samples of the Gram matrix are those of the training session, time after
/// time as in [`cross_temporal`], then those of the test session.
///
/// # Errors
/// [`Error::Shape`] if the matrix has another number of samples; as
/// [`Decoder::fit`].
pub fn cross_temporal_across(
    decoder: &dyn Decoder,
    kernel: &Kernel,
    train: (&[i64], usize),
    test: (&[i64], usize),
) -> Result<Array2<f64>, Error> {
    let samples = |(labels, times): (&[i64], usize)| labels.len().checked_mul(times);
    let (Some(first), Some(second)) = (samples(train), samples(test)) else {
        return Err(Error::Shape("too many samples".into()));
    };
    if first.checked_add(second) != Some(kernel.trials()) {
        return Err(Error::Shape(format!(
            "{} samples for {first} of training and {second} of test",
            kernel.trials()
        )));
    }
    let labels: Vec<i64> = [train, test]
        .iter()
        .flat_map(|&(labels, times)| (0..times).flat_map(move |_| labels.iter().copied()))
        .collect();
    let mut out = Array2::zeros((train.1, test.1));
    let mut workspace = Workspace::default();
    for trained in 0..train.1 {
        let start = trained * train.0.len();
        let list: Vec<usize> = (start..start + train.0.len()).collect();
        let classifier = decoder.fit(kernel, &labels, &list, &mut workspace)?;
        for read in 0..test.1 {
            let start = first + read * test.0.len();
            let tested: Vec<usize> = (start..start + test.0.len()).collect();
            let guesses = classifier.predict_in(kernel, &list, &tested)?;
            out[[trained, read]] = balanced_accuracy(test.0, &guesses)?;
        }
    }
    Ok(out)
}

/// Trials of each session.
fn by_session(
    kernel: &Kernel,
    labels: &[i64],
    session: &[usize],
) -> Result<BTreeMap<usize, Vec<usize>>, Error> {
    kernel.check(labels, &[])?;
    if session.len() != labels.len() {
        return Err(Error::Shape(format!(
            "{} sessions for {} labels",
            session.len(),
            labels.len()
        )));
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (trial, &number) in session.iter().enumerate() {
        members.entry(number).or_default().push(trial);
    }
    Ok(members)
}
