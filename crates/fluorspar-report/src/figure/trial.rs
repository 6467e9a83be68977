//! The course of a trial.

use std::ops::Range;

use super::Figure;
use super::canvas::{Anchor, Canvas, Pen, text_width};
use super::colour::{colour, paler};
use super::plane::{Plane, range_of, usable};
use crate::Error;

/// A named part of a trial, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// What happens.
    pub name: String,
    /// From when.
    pub start: f64,
    /// Until when.
    pub end: f64,
}

/// A moment of a trial, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// What happens.
    pub name: String,
    /// When.
    pub time: f64,
}

/// Height of a lane of spans, pixels.
const LANE: f64 = 30.0;
const WIDTH: f64 = 760.0;

/// The structure of a trial: `spans` as labelled boxes over time, those that
/// overlap below each other, and `moments` as marks above them. `time` is
/// what was recorded (seconds); spans that leave it are cut and say so. The
/// colour of a span is that of its place in the list, as in
/// [`heatmap`](super::heatmap).
///
/// # Errors
/// [`Error::Shape`] for a span that ends before it starts, or nothing to draw.
pub fn trial(
    spans: &[Span],
    moments: &[Moment],
    time: Option<Range<f64>>,
) -> Result<Figure, Error> {
    let backwards = spans.iter().find(|span| !span.end.ge(&span.start));
    if spans.is_empty() || backwards.is_some() {
        return Err(Error::Shape {
            figure: "trial",
            reason: backwards.map_or_else(
                || "there are no spans".into(),
                |span| {
                    format!(
                        "{:?} lasts from {} to {} s",
                        span.name, span.start, span.end
                    )
                },
            ),
        });
    }
    let ends = spans.iter().flat_map(|s| [s.start, s.end]);
    let all = ends.chain(moments.iter().map(|m| m.time));
    let x = usable(time.unwrap_or_else(|| range_of(all, 0.02)));
    let lanes = lanes(spans);
    let count = lanes.iter().max().map_or(1, |last| last + 1);
    let rows = moment_rows(moments, &x);
    let above = 16.0 * (rows.iter().max().map_or(0.0, |row| *row as f64 + 1.0)) + 6.0;
    let plane = Plane {
        left: 12.0,
        top: above,
        width: WIDTH - 24.0,
        height: LANE * count as f64 + 6.0,
        x,
        y: 0.0..1.0,
    };
    let mut canvas = Canvas::new(WIDTH, above + plane.height + 40.0);
    plane.x_axis(&mut canvas, "time in the trial (s)");
    plane.inside(&mut canvas, |canvas| {
        for (index, (span, &lane)) in spans.iter().zip(&lanes).enumerate() {
            let (from, to) = (plane.across(span.start), plane.across(span.end));
            let (y, wide) = (above + LANE * lane as f64 + 2.0, (to - from).max(1.0));
            let cut = span.start < plane.x.start || span.end > plane.x.end;
            let note = if cut {
                ", beyond what was recorded"
            } else {
                ""
            };
            let title = format!("{}: {} to {} s{note}", span.name, span.start, span.end);
            canvas.rect(
                (from, y),
                (wide, LANE - 4.0),
                paler(colour(index), 0.35),
                &title,
            );
            canvas.rect((from, y + LANE - 7.0), (wide, 3.0), colour(index), "");
            let seen = from.max(plane.left)..to.min(plane.left + plane.width);
            // A name that does not fit is left to the pointer and the caption.
            if text_width(&span.name) < seen.end - seen.start {
                let middle = (0.5 * (seen.start + seen.end), y + 16.0);
                canvas.text(middle, Anchor::Middle, "#111", &span.name);
            }
        }
    });
    for (moment, row) in moments.iter().zip(rows) {
        if let Some((across, _)) = plane.at(moment.time, 0.0) {
            let y = 16.0 * row as f64 + 12.0;
            let base = plane.top + plane.height;
            canvas.line(
                (across, y + 2.0),
                (across, base),
                Pen::new((60, 60, 60), 1.0),
            );
            canvas.text((across + 3.0, y), Anchor::Start, "#333", &moment.name);
        }
    }
    Ok(canvas.finish())
}

/// The first lane in which each span meets no earlier one.
fn lanes(spans: &[Span]) -> Vec<usize> {
    let mut taken: Vec<Vec<&Span>> = Vec::new();
    spans
        .iter()
        .map(|span| {
            let free = |lane: &Vec<&Span>| {
                lane.iter()
                    .all(|s| s.end <= span.start || span.end <= s.start)
            };
            let lane = taken.iter().position(free).unwrap_or(taken.len());
            if lane == taken.len() {
                taken.push(Vec::new());
            }
            taken[lane].push(span);
            lane
        })
        .collect()
}

/// Rows for the names of moments, so that they do not cover each other.
fn moment_rows(moments: &[Moment], x: &Range<f64>) -> Vec<usize> {
    let per_second = (WIDTH - 24.0) / (x.end - x.start);
    let mut free: Vec<f64> = Vec::new();
    moments
        .iter()
        .map(|moment| {
            let start = (moment.time - x.start) * per_second;
            let row = free
                .iter()
                .position(|end| *end <= start)
                .unwrap_or(free.len());
            if row == free.len() {
                free.push(0.0);
            }
            free[row] = start + text_width(&moment.name) + 8.0;
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, start: f64, end: f64) -> Span {
        Span {
            name: name.into(),
            start,
            end,
        }
    }

    #[test]
    fn spans_that_overlap_are_drawn_apart() {
        let spans = [
            span("a", 0.0, 2.0),
            span("b", 2.0, 3.0),
            span("c", 1.0, 2.5),
            span("d", 2.5, 4.0),
        ];
        assert_eq!(lanes(&spans), [0, 0, 1, 1]);
    }

    #[test]
    fn a_trial_that_cannot_be_is_refused() {
        assert!(trial(&[], &[], None).is_err());
        assert!(trial(&[span("a", 2.0, 1.0)], &[], None).is_err());
        assert!(trial(&[span("a", f64::NAN, 1.0)], &[], None).is_err());
        let moment = Moment {
            name: "odour".into(),
            time: f64::NAN,
        };
        let cut = trial(&[span("a", 0.0, 9.0)], &[moment], Some(0.0..5.0)).unwrap();
        assert!(cut.svg().contains("beyond") && !cut.svg().contains("NaN"));
    }
}
