//! Values over practice with the line through them.

use super::curves::{Curve, CurvesPlot, curves};
use super::{Figure, canvas::short};
use crate::Error;

/// Points of one kind and their trend.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    /// Its name in the legend.
    pub name: String,
    /// Where on the x axis.
    pub x: Vec<f64>,
    /// Values; those that are not finite are left out.
    pub y: Vec<f64>,
    /// Ends of the points' intervals.
    pub interval: Option<(Vec<f64>, Vec<f64>)>,
    /// The line through them.
    pub trend: Option<Trend>,
}

/// A slope and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Change of y per unit of x.
    pub slope: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

/// Axes of a [`strip`] plot.
#[derive(Clone, Debug)]
pub struct StripPlot<'a> {
    /// The axes.
    pub axes: CurvesPlot<'a>,
    /// What x is counted in, for the legend: "session".
    pub unit: &'a str,
}

/// Points over practice, for example the similarity of adjacent sessions, with
/// the line of each kind through its mean point and a band between the lines
/// of the ends of the slope's interval. The legend gives the numbers.
///
/// # Errors
/// [`Error::Shape`] if the arrays of a kind differ in length.
pub fn strip(plot: &StripPlot<'_>, strips: &[Strip]) -> Result<Figure, Error> {
    let mut drawn = Vec::new();
    for (index, strip) in strips.iter().enumerate() {
        let trend = strip.trend.filter(|trend| trend.slope.is_finite());
        let line = trend.and_then(|trend| line(strip, trend));
        let name = match trend {
            Some(trend) if line.is_some() => format!("{}: {}", strip.name, trend.words(plot.unit)),
            _ => strip.name.clone(),
        };
        let mut points = Curve::new(name, strip.x.clone(), strip.y.clone()).as_points();
        if let Some((low, high)) = strip.interval.clone() {
            points = points.with_interval(low, high);
        }
        drawn.extend(
            [Some(points), line]
                .into_iter()
                .flatten()
                .map(|curve| curve.in_colour(index)),
        );
    }
    curves(&plot.axes, &drawn)
}

/// The line through the mean of the points; nothing if there are no points.
fn line(strip: &Strip, trend: Trend) -> Option<Curve> {
    let points: Vec<(f64, f64)> = strip
        .x
        .iter()
        .copied()
        .zip(strip.y.iter().copied())
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let n = points.len() as f64;
    let middle = points
        .iter()
        .fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x / n, sum.1 + y / n));
    let low = points.iter().map(|(x, _)| *x).reduce(f64::min)?;
    let high = points.iter().map(|(x, _)| *x).reduce(f64::max)?;
    let x: Vec<f64> = (0..=8)
        .map(|k| low + (high - low) * f64::from(k) / 8.0)
        .collect();
    let at = |slope: f64| -> Vec<f64> {
        x.iter()
            .map(|x| middle.1 + slope * (x - middle.0))
            .collect()
    };
    let (down, up) = (at(trend.low), at(trend.high));
    let ends =
        |pick: fn(f64, f64) -> f64| down.iter().zip(&up).map(|(a, b)| pick(*a, *b)).collect();
    // `min` of NaN and a number is the number: a missing end has no band.
    let curve = Curve::new("", x.clone(), at(trend.slope)).without_points();
    Some(if trend.bounded() {
        curve.with_band(ends(f64::min), ends(f64::max))
    } else {
        curve
    })
}

impl Trend {
    fn bounded(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    /// The slope with its sign, unit and interval.
    fn words(self, unit: &str) -> String {
        let sign = if self.slope > 0.0 { "+" } else { "" };
        let interval = if self.bounded() {
            format!(" [{}, {}]", short(self.low), short(self.high))
        } else {
            String::new()
        };
        format!("{sign}{} per {unit}{interval}", short(self.slope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> StripPlot<'static> {
        StripPlot {
            axes: CurvesPlot::default(),
            unit: "session",
        }
    }

    #[test]
    fn the_slope_is_written_and_drawn() {
        let strip_of = |y: Vec<f64>| Strip {
            name: "late delay".into(),
            x: vec![1.0, 2.0, 3.0],
            y,
            interval: None,
            trend: Some(Trend {
                slope: 0.05,
                low: -0.01,
                high: 0.11,
            }),
        };
        let svg = strip(&plot(), &[strip_of(vec![0.5, 0.6, 0.6])]).unwrap();
        assert!(
            svg.svg().contains("+0.05 per session [-0.01, 0.11]"),
            "{}",
            svg.svg()
        );
        // Without a point there is nowhere to draw a line through.
        let none = strip(&plot(), &[strip_of(vec![f64::NAN; 3])]).unwrap();
        assert!(!none.svg().contains("per session") && !none.svg().contains("NaN"));
    }

    #[test]
    fn a_slope_without_interval_has_no_band() {
        let trend = Trend {
            slope: 0.05,
            low: f64::NAN,
            high: 1.0,
        };
        let some = Strip {
            x: vec![1.0, 2.0],
            y: vec![0.0, 1.0],
            trend: Some(trend),
            ..Strip::default()
        };
        let svg = strip(&plot(), &[some]).unwrap();
        assert!(!svg.svg().contains("fill-opacity") && svg.svg().contains("+0.05 per session"));
    }
}
