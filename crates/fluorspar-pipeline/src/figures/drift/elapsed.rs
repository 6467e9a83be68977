//! Similarity against the days between sessions, and against practice.

use fluorspar_drift::law::Law;
use fluorspar_report::figure::{self, Curve, CurvesPlot, Strip, StripPlot};
use fluorspar_report::{Block, Figure, Section};

use super::sheet::{Kind, Row, kinds};
use super::{Tables, kind_title, words};
use crate::Error;
use crate::error::Context;

/// Fewest session pairs that make a curve.
pub(super) const MIN_PAIRS: usize = 3;

/// A similarity as measured and as corrected.
struct Family {
    heading: &'static str,
    about: &'static str,
    corrected: &'static str,
    raw: &'static str,
    /// Shown at once, not folded away.
    open: bool,
}

const FAMILIES: [Family; 4] = [
    Family {
        heading: "The code for a label",
        about: "Correlation of the difference between the two values' mean population vectors, divided by its \
                split-half reliability. Pale: with the identities of cells drawn by their probability.",
        corrected: "code_similarity",
        raw: "code_similarity_drawn_identities",
        open: true,
    },
    Family {
        heading: "Population vectors",
        about: "Correlation over cells, bin by bin. Pale: as measured, on equal numbers of trials.",
        corrected: "pv_correlation_corrected",
        raw: "pv_correlation",
        open: true,
    },
    Family {
        heading: "Tuning curves",
        about: "Correlation over bins, cell by cell: what moves with tuning alone. Pale: as measured.",
        corrected: "tuning_correlation_corrected",
        raw: "tuning_correlation",
        open: false,
    },
    Family {
        heading: "Ensemble rates",
        about: "Correlation over cells of their mean rates: what moves with rates alone. Pale: as measured.",
        corrected: "ensemble_rate_correlation_corrected",
        raw: "ensemble_rate_correlation",
        open: false,
    },
];

pub(super) fn section(tables: &Tables) -> Result<Section, Error> {
    let mut section = Section::new("Does the code drift?").text(
        "Similarity of two sessions against the days between them. A value of 1 means as similar as \
         trial-to-trial noise within a session allows; a falling curve is drift. Points are session pairs, \
         the line their mean at each distance, the band the mean of their intervals. The grey line is the \
         mean similarity of halves of one session, which no pair as measured can be expected to exceed.",
    );
    let mut any = false;
    for family in &FAMILIES {
        let mut figures = Vec::new();
        let mut by_label = Vec::new();
        for kind in kinds(tables.metric(family.corrected)) {
            let defined = off_diagonal(tables, family.corrected, &kind).len();
            let all = tables
                .pairs(family.corrected, &kind)
                .filter(|row| row.text("session_i") != row.text("session_j"))
                .count();
            // A few pairs of many make no curve; the tables still hold them.
            if defined >= MIN_PAIRS && 4 * defined >= all {
                let figure = decay(tables, family, &kind)?;
                // Population vectors are of all trials first, of each label's trials second.
                if family.corrected == "code_similarity" || kind.1.is_empty() {
                    figures.push(figure);
                } else {
                    by_label.push(figure);
                }
            }
        }
        if figures.is_empty() && by_label.is_empty() {
            continue;
        }
        any = true;
        let mut blocks = vec![
            Block::Paragraph(family.about.into()),
            Block::Figures(figures),
        ];
        if !by_label.is_empty() {
            blocks.push(Block::Folded {
                summary: "Label by label".into(),
                blocks: vec![Block::Figures(by_label)],
            });
        }
        section = if family.open {
            blocks.into_iter().fold(
                section.block(Block::Heading(family.heading.into())),
                Section::block,
            )
        } else {
            section.block(Block::Folded {
                summary: family.heading.into(),
                blocks,
            })
        };
    }
    let adjacent = adjacent(tables)?;
    if !adjacent.is_empty() {
        section = section
            .block(Block::Heading("From each session to the next".into()))
            .text(
                "Corrected similarity of neighbouring sessions over practice. A code that crystallizes \
                 climbs here; sessions further apart in days fall short of those closer together.",
            )
            .block(Block::Figures(adjacent));
    }
    let rates = rates(tables)?;
    if !rates.is_empty() {
        section = section
            .block(Block::Heading("How fast the code drifts".into()))
            .text(
                "Rate at which what two sessions have in common is lost per day, at each session, under the \
                 law that predicts left-out sessions best; ln 2 divided by it is the half-life. A law of \
                 steady drift is a flat line whatever the data do.",
            )
            .block(Block::Figures(rates));
    }
    if !any {
        section = section.block(Block::Note(
            "No similarity is defined for three pairs of sessions; metrics.csv says why, row by row.".into(),
        ));
    }
    Ok(section.block(Block::Note(
        "metrics.csv; the laws in rates.csv, half-lives in half_lives.csv".into(),
    )))
}

/// Days apart, the value, and the row, of all pairs with a value.
fn off_diagonal<'a>(
    tables: &'a Tables,
    metric: &'a str,
    kind: &'a Kind,
) -> Vec<(f64, f64, Row<'a>)> {
    let mut out: Vec<(f64, f64, Row<'_>)> = tables
        .pairs(metric, kind)
        .filter(|row| row.text("session_i") != row.text("session_j"))
        .filter_map(|row| {
            let days = (row.number("day_j")? - row.number("day_i")?).abs();
            Some((days, row.number("value")?, row))
        })
        .collect();
    out.sort_by(|a, b| a.0.total_cmp(&b.0));
    out
}

/// Mean of the values at each x, ascending.
pub(super) fn means(points: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lags: Vec<(f64, f64, f64)> = Vec::new();
    for (x, y) in sorted {
        match lags.last_mut() {
            Some((lag, sum, n)) if (*lag - x).abs() < 1e-9 => (*sum, *n) = (*sum + y, *n + 1.0),
            _ => lags.push((x, y, 1.0)),
        }
    }
    lags.into_iter().map(|(lag, sum, n)| (lag, sum / n)).unzip()
}

fn line(name: &str, pairs: &[(f64, f64, Row<'_>)]) -> Curve {
    let column = |pick: &dyn Fn(&(f64, f64, Row<'_>)) -> f64| {
        means(
            &pairs
                .iter()
                .map(|pair| (pair.0, pick(pair)))
                .collect::<Vec<_>>(),
        )
    };
    let (x, y) = column(&|pair| pair.1);
    let (_, low) = column(&|pair| pair.2.value("lo"));
    let (_, high) = column(&|pair| pair.2.value("hi"));
    Curve::new(name, x, y).with_band(low, high)
}

fn decay(tables: &Tables, family: &Family, kind: &Kind) -> Result<Figure, Error> {
    let corrected = off_diagonal(tables, family.corrected, kind);
    let raw = off_diagonal(tables, family.raw, kind);
    let mut curves = Vec::new();
    if !raw.is_empty() {
        let name = if family.raw.ends_with("identities") {
            "identities drawn"
        } else {
            "as measured"
        };
        curves.push(line(name, &raw).in_colour(0).pale());
    }
    let (x, y) = corrected.iter().map(|pair| (pair.0, pair.1)).unzip();
    curves.push(Curve::new("", x, y).as_points().in_colour(0).pale());
    curves.push(line("corrected", &corrected).in_colour(0));
    let farthest = corrected.last().map_or(0.0, |pair| pair.0);
    curves.extend(law(tables, family.corrected, kind, &corrected));
    let diagonal: Vec<f64> = tables
        .pairs(family.raw, kind)
        .filter(|row| row.text("session_i") == row.text("session_j"))
        .filter_map(|row| row.number("value"))
        .collect();
    if !diagonal.is_empty() {
        let floor = diagonal.iter().sum::<f64>() / diagonal.len() as f64;
        curves.push(
            Curve::new("within a session", vec![0.0, farthest], vec![floor; 2]).as_reference(),
        );
    }
    let plot = CurvesPlot {
        x_label: "days between sessions",
        y_label: "similarity",
        size: (340, 280),
        y_range: Some(-0.3..1.5),
    };
    Ok(figure::curves(&plot, &curves)
        .at("report")?
        .titled(kind_title(kind)))
}

/// The chosen law, mean over the pairs at each distance: some laws depend on when
/// sessions were, not on their distance alone.
fn law(tables: &Tables, metric: &str, kind: &Kind, pairs: &[(f64, f64, Row<'_>)]) -> Option<Curve> {
    let chosen = || {
        tables.rows("rates").filter(|row| {
            row.text("metric") == metric
                && row.text("epoch") == kind.0
                && row.text("variable") == kind.1
                && row.text("group").is_empty()
                && row.text("chosen") == "1"
        })
    };
    let name = chosen().next()?.text("law");
    let law = Law::ALL.into_iter().find(|law| law.name() == name)?;
    let parameter = |name: &&str| {
        chosen()
            .find(|row| row.text("parameter") == *name)?
            .number("value")
    };
    let parameters: Vec<f64> = law
        .parameters()
        .iter()
        .map(parameter)
        .collect::<Option<_>>()?;
    let first = tables
        .rows("metrics")
        .filter_map(|row| row.number("day_i"))
        .reduce(f64::min)?;
    let points: Vec<(f64, f64)> = pairs
        .iter()
        .map(|pair| {
            let days = (pair.2.value("day_i"), pair.2.value("day_j"));
            let (s, t) = (days.0.min(days.1) - first, days.0.max(days.1) - first);
            (pair.0, law.value(&parameters, s, t))
        })
        .collect();
    let (x, y) = means(&points);
    let curve = Curve::new(words(name), x, y);
    Some(curve.without_points().dashed().in_colour(1))
}

/// What share of a code is lost per day, session by session, under the chosen
/// law; one plot per label, one colour per epoch.
fn rates(tables: &Tables) -> Result<Vec<Figure>, Error> {
    const METRIC: &str = "code_similarity";
    let rows = || {
        tables.rows("half_lives").filter(|row| {
            row.text("metric") == METRIC
                && row.text("group").is_empty()
                && row.text("chosen") == "1"
        })
    };
    let all = kinds(rows());
    let mut figures = Vec::new();
    for variable in labels_of(&all) {
        let of_variable = all.iter().filter(|kind| kind.1 == variable);
        let curves: Vec<Curve> = of_variable
            .map(|kind| {
                let of_kind: Vec<Row<'_>> = rows()
                    .filter(|row| row.text("epoch") == kind.0 && row.text("variable") == kind.1)
                    .collect();
                let column = |name: &str| {
                    of_kind
                        .iter()
                        .map(|row| row.value(name))
                        .collect::<Vec<f64>>()
                };
                let law = of_kind.first().map_or("", |row| row.text("law"));
                let name = format!("{} ({})", words(&kind.0), words(law));
                Curve::new(name, column("day"), column("rate_per_day"))
                    .with_band(column("rate_lo"), column("rate_hi"))
            })
            .collect();
        let plot = CurvesPlot {
            x_label: "day",
            y_label: "share lost per day",
            size: (480, 300),
            y_range: None,
        };
        figures.push(
            figure::curves(&plot, &curves)
                .at("report")?
                .titled(words(variable)),
        );
    }
    Ok(figures)
}

/// The labels that kinds are of, each once.
fn labels_of(kinds: &[Kind]) -> Vec<&str> {
    let mut labels: Vec<&str> = kinds.iter().map(|kind| kind.1.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// One plot per label, one colour per epoch.
fn adjacent(tables: &Tables) -> Result<Vec<Figure>, Error> {
    const METRIC: &str = "code_similarity";
    let all = kinds(tables.metric(METRIC));
    let mut figures = Vec::new();
    for variable in labels_of(&all) {
        let mut strips = Vec::new();
        for kind in all.iter().filter(|kind| kind.1 == variable) {
            let steps: Vec<Row<'_>> = tables
                .pairs(METRIC, kind)
                .filter(|row| {
                    let sessions = (row.session("session_i"), row.session("session_j"));
                    matches!(sessions, (Some(i), Some(j)) if j == i + 1)
                        && row.number("value").is_some()
                })
                .collect();
            if steps.len() < MIN_PAIRS {
                continue;
            }
            let column = |name: &str| {
                steps
                    .iter()
                    .map(|row| row.value(name))
                    .collect::<Vec<f64>>()
            };
            strips.push(Strip {
                name: words(&kind.0),
                x: column("session_i")
                    .iter()
                    .map(|session| session + 0.5)
                    .collect(),
                y: column("value"),
                interval: Some((column("lo"), column("hi"))),
                trend: None,
            });
        }
        if strips.is_empty() {
            continue;
        }
        let plot = StripPlot {
            axes: CurvesPlot {
                x_label: "session",
                y_label: "similarity to the next session",
                size: (480, 300),
                y_range: Some(-0.3..1.5),
            },
            unit: "session",
        };
        figures.push(
            figure::strip(&plot, &strips)
                .at("report")?
                .titled(words(variable)),
        );
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_one_distance_are_averaged() {
        let (x, y) = means(&[(2.0, 1.0), (1.0, 4.0), (2.0, 3.0)]);
        assert_eq!((x, y), (vec![1.0, 2.0], vec![4.0, 2.0]));
        assert!(means(&[]).0.is_empty());
    }
}
