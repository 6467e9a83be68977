//! How far the code moved, and in which directions.

use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Figure, Section};

use super::elapsed::{MIN_PAIRS, means};
use super::sheet::{Kind, kinds};
use super::{Tables, kind_title};
use crate::Error;
use crate::error::Context;

/// A measure of the drift vector, and what it is by chance.
struct Measure {
    name: &'static str,
    chance: &'static str,
    y_label: &'static str,
    title: &'static str,
}

const MEASURES: [Measure; 3] = [
    Measure {
        name: "drift_relative",
        chance: "",
        y_label: "size of the move",
        title: "size, in units of the code's own",
    },
    Measure {
        name: "drift_coding_share",
        chance: "drift_coding_share_chance",
        y_label: "share of the move",
        title: "share along the code",
    },
    Measure {
        name: "drift_variational_share",
        chance: "drift_variational_share_chance",
        y_label: "share of the move",
        title: "share in the space of trials",
    },
];

/// Nothing if no move was measured.
pub(super) fn section(tables: &Tables) -> Result<Option<Section>, Error> {
    let mut all: Vec<Kind> = Vec::new();
    for kind in MEASURES
        .iter()
        .flat_map(|measure| kinds(tables.metric(measure.name)))
    {
        if !all.contains(&kind) {
            all.push(kind);
        }
    }
    let mut blocks = Vec::new();
    for kind in &all {
        let mut figures = Vec::new();
        for measure in &MEASURES {
            figures.extend(curve(tables, measure, kind)?);
        }
        if !figures.is_empty() {
            blocks.push(Block::Heading(kind_title(kind)));
            blocks.push(Block::Figures(figures));
        }
    }
    if blocks.is_empty() {
        return Ok(None);
    }
    let section = Section::new("Where the code moves").text(
        "The change of the mean population vectors from one session to another, freed of trial noise: \
         how large it is, and how much of it lies along the directions that carry the code. A move off \
         the code leaves a decoder untouched. The grey line is what a move in a random direction gives.",
    );
    let folded = Block::Folded {
        summary: "Size and direction, epoch by epoch".into(),
        blocks,
    };
    Ok(Some(
        section
            .block(folded)
            .block(Block::Note("metrics.csv: drift_…".into())),
    ))
}

fn curve(tables: &Tables, measure: &Measure, kind: &Kind) -> Result<Option<Figure>, Error> {
    let column = |metric: &str, value: &str| -> Vec<(f64, f64)> {
        tables
            .pairs(metric, kind)
            .filter(|row| row.text("session_i") != row.text("session_j"))
            .filter_map(|row| {
                let days = (row.number("day_j")? - row.number("day_i")?).abs();
                row.number("value")?;
                Some((days, row.value(value)))
            })
            .collect()
    };
    let points = column(measure.name, "value");
    if points.len() < MIN_PAIRS {
        return Ok(None);
    }
    let (x, y) = means(&points);
    let (_, low) = means(&column(measure.name, "lo"));
    let (_, high) = means(&column(measure.name, "hi"));
    let mut curves = vec![Curve::new("", x, y).with_band(low, high)];
    let chance = column(measure.chance, "value");
    if !chance.is_empty() {
        let (x, y) = means(&chance);
        curves.push(Curve::new("random direction", x, y).as_reference());
    }
    let plot = CurvesPlot {
        x_label: "days between sessions",
        y_label: measure.y_label,
        size: (320, 240),
        y_range: None,
    };
    let figure = figure::curves(&plot, &curves).at("report")?;
    Ok(Some(figure.titled(measure.title)))
}
