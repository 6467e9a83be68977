//! Readers of other programs' files, against files those programs' libraries
//! wrote, and against damage.
//!
//! The fixtures were made by NumPy 2.4, h5py 3.16 and ROICaT 1.7:
//!
//! ```python
//! import datetime, pathlib, pickle, h5py, numpy as np
//! m = np.array([[1, 2], [2, 0], [0, 1], [3, 3]], float)  # (cell, session), from 1
//! with h5py.File("cellRegistered.mat", "w", userblock_size=512, libver="earliest") as f:
//!     g = f.create_group("cell_registered_struct")
//!     g.attrs["MATLAB_class"] = np.bytes_("struct")
//!     d = g.create_dataset("cell_to_index_map", data=m.T, chunks=(2, 4),
//!                          compression="gzip", compression_opts=3)
//!     d.attrs["MATLAB_class"] = np.bytes_("double")
//! with open("cellRegistered.mat", "r+b") as f:
//!     f.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: x "
//!             b"HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM")
//! np.save("plane0_suite2p_indices.npy",
//!         np.array([[0, 1], [1, None], [None, 0], [2, 2]], dtype=object))
//! np.save("plane0_match_mat.npy",
//!         np.array([[0, np.int64(1)], [np.int64(1), None], [None, 0], [2, 2]], dtype=object))
//! np.save("nan.npy", np.array([[0, 1], [1, np.nan]]))
//!
//! def roi(y, x, n=4):
//!     yy, xx = np.mgrid[y:y + n, x:x + n]
//!     return dict(ypix=yy.ravel().astype(np.int64), xpix=xx.ravel().astype(np.int32),
//!                 lam=np.linspace(1, 2, n * n, dtype=np.float32), med=[int(y), int(x)],
//!                 radius=np.float64(2), iplane=0)
//! np.save("stat.npy", np.array([roi(4, 4), roi(20, 8), roi(10, 22)], dtype=object))
//! np.save("iscell.npy", np.array([[1, .9], [0, .2], [1, .8]]))
//! for p in (2, 3, 5):  # np.save writes 4
//!     with open(f"protocol{p}.npy", "wb") as f:
//!         stat = np.array([roi(4, 4), roi(20, 8)], dtype=object)
//!         header = np.lib.format.header_data_from_array_1_0(stat)
//!         np.lib.format.write_array_header_1_0(f, header)
//!         f.write(pickle.dumps(stat, protocol=p))
//! np.save("ops.npy", {
//!     "Ly": 32, "Lx": np.int64(30),
//!     "meanImg": np.arange(960, dtype=np.float32).reshape(32, 30).copy(order="F"),
//!     "date_proc": datetime.datetime(2026, 1, 1), "p": pathlib.PurePosixPath("a"),
//!     "diameter": [12, 12], "s": {1, 2}, "t": (1, 2.5, None, True)})
//!
//! import roicat.helpers
//! from roicat.tracking.clustering import make_label_variants
//! labels, by_session, _, _, labels_dict = make_label_variants(
//!     labels=np.array([0, -1, 2, 2, 0, 5, -1, -1]), n_roi_bySession=[3, 5])
//! roicat.helpers.json_save(
//!     obj={"labels": labels, "labels_bySession": by_session, "labels_dict": labels_dict,
//!          "quality_metrics": {"a": [0.1, float("nan")], "b": float("inf"), "c": 'a NaN \\" x'}},
//!     filepath="example.ROICaT.tracking.results_clusters.json")
//! ```

use std::path::{Path, PathBuf};

use fluorspar_movie::Footprints;
use ndarray::array;
use proptest::prelude::*;

use super::*;
use crate::numpy;
use crate::tracking::input::{parse_npz, read_session};
use crate::tracking::tables::undetected;

const CELLREG: &[u8] = include_bytes!("fixtures/cellRegistered.mat");
const STAT: &[u8] = include_bytes!("fixtures/stat.npy");
const OPS: &[u8] = include_bytes!("fixtures/ops.npy");
const ROICAT: &[u8] = include_bytes!("fixtures/example.ROICaT.tracking.results_clusters.json");
const MATCHES: &[u8] = include_bytes!("fixtures/plane0_match_mat.npy");

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/tracking/foreign/fixtures")
        .join(name)
}

#[test]
fn other_programs_results_are_read() {
    let expected = array![[0, 1], [1, -1], [-1, 0], [2, 2]];
    for (name, counted) in [
        ("cellRegistered.mat", Counted::All),
        ("plane0_suite2p_indices.npy", Counted::All),
        ("plane0_match_mat.npy", Counted::Cells),
    ] {
        let found = read_identities(&fixture(name)).unwrap();
        assert_eq!(found.roi_index, expected, "{name}");
        assert_eq!(found.counted, counted, "{name}");
    }
    let found = read_identities(&fixture("nan.npy")).unwrap();
    assert_eq!(found.roi_index, array![[0, 1], [1, -1]]);
    let folder = read_identities(&fixture("")).unwrap();
    assert_eq!(folder.roi_index, expected);

    let found = read_identities(&fixture("example.ROICaT.tracking.results_clusters.json")).unwrap();
    assert_eq!(found.roi_index, array![[0, 1], [2, 0], [-1, 2]]);
    assert_eq!(found.counted, Counted::Among(vec![3, 5]));
    let text = r#"{"labels": [0, -1, 4], "labels_bySession": [[3, -1, 0], [0, 3]], "x": {}}"#;
    let found = table::roicat(text.as_bytes()).unwrap();
    assert_eq!(found.roi_index, array![[2, 0], [0, 1]]);
    assert_eq!(found.counted, Counted::Among(vec![3, 2]));
    let inner = format!("{{\"clusters\": {text}, \"ROIs\": null}}");
    assert_eq!(table::roicat(inner.as_bytes()).unwrap(), found);
    let text = "roi, session ,cell,note\n2,0,7,a\n,1,7,b\n1,1,-3,c\n";
    let found = table::csv(text.as_bytes()).unwrap();
    assert_eq!(found.roi_index, array![[-1, 1], [2, -1]]);
}

#[test]
fn rois_are_counted_as_the_sessions_are() {
    let mut footprints = Footprints::new(4, 4);
    for roi in 0..4 {
        footprints.push(&[roi], &[1.0], 0).unwrap();
    }
    let session = Session::new(Path::new("a"), footprints).only(vec![1, 3]);
    let sessions = [session];
    let with = |roi: i32, counted: Counted| {
        let found = Identities {
            roi_index: array![[roi], [-1]],
            counted,
        };
        found
            .among_all(&sessions)
            .map(|found| found.roi_index[[0, 0]])
    };
    assert_eq!(with(2, Counted::All), Ok(2));
    assert_eq!(with(1, Counted::Cells), Ok(3));
    assert_eq!(with(1, Counted::Among(vec![2])), Ok(3));
    assert_eq!(with(1, Counted::Among(vec![4])), Ok(1));
    assert!(
        with(1, Counted::Among(vec![3]))
            .unwrap_err()
            .contains("knows 3 ROIs")
    );
    assert!(with(2, Counted::Cells).unwrap_err().contains("names ROI 2"));
    assert!(with(4, Counted::All).is_err());
}

#[test]
fn a_plane_of_suite2p_is_read() {
    let session = read_session(&fixture(""), false).unwrap();
    assert_eq!((session.all, &session.numbers), (3, &vec![0, 2]));
    let all = &session.footprints;
    assert_eq!((all.height(), all.width()), (32, 30));
    assert_eq!(all.get(0).indices[..5], [124, 125, 126, 127, 154]);
    assert_eq!(all.get(0).weights[0], 0.5);
    assert_eq!(all.get(0).weights[15], 1.0);
    let image = session.mean_image.unwrap();
    assert_eq!(image.dim(), (1, 32, 30));
    assert_eq!(image[[0, 2, 3]], 63.0);
    assert_eq!(read_session(&fixture(""), true).unwrap().numbers.len(), 3);
}

#[test]
fn pickles_of_all_ages_say_the_same() {
    let keys = ["ypix", "xpix", "lam", "iplane"];
    let wanted = numpy::parse(STAT, &keys).unwrap();
    let numpy::Array::Dicts(wanted) = wanted else {
        panic!("not dictionaries");
    };
    assert_eq!(
        wanted[1].get("ypix").unwrap().values[..5],
        [20.0, 20.0, 20.0, 20.0, 21.0]
    );
    assert_eq!(wanted[0].number("iplane"), Some(0.0));
    for protocol in [2, 3, 5] {
        let path = fixture(&format!("protocol{protocol}.npy"));
        let numpy::Array::Dicts(found) = numpy::read_npy(&path, &keys).unwrap() else {
            panic!("not dictionaries");
        };
        assert_eq!(found, wanted[..2], "protocol {protocol}");
    }
}

#[test]
fn nothing_named_by_a_pickle_is_called() {
    // cos\nsystem\n(S'exit'\ntR.
    let mut bytes = MATCHES[..128].to_vec();
    bytes.extend(b"cos\nsystem\n(S'touch hacked'\ntR.");
    let said = numpy::parse(&bytes, &[]).unwrap_err();
    assert!(said.contains("not known here"), "{said}");
    assert!(!Path::new("hacked").exists());
}

#[test]
fn pickles_that_grow_or_nest_cost_nothing() {
    // Tuples in tuples, a million deep; and each of a list twice the last.
    let mut deep = MATCHES[..128].to_vec();
    deep.push(b'N');
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    assert!(numpy::parse(&deep, &[]).is_err());
    let mut wide = MATCHES[..128].to_vec();
    wide.push(b'N');
    wide.extend([b'2', 0x86].repeat(64));
    wide.push(b'.');
    assert!(numpy::parse(&wide, &[]).is_err());
}

#[test]
fn tables_that_make_no_sense_are_refused() {
    let numbers = |shape: Vec<usize>, values: Vec<f64>| numpy::Numbers { shape, values };
    for matrix in [
        numbers(vec![2], vec![0.0, 1.0]),
        numbers(vec![1, 1], vec![0.5]),
        numbers(vec![1, 1], vec![-2.0]),
        numbers(vec![1, 1], vec![1e12]),
        numbers(vec![2, 1], vec![3.0, 3.0]),
    ] {
        assert!(table::track2p(&matrix, Counted::All).is_err(), "{matrix:?}");
    }
    for text in [
        "{}",
        "[]",
        r#"{"labels_bySession": [[0.5]]}"#,
        r#"{"labels_bySession": [[0, 0]]}"#,
        r#"{"clusters": {}}"#,
    ] {
        assert!(table::roicat(text.as_bytes()).is_err(), "{text}");
    }
    let old = hdf5::cellreg(b"MATLAB 5.0 MAT-file".to_vec()).unwrap_err();
    assert!(old.contains("-v7.3"), "{old}");
    let huge = "cell,session,roi\n0,70000,1\n";
    assert!(table::csv(huge.as_bytes()).is_err());
}

/// All readers, on any bytes.
fn read_all(bytes: &[u8]) {
    let keys = ["ypix", "xpix", "lam", "Ly", "meanImg"];
    if let Ok(numpy::Array::Numbers(numbers)) = numpy::parse(bytes, &keys) {
        let _ = table::track2p(&numbers, Counted::All);
    }
    let _ = table::roicat(bytes);
    let _ = table::csv(bytes);
    let _ = hdf5::cellreg(bytes.to_vec());
    let _ = numpy::Npz::parse(bytes.to_vec()).map(parse_npz);
}

/// Two ROIs, as the program itself writes them.
fn npz() -> Vec<u8> {
    let mut footprints = Footprints::new(4, 4);
    footprints.push(&[1, 2], &[1.0, 0.5], 0).unwrap();
    footprints.push(&[9], &[1.0], 1).unwrap();
    let cells = vec![3, 5];
    undetected(&fluorspar_track::Transferred { cells, footprints }).unwrap()
}

#[test]
fn transferred_footprints_are_sessions() {
    let (found, image) = parse_npz(numpy::Npz::parse(npz()).unwrap()).unwrap();
    assert_eq!((found.len(), found.planes()), (2, &[0, 1][..]));
    assert_eq!(found.get(0).weights, [1.0, 0.5]);
    assert!(image.is_none());
}

/// A file with a few bytes replaced, cut somewhere.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let files = [CELLREG, STAT, OPS, MATCHES, ROICAT].map(<[u8]>::to_vec);
    let files = [&files[..], &[npz()]].concat();
    let hits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (
        0..files.len(),
        hits,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(move |(file, hits, end, cut)| {
            let mut bytes = files[file].clone();
            for (at, value) in hits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if cut {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
        // Behind the marks by which files are known.
        read_all(&[&MATCHES[..128], &bytes].concat());
        read_all(&[b"\x89HDF\r\n\x1a\n", &bytes[..]].concat());
    }

    #[test]
    fn damaged_files_make_no_reader_panic(bytes in damaged()) {
        read_all(&bytes);
    }
}
