use std::path::Path;

use serde_json::Value;

use super::*;

/// Every key that a run from raw movies reads.
const MOVIES: &str = r#"
[experiment]
name = "m12"
frame_rate = 30.0
pixel_size_um = 1.1
plane_spacing_um = 16.0
areas = "areas.csv"
seed = 11
[[session]]
day = 1.5
movie = "a.tif"
trials = "a.csv"
frames = [100, 2000]
practice = 3
behaviour = "licks.csv"
video_rate = 60.0
[[session]]
day = 4.0
movie = "b.tif"
trials = "b.csv"
[trials]
onset = "cue_s"
exclude = { laser = ["on"] }
bin_s = 0.25
[epochs]
delay = [1.0, 6.0]
lick = { event = "lick_s", start = -0.5, stop = 1.0 }
[register]
mode = "nonrigid"
line_offset = 1.5
max_shift_fraction = 0.15
[denoise]
block = 24
[segment]
diameter_um = 12.0
class = "soma"
passes = 2
[trace]
source = "denoised"
neuropil_coefficient = 0.65
overlaps = "demix"
baseline = "rest"
baseline_window_s = 45.0
[deconvolve]
tau_s = 0.7
rise_s = 0.06
[track]
max_distance_um = 9.0
precision = 0.9
[decode]
c = 0.5
[drift]
variables = ["odour1", "choice"]
behaviour = ["speed"]
activity = "events"
inclusion = "active-in-both"
group = "M2"
undetected = "unseen"
bootstrap = 500
permutations = 2000
confidence = 0.9
min_p_same = 0.6
min_cells = 20
min_trials = 8
time_bins = 6
false_discovery = 0.01
plant = 40
"#;

/// Cells and identities from elsewhere.
const FOREIGN: &str = r#"
[experiment]
name = "m12"
tracks = "cellRegistered.mat"
[[session]]
day = 1
suite2p = "day01"
trials = "a.csv"
[[session]]
day = 2
nwb = "day02.nwb"
[[session]]
day = 3
tensor = "day03.npz"
[nwb]
series = "processing/a"
trials = "intervals/b"
segmentation = "processing/c"
cell = "id"
group = "layer"
[epochs]
all = [0.0, 1.0]
"#;

/// Where inputs lie on a disk and what is kept of them changes no result; of
/// planes only one is analysed.
const NO_METHOD: &[&str] = &[
    "/register/keep",
    "/drift/tables",
    "/experiment/planes",
    "/session/*/movie",
    "/session/*/trials",
    "/session/*/behaviour",
    "/session/*/suite2p",
    "/session/*/nwb",
    "/session/*/tensor",
];

/// Other words for those keys that take only some.
fn other_words(key: &str) -> &'static [&'static str] {
    match key {
        "/register/mode" => &["rigid"],
        "/segment/class" => &["process"],
        "/trace/source" => &["registered"],
        "/trace/overlaps" => &["leave-out"],
        "/trace/baseline" => &["percentile", "maximin"],
        "/drift/activity" => &["dff"],
        "/drift/undetected" => &["silent"],
        "/drift/inclusion" => &[
            "active-in-either",
            "tracked",
            "tracked-in-all",
            "informative-in-either",
            "informative-in-both",
        ],
        _ => &[],
    }
}

fn parse(text: &str) -> ExperimentConfig {
    ExperimentConfig::parse(text, Path::new("experiment.toml")).unwrap()
}

/// Places of all values that hold no others, as JSON pointers.
fn leaves(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| leaves(inner, &format!("{at}/{key}"), out)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, inner)| leaves(inner, &format!("{at}/{index}"), out)),
        _ => out.push(at.to_owned()),
    }
}

fn is_exempt(pointer: &str) -> bool {
    NO_METHOD.iter().any(|pattern| {
        let (pattern, pointer) = (pattern.split('/'), pointer.split('/'));
        pattern.clone().count() == pointer.clone().count()
            && pattern.zip(pointer).all(|(p, q)| p == "*" || p == q)
    })
}

/// Values of the same kind that differ.
fn others(pointer: &str, value: &Value) -> Vec<Value> {
    match value {
        Value::Number(number) if number.is_f64() => {
            vec![(number.as_f64().unwrap() * 1.25 + 0.01).into()]
        }
        Value::Number(number) => vec![(number.as_i64().unwrap() + 1).into()],
        Value::String(word) => match other_words(pointer) {
            [] => vec![format!("{word}x").into()],
            words => words.iter().map(|&word| word.into()).collect(),
        },
        Value::Bool(flag) => vec![(!flag).into()],
        _ => Vec::new(),
    }
}

/// Every configuration that differs from `text`'s in one key, by that key.
fn variations(text: &str) -> Vec<(String, ExperimentConfig)> {
    let config = parse(text);
    let whole = serde_json::to_value(&config).unwrap();
    let mut pointers = Vec::new();
    leaves(&whole, "", &mut pointers);
    let mut out = Vec::new();
    for pointer in pointers.into_iter().filter(|pointer| !is_exempt(pointer)) {
        let old = whole.pointer(&pointer).unwrap();
        let mut changed: Vec<Value> = others(&pointer, old)
            .into_iter()
            .map(|new| {
                let mut changed = whole.clone();
                *changed.pointer_mut(&pointer).unwrap() = new;
                changed
            })
            .collect();
        // And without the key, where it can be left out.
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let mut without = whole.clone();
        if let Some(Value::Object(map)) = without.pointer_mut(parent) {
            map.remove(key);
            changed.push(without);
        }
        for value in changed {
            if let Ok(other) = serde_json::from_value::<ExperimentConfig>(value)
                && other != config
            {
                out.push((pointer.clone(), other));
            }
        }
    }
    out
}

#[test]
fn every_parameter_that_changes_changes_the_text() {
    // What was done elsewhere was not done with these parameters.
    let elsewhere = [
        "/register/",
        "/denoise/",
        "/segment/",
        "/trace/",
        "/deconvolve/",
        "/track/",
    ];
    for (text, least, without) in [(MOVIES, 80, &[][..]), (FOREIGN, 30, &elsewhere[..])] {
        let base = methods(&parse(text), "1.2.3");
        let all = variations(text);
        assert!(all.len() >= least, "only {} variations", all.len());
        for (key, config) in all {
            let used = !without.iter().any(|stage| key.starts_with(stage));
            assert_eq!(methods(&config, "1.2.3") != base, used, "{key}");
        }
        assert_ne!(methods(&parse(text), "1.2.4"), base);
    }
}

#[test]
fn values_stand_in_the_text_with_their_units() {
    let text = methods(&parse(MOVIES), "1.2.3");
    for part in [
        "fluorspar 1.2.3",
        "on days 1.5 and 4",
        "practice sessions 3 and 2",
        "30 Hz",
        "1.1 µm wide",
        "frames 100 to 1999",
        "seed 11",
        "15 % of the shorter side",
        "24 × 24 pixels",
        "about 12 µm wide",
        "in 2 passes",
        "multiplied by 0.65",
        "a period of 90 s",
        "decay time of 0.7 s and a rise time of 0.06 s",
        "at most 9 µm apart",
        "90 % of the rest",
        "laser on",
        "bins of 0.25 s",
        "lick (-0.5 to 1 s from lick_s) and delay (1 to 6 s from onset)",
        "odour1 and choice",
        "1 (video at 60 Hz)",
        "C = 0.5",
        "cover 90 %",
        "500 bootstrap",
        "2000 permutations",
        "of at most 1 %",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    for line in text.lines().filter(|line| !line.is_empty()) {
        assert!(
            line == "References" || line.ends_with('.') || line.contains("https"),
            "{line}"
        );
    }
    assert!(!text.contains("  "), "{text}");
}

#[test]
fn only_what_was_done_is_said() {
    let plain = "[experiment]\nname = \"x\"\n[[session]]\nday = 1\nmovie = \"a.tif\"\n";
    let one = methods(&parse(plain), "1");
    for word in [
        "Laws of drift",
        "trial",
        "Epoch",
        "decoded",
        "across sessions",
    ] {
        assert!(!one.contains(word), "{word:?} is in:\n{one}");
    }
    let two = format!("{plain}[[session]]\nday = 2\nmovie = \"b.tif\"\n");
    let two = methods(&parse(&two), "1");
    assert!(two.contains("across sessions") && !two.contains("Epoch"));
    let alone = plain.replace("a.tif\"\n", "a.tif\"\ntrials = \"a.csv\"\n");
    let alone = methods(&parse(&format!("{alone}[epochs]\nall = [0, 1]\n")), "1");
    for word in ["wo sessions", "between sessions", "Laws of drift"] {
        assert!(!alone.contains(word), "{word:?} is in:\n{alone}");
    }
    assert!(alone.contains("Epochs") && alone.contains("decoded"));
    let foreign = methods(&parse(FOREIGN), "1");
    for word in ["Motion", "denois", "Neuropil", "belief propagation"] {
        assert!(!foreign.contains(word), "{word:?} is in:\n{foreign}");
    }
    assert!(foreign.contains("cellRegistered.mat") && foreign.contains("Epoch"));
}

/// Numbers cited in the paragraphs, in order, and those of the list.
fn citations(text: &str) -> (Vec<usize>, Vec<usize>) {
    let (body, list) = text.split_once("\nReferences\n").unwrap();
    let marks = body.split('[').skip(1);
    let cited = marks.map(|rest| rest.split(']').next().unwrap().parse().unwrap());
    let listed = list
        .lines()
        .map(|line| line.split('.').next().unwrap().parse().unwrap());
    (cited.collect(), listed.collect())
}

#[test]
fn no_reference_without_a_citation_and_none_the_other_way_round() {
    for text in [MOVIES, FOREIGN] {
        for (key, config) in variations(text) {
            let (cited, listed) = citations(&methods(&config, "1"));
            let mut seen = Vec::new();
            for number in cited {
                if !seen.contains(&number) {
                    seen.push(number);
                }
            }
            // Numbered as they are first cited, without gaps.
            assert_eq!(seen, (1..=seen.len()).collect::<Vec<_>>(), "{key}");
            assert_eq!(listed, seen, "{key}");
        }
    }
}
