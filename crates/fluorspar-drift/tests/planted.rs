//! Drift that was planted comes back as planted.

use std::collections::BTreeMap;

use fluorspar_drift::confounds::{EpochTrials, lag_trend, tracking};
use fluorspar_drift::planted::{
    Answer, Law, Plan, Template, TrialNumbers, WrongMatches, replicate,
};
use fluorspar_drift::{Epoch, Parameters, Session};
use ndarray::Array3;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const DAYS: [f64; 5] = [1.0, 2.0, 4.0, 7.0, 11.0];

fn epoch() -> Epoch {
    Epoch {
        name: "delay".into(),
        start_s: 0.0,
        stop_s: 2.0,
    }
}

/// A recording: a code of size 0.6 in unit noise with a part all cells share.
fn recording(cells: usize, trials: usize, p_same: f32) -> Vec<Session> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut normal = move || -> f64 { StandardNormal.sample(&mut rng) };
    let code: Vec<f64> = (0..cells).map(|_| 0.6 * normal()).collect();
    DAYS.iter()
        .map(|&day| {
            let labels: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
            let shared: Vec<f64> = (0..trials).map(|_| 0.3 * normal()).collect();
            Session {
                activity: Array3::from_shape_fn((trials, cells, 1), |(t, n, _)| {
                    let sign = if labels[t] == 0 { 1.0 } else { -1.0 };
                    (2.0 + sign * code[n] + shared[t] + normal()) as f32
                }),
                cell: (0..cells as i64).collect(),
                time_s: vec![1.0],
                day,
                labels: BTreeMap::from([("odour".into(), labels)]),
                p_same: (p_same < 1.0).then(|| vec![p_same; cells]),
                ..Session::default()
            }
        })
        .collect()
}

/// The corrected similarity of two sessions, as every check has it.
fn similarity(sessions: &[Session], i: usize, j: usize) -> f64 {
    let trials = EpochTrials::of(sessions, &epoch(), "odour").unwrap();
    let parameters = Parameters {
        min_p_same: 0.0,
        ..Parameters::default()
    };
    let found = tracking(&trials, &parameters).unwrap();
    found
        .pairs
        .iter()
        .find(|pair| (pair.i, pair.j) == (i, j))
        .unwrap()
        .similarity
}

/// Mean similarity of sessions `i` and `j` and its standard error.
fn mean_similarity(template: &Template, plan: &Plan, (i, j): (usize, usize)) -> (f64, f64) {
    let found = replicate(template, plan, 40, 3, |sessions| Answer {
        estimate: similarity(sessions, i, j),
        rejected: None,
    })
    .unwrap();
    assert_eq!(found.refused, 0);
    (found.mean, found.sd / 40_f64.sqrt())
}

#[test]
fn every_law_comes_back_through_the_corrected_similarity() {
    let template = Template::of(&recording(200, 30, 1.0), &epoch(), "odour").unwrap();
    let days = template.days();
    let settling = Law::Crystallizing {
        first_per_day: 0.6,
        last_per_day: 0.05,
        tau_days: 3.0,
    };
    for (law, (i, j)) in [
        (Law::Constant, (0, 4)),
        (Law::Exponential { tau_days: 5.0 }, (1, 3)),
        (Law::Exponential { tau_days: 5.0 }, (0, 4)),
        (
            Law::RandomWalk {
                variance_per_day: 0.2,
            },
            (0, 4),
        ),
        (settling, (0, 1)),
        (settling, (2, 3)),
    ] {
        let plan = Plan {
            law,
            ..Plan::default()
        };
        let (found, error) = mean_similarity(&template, &plan, (i, j));
        let planted = law.similarity(days[i], days[j]);
        assert!(
            (found - planted).abs() < 4.5 * error + 0.01,
            "{law:?}: {found} {planted} {error}"
        );
    }
}

#[test]
fn wrong_matches_multiply() {
    let template = Template::of(&recording(300, 30, 0.9), &epoch(), "odour").unwrap();
    let law = Law::Exponential { tau_days: 10.0 };
    let kept = law.similarity(0.0, 3.0);
    for (wrong, right) in [
        (WrongMatches::None, 1.0),
        (
            WrongMatches::Share {
                share: 0.2,
                per_day: 0.0,
            },
            0.8,
        ),
        (
            WrongMatches::Share {
                share: 0.1,
                per_day: 0.05,
            },
            0.9 * (-0.15_f64).exp(),
        ),
        (WrongMatches::AsRecorded, 0.81),
    ] {
        let plan = Plan {
            law,
            wrong,
            ..Plan::default()
        };
        let (found, error) = mean_similarity(&template, &plan, (0, 2));
        assert!(
            (found - right * kept).abs() < 4.5 * error + 0.01,
            "{wrong:?}: {found} {}",
            right * kept
        );
    }
}

#[test]
fn more_trials_do_not_change_the_corrected_similarity() {
    let template = Template::of(&recording(200, 30, 1.0), &epoch(), "odour").unwrap();
    let plan = Plan {
        law: Law::Exponential { tau_days: 5.0 },
        trials: TrialNumbers::Changing {
            first: 20,
            last: 200,
        },
        ..Plan::default()
    };
    let drawn = template.sessions(&plan, 1, 0).unwrap();
    let trials: Vec<usize> = drawn.iter().map(|s| s.activity.dim().0).collect();
    assert_eq!(trials, [20, 66, 110, 156, 200]);
    for pair in [(0, 1), (3, 4)] {
        let (found, error) = mean_similarity(&template, &plan, pair);
        let planted = plan
            .law
            .similarity(template.days()[pair.0], template.days()[pair.1]);
        assert!(
            (found - planted).abs() < 4.5 * error + 0.01,
            "{found} {planted}"
        );
    }
}

#[test]
fn a_null_planted_in_null_data_stays_null() {
    let template = Template::of(&recording(60, 20, 1.0), &epoch(), "odour").unwrap();
    let parameters = Parameters {
        min_p_same: 0.0,
        ..Parameters::default()
    };
    let test = |sessions: &[Session]| {
        let trials = EpochTrials::of(sessions, &epoch(), "odour").unwrap();
        let pairs: Vec<_> = tracking(&trials, &parameters)
            .unwrap()
            .pairs
            .iter()
            .map(|pair| (pair.i, pair.j, pair.similarity))
            .collect();
        let days: Vec<f64> = sessions.iter().map(|s| s.day).collect();
        let trend = lag_trend(&pairs, &days, 199, 5);
        Answer {
            estimate: trend.as_ref().map_or(f64::NAN, |t| t.slope),
            rejected: trend.ok().map(|t| t.p <= 0.05),
        }
    };
    let none = replicate(&template, &Plan::default(), 100, 11, test).unwrap();
    assert!(none.rejection_interval.0 <= 0.05, "{:?}", none.rejection);
    assert!(none.mean_interval.0 < 0.002 && none.mean_interval.1 > -0.002);
    let plan = Plan {
        law: Law::Exponential { tau_days: 5.0 },
        ..Plan::default()
    };
    let some = replicate(&template, &plan, 40, 11, test).unwrap();
    assert!(
        some.mean < 0.0 && some.rejection > 0.5,
        "{:?}",
        some.rejection
    );
}

#[test]
fn the_recording_is_kept_and_seeds_repeat() {
    let mut sessions = recording(30, 12, 0.8);
    sessions[1].present = Some((0..30).map(|n| n != 3).collect());
    sessions[2]
        .activity
        .index_axis_mut(ndarray::Axis(1), 5)
        .fill(0.0);
    sessions[3].activity[[0, 7, 0]] = f32::NAN;
    let template = Template::of(&sessions, &epoch(), "odour").unwrap();
    let one = template.sessions(&Plan::default(), 1, 4).unwrap();
    assert_eq!(one, template.sessions(&Plan::default(), 1, 4).unwrap());
    assert_ne!(one, template.sessions(&Plan::default(), 1, 5).unwrap());
    assert_ne!(one, template.sessions(&Plan::default(), 2, 4).unwrap());
    for (planted, recorded) in one.iter().zip(&sessions) {
        assert_eq!(planted.cell, recorded.cell);
        assert_eq!(planted.p_same, recorded.p_same);
        assert_eq!(planted.day, recorded.day);
        assert!(planted.activity.iter().all(|v| v.is_finite()));
    }
    assert!(!one[1].present.as_ref().unwrap()[3] && !one[3].present.as_ref().unwrap()[7]);
    assert!(
        one[2]
            .activity
            .index_axis(ndarray::Axis(1), 5)
            .iter()
            .all(|&v| v == 0.0)
    );
}

#[test]
fn noise_and_means_are_those_recorded() {
    let sessions = recording(40, 40, 1.0);
    let template = Template::of(&sessions, &epoch(), "odour").unwrap();
    let plan = Plan {
        trials: TrialNumbers::Changing {
            first: 4000,
            last: 4000,
        },
        ..Plan::default()
    };
    let planted = &template.sessions(&plan, 1, 0).unwrap()[0];
    let trials = &EpochTrials::of(std::slice::from_ref(planted), &epoch(), "odour").unwrap()[0];
    let mut shared = Vec::new();
    for cell in 0..40 {
        let row = trials.activity.row(cell);
        let of = |label| -> Vec<f64> {
            (0..4000)
                .filter(|&t| trials.labels[t] == label)
                .map(|t| f64::from(row[t]))
                .collect()
        };
        let (a, b) = (of(0), of(1));
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let variance =
            |v: &[f64]| v.iter().map(|x| (x - mean(v)).powi(2)).sum::<f64>() / v.len() as f64;
        shared.push((
            0.5 * (mean(&a) + mean(&b)),
            0.5 * (variance(&a) + variance(&b)),
        ));
    }
    let over = |f: fn(&(f64, f64)) -> f64| shared.iter().map(f).sum::<f64>() / 40.0;
    assert!((over(|s| s.0) - 2.0).abs() < 0.15);
    assert!((over(|s| s.1) - 1.09).abs() < 0.1, "{}", over(|s| s.1));
}

#[test]
fn what_cannot_be_planted_is_refused() {
    let sessions = recording(20, 12, 1.0);
    assert!(Template::of(&[], &epoch(), "odour").is_err());
    assert!(Template::of(&sessions, &epoch(), "touch").is_err());
    let mut one_label = sessions.clone();
    one_label[2].labels.insert("odour".into(), vec![0; 12]);
    assert!(Template::of(&one_label, &epoch(), "odour").is_err());
    let mut other = sessions.clone();
    for label in other[1].labels.get_mut("odour").unwrap() {
        *label += 5;
    }
    assert!(Template::of(&other, &epoch(), "odour").is_err());
    let late = Epoch {
        start_s: 50.0,
        stop_s: 60.0,
        ..epoch()
    };
    assert!(Template::of(&sessions, &late, "odour").is_err());
    let mut silent = sessions.clone();
    for session in &mut silent {
        session.activity.fill(0.0);
    }
    assert!(Template::of(&silent, &epoch(), "odour").is_err());
    let template = Template::of(&sessions, &epoch(), "odour").unwrap();
    let nothing = |_: &[Session]| Answer {
        estimate: f64::NAN,
        rejected: None,
    };
    assert!(replicate(&template, &Plan::default(), 0, 1, nothing).is_err());
    let refused = replicate(&template, &Plan::default(), 3, 1, nothing).unwrap();
    assert!(refused.refused == 3 && refused.mean.is_nan() && refused.rejection.is_nan());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn laws_multiply_and_fall(
        a in 0.0..30.0_f64, b in 0.0..30.0_f64, c in 0.0..30.0_f64,
        k0 in 0.0..2.0_f64, k1 in 0.0..2.0_f64, tau in 0.1..20.0_f64,
    ) {
        let mut days = [a, b, c];
        days.sort_by(f64::total_cmp);
        for law in [
            Law::Constant,
            Law::Exponential { tau_days: tau },
            Law::RandomWalk { variance_per_day: k0 },
            Law::Crystallizing { first_per_day: k0, last_per_day: k1, tau_days: tau },
        ] {
            let (near, far, whole) = (
                law.similarity(days[0], days[1]),
                law.similarity(days[1], days[2]),
                law.similarity(days[0], days[2]),
            );
            prop_assert!((near * far - whole).abs() < 1e-9);
            prop_assert!((0.0..=1.0 + 1e-12).contains(&near) && whole <= near + 1e-12);
        }
    }
}
