//! One or several figures as an SVG file.

use std::fmt::Write as _;

use fluorspar::report::Figure;
use fluorspar::report::figure::Curve;

use crate::Result;

/// Height of the line above a figure with a title, pixels.
const TITLE: f64 = 20.0;

/// Figures in so many columns, each with its title above, on white: a page
/// with a dark background would hide the axes.
pub(crate) fn picture(columns: usize, figures: &[Figure]) -> Result<String> {
    let mut body = String::new();
    let (mut width, mut bottom) = (0.0_f64, 0.0);
    for row in figures.chunks(columns) {
        let titled = row.iter().any(|figure| !figure.title().is_empty());
        let top = bottom + if titled { TITLE } else { 0.0 };
        let mut left = 0.0;
        for figure in row {
            let (wide, tall) = (side(figure, "width")?, side(figure, "height")?);
            write!(
                body,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#222\" \
                 font-family=\"sans-serif\" font-size=\"12\" font-weight=\"bold\">{}</text>\n\
                 <svg x=\"{left:.1}\" y=\"{top:.1}\"{}\n",
                left + 0.5 * wide,
                top - 5.0,
                figure.title(),
                figure.svg().strip_prefix("<svg").ok_or("no SVG")?,
            )?;
            left += wide;
            width = width.max(left);
            bottom = f64::max(bottom, top + tall);
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{bottom:.0}\" \
         viewBox=\"0 0 {width:.0} {bottom:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    ))
}

/// A grey line at one height.
pub(crate) fn level(name: &str, across: &[f64], height: f64) -> Curve {
    Curve::new(name, across.to_vec(), vec![height; across.len()]).as_reference()
}

/// The width or height that the drawing states.
fn side(figure: &Figure, name: &str) -> Result<f64> {
    let after = figure
        .svg()
        .split_once(&format!(" {name}=\""))
        .ok_or("a drawing without size")?
        .1;
    let (number, _) = after.split_once('"').ok_or("a drawing without size")?;
    Ok(number.parse()?)
}
