//! Bars per session.

use std::ops::Range;

use super::Figure;
use super::canvas::{Canvas, Pen};
use super::colour::{colour, paler};
use super::plane::{Plane, Sign, legend, legend_height, range_of, usable};
use crate::Error;

/// One series of bars.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Its name in the legend.
    pub name: String,
    /// One value per label; NaN has no bar.
    pub values: Vec<f64>,
    /// Ends of the interval of the bar's upper edge: of the value, or when
    /// stacked of the sum up to this part.
    pub interval: Option<(Vec<f64>, Vec<f64>)>,
}

/// A line across the bars: what chance alone gives.
#[derive(Clone, Debug)]
pub struct Floor {
    /// Its name in the legend.
    pub name: String,
    /// One value per label.
    pub values: Vec<f64>,
}

/// How several parts are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrangement {
    /// One on top of the other: fractions of a whole.
    #[default]
    Stacked,
    /// Beside each other.
    Beside,
}

/// Axes of a [`bars`] plot.
#[derive(Clone, Debug, Default)]
pub struct BarsPlot<'a> {
    /// Names of the groups of bars: sessions.
    pub labels: &'a [String],
    /// Text under the x axis.
    pub x_label: &'a str,
    /// Text beside the y axis.
    pub y_label: &'a str,
    /// Fixed range of y; from 0 to the largest value if absent.
    pub y_range: Option<Range<f64>>,
    /// How the parts are put together.
    pub arrangement: Arrangement,
    /// Dashed lines across the bars.
    pub floors: &'a [Floor],
    /// Width and height in pixels; 0 for what suits the number of labels.
    pub size: (u32, u32),
}

/// Bars per session with intervals, stacked or beside each other: fractions of
/// selective cells, pure and mixed, with the fraction that chance selects.
///
/// # Errors
/// [`Error::Shape`] if a part or floor has not one value per label.
pub fn bars(plot: &BarsPlot<'_>, parts: &[Part]) -> Result<Figure, Error> {
    check(plot, parts)?;
    let n = plot.labels.len();
    let width = match plot.size.0 {
        0 => (120.0 + 34.0 * n as f64).clamp(260.0, 900.0),
        given => f64::from(given).max(120.0),
    };
    let height = f64::from(if plot.size.1 == 0 {
        260
    } else {
        plot.size.1.max(100)
    });
    let patches = parts
        .iter()
        .enumerate()
        .map(|(k, part)| (part.name.clone(), Sign::Patch(fill(k))));
    let lines = plot
        .floors
        .iter()
        .enumerate()
        .map(|(k, floor)| (floor.name.clone(), Sign::Line(pen(k))));
    let names: Vec<(String, Sign)> = patches
        .chain(lines)
        .filter(|(name, _)| !name.is_empty())
        .collect();
    let above = legend_height(&names, width - 20.0);
    let bases = bases(plot, parts);
    let tops = parts.iter().zip(&bases).flat_map(|(part, base)| {
        let edges = part
            .values
            .iter()
            .zip(base)
            .map(|(value, base)| value + base);
        let ends = part
            .interval
            .iter()
            .flat_map(|(low, high)| low.iter().chain(high).copied());
        edges.chain(ends)
    });
    let floors = plot
        .floors
        .iter()
        .flat_map(|floor| floor.values.iter().copied());
    let data = range_of(tops.chain(floors).chain([0.0]), 0.06);
    let from_zero = if data.start > -0.07 * data.end {
        0.0
    } else {
        data.start
    };
    let plane = Plane {
        left: 52.0,
        top: 8.0 + above,
        width: width - 64.0,
        height: (height - 50.0 - above).max(60.0),
        x: -0.5..n as f64 - 0.5,
        y: usable(plot.y_range.clone().unwrap_or(from_zero..data.end)),
    };
    let mut canvas = Canvas::new(width, plane.top + plane.height + 42.0);
    legend(&mut canvas, &names, (10.0, 2.0), width - 20.0);
    plane.y_axis(&mut canvas, plot.y_label);
    plane.inside(&mut canvas, |canvas| {
        for (k, (part, base)) in parts.iter().zip(&bases).enumerate() {
            let (offset, wide) = place(plot.arrangement, k, parts.len());
            draw_part(canvas, &plane, part, base, (offset, wide), k, plot.labels);
        }
        for (k, floor) in plot.floors.iter().enumerate() {
            // A step per session, so that a floor of one session is a line too.
            let steps = floor.values.iter().enumerate().flat_map(|(at, &value)| {
                let at = at as f64;
                [(at - 0.5, value), (at + 0.5, value)]
            });
            canvas.stroke(&plane.path(steps), pen(k), &floor.name);
        }
    });
    let ticks: Vec<(f64, String)> = plot
        .labels
        .iter()
        .enumerate()
        .map(|(k, l)| (k as f64, l.clone()))
        .collect();
    plane.x_axis_with(&mut canvas, plot.x_label, &ticks);
    Ok(canvas.finish())
}

fn check(plot: &BarsPlot<'_>, parts: &[Part]) -> Result<(), Error> {
    let n = plot.labels.len();
    let wrong = |part: &&Part| {
        let interval = part.interval.as_ref();
        part.values.len() != n
            || interval.is_some_and(|(low, high)| low.len() != n || high.len() != n)
    };
    let part = parts.iter().find(wrong).map(|part| part.name.as_str());
    let floor = plot.floors.iter().find(|floor| floor.values.len() != n);
    match part.or(floor.map(|floor| floor.name.as_str())) {
        None if n > 0 => Ok(()),
        name => Err(Error::Shape {
            figure: "bars",
            reason: format!(
                "{} has not one value for each of {n} labels",
                name.unwrap_or("nothing")
            ),
        }),
    }
}

/// What each part stands on: those below it when stacked.
fn bases(plot: &BarsPlot<'_>, parts: &[Part]) -> Vec<Vec<f64>> {
    let mut sum = vec![0.0; plot.labels.len()];
    parts
        .iter()
        .map(|part| {
            let base = sum.clone();
            if plot.arrangement == Arrangement::Stacked {
                for (sum, value) in sum.iter_mut().zip(&part.values) {
                    if value.is_finite() {
                        *sum += value;
                    }
                }
            }
            base
        })
        .collect()
}

/// Offset of a bar's left edge from its label, and its width.
fn place(arrangement: Arrangement, k: usize, parts: usize) -> (f64, f64) {
    match arrangement {
        Arrangement::Stacked => (-0.36, 0.72),
        Arrangement::Beside => {
            let wide = 0.8 / parts as f64;
            (-0.4 + k as f64 * wide, wide)
        }
    }
}

fn draw_part(
    canvas: &mut Canvas,
    plane: &Plane,
    part: &Part,
    base: &[f64],
    (offset, wide): (f64, f64),
    k: usize,
    labels: &[String],
) {
    for (at, (&value, &base)) in part.values.iter().zip(base).enumerate() {
        let x = at as f64 + offset;
        let (Some((from, top)), Some((to, bottom))) =
            (plane.at(x, base + value), plane.at(x + wide, base))
        else {
            continue;
        };
        let title = format!("{}, {}: {value:.3}", labels[at], part.name);
        let upper = top.min(bottom);
        canvas.rect(
            (from + 0.5, upper),
            (to - from - 1.0, (bottom - top).abs()),
            fill(k),
            &title,
        );
        if let Some((low, high)) = &part.interval {
            let middle = x + 0.5 * wide;
            if let (Some(from), Some(to)) = (plane.at(middle, low[at]), plane.at(middle, high[at]))
            {
                canvas.line(from, to, Pen::new((30, 30, 30), 1.2));
            }
        }
    }
}

fn fill(k: usize) -> super::Rgb {
    paler(colour(k), 0.85)
}

fn pen(k: usize) -> Pen {
    let greys = [(30, 30, 30), (120, 120, 120), (170, 170, 170)];
    Pen {
        dashed: true,
        ..Pen::new(greys[k % greys.len()], 1.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, values: &[f64]) -> Part {
        Part {
            name: name.into(),
            values: values.to_vec(),
            interval: None,
        }
    }

    #[test]
    fn a_stack_stands_on_what_is_below_it() {
        let labels = ["1", "2"].map(str::to_owned);
        let parts = [part("pure", &[0.2, f64::NAN]), part("mixed", &[0.1, 0.3])];
        let plot = BarsPlot {
            labels: &labels,
            ..BarsPlot::default()
        };
        assert_eq!(bases(&plot, &parts), [[0.0, 0.0], [0.2, 0.0]]);
        let figure = bars(&plot, &parts).unwrap();
        assert!(!figure.svg().contains("NaN"));
        assert_eq!(figure.svg().matches("<title>").count(), 3);
    }

    #[test]
    fn parts_and_floors_must_fit_the_labels() {
        let labels = ["1", "2"].map(str::to_owned);
        let plot = BarsPlot {
            labels: &labels,
            arrangement: Arrangement::Beside,
            ..BarsPlot::default()
        };
        assert!(bars(&plot, &[part("a", &[1.0])]).is_err());
        let floors = [Floor {
            name: "chance".into(),
            values: vec![0.1],
        }];
        let with = BarsPlot {
            floors: &floors,
            ..plot.clone()
        };
        assert!(bars(&with, &[]).is_err());
        assert!(bars(&BarsPlot::default(), &[]).is_err());
        assert!(bars(&plot, &[part("a", &[-1.0, f64::INFINITY])]).is_ok());
    }
}
