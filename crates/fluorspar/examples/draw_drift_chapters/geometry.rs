//! Geometry of independent data.

use fluorspar::drift::similarity::{biased_linear_cka, linear_cka};
use fluorspar::report::figure::{Curve, CurvesPlot, curves};

use crate::Result;
use crate::picture::{level, picture};
use crate::simulate::{gaussian, random};

/// Linear CKA of data that have nothing in common.
pub(crate) fn alignment_of_independent_data() -> Result<String> {
    const SAMPLES: usize = 50;
    const CELLS: [usize; 8] = [10, 30, 60, 120, 250, 450, 700, 1000];
    const REPEATS: usize = 8;
    let mut rng = random(9);
    let (mut biased, mut debiased) = (Vec::new(), Vec::new());
    for cells in CELLS {
        let [mut plain, mut fair] = [0.0; 2];
        for _ in 0..REPEATS {
            let x = gaussian((SAMPLES, cells), &mut rng);
            let y = gaussian((SAMPLES, cells), &mut rng);
            plain += biased_linear_cka(x.view(), y.view())? / REPEATS as f64;
            // Without anything in common either sample may lack structure of
            // its own, and then there is no ratio.
            fair += linear_cka(x.view(), y.view()).unwrap_or(f64::NAN) / REPEATS as f64;
        }
        biased.push(plain);
        debiased.push(fair);
    }
    let across: Vec<f64> = CELLS.iter().map(|&n| n as f64).collect();
    let fine: Vec<f64> = (1..=100).map(|n| 10.0 * f64::from(n)).collect();
    let closed = fine.iter().map(|n| n / (n + SAMPLES as f64)).collect();
    let plot = CurvesPlot {
        x_label: "cells; 50 samples, two independent populations",
        y_label: "linear CKA",
        y_range: Some(-0.3..1.05),
        size: (480, 320),
    };
    let lines = [
        Curve::new("biased", across.clone(), biased)
            .in_colour(1)
            .as_points(),
        Curve::new("n / (n + 50)", fine, closed)
            .in_colour(1)
            .without_points()
            .dashed(),
        Curve::new("debiased (cka)", across.clone(), debiased).in_colour(0),
        level("truth", &across, 0.0),
    ];
    picture(1, &[curves(&plot, &lines)?])
}
