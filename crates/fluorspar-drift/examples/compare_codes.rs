//! Compares two codes in an `.npz` file and prints the numbers as JSON.
//!
//!     compare_codes FILE.npz            the numbers
//!     compare_codes FILE.npz seconds    how long each takes, the best of five
//!
//! The file holds `x` and `y` (condition, cell), `folds` (fold, condition,
//! cell), `residuals` (trial, cell), and may hold `precision` (cell, cell).

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::fs::File;
use std::time::Instant;

use fluorspar_drift::similarity::{
    CellMatching, NoisePrecision, RdmComparison, ShapeAlignment, ShapeScore, biased_linear_cka,
    bures_distance, canonical_correlations, compare_rdms, correlation_rdm, crossnobis_rdm,
    euclidean_rdm, linear_cka, mahalanobis_rdm, noise_ceiling, principal_angles,
};
use ndarray::{Array2, Array3, Ix2, Ix3, OwnedRepr};
use ndarray_npy::NpzReader;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Codes {
    x: Array2<f64>,
    y: Array2<f64>,
    folds: Array3<f64>,
    residuals: Array2<f64>,
    precision: Option<Array2<f64>>,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .ok_or("usage: compare_codes FILE.npz [seconds]")?;
    let seconds = arguments.next().as_deref() == Some("seconds");
    let codes = read(&path)?;
    let mut lines = Vec::new();
    for (name, run) in metrics() {
        let mut best = f64::INFINITY;
        let mut values = Vec::new();
        for _ in 0..if seconds { 5 } else { 1 } {
            let start = Instant::now();
            values = run(&codes).map_err(|e| format!("{name}: {e}"))?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        let shown = if seconds { vec![best] } else { values };
        lines.push(format!("\"{name}\": {shown:?}"));
    }
    println!("{{\n{}\n}}", lines.join(",\n"));
    Ok(())
}

fn read(path: &str) -> Result<Codes> {
    let mut file = NpzReader::new(File::open(path)?)?;
    Ok(Codes {
        x: file.by_name::<OwnedRepr<f64>, Ix2>("x.npy")?,
        y: file.by_name::<OwnedRepr<f64>, Ix2>("y.npy")?,
        folds: file.by_name::<OwnedRepr<f64>, Ix3>("folds.npy")?,
        residuals: file.by_name::<OwnedRepr<f64>, Ix2>("residuals.npy")?,
        precision: file.by_name::<OwnedRepr<f64>, Ix2>("precision.npy").ok(),
    })
}

type Metric = fn(&Codes) -> Result<Vec<f64>>;

fn metrics() -> Vec<(&'static str, Metric)> {
    vec![
        ("correlation", |c| {
            Ok(correlation_rdm(c.x.view())?.dissimilarities().to_vec())
        }),
        ("euclidean", |c| {
            Ok(euclidean_rdm(c.x.view())?.dissimilarities().to_vec())
        }),
        ("mahalanobis_given", |c| {
            let noise = given(c)?;
            Ok(mahalanobis_rdm(c.x.view(), &noise)?
                .dissimilarities()
                .to_vec())
        }),
        ("mahalanobis_shrunk", |c| {
            let noise = shrunk(c)?;
            Ok(mahalanobis_rdm(c.x.view(), &noise)?
                .dissimilarities()
                .to_vec())
        }),
        ("crossnobis", |c| {
            Ok(crossnobis_rdm(c.folds.view(), None)?
                .dissimilarities()
                .to_vec())
        }),
        ("crossnobis_shrunk", |c| {
            let noise = shrunk(c)?;
            Ok(crossnobis_rdm(c.folds.view(), Some(&noise))?
                .dissimilarities()
                .to_vec())
        }),
        ("pearson", |c| compared(c, RdmComparison::Pearson)),
        ("spearman", |c| compared(c, RdmComparison::Spearman)),
        ("cosine", |c| compared(c, RdmComparison::Cosine)),
        ("rho_a", |c| compared(c, RdmComparison::RhoA)),
        ("tau_a", |c| compared(c, RdmComparison::KendallTauA)),
        ("whitened_cosine", |c| {
            compared(c, RdmComparison::WhitenedCosine)
        }),
        ("ceiling_cosine", |c| ceiling(c, RdmComparison::Cosine)),
        ("ceiling_pearson", |c| ceiling(c, RdmComparison::Pearson)),
        ("ceiling_spearman", |c| ceiling(c, RdmComparison::Spearman)),
        ("cka", |c| Ok(vec![linear_cka(c.x.view(), c.y.view())?])),
        ("cka_biased", |c| {
            Ok(vec![biased_linear_cka(c.x.view(), c.y.view())?])
        }),
        ("angles", |c| Ok(principal_angles(few(&c.x), few(&c.y))?)),
        ("canonical", |c| {
            Ok(canonical_correlations(few(&c.x).t(), few(&c.y).t())?)
        }),
        ("shape_1", |c| shape(c, 1.0)),
        ("shape_half", |c| shape(c, 0.5)),
        ("shape_0", |c| shape(c, 0.0)),
        ("permutation", |c| {
            let fit = CellMatching::fit(c.x.view(), c.y.view())?;
            both_scores(|score| Ok(fit.score(c.x.view(), c.y.view(), score)?))
        }),
        ("bures", |c| {
            Ok(vec![bures_distance(
                c.residuals.view(),
                c.folds.index_axis(ndarray::Axis(0), 0),
            )?])
        }),
    ]
}

fn few(x: &Array2<f64>) -> ndarray::ArrayView2<'_, f64> {
    let rows = x.nrows().min(4);
    x.view().split_at(ndarray::Axis(0), rows).0
}

fn given(codes: &Codes) -> Result<NoisePrecision> {
    let precision = codes.precision.as_ref().ok_or("no precision.npy")?;
    Ok(NoisePrecision::given(precision.view())?)
}

fn shrunk(codes: &Codes) -> Result<NoisePrecision> {
    let freedom = codes.residuals.nrows() as f64 - 1.0;
    Ok(NoisePrecision::shrunk_to_identity(
        codes.residuals.view(),
        freedom,
    )?)
}

fn compared(codes: &Codes, comparison: RdmComparison) -> Result<Vec<f64>> {
    let (x, y) = (
        euclidean_rdm(codes.x.view())?,
        euclidean_rdm(codes.y.view())?,
    );
    Ok(vec![compare_rdms(&x, &y, comparison, 3)?])
}

fn ceiling(codes: &Codes, comparison: RdmComparison) -> Result<Vec<f64>> {
    let sessions = codes
        .folds
        .outer_iter()
        .map(|fold| Ok(euclidean_rdm(fold)?))
        .collect::<Result<Vec<_>>>()?;
    let found = noise_ceiling(&sessions, comparison, 3)?;
    Ok(vec![found.lower, found.upper])
}

fn shape(codes: &Codes, alpha: f64) -> Result<Vec<f64>> {
    let fit = ShapeAlignment::fit(codes.x.view(), codes.y.view(), alpha, None)?;
    both_scores(|score| Ok(fit.score(codes.x.view(), codes.y.view(), score)?))
}

fn both_scores(of: impl Fn(ShapeScore) -> Result<f64>) -> Result<Vec<f64>> {
    Ok(vec![of(ShapeScore::Angular)?, of(ShapeScore::Euclidean)?])
}
