//! Maps on a fixed scale of colours.

use std::fmt::Write as _;
use std::ops::Range;

use ndarray::ArrayView2;

use super::colour::{Scale, css};
use super::{Figure, escape, raster};
use crate::Error;

/// Width that a map is drawn at, pixels.
const WIDTH: f64 = 360.0;

/// A map of values `(y, x)` in colours of one fixed scale, so that maps can be
/// compared and noise does not look like a finding; NaN is grey. The scale
/// spans `range`, dark to bright, and is drawn below with the `label`.
///
/// # Errors
/// [`Error::Shape`] for a map without values, [`Error::Drawing`] if it cannot
/// be encoded.
pub fn heat(values: ArrayView2<'_, f32>, range: Range<f64>, label: &str) -> Result<Figure, Error> {
    const NAME: &str = "heat";
    let (height, width) = values.dim();
    if height == 0 || width == 0 {
        return Err(Error::Shape {
            figure: NAME,
            reason: "the map has no values".into(),
        });
    }
    let scale = Scale::sequential(range.clone());
    let address = raster::coloured(values, &scale, NAME)?;
    let tall = WIDTH * height as f64 / width as f64;
    let total = tall + 34.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total:.0}\" \
         width=\"{WIDTH}\" height=\"{total:.0}\" font-family=\"sans-serif\" font-size=\"11\">\
         <image width=\"{WIDTH}\" height=\"{tall:.0}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:pixelated\" href=\"{address}\"/>",
    );
    let steps = 40_u32;
    let wide = 120.0 / f64::from(steps);
    for step in 0..steps {
        let share = f64::from(step) / f64::from(steps - 1);
        // Writing to a String does not fail.
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"8\" fill=\"{}\"/>",
            f64::from(step) * wide,
            tall + 6.0,
            wide + 0.3,
            css(scale.at(share))
        );
    }
    let _ = write!(
        svg,
        "<text x=\"0\" y=\"{low:.0}\">{}</text>\
         <text x=\"120\" y=\"{low:.0}\" text-anchor=\"end\">{}</text>\
         <text x=\"130\" y=\"{beside:.0}\" fill=\"#555\">{}</text></svg>",
        range.start,
        range.end,
        escape(label),
        low = tall + 27.0,
        beside = tall + 14.0,
    );
    Ok(Figure::new(svg))
}
