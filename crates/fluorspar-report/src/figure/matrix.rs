//! Session by session matrices.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::canvas::{Anchor, Canvas, Pen, text_width};
use super::colour::{MISSING, Scale};
use super::{Figure, escape, raster};
use crate::Error;

/// Width and height of all cells together, pixels.
const SIDE: f64 = 330.0;
/// Narrowest cell with its number.
const NUMBERED: f64 = 27.0;
/// Most cells that show their value to who points at them; more make a heavy page.
const MOST_TITLES: usize = 20 * 20;

/// What is said about one cell of a matrix, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// The value may be chance: a small ring.
    NotSignificant(String),
    /// There is no value, whatever the matrix holds: grey and hatched.
    Undefined(String),
}

/// How a matrix is drawn.
#[derive(Clone, Debug)]
pub struct MatrixPlot<'a> {
    /// Names of the rows, which are those of the columns.
    pub labels: &'a [String],
    /// What the rows are and what the columns are.
    pub axes: (&'a str, &'a str),
    /// Colours of the values.
    pub scale: Scale,
    /// Text beside the colour bar.
    pub scale_label: &'a str,
    /// Decimals of the numbers that are written where they fit.
    pub decimals: usize,
    /// What is said about a cell.
    pub marks: Option<&'a Array2<Option<Mark>>>,
}

/// A matrix of values with the numbers written in its cells where they fit,
/// NaN cells grey. `range` is what the colour scale spans, dark to bright.
/// [`MatrixPlot::draw`] offers more.
///
/// # Errors
/// [`Error::Shape`] for an empty matrix or labels that do not fit.
pub fn matrix(
    values: ArrayView2<'_, f64>,
    labels: &[String],
    range: Range<f64>,
    axes: (&str, &str),
) -> Result<Figure, Error> {
    // Counts are whole, shares are not.
    let decimals = if range.end > 1.0 { 0 } else { 2 };
    MatrixPlot {
        axes,
        decimals,
        ..MatrixPlot::new(labels, Scale::sequential(range))
    }
    .draw(values)
}

impl<'a> MatrixPlot<'a> {
    /// Sessions by sessions, two decimals, nothing marked.
    pub fn new(labels: &'a [String], scale: Scale) -> Self {
        Self {
            labels,
            axes: ("session", "session"),
            scale,
            scale_label: "",
            decimals: 2,
            marks: None,
        }
    }

    /// Draws `values`, square; row 0 on top. Up to about a dozen rows have
    /// their numbers in the cells, more have a colour bar instead.
    ///
    /// # Errors
    /// [`Error::Shape`] for an empty matrix, labels or marks that do not fit.
    pub fn draw(&self, values: ArrayView2<'_, f64>) -> Result<Figure, Error> {
        const NAME: &str = "matrix";
        let (rows, columns) = values.dim();
        let marked = self.marks.is_none_or(|marks| marks.dim() == values.dim());
        if rows == 0 || rows != columns || self.labels.len() != columns || !marked {
            return Err(Error::Shape {
                figure: NAME,
                reason: format!(
                    "{rows} × {columns} values with {} labels, or marks of another shape",
                    self.labels.len()
                ),
            });
        }
        let shown = self.shown(values);
        let side = (SIDE / columns as f64).floor().clamp(3.0, 40.0);
        let numbered = side >= NUMBERED;
        let longest = self
            .labels
            .iter()
            .map(|l| text_width(l))
            .fold(0.0, f64::max);
        let all = side * columns as f64;
        let (left, top) = (30.0 + longest.clamp(14.0, 90.0), 6.0);
        let bar = if numbered { 8.0 } else { 84.0 };
        let mut canvas = Canvas::new(left + all + bar, top + all + 44.0);
        let address = raster::coloured(shown.mapv(|v| v as f32).view(), &self.scale, NAME)?;
        canvas.raw(&format!(
            "<image x=\"{left:.1}\" y=\"{top:.1}\" width=\"{all:.1}\" height=\"{all:.1}\" \
             preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"{address}\"/>"
        ));
        let corner =
            |row: usize, column: usize| (left + column as f64 * side, top + row as f64 * side);
        if values.len() <= MOST_TITLES {
            self.numbers(&mut canvas, &shown, side, corner);
        }
        self.signs(&mut canvas, side, corner);
        if !numbered {
            canvas.colour_bar(
                (left + all + 14.0, top),
                all.min(160.0),
                &self.scale,
                self.scale_label,
            );
        }
        self.names(&mut canvas, (left, top), side);
        Ok(canvas.finish())
    }

    /// The values without those that are not defined.
    fn shown(&self, values: ArrayView2<'_, f64>) -> Array2<f64> {
        let mut shown = values.to_owned();
        for (mark, value) in self.marks.into_iter().flatten().zip(&mut shown) {
            if matches!(mark, Some(Mark::Undefined(_))) {
                *value = f64::NAN;
            }
        }
        shown
    }

    fn numbers(
        &self,
        canvas: &mut Canvas,
        values: &Array2<f64>,
        side: f64,
        corner: impl Fn(usize, usize) -> (f64, f64),
    ) {
        let decimals = self.decimals;
        for ((row, column), &value) in values.indexed_iter() {
            let (x, y) = corner(row, column);
            let number = if value.is_finite() {
                format!("{value:.decimals$}")
            } else {
                continue;
            };
            if side >= NUMBERED {
                let middle = (x + 0.5 * side, y + 0.5 * side + 4.0);
                canvas.text(middle, Anchor::Middle, self.scale.ink_on(value), &number);
            }
            let title = format!("{}, {}: {number}", self.labels[row], self.labels[column]);
            canvas.raw(&format!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side}\" height=\"{side}\" fill=\"#fff\" \
                 fill-opacity=\"0\"><title>{}</title></rect>",
                escape(&title)
            ));
        }
    }

    /// All cells with the same mark are one path: sixty sessions have thousands.
    fn signs(&self, canvas: &mut Canvas, side: f64, corner: impl Fn(usize, usize) -> (f64, f64)) {
        let mut kinds: BTreeMap<&Mark, (String, String)> = BTreeMap::new();
        for ((row, column), mark) in self.marks.iter().flat_map(|m| m.indexed_iter()) {
            let Some(mark) = mark else { continue };
            let (x, y) = corner(row, column);
            let (area, sign) = kinds.entry(mark).or_default();
            // Writing to a String does not fail.
            let _ = write!(area, "M{x:.1} {y:.1}h{side}v{side}h-{side}z");
            let _ = match mark {
                Mark::Undefined(_) => write!(sign, "M{x:.1} {:.1}l{side} -{side}", y + side),
                Mark::NotSignificant(_) => {
                    let r = (0.09 * side).clamp(0.8, 3.0);
                    // A ring in the cell's upper right corner, clear of the number.
                    write!(
                        sign,
                        "M{:.1} {:.1}a{r} {r} 0 1 0 {} 0a{r} {r} 0 1 0 -{} 0",
                        x + side - 2.0 - 2.0 * r,
                        y + 2.0 + r,
                        2.0 * r,
                        2.0 * r
                    )
                }
            };
        }
        for (mark, (area, sign)) in kinds {
            let (reason, ink) = match mark {
                Mark::Undefined(reason) => (reason, (170, 170, 170)),
                Mark::NotSignificant(reason) => (reason, (255, 255, 255)),
            };
            if matches!(mark, Mark::NotSignificant(_)) {
                // Dark around white is seen on every colour.
                canvas.stroke(&sign, Pen::new((30, 30, 30), 2.0), "");
            } else {
                canvas.fill(&area, MISSING, 1.0, "");
            }
            canvas.stroke(&sign, Pen::new(ink, 1.0), "");
            canvas.fill(&area, (255, 255, 255), 0.0, reason);
        }
    }

    fn names(&self, canvas: &mut Canvas, (left, top): (f64, f64), side: f64) {
        let all = side * self.labels.len() as f64;
        let widest = self
            .labels
            .iter()
            .map(|l| text_width(l))
            .fold(1.0, f64::max);
        let across = ((widest + 3.0) / side).ceil().max(1.0) as usize;
        let along = (12.0 / side).ceil().max(1.0) as usize;
        for (index, label) in self.labels.iter().enumerate() {
            let middle = (index as f64 + 0.5) * side;
            if index % across == 0 {
                canvas.text(
                    (left + middle, top + all + 14.0),
                    Anchor::Middle,
                    "#333",
                    label,
                );
            }
            if index % along == 0 {
                canvas.text((left - 5.0, top + middle + 4.0), Anchor::End, "#333", label);
            }
        }
        canvas.text(
            (left + 0.5 * all, top + all + 34.0),
            Anchor::Middle,
            "#555",
            self.axes.1,
        );
        canvas.upright((12.0, top + 0.5 * all), "#555", self.axes.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(n: usize) -> Vec<String> {
        (1..=n).map(|day| format!("d{day}")).collect()
    }

    #[test]
    fn numbers_are_written_where_they_fit() {
        let draw = |n: usize| {
            let names = labels(n);
            let plot = MatrixPlot::new(&names, Scale::sequential(0.0..1.0));
            plot.draw(Array2::from_elem((n, n), 0.25).view()).unwrap()
        };
        assert_eq!(draw(8).svg().matches(">0.25</text>").count(), 64);
        let middle = draw(14);
        assert!(!middle.svg().contains(">0.25</text>") && middle.svg().contains("d3, d4: 0.25"));
        let many = draw(60);
        assert!(many.svg().len() < 20_000, "{}", many.svg().len());
    }

    #[test]
    fn marks_give_their_reasons_once() {
        let names = labels(3);
        let undefined = Mark::Undefined("no cell < common".into());
        let chance = Mark::NotSignificant("p = 0.4".into());
        let mut marks = Array2::from_elem((3, 3), None);
        marks[[0, 1]] = Some(undefined.clone());
        marks[[1, 0]] = Some(undefined);
        marks[[2, 2]] = Some(chance);
        let plot = MatrixPlot {
            marks: Some(&marks),
            ..MatrixPlot::new(&names, Scale::diverging(0.0, 1.0))
        };
        let svg = plot.draw(Array2::from_elem((3, 3), 0.5).view()).unwrap();
        assert_eq!(
            svg.svg()
                .matches("<title>no cell &lt; common</title>")
                .count(),
            1
        );
        assert_eq!(svg.svg().matches("<title>p = 0.4</title>").count(), 1);
        // What is undefined is not written as a number.
        assert_eq!(svg.svg().matches(">0.50</text>").count(), 7);
    }

    #[test]
    fn marks_of_another_shape_are_refused() {
        let names = labels(2);
        let marks = Array2::from_elem((1, 2), None);
        let plot = MatrixPlot {
            marks: Some(&marks),
            ..MatrixPlot::new(&names, Scale::sequential(0.0..1.0))
        };
        assert!(plot.draw(Array2::zeros((2, 2)).view()).is_err());
        assert!(matrix(Array2::zeros((2, 3)).view(), &names, 0.0..1.0, ("", "")).is_err());
    }
}
