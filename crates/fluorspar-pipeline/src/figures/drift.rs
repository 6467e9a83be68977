//! The tables of a drift analysis, read back and drawn.

use std::path::Path;

use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Figure, Section, Table};
use ndarray::Array2;
use serde::Deserialize;

use super::{day_labels, words};
use crate::Error;
use crate::error::Context;

/// Fewest session pairs that make a curve.
const MIN_PAIRS: usize = 3;

/// The drift tables as they lie on disk.
pub(super) struct Tables {
    metrics: Vec<Metric>,
    pub(super) crystallization: Vec<Crystallization>,
}

#[derive(Debug, Deserialize)]
struct Metric {
    #[serde(rename = "metric")]
    name: String,
    epoch: String,
    variable: String,
    session_i: usize,
    session_j: usize,
    day_i: f64,
    day_j: f64,
    #[serde(deserialize_with = "number")]
    value: Option<f64>,
    #[serde(deserialize_with = "number")]
    lo: Option<f64>,
    #[serde(deserialize_with = "number")]
    hi: Option<f64>,
}

/// A row of `crystallization.csv`.
#[derive(Debug, Deserialize)]
pub(crate) struct Crystallization {
    pub(crate) epoch: String,
    pub(crate) variable: String,
    pub(crate) test: String,
    #[serde(deserialize_with = "number")]
    pub(crate) statistic: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(crate) lo: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(crate) hi: Option<f64>,
    #[serde(deserialize_with = "number")]
    p: Option<f64>,
    n_cells: String,
    pub(super) verdict: String,
}

/// Reads `crystallization.csv` of a drift folder.
pub(crate) fn crystallization(folder: &Path) -> Result<Vec<Crystallization>, Error> {
    read_rows(&folder.join("crystallization.csv"))
}

/// A number, or nothing where the table says so.
fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let text = String::deserialize(from)?;
    Ok(text.trim().parse().ok().filter(|v: &f64| v.is_finite()))
}

impl Tables {
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let metrics = folder.join("metrics.csv");
        if !metrics.exists() {
            return Ok(None);
        }
        Ok(Some(Self {
            metrics: read_rows(&metrics)?,
            crystallization: read_rows(&folder.join("crystallization.csv"))?,
        }))
    }

    /// Distinct (epoch, variable) of a metric, in the table's order.
    fn kinds(&self, metric: &str) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        for row in self.metrics.iter().filter(|row| row.name == metric) {
            let kind = (row.epoch.clone(), row.variable.clone());
            if !out.contains(&kind) {
                out.push(kind);
            }
        }
        out
    }

    fn rows<'a>(
        &'a self,
        metric: &'a str,
        kind: &'a (String, String),
    ) -> impl Iterator<Item = &'a Metric> {
        self.metrics
            .iter()
            .filter(move |row| row.name == metric && row.epoch == kind.0 && row.variable == kind.1)
    }
}

fn read_rows<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, Error> {
    csv::Reader::from_path(path)
        .and_then(|mut reader| reader.deserialize().collect())
        .map_err(|e| Error::bad_data(path, e.to_string()))
}

pub(super) fn drift_sections(tables: &Tables, days: &[f64]) -> Result<Vec<Section>, Error> {
    let labels = day_labels(days);
    let mut out = Vec::new();
    let mut drift = Section::new("Does the code drift?").text(
        "Similarity of the code between two sessions against the days between them. A value of 1 means \
         the code is as similar as trial-to-trial noise within a session allows; a falling curve is drift. \
         Points are session pairs, the line is their mean per distance.",
    );
    for (metric, about) in similarity_metrics(tables) {
        let mut figures = Vec::new();
        for kind in tables.kinds(&metric) {
            let defined = tables
                .rows(&metric, &kind)
                .filter(|row| row.session_i != row.session_j && row.value.is_some())
                .count();
            // One or two pairs make no curve; the tables still hold them.
            if defined < MIN_PAIRS {
                continue;
            }
            figures.push(decay_figure(tables, &metric, &kind)?);
        }
        drift = drift.text(about).block(Block::Figures(figures));
    }
    out.push(drift);

    let mut rows = Vec::new();
    let show = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.3}"));
    for row in &tables.crystallization {
        rows.push(vec![
            words(&row.epoch),
            words(&row.variable),
            words(&row.test),
            show(row.statistic),
            format!("{} – {}", show(row.lo), show(row.hi)),
            show(row.p),
            row.n_cells.clone(),
            row.verdict.clone(),
        ]);
    }
    let header = [
        "epoch",
        "variable",
        "test",
        "statistic",
        "interval",
        "p",
        "cells",
        "verdict",
    ]
    .map(str::to_owned)
    .to_vec();
    out.push(
        Section::new("Does it crystallize?")
            .text(
                "Whether the code changes less from session to session late in practice than early. The \
                 statistic is the late minus the early similarity of session pairs the same distance \
                 apart, corrected for reliability; an interval that excludes 0 speaks for a change.",
            )
            .block(Block::Table(Table { header, rows })),
    );

    let mut matrices = Vec::new();
    for kind in tables.kinds("decoding") {
        let values = square(tables.rows("decoding", &kind), days.len());
        matrices.push(
            figure::matrix(
                values.view(),
                &labels,
                0.4..1.0,
                ("trained on", "tested on"),
            )
            .at("report")?
            .titled(kind_title(&kind)),
        );
    }
    if !matrices.is_empty() {
        out.push(
            Section::new("Decoding across sessions")
                .text(
                    "Balanced accuracy of a linear support vector machine trained on one session (row) and \
                     tested on another (column), on the cells both share; on the diagonal, cross-validated \
                     within the session. Chance is 0.5 for two classes.",
                )
                .block(Block::Figures(matrices)),
        );
    }
    Ok(out)
}

fn kind_title(kind: &(String, String)) -> String {
    if kind.1.is_empty() {
        words(&kind.0)
    } else {
        format!("{} · {}", words(&kind.0), words(&kind.1))
    }
}

/// The similarity metrics present, each with what a reader must know.
fn similarity_metrics(tables: &Tables) -> Vec<(String, String)> {
    let known = [
        (
            "code_similarity",
            "Coding axis: correlation of the difference between the two labels' mean population \
             vectors, divided by its split-half reliability.",
        ),
        (
            "pv_correlation_corrected",
            "Population vectors: correlation over cells, condition by condition, divided by its \
             split-half reliability.",
        ),
        (
            "pv_correlation",
            "Population vectors as measured; the grey line is the split-half floor within sessions, \
             which no pair of sessions can be expected to exceed.",
        ),
    ];
    known
        .into_iter()
        .filter(|(metric, _)| tables.metrics.iter().any(|row| row.name == *metric))
        .map(|(metric, about)| (metric.to_owned(), about.to_owned()))
        .collect()
}

fn decay_figure(tables: &Tables, metric: &str, kind: &(String, String)) -> Result<Figure, Error> {
    let mut pairs: Vec<(f64, &Metric)> = tables
        .rows(metric, kind)
        .filter(|row| row.session_i < row.session_j)
        .map(|row| ((row.day_j - row.day_i).abs(), row))
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let column = |pick: fn(&Metric) -> Option<f64>| -> Vec<f64> {
        pairs
            .iter()
            .map(|(_, row)| pick(row).unwrap_or(f64::NAN))
            .collect()
    };
    let points = Curve::new(
        "session pairs",
        pairs.iter().map(|(days, _)| *days).collect(),
        column(|row| row.value),
    )
    .with_interval(column(|row| row.lo), column(|row| row.hi))
    .as_points();
    let mut lags: Vec<(f64, Vec<f64>)> = Vec::new();
    for (days, row) in &pairs {
        let Some(value) = row.value else { continue };
        match lags.last_mut() {
            Some((lag, values)) if (*lag - days).abs() < 1e-9 => values.push(value),
            _ => lags.push((*days, vec![value])),
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let line = Curve::new(
        "mean",
        lags.iter().map(|(lag, _)| *lag).collect(),
        lags.iter().map(|(_, values)| mean(values)).collect(),
    );
    let diagonal: Vec<f64> = tables
        .rows(metric, kind)
        .filter(|row| row.session_i == row.session_j)
        .filter_map(|row| row.value)
        .collect();
    let mut curves = vec![points, line];
    if !diagonal.is_empty() && !lags.is_empty() {
        let floor = mean(&diagonal);
        let ends = vec![0.0, lags[lags.len() - 1].0];
        curves.push(Curve::new("within a session", ends, vec![floor, floor]).as_reference());
    }
    let plot = CurvesPlot {
        x_label: "days between sessions",
        y_label: "similarity",
        size: (340, 260),
        y_range: Some(-0.4..1.6),
    };
    Ok(figure::curves(&plot, &curves)
        .at("report")?
        .titled(kind_title(kind)))
}

fn square<'a>(rows: impl Iterator<Item = &'a Metric>, sessions: usize) -> Array2<f64> {
    let mut out = Array2::from_elem((sessions, sessions), f64::NAN);
    for row in rows {
        if row.session_i >= 1
            && row.session_j >= 1
            && let Some(slot) = out.get_mut((row.session_i - 1, row.session_j - 1))
        {
            *slot = row.value.unwrap_or(f64::NAN);
        }
    }
    out
}
