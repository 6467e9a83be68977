//! Real arrays of other programs, from the folder named by FLUORSPAR_TEST_DATA;
//! skipped where there is none. Pixels are compared with zarr-python by
//! `benches/peers/zarr_stores.py agree`; here with each other and with what is known of them.

use std::fs;
use std::path::{Path, PathBuf};

use fluorspar_zarr::{Error, GroupReader, MissingChunks, OpenOptions};
use ndarray::ArrayD;

fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let root = std::env::var_os("FLUORSPAR_TEST_DATA").map_or(beside, PathBuf::from);
    let folder = root.join("zarr");
    folder.is_dir().then_some(folder)
}

fn filled() -> OpenOptions {
    OpenOptions {
        missing_chunks: MissingChunks::Fill,
        ..OpenOptions::default()
    }
}

/// Whatever number type, as f64; `None` if the array is refused.
fn numbers(group: &GroupReader, name: &str) -> Option<ArrayD<f64>> {
    let refused = |error: &Error| {
        let unsupported = matches!(error, Error::Unsupported { .. } | Error::Metadata { .. });
        assert!(
            unsupported || matches!(error, Error::NotZarr { .. }),
            "{error}"
        );
    };
    macro_rules! try_types {
        ($($t:ty),*) => {$(
            match group.array::<$t>(name) {
                Ok(array) => return Some(array.mapv(|v| v as f64)),
                Err(Error::ElementType { .. }) => {}
                Err(error) => {
                    refused(&error);
                    return None;
                }
            }
        )*};
    }
    try_types!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);
    None
}

#[test]
fn counting_arrays_count() {
    let Some(data) = data() else { return };
    let mut read = 0;
    for format in ["v2", "v3"] {
        let group = GroupReader::open_with(data.join(format).join("data.zarr"), &filled()).unwrap();
        for name in group.names().unwrap() {
            let counted = [".i2", ".i4"].iter().any(|kind| name.contains(kind));
            let plain = counted
                && !["fixedscaleoffset", "bitround", "filled", "ragged"]
                    .iter()
                    .any(|word| name.contains(word));
            let kind = name.split('.').next().unwrap_or_default().to_owned();
            let (true, Some(array)) = (plain, numbers(&group, &name)) else {
                continue;
            };
            if !["1d", "2d", "3d"].contains(&kind.as_str()) {
                continue;
            }
            let first = array.iter().next().copied().unwrap_or_default();
            let counts = array
                .iter()
                .enumerate()
                .all(|(i, &v)| v == first + i as f64);
            assert!(counts, "{format} {name}: {array}");
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
}

#[test]
fn an_archive_holds_what_its_folder_holds() {
    let Some(data) = data() else { return };
    let folder = GroupReader::open_with(data.join("v2/data.zarr"), &filled()).unwrap();
    for archive in [
        "data.zipped_from_within.zarr.zip",
        "data.zipped_from_parent.zarr.zip",
    ] {
        let path = data.join("v2").join(archive);
        let zipped = GroupReader::open_with(&path, &filled()).unwrap();
        let names = folder.names().unwrap();
        assert_eq!(zipped.names().unwrap(), names);
        let mut equal = 0;
        for name in names {
            let (a, b) = (numbers(&folder, &name), numbers(&zipped, &name));
            assert_eq!(a, b, "{name}");
            equal += usize::from(a.is_some());
        }
        assert!(equal > 10);
        let inner = GroupReader::open_with(path.join("my group with spaces"), &filled()).unwrap();
        assert!(!inner.attributes().is_empty());
    }
}

#[test]
fn one_image_in_four_codecs() {
    let Some(data) = data() else { return };
    let group = GroupReader::open(data.join("implementations/zarr.zr")).unwrap();
    let names = group.names().unwrap();
    assert_eq!(names, ["blosc", "gzip", "raw", "zlib"]);
    let images: Vec<ArrayD<u8>> = names.iter().map(|n| group.array(n).unwrap()).collect();
    assert_eq!(images[0].ndim(), 3);
    assert!(images.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn every_array_is_read_or_refused_with_a_reason() {
    let Some(data) = data() else { return };
    let (mut read, mut refused) = (0, 0);
    let mut folders = vec![data];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        let Ok(group) = GroupReader::open_with(&folder, &filled()) else {
            continue;
        };
        for name in group.names().unwrap() {
            match numbers(&group, &name) {
                Some(_) => read += 1,
                None => refused += 1,
            }
        }
    }
    assert!(read > 40 && refused > 0, "{read} {refused}");
}
