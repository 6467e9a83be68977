//! Sessions of cells that are where they were, for tests of `fluorspar track`.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::Path;

use fluorspar_zarr::GroupWriter;
use ndarray::{Array1, Array2, aview1};
use ndarray_npy::NpzWriter;

pub(crate) const SIDE: usize = 128;

/// Rows and columns of cells that are no lattice, the same in every run.
pub(crate) fn places() -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut hash = 7_u64;
    while out.len() < 40 {
        hash = hash
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (y, x) = (
            (hash >> 33) as usize % 108 + 10,
            (hash >> 45) as usize % 108 + 10,
        );
        let apart = |&(oy, ox): &(usize, usize)| y.abs_diff(oy) + x.abs_diff(ox) > 9;
        if out.iter().all(apart) {
            out.push((y, x));
        }
    }
    out
}

/// Flat indices of a disc.
pub(crate) fn disc((y, x): (usize, usize)) -> Vec<usize> {
    let inside = |dy: usize, dx: usize| (dy as f64 - 4.0).hypot(dx as f64 - 4.0) < 3.8;
    (0..9)
        .flat_map(|dy| (0..9).map(move |dx| (dy, dx)))
        .filter(|&(dy, dx)| inside(dy, dx))
        .map(|(dy, dx)| (y + dy - 4) * SIDE + x + dx - 4)
        .collect()
}

pub(crate) fn moved(by: (usize, usize)) -> Vec<(usize, usize)> {
    places()
        .iter()
        .map(|&(y, x)| (y + by.0, x + by.1))
        .collect()
}

/// A session's footprints and mean image as a `.npz`.
pub(crate) fn npz(path: &Path, cells: &[(usize, usize)]) {
    let mut indptr = vec![0_i64];
    let mut indices = Vec::new();
    let mut image = Array2::<f32>::from_elem((SIDE, SIDE), 10.0);
    for &cell in cells {
        let pixels = disc(cell);
        for &pixel in &pixels {
            image[[pixel / SIDE, pixel % SIDE]] += 100.0;
        }
        indices.extend(pixels.iter().map(|&pixel| pixel as i32));
        indptr.push(indices.len() as i64);
    }
    let mut out = NpzWriter::new(fs::File::create(path).unwrap());
    out.add_array("indptr", &Array1::from(indptr)).unwrap();
    out.add_array("weights", &Array1::<f64>::ones(indices.len()))
        .unwrap();
    out.add_array("indices", &Array1::from(indices)).unwrap();
    out.add_array("shape", &Array1::from(vec![SIDE as u32; 2]))
        .unwrap();
    out.add_array("mean_image", &image).unwrap();
    out.finish().unwrap();
}

pub(crate) fn three_sessions(here: &Path) {
    npz(&here.join("a.npz"), &moved((0, 0)));
    npz(&here.join("b.npz"), &moved((3, 1)));
    npz(&here.join("c.npz"), &moved((1, 4)));
}

pub(crate) const THREE: [&str; 5] = ["track", "a.npz", "b.npz", "c.npz", "out"];

pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A `rois.zarr` of these cells, the last of which does not count as one.
pub(crate) fn rois(path: &Path, cells: &[(usize, usize)]) {
    let (mut indptr, mut indices) = (vec![0_u64], Vec::<u32>::new());
    for &cell in cells {
        indices.extend(disc(cell).iter().map(|&pixel| pixel as u32));
        indptr.push(indices.len() as u64);
    }
    let mut is_cell = vec![1_u8; cells.len()];
    is_cell[cells.len() - 1] = 0;
    let weights = vec![1.0_f32; indices.len()];
    let mut group = GroupWriter::create(path).unwrap();
    let entry = ["entry"];
    group
        .array("indptr", &aview1(&indptr), &["boundary"])
        .unwrap();
    group.array("indices", &aview1(&indices), &entry).unwrap();
    group.array("weights", &aview1(&weights), &entry).unwrap();
    group
        .array("plane", &aview1(&vec![0_u32; cells.len()]), &["roi"])
        .unwrap();
    group.array("is_cell", &aview1(&is_cell), &["roi"]).unwrap();
    for key in ["height", "width"] {
        group.attribute(key, SIDE.into()).unwrap();
    }
    group.finish().unwrap();
}
