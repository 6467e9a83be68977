//! Correlations between sessions.

use fluorspar::drift::planted::Law;
use fluorspar::drift::similarity::Tuning;
use fluorspar::report::Figure;
use fluorspar::report::figure::{Curve, CurvesPlot, curves};
use ndarray::Array2;
use rand::RngExt;

use crate::Result;
use crate::picture::{level, picture};
use crate::simulate::{by_lag, compared, drifting, normal, random, recorded};

/// Drift is constant, but every session has twenty trials more than the last.
pub(crate) fn pseudo_crystallization() -> Result<String> {
    let mut rng = random(1);
    let law = Law::Exponential { tau_days: 5.0 };
    let codes = drifting(law, 10, (1000, 8), &mut rng);
    let mut sessions = Vec::new();
    for (day, code) in codes.iter().enumerate() {
        sessions.push(recorded(code, 20 * (day + 1), 2.0, &mut rng)?);
    }
    let [mut all, mut matched, mut corrected] = [const { Vec::new() }; 3];
    for pair in sessions.windows(2) {
        all.push(compared(&pair[0], &pair[1], None)?.population_vector.raw);
        let fair = compared(&pair[0], &pair[1], Some(10.0))?.population_vector;
        matched.push(fair.raw);
        corrected.push(fair.corrected);
    }
    let first: Vec<f64> = (1..sessions.len()).map(|day| day as f64).collect();
    let plot = CurvesPlot {
        x_label: "session i (20 i trials), compared with session i + 1",
        y_label: "population-vector correlation",
        y_range: Some(0.5..0.9),
        size: (480, 320),
    };
    let lines = [
        Curve::new("means of all trials", first.clone(), all).in_colour(1),
        Curve::new("of 10 trials in every session", first.clone(), matched).in_colour(4),
        Curve::new("corrected", first.clone(), corrected).in_colour(0),
        level("truth", &first, law.similarity(0.0, 1.0)),
    ];
    picture(1, &[curves(&plot, &lines)?])
}

/// Bins of a tuning curve.
const BINS: i64 = 20;

/// Three correlations when only rates drift, and when only tuning does.
pub(crate) fn rates_or_tuning() -> Result<String> {
    let rates = trio("only rates drift", "correlation", true, 2)?;
    let tuning = trio("only tuning drifts", "", false, 2)?;
    picture(2, &[rates, tuning])
}

fn trio(title: &str, y_label: &str, rates: bool, seed: u64) -> Result<Figure> {
    const DAYS: usize = 7;
    let sessions = fields_over_days(DAYS, rates, seed)?;
    let lag: Vec<f64> = (1..DAYS).map(|days| days as f64).collect();
    let mut found = Vec::new();
    for pick in 0..3 {
        found.push(by_lag(DAYS, |i, j| {
            let c = compared(&sessions[i], &sessions[j], Some(10.0))?;
            Ok([c.population_vector, c.tuning_curve, c.ensemble_rate][pick].raw)
        })?);
    }
    let names = ["population vector", "tuning curve", "ensemble rate"];
    let lines: Vec<Curve> = names
        .into_iter()
        .zip(found)
        .enumerate()
        .map(|(colour, (name, y))| Curve::new(name, lag.clone(), y).in_colour(colour))
        .collect();
    let plot = CurvesPlot {
        x_label: "days between sessions",
        y_label,
        y_range: Some(0.0..1.02),
        size: (250, 280),
    };
    Ok(curves(&plot, &lines)?.titled(title))
}

/// Cells with one field and a rate each; from day to day either all rates
/// change or all fields move, as in the model of Geva et al. 2023, Neuron 111:2357.
fn fields_over_days(days: usize, rates_drift: bool, seed: u64) -> Result<Vec<Tuning>> {
    const CELLS: usize = 500;
    let mut rng = random(seed);
    let mut log_rate: Vec<f64> = (0..CELLS).map(|_| normal(&mut rng)).collect();
    let mut field: Vec<i64> = (0..CELLS).map(|_| rng.random_range(0..BINS)).collect();
    let mut sessions = Vec::new();
    for _ in 0..days {
        let code = Array2::from_shape_fn((CELLS, BINS as usize), |(cell, bin)| {
            let off = (bin as i64 - field[cell] + BINS / 2).rem_euclid(BINS) - BINS / 2;
            4.0 * (0.75 * log_rate[cell]).exp() * (-(off as f64).powi(2) / 8.0).exp()
        });
        sessions.push(recorded(&code, 20, 0.5, &mut rng)?);
        for cell in 0..CELLS {
            if rates_drift {
                let kept = (-0.2_f64).exp();
                log_rate[cell] =
                    kept * log_rate[cell] + (1.0 - kept * kept).sqrt() * normal(&mut rng);
            } else {
                field[cell] =
                    (field[cell] + (1.5 * normal(&mut rng)).round() as i64).rem_euclid(BINS);
            }
        }
    }
    Ok(sessions)
}
