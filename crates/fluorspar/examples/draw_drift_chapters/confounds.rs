//! What looks like drift.

use fluorspar::report::figure::{Curve, CurvesPlot, curves};
use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::Result;
use crate::picture::{level, picture};
use crate::simulate::{by_lag, compared, gaussian, normal, random, recorded};

const DAYS: usize = 12;
/// Share of wrong matches between two sessions.
const SHARE: f64 = 0.2;
/// Identities lost per day.
const PER_DAY: f64 = 0.06;

/// A code that stays, seen through wrong matches.
pub(crate) fn wrong_matches() -> Result<String> {
    let lag: Vec<f64> = (1..DAYS).map(|days| days as f64).collect();
    let constant = similarity(0.0, 11)?;
    let growing = similarity(PER_DAY, 12)?;
    let expected = |per_day: f64| -> Vec<f64> {
        lag.iter()
            .map(|days| (1.0 - SHARE) * (-per_day * days).exp())
            .collect()
    };
    let line = |per_day, colour| {
        Curve::new("", lag.clone(), expected(per_day))
            .in_colour(colour)
            .without_points()
            .dashed()
    };
    let plot = CurvesPlot {
        x_label: "days between sessions; the code does not change",
        y_label: "corrected similarity",
        y_range: Some(0.0..1.05),
        size: (480, 320),
    };
    let lines = [
        Curve::new("20 % wrong matches", lag.clone(), constant)
            .in_colour(0)
            .as_points(),
        line(0.0, 0),
        Curve::new("and 6 % more each day", lag.clone(), growing)
            .in_colour(1)
            .as_points(),
        line(PER_DAY, 1),
        level("truth", &lag, 1.0),
    ];
    picture(1, &[curves(&plot, &lines)?])
}

/// Corrected similarity by lag. In every session some cells are mistaken for
/// others, anew each time; others are lost for good, `per_day`, as when each
/// session is matched to the one before.
fn similarity(per_day: f64, seed: u64) -> Result<Vec<f64>> {
    let mut rng = random(seed);
    let mut followed = gaussian((3000, 4), &mut rng);
    // Right in both of two sessions with the probability 1 − SHARE.
    let wrong = 1.0 - (1.0 - SHARE).sqrt();
    let mut sessions = Vec::new();
    for _ in 0..DAYS {
        let mut seen = followed.clone();
        mistake(&mut seen, wrong, &mut rng);
        sessions.push(recorded(&seen, 20, 2.0, &mut rng)?);
        mistake(&mut followed, 1.0 - (-per_day).exp(), &mut rng);
    }
    by_lag(DAYS, |i, j| {
        let found = compared(&sessions[i], &sessions[j], None)?;
        Ok(found.population_vector.corrected)
    })
}

/// Puts unrelated cells in the place of a share of cells.
fn mistake(code: &mut Array2<f64>, share: f64, rng: &mut ChaCha8Rng) {
    for mut cell in code.rows_mut() {
        if rng.random::<f64>() < share {
            cell.mapv_inplace(|_| normal(rng));
        }
    }
}
