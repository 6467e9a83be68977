//! Laws of drift.

use fluorspar::drift::planted::Law;
use fluorspar::drift::similarity::Tuning;
use fluorspar::report::Figure;
use fluorspar::report::figure::{Curve, CurvesPlot, curves};

use crate::Result;
use crate::picture::picture;
use crate::simulate::{compared, drifting, random, recorded};

const DAYS: usize = 14;

/// Similarity of neighbouring sessions, and of the first session with later
/// ones, under three laws that begin alike.
pub(crate) fn neighbours_over_practice() -> Result<String> {
    let laws = [
        ("exponential", Law::Exponential { tau_days: 5.0 }),
        (
            "random walk, steady steps",
            Law::RandomWalk {
                variance_per_day: 0.49,
            },
        ),
        (
            "crystallizing",
            Law::Crystallizing {
                first_per_day: 0.23,
                last_per_day: 0.01,
                tau_days: 4.0,
            },
        ),
    ];
    let mut rng = random(10);
    let mut simulated = Vec::new();
    for (name, law) in laws {
        let codes = drifting(law, DAYS, (2000, 4), &mut rng);
        let mut sessions = Vec::new();
        for code in &codes {
            sessions.push(recorded(code, 20, 2.0, &mut rng)?);
        }
        simulated.push((name, law, sessions));
    }
    let neighbours = panel(
        "session i with i + 1",
        "corrected similarity",
        &simulated,
        |i| (i - 1, i, i),
    )?;
    let first = panel("session 1 with i", "", &simulated, |i| (0, i, i + 1))?;
    picture(2, &[neighbours, first])
}

/// Lines are the laws, points what is computed from simulated sessions: `pair`
/// gives which two, counted from 0, and where they are drawn.
fn panel(
    title: &str,
    y_label: &str,
    simulated: &[(&str, Law, Vec<Tuning>)],
    pair: impl Fn(usize) -> (usize, usize, usize),
) -> Result<Figure> {
    let mut lines = Vec::new();
    for (colour, (name, law, sessions)) in simulated.iter().enumerate() {
        let [mut across, mut truth, mut computed] = [const { Vec::new() }; 3];
        for last in 1..DAYS {
            let (i, j, at) = pair(last);
            across.push(at as f64);
            truth.push(law.similarity(i as f64, j as f64));
            let found = compared(&sessions[i], &sessions[j], None)?;
            computed.push(found.population_vector.corrected);
        }
        lines.push(
            Curve::new(*name, across.clone(), truth)
                .in_colour(colour)
                .without_points(),
        );
        lines.push(
            Curve::new("", across, computed)
                .in_colour(colour)
                .as_points(),
        );
    }
    let plot = CurvesPlot {
        x_label: "session i",
        y_label,
        y_range: Some(0.0..1.02),
        size: (250, 300),
    };
    Ok(curves(&plot, &lines)?.titled(title))
}
