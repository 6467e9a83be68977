use super::references::{
    BENJAMINI, DEITCH, GEVA, LIBSVM, MANTEL, MARKS, PEARSON, PHIPSON, SPEARMAN,
};
use super::{Text, listed, percent};
use crate::config::{Epoch, ExperimentConfig};

/// From trials to drift: what was compared, how, and how sure it is.
pub(super) fn describe(text: &mut Text, config: &ExperimentConfig) {
    trials(text, config);
    cells(text, config);
    if several(config) {
        similarity(text, config);
    }
    decoding(text, config);
    statistics(text, config);
}

/// Whether there is anything to compare.
fn several(config: &ExperimentConfig) -> bool {
    config.sessions.len() > 1
}

fn trials(text: &mut Text, config: &ExperimentConfig) {
    let (trials, drift) = (&config.trials, &config.drift);
    text.paragraph();
    let onset = trials.onset.as_deref().unwrap_or("the trial's onset");
    text.say(format!("Trials were aligned on {onset}."));
    if !trials.exclude.is_empty() {
        let rules = trials
            .exclude
            .iter()
            .map(|(column, values)| format!("{column} {}", listed(values)));
        text.say(format!("Trials were left out with {}.", listed(rules)));
    }
    let bin = match trials.bin_s {
        Some(bin) => format!("in time bins of {bin} s"),
        None => "frame by frame".into(),
    };
    let activity = match drift.activity.as_str() {
        "dff" => "ΔF/F",
        _ => "events",
    };
    text.say(format!("Activity of cells ({activity}) was cut out {bin}."));
    if config.epochs.is_empty() {
        text.say("The whole trial was one epoch.");
    } else {
        let mut epochs: Vec<(&String, &Epoch)> = config.epochs.iter().collect();
        epochs.sort_by(|a, b| a.1.start_s.total_cmp(&b.1.start_s));
        let epochs = epochs.into_iter().map(|(name, epoch)| window(name, epoch));
        text.say(format!("Epochs were {}.", listed(epochs)));
    }
    text.say(format!(
        "Time bins of an epoch were averaged into at most {}.",
        drift.time_bins
    ));
    if drift.variables.is_empty() {
        text.say("The codes of all labels of the trials were followed.");
    } else {
        text.say(format!(
            "The code was followed of {}.",
            listed(&drift.variables)
        ));
    }
    behaviour(text, config);
}

fn window(name: &str, epoch: &Epoch) -> String {
    let from = epoch.event.as_deref().unwrap_or("onset");
    format!(
        "{name} ({} to {} s from {from})",
        epoch.start_s, epoch.stop_s
    )
}

fn behaviour(text: &mut Text, config: &ExperimentConfig) {
    if !config.drift.behaviour.is_empty() {
        text.say(format!(
            "Behaviour was told by {} of each trial.",
            listed(&config.drift.behaviour)
        ));
    }
    let with_traces = config.sessions.iter().zip(1..);
    let with_traces = with_traces.filter(|(session, _)| session.behaviour.is_some());
    let traces: Vec<String> = with_traces
        .map(|(session, number)| match session.video_rate {
            Some(rate) => format!("{number} (video at {rate} Hz)"),
            None => number.to_string(),
        })
        .collect();
    if !traces.is_empty() {
        let plural = if traces.len() == 1 { "" } else { "s" };
        text.say(format!(
            "Traces of behaviour of session{plural} {} were averaged over each trial.",
            listed(traces)
        ));
    }
}

fn cells(text: &mut Text, config: &ExperimentConfig) {
    let drift = &config.drift;
    text.paragraph();
    if several(config) {
        let rule = match drift.inclusion.as_str() {
            "active-in-either" => "cells that were active in at least one of the two",
            "tracked" => "all cells that were seen in both",
            "tracked-in-all" => "the cells that were seen in every session",
            "informative-in-either" => "cells that were selective in at least one of the two",
            "informative-in-both" => "cells that were selective in both",
            _ => "cells that were active in both",
        };
        text.say(format!(
            "Two sessions were compared on {rule}, at least {}, whose identity had a probability of \
             at least {}.",
            drift.min_cells, drift.min_p_same
        ));
        text.say(match drift.undetected.as_str() {
            "silent" => "A cell whose place was seen, without a ROI there, counted as silent.",
            _ => "A cell whose place was seen, without a ROI there, was left out of that session.",
        });
    }
    match config.experiment.areas.as_deref() {
        Some("plane") => text.say("Cells were grouped by plane."),
        Some(areas) => text.say(format!("Cells were grouped by areas drawn in {areas}.")),
        None => {}
    }
    if let Some(group) = &drift.group {
        text.say(format!("Only cells of {group} were taken."));
    }
}

fn similarity(text: &mut Text, config: &ExperimentConfig) {
    text.paragraph();
    let (deitch, geva) = (text.cite(DEITCH), text.cite(GEVA));
    text.say(format!(
        "Population vector, tuning curve and ensemble rate correlations {deitch}{geva} and the cosine \
         of the labels' patterns were computed between all pairs of sessions."
    ));
    let spearman = text.cite(SPEARMAN);
    text.say(format!(
        "They were computed for one number of trials in all sessions, with disjoint halves of trials \
         within a session, and corrected for the reliability of both sessions {spearman}."
    ));
    let marks = text.cite(MARKS);
    text.say(format!(
        "The instability of single cells was measured by the representational drift index {marks}."
    ));
    let (pearson, mantel) = (text.cite(PEARSON), text.cite(MANTEL));
    text.say(format!(
        "Laws of drift were fitted to corrected similarities by generalised least squares with the \
         covariance of correlations over the same cells {pearson} and compared by predicting \
         sessions left out; dependence on elapsed days was tested by Mantel tests {mantel}."
    ));
    text.say(
        "Drift was called crystallizing if its rate was shown to fall both by a likelihood ratio \
         against a plateau, a random walk and steady steps and by the slope of the loss between \
         neighbouring sessions.",
    );
    if config.drift.plant > 0 {
        text.say(format!(
            "What this analysis says of known laws of drift was learnt from {} experiments of each, \
             planted into the sessions' own trials and noise.",
            config.drift.plant
        ));
    }
}

fn decoding(text: &mut Text, config: &ExperimentConfig) {
    text.paragraph();
    let libsvm = text.cite(LIBSVM);
    let between = if several(config) {
        ", between sessions trained on all trials of one and tested on all trials of the other"
    } else {
        ""
    };
    text.say(format!(
        "Labels with at least {} trials each were decoded by linear support vector machines (C = {} \
         {libsvm}) on standardised activity, within a session by stratified five-fold \
         cross-validation{between}, and scored by balanced accuracy.",
        config.drift.min_trials, config.decode.c
    ));
}

fn statistics(text: &mut Text, config: &ExperimentConfig) {
    let drift = &config.drift;
    text.paragraph();
    text.say(format!(
        "Intervals cover {} and rest on {} bootstrap resamples (of cells, for decoding of test \
         trials).",
        percent(drift.confidence),
        drift.bootstrap
    ));
    let (phipson, benjamini) = (text.cite(PHIPSON), text.cite(BENJAMINI));
    text.say(format!(
        "P values rest on {} permutations, the observed value counted among them {phipson}.",
        drift.permutations
    ));
    text.say(format!(
        "A cell counted as selective at a false discovery rate {benjamini} of at most {}.",
        percent(drift.false_discovery)
    ));
}
