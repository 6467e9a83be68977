//! Cells that come and go, and cells in a row.

use fluorspar::drift::single_cell::{Permutations, Statistic, selectivity, sequence, turnover};
use fluorspar::report::figure::{
    Curve, CurvesPlot, HeatmapPanel, HeatmapPlot, Scale, curves, heatmap,
};
use ndarray::Array2;
use rand::RngExt;

use crate::Result;
use crate::picture::{level, picture};
use crate::simulate::{by_lag, normal, random};

const DAYS: usize = 8;
const CELLS: usize = 600;
/// Trials of each label in half a session.
const HALF: usize = 30;

/// Which cells are selective in each half of each day.
type Selective = Vec<[Vec<Option<bool>>; 2]>;

/// The overlap of selective cells between days when every cell stays what it
/// is, and when some change.
pub(crate) fn turnover_without_drift() -> Result<String> {
    let lag: Vec<f64> = (1..DAYS).map(|days| days as f64).collect();
    let still = selective(0.0, 3)?;
    let drifting = selective(0.12, 4)?;
    let mut floor = 0.0;
    for [a, b] in &still {
        floor += turnover(a, b)?.jaccard() / DAYS as f64;
    }
    let between = |days: &Selective| {
        by_lag(DAYS, |i, j| {
            let there = turnover(&days[i][0], &days[j][1])?.jaccard();
            let back = turnover(&days[i][1], &days[j][0])?.jaccard();
            Ok(0.5 * (there + back))
        })
    };
    let plot = CurvesPlot {
        x_label: "days between sessions",
        y_label: "Jaccard overlap of selective cells",
        y_range: Some(0.0..1.05),
        size: (480, 320),
    };
    let lines = [
        Curve::new("no cell changes", lag.clone(), between(&still)?).in_colour(0),
        Curve::new("12 % change each day", lag.clone(), between(&drifting)?).in_colour(1),
        level("", &lag, 1.0),
        Curve::new(
            "floor: halves of one day",
            lag.clone(),
            vec![floor; lag.len()],
        )
        .in_colour(0)
        .without_points()
        .dashed(),
    ];
    picture(1, &[curves(&plot, &lines)?])
}

/// Tests every cell in halves of every day. A cell's difference between two
/// labels is drawn once, and anew each day with the probability `change`.
fn selective(change: f64, seed: u64) -> Result<Selective> {
    let mut rng = random(seed);
    let mut effect: Vec<f64> = (0..CELLS).map(|_| 0.6 * normal(&mut rng)).collect();
    let labels: Vec<i64> = (0..2 * HALF).map(|trial| (trial % 2) as i64).collect();
    let permutations = Permutations::new(&labels, None, 500, seed)?;
    let mut days = Vec::new();
    for _ in 0..DAYS {
        let mut halves = [Vec::new(), Vec::new()];
        for half in &mut halves {
            let activity = Array2::from_shape_fn((CELLS, labels.len()), |(cell, trial)| {
                (effect[cell] * labels[trial] as f64 + normal(&mut rng)) as f32
            });
            let found = selectivity(activity.view(), &permutations, Statistic::AuRoc)?;
            *half = found.q.iter().map(|&q| Some(q <= 0.05)).collect();
        }
        days.push(halves);
        for value in &mut effect {
            if rng.random::<f64>() < change {
                *value = 0.6 * normal(&mut rng);
            }
        }
    }
    Ok(days)
}

/// Noise in the order of its own peaks, and held-out noise in the same order.
pub(crate) fn sequence_of_noise() -> Result<String> {
    let mut rng = random(5);
    let mut mean = || {
        smoothed(&Array2::from_shape_simple_fn((150, 40), || {
            normal(&mut rng)
        }))
    };
    let (odd, even) = (mean(), mean());
    let own = sequence(odd.view(), odd.view(), None)?;
    let held_out = sequence(odd.view(), even.view(), None)?;
    let plot = HeatmapPlot {
        order: &own.order,
        time: 0.0..8.0,
        epochs: &[],
        scale: Scale::diverging(0.0, 1.5),
        scale_label: "activity (z)",
        rows: "cells by peak",
        height: 130,
    };
    let titles = [
        format!("sorted on these trials: ρ = {:.2}", own.spearman),
        format!("held-out trials, same order: ρ = {:.2}", held_out.spearman),
    ];
    let mut figures = Vec::new();
    for (title, values) in titles.into_iter().zip([&odd, &even]) {
        let values = values.mapv(|v| v as f32);
        let panel = HeatmapPanel {
            title,
            values: values.view(),
        };
        figures.push(heatmap(&plot, &[panel])?);
    }
    picture(1, &figures)
}

/// Means over five neighbouring bins, as slow indicators make them.
fn smoothed(values: &Array2<f64>) -> Array2<f64> {
    let bins = values.ncols();
    Array2::from_shape_fn(values.dim(), |(cell, bin)| {
        let near = bin.saturating_sub(2)..(bin + 3).min(bins);
        let n = near.len() as f64;
        near.map(|b| values[[cell, b]]).sum::<f64>() / n.sqrt()
    })
}
