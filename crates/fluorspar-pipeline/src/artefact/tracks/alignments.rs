//! Alignments in `tracks.zarr`.

use std::path::Path;

use fluorspar_track::{Tracks, Transform};
use fluorspar_zarr::{Element, GroupReader, GroupWriter};
use ndarray::{Array2, Array3, Array4, ArrayD, Axis, Dimension, aview1};

use super::Written;
use crate::Error;
use crate::artefact::read_1d;
use crate::error::Context;

pub(super) fn write_alignments(group: &mut GroupWriter, tracks: &Tracks) -> Written {
    let all = &tracks.alignments;
    let matrix = Array3::from_shape_fn((all.len(), 2, 2), |(session, row, column)| {
        all[session].transform.matrix[row][column]
    });
    let axes = ["session", "to_y_x", "from_y_x"];
    group.array("alignment_matrix", &matrix.view(), &axes)?;
    let place = |pick: &dyn Fn(usize) -> (f64, f64)| {
        Array2::from_shape_fn((all.len(), 2), |(session, axis)| {
            let (y, x) = pick(session);
            [y, x][axis]
        })
    };
    let axes = ["session", "y_x"];
    for (name, values) in [
        ("alignment_offset", place(&|s| all[s].transform.offset)),
        ("alignment_centre", place(&|s| all[s].transform.centre)),
        ("field_origin", place(&|s| all[s].transform.origin)),
    ] {
        group.array(name, &values.view(), &axes)?;
    }
    let spacing: Vec<f64> = all.iter().map(|a| a.transform.spacing).collect();
    session_array(group, "field_spacing", &spacing)?;
    let planes: Vec<i32> = all.iter().map(|a| a.transform.plane_offset).collect();
    session_array(group, "plane_offset", &planes)?;
    let significance: Vec<f64> = all.iter().map(|a| a.significance).collect();
    session_array(group, "significance", &significance)?;
    let axes = ["session", "component", "row", "column"];
    group.array("field", &fields(tracks).view(), &axes)?;
    let axes = ["session", "plane", "y_x"];
    group.array("plane_shift", &plane_shifts(tracks).view(), &axes)
}

fn session_array<T: Element>(group: &mut GroupWriter, name: &str, values: &[T]) -> Written {
    group.array(name, &aview1(values), &["session"])
}

/// The bent parts of all alignments `(session, 2, row, column)`.
///
/// One array holds them all. A smaller grid is continued by its edge, which is
/// what a field is beyond its grid anyway; a session without one has zeros.
fn fields(tracks: &Tracks) -> Array4<f64> {
    let all = &tracks.alignments;
    let sizes = all.iter().map(|a| a.transform.field.dim());
    let (rows, columns) = sizes.fold((1, 1), |(rows, columns), (_, r, c)| {
        (rows.max(r), columns.max(c))
    });
    Array4::from_shape_fn((all.len(), 2, rows, columns), |(session, axis, r, c)| {
        let field = &all[session].transform.field;
        let (axes, rows, columns) = field.dim();
        if axes < 2 || rows == 0 || columns == 0 {
            return 0.0;
        }
        field[[axis, r.min(rows - 1), c.min(columns - 1)]]
    })
}

/// The shifts of planes of all alignments `(session, plane, 2)`; a smaller
/// stack is continued by its last plane, as planes beyond it shift anyway.
fn plane_shifts(tracks: &Tracks) -> Array3<f64> {
    let all = &tracks.alignments;
    let planes = all.iter().map(|a| a.transform.plane_shift.len());
    let planes = planes.max().unwrap_or(0).max(1);
    Array3::from_shape_fn((all.len(), planes, 2), |(session, plane, axis)| {
        let shifts = &all[session].transform.plane_shift;
        let shift = shifts.get(plane).or(shifts.last());
        shift.map_or(0.0, |&(y, x)| [y, x][axis])
    })
}

/// Reads what [`write_alignments`] wrote. A field or shifts of zeros become
/// none.
pub(super) fn read_transforms(group: &GroupReader, path: &Path) -> Result<Vec<Transform>, Error> {
    let matrix: Array3<f64> = axes(group, "alignment_matrix", path)?;
    let offset: Array2<f64> = axes(group, "alignment_offset", path)?;
    let centre: Array2<f64> = axes(group, "alignment_centre", path)?;
    let origin: Array2<f64> = axes(group, "field_origin", path)?;
    let spacing = read_1d::<f64>(group, "field_spacing", path)?;
    let plane_offset = read_1d::<i32>(group, "plane_offset", path)?;
    let field: Array4<f64> = axes(group, "field", path)?;
    let sessions = matrix.len_of(Axis(0));
    // Files of single planes were once written without.
    let named = group.names().at(path.display())?;
    let plane_shift: Array3<f64> = if named.iter().any(|name| name == "plane_shift") {
        axes(group, "plane_shift", path)?
    } else {
        Array3::zeros((sessions, 1, 2))
    };
    for (name, found, wanted) in [
        ("alignment_matrix", matrix.shape(), &[sessions, 2, 2][..]),
        ("alignment_offset", offset.shape(), &[sessions, 2]),
        ("alignment_centre", centre.shape(), &[sessions, 2]),
        ("field_origin", origin.shape(), &[sessions, 2]),
        ("field_spacing", spacing.shape(), &[sessions]),
        ("plane_offset", plane_offset.shape(), &[sessions]),
        ("field", &field.shape()[..2], &[sessions, 2]),
        (
            "plane_shift",
            &[plane_shift.len_of(Axis(0)), plane_shift.len_of(Axis(2))],
            &[sessions, 2],
        ),
    ] {
        if found != wanted {
            let message = format!("{name} is {found:?} where {wanted:?} was expected");
            return Err(Error::bad_data(path, message));
        }
    }
    let pair = |of: &Array2<f64>, session: usize| (of[[session, 0]], of[[session, 1]]);
    let transform = |session: usize| {
        let bent = field.index_axis(Axis(0), session);
        let shifts = plane_shift.index_axis(Axis(0), session);
        let is_bent = bent.iter().any(|&v| v != 0.0);
        let is_shifted = shifts.iter().any(|&v| v != 0.0);
        Transform {
            matrix: [0, 1].map(|row| [0, 1].map(|column| matrix[[session, row, column]])),
            centre: pair(&centre, session),
            offset: pair(&offset, session),
            field: if is_bent {
                bent.to_owned()
            } else {
                Array3::zeros((2, 0, 0))
            },
            origin: pair(&origin, session),
            spacing: spacing[session],
            plane_offset: plane_offset[session],
            plane_shift: if is_shifted {
                shifts.rows().into_iter().map(|s| (s[0], s[1])).collect()
            } else {
                Vec::new()
            },
        }
    };
    Ok((0..sessions).map(transform).collect())
}

/// An array with as many axes as its type says.
fn axes<D: Dimension>(
    group: &GroupReader,
    name: &str,
    path: &Path,
) -> Result<ndarray::Array<f64, D>, Error> {
    let array: ArrayD<f64> = group.array(name).at(path.display())?;
    array.into_dimensionality().map_err(|_| {
        let message = format!("the array {name:?} has the wrong number of axes");
        Error::bad_data(path, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluorspar_movie::Footprints;
    use fluorspar_track::{Parameters, SessionRois, track};

    #[test]
    fn smaller_grids_and_stacks_are_continued_by_their_edges() {
        let empty = Footprints::new(8, 8);
        let sessions = [SessionRois::new(&empty), SessionRois::new(&empty)];
        let mut tracks = track(&sessions, &Parameters::default()).unwrap();
        tracks.alignments[0].transform.field = Array3::zeros((2, 0, 0));
        tracks.alignments[1].transform.field = Array3::from_elem((2, 2, 3), 0.5);
        assert_eq!(fields(&tracks)[[1, 1, 1, 2]], 0.5);
        assert_eq!(fields(&tracks)[[0, 1, 1, 2]], 0.0);
        tracks.alignments[0].transform.plane_shift = vec![(1.0, 2.0)];
        tracks.alignments[1].transform.plane_shift = vec![(0.0, 0.0), (3.0, 4.0)];
        let shifts = plane_shifts(&tracks);
        assert_eq!(shifts.dim(), (2, 2, 2));
        assert_eq!((shifts[[0, 1, 1]], shifts[[1, 1, 0]]), (2.0, 3.0));
    }
}
