//! The page that `register` writes beside a registered movie.

use fluorspar_register::{Displacement, Drift, PrincipalMotion, Quality, Registration, Shift};
use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Report, Section, Table};
use ndarray::{Array2, ArrayView3, Axis};

use super::{MOST_PICTURES, spread};
use crate::Error;
use crate::artefact::RegisteredVolumes;
use crate::error::Context;

/// How far apart frames at both ends of each principal component are.
fn principal_motion(found: &PrincipalMotion) -> Result<Section, Error> {
    let number: Vec<f64> = (1..=found.components.len()).map(|k| k as f64).collect();
    let curve = |name: &str, value: &dyn Fn(&Displacement) -> f32| {
        let all = found.components.iter();
        let y = all.map(|c| f64::from(value(&c.displacement))).collect();
        Curve::new(name, number.clone(), y)
    };
    let plot = CurvesPlot {
        x_label: "principal component",
        y_label: "displacement (px)",
        size: (900, 220),
        ..CurvesPlot::default()
    };
    let curves = [
        curve("whole", &Displacement::distance),
        curve("parts, mean", &|d| d.parts_mean),
        curve("parts, largest", &|d| d.parts_max),
    ];
    let figure = figure::curves(&plot, &curves).at("report")?;
    Ok(Section::new("Motion that is left")
        .text(format!(
            "The mean of the frames that score highest on a principal component of the registered \
             movie against the mean of those that score lowest ({} frames looked at). Activity \
             makes components too, but does not displace them; motion of standard deviation s \
             displaces them by about 3.1 s. Frames picked blindly differ by {:.3} px, their parts \
             by {:.3} px.",
            found.frames,
            found.by_chance.distance(),
            found.by_chance.parts_mean,
        ))
        .block(Block::Figures(vec![
            figure.titled("Displacement between the ends of each component"),
        ])))
}

/// Draws the page of one registered movie; `before` is the mean of the raw one.
pub(crate) fn registration_report(
    registration: &Registration,
    quality: &Quality,
    before: &Array2<f32>,
    frame_rate: Option<f64>,
) -> Result<String, Error> {
    let motion = &registration.motion;
    let images = &registration.images;
    let mut pictures = Vec::new();
    for (title, image) in [
        ("Mean before", before),
        ("Mean after", &images.mean),
        ("Maximum after", &images.max),
        ("Local correlation after", &images.local_correlation),
    ] {
        let picture = figure::image(image.view(), &[]).at("report")?;
        pictures.push(picture.titled(title));
    }
    let frames = motion.dy.len();
    let picked: Vec<usize> = (0..frames).step_by(frames.div_ceil(800).max(1)).collect();
    let time: Vec<f64> = picked
        .iter()
        .map(|&frame| frame as f64 / frame_rate.unwrap_or(1.0))
        .collect();
    let x_label = if frame_rate.is_some() {
        "time (s)"
    } else {
        "frame"
    };
    let trace = |name: &str, values: &[f32]| {
        let y = picked
            .iter()
            .map(|&frame| f64::from(values[frame]))
            .collect();
        Curve::new(name, time.clone(), y).without_points()
    };
    let draw = |y_label, curves: &[Curve]| {
        let plot = CurvesPlot {
            x_label,
            y_label,
            size: (900, 220),
            ..CurvesPlot::default()
        };
        figure::curves(&plot, curves).at("report")
    };
    let shifts = draw(
        "shift (px)",
        &[trace("along y", &motion.dy), trace("along x", &motion.dx)],
    )?;
    let mut traces = vec![shifts.titled("Shift of each frame")];
    if let Some(field) = &motion.field {
        let spread: Vec<f32> = field
            .nodes
            .outer_iter()
            .map(|nodes| {
                let squares: f32 = nodes.iter().map(|d| d * d).sum();
                (2.0 * squares / nodes.len() as f32).sqrt()
            })
            .collect();
        let parts = draw("displacement (px)", &[trace("root mean square", &spread)])?;
        traces.push(parts.titled("Displacement of the parts beyond the whole"));
    }
    let peaks = draw("height", &[trace("correlation peak", &motion.quality)])?;
    traces.push(peaks.titled("How well each frame matches the reference"));
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let untrusted = motion.untrusted.iter().filter(|&&u| u).count();
    let rows = vec![
        row("Frames", frames.to_string()),
        row("Untrusted frames", untrusted.to_string()),
        row(
            "Largest shift (px)",
            format!("{:.2}", quality.largest_shift),
        ),
        row(
            "Median step between frames (px)",
            format!("{:.3}", quality.median_step),
        ),
        row(
            "Left after registration, median and 95th percentile (px)",
            format!(
                "{:.3}, {:.3}",
                quality.residual_median, quality.residual_p95
            ),
        ),
        row(
            "Crispness of the mean image",
            format!("{:.4e}", quality.crispness),
        ),
        row("Offset of odd lines (px)", motion.line_offset.to_string()),
        row(
            "Jitter of single lines (px)",
            match (quality.line_jitter, quality.line_noise) {
                (Some(0.0), Some(noise)) => format!("none to be seen (noise {noise:.2})"),
                (Some(jitter), _) => format!("{jitter:.3}"),
                (None, _) => "too few frames".into(),
            },
        ),
        row(
            "Largest displacement along a principal component (px)",
            quality
                .principal
                .as_ref()
                .map_or("too few frames".into(), |found| {
                    format!("{:.3}", found.largest())
                }),
        ),
    ];
    let header = vec!["Measure".to_owned(), "Value".to_owned()];
    let mut report = Report::new("Motion correction")
        .lead(quality.verdict())
        .section(Section::new("Before and after").block(Block::Figures(pictures)))
        .section(Section::new("Motion").block(Block::Figures(traces)))
        .section(Section::new("Quality").block(Block::Table(Table { header, rows })));
    if let Some(found) = &quality.principal {
        report = report.section(principal_motion(found)?);
    }
    Ok(report
        .colophon(format!("fluorspar {}", env!("CARGO_PKG_VERSION")))
        .render())
}

/// Draws the page of one registered movie of planes; `before` is the mean of
/// the raw one, `(plane, y, x)`.
pub(crate) fn volume_report(
    found: &RegisteredVolumes,
    before: ArrayView3<'_, f32>,
    frame_rate: Option<f64>,
) -> Result<String, Error> {
    let registration = &found.registration;
    let planes = &registration.planes;
    let frames = registration.shared.len();
    let some = spread(planes.len(), MOST_PICTURES);
    let mut pictures = Vec::new();
    for &plane in &some {
        let raw = before.index_axis(Axis(0), plane);
        let after = planes[plane].images.mean.view();
        for (title, image) in [("before", raw), ("after", after)] {
            let picture = figure::image(image, &[]).at("report")?;
            pictures.push(picture.titled(format!("Plane {plane}, mean {title}")));
        }
    }
    let picked: Vec<usize> = (0..frames).step_by(frames.div_ceil(800).max(1)).collect();
    let at = |frame: usize| frame as f64 / frame_rate.unwrap_or(1.0);
    let time: Vec<f64> = picked.iter().map(|&frame| at(frame)).collect();
    let x_label = if frame_rate.is_some() {
        "time (s)"
    } else {
        "frame"
    };
    let trace = |name: String, value: &dyn Fn(usize) -> f32| {
        let y = picked
            .iter()
            .map(|&frame| f64::from(value(frame)))
            .collect();
        Curve::new(name, time.clone(), y).without_points()
    };
    let draw = |x_label, y_label, curves: &[Curve]| {
        let plot = CurvesPlot {
            x_label,
            y_label,
            size: (900, 220),
            ..CurvesPlot::default()
        };
        figure::curves(&plot, curves).at("report")
    };
    let shared = &registration.shared;
    let mut traces = vec![
        draw(
            x_label,
            "shift (px)",
            &[
                trace("along y".into(), &|frame| shared[frame].dy),
                trace("along x".into(), &|frame| shared[frame].dx),
            ],
        )?
        .titled("Shift that all planes share"),
    ];
    let (shear, besides) = (found.shear, found.spread);
    let deviates = shear.0 + shear.1 + besides.0 + besides.1 > 0.0;
    if deviates {
        for along_y in [true, false] {
            let curves: Vec<Curve> = some
                .iter()
                .map(|&plane| {
                    let motion = &planes[plane].motion;
                    trace(format!("plane {plane}"), &|frame| {
                        if along_y {
                            motion.dy[frame] - shared[frame].dy
                        } else {
                            motion.dx[frame] - shared[frame].dx
                        }
                    })
                })
                .collect();
            let axis = if along_y { "y" } else { "x" };
            let deviation = draw(x_label, "deviation (px)", &curves)?;
            traces.push(deviation.titled(format!("Planes beside it, along {axis}")));
        }
    }
    let peaks = [trace("all planes together".into(), &|frame| {
        shared[frame].quality
    })];
    traces.push(
        draw(x_label, "height", &peaks)?.titled("How well each volume matches the references"),
    );
    let number: Vec<f64> = (0..planes.len()).map(|plane| plane as f64).collect();
    let by_plane = |name: &str, values: Vec<f64>| Curve::new(name, number.clone(), values);
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let offset = |pick: fn(&Shift) -> f32| {
        let all = found.offsets.iter().map(|shift| f64::from(pick(shift)));
        all.collect::<Vec<f64>>()
    };
    let mut profiles = vec![
        draw(
            "plane",
            "weight",
            &[by_plane("weight", wide(&found.weights))],
        )?
        .titled("How much each plane has to say"),
        draw(
            "plane",
            "offset (px)",
            &[
                by_plane("along y", offset(|s| s.dy)),
                by_plane("along x", offset(|s| s.dx)),
            ],
        )?
        .titled("Where each plane lies beside the first"),
    ];
    if !registration.drift.is_empty() {
        let scale = found.spacing_um.unwrap_or(1.0);
        let middle = |drift: &Drift| 0.5 * (at(drift.frames.start) + at(drift.frames.end));
        let depth = Curve::new(
            "depth",
            registration.drift.iter().map(middle).collect(),
            registration
                .drift
                .iter()
                .map(|drift| scale * f64::from(drift.z))
                .collect(),
        );
        let unit = if found.spacing_um.is_some() {
            "depth (µm)"
        } else {
            "depth (planes)"
        };
        let figure = draw(x_label, unit, &[depth])?.titled("Depth beside the references");
        profiles.push(figure.captioned(
            "From the mean of each stretch of the movie against its neighbouring planes.",
        ));
    }
    let note = if deviates {
        format!(
            "Planes are shifted as a whole, not in parts. The last plane's shift varies about the \
             first's by {:.2} px along y and {:.2} px along x, evenly with depth; planes deviate from \
             that by {:.2} px along y and {:.2} px along x (standard deviations, noise taken off). \
             Planes seen well follow their own peak, dim ones the others.",
            shear.0, shear.1, besides.0, besides.1
        )
    } else {
        "Planes are shifted as a whole, not in parts. They move as one: their scatter is no more \
         than noise explains, so all have the shift they share."
            .to_owned()
    };
    Ok(Report::new("Motion correction of planes recorded together")
        .lead(found.quality.together.verdict())
        .lead(note)
        .section(Section::new("Before and after").block(Block::Figures(pictures)))
        .section(Section::new("Motion").block(Block::Figures(traces)))
        .section(Section::new("Planes").block(Block::Figures(profiles)))
        .section(Section::new("Quality").block(Block::Table(plane_table(found))))
        .colophon(format!("fluorspar {}", env!("CARGO_PKG_VERSION")))
        .render())
}

/// A row for all planes together, and one for each.
fn plane_table(found: &RegisteredVolumes) -> Table {
    let header = [
        "plane",
        "weight",
        "own error (px)",
        "offset y, x (px)",
        "untrusted (%)",
        "correlation peak",
        "largest shift (px)",
        "left, median and 95th percentile (px)",
        "crispness",
    ]
    .map(str::to_owned)
    .to_vec();
    let row = |first: [String; 4], quality: &Quality| {
        let mut row = first.to_vec();
        row.extend([
            format!("{:.1}", 100.0 * quality.untrusted_share),
            format!("{:.3}", quality.median_correlation),
            format!("{:.2}", quality.largest_shift),
            format!(
                "{:.3}, {:.3}",
                quality.residual_median, quality.residual_p95
            ),
            format!("{:.3e}", quality.crispness),
        ]);
        row
    };
    let all = ["all", "", "", ""].map(str::to_owned);
    let mut rows = vec![row(all, &found.quality.together)];
    for (plane, quality) in found.quality.planes.iter().enumerate() {
        let (own, offset) = (found.own_errors[plane], found.offsets[plane]);
        let own = if own.is_finite() {
            format!("{own:.3}")
        } else {
            "too dim alone".to_owned()
        };
        let first = [
            plane.to_string(),
            format!("{:.2}", found.weights[plane]),
            own,
            format!("{:.2}, {:.2}", offset.dy, offset.dx),
        ];
        rows.push(row(first, quality));
    }
    Table { header, rows }
}
