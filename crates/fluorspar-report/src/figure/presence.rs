//! Which cell was seen when.

use std::fmt::Write as _;

use ndarray::ArrayView2;

use super::{Figure, escape};
use crate::Error;

/// Which cell (row) was seen in which session (column): filled where
/// `probability` is positive, darker the surer the match; negative is absent.
///
/// # Errors
/// [`Error::Shape`] if there are no cells or no sessions.
pub fn presence(probability: ArrayView2<'_, f32>, labels: &[String]) -> Result<Figure, Error> {
    const NAME: &str = "presence";
    let (cells, sessions) = probability.dim();
    if cells == 0 || sessions == 0 || labels.len() != sessions {
        return Err(Error::Shape {
            figure: NAME,
            reason: format!(
                "{cells} cells × {sessions} sessions, {} labels",
                labels.len()
            ),
        });
    }
    let mut order: Vec<usize> = (0..cells).collect();
    let seen = |cell: usize| probability.row(cell).iter().filter(|&&p| p >= 0.0).count();
    order.sort_by_key(|&cell| (std::cmp::Reverse(seen(cell)), cell));
    let (column, height) = (34_usize, 360.0);
    let row = height / cells as f64;
    let (width, total) = (8 + sessions * column + 8, 396);
    // Rows are thinner than a pixel: smoothed edges would darken some of them.
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{total}\" \
         viewBox=\"0 0 {width} {total}\" shape-rendering=\"crispEdges\" font-family=\"sans-serif\" font-size=\"11\">"
    );
    for (position, &cell) in order.iter().enumerate() {
        for session in 0..sessions {
            let p = probability[[cell, session]];
            if p >= 0.0 {
                let _ = write!(
                    svg,
                    "<rect x=\"{}\" y=\"{:.2}\" width=\"{}\" height=\"{:.2}\" fill=\"#0b6e75\" fill-opacity=\"{:.2}\"/>",
                    8 + session * column + 1,
                    8.0 + position as f64 * row,
                    column - 2,
                    row.max(0.4),
                    0.25 + 0.75 * p.clamp(0.0, 1.0)
                );
            }
        }
    }
    for (session, label) in labels.iter().enumerate() {
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"386\" text-anchor=\"middle\">{}</text>",
            8 + session * column + column / 2,
            escape(label)
        );
    }
    svg.push_str("</svg>");
    Ok(Figure::new(svg))
}
