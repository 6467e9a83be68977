//! Traces one above the other.

use std::fmt::Write as _;

use ndarray::{ArrayView1, ArrayView2};

use super::canvas::{Anchor, Canvas, Pen};
use super::colour::colour;
use super::plane::{Plane, usable};
use super::{Figure, quantile};
use crate::Error;

/// Height of a row, pixels.
const ROW: f64 = 44.0;

/// Traces `(row, frame)` one above the other against time; each row spans
/// its own range. `marks` (for example events) are drawn as ticks below a
/// row where they are positive, same shape.
///
/// # Errors
/// [`Error::Shape`] if `marks` has another shape or there is nothing to draw.
pub fn traces(
    values: ArrayView2<'_, f32>,
    marks: Option<ArrayView2<'_, f32>>,
    frame_rate: f64,
    names: &[String],
) -> Result<Figure, Error> {
    let (rows, frames) = values.dim();
    if rows == 0 || frames < 2 || marks.is_some_and(|m| m.dim() != (rows, frames)) {
        return Err(Error::Shape {
            figure: "traces",
            reason: format!("{rows} rows of {frames} frames, marks of another shape, or nothing"),
        });
    }
    let tall = ROW * rows as f64;
    let plane = Plane {
        left: 76.0,
        top: 6.0,
        width: 914.0,
        height: tall,
        x: usable(0.0..frames as f64 / frame_rate),
        y: -(rows as f64)..0.0,
    };
    let mut canvas = Canvas::new(1000.0, tall + 46.0);
    plane.x_axis(&mut canvas, "time (s)");
    for row in 0..rows {
        let line = values.row(row);
        let low = f64::from(quantile(line.to_vec(), 0.02));
        let high = f64::from(quantile(line.to_vec(), 0.999));
        let range = if high > low { high - low } else { 1.0 };
        let base = -(row as f64) - 0.85;
        let points = thin(line, frames).map(|(frame, value)| {
            let height = ((f64::from(value) - low) / range).clamp(-0.1, 1.05) * 0.75;
            (frame as f64 / frame_rate, base + height)
        });
        canvas.stroke(&plane.path(points), Pen::new(colour(row), 1.0), "");
        if let Some(marks) = marks {
            let marked = marks.row(row);
            let strong = quantile(marked.iter().copied().filter(|&m| m > 0.0).collect(), 0.5);
            let mut ticks = String::new();
            for (frame, &mark) in marked.iter().enumerate() {
                if mark > 0.0 && mark >= strong {
                    let across = plane.across(frame as f64 / frame_rate);
                    let (from, to) = (plane.down(base - 0.02), plane.down(base - 0.12));
                    // Writing to a String does not fail.
                    let _ = write!(ticks, "M{across:.1} {from:.1}V{to:.1}");
                }
            }
            canvas.stroke(&ticks, Pen::new((76, 76, 76), 1.0), "");
        }
        if let Some(name) = names.get(row) {
            canvas.text((6.0, plane.down(base + 0.3)), Anchor::Start, "#333", name);
        }
    }
    Ok(canvas.finish())
}

/// At most about 2,000 points of a line: minimum and maximum of each stretch.
fn thin(line: ArrayView1<'_, f32>, frames: usize) -> impl Iterator<Item = (usize, f32)> {
    let stretch = frames.div_ceil(1000).max(1);
    let line = line.to_vec();
    (0..frames.div_ceil(stretch)).flat_map(move |index| {
        let start = index * stretch;
        let part = &line[start..(start + stretch).min(line.len())];
        let mut low = (start, f32::INFINITY);
        let mut high = (start, f32::NEG_INFINITY);
        for (offset, &value) in part.iter().enumerate() {
            if value < low.1 {
                low = (start + offset, value);
            }
            if value > high.1 {
                high = (start + offset, value);
            }
        }
        let mut pair = vec![low, high];
        pair.sort_by_key(|&(frame, _)| frame);
        pair.dedup();
        pair.retain(|(_, value)| value.is_finite());
        pair
    })
}
