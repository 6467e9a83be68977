use super::references::{NWB, SUITE2P};
use super::{FLUORSPAR, Text, count, listed};
use crate::config::{ExperimentConfig, Source};

/// What was recorded, and where the activity came from.
pub(super) fn describe(text: &mut Text, config: &ExperimentConfig, version: &str) {
    let experiment = &config.experiment;
    let sessions = &config.sessions;
    text.paragraph();
    let program = text.cite(FLUORSPAR);
    let days = listed(sessions.iter().map(|session| session.day));
    let day = if sessions.len() == 1 { "day" } else { "days" };
    text.say(format!(
        "Recordings of {} ({}, on {day} {days}) were analysed with fluorspar {version} {program}.",
        experiment.name,
        count(sessions.len(), "session"),
    ));
    if sessions.iter().any(|session| session.practice.is_some()) {
        let practice = sessions.iter().enumerate();
        let practice = practice.map(|(index, session)| session.practice.unwrap_or(index + 1));
        text.say(format!(
            "They were practice sessions {}, counted with those that were not recorded.",
            listed(practice)
        ));
    }
    match experiment.frame_rate {
        Some(rate) => text.say(format!("The frame rate was {rate} Hz.")),
        None => text.say("Frame rates were those stated in the recordings."),
    }
    text.say(format!("A pixel was {} µm wide.", experiment.pixel_size_um));
    if let Some(spacing) = experiment.plane_spacing_um {
        text.say(format!("Planes were {spacing} µm apart."));
    }
    for (index, session) in sessions.iter().enumerate() {
        if let Some([first, end]) = session.frames {
            text.say(format!(
                "Of session {} only frames {first} to {} (counted from 0) were used.",
                index + 1,
                end.saturating_sub(1)
            ));
        }
    }
    sources(text, config);
    text.say(format!(
        "All random draws followed from seed {}; results do not depend on the number of threads.",
        experiment.seed
    ));
}

/// Says for sessions without a movie who found the cells.
fn sources(text: &mut Text, config: &ExperimentConfig) {
    let of = |is: fn(&Source<'_>) -> bool| {
        let numbers = (1..).zip(&config.sessions);
        let numbers = numbers.filter(|(_, session)| session.source().is_ok_and(|s| is(&s)));
        let numbers: Vec<usize> = numbers.map(|(number, _)| number).collect();
        let plural = if numbers.len() == 1 { "" } else { "s" };
        (!numbers.is_empty()).then(|| format!("session{plural} {}", listed(numbers)))
    };
    if let Some(sessions) = of(|source| matches!(source, Source::Rois(_))) {
        text.say(format!(
            "ROIs and activity of {sessions} were those of an earlier segmentation with fluorspar."
        ));
    }
    if let Some(sessions) = of(|source| matches!(source, Source::Suite2p(_))) {
        let suite2p = text.cite(SUITE2P);
        text.say(format!(
            "ROIs and activity of {sessions} were those found by Suite2p {suite2p}."
        ));
    }
    if let Some(sessions) = of(|source| matches!(source, Source::Nwb(_))) {
        let format = text.cite(NWB);
        text.say(format!(
            "ROIs and activity of {sessions} were read from NWB files {format}{}.",
            nwb_parts(config)
        ));
    }
    if let Some(sessions) = of(|source| matches!(source, Source::Tensor(_))) {
        text.say(format!(
            "Activity of {sessions} had been cut into trials before."
        ));
    }
}

/// Which parts of the NWB files were named.
fn nwb_parts(config: &ExperimentConfig) -> String {
    let nwb = &config.nwb;
    let parts: Vec<String> = [
        ("responses", &nwb.series),
        ("trials", &nwb.trials),
        ("segmentation", &nwb.segmentation),
        ("identities", &nwb.cell),
        ("groups", &nwb.group),
    ]
    .into_iter()
    .filter_map(|(what, name)| Some(format!("{what} from {}", name.as_ref()?)))
    .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", listed(parts))
    }
}
