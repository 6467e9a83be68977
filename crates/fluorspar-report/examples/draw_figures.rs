//! Draws one figure of every kind with made-up numbers:
//! `cargo run -p fluorspar-report --example draw_figures -- figures.html`
#![allow(clippy::print_stdout, reason = "a small tool")]

use fluorspar_report::figure::{
    self, BarsPlot, Curve, CurvesPlot, Floor, HeatmapPanel, HeatmapPlot, Learning, Mark,
    MatrixPlot, Moment, Part, Scale, Span, Strip, StripPlot, Trend,
};
use fluorspar_report::{Block, Check, Figure, Light, Report, Section, Table};
use ndarray::Array2;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "figures.html".into());
    let page = Report::new("Every figure")
        .lead("Made-up numbers, to see what each kind looks like.")
        .section(Section::new("Trial").block(Block::Figures(vec![trial()?])))
        .section(Section::new("Sessions").block(Block::Figures(vec![learning()?, fractions()?])))
        .section(Section::new("Maps").block(Block::Figures(vec![maps(3, 60)?, maps(14, 70_000)?])))
        .section(Section::new("Matrices").block(Block::Figures(vec![
            matrix(8)?,
            matrix(14)?,
            matrix(60)?,
        ])))
        .section(Section::new("Curves").block(Block::Figures(vec![elapsed()?, adjacent()?])))
        .section(Section::new("Words").block(checks()).block(long_table()))
        .colophon("fluorspar")
        .render();
    std::fs::write(&path, page)?;
    println!("{path}");
    Ok(())
}

fn days(n: usize) -> Vec<String> {
    (0..n).map(|day| format!("d{day}")).collect()
}

/// A number that looks random and is the same on every machine.
fn noise(k: usize) -> f64 {
    let mixed = (k as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64
        / (1_u64 << 53) as f64
        - 0.5
}

fn epochs() -> Vec<Span> {
    let span = |name: &str, start, end| Span {
        name: name.into(),
        start,
        end,
    };
    vec![
        span("odour 1", 0.0, 1.0),
        span("early delay", 1.0, 3.5),
        span("late delay", 3.5, 6.0),
        span("odour 2", 6.0, 7.0),
        span("choice", 7.0, 10.0),
    ]
}

fn trial() -> Outcome<Figure> {
    let moments =
        [("odour 1 on", 0.0), ("odour 2 on", 6.0), ("reward", 7.4)].map(|(name, time)| Moment {
            name: name.into(),
            time,
        });
    Ok(figure::trial(&epochs(), &moments, Some(-1.0..11.0))?.titled("What happens in a trial"))
}

fn learning() -> Outcome<Figure> {
    let labels = days(14);
    let accuracy: Vec<f64> = (0..14)
        .map(|d| 0.95 - 0.45 * (-0.4 * f64::from(d)).exp())
        .collect();
    let ends = |by: f64| accuracy.iter().map(|a| (a + by).min(1.0)).collect();
    let plot = Learning {
        labels: &labels,
        accuracy_interval: Some((ends(-0.05), ends(0.04))),
        d_prime: Some(accuracy.iter().map(|a| 7.0 * (a - 0.5)).collect()),
        accuracy,
        chance: 0.5,
        criterion: Some(0.8),
    };
    Ok(figure::learning(&plot)?.titled("Learning"))
}

fn fractions() -> Outcome<Figure> {
    let labels = days(14);
    let wave = |k: usize, level: f64| -> Vec<f64> {
        (0..14).map(|d| level + 0.04 * noise(d + k)).collect()
    };
    let part = |name: &str, values: Vec<f64>, interval| Part {
        name: name.into(),
        values,
        interval,
    };
    let (pure, mixed) = (wave(0, 0.12), wave(20, 0.07));
    let sum = |by: f64| pure.iter().zip(&mixed).map(|(a, b)| a + b + by).collect();
    let interval = Some((sum(-0.03), sum(0.03)));
    let floors = [Floor {
        name: "labels permuted".into(),
        values: wave(40, 0.05),
    }];
    let plot = BarsPlot {
        labels: &labels,
        x_label: "session",
        y_label: "share of cells",
        floors: &floors,
        ..BarsPlot::default()
    };
    let parts = [
        part("pure", pure.clone(), None),
        part("mixed", mixed.clone(), interval),
    ];
    Ok(figure::bars(&plot, &parts)?.titled("Selective cells, late delay"))
}

fn maps(sessions: usize, cells: usize) -> Outcome<Figure> {
    let maps: Vec<Array2<f32>> = (0..sessions)
        .map(|session| {
            Array2::from_shape_fn((cells, 110), |(cell, t)| {
                let moved = (session * cell * 31) % 23;
                let peak = cell as f64 / cells as f64 * 110.0 + moved as f64 - 11.0;
                let bump = (-((t as f64 - peak) / 6.0).powi(2)).exp();
                (2.0 * bump + 1.5 * noise(cell * 131 + t * 7 + session)) as f32
            })
        })
        .collect();
    let order: Vec<usize> = (0..cells).collect();
    let epochs = epochs();
    let plot = HeatmapPlot {
        order: &order,
        time: -1.0..10.0,
        epochs: &epochs,
        scale: Scale::sequential(-0.5..2.0),
        scale_label: "activity (z)",
        rows: "cells, by peak on other trials",
        height: 240,
    };
    let panels: Vec<HeatmapPanel<'_>> = maps
        .iter()
        .zip(days(sessions))
        .map(|(values, title)| HeatmapPanel {
            title,
            values: values.view(),
        })
        .collect();
    Ok(figure::heatmap(&plot, &panels)?.titled(format!("{cells} cells")))
}

fn matrix(n: usize) -> Outcome<Figure> {
    let labels = days(n);
    let values = Array2::from_shape_fn((n, n), |(i, j)| {
        (-(i.abs_diff(j) as f64) / 5.0).exp() - 0.2 + 0.1 * noise(i * n + j)
    });
    let mut marks = Array2::from_elem((n, n), None);
    for k in 0..n {
        marks[[2, k]] = Some(Mark::Undefined("three trials".into()));
        marks[[k, n - 1]] = Some(Mark::NotSignificant("p = 0.3".into()));
    }
    let plot = MatrixPlot {
        axes: ("trained on", "tested on"),
        scale_label: "correlation",
        marks: Some(&marks),
        ..MatrixPlot::new(&labels, Scale::diverging(0.0, 1.0))
    };
    Ok(plot.draw(values.view())?.titled(format!("{n} sessions")))
}

fn elapsed() -> Outcome<Figure> {
    let x: Vec<f64> = (1..14).map(f64::from).collect();
    let fall = |by: f64| -> Vec<f64> {
        x.iter()
            .map(|d| by * (0.3 + 0.7 * (-d / 4.0).exp()))
            .collect()
    };
    let ends = |y: &[f64], by: f64| -> Vec<f64> { y.iter().map(|v| v + by).collect() };
    let (raw, corrected) = (fall(0.6), fall(1.0));
    let curves = [
        Curve::new("as measured", x.clone(), raw.clone())
            .with_band(ends(&raw, -0.05), ends(&raw, 0.05))
            .in_colour(0)
            .pale(),
        Curve::new("corrected for reliability", x.clone(), corrected.clone())
            .with_band(ends(&corrected, -0.1), ends(&corrected, 0.1))
            .in_colour(0),
        Curve::new("exponential with plateau", x.clone(), corrected)
            .without_points()
            .dashed()
            .in_colour(1),
        Curve::new("within a session", vec![0.0, 13.0], vec![0.6; 2]).as_reference(),
    ];
    let plot = CurvesPlot {
        x_label: "days between sessions",
        y_label: "similarity",
        ..CurvesPlot::default()
    };
    Ok(figure::curves(&plot, &curves)?.titled("Late delay"))
}

fn adjacent() -> Outcome<Figure> {
    let x: Vec<f64> = (1..14).map(f64::from).collect();
    let strip = |name: &str, level: f64, slope: f64, seed: usize| Strip {
        name: name.into(),
        y: x.iter()
            .map(|d| level + slope * d + 0.1 * noise(*d as usize + seed))
            .collect(),
        x: x.clone(),
        interval: None,
        trend: Some(Trend {
            slope,
            low: slope - 0.008,
            high: slope + 0.008,
        }),
    };
    let plot = StripPlot {
        axes: CurvesPlot {
            x_label: "session",
            y_label: "similarity to the next session",
            ..CurvesPlot::default()
        },
        unit: "session",
    };
    let strips = [
        strip("late delay", 0.5, 0.025, 0),
        strip("odour 1", 0.85, 0.001, 50),
    ];
    Ok(figure::strip(&plot, &strips)?.titled("Adjacent sessions"))
}

fn checks() -> Block {
    let check = |light, question: &str, finding: &str| Check {
        light,
        question: question.into(),
        finding: finding.into(),
    };
    Block::Checks(vec![
        check(
            Light::Clear,
            "Trial counts.",
            "The same in all sessions (60 to 64).",
        ),
        check(
            Light::Caution,
            "Behaviour.",
            "Speed differs between sessions (p = 0.03).",
        ),
        check(
            Light::Alarm,
            "Tracking.",
            "With surer matches alone the slope halves.",
        ),
        check(Light::Unknown, "Depth.", "No image was given."),
    ])
}

fn long_table() -> Block {
    let table = Table {
        header: ["session", "value"].map(str::to_owned).to_vec(),
        rows: days(14)
            .into_iter()
            .map(|day| vec![day, "0.5".into()])
            .collect(),
    };
    Block::Folded {
        summary: "All numbers".into(),
        blocks: vec![Block::Table(table)],
    }
}
