//! How far the probabilities may be believed: what they are made of, how they
//! are spread, and whether they agree with a count that does not use them.

use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Figure, Section};
use fluorspar_track::{MatchModel, Tracks};

use super::Session;
use crate::Error;
use crate::error::Context;

/// Steps of a histogram.
const BINS: usize = 20;
/// Points of a smooth curve.
const POINTS: usize = 100;
const SIZE: (u32, u32) = (420, 260);

pub(super) fn how_sure(tracks: &Tracks, sessions: &[Session]) -> Result<Section, Error> {
    let mut section = Section::new("How sure it is").text(
        "Probabilities of pairs of ROIs to be one cell: of all pairs that lie near each other, and \
         of those that were joined. Good data have two heaps, near 0 and near 1; what lies between \
         is what neither place nor shape can decide.",
    );
    section = section.block(Block::Figures(histograms(tracks)?));
    if tracks.pairs.is_empty() || tracks.fits.is_empty() {
        return Ok(section);
    }
    section = section
        .text(
            "What the probabilities are made of, and a count of wrong matches that does not use \
             them:",
        )
        .block(Block::Figures(vec![
            distances(tracks, sessions)?,
            wrong_matches(tracks)?,
        ]))
        .text(
            "Whether of the pairs with a probability of 0.8 four in five are one cell cannot be \
             seen from the data themselves, for nobody knows which are. Simulated sessions, whose \
             cells are known, show it; the documentation has that curve.",
        );
    Ok(section)
}

fn histograms(tracks: &Tracks) -> Result<Vec<Figure>, Error> {
    let all = tracks.pairs.iter().map(|pair| (pair.p_same, 1.0));
    let sessions = tracks.roi_index.ncols();
    let several = |cell: usize| {
        let row = tracks.roi_index.row(cell);
        sessions > 1 && row.iter().filter(|&&roi| roi >= 0).count() > 1
    };
    let entries = tracks.roi_index.indexed_iter();
    let joined = entries
        .filter(|&((cell, _), &roi)| roi >= 0 && several(cell))
        .map(|(at, _)| (tracks.p_same[at], 1.0));
    let mut out = Vec::new();
    for (title, counts) in [
        ("Pairs of ROIs near each other", histogram(all, 1.0)),
        ("ROIs that were joined to a cell", histogram(joined, 1.0)),
    ] {
        let total: f64 = counts.iter().sum();
        let plot = CurvesPlot {
            x_label: "probability to be the same cell",
            y_label: "share",
            y_range: Some(0.0..1.05),
            size: SIZE,
        };
        let curve = steps("", &counts.map(|count| count / total.max(1.0)), 1.0);
        let figure = figure::curves(&plot, &[curve]).at("report")?;
        out.push(figure.titled(format!("{title}: {total:.0}")));
    }
    Ok(out)
}

/// Distances of same and of different cells, as learnt and as found, per ROI
/// and pixel of distance: one scale for both shows where they cross.
fn distances(tracks: &Tracks, sessions: &[Session]) -> Result<Figure, Error> {
    let model = &tracks.model;
    let most = shown_distance(model);
    // Each ROI of one session looks for one in the other, where both saw.
    let looks: f64 = tracks
        .fits
        .iter()
        .filter_map(|fit| {
            let (a, b) = (sessions.get(fit.sessions.0)?, sessions.get(fit.sessions.1)?);
            Some(fit.overlap * a.footprints.len().min(b.footprints.len()) as f64)
        })
        .sum();
    let found = |weight: fn(f32) -> f32| {
        let pairs = tracks.pairs.iter();
        let pairs = pairs.filter(|pair| f64::from(pair.distance) < most);
        let pairs = pairs.map(move |pair| (pair.distance, weight(pair.p_same)));
        let per = looks.max(1.0) * most / BINS as f64;
        histogram(pairs, most as f32).map(|count| count / per)
    };
    let (same, different) = (found(|p| p), found(|p| 1.0 - p));
    let same_share = tracks
        .pairs
        .iter()
        .map(|p| f64::from(p.p_same))
        .sum::<f64>()
        / looks.max(1.0);
    let per_area = per_area(tracks, sessions);
    let at: Vec<f64> = (0..=POINTS)
        .map(|k| most * k as f64 / POINTS as f64)
        .collect();
    let values =
        |value: &dyn Fn(f64) -> f64| -> Vec<f64> { at.iter().map(|&d| value(d)).collect() };
    let learnt = [
        values(&|d| same_share * model.same_distance(d)),
        values(&|d| model.different_distance(d, per_area)),
    ];
    let drawn = learnt.iter().flatten().chain(&same).chain(&different);
    let highest = drawn.copied().fold(f64::MIN_POSITIVE, f64::max);
    let line = |name: &str, y: &[f64]| Curve::new(name, at.clone(), y.to_vec()).without_points();
    let curves = [
        line("same cell, learnt", &learnt[0]),
        line("different, learnt", &learnt[1]),
        steps("same cell, found", &same, most),
        steps("different, found", &different, most),
    ];
    let plot = CurvesPlot {
        x_label: "distance of the centres (px)",
        y_label: "pairs per ROI and px",
        // Room for the names above the highest peak.
        y_range: Some(0.0..1.5 * highest),
        size: SIZE,
    };
    let figure = figure::curves(&plot, &curves).at("report")?;
    Ok(figure.titled("Distances of same and different cells").captioned(
        "Lines: how far apart ROIs of one cell and of different cells lie, as learnt from these \
         data; where they cross, place alone cannot tell a cell from its neighbour. Steps: the \
         pairs found, counted as their probabilities say; pairs of different cells that leave no \
         doubt (below 0.001) are not listed, so that these steps may lie far below their line.",
    ))
}

/// The distance up to which same cells are found, and as far again.
fn shown_distance(model: &MatchModel) -> f64 {
    let most = model.max_distance;
    let at = |k: usize| most * k as f64 / POINTS as f64;
    let density = |k: usize| model.same_distance(at(k));
    let peak = (0..=POINTS).map(density).fold(0.0, f64::max);
    let last = (0..=POINTS).rev().find(|&k| density(k) > 0.01 * peak);
    last.map_or(most, |k| (2.0 * at(k)).min(most))
}

/// ROIs per square pixel of the reference session in one plane of a session,
/// mean over those aligned.
fn per_area(tracks: &Tracks, sessions: &[Session]) -> f64 {
    let (mut rois, mut area) = (0.0, 0.0);
    for (session, alignment) in sessions.iter().zip(&tracks.alignments) {
        if !alignment.verdict.is_aligned() {
            continue;
        }
        let all = &session.footprints;
        let planes = all.planes().iter().max().map_or(1, |&most| most + 1);
        let pixels = (all.height() * all.width()) as f64 * f64::from(planes);
        rois += all.len() as f64;
        area += pixels / alignment.transform.scale().powi(2);
    }
    if area > 0.0 { rois / area } else { 0.0 }
}

/// The two counts of wrong matches of each pair of sessions against each other.
fn wrong_matches(tracks: &Tracks) -> Result<Figure, Error> {
    let pick = |pick: fn(&fluorspar_track::Fit) -> f64| -> Vec<f64> {
        tracks.fits.iter().map(pick).collect()
    };
    let (expected, chance) = (pick(|f| f.expected_false), pick(|f| f.false_by_chance));
    let both = expected.iter().chain(&chance).copied();
    let most = both.filter(|v| v.is_finite()).fold(1.0, f64::max);
    let curves = [
        Curve::new("", vec![0.0, most], vec![0.0, most]).as_reference(),
        Curve::new("", expected, chance).as_points(),
    ];
    let plot = CurvesPlot {
        x_label: "wrong matches, by the probabilities",
        y_label: "in displaced copies",
        size: SIZE,
        ..CurvesPlot::default()
    };
    let figure = figure::curves(&plot, &curves).at("report")?;
    Ok(figure.titled("Wrong matches of two sessions, counted twice").captioned(
        "Each point is a pair of sessions: how many of its matches are wrong as the probabilities \
         say, and how many are found after displacing the ROIs without a match by several cells. \
         Points on the line agree; points far above it mean that the probabilities promise too much.",
    ))
}

/// A histogram over `0..high` as a line: each count from the left to the right
/// edge of its bin.
fn steps(name: &str, counts: &[f64; BINS], high: f64) -> Curve {
    let edges = (0..BINS).flat_map(|k| [k, k + 1]);
    let x = edges.map(|k| high * k as f64 / BINS as f64).collect();
    let y = counts.iter().flat_map(|&n| [n; 2]).collect();
    Curve::new(name, x, y).without_points()
}

/// Sums of weights of values, in equal bins of `0..high`.
fn histogram(values: impl Iterator<Item = (f32, f32)>, high: f32) -> [f64; BINS] {
    let mut counts = [0.0; BINS];
    for (value, weight) in values.filter(|(v, w)| v.is_finite() && w.is_finite()) {
        let bin = (value.max(0.0) / high * BINS as f32) as usize;
        counts[bin.min(BINS - 1)] += f64::from(weight);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::follow;
    use super::*;
    use fluorspar_simulate::{Fields, FieldsPlan};
    use fluorspar_track::Parameters;
    use std::path::Path;

    #[test]
    fn values_fall_into_bins() {
        let values = [0.0, 0.049, 0.05, 1.0, f32::NAN, 2.0, -1.0];
        let counts = histogram(values.into_iter().map(|v| (v, 1.0)), 1.0);
        assert_eq!((counts[0], counts[1], counts[BINS - 1]), (3.0, 1.0, 2.0));
        let counts = histogram([(6.0, 0.25), (6.0, 0.5)].into_iter(), 10.0);
        assert_eq!((counts[12], counts.iter().sum()), (0.75, 0.75));
    }

    #[test]
    fn what_was_learnt_is_drawn_where_something_was() {
        let plan = FieldsPlan {
            sessions: 2,
            cells: 80,
            height: 128,
            width: 128,
            false_rois: 0.0,
            ..FieldsPlan::default()
        };
        let fields = Fields::build(&plan).unwrap();
        let simulated = fields.sessions.iter();
        let sessions: Vec<Session> = simulated
            .map(|s| Session::new(Path::new("a"), s.footprints.clone()))
            .collect();
        let html = |sessions: &[Session]| {
            let tracks = follow(sessions, &Parameters::default()).unwrap();
            let section = how_sure(&tracks, sessions).unwrap();
            (
                tracks,
                fluorspar_report::Report::new("").section(section).render(),
            )
        };
        let (tracks, page) = html(&sessions);
        assert!(page.contains("Distances of same") && page.contains("counted twice"));
        let rois: usize = sessions.iter().map(|s| s.footprints.len()).sum();
        let wanted = rois as f64 / (2.0 * 128.0 * 128.0);
        assert!((per_area(&tracks, &sessions) / wanted - 1.0).abs() < 0.05);
        // Beyond the distances shown, hardly any pair is one cell.
        let most = shown_distance(&tracks.model);
        assert!(most <= tracks.model.max_distance && tracks.model.same_distance(most) < 0.01);
        let (_, page) = html(&sessions[..1]);
        assert!(page.contains("How sure it is") && !page.contains("Distances of same"));
    }
}
