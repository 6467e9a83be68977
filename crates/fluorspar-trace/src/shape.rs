use ndarray::ArrayView2;

use crate::Error;

/// Two arrays of traces must have the same ROIs and frames.
pub(crate) fn same_shape(
    what: &'static str,
    found: &ArrayView2<'_, f32>,
    against: &'static str,
    expected: &ArrayView2<'_, f32>,
) -> Result<(), Error> {
    if found.dim() == expected.dim() {
        return Ok(());
    }
    let extent = |array: &ArrayView2<'_, f32>| format!("{} × {}", array.nrows(), array.ncols());
    Err(Error::Shape {
        what,
        found: extent(found),
        against,
        expected: extent(expected),
    })
}

/// The frame rate must be a sound number.
pub(crate) fn check_frame_rate(frame_rate: f64) -> Result<(), Error> {
    if (1e-6..=1e6).contains(&frame_rate) {
        return Ok(());
    }
    Err(Error::Parameter {
        name: "frame_rate",
        value: frame_rate.to_string(),
        rule: "a positive number of frames per second, at most 1000000",
    })
}

/// A number must lie within its range.
pub(crate) fn check_range(
    name: &'static str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    rule: &'static str,
) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::Parameter {
        name,
        value: value.to_string(),
        rule,
    })
}
