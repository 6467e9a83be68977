//! Rules that fields of a plan must keep.

use std::fmt::Display;

use crate::Error;

/// The error that `field` breaks a rule.
pub(crate) fn wrong(
    field: &'static str,
    value: impl Into<String>,
    rule: impl Into<String>,
) -> Error {
    Error::Plan {
        field,
        value: value.into(),
        rule: rule.into(),
    }
}

/// Checks that a value is from `least` to `most`; what is not a number is not.
fn within<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<(), Error> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(wrong(
        field,
        value.to_string(),
        format!("from {least} to {most}"),
    ))
}

/// Checks that a count is from `least` to `most`.
pub(crate) fn whole(
    field: &'static str,
    value: usize,
    least: usize,
    most: usize,
) -> Result<(), Error> {
    within(field, value, least, most)
}

/// Checks that a number is from `least` to `most`, and a number at all.
pub(crate) fn real(field: &'static str, value: f64, least: f64, most: f64) -> Result<(), Error> {
    within(field, value, least, most)
}

/// Checks that a number is from 0 to 1.
pub(crate) fn fraction(field: &'static str, value: f64) -> Result<(), Error> {
    real(field, value, 0.0, 1.0)
}

/// Checks that no more than `limit` bytes would be kept.
pub(crate) fn size(bytes: u128, limit: u128) -> Result<(), Error> {
    if bytes > limit {
        return Err(Error::TooLarge { bytes, limit });
    }
    Ok(())
}
