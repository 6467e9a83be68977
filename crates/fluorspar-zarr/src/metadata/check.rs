//! Sizes in metadata, checked before anything is computed from them.

use std::path::Path;

use serde_json::Value;

use crate::{ElementType, Error};

/// Axes beyond this are refused; nothing in this field has so many.
const MAX_AXES: usize = 8;

/// A list of whole numbers, one per axis.
pub(super) fn extents(file: &Path, value: Option<&Value>, what: &str) -> Result<Vec<usize>, Error> {
    let list = value
        .and_then(Value::as_array)
        .ok_or_else(|| Error::metadata(file, format!("{what} must be a list of whole numbers")))?;
    if list.is_empty() || list.len() > MAX_AXES {
        return Err(Error::unsupported(
            file,
            format!("{what} has {} axes, 1 to {MAX_AXES} are read", list.len()),
        ));
    }
    list.iter()
        .map(|extent| {
            extent
                .as_u64()
                .and_then(|extent| usize::try_from(extent).ok())
                .ok_or_else(|| {
                    Error::metadata(
                        file,
                        format!("{what} contains {extent}, not a whole number"),
                    )
                })
        })
        .collect()
}

/// A chunk shape must have the array's axes and no zero; together with the
/// shape, no arithmetic on positions may overflow.
pub(super) fn check_chunk(
    file: &Path,
    shape: &[usize],
    chunk: &[usize],
    what: &str,
) -> Result<(), Error> {
    if chunk.len() != shape.len() {
        return Err(Error::metadata(
            file,
            format!("{what} has {} axes, shape has {}", chunk.len(), shape.len()),
        ));
    }
    if chunk.contains(&0) {
        return Err(Error::metadata(
            file,
            format!("{what} {chunk:?} contains 0"),
        ));
    }
    // Padded to whole chunks and in the widest element, the array must still be countable.
    let padded = shape
        .iter()
        .zip(chunk)
        .try_fold(16usize, |total, (&s, &c)| {
            total.checked_mul(s.max(1).checked_next_multiple_of(c)?)
        });
    if padded.is_none_or(|total| isize::try_from(total).is_err()) {
        return Err(Error::metadata(
            file,
            format!("shape {shape:?} in chunks {chunk:?} is too large to address"),
        ));
    }
    Ok(())
}

/// Whether an array of `shape` stays within `limit` bytes.
pub(crate) fn check_limit(
    file: &Path,
    what: &'static str,
    shape: &[usize],
    element: ElementType,
    limit: u64,
) -> Result<(), Error> {
    let asked = shape
        .iter()
        .fold(element.bytes() as u128, |total, &extent| {
            total.saturating_mul(extent as u128)
        });
    if asked > u128::from(limit) {
        return Err(Error::Limit {
            path: file.into(),
            what,
            asked,
            limit,
        });
    }
    Ok(())
}
