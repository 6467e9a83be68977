//! How well the animal did on each day.

use super::Figure;
use super::canvas::{Canvas, Pen};
use super::colour::{REFERENCE, colour};
use super::plane::{Plane, range_of, usable};
use crate::Error;

/// Performance per session.
#[derive(Clone, Debug, Default)]
pub struct Learning<'a> {
    /// Names of the sessions.
    pub labels: &'a [String],
    /// Share of correct trials, per session.
    pub accuracy: Vec<f64>,
    /// Interval of the accuracy.
    pub accuracy_interval: Option<(Vec<f64>, Vec<f64>)>,
    /// Discriminability `z(hits) − z(false alarms)`, per session.
    pub d_prime: Option<Vec<f64>>,
    /// Accuracy of guessing, drawn as a line.
    pub chance: f64,
    /// Accuracy that counts as having learned, drawn as a line.
    pub criterion: Option<f64>,
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 130.0;

/// The learning curve: accuracy with its interval, chance and criterion, and
/// below it d′ if there is one.
///
/// # Errors
/// [`Error::Shape`] without sessions, or if an array has not one value per session.
pub fn learning(plot: &Learning<'_>) -> Result<Figure, Error> {
    let n = plot.labels.len();
    let interval = plot
        .accuracy_interval
        .iter()
        .flat_map(|(low, high)| [low, high]);
    let mut arrays = interval.chain(&plot.d_prime).chain([&plot.accuracy]);
    if n == 0 || arrays.any(|array| array.len() != n) {
        return Err(Error::Shape {
            figure: "learning",
            reason: format!("an array has not one value for each of {n} sessions"),
        });
    }
    let panels = 1.0 + f64::from(u8::from(plot.d_prime.is_some()));
    let mut canvas = Canvas::new(WIDTH, 34.0 + panels * (HEIGHT + 16.0));
    let panel = |index: f64, y| Plane {
        left: 52.0,
        top: 10.0 + index * (HEIGHT + 16.0),
        width: WIDTH - 64.0,
        height: HEIGHT,
        x: -0.5..n as f64 - 0.5,
        y,
    };
    let lowest = plot.accuracy.iter().copied().chain([plot.chance]);
    let low = range_of(lowest.filter(|v| v.is_finite()), 0.1)
        .start
        .max(0.0);
    let upper = panel(0.0, usable(low.min(0.4)..1.02));
    upper.y_axis(&mut canvas, "accuracy");
    for (level, dashed) in [(Some(plot.chance), false), (plot.criterion, true)] {
        if let Some((_, down)) = level.and_then(|level| upper.at(0.0, level)) {
            let pen = Pen {
                dashed,
                ..Pen::new(REFERENCE, 1.2)
            };
            canvas.line((upper.left, down), (upper.left + upper.width, down), pen);
        }
    }
    upper.inside(&mut canvas, |canvas| {
        if let Some((low, high)) = &plot.accuracy_interval {
            for (at, (&low, &high)) in low.iter().zip(high).enumerate() {
                if let (Some(from), Some(to)) =
                    (upper.at(at as f64, low), upper.at(at as f64, high))
                {
                    canvas.line(from, to, Pen::new(colour(0), 1.2));
                }
            }
        }
        line(canvas, &upper, &plot.accuracy, 0, plot.labels);
    });
    let mut last = upper;
    if let Some(d_prime) = &plot.d_prime {
        let lower = panel(
            1.0,
            usable(range_of(d_prime.iter().copied().chain([0.0]), 0.08)),
        );
        lower.y_axis(&mut canvas, "d′");
        lower.inside(&mut canvas, |canvas| {
            line(canvas, &lower, d_prime, 1, plot.labels);
        });
        last = lower;
    }
    let ticks: Vec<(f64, String)> = plot
        .labels
        .iter()
        .enumerate()
        .map(|(k, l)| (k as f64, l.clone()))
        .collect();
    last.x_axis_with(&mut canvas, "session", &ticks);
    Ok(canvas.finish())
}

fn line(canvas: &mut Canvas, plane: &Plane, values: &[f64], index: usize, labels: &[String]) {
    let points = || {
        values
            .iter()
            .enumerate()
            .map(|(at, &value)| (at as f64, value))
    };
    canvas.stroke(&plane.path(points()), Pen::new(colour(index), 2.0), "");
    for ((x, value), label) in points().zip(labels) {
        if let Some(at) = plane.at(x, value) {
            canvas.point(
                at,
                3.0,
                colour(index),
                false,
                &format!("{label}: {value:.3}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_without_a_value_is_left_out() {
        let labels = ["1", "2", "3"].map(str::to_owned);
        let plot = Learning {
            labels: &labels,
            accuracy: vec![0.5, f64::NAN, 0.94],
            d_prime: Some(vec![0.0, f64::NAN, 3.1]),
            chance: 0.5,
            criterion: Some(0.8),
            ..Learning::default()
        };
        let svg = learning(&plot).unwrap();
        assert_eq!(svg.svg().matches("<title>").count(), 4);
        assert!(!svg.svg().contains("NaN"));
        assert!(
            learning(&Learning {
                accuracy: vec![1.0],
                ..plot
            })
            .is_err()
        );
        assert!(learning(&Learning::default()).is_err());
    }
}
