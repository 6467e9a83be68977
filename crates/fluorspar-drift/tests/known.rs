//! Populations whose drift is known.

use std::collections::BTreeMap;

use fluorspar_drift::{Drift, Epoch, Error, Inclusion, Parameters, Session, analyse};
use ndarray::Array3;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const CELLS: usize = 150;

/// Sessions whose code for "odour" is correlated `keep[s]` with the session
/// before, with `trials[s]` trials of unit noise and mean rates that never change.
fn population(keep: &[f64], trials: &[usize], seed: u64) -> Vec<Session> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = move || -> f64 { StandardNormal.sample(&mut rng) };
    let mut code: Vec<f64> = (0..CELLS).map(|_| 0.6 * normal()).collect();
    let rates: Vec<[f64; 3]> = (0..CELLS).map(|_| [normal(), normal(), normal()]).collect();
    keep.iter()
        .zip(trials)
        .enumerate()
        .map(|(s, (&rho, &trials))| {
            if s > 0 {
                for c in &mut code {
                    *c = rho * *c + (1.0 - rho * rho).sqrt() * 0.6 * normal();
                }
            }
            let labels: Vec<i64> = (0..trials as i64).map(|t| t % 2).collect();
            let activity = Array3::from_shape_fn((trials, CELLS, 3), |(t, n, b)| {
                let sign = if labels[t] == 0 { 0.5 } else { -0.5 };
                (rates[n][b] + sign * code[n] + normal()) as f32
            });
            Session {
                activity,
                cell: (0..CELLS as i64).collect(),
                time_s: vec![0.0, 1.0, 2.0],
                day: s as f64 + 1.0,
                labels: BTreeMap::from([("odour".into(), labels)]),
                ..Session::default()
            }
        })
        .collect()
}

fn run(sessions: &[Session]) -> Drift {
    let parameters = Parameters {
        variables: vec!["odour".into()],
        bootstrap: 200,
        permutations: 50,
        ..Parameters::default()
    };
    let epochs = [Epoch {
        name: "delay".into(),
        start_s: 0.0,
        stop_s: 3.0,
    }];
    analyse(sessions, &epochs, &parameters, &|_| {}).unwrap()
}

fn values(drift: &Drift, metric: &str, lag: usize) -> Vec<f64> {
    drift
        .metrics
        .iter()
        .filter(|m| m.metric == metric && m.session_j == m.session_i + lag)
        .map(|m| m.value)
        .collect()
}

fn csv(drift: &Drift) -> Vec<String> {
    drift
        .tables()
        .iter()
        .map(fluorspar_drift::Table::csv)
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_code_that_stays_has_similarity_one_whatever_the_trials() {
    let drift = run(&population(&[1.0; 6], &[20, 24, 30, 60, 100, 140], 1));
    let similar = values(&drift, "code_similarity", 1);
    assert!((mean(&similar) - 1.0).abs() < 0.1, "{similar:?}");
    let vectors = values(&drift, "pv_correlation_corrected", 1);
    assert!((mean(&vectors) - 1.0).abs() < 0.02, "{vectors:?}");
    let row = drift
        .crystallization
        .iter()
        .find(|c| c.variable == "odour")
        .unwrap();
    assert!(
        row.lo < 0.0 && row.hi > 0.0,
        "unequal trials must not fake a change: {row:?}"
    );
}

#[test]
fn the_planted_drift_comes_back() {
    let drift = run(&population(&[0.8; 7], &[60; 7], 2));
    for lag in 1..4 {
        let found = mean(&values(&drift, "code_similarity", lag));
        let planted = 0.8_f64.powi(lag as i32);
        assert!((found - planted).abs() < 0.12, "{lag}: {found} {planted}");
    }
    let rate = drift
        .rates
        .iter()
        .find(|r| r.variable == "odour" && r.law == "exponential" && r.parameter == "rate")
        .unwrap();
    let planted = -(0.8_f64.ln());
    assert!(rate.lo < planted && planted < rate.hi, "{rate:?}");
    let accuracy = |lag| mean(&values(&drift, "decoding", lag));
    assert!(accuracy(0) > 0.9 && accuracy(1) > accuracy(5));
}

#[test]
fn drift_that_stops_is_called_so() {
    let drift = run(&population(
        &[0.4, 0.4, 0.4, 0.4, 1.0, 1.0, 1.0, 1.0],
        &[40; 8],
        3,
    ));
    let row = drift
        .crystallization
        .iter()
        .find(|c| c.variable == "odour")
        .unwrap();
    assert!(row.lo > 0.0 && row.p < 0.05, "{row:?}");
    assert!(row.verdict.starts_with("more alike late than early"));
    let rates = drift
        .crystallization
        .iter()
        .find(|c| c.variable.is_empty())
        .unwrap();
    assert!(
        rates.lo < 0.0 && rates.hi > 0.0,
        "mean rates never changed: {rates:?}"
    );
}

#[test]
fn steady_drift_is_rarely_called_crystallization() {
    let wrong = (0..30)
        .filter(|&seed| {
            let drift = run(&population(&[0.7; 6], &[30; 6], 100 + seed));
            let row = drift
                .crystallization
                .iter()
                .find(|c| c.variable == "odour")
                .unwrap();
            row.lo > 0.0 || row.hi < 0.0
        })
        .count();
    // One in twenty is expected.
    assert!(wrong <= 5, "{wrong} of 30");
}

#[test]
fn the_floor_is_the_split_half_correlation() {
    let sessions = population(&[1.0; 2], &[40; 2], 4);
    let drift = run(&sessions);
    let floor = mean(&values(&drift, "pv_correlation", 0));
    // The definition: correlate the means of random halves, bin by bin.
    let activity = &sessions[0].activity;
    let mut all = Vec::new();
    for shift in 0..20 {
        let half = |part: usize, n: usize, b: usize| {
            let picked: Vec<f64> = (0..40)
                .filter(|t| usize::from((t * 7 + shift * 3 + t / (shift + 1)) % 40 < 20) == part)
                .map(|t| f64::from(activity[[t, n, b]]))
                .collect();
            mean(&picked)
        };
        for b in 0..3 {
            let (x, y): (Vec<f64>, Vec<f64>) =
                (0..CELLS).map(|n| (half(0, n, b), half(1, n, b))).unzip();
            let (mx, my) = (mean(&x), mean(&y));
            let s = |u: &[f64], m: f64, v: &[f64], k: f64| {
                u.iter().zip(v).map(|(a, b)| (a - m) * (b - k)).sum::<f64>()
            };
            all.push(s(&x, mx, &y, my) / (s(&x, mx, &x, mx) * s(&y, my, &y, my)).sqrt());
        }
    }
    assert!((floor - mean(&all)).abs() < 0.03, "{floor} {}", mean(&all));
}

#[test]
fn order_of_cells_and_threads_change_nothing() {
    let sessions = population(&[0.9; 3], &[20; 3], 5);
    let one = run(&sessions);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    let three = pool.install(|| run(&sessions));
    assert_eq!(csv(&one), csv(&three));
    let mut turned = sessions.clone();
    for session in &mut turned {
        session.activity.invert_axis(ndarray::Axis(1));
        session.cell.reverse();
    }
    let turned = run(&turned);
    for (a, b) in one.metrics.iter().zip(&turned.metrics) {
        assert!((a.value - b.value).abs() < 1e-6 || (a.value.is_nan() && b.value.is_nan()));
    }
}

#[test]
fn what_cannot_be_known_is_nan_with_a_reason() {
    let mut sessions = population(&[1.0; 2], &[20; 2], 6);
    sessions[1].labels.insert("odour".into(), vec![0; 20]);
    let drift = run(&sessions);
    let row = drift
        .metrics
        .iter()
        .find(|m| m.metric == "code_similarity")
        .unwrap();
    assert!(
        row.value.is_nan() && row.reason.contains("session 2"),
        "{row:?}"
    );
    assert!(
        drift
            .crystallization
            .iter()
            .all(|c| c.verdict.starts_with("undetermined"))
    );
    // Disjoint cells.
    let mut sessions = population(&[1.0; 2], &[20; 2], 6);
    sessions[1].cell = (1000..1000 + CELLS as i64).collect();
    assert!(
        run(&sessions)
            .metrics
            .iter()
            // Latents are compared without tracked cells.
            .filter(|m| m.session_i != m.session_j && !m.metric.starts_with("latent_correlation"))
            .all(|m| m.value.is_nan() && !m.reason.is_empty())
    );
    // Noise without a code.
    let mut sessions = population(&[1.0; 2], &[20; 2], 7);
    for session in &mut sessions {
        let labels = (0..20).map(|t| i64::from(t % 4 < 2)).collect();
        session.labels.insert("odour".into(), labels);
    }
    let drift = run(&sessions);
    let row = drift
        .metrics
        .iter()
        .find(|m| m.metric == "code_similarity")
        .unwrap();
    assert!(row.value.is_nan() || row.hi - row.lo > 0.3, "{row:?}");
}

#[test]
fn a_cell_with_nan_counts_as_not_seen() {
    let mut sessions = population(&[1.0; 2], &[20; 2], 8);
    let whole = run(&sessions);
    sessions[0].activity[[3, 7, 1]] = f32::NAN;
    let damaged = run(&sessions);
    sessions[0].activity[[3, 7, 1]] = 0.0;
    sessions[0].present = Some((0..CELLS).map(|cell| cell != 7).collect());
    assert_eq!(
        csv(&damaged),
        csv(&run(&sessions)),
        "the same as a cell that is not present"
    );
    assert_eq!(damaged.confounds[0].n_cells, CELLS - 1);
    for (a, b) in whole.metrics.iter().zip(&damaged.metrics) {
        if a.metric == "code_similarity" && (a.session_i == 1 || a.session_j == 1) {
            assert_eq!(b.n_cells, a.n_cells - 1);
        }
    }
}

#[test]
fn more_trials_raise_no_value_that_is_matched() {
    // The same code, drifting at one pace; ten times as many trials late.
    let drift = run(&population(&[0.8; 6], &[20, 20, 20, 200, 200, 200], 21));
    let step = |metric: &str, i: usize| {
        drift
            .metrics
            .iter()
            .find(|m| m.metric == metric && (m.session_i, m.session_j) == (i, i + 1))
            .unwrap()
            .value
    };
    for metric in [
        "pv_correlation",
        "pv_correlation_corrected",
        "pv_correlation_snr_matched",
    ] {
        let (early, late) = (step(metric, 1), step(metric, 5));
        assert!((late - early).abs() < 0.08, "{metric}: {early} {late}");
    }
}

#[test]
fn every_rule_of_inclusion_says_which_cells_it_took() {
    let mut sessions = population(&[1.0; 3], &[40; 3], 12);
    // Silent in one session, not seen in another; half of the cells carry no code.
    for session in &mut sessions {
        for cell in CELLS / 2..CELLS {
            for trial in 0..40 {
                for bin in 0..3 {
                    session.activity[[trial, cell, bin]] = ((trial * 7 + cell + bin) % 5) as f32;
                }
            }
        }
    }
    sessions[1]
        .activity
        .index_axis_mut(ndarray::Axis(1), 0)
        .fill(0.0);
    sessions[2].present = Some((0..CELLS).map(|cell| cell != 1).collect());
    let epochs = [Epoch {
        name: "delay".into(),
        start_s: 0.0,
        stop_s: 3.0,
    }];
    let count = |inclusion| {
        let parameters = Parameters {
            variables: vec!["odour".into()],
            bootstrap: 20,
            permutations: 200,
            inclusion,
            ..Parameters::default()
        };
        let drift = analyse(&sessions, &epochs, &parameters, &|_| {}).unwrap();
        let row = drift
            .metrics
            .iter()
            .find(|m| m.metric == "code_similarity" && (m.session_i, m.session_j) == (1, 2))
            .unwrap();
        assert_eq!(Inclusion::named(row.inclusion), Some(inclusion));
        row.n_cells
    };
    assert_eq!(count(Inclusion::Tracked), CELLS);
    assert_eq!(count(Inclusion::ActiveInBoth), CELLS - 1);
    assert_eq!(count(Inclusion::ActiveInEither), CELLS);
    assert_eq!(count(Inclusion::TrackedInAll), CELLS - 1);
    let (both, either) = (
        count(Inclusion::InformativeInBoth),
        count(Inclusion::InformativeInEither),
    );
    assert!(
        both < either && either < CELLS * 6 / 10 && both > CELLS / 10,
        "{both} {either}"
    );
}

#[test]
fn malformed_input_is_refused() {
    let good = population(&[1.0; 2], &[20; 2], 8);
    let parameters = Parameters {
        variables: vec!["odour".into()],
        ..Parameters::default()
    };
    let epochs = [Epoch {
        name: "delay".into(),
        start_s: 0.0,
        stop_s: 3.0,
    }];
    let refused = |change: &dyn Fn(&mut Vec<Session>)| {
        let mut sessions = good.clone();
        change(&mut sessions);
        analyse(&sessions, &epochs, &parameters, &|_| {}).unwrap_err()
    };
    assert!(matches!(
        refused(&|s| s[1].cell[3] = s[1].cell[4]),
        Error::Session { session: 2, .. }
    ));
    assert!(matches!(
        refused(&|s| s[0].time_s.truncate(1)),
        Error::Session { .. }
    ));
    assert!(matches!(
        refused(&|s| s[0].labels.clear()),
        Error::Session { .. }
    ));
    assert!(matches!(
        refused(&|s| s[1].day = 0.0),
        Error::Session { .. }
    ));
    assert!(matches!(
        refused(&|s| s[1].p_same = Some(vec![2.0; CELLS])),
        Error::Session { .. }
    ));
    assert!(matches!(refused(&Vec::clear), Error::Nothing(_)));
    assert!(matches!(
        analyse(&good, &[], &parameters, &|_| {}),
        Err(Error::Nothing(_))
    ));
    let wrong = [Epoch {
        name: "x".into(),
        start_s: 1.0,
        stop_s: 1.0,
    }];
    assert!(matches!(
        analyse(&good, &wrong, &parameters, &|_| {}),
        Err(Error::Epoch { .. })
    ));
    let wrong = Parameters {
        confidence: 1.0,
        ..parameters.clone()
    };
    assert!(matches!(
        analyse(&good, &epochs, &wrong, &|_| {}),
        Err(Error::Parameter { .. })
    ));
}
