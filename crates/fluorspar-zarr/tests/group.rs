//! Named arrays and attributes: round trips, zero length, types, atomicity.

use std::fs;
use std::sync::Arc;

use fluorspar_zarr::{Element, ElementType, Error, GroupReader, GroupWriter};
use ndarray::{Array1, Array2, Array3, ArrayD, IxDyn, aview0, aview1};
use proptest::prelude::*;
use serde_json::json;
use zarrs::array::Array;
use zarrs::filesystem::FilesystemStore;

fn round_trip<T: Element>(values: &[T]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.zarr");
    let mut group = GroupWriter::create(&path).unwrap();
    group.array("a", &aview1(values), &["entry"]).unwrap();
    group.finish().unwrap();
    let back = GroupReader::open(&path).unwrap().array::<T>("a").unwrap();
    assert_eq!(back.as_slice().unwrap(), values);
}

#[test]
fn ends_of_every_type_come_back() {
    round_trip(&[u8::MIN, 7, u8::MAX]);
    round_trip(&[i8::MIN, 7, i8::MAX]);
    round_trip(&[u16::MIN, 7, u16::MAX]);
    round_trip(&[i16::MIN, 7, i16::MAX]);
    round_trip(&[u32::MIN, 7, u32::MAX]);
    round_trip(&[i32::MIN, 7, i32::MAX]);
    round_trip(&[u64::MIN, 7, u64::MAX]);
    round_trip(&[i64::MIN, 7, i64::MAX]);
    round_trip(&[f32::MIN, 0.1, f32::INFINITY, -0.0]);
    round_trip(&[f64::MIN, 0.1, f64::INFINITY, f64::MIN_POSITIVE]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_shape_comes_back(shape in prop::collection::vec(0usize..40, 1..4), seed in any::<u32>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.zarr");
        let count: usize = shape.iter().product();
        let values = (0..count as u32).map(|i| i.wrapping_mul(seed | 1)).collect();
        let array = ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap();
        let names = &["a", "b", "c"][..shape.len()];
        let mut group = GroupWriter::create(&path).unwrap();
        group.array("straight", &array, names).unwrap();
        // Not contiguous: axes reversed.
        group.array("turned", &array.t(), names).unwrap();
        group.finish().unwrap();
        let group = GroupReader::open(&path).unwrap();
        prop_assert_eq!(&group.array::<u32>("straight").unwrap(), &array);
        let turned = group.array::<u32>("turned").unwrap();
        prop_assert_eq!(turned.t(), array.view());
    }
}

#[test]
fn chunks_of_ones_own_shape_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.zarr");
    let v = Array2::from_shape_fn((13, 70), |(k, t)| (k * 70 + t) as f32);
    let mut group = GroupWriter::create(&path).unwrap();
    let axes = ["component", "frame"];
    group.array_in_chunks("v", &v, &axes, &[5, 32]).unwrap();
    // Larger than the array, or for an array without rows.
    group.array_in_chunks("w", &v, &axes, &[256, 4096]).unwrap();
    let none = Array2::<f32>::zeros((0, 70));
    group
        .array_in_chunks("none", &none, &axes, &[5, 32])
        .unwrap();
    for wrong in [vec![5], vec![0, 32]] {
        let error = group.array_in_chunks("x", &v, &axes, &wrong);
        assert!(matches!(error, Err(Error::Misuse { .. })));
    }
    group.finish().unwrap();
    assert_eq!(fs::read_dir(path.join("v/c")).unwrap().count(), 3);
    let group = GroupReader::open(&path).unwrap();
    assert_eq!(group.array::<f32>("v").unwrap(), v.clone().into_dyn());
    assert_eq!(group.array::<f32>("w").unwrap(), v.into_dyn());
    assert_eq!(group.array::<f32>("none").unwrap(), none.into_dyn());
}

#[test]
fn many_chunks_come_back_and_another_reader_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.zarr");
    // (roi, frame): 2 MB a row pair, so several chunks; and a long row cut in pieces.
    let traces = Array2::from_shape_fn((37, 100_000), |(r, t)| (r * 100_000 + t) as f32);
    let long = Array1::from_shape_fn(1_500_000, |i| i as u64 * 3);
    let mut group = GroupWriter::create(&path).unwrap();
    group.array("F", &traces.view(), &["roi", "frame"]).unwrap();
    group.array("long", &long, &["entry"]).unwrap();
    group.attribute("frame_rate", json!(30.5)).unwrap();
    group.finish().unwrap();
    assert!(path.join("F/c/3/0").is_file() && path.join("long/c/2").is_file());
    let group = GroupReader::open(&path).unwrap();
    assert_eq!(group.names().unwrap(), ["F", "long"]);
    assert_eq!(group.attribute("frame_rate"), Some(json!(30.5)));
    assert_eq!(group.attribute("other"), None);
    assert_eq!(group.attributes().len(), 1);
    assert_eq!(
        group.array::<f32>("F").unwrap().view(),
        traces.view().into_dyn()
    );
    assert_eq!(
        group.array::<u64>("long").unwrap().view(),
        long.view().into_dyn()
    );
    let store = Arc::new(FilesystemStore::new(&path).unwrap());
    let array = Array::open(store, "/F").unwrap();
    let all: Vec<f32> = array.retrieve_array_subset(&array.subset_all()).unwrap();
    assert_eq!(all, traces.into_raw_vec_and_offset().0);
}

#[test]
fn no_rois_is_a_valid_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rois.zarr");
    let mut group = GroupWriter::create(&path).unwrap();
    group
        .array("indptr", &aview1(&[0u64]), &["roi_boundary"])
        .unwrap();
    group
        .array("indices", &aview1::<u32>(&[]), &["entry"])
        .unwrap();
    group
        .array("F", &Array2::<f32>::zeros((0, 500)), &["roi", "frame"])
        .unwrap();
    group
        .array("none", &Array2::<f32>::zeros((3, 0)), &["roi", "frame"])
        .unwrap();
    group.finish().unwrap();
    let group = GroupReader::open(&path).unwrap();
    assert_eq!(group.array::<u32>("indices").unwrap().shape(), [0]);
    assert_eq!(group.array::<f32>("F").unwrap().shape(), [0, 500]);
    assert_eq!(group.array::<f32>("none").unwrap().shape(), [3, 0]);
    let store = Arc::new(FilesystemStore::new(&path).unwrap());
    assert_eq!(Array::open(store, "/F").unwrap().shape(), [0, 500]);
}

#[test]
fn names_and_types_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.zarr");
    let mut group = GroupWriter::create(&path).unwrap();
    let one = aview1(&[1.0f32]);
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../up",
        "/root",
        ".hidden",
        "__x",
        "zarr.json",
        "a\\b",
    ] {
        let error = group.array(name, &one, &["x"]).unwrap_err();
        assert!(matches!(error, Error::Misuse { .. }), "{name}: {error}");
    }
    assert!(group.array("a", &one, &["x", "y"]).is_err());
    assert!(group.array("a", &aview0(&1.0f32), &[]).is_err());
    group.array("a", &one, &["x"]).unwrap();
    assert!(group.array("a", &one, &["x"]).is_err());
    group.finish().unwrap();
    let group = GroupReader::open(&path).unwrap();
    let error = group.array::<i16>("a").unwrap_err();
    assert!(matches!(
        error,
        Error::ElementType {
            found: ElementType::F32,
            asked: ElementType::I16,
            ..
        }
    ));
    assert!(error.to_string().contains("g.zarr/a"), "{error}");
    let error = group.array::<f32>("b").unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("g.zarr/b"));
    assert!(matches!(
        group.array::<f32>("../g.zarr/a"),
        Err(Error::Misuse { .. })
    ));
    assert!(
        GroupReader::open(path.join("a")).is_err(),
        "an array is not a group"
    );
}

#[test]
fn a_drop_before_finish_leaves_the_old_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.zarr");
    let write = |value: f64, finish: bool| {
        let mut group = GroupWriter::create(&path).unwrap();
        let data = Array3::from_elem((2, 3, 4), value);
        group.array("a", &data, &["trial", "cell", "time"]).unwrap();
        if finish {
            group.finish().unwrap();
        }
    };
    let value = || GroupReader::open(&path).unwrap().array::<f64>("a").unwrap()[[1, 2, 3]];
    write(1.0, true);
    write(2.0, false);
    assert_eq!(value(), 1.0);
    write(3.0, true);
    assert_eq!(value(), 3.0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn bytes_do_not_depend_on_threads() {
    let make = |threads: usize| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.zarr");
        let data = Array2::from_shape_fn((50, 60_000), |(r, t)| ((r * t) % 977) as f32);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut group = GroupWriter::create(&path).unwrap();
            group.array("F", &data, &["roi", "frame"]).unwrap();
            group.finish().unwrap();
        });
        let mut files = Vec::new();
        for chunk in 0..3 {
            files.push(fs::read(path.join(format!("F/c/{chunk}/0"))).unwrap());
        }
        files.push(fs::read(path.join("zarr.json")).unwrap());
        files.push(fs::read(path.join("F/zarr.json")).unwrap());
        files
    };
    assert!(make(1) == make(4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_in_any_blocks_are_the_array_written_at_once(
        frames in 0_usize..3,
        cuts in prop::collection::vec(0_usize..9, 0..6),
    ) {
        // Chunks of 5 rows, of one element, or empty.
        let columns = [(1 << 20) / 5, 0, 3][frames];
        let rows: usize = cuts.iter().sum();
        let whole = Array2::from_shape_fn((rows, columns), |(y, x)| (y * 31 + x % 97) as f32);
        let folder = tempfile::tempdir().unwrap();
        let paths = ["whole.zarr", "rows.zarr"].map(|name| folder.path().join(name));
        let mut group = GroupWriter::create(&paths[0]).unwrap();
        group.array("a", &whole, &["roi", "frame"]).unwrap();
        group.finish().unwrap();
        let mut group = GroupWriter::create(&paths[1]).unwrap();
        let mut writer = group.begin_rows::<f32>("a", whole.shape(), &["roi", "frame"]).unwrap();
        let mut at = 0;
        for cut in &cuts {
            writer.write(&whole.slice(ndarray::s![at..at + cut, ..])).unwrap();
            at += cut;
        }
        group.end(writer).unwrap();
        group.finish().unwrap();
        prop_assert_eq!(bytes_below(&paths[0]), bytes_below(&paths[1]));
        let group = GroupReader::open(&paths[1]).unwrap();
        prop_assert_eq!(group.shape("a").unwrap(), whole.shape());
        let middle = rows / 3..rows - rows / 3;
        let part = group.rows::<f32>("a", middle.clone()).unwrap();
        prop_assert_eq!(part, whole.slice(ndarray::s![middle, ..]).into_dyn());
        prop_assert!(group.rows::<f32>("a", 0..rows + 1).is_err());
    }
}

/// Paths below a folder and what the files hold.
fn bytes_below(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                out.push((path.strip_prefix(folder).unwrap().to_path_buf(), bytes));
            }
        }
    }
    out.sort();
    out
}

#[test]
fn an_array_begun_must_be_ended_with_all_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.zarr");
    let mut group = GroupWriter::create(&path).unwrap();
    let axes = ["roi", "frame"];
    let mut rows = group.begin_rows::<f32>("a", &[3, 2], &axes).unwrap();
    assert!(group.begin_rows::<f32>("a", &[3, 2], &axes).is_err());
    assert!(rows.write(&Array2::<f32>::zeros((1, 3))).is_err());
    assert!(rows.write(&Array2::<f32>::zeros((4, 2))).is_err());
    rows.write(&Array2::<f32>::zeros((2, 2))).unwrap();
    assert_eq!(rows.written(), 2);
    assert!(matches!(group.end(rows), Err(Error::Misuse { .. })));
    assert!(matches!(group.finish(), Err(Error::Misuse { .. })));
    assert!(!path.exists());
}
