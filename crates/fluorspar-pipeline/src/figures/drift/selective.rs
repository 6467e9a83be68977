//! How many cells are selective, and which of them stay.

use fluorspar_report::figure::{self, BarsPlot, Curve, CurvesPlot, Floor, Part};
use fluorspar_report::{Block, Figure, Section};

use super::companions::wilson;
use super::sheet::{Kind, Row, kinds};
use super::{Tables, kind_title, words};
use crate::Error;
use crate::error::Context;

pub(super) fn section(tables: &Tables, labels: &[String]) -> Result<Section, Error> {
    let mut section = Section::new("Selective cells").text(
        "Share of cells whose activity in the epoch differs between the values of a label (permuted \
         labels, false discovery rate over cells): pure ones for one label alone, mixed ones for two or \
         more. Bars are the 95 % interval of the share, each cell counted as independent; the dashed line \
         is the share of false discoveries that the level allows.",
    );
    let rows = || tables.rows("selective_fractions");
    let (mut any, mut each) = (Vec::new(), Vec::new());
    for kind in kinds(rows()) {
        let of_kind: Vec<Row<'_>> = rows().filter(|row| is(*row, &kind)).collect();
        if of_kind.iter().all(|row| row.number("selective").is_none()) {
            continue;
        }
        let figure = fractions(&of_kind, labels)?;
        if kind.1.is_empty() {
            any.push(figure.titled(format!("{}, any label", words(&kind.0))));
        } else {
            each.push(figure.titled(kind_title(&kind)));
        }
    }
    if any.is_empty() && each.is_empty() {
        section = section.block(Block::Note(
            "Selectivity could not be tested: selective_fractions.csv is missing or says why."
                .into(),
        ));
    }
    if !any.is_empty() {
        section = section.block(Block::Figures(any));
    }
    if !each.is_empty() {
        section = section.block(Block::Folded {
            summary: "Label by label".into(),
            blocks: vec![Block::Figures(each)],
        });
    }
    section = section.block(Block::Note(
        "selective_fractions.csv, selectivity_sets.csv; every cell in cells.csv".into(),
    ));
    let turnover = turnover(tables)?;
    if !turnover.is_empty() {
        section = section
            .text(
                "Which cells are selective changes by chance too, near the threshold: the overlap of two \
                 sessions is to be compared with that of two halves of one session, each with as many \
                 trials.",
            )
            .block(Block::Figures(turnover))
            .block(Block::Note("turnover.csv; how long cells stay selective: survival.csv".into()));
    }
    Ok(section)
}

fn is(row: Row<'_>, kind: &Kind) -> bool {
    row.text("epoch") == kind.0 && row.text("variable") == kind.1
}

fn fractions(rows: &[Row<'_>], labels: &[String]) -> Result<Figure, Error> {
    let nothing = || vec![f64::NAN; labels.len()];
    let (mut pure, mut mixed, mut low, mut high, mut floor) =
        (nothing(), nothing(), nothing(), nothing(), nothing());
    for row in rows {
        let Some(at) = row.session("session").filter(|&at| at < labels.len()) else {
            continue;
        };
        let (share, n) = (row.value("selective"), row.value("n_cells"));
        (pure[at], mixed[at]) = (row.value("pure"), row.value("mixed"));
        (low[at], high[at]) = wilson(share * n, n);
        floor[at] = share * row.value("false_discovery");
    }
    let part = |name: &str, values, interval| Part {
        name: name.into(),
        values,
        interval,
    };
    let floors = [Floor {
        name: "false discoveries".into(),
        values: floor,
    }];
    let plot = BarsPlot {
        labels,
        x_label: "session",
        y_label: "share of cells",
        floors: &floors,
        size: (0, 230),
        ..BarsPlot::default()
    };
    let parts = [
        part("pure", pure, None),
        part("mixed", mixed, Some((low, high))),
    ];
    figure::bars(&plot, &parts).at("report")
}

/// Overlap of the selective cells against the days between.
fn turnover(tables: &Tables) -> Result<Vec<Figure>, Error> {
    let rows = || tables.rows("turnover");
    let mut figures = Vec::new();
    for kind in kinds(rows()) {
        let column = |name: &str| -> Vec<(f64, f64)> {
            rows()
                .filter(|row| is(*row, &kind) && row.text("session_i") != row.text("session_j"))
                .map(|row| (row.value("day_j") - row.value("day_i"), row.value(name)))
                .filter(|(days, value)| days.is_finite() && value.is_finite())
                .collect()
        };
        let points = column("jaccard");
        if points.len() < super::elapsed::MIN_PAIRS {
            continue;
        }
        let mean = |name: &str, shown: &str| {
            let (x, y) = super::elapsed::means(&column(name));
            Curve::new(shown, x, y)
        };
        let (x, y) = points.iter().copied().unzip();
        let curves = [
            Curve::new("session pairs", x, y)
                .as_points()
                .in_colour(0)
                .pale(),
            mean("jaccard", "mean").in_colour(0),
            mean("jaccard_floor", "halves of a session")
                .as_reference()
                .dashed(),
            mean("jaccard_chance", "chance").as_reference(),
        ];
        let plot = CurvesPlot {
            x_label: "days between sessions",
            y_label: "overlap (Jaccard)",
            size: (340, 260),
            ..CurvesPlot::default()
        };
        figures.push(
            figure::curves(&plot, &curves)
                .at("report")?
                .titled(kind_title(&kind)),
        );
    }
    Ok(figures)
}
