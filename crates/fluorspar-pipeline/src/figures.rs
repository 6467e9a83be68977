//! The report of a run, drawn from its artefacts alone.

use std::path::{Path, PathBuf};

use fluorspar_register::{Displacement, Drift, PrincipalMotion, Quality, Registration, Shift};
use fluorspar_report::figure::{self, Curve, CurvesPlot};
use fluorspar_report::{Block, Figure, Report, Section, Table};
use ndarray::{Array2, ArrayView3, Axis};
use serde::Deserialize;

use crate::Error;
use crate::artefact::{MotionTable, RegisteredVolumes, Rois, TrackTable};
use crate::config::ExperimentConfig;
use crate::error::Context;

/// Sessions shown with pictures; the table shows all.
pub(crate) const MOST_PICTURES: usize = 6;
/// Fewest session pairs that make a curve.
const MIN_PAIRS: usize = 3;
/// Traces shown per session.
const MOST_TRACES: usize = 8;

/// Draws `report.html` of a finished run.
pub(crate) fn run_report(
    config: &ExperimentConfig,
    folders: &[PathBuf],
    out: &Path,
) -> Result<String, Error> {
    let mut sessions = Vec::new();
    for folder in folders {
        sessions.push((
            MotionTable::read(&folder.join("motion.zarr"))?,
            Rois::read(&folder.join("rois.zarr"))?,
        ));
    }
    let tracks = TrackTable::read(&out.join("tracks.zarr"))?;
    let days: Vec<f64> = config.sessions.iter().map(|session| session.day).collect();
    let tables = Tables::read(&out.join("drift"))?;

    let mut report = Report::new(format!("{}: from movie to drift", config.experiment.name));
    for text in lead(&days, &sessions, &tracks, tables.as_ref()) {
        report = report.lead(text);
    }
    if let Some(tables) = &tables {
        for section in drift_sections(tables, &days)? {
            report = report.section(section);
        }
    }
    report = report
        .section(session_table(&days, &sessions))
        .section(pictures(&days, &sessions)?)
        .section(motion(&days, &sessions)?)
        .section(matched(&days, &tracks)?)
        .section(activity(&days, &sessions)?);
    Ok(report
        .colophon(format!(
            "fluorspar {} · seed {} · every number on this page is in the CSV and Zarr files beside it",
            env!("CARGO_PKG_VERSION"),
            config.experiment.seed
        ))
        .render())
}

/// Draws the report of a drift analysis without movies.
pub(crate) fn drift_report(name: &str, folder: &Path, days: &[f64]) -> Result<String, Error> {
    let Some(tables) = Tables::read(folder)? else {
        return Err(Error::bad_data(folder, "holds no metrics.csv"));
    };
    let mut report = Report::new(format!("{name}: representational drift"));
    for text in verdicts(&tables) {
        report = report.lead(text);
    }
    for section in drift_sections(&tables, days)? {
        report = report.section(section);
    }
    Ok(report
        .colophon(format!("fluorspar {}", env!("CARGO_PKG_VERSION")))
        .render())
}

fn day_labels(days: &[f64]) -> Vec<String> {
    days.iter().map(|day| format!("d{day}")).collect()
}

fn lead(
    days: &[f64],
    sessions: &[(MotionTable, Rois)],
    tracks: &TrackTable,
    tables: Option<&Tables>,
) -> Vec<String> {
    let rois: usize = sessions.iter().map(|(_, rois)| rois.footprints.len()).sum();
    let seen_twice = tracks
        .roi_index
        .rows()
        .into_iter()
        .filter(|row| row.iter().filter(|&&roi| roi >= 0).count() >= 2)
        .count();
    let span = days.last().copied().unwrap_or(0.0) - days.first().copied().unwrap_or(0.0);
    let mut out = vec![format!(
        "{} sessions over {span} days gave {rois} ROIs, which are {} cells; {seen_twice} of them were seen \
         in at least two sessions.",
        sessions.len(),
        tracks.roi_index.nrows(),
    )];
    match tables {
        Some(tables) => out.extend(verdicts(tables)),
        None => {
            out.push("No trials tables were given, so nothing is said about drift here.".into());
        }
    }
    out
}

/// One sentence per epoch and label whose code could be judged, changes first.
fn verdicts(tables: &Tables) -> Vec<String> {
    let judged = |row: &&Crystallization| {
        !row.variable.is_empty() && row.lo.is_some() && row.statistic.is_some()
    };
    let mut rows: Vec<&Crystallization> = tables.crystallization.iter().filter(judged).collect();
    rows.sort_by_key(|row| row.verdict.starts_with("no change"));
    let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
    rows.iter()
        .map(|row| {
            format!(
                "The code for {} in the {} epoch: {}. Session pairs of the later half are {:+.2} \
                 [{:+.2}, {:+.2}] more similar than pairs equally far apart in the earlier half.",
                words(&row.variable),
                words(&row.epoch),
                row.verdict,
                number(row.statistic),
                number(row.lo),
                number(row.hi),
            )
        })
        .collect()
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn session_table(days: &[f64], sessions: &[(MotionTable, Rois)]) -> Section {
    let header = [
        "day",
        "frames",
        "frame rate (Hz)",
        "ROIs",
        "median SNR",
        "median shift (px)",
        "largest shift (px)",
        "untrusted frames",
    ]
    .map(str::to_owned)
    .to_vec();
    let rows = days
        .iter()
        .zip(sessions)
        .map(|(day, (motion, rois))| {
            let mut sizes: Vec<f64> = motion
                .dy
                .iter()
                .zip(&motion.dx)
                .map(|(&dy, &dx)| f64::from(dy).hypot(f64::from(dx)))
                .collect();
            let mut snr: Vec<f64> = rois.snr.iter().map(|&s| f64::from(s)).collect();
            let largest = sizes.iter().copied().fold(0.0, f64::max);
            vec![
                format!("{day}"),
                motion.dy.len().to_string(),
                format!("{:.2}", rois.frame_rate),
                rois.footprints.len().to_string(),
                format!("{:.1}", median(&mut snr)),
                format!("{:.2}", median(&mut sizes)),
                format!("{largest:.2}"),
                motion.untrusted.iter().filter(|&&u| u).count().to_string(),
            ]
        })
        .collect();
    Section::new("Sessions").block(Block::Table(Table { header, rows }))
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn shown(days: &[f64]) -> Vec<usize> {
    spread(days.len(), MOST_PICTURES)
}

/// At most `most` of `n`, the first and the last among them.
pub(crate) fn spread(n: usize, most: usize) -> Vec<usize> {
    if n <= most {
        return (0..n).collect();
    }
    (0..most).map(|k| k * (n - 1) / (most - 1)).collect()
}

fn pictures(days: &[f64], sessions: &[(MotionTable, Rois)]) -> Result<Section, Error> {
    let mut figures = Vec::new();
    for index in shown(days) {
        let (motion, rois) = &sessions[index];
        let outlines: Vec<Vec<figure::Segment>> = rois
            .footprints
            .iter()
            .map(|footprint| figure::outline(footprint.indices, rois.footprints.width()))
            .collect();
        figures.push(
            figure::image(motion.mean_image.view(), &outlines)
                .at("report")?
                .titled(format!(
                    "Day {} · {} ROIs",
                    days[index],
                    rois.footprints.len()
                )),
        );
    }
    Ok(Section::new("Cells")
        .text(
            "Mean of the motion-corrected frames of each session, with the outline of every ROI that \
             was found from its activity. A cell that was silent in a session has no outline there.",
        )
        .block(Block::Figures(figures)))
}

fn motion(days: &[f64], sessions: &[(MotionTable, Rois)]) -> Result<Section, Error> {
    let mut figures = Vec::new();
    for index in shown(days) {
        let (motion, rois) = &sessions[index];
        let frames = motion.dy.len();
        let stretch = frames.div_ceil(600).max(1);
        let picked: Vec<usize> = (0..frames).step_by(stretch).collect();
        let time = |frame: &usize| *frame as f64 / rois.frame_rate;
        let curves = [("along y", &motion.dy), ("along x", &motion.dx)].map(|(name, shift)| {
            Curve::new(
                name,
                picked.iter().map(time).collect(),
                picked.iter().map(|&f| f64::from(shift[f])).collect(),
            )
            .without_points()
        });
        let plot = CurvesPlot {
            x_label: "time (s)",
            y_label: "shift (px)",
            size: (500, 220),
            ..CurvesPlot::default()
        };
        figures.push(
            figure::curves(&plot, &curves)
                .at("report")?
                .titled(format!("Day {}", days[index])),
        );
    }
    Ok(Section::new("Motion")
        .text("How far each frame was shifted to lie on its session's reference.")
        .block(Block::Figures(figures)))
}

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

fn matched(days: &[f64], tracks: &TrackTable) -> Result<Section, Error> {
    let section = Section::new("The same cells across sessions");
    if tracks.roi_index.nrows() == 0 {
        return Ok(section.text("No cells were found."));
    }
    let labels = day_labels(days);
    let probability = Array2::from_shape_fn(tracks.roi_index.dim(), |at| {
        if tracks.roi_index[at] >= 0 {
            tracks.p_same[at].max(0.0)
        } else {
            -1.0
        }
    });
    let presence = figure::presence(probability.view(), &labels)
        .at("report")?
        .titled("Cells (rows) by session")
        .captioned(
            "Darker: surer that the ROI is the same cell. Cells seen most often come first.",
        );
    let sessions = days.len();
    let shared = Array2::from_shape_fn((sessions, sessions), |(i, j)| {
        tracks
            .roi_index
            .axis_iter(Axis(0))
            .filter(|row| row[i] >= 0 && row[j] >= 0)
            .count() as f64
    });
    let most = shared.iter().copied().fold(1.0, f64::max);
    let counts = figure::matrix(shared.view(), &labels, 0.0..most, ("session", "session"))
        .at("report")?
        .titled("Cells shared by two sessions");
    Ok(section.block(Block::Figures(vec![presence, counts])))
}

fn activity(days: &[f64], sessions: &[(MotionTable, Rois)]) -> Result<Section, Error> {
    let mut figures = Vec::new();
    for index in shown(days) {
        let (_, rois) = &sessions[index];
        let mut order: Vec<usize> = (0..rois.footprints.len()).collect();
        order.sort_by(|&a, &b| rois.snr[b].total_cmp(&rois.snr[a]).then(a.cmp(&b)));
        // The best, and every so many below it, so that weak cells are seen too.
        let step = order.len().div_ceil(MOST_TRACES).max(1);
        let picked: Vec<usize> = order.into_iter().step_by(step).collect();
        if picked.is_empty() {
            continue;
        }
        let frames = rois
            .dff
            .ncols()
            .min((120.0 * rois.frame_rate) as usize)
            .max(2);
        let part = |values: &Array2<f32>| {
            values
                .select(Axis(0), &picked)
                .view()
                .split_at(Axis(1), frames)
                .0
                .to_owned()
        };
        if rois.dff.ncols() < frames {
            continue;
        }
        let names: Vec<String> = picked.iter().map(|roi| format!("ROI {roi}")).collect();
        figures.push(
            figure::traces(
                part(&rois.dff).view(),
                Some(part(&rois.events).view()),
                rois.frame_rate,
                &names,
            )
            .at("report")?
            .titled(format!("Day {}", days[index])),
        );
    }
    Ok(Section::new("Activity")
        .text(
            "ΔF/F of cells from the highest to the lowest signal-to-noise ratio, each scaled to its own \
             range; ticks mark the larger half of the deconvolved events. The first two minutes.",
        )
        .block(Block::Figures(figures)))
}

/// The drift tables as they lie on disk.
struct Tables {
    metrics: Vec<Metric>,
    crystallization: Vec<Crystallization>,
}

#[derive(Debug, Deserialize)]
struct Metric {
    #[serde(rename = "metric")]
    name: String,
    epoch: String,
    variable: String,
    session_i: usize,
    session_j: usize,
    day_i: f64,
    day_j: f64,
    #[serde(deserialize_with = "number")]
    value: Option<f64>,
    #[serde(deserialize_with = "number")]
    lo: Option<f64>,
    #[serde(deserialize_with = "number")]
    hi: Option<f64>,
}

/// A row of `crystallization.csv`.
#[derive(Debug, Deserialize)]
pub(crate) struct Crystallization {
    pub(crate) epoch: String,
    pub(crate) variable: String,
    test: String,
    #[serde(deserialize_with = "number")]
    pub(crate) statistic: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(crate) lo: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(crate) hi: Option<f64>,
    #[serde(deserialize_with = "number")]
    p: Option<f64>,
    n_cells: String,
    verdict: String,
}

/// Reads `crystallization.csv` of a drift folder.
pub(crate) fn crystallization(folder: &Path) -> Result<Vec<Crystallization>, Error> {
    read_rows(&folder.join("crystallization.csv"))
}

/// A number, or nothing where the table says so.
fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let text = String::deserialize(from)?;
    Ok(text.trim().parse().ok().filter(|v: &f64| v.is_finite()))
}

impl Tables {
    fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let metrics = folder.join("metrics.csv");
        if !metrics.exists() {
            return Ok(None);
        }
        Ok(Some(Self {
            metrics: read_rows(&metrics)?,
            crystallization: read_rows(&folder.join("crystallization.csv"))?,
        }))
    }

    /// Distinct (epoch, variable) of a metric, in the table's order.
    fn kinds(&self, metric: &str) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        for row in self.metrics.iter().filter(|row| row.name == metric) {
            let kind = (row.epoch.clone(), row.variable.clone());
            if !out.contains(&kind) {
                out.push(kind);
            }
        }
        out
    }

    fn rows<'a>(
        &'a self,
        metric: &'a str,
        kind: &'a (String, String),
    ) -> impl Iterator<Item = &'a Metric> {
        self.metrics
            .iter()
            .filter(move |row| row.name == metric && row.epoch == kind.0 && row.variable == kind.1)
    }
}

fn read_rows<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, Error> {
    csv::Reader::from_path(path)
        .and_then(|mut reader| reader.deserialize().collect())
        .map_err(|e| Error::bad_data(path, e.to_string()))
}

fn drift_sections(tables: &Tables, days: &[f64]) -> Result<Vec<Section>, Error> {
    let labels = day_labels(days);
    let mut out = Vec::new();
    let mut drift = Section::new("Does the code drift?").text(
        "Similarity of the code between two sessions against the days between them. A value of 1 means \
         the code is as similar as trial-to-trial noise within a session allows; a falling curve is drift. \
         Points are session pairs, the line is their mean per distance.",
    );
    for (metric, about) in similarity_metrics(tables) {
        let mut figures = Vec::new();
        for kind in tables.kinds(&metric) {
            let defined = tables
                .rows(&metric, &kind)
                .filter(|row| row.session_i != row.session_j && row.value.is_some())
                .count();
            // One or two pairs make no curve; the tables still hold them.
            if defined < MIN_PAIRS {
                continue;
            }
            figures.push(decay_figure(tables, &metric, &kind)?);
        }
        drift = drift.text(about).block(Block::Figures(figures));
    }
    out.push(drift);

    let mut rows = Vec::new();
    let show = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.3}"));
    for row in &tables.crystallization {
        rows.push(vec![
            words(&row.epoch),
            words(&row.variable),
            words(&row.test),
            show(row.statistic),
            format!("{} – {}", show(row.lo), show(row.hi)),
            show(row.p),
            row.n_cells.clone(),
            row.verdict.clone(),
        ]);
    }
    let header = [
        "epoch",
        "variable",
        "test",
        "statistic",
        "interval",
        "p",
        "cells",
        "verdict",
    ]
    .map(str::to_owned)
    .to_vec();
    out.push(
        Section::new("Does it crystallize?")
            .text(
                "Whether the code changes less from session to session late in practice than early. The \
                 statistic is the late minus the early similarity of session pairs the same distance \
                 apart, corrected for reliability; an interval that excludes 0 speaks for a change.",
            )
            .block(Block::Table(Table { header, rows })),
    );

    let mut matrices = Vec::new();
    for kind in tables.kinds("decoding") {
        let values = square(tables.rows("decoding", &kind), days.len());
        matrices.push(
            figure::matrix(
                values.view(),
                &labels,
                0.4..1.0,
                ("trained on", "tested on"),
            )
            .at("report")?
            .titled(kind_title(&kind)),
        );
    }
    if !matrices.is_empty() {
        out.push(
            Section::new("Decoding across sessions")
                .text(
                    "Balanced accuracy of a linear support vector machine trained on one session (row) and \
                     tested on another (column), on the cells both share; on the diagonal, cross-validated \
                     within the session. Chance is 0.5 for two classes.",
                )
                .block(Block::Figures(matrices)),
        );
    }
    Ok(out)
}

fn kind_title(kind: &(String, String)) -> String {
    if kind.1.is_empty() {
        words(&kind.0)
    } else {
        format!("{} · {}", words(&kind.0), words(&kind.1))
    }
}

/// The similarity metrics present, each with what a reader must know.
fn similarity_metrics(tables: &Tables) -> Vec<(String, String)> {
    let known = [
        (
            "code_similarity",
            "Coding axis: correlation of the difference between the two labels' mean population \
             vectors, divided by its split-half reliability.",
        ),
        (
            "pv_correlation_corrected",
            "Population vectors: correlation over cells, condition by condition, divided by its \
             split-half reliability.",
        ),
        (
            "pv_correlation",
            "Population vectors as measured; the grey line is the split-half floor within sessions, \
             which no pair of sessions can be expected to exceed.",
        ),
    ];
    known
        .into_iter()
        .filter(|(metric, _)| tables.metrics.iter().any(|row| row.name == *metric))
        .map(|(metric, about)| (metric.to_owned(), about.to_owned()))
        .collect()
}

fn decay_figure(tables: &Tables, metric: &str, kind: &(String, String)) -> Result<Figure, Error> {
    let mut pairs: Vec<(f64, &Metric)> = tables
        .rows(metric, kind)
        .filter(|row| row.session_i < row.session_j)
        .map(|row| ((row.day_j - row.day_i).abs(), row))
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let column = |pick: fn(&Metric) -> Option<f64>| -> Vec<f64> {
        pairs
            .iter()
            .map(|(_, row)| pick(row).unwrap_or(f64::NAN))
            .collect()
    };
    let points = Curve::new(
        "session pairs",
        pairs.iter().map(|(days, _)| *days).collect(),
        column(|row| row.value),
    )
    .with_interval(column(|row| row.lo), column(|row| row.hi))
    .as_points();
    let mut lags: Vec<(f64, Vec<f64>)> = Vec::new();
    for (days, row) in &pairs {
        let Some(value) = row.value else { continue };
        match lags.last_mut() {
            Some((lag, values)) if (*lag - days).abs() < 1e-9 => values.push(value),
            _ => lags.push((*days, vec![value])),
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let line = Curve::new(
        "mean",
        lags.iter().map(|(lag, _)| *lag).collect(),
        lags.iter().map(|(_, values)| mean(values)).collect(),
    );
    let diagonal: Vec<f64> = tables
        .rows(metric, kind)
        .filter(|row| row.session_i == row.session_j)
        .filter_map(|row| row.value)
        .collect();
    let mut curves = vec![points, line];
    if !diagonal.is_empty() && !lags.is_empty() {
        let floor = mean(&diagonal);
        let ends = vec![0.0, lags[lags.len() - 1].0];
        curves.push(Curve::new("within a session", ends, vec![floor, floor]).as_reference());
    }
    let plot = CurvesPlot {
        x_label: "days between sessions",
        y_label: "similarity",
        size: (340, 260),
        y_range: Some(-0.4..1.6),
    };
    Ok(figure::curves(&plot, &curves)
        .at("report")?
        .titled(kind_title(kind)))
}

fn square<'a>(rows: impl Iterator<Item = &'a Metric>, sessions: usize) -> Array2<f64> {
    let mut out = Array2::from_elem((sessions, sessions), f64::NAN);
    for row in rows {
        if row.session_i >= 1
            && row.session_j >= 1
            && let Some(slot) = out.get_mut((row.session_i - 1, row.session_j - 1))
        {
            *slot = row.value.unwrap_or(f64::NAN);
        }
    }
    out
}
