//! Each check sees what it is for, and nothing where there is nothing.

use std::collections::BTreeMap;

use fluorspar_drift::confounds::{
    EpochTrials, Finding, Status, behaviour, behaviour_distance, comparison, duplicates, presence,
    quality, tracking, trial_counts, within_day, without_behaviour,
};
use fluorspar_drift::{Epoch, Inclusion, Parameters, Session};
use ndarray::{Array2, Array3, Axis};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const CELLS: usize = 200;

fn epoch() -> Epoch {
    Epoch {
        name: "delay".into(),
        start_s: 0.0,
        stop_s: 2.0,
    }
}

fn parameters() -> Parameters {
    Parameters {
        permutations: 999,
        inclusion: Inclusion::Tracked,
        ..Parameters::default()
    }
}

struct Source(ChaCha8Rng);

impl Source {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }
    fn code(&mut self) -> Vec<f64> {
        (0..CELLS).map(|_| 0.7 * self.normal()).collect()
    }
    /// A session whose trial `t` follows the code `code(t)`.
    fn session<'a>(
        &mut self,
        day: f64,
        trials: usize,
        code: impl Fn(usize) -> &'a [f64],
    ) -> Session {
        let labels: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
        Session {
            activity: Array3::from_shape_fn((trials, CELLS, 1), |(t, n, _)| {
                let sign = if labels[t] == 0 { 1.0 } else { -1.0 };
                (1.0 + sign * code(t)[n] + self.normal()) as f32
            }),
            cell: (0..CELLS as i64).collect(),
            time_s: vec![1.0],
            day,
            labels: BTreeMap::from([("odour".into(), labels)]),
            ..Session::default()
        }
    }
}

fn steady(sessions: usize, trials: usize, seed: u64) -> Vec<Session> {
    let mut source = Source::new(seed);
    let code = source.code();
    (1..=sessions)
        .map(|day| source.session(day as f64, trials, |_| &code))
        .collect()
}

fn trials(sessions: &[Session]) -> Vec<EpochTrials<'static>> {
    EpochTrials::of(sessions, &epoch(), "odour").unwrap()
}

fn find<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings
        .iter()
        .find(|finding| finding.check == check)
        .unwrap()
}

#[test]
fn constant_wrong_matches_lower_the_level_and_are_told() {
    let mut source = Source::new(1);
    let code = source.code();
    let sessions: Vec<Session> = (0..6)
        .map(|day| {
            // One in ten cells of every session is another neuron.
            let mut seen = code.clone();
            for value in &mut seen {
                if source.0.random::<f64>() < 0.1 {
                    *value = 0.7 * source.normal();
                }
            }
            let mut session = source.session(f64::from(day), 60, |_| &seen);
            session.p_same = Some(vec![0.9; CELLS]);
            session
        })
        .collect();
    let found = tracking(&trials(&sessions), &parameters()).unwrap();
    let mean = |f: fn(&fluorspar_drift::confounds::TrackingPair) -> f64| {
        found.pairs.iter().map(f).sum::<f64>() / found.pairs.len() as f64
    };
    assert!((mean(|p| p.expected) - 0.81).abs() < 1e-6);
    assert!((mean(|p| p.similarity) - 0.81).abs() < 0.06);
    assert!((mean(|p| p.without_wrong) - 1.0).abs() < 0.07);
    assert_eq!(find(&found.findings, "wrong_matches").status, Status::Look);
    assert_eq!(
        find(&found.findings, "wrong_matches_over_lag").status,
        Status::Fine
    );
}

#[test]
fn wrong_matches_that_grow_with_days_are_a_problem() {
    let mut source = Source::new(2);
    let mut code = source.code();
    let mut right = vec![1.0_f32; CELLS];
    let sessions: Vec<Session> = (0..8)
        .map(|day| {
            // Half of the cells lose their identity at 10 % a day, the tracker knows.
            for n in (0..CELLS).step_by(2).filter(|_| day > 0) {
                right[n] *= 0.9;
                if source.0.random::<f64>() < 0.1 {
                    code[n] = 0.7 * source.normal();
                }
            }
            let mut session = source.session(f64::from(day), 60, |_| &code);
            session.p_same = Some(right.clone());
            session
        })
        .collect();
    let parameters = Parameters {
        min_p_same: 0.0,
        ..parameters()
    };
    let found = tracking(&trials(&sessions), &parameters).unwrap();
    let best = find(&found.findings, "best_matched_cells");
    assert!(
        best.status == Status::Problem && best.statistic > 0.0,
        "{best:?}"
    );
    let lag = find(&found.findings, "wrong_matches_over_lag");
    assert!(
        lag.statistic > 0.0 && lag.status != Status::NotChecked,
        "{lag:?}"
    );
    // The stricter, the higher.
    let sweep = &found.sweep;
    assert!(sweep[0].similarity < sweep[4].similarity && sweep[0].n_cells > sweep[4].n_cells);
}

#[test]
fn cells_that_fall_silent_and_are_dropped_hide_drift() {
    let mut source = Source::new(3);
    let mut code = source.code();
    let mut sessions: Vec<Session> = Vec::new();
    let mut kept = vec![true; CELLS];
    for day in 0..6 {
        // Half of the cells drift; those are lost now and then.
        for n in (0..CELLS).step_by(2) {
            code[n] = 0.7 * code[n] + 0.7 * 0.51_f64.sqrt() * source.normal();
            kept[n] = source.0.random::<f64>() < 0.6;
        }
        let mut session = source.session(f64::from(day), 60, |_| &code);
        session.present = Some(kept.clone());
        sessions.push(session);
    }
    let found = presence(&trials(&sessions), &parameters()).unwrap();
    assert!(found.in_all >= 100 && found.in_all < 120);
    let rule = find(&found.findings, "cells_in_all_sessions");
    assert!(rule.lo > 0.0 && rule.status != Status::Fine, "{rule:?}");
    assert_eq!(
        find(&found.findings, "undetected_cells").status,
        Status::Look
    );
    let whole = presence(&trials(&steady(4, 30, 4)), &parameters()).unwrap();
    assert!(
        whole.findings.iter().all(|f| f.status == Status::Fine),
        "{:?}",
        whole.findings
    );
    assert_eq!(whole.pairwise.mean, whole.everywhere.mean);
}

#[test]
fn a_fading_recording_is_told_from_a_steady_one() {
    let mut sessions = steady(8, 30, 5);
    for (k, session) in sessions.iter_mut().enumerate() {
        session
            .covariates
            .insert("mean_f".into(), 500.0 - 30.0 * k as f64);
        session.covariates.insert(
            "z_offset_um".into(),
            [1.0, -1.0, 0.5, 2.0, -2.0, 1.5, -1.0, 0.0][k],
        );
    }
    let found = quality(&sessions, &trials(&sessions), &parameters()).unwrap();
    let about = |name: &str| found.findings.iter().find(|f| f.about == name).unwrap();
    assert_eq!(about("mean_f").status, Status::Problem);
    assert_eq!(about("z_offset_um").status, Status::Fine);
    assert_eq!(about("signal_to_noise").status, Status::Fine);
    let row = |name: &str| found.rows.iter().find(|r| r.name == name).unwrap().values[0];
    // Unit noise, patterns of variance 0.49; 15 trials of each label.
    assert!((row("trial_noise") - 1.0).abs() < 0.05);
    assert!((row("signal_to_noise") - 0.49).abs() < 0.15);
    assert!(
        (row("reliability") - 0.936).abs() < 0.03,
        "{}",
        row("reliability")
    );
}

#[test]
fn drift_through_running_goes_when_running_is_regressed_out() {
    let mut source = Source::new(6);
    let code = source.code();
    let running: Vec<f64> = (0..CELLS).map(|_| 0.8 * source.normal()).collect();
    let sessions: Vec<Session> = (0..8)
        .map(|day| {
            let mut session = source.session(f64::from(day), 80, |_| &code);
            // The animal comes to run on one kind of trial.
            let labels = session.labels["odour"].clone();
            let speed: Vec<f64> = labels
                .iter()
                .map(|&label| f64::from(day) * 0.25 * label as f64 + source.normal())
                .collect();
            for ((t, n, _), value) in session.activity.indexed_iter_mut() {
                *value += (speed[t] * running[n]) as f32;
            }
            session.behaviour.insert("speed".into(), speed);
            session
        })
        .collect();
    let raw = trials(&sessions);
    let cleaned: Vec<EpochTrials<'_>> = raw
        .iter()
        .zip(&sessions)
        .map(|(raw, session)| {
            let speed =
                Array2::from_shape_vec((80, 1), session.behaviour["speed"].clone()).unwrap();
            let found =
                without_behaviour(raw.activity.view(), speed.view(), &raw.labels, 5, 1).unwrap();
            EpochTrials {
                activity: found.activity.into(),
                ..raw.clone()
            }
        })
        .collect();
    let (before, after, finding) =
        comparison("behaviour_regressed", &raw, &cleaned, None, &parameters()).unwrap();
    assert!(
        before.per_day < -0.03 && after.per_day.abs() < 0.01,
        "{before:?} {after:?}"
    );
    assert_eq!(finding.status, Status::Problem);
    let rows = behaviour(&sessions, &parameters()).unwrap();
    assert_eq!(rows[0].finding.status, Status::Problem);
    let far = behaviour_distance(&sessions).unwrap();
    // Means 0.125 per day apart in units of the scatter, which the label widens.
    assert!(far[[0, 7]] > 0.4 && far[[0, 7]] < 1.2 && far[[3, 3]] == 0.0 && far == far.t());
    let quiet = steady(8, 30, 7);
    assert!(behaviour(&quiet, &parameters()).unwrap().is_empty());
    assert!(behaviour_distance(&quiet).is_err());
}

#[test]
fn growing_trial_numbers_are_called_pseudo_crystallization() {
    let mut source = Source::new(8);
    let code: Vec<f64> = source.code();
    let sessions: Vec<Session> = (0..6)
        .map(|k| source.session(f64::from(k), 10 + 30 * k as usize, |_| &code))
        .collect();
    let found = trial_counts(&trials(&sessions), &parameters()).unwrap();
    let settling = find(&found.findings, "pseudo_crystallization");
    assert!(
        settling.status == Status::Look && settling.statistic > 0.05,
        "{settling:?}"
    );
    assert_eq!(find(&found.findings, "trial_counts").status, Status::Look);
    // s²/(s² + σ²/R): 5 and 80 trials of each of two labels.
    for (row, per_label) in [(&found.sessions[0], 5.0), (&found.sessions[5], 80.0)] {
        let expected = 0.49 / (0.49 + 0.5 / per_label);
        assert!(
            (row.reliability - expected).abs() < 0.08,
            "{} {expected}",
            row.reliability
        );
    }
    let same = trial_counts(&trials(&steady(6, 40, 9)), &parameters()).unwrap();
    assert!(
        same.findings.iter().all(|f| f.status == Status::Fine),
        "{:?}",
        same.findings
    );
}

#[test]
fn change_within_a_session_is_seen() {
    let mut source = Source::new(10);
    let (a, b) = (source.code(), source.code());
    let drifting: Vec<Session> = (0..5)
        .map(|day| source.session(f64::from(day), 90, |t| if t < 45 { &a } else { &b }))
        .collect();
    let found = within_day(&trials(&drifting), None, &parameters()).unwrap();
    assert!(found.within.abs() < 0.2 && found.between > 0.9, "{found:?}");
    assert_eq!(
        find(&found.findings, "within_session").status,
        Status::Problem
    );
    assert_eq!(
        find(&found.findings, "within_against_between").status,
        Status::Problem
    );
    let onsets = vec![(0..90).map(|t| 60.0 * f64::from(t)).collect(); 5];
    let still = steady(5, 90, 11);
    let found = within_day(&trials(&still), Some(&onsets), &parameters()).unwrap();
    assert!((found.within - 1.0).abs() < 0.1);
    assert_eq!(find(&found.findings, "within_session").status, Status::Fine);
    let row = &found.sessions[0];
    assert!((row.per_hour - 60.0 * row.per_trial).abs() < 1e-9);
    assert!(within_day(&trials(&still), Some(&onsets[..2]), &parameters()).is_err());
}

#[test]
fn copies_in_the_next_plane_are_found() {
    let mut session = steady(1, 60, 12).remove(0);
    // Cells 100 to 199 are the first hundred again, with a little noise, 16 µm deeper.
    let mut source = Source::new(13);
    for n in 0..100 {
        let first = session.activity.index_axis(Axis(1), n).to_owned();
        let mut copy = session.activity.index_axis_mut(Axis(1), n + 100);
        copy.assign(&first);
        copy.mapv_inplace(|v| v + 0.2 * source.normal() as f32);
    }
    let place = |n: usize| {
        [
            16.0 * (n / 100) as f64,
            40.0 * ((n % 100) / 10) as f64,
            40.0 * (n % 10) as f64,
        ]
    };
    session.place_um = Some((0..CELLS).map(place).collect());
    let all = trials(std::slice::from_ref(&session));
    let found = duplicates(&session, &all[0]).unwrap();
    assert_eq!(found.cells, CELLS);
    // Those with hardly a code have no alike means to show for it.
    assert!(found.pairs.len() > 80, "{}", found.pairs.len());
    assert!(
        found
            .pairs
            .iter()
            .all(|p| p.second == p.first + 100 && p.noise_correlation > 0.9)
    );
    // 200²/(200 + 200 · 0.96²)
    assert!(
        (found.effective - 104.0).abs() < 15.0,
        "{}",
        found.effective
    );
    let independent = steady(1, 60, 14).remove(0);
    let found = duplicates(&independent, &trials(std::slice::from_ref(&independent))[0]).unwrap();
    assert!(found.effective > 170.0, "{}", found.effective);
    assert_eq!(
        find(&found.findings, "duplicate_cells").status,
        Status::NotChecked
    );
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let sessions = steady(7, 45, 15);
    let all = trials(&sessions);
    let parameters = parameters();
    let mut findings = presence(&all, &parameters).unwrap().findings;
    findings.extend(trial_counts(&all, &parameters).unwrap().findings);
    findings.extend(within_day(&all, None, &parameters).unwrap().findings);
    findings.extend(quality(&sessions, &all, &parameters).unwrap().findings);
    for finding in &findings {
        assert_eq!(finding.status, Status::Fine, "{finding:?}");
        assert!(finding.sentence.ends_with('.'));
    }
}

#[test]
fn false_alarms_are_as_rare_as_they_should_be() {
    const EXPERIMENTS: usize = 100;
    let parameters = Parameters {
        permutations: 199,
        ..parameters()
    };
    let mut alarms: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..EXPERIMENTS as u64 {
        let mut sessions = steady(6, 36, 100 + seed);
        let mut source = Source::new(1000 + seed);
        let p_same: Vec<f32> = (0..CELLS)
            .map(|n| if n % 3 == 0 { 0.97 } else { 0.8 })
            .collect();
        for session in &mut sessions {
            session.present = Some((0..CELLS).map(|_| source.0.random::<f64>() < 0.9).collect());
            session.p_same = Some(p_same.clone());
        }
        let all = trials(&sessions);
        let mut findings = presence(&all, &parameters).unwrap().findings;
        findings.extend(tracking(&all, &parameters).unwrap().findings);
        findings.extend(within_day(&all, None, &parameters).unwrap().findings);
        findings.extend(quality(&sessions, &all, &parameters).unwrap().findings);
        for finding in findings {
            *alarms.entry(finding.check).or_default() +=
                usize::from(!matches!(finding.status, Status::Fine));
        }
    }
    for check in [
        "cells_in_all_sessions",
        "best_matched_cells",
        "within_session",
        "recording_quality",
        "constant_activity",
    ] {
        // One in twenty is the most that is expected; 13 of 100 come by chance in 1 of 1,000.
        assert!(alarms[check] <= 12, "{alarms:?}");
    }
}

/// Sessions of any size with values that may not be finite.
fn anything() -> impl Strategy<Value = Vec<Session>> {
    let session = (0_usize..13, 0_usize..6, 0_u64..1000, 0.0..3.0_f64);
    prop::collection::vec(session, 1..7).prop_map(|shapes| {
        shapes
            .into_iter()
            .enumerate()
            .map(|(k, (trials, cells, seed, spread))| {
                let mut source = Source::new(seed);
                let activity = Array3::from_shape_fn((trials, cells, 1), |_| {
                    let value = spread.floor() * source.normal();
                    if value > 4.0 { f32::NAN } else { value as f32 }
                });
                let labels = (0..trials).map(|_| source.0.random_range(0..3)).collect();
                let behaviour = (0..trials).map(|_| spread * source.normal()).collect();
                Session {
                    activity,
                    cell: (0..cells as i64).collect(),
                    time_s: vec![1.0],
                    day: k as f64,
                    labels: BTreeMap::from([("odour".into(), labels)]),
                    behaviour: BTreeMap::from([("speed".into(), behaviour)]),
                    p_same: (seed % 2 == 0).then(|| vec![0.5; cells]),
                    place_um: (seed % 3 == 0).then(|| vec![[seed as f64, 0.0, 0.0]; cells]),
                    covariates: BTreeMap::from([(
                        "snr".into(),
                        if seed % 5 == 0 { f64::NAN } else { spread },
                    )]),
                    ..Session::default()
                }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_comes_is_answered_or_refused(sessions in anything()) {
        let parameters = Parameters { permutations: 20, min_cells: 2, min_trials: 2, ..Parameters::default() };
        let all = trials(&sessions);
        let mut findings = tracking(&all, &parameters).unwrap().findings;
        findings.extend(presence(&all, &parameters).unwrap().findings);
        findings.extend(quality(&sessions, &all, &parameters).unwrap().findings);
        findings.extend(trial_counts(&all, &parameters).unwrap().findings);
        findings.extend(within_day(&all, None, &parameters).unwrap().findings);
        findings.extend(behaviour(&sessions, &parameters).unwrap().into_iter().map(|row| row.finding));
        let _ = behaviour_distance(&sessions);
        for (session, trials) in sessions.iter().zip(&all) {
            findings.extend(duplicates(session, trials).unwrap().findings);
        }
        for finding in findings {
            prop_assert!(finding.status == Status::NotChecked || finding.statistic.is_finite(), "{finding:?}");
            prop_assert!(finding.p.is_nan() || (0.0..=1.0).contains(&finding.p));
            prop_assert!(!finding.sentence.contains("NaN"), "{finding:?}");
        }
        let _ = fluorspar_drift::planted::Template::of(&sessions, &epoch(), "odour");
    }
}
