//! The page of one denoised movie.

use fluorspar_denoise::{LowRank, Residual};
use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Figure, Report, Section, Table};
use ndarray::{Array2, Axis};

use super::Denoised;
use crate::Error;
use crate::error::Context;
use crate::figures::{MOST_PICTURES, spread};

/// Draws the page.
pub(super) fn page(done: &Denoised, lowrank: &LowRank, left: &Residual) -> Result<String, Error> {
    let planes = spread(done.planes, MOST_PICTURES);
    Ok(Report::new("Denoising")
        .lead(&done.verdict)
        .section(
            Section::new("What is left")
                .text(
                    "The movie minus its low-rank part, in standard deviations of each pixel's \
                     noise, on up to 8 windows of 32 frames, tile by tile. Noise is white in time: \
                     where what is left now says something about the next frame, signal was thrown \
                     away. A bright patch on a map of z is a cell, a vessel or motion that the \
                     components do not describe; a larger rank, a laxer false-acceptance level or \
                     better registration brings it back. The variance is 1 where all noise and \
                     nothing else was removed, less where many components keep noise.",
                )
                .block(Block::Figures(maps(left, &planes)?))
                .block(Block::Figures(curves(left)?)),
        )
        .section(
            Section::new("What was kept")
                .text(
                    "The mean, the noise of each pixel, and how many components describe it: \
                     cells and neuropil take more than empty tissue.",
                )
                .block(Block::Figures(pictures(lowrank, &planes)?)),
        )
        .section(Section::new("Numbers").block(Block::Table(numbers(done, left))))
        .colophon(format!("fluorspar {}", env!("CARGO_PKG_VERSION")))
        .render())
}

/// "Plane 3, …" of volumes, "…" of single planes.
fn title(plane: usize, planes: usize, what: &str) -> String {
    if planes == 1 {
        return what.to_owned();
    }
    let mut letters = what.chars();
    let first = letters.next().map(|c| c.to_lowercase().to_string());
    format!(
        "Plane {plane}, {}{}",
        first.unwrap_or_default(),
        letters.as_str()
    )
}

fn maps(left: &Residual, shown: &[usize]) -> Result<Vec<Figure>, Error> {
    let planes = left.ratio.dim().0;
    let mut out = Vec::new();
    for &plane in shown {
        let usable = left.pixels.index_axis(Axis(0), plane);
        let own = left.temporal_z.index_axis(Axis(0), plane);
        let shared = left.shared_z.index_axis(Axis(0), plane);
        let ratio = left.ratio.index_axis(Axis(0), plane);
        let masked = |value: &dyn Fn((usize, usize)) -> f32| {
            Array2::from_shape_fn(usable.dim(), |at| {
                if usable[at] > 0.0 {
                    value(at)
                } else {
                    f32::NAN
                }
            })
        };
        if left.pairs > 0 {
            let z = masked(&|at| own[at].max(shared[at]));
            let map = figure::heat(z.view(), -2.0..10.0, "z; by chance below 4").at("report")?;
            out.push(map.titled(title(plane, planes, "Correlation from frame to frame")));
        }
        let map = figure::heat(masked(&|at| ratio[at]).view(), 0.6..1.4, "of the noise's")
            .at("report")?;
        out.push(map.titled(title(plane, planes, "Variance")));
    }
    Ok(out)
}

fn curves(left: &Residual) -> Result<Vec<Figure>, Error> {
    if left.autocorrelation.is_empty() {
        return Ok(Vec::new());
    }
    let lags = &left.autocorrelation;
    let frames: Vec<f64> = lags.iter().map(|lag| lag.frames as f64).collect();
    let column = |value: &dyn Fn(&fluorspar_denoise::Lag) -> f64| -> Vec<f64> {
        lags.iter().map(value).collect()
    };
    let residual = Curve::new("residual", frames.clone(), column(&|lag| lag.value));
    let bound = f64::from(Residual::BEYOND);
    let high = column(&|lag| bound * lag.error);
    let low = column(&|lag| -bound * lag.error);
    let plot = CurvesPlot {
        x_label: "lag (frames)",
        y_label: "autocorrelation",
        size: (560, 260),
        ..CurvesPlot::default()
    };
    let curves = [
        residual,
        Curve::new("4 standard deviations of noise", frames.clone(), high).as_reference(),
        Curve::new("", frames, low).as_reference(),
    ];
    let figure = figure::curves(&plot, &curves).at("report")?;
    Ok(
        vec![figure.titled("Autocorrelation of what is left").captioned(
        "All pixels pooled. A curve that falls slowly above the grey line is calcium thrown away; \
         one below it is noise whose slow part was kept.",
    )],
    )
}

fn pictures(lowrank: &LowRank, shown: &[usize]) -> Result<Vec<Figure>, Error> {
    let (planes, height, width) = lowrank.mean().dim();
    let indptr = &lowrank.parts().u_indptr;
    let mut out = Vec::new();
    for &plane in shown {
        let first = plane * height * width;
        let components = Array2::from_shape_fn((height, width), |(y, x)| {
            let pixel = first + y * width + x;
            (indptr[pixel + 1] - indptr[pixel]) as f32
        });
        let (mean, noise) = (lowrank.mean(), lowrank.noise());
        for (what, image) in [
            ("Mean", mean.index_axis(Axis(0), plane)),
            ("Noise", noise.index_axis(Axis(0), plane)),
            ("Components of each pixel", components.view()),
        ] {
            let picture = figure::image(image, &[]).at("report")?;
            out.push(picture.titled(title(plane, planes, what)));
        }
    }
    Ok(out)
}

fn numbers(done: &Denoised, left: &Residual) -> Table {
    let whole = left.whole;
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    Table {
        header: vec!["Measure".to_owned(), "Value".to_owned()],
        rows: vec![
            row("Frames", done.frames.to_string()),
            row("Components", done.components.to_string()),
            row(
                "Median components of a block that has any",
                done.components_per_block.to_string(),
            ),
            row(
                "Times smaller than the pixels",
                format!("{:.1}", done.compression),
            ),
            row("Median noise", format!("{:.3}", done.median_noise)),
            row(
                "Variance of what is left, of the noise's",
                format!("{:.3}", whole.ratio),
            ),
            row(
                "Its autocorrelation from frame to frame (z)",
                format!("{:.4} ({:.1})", whole.temporal, whole.temporal_z),
            ),
            row(
                "The same of neighbouring pixels (z)",
                format!("{:.4} ({:.1})", whole.shared, whole.shared_z),
            ),
            row(
                "Its correlation between neighbours beyond the noise's",
                format!("{:.4}", whole.spatial),
            ),
            row(
                "Correlation of the noise between neighbours",
                format!("{:.4}", whole.noise_spatial),
            ),
            row(
                "Signal thrown away, of the noise's variance, at least",
                format!("{:.4} ± {:.4}", whole.lost, whole.lost_error),
            ),
            row(
                "Tiles that stand out",
                format!(
                    "{} of {} ({:.2} by chance)",
                    left.beyond(),
                    left.tiles(),
                    left.tiles() as f64 * Residual::beyond_by_chance()
                ),
            ),
        ],
    }
}
