//! Curves over a common axis.

use std::fmt::Write as _;
use std::ops::Range;

use super::Figure;
use super::canvas::{Canvas, Pen};
use super::colour::{REFERENCE, Rgb, colour, paler};
use super::plane::{Plane, Sign, legend, legend_height, range_of, usable};
use crate::Error;

/// One line of a [`curves`] plot.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    name: String,
    x: Vec<f64>,
    y: Vec<f64>,
    interval: Option<(Vec<f64>, Vec<f64>)>,
    band: bool,
    style: Style,
    colour: Option<usize>,
    pale: bool,
    dashed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Style {
    #[default]
    LineAndPoints,
    Line,
    Points,
    Reference,
}

impl Curve {
    /// A line through points; broken where a value is not finite. An empty
    /// name keeps it out of the legend.
    pub fn new(name: impl Into<String>, x: Vec<f64>, y: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            x,
            y,
            ..Self::default()
        }
    }

    /// Adds a bar from `low` to `high` at every point.
    #[must_use]
    pub fn with_interval(mut self, low: Vec<f64>, high: Vec<f64>) -> Self {
        self.interval = Some((low, high));
        self.band = false;
        self
    }

    /// Adds a shaded band from `low` to `high` along the curve.
    #[must_use]
    pub fn with_band(mut self, low: Vec<f64>, high: Vec<f64>) -> Self {
        self.interval = Some((low, high));
        self.band = true;
        self
    }

    /// Draws points without a line.
    #[must_use]
    pub fn as_points(mut self) -> Self {
        self.style = Style::Points;
        self
    }

    /// Draws the line alone, for long series.
    #[must_use]
    pub fn without_points(mut self) -> Self {
        self.style = Style::Line;
        self
    }

    /// Draws a thin grey line: a floor, a ceiling, chance.
    #[must_use]
    pub fn as_reference(mut self) -> Self {
        self.style = Style::Reference;
        self
    }

    /// Draws the line dashed: a fitted law.
    #[must_use]
    pub fn dashed(mut self) -> Self {
        self.dashed = true;
        self
    }

    /// Takes this colour of the [`PALETTE`](super::PALETTE), so that what
    /// belongs together looks alike; the curve's place in the plot otherwise.
    #[must_use]
    pub fn in_colour(mut self, index: usize) -> Self {
        self.colour = Some(index);
        self
    }

    /// Draws it lighter, its points hollow: raw values beside corrected ones.
    #[must_use]
    pub fn pale(mut self) -> Self {
        self.pale = true;
        self
    }

    fn ink(&self, place: usize) -> Rgb {
        let ink = if self.style == Style::Reference {
            REFERENCE
        } else {
            colour(self.colour.unwrap_or(place))
        };
        if self.pale { paler(ink, 0.5) } else { ink }
    }

    fn pen(&self, place: usize) -> Pen {
        let reference = self.style == Style::Reference;
        Pen {
            dashed: self.dashed,
            ..Pen::new(
                self.ink(place),
                if reference || self.pale { 1.2 } else { 2.0 },
            )
        }
    }

    fn fits(&self) -> bool {
        let n = self.x.len();
        let interval = self.interval.as_ref();
        self.y.len() == n && interval.is_none_or(|(low, high)| low.len() == n && high.len() == n)
    }

    fn heights(&self) -> impl Iterator<Item = f64> {
        let ends = self
            .interval
            .iter()
            .flat_map(|(low, high)| low.iter().chain(high));
        self.y.iter().chain(ends).copied()
    }

    fn sign(&self, place: usize) -> Sign {
        match self.style {
            Style::Points => Sign::Point {
                colour: self.ink(place),
                hollow: self.pale,
            },
            _ => Sign::Line(self.pen(place)),
        }
    }

    /// The area between the ends of the interval, each run of points that have both.
    fn band_path(&self, plane: &Plane) -> String {
        let Some((low, high)) = &self.interval else {
            return String::new();
        };
        let mut path = String::new();
        let has = |k: &usize| {
            plane.at(self.x[*k], low[*k]).is_some() && plane.at(self.x[*k], high[*k]).is_some()
        };
        let mut start = 0;
        while start < self.x.len() {
            let run: Vec<usize> = (start..self.x.len()).take_while(has).collect();
            let upper = run.iter().map(|&k| (self.x[k], high[k]));
            let lower = run.iter().rev().map(|&k| (self.x[k], low[k]));
            let outline = plane.path(upper.chain(lower));
            if run.len() > 1 {
                path.push_str(&outline);
                path.push('Z');
            }
            start += run.len() + 1;
        }
        path
    }

    fn bars_path(&self, plane: &Plane) -> String {
        let mut path = String::new();
        if let Some((low, high)) = &self.interval {
            for (&x, (&low, &high)) in self.x.iter().zip(low.iter().zip(high)) {
                if let (Some((across, from)), Some((_, to))) = (plane.at(x, low), plane.at(x, high))
                {
                    // Writing to a String does not fail.
                    let _ = write!(path, "M{across:.1} {from:.1}V{to:.1}");
                }
            }
        }
        path
    }

    fn draw(&self, canvas: &mut Canvas, plane: &Plane, place: usize) {
        let ink = self.ink(place);
        if self.band {
            canvas.fill(&self.band_path(plane), ink, 0.18, "");
        } else {
            canvas.stroke(&self.bars_path(plane), Pen::new(ink, 1.0), "");
        }
        let points = || self.x.iter().copied().zip(self.y.iter().copied());
        if self.style != Style::Points {
            canvas.stroke(&plane.path(points()), self.pen(place), &self.name);
        }
        if matches!(self.style, Style::Points | Style::LineAndPoints) {
            for at in points().filter_map(|(x, y)| plane.at(x, y)) {
                canvas.point(at, 2.6, ink, self.pale, "");
            }
        }
    }
}

/// Axes of a [`curves`] plot.
#[derive(Clone, Debug)]
pub struct CurvesPlot<'a> {
    /// Text under the x axis.
    pub x_label: &'a str,
    /// Text beside the y axis.
    pub y_label: &'a str,
    /// Fixed range of y; taken from the data if absent.
    pub y_range: Option<Range<f64>>,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

impl Default for CurvesPlot<'_> {
    fn default() -> Self {
        Self {
            x_label: "",
            y_label: "",
            y_range: None,
            size: (480, 320),
        }
    }
}

/// Curves over a common axis, with intervals, their names above. Points that
/// are not finite are left out.
///
/// # Errors
/// [`Error::Shape`] if a curve's arrays differ in length.
pub fn curves(plot: &CurvesPlot<'_>, curves: &[Curve]) -> Result<Figure, Error> {
    if let Some(curve) = curves.iter().find(|curve| !curve.fits()) {
        return Err(Error::Shape {
            figure: "curves",
            reason: format!("the arrays of {:?} differ in length", curve.name),
        });
    }
    let (width, height) = (
        f64::from(plot.size.0).max(120.0),
        f64::from(plot.size.1).max(100.0),
    );
    let names: Vec<(String, Sign)> = curves
        .iter()
        .enumerate()
        .filter(|(_, curve)| !curve.name.is_empty())
        .map(|(place, curve)| (curve.name.clone(), curve.sign(place)))
        .collect();
    let above = legend_height(&names, width - 20.0);
    let fixed = plot.y_range.clone();
    let plane = Plane {
        left: 52.0,
        top: 8.0 + above,
        width: width - 64.0,
        height: (height - 50.0 - above).max(60.0),
        x: usable(range_of(
            curves.iter().flat_map(|c| c.x.iter().copied()),
            0.05,
        )),
        y: usable(fixed.unwrap_or_else(|| range_of(curves.iter().flat_map(Curve::heights), 0.06))),
    };
    let mut canvas = Canvas::new(width, plane.top + plane.height + 42.0);
    legend(&mut canvas, &names, (10.0, 2.0), width - 20.0);
    plane.y_axis(&mut canvas, plot.y_label);
    plane.x_axis(&mut canvas, plot.x_label);
    plane.inside(&mut canvas, |canvas| {
        for (place, curve) in curves.iter().enumerate() {
            curve.draw(canvas, &plane, place);
        }
    });
    Ok(canvas.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_breaks_where_an_end_is_missing() {
        let x: Vec<f64> = (0..6).map(f64::from).collect();
        let mut low = vec![0.0; 6];
        low[2] = f64::NAN;
        let curve = Curve::new("a", x, vec![0.5; 6]).with_band(low, vec![1.0; 6]);
        let svg = curves(&CurvesPlot::default(), &[curve]).unwrap();
        let band = svg.svg().split("fill-opacity").next().unwrap();
        assert_eq!(band.matches('Z').count(), 2, "{band}");
        assert!(!svg.svg().contains("NaN"));
    }

    #[test]
    fn values_without_measure_are_drawn() {
        for y in [
            vec![1e308, -1e308],
            vec![f64::INFINITY, 1.0],
            vec![f64::NAN; 2],
            vec![7.0; 2],
        ] {
            let curve = Curve::new("a", vec![0.0, 1.0], y.clone()).with_interval(y.clone(), y);
            let figure = curves(&CurvesPlot::default(), &[curve]).unwrap();
            assert!(!figure.svg().contains("NaN") && !figure.svg().contains("inf"));
        }
        assert!(curves(&CurvesPlot::default(), &[]).is_ok());
    }
}
