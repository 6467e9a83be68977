//! A rectangle with two axes.

use std::fmt::Write as _;
use std::ops::Range;

use super::canvas::{Anchor, Canvas, Pen, text_width};
use super::colour::{Rgb, SOFT, paler};

/// Values beyond this are drawn as if they were this large: their differences stay finite.
const LARGEST: f64 = 1e150;

/// Where values lie on a canvas.
pub(super) struct Plane {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Range<f64>,
    pub(super) y: Range<f64>,
}

impl Plane {
    pub(super) fn across(&self, x: f64) -> f64 {
        self.left + self.width * share(x, &self.x)
    }

    pub(super) fn down(&self, y: f64) -> f64 {
        self.top + self.height * (1.0 - share(y, &self.y))
    }

    /// Where a point lies, if it has finite coordinates.
    pub(super) fn at(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        (x.is_finite() && y.is_finite()).then(|| (self.across(x), self.down(y)))
    }

    /// A path through points, broken where a value is missing.
    pub(super) fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        let mut command = 'M';
        for (x, y) in points {
            command = match self.at(x, y) {
                Some((across, down)) => {
                    // Writing to a String does not fail.
                    let _ = write!(path, "{command}{across:.1} {down:.1}");
                    'L'
                }
                None => 'M',
            };
        }
        path
    }

    /// Draws what `draw` draws, cut off at the plane's border.
    pub(super) fn inside(&self, canvas: &mut Canvas, draw: impl FnOnce(&mut Canvas)) {
        let Self {
            left,
            top,
            width,
            height,
            ..
        } = self;
        canvas.raw(&format!(
            "<svg x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             viewBox=\"{left:.1} {top:.1} {width:.1} {height:.1}\">"
        ));
        draw(canvas);
        canvas.raw("</svg>");
    }

    /// The y axis with its lines across the plane.
    pub(super) fn y_axis(&self, canvas: &mut Canvas, label: &str) {
        let end = self.left + self.width;
        for (value, text) in ticks(&self.y, (self.height / 32.0) as usize) {
            let down = self.down(value);
            canvas.line(
                (self.left, down),
                (end, down),
                Pen::new(paler(SOFT, 0.18), 1.0),
            );
            canvas.text((self.left - 5.0, down + 4.0), Anchor::End, "#333", &text);
        }
        canvas.line(
            (self.left, self.top),
            (self.left, self.top + self.height),
            Pen::new(SOFT, 1.0),
        );
        canvas.upright(
            (self.left - 38.0, self.top + 0.5 * self.height),
            "#555",
            label,
        );
    }

    /// The x axis with numbers.
    pub(super) fn x_axis(&self, canvas: &mut Canvas, label: &str) {
        let ticks = ticks(&self.x, (self.width / 48.0) as usize);
        self.x_axis_with(canvas, label, &ticks);
    }

    /// The x axis with these names, some left out if they would not fit.
    pub(super) fn x_axis_with(&self, canvas: &mut Canvas, label: &str, names: &[(f64, String)]) {
        let base = self.top + self.height;
        canvas.line(
            (self.left, base),
            (self.left + self.width, base),
            Pen::new(SOFT, 1.0),
        );
        let mut free = f64::NEG_INFINITY;
        for (value, text) in names {
            let across = self.across(*value);
            canvas.line((across, base), (across, base + 4.0), Pen::new(SOFT, 1.0));
            let half = 0.5 * text_width(text);
            if across - half >= free {
                canvas.text((across, base + 16.0), Anchor::Middle, "#333", text);
                free = across + half + 4.0;
            }
        }
        let middle = self.left + 0.5 * self.width;
        canvas.text((middle, base + 32.0), Anchor::Middle, "#555", label);
    }
}

fn share(value: f64, range: &Range<f64>) -> f64 {
    let share = (value - range.start) / (range.end - range.start);
    // Far outside, a few planes away is far enough.
    share.clamp(-20.0, 20.0)
}

/// The smallest range with all finite values, widened a little; 0 to 1 if there is none.
pub(super) fn range_of(values: impl Iterator<Item = f64>, margin: f64) -> Range<f64> {
    let mut ends: Option<(f64, f64)> = None;
    for value in values.filter(|v| v.is_finite()) {
        let value = value.clamp(-LARGEST, LARGEST);
        let (low, high) = ends.unwrap_or((value, value));
        ends = Some((low.min(value), high.max(value)));
    }
    let (low, high) = ends.unwrap_or((0.0, 1.0));
    // Equal values, or ones that differ by rounding alone, get a range of their own.
    let narrow = high - low <= 1e-9 * low.abs().max(high.abs());
    let pad = if narrow {
        0.5 * low.abs().max(1.0)
    } else {
        margin * (high - low)
    };
    low - pad..high + pad
}

/// A range that a plot can be drawn over, whatever the caller gave.
pub(super) fn usable(range: Range<f64>) -> Range<f64> {
    if range.end > range.start && range.start.is_finite() && range.end.is_finite() {
        range.start.max(-LARGEST)..range.end.min(LARGEST)
    } else {
        range_of([range.start, range.end].into_iter(), 0.0)
    }
}

/// Round numbers within the range, about as many as asked for.
pub(super) fn ticks(range: &Range<f64>, about: usize) -> Vec<(f64, String)> {
    let raw = (range.end - range.start) / about.clamp(2, 12) as f64;
    let decade = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * decade)
        .find(|step| *step >= 0.999 * raw)
        .unwrap_or(raw);
    if !step.is_normal() {
        return Vec::new();
    }
    let digits = (-(step * 1.001).log10().floor()).clamp(0.0, 6.0) as usize;
    let large = range.start.abs().max(range.end.abs()) >= 1e6 || step < 1e-6;
    let first = (range.start / step - 1e-6).ceil();
    let last = (range.end / step + 1e-6).floor();
    let count = (last - first + 1.0).clamp(0.0, 20.0) as usize;
    (0..count)
        .map(|index| {
            let value = (first + index as f64) * step;
            let text = if value == 0.0 {
                "0".into()
            } else if large {
                format!("{value:.1e}")
            } else {
                format!("{value:.digits$}")
            };
            (value, text)
        })
        .collect()
}

/// What stands for a series in a legend.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    Line(Pen),
    Point { colour: Rgb, hollow: bool },
    Patch(Rgb),
}

/// Height that the names of the series take above a plot of this width.
pub(super) fn legend_height(names: &[(String, Sign)], width: f64) -> f64 {
    let rows = places(names, width)
        .last()
        .map_or(0.0, |(_, row)| row + 1.0);
    rows * 16.0
}

/// Draws the names of the series, wrapped to the width.
pub(super) fn legend(canvas: &mut Canvas, names: &[(String, Sign)], at: (f64, f64), width: f64) {
    for ((name, sign), (offset, row)) in names.iter().zip(places(names, width)) {
        let (x, y) = (at.0 + offset, at.1 + 16.0 * row + 7.0);
        match *sign {
            Sign::Line(pen) => canvas.line((x, y), (x + 16.0, y), pen),
            Sign::Point { colour, hollow } => canvas.point((x + 8.0, y), 3.0, colour, hollow, ""),
            Sign::Patch(fill) => canvas.rect((x + 2.0, y - 5.0), (12.0, 10.0), fill, ""),
        }
        canvas.text((x + 20.0, y + 4.0), Anchor::Start, "#333", name);
    }
}

/// Offset and row of every name.
fn places(names: &[(String, Sign)], width: f64) -> Vec<(f64, f64)> {
    let (mut offset, mut row) = (0.0, 0.0);
    names
        .iter()
        .map(|(name, _)| {
            let wide = 34.0 + text_width(name);
            if offset > 0.0 && offset + wide > width {
                (offset, row) = (0.0, row + 1.0);
            }
            let place = (offset, row);
            offset += wide;
            place
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let texts = |range: Range<f64>, n| -> Vec<String> {
            ticks(&range, n).into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(texts(0.0..1.0, 5), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(-0.06..13.06, 6), ["0", "5", "10"]);
        assert_eq!(texts(1.0..1.0, 5), Vec::<String>::new());
        assert_eq!(texts(f64::NAN..1.0, 5), Vec::<String>::new());
        for range in [1e-12..2e-12, 1e9..3e9, -1e150..1e150] {
            let ticks = ticks(&range, 6);
            assert!((2..=20).contains(&ticks.len()), "{range:?}: {ticks:?}");
            let slack = 1e-5 * (range.end - range.start);
            assert!(
                ticks
                    .iter()
                    .all(|(v, _)| *v >= range.start - slack && *v <= range.end + slack)
            );
        }
    }

    #[test]
    fn any_values_give_a_range() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![3.0; 4],
            vec![-1e308, 1e308],
            vec![0.0, f64::INFINITY],
        ] {
            let range = usable(range_of(values.iter().copied(), 0.05));
            assert!(range.end > range.start && (range.end - range.start).is_finite());
        }
        assert!(usable(2.0..1.0).end > usable(2.0..1.0).start);
    }

    #[test]
    fn a_legend_wraps() {
        let names: Vec<(String, Sign)> = (0..4)
            .map(|k| (format!("series number {k}"), Sign::Patch((0, 0, 0))))
            .collect();
        assert!((legend_height(&names, 1000.0) - 16.0).abs() < 1e-9);
        assert!((legend_height(&names, 10.0) - 64.0).abs() < 1e-9);
        assert!(legend_height(&[], 10.0).abs() < 1e-9);
    }
}
