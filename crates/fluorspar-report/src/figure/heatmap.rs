//! Activity of many rows over time, several panels with the rows in one order.

use ndarray::ArrayView2;

use super::canvas::{Anchor, Canvas, Pen, text_width};
use super::colour::{SOFT, Scale, colour};
use super::plane::{Plane, Sign, legend, legend_height, usable};
use super::trial::Span;
use super::{Figure, raster};
use crate::Error;

/// Widest drawing, pixels; panels beyond it go below.
const WIDTH: f64 = 1040.0;
/// Most panels beside each other.
const ACROSS: usize = 8;
const GAP: f64 = 12.0;

/// One panel of a [`heatmap`].
#[derive(Clone, Debug)]
pub struct HeatmapPanel<'a> {
    /// Text above it.
    pub title: String,
    /// Values `(row, time)`; NaN is grey.
    pub values: ArrayView2<'a, f32>,
}

/// What the panels of a [`heatmap`] share.
#[derive(Clone, Debug)]
pub struct HeatmapPlot<'a> {
    /// The rows from top to bottom, the same for every panel. A sequence of
    /// peaks means something only if these were sorted on other trials than
    /// those shown: sorting and showing the same trials makes a diagonal of
    /// noise.
    pub order: &'a [usize],
    /// Seconds of the first sample's start and the last sample's end.
    pub time: std::ops::Range<f64>,
    /// Parts of the trial, drawn as a strip of colours and bounding lines.
    pub epochs: &'a [Span],
    /// Colours of the values.
    pub scale: Scale,
    /// Text beside the colour bar.
    pub scale_label: &'a str,
    /// What the rows are.
    pub rows: &'a str,
    /// Height of a panel, pixels; more rows are averaged down to it.
    pub height: u32,
}

/// Panels `(row, time)` beside each other, their rows in one order: peak-sorted
/// activity of every session. 70,000 rows are averaged down to the pixels there
/// are (the mean over the finite values of each pixel), few rows are drawn as
/// they are.
///
/// ```
/// use fluorspar_report::figure::{HeatmapPanel, HeatmapPlot, Scale, heatmap};
/// use ndarray::Array2;
///
/// let values = Array2::from_shape_fn((5000, 80), |(cell, t)| f32::from(cell / 63 == t));
/// let order: Vec<usize> = (0..5000).collect();
/// let plot = HeatmapPlot {
///     order: &order,
///     time: -1.0..9.0,
///     epochs: &[],
///     scale: Scale::sequential(0.0..1.0),
///     scale_label: "activity (z)",
///     rows: "cells",
///     height: 260,
/// };
/// let panel = HeatmapPanel { title: "day 1".into(), values: values.view() };
/// assert!(heatmap(&plot, &[panel])?.svg().len() < 40_000);
/// # Ok::<(), fluorspar_report::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] without panels, for an empty one, or if `order` names a
/// row that a panel does not have.
pub fn heatmap(plot: &HeatmapPlot<'_>, panels: &[HeatmapPanel<'_>]) -> Result<Figure, Error> {
    check(plot, panels)?;
    let (left, bar) = (46.0, 84.0);
    let across = panels.len().min(ACROSS);
    let room = (WIDTH - left - bar) / across as f64 - GAP;
    let wide = room.clamp(60.0, 260.0).floor();
    let tall = f64::from(plot.height.max(20));
    let names: Vec<(String, Sign)> = plot
        .epochs
        .iter()
        .enumerate()
        .map(|(index, epoch)| (epoch.name.clone(), Sign::Patch(colour(index))))
        .collect();
    let full = left + across as f64 * (wide + GAP) + bar;
    let above = legend_height(&names, full);
    let lines = panels.len().div_ceil(across);
    let line = tall + 66.0;
    let mut canvas = Canvas::new(full, above + line * lines as f64 - 4.0);
    legend(&mut canvas, &names, (4.0, 2.0), full);
    for (index, panel) in panels.iter().enumerate() {
        let plane = Plane {
            left: left + (index % across) as f64 * (wide + GAP),
            top: above + 22.0 + line * (index / across) as f64,
            width: wide,
            height: tall,
            x: usable(plot.time.clone()),
            y: 0.0..1.0,
        };
        draw(&mut canvas, plot, panel, &plane)?;
        if index % across == 0 {
            let count = plot.order.len().to_string();
            canvas.text((left - 4.0, plane.top + 9.0), Anchor::End, "#333", "1");
            canvas.text((left - 4.0, plane.top + tall), Anchor::End, "#333", &count);
            canvas.upright((14.0, plane.top + 0.5 * tall), "#555", plot.rows);
        }
    }
    let beside = left + across as f64 * (wide + GAP) + 2.0;
    let height = tall.min(160.0);
    canvas.colour_bar(
        (beside, above + 22.0),
        height,
        &plot.scale,
        plot.scale_label,
    );
    Ok(canvas.finish())
}

fn check(plot: &HeatmapPlot<'_>, panels: &[HeatmapPanel<'_>]) -> Result<(), Error> {
    let last = plot.order.iter().max().copied();
    let lacking = |panel: &&HeatmapPanel<'_>| {
        panel.values.ncols() == 0 || last.is_none_or(|last| last >= panel.values.nrows())
    };
    let reason = if panels.is_empty() {
        "there are no panels".into()
    } else if let Some(panel) = panels.iter().find(lacking) {
        let (rows, samples) = panel.values.dim();
        format!(
            "{:?} has {rows} rows of {samples} samples, the order is of {} rows up to {last:?}",
            panel.title,
            plot.order.len()
        )
    } else {
        return Ok(());
    };
    Err(Error::Shape {
        figure: "heatmap",
        reason,
    })
}

fn draw(
    canvas: &mut Canvas,
    plot: &HeatmapPlot<'_>,
    panel: &HeatmapPanel<'_>,
    plane: &Plane,
) -> Result<(), Error> {
    let Plane {
        left,
        top,
        width,
        height,
        ..
    } = *plane;
    let base = top + height;
    // Twice the pixels of the page, so that a line is not lost on a fine screen.
    let pixels = (height as usize, 2 * width as usize);
    let mean = raster::averaged(panel.values, plot.order, pixels);
    let address = raster::coloured(mean.view(), &plot.scale, "heatmap")?;
    canvas.raw(&format!(
        "<image x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
         preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"{address}\"/>"
    ));
    plane.inside(canvas, |canvas| {
        for (index, epoch) in plot.epochs.iter().enumerate() {
            for edge in [epoch.start, epoch.end] {
                // The panel's own edges need no line.
                if edge > plane.x.start && edge < plane.x.end {
                    let across = plane.across(edge);
                    canvas.line(
                        (across, top),
                        (across, base),
                        Pen {
                            dashed: true,
                            ..Pen::new((255, 255, 255), 0.8)
                        },
                    );
                }
            }
            if epoch.start.is_finite() && epoch.end.is_finite() {
                let (from, to) = (plane.across(epoch.start), plane.across(epoch.end));
                let wide = (to - from).max(1.0);
                canvas.rect((from, base - 5.0), (wide, 5.0), colour(index), &epoch.name);
            }
        }
    });
    canvas.frame((left, top), (width, height), SOFT);
    let title = if text_width(&panel.title) > width + GAP {
        panel.title.chars().take((width / 6.0) as usize).collect()
    } else {
        panel.title.clone()
    };
    canvas.text(
        (left + 0.5 * width, top - 6.0),
        Anchor::Middle,
        "#333",
        &title,
    );
    plane.x_axis(canvas, "time (s)");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn plot<'a>(order: &'a [usize], epochs: &'a [Span]) -> HeatmapPlot<'a> {
        HeatmapPlot {
            order,
            time: 0.0..8.0,
            epochs,
            scale: Scale::diverging(0.0, 2.0),
            scale_label: "z",
            rows: "cells",
            height: 200,
        }
    }

    fn panels(values: &Array2<f32>, n: usize) -> Vec<HeatmapPanel<'_>> {
        (1..=n)
            .map(|day| HeatmapPanel {
                title: format!("d{day}"),
                values: values.view(),
            })
            .collect()
    }

    #[test]
    fn many_rows_and_many_panels_stay_small() {
        let values =
            Array2::from_shape_fn((70_000, 90), |(cell, t)| ((cell * 7919 + t) % 13) as f32);
        let order: Vec<usize> = (0..70_000).rev().collect();
        let figure = heatmap(&plot(&order, &[]), &panels(&values, 14)).unwrap();
        assert_eq!(figure.svg().matches("<image").count(), 14);
        assert!(figure.svg().len() < 600_000, "{}", figure.svg().len());
    }

    #[test]
    fn one_row_one_sample_and_no_value_are_drawn() {
        let values = Array2::from_elem((1, 1), f32::NAN);
        let epochs = [Span {
            name: "delay".into(),
            start: 1.0,
            end: f64::NAN,
        }];
        let figure = heatmap(&plot(&[0], &epochs), &panels(&values, 1)).unwrap();
        assert!(!figure.svg().contains("NaN"));
    }

    #[test]
    fn an_order_beyond_the_rows_is_refused() {
        let values = Array2::zeros((3, 4));
        assert!(heatmap(&plot(&[0, 3], &[]), &panels(&values, 1)).is_err());
        assert!(heatmap(&plot(&[], &[]), &panels(&values, 1)).is_err());
        assert!(heatmap(&plot(&[0], &[]), &[]).is_err());
    }
}
