//! The page is one well-formed, self-contained document.

use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Check, Light, Report, Section, Table};
use ndarray::{Array2, array};
use proptest::prelude::*;

fn page() -> String {
    let image = Array2::from_shape_fn((20, 30), |(y, x)| (y * x) as f32);
    let traces = Array2::from_shape_fn((3, 500), |(r, t)| ((t * (r + 1)) as f32 / 30.0).sin());
    let events = traces.mapv(|v| f32::from(v > 0.99));
    let curve = Curve::new("late delay", vec![1.0, 2.0], vec![0.5, f64::NAN])
        .with_interval(vec![0.4, f64::NAN], vec![0.6, f64::NAN]);
    let labels = vec!["1".to_owned(), "<2>".to_owned()];
    let figures = vec![
        figure::image(image.view(), &[figure::outline(&[31, 32, 61], 30)]).unwrap(),
        figure::heat(array![[1.0, f32::NAN, 9.0]].view(), -2.0..4.0, "z < 4").unwrap(),
        figure::traces(traces.view(), Some(events.view()), 10.0, &["roi 0".into()]).unwrap(),
        figure::curves(&CurvesPlot::default(), &[curve]).unwrap(),
        figure::matrix(
            array![[1.0, f64::NAN], [0.2, 0.9]].view(),
            &labels,
            0.0..1.0,
            ("train", "test"),
        )
        .unwrap(),
        figure::presence(array![[0.9, -1.0], [1.0, 0.6]].view(), &labels).unwrap(),
    ];
    Report::new("m12 <script>")
        .lead("lead & more")
        .section(
            Section::new("All")
                .text("text")
                .block(Block::Table(Table {
                    header: vec!["a".into()],
                    rows: vec![vec!["<b>".into()]],
                }))
                .block(Block::Figures(figures))
                .block(Block::Heading("a & b".into()))
                .block(Block::Note("c < d".into()))
                .block(Block::Folded {
                    summary: "<all>".into(),
                    blocks: vec![Block::Table(Table::default())],
                })
                .block(Block::Checks(vec![Check {
                    light: Light::Alarm,
                    question: "<why>?".into(),
                    finding: "p < 0.05".into(),
                }])),
        )
        .colophon("fluorspar")
        .render()
}

#[test]
fn nothing_is_loaded_and_everything_is_escaped() {
    let page = page();
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;b&gt;") && page.contains("lead &amp; more"));
    for text in [
        "a &amp; b",
        "c &lt; d",
        "&lt;all&gt;",
        "&lt;why&gt;?",
        "p &lt; 0.05",
    ] {
        assert!(page.contains(text), "{text}");
    }
    for loader in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(loader), "{loader}");
    }
    assert!(!page.contains("NaN") && !page.contains("<?xml"));
}

#[test]
fn tags_are_balanced() {
    let page = page();
    for tag in [
        "svg", "figure", "section", "table", "tr", "td", "html", "body", "details", "ul", "li",
        "title",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn arrays_that_disagree_are_refused() {
    let curve = Curve::new("x", vec![1.0], vec![]);
    assert!(figure::curves(&CurvesPlot::default(), &[curve]).is_err());
    assert!(figure::image(Array2::zeros((0, 3)).view(), &[]).is_err());
    assert!(figure::heat(Array2::zeros((3, 0)).view(), 0.0..1.0, "").is_err());
    assert!(figure::matrix(Array2::zeros((2, 2)).view(), &[], 0.0..1.0, ("", "")).is_err());
    assert!(figure::traces(Array2::zeros((0, 5)).view(), None, 1.0, &[]).is_err());
    assert!(figure::presence(Array2::zeros((0, 0)).view(), &[]).is_err());
}

proptest! {
    #[test]
    fn an_outline_closes(pixels in prop::collection::btree_set(0_u32..64, 1..20)) {
        let indices: Vec<u32> = pixels.into_iter().collect();
        let mut degree = std::collections::BTreeMap::new();
        for (a, b) in figure::outline(&indices, 8) {
            *degree.entry(a).or_insert(0) += 1;
            *degree.entry(b).or_insert(0) += 1;
        }
        // Every corner is entered as often as it is left.
        prop_assert!(degree.values().all(|d| d % 2 == 0));
    }
}
