//! Every session against every other.

use std::collections::BTreeMap;

use fluorspar_report::figure::{Mark, MatrixPlot, Scale};
use fluorspar_report::{Block, Figure, Section};
use ndarray::Array2;

use super::sheet::{Kind, kinds};
use super::{Tables, words};
use crate::Error;
use crate::error::Context;

/// Probability above which a value may be chance.
const LEVEL: f64 = 0.05;
/// Most matrices of measures that the report has no place of their own for.
const MOST_OTHERS: usize = 24;

struct Measure {
    name: &'static str,
    title: &'static str,
    axes: (&'static str, &'static str),
    scale: fn() -> Scale,
    /// p is against chance, so that a value may be said to be one.
    tested: bool,
}

const BOTH: (&str, &str) = ("session", "session");

const MEASURES: [Measure; 4] = [
    Measure {
        name: "pv_correlation",
        title: "population vectors, as measured",
        axes: BOTH,
        scale: || Scale::diverging(0.0, 1.0),
        tested: false,
    },
    Measure {
        name: "pv_correlation_corrected",
        title: "population vectors, corrected",
        axes: BOTH,
        scale: || Scale::diverging(0.0, 1.0),
        tested: false,
    },
    Measure {
        name: "code_similarity",
        title: "code, corrected",
        axes: BOTH,
        scale: || Scale::diverging(0.0, 1.0),
        tested: false,
    },
    Measure {
        name: "decoding",
        title: "decoding accuracy",
        axes: ("trained on", "tested on"),
        scale: || Scale::diverging(0.5, 0.5),
        tested: true,
    },
];

/// Measures that other sections show, or that are no matrices.
const ELSEWHERE: [&str; 7] = [
    "code_similarity_drawn_identities",
    "tuning_correlation",
    "tuning_correlation_corrected",
    "ensemble_rate_correlation",
    "ensemble_rate_correlation_corrected",
    "pv_reliability",
    "pv_centred_reliability",
];

pub(super) fn section(tables: &Tables, labels: &[String]) -> Result<Section, Error> {
    let mut section = Section::new("Session by session").text(
        "Row and column are sessions. White is the value of no relation (0 for correlations, 0.5 for the \
         balanced accuracy of decoding two classes, on the cells both sessions share). On the diagonal: \
         halves of one session, or cross-validation within it. A ring marks a decoding that permuted \
         labels reach as well (p > 0.05); hatched is not defined: point at it for the reason.",
    );
    let mut epochs: Vec<String> = Vec::new();
    for kind in MEASURES
        .iter()
        .flat_map(|measure| kinds(tables.metric(measure.name)))
    {
        if !epochs.contains(&kind.0) {
            epochs.push(kind.0);
        }
    }
    for (index, epoch) in epochs.iter().enumerate() {
        let mut figures = Vec::new();
        for measure in &MEASURES {
            for kind in kinds(tables.metric(measure.name))
                .iter()
                .filter(|kind| kind.0 == *epoch)
            {
                // Population vectors label by label add little to those of all trials.
                if measure.name.starts_with("pv_") && !kind.1.is_empty() {
                    continue;
                }
                let matrix = Matrix::of(tables, measure.name, kind, labels.len(), measure.tested);
                if matrix.defined > 0 {
                    let title = [words(&kind.1), measure.title.to_owned()];
                    let title: Vec<String> =
                        title.into_iter().filter(|part| !part.is_empty()).collect();
                    figures.push(
                        matrix
                            .draw(labels, measure.axes, (measure.scale)())?
                            .titled(title.join(" · ")),
                    );
                }
            }
        }
        if figures.is_empty() {
            continue;
        }
        section = if index < 12 {
            section
                .block(Block::Heading(words(epoch)))
                .block(Block::Figures(figures))
        } else {
            section.block(Block::Folded {
                summary: words(epoch),
                blocks: vec![Block::Figures(figures)],
            })
        };
    }
    if epochs.is_empty() {
        section = section.block(Block::Note("metrics.csv has no pair of sessions.".into()));
    }
    let others = others(tables, labels)?;
    if !others.is_empty() {
        section = section.block(Block::Folded {
            summary: format!("Other measures (at most {MOST_OTHERS}; metrics.csv has all)"),
            blocks: vec![Block::Figures(others)],
        });
    }
    Ok(section.block(Block::Note("metrics.csv".into())))
}

/// Measures that this page knows nothing of, on a scale of their own values.
fn others(tables: &Tables, labels: &[String]) -> Result<Vec<Figure>, Error> {
    let mut names: Vec<&str> = tables
        .rows("metrics")
        .map(|row| row.text("metric"))
        .collect();
    names.sort_unstable();
    names.dedup();
    // Of a measure and its corrected form the corrected one; moves have a section of their own.
    let all = names.clone();
    let corrected = |name: &str| all.contains(&format!("{name}_corrected").as_str());
    names.retain(|name| {
        !ELSEWHERE.contains(name)
            && MEASURES.iter().all(|known| known.name != *name)
            && !name.starts_with("drift_")
            && !corrected(name)
    });
    let mut figures = Vec::new();
    for name in names {
        for kind in kinds(tables.metric(name)) {
            let matrix = Matrix::of(tables, name, &kind, labels.len(), false);
            if matrix.defined == 0 || figures.len() == MOST_OTHERS {
                continue;
            }
            let values = || matrix.values.iter().copied().filter(|v| v.is_finite());
            let (low, high) = (
                values().fold(f64::INFINITY, f64::min),
                values().fold(f64::NEG_INFINITY, f64::max),
            );
            let title = format!("{} · {}", words(name), super::kind_title(&kind));
            let scale = Scale::sequential(low..high);
            figures.push(matrix.draw(labels, BOTH, scale)?.titled(title));
        }
    }
    Ok(figures)
}

struct Matrix {
    values: Array2<f64>,
    marks: Array2<Option<Mark>>,
    /// Pairs of different sessions with a value.
    defined: usize,
}

impl Matrix {
    /// A pair that is given once stands on both sides of the diagonal.
    fn of(tables: &Tables, metric: &str, kind: &Kind, sessions: usize, tested: bool) -> Self {
        let mut found: BTreeMap<(usize, usize), (f64, Option<Mark>)> = BTreeMap::new();
        let mut defined = 0;
        for row in tables.pairs(metric, kind) {
            let (Some(i), Some(j)) = (row.session("session_i"), row.session("session_j")) else {
                continue;
            };
            let mark = match (row.number("value"), row.number("p")) {
                (None, _) if row.text("reason").is_empty() => {
                    Some(Mark::Undefined("not defined".into()))
                }
                (None, _) => Some(Mark::Undefined(row.text("reason").to_owned())),
                (Some(_), Some(p)) if tested && p > LEVEL => Some(Mark::NotSignificant(format!(
                    "no better than permuted labels (p > {LEVEL})"
                ))),
                _ => None,
            };
            defined += usize::from(i != j && row.number("value").is_some());
            found.insert((i, j), (row.value("value"), mark));
        }
        let at = |i: usize, j: usize| found.get(&(i, j)).or_else(|| found.get(&(j, i)));
        let marked = |(i, j): (usize, usize)| at(i, j).and_then(|(_, mark)| mark.clone());
        Self {
            values: Array2::from_shape_fn((sessions, sessions), |(i, j)| {
                at(i, j).map_or(f64::NAN, |(value, _)| *value)
            }),
            marks: Array2::from_shape_fn((sessions, sessions), marked),
            defined,
        }
    }

    fn draw(&self, labels: &[String], axes: (&str, &str), scale: Scale) -> Result<Figure, Error> {
        let plot = MatrixPlot {
            axes,
            marks: Some(&self.marks),
            ..MatrixPlot::new(labels, scale)
        };
        plot.draw(self.values.view()).at("report")
    }
}
