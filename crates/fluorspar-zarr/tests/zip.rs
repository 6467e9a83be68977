//! Zip archives: the same movie as the folder they were made of; broken ones are refused.

use std::fs;
use std::io::Write;
use std::path::Path;

use fluorspar_movie::{Movie, MovieExt, MovieShape, MovieSink, PixelType};
use fluorspar_zarr::{Error, GroupReader, MovieReader, MovieWriter};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn movie(path: &Path) -> Vec<f32> {
    let shape = MovieShape::new(70, 1, 8, 9);
    let data: Vec<f32> = (0..70 * 72u32)
        .map(|i| ((i * 7919) % 1009) as f32)
        .collect();
    let mut writer = MovieWriter::create(path, shape, PixelType::U16, Some(30.0)).unwrap();
    writer.write(0, &data).unwrap();
    writer.finish().unwrap();
    data
}

/// An archive of a movie, below `prefix`.
fn archive(prefix: &str, method: CompressionMethod, large: bool) -> (Vec<u8>, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let data = movie(&path);
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .large_file(large);
    for name in ["zarr.json", "c/0/0/0", "c/1/0/0"] {
        zip.start_file(format!("{prefix}{name}"), options).unwrap();
        zip.write_all(&fs::read(path.join(name)).unwrap()).unwrap();
    }
    zip.set_comment("made by a test");
    (zip.finish().unwrap().into_inner(), data)
}

#[test]
fn a_movie_in_an_archive() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        for (prefix, inside) in [
            ("", ""),
            ("m.zarr/", ""),
            ("a/b/", "a/b"),
            ("m.zarr/x/", "x"),
        ] {
            for large in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("m.zip");
                let (bytes, data) = archive(prefix, method, large);
                fs::write(&file, bytes).unwrap();
                let movie = MovieReader::open(file.join(inside)).unwrap();
                assert_eq!(movie.frame_rate(), Some(30.0));
                let all = movie.read_array(0..70).unwrap();
                assert_eq!(all.as_slice().unwrap(), data);
                let one = movie.read_array(65..66).unwrap();
                assert_eq!(one.as_slice().unwrap(), &data[65 * 72..66 * 72]);
                assert!(MovieReader::open(file.join("nowhere")).is_err());
            }
        }
    }
}

#[test]
fn a_missing_entry_is_a_missing_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.zip");
    let (mut bytes, _) = archive("", CompressionMethod::Stored, false);
    // Both the local and the central name.
    while let Some(at) = bytes.windows(7).position(|w| w == b"c/1/0/0") {
        bytes[at] = b'd';
    }
    fs::write(&file, bytes).unwrap();
    let movie = MovieReader::open(&file).unwrap();
    let error = movie.read_array(0..70).unwrap_err().to_string();
    assert!(
        error.contains("missing") && error.contains("m.zip/c/1/0/0"),
        "{error}"
    );
    fs::write(&file, "no archive").unwrap();
    assert!(matches!(
        GroupReader::open(&file),
        Err(Error::NotZarr { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any damage to an archive is an error or harmless.
    #[test]
    fn damaged_archives_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        late in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
        method in prop::sample::select(vec![CompressionMethod::Stored, CompressionMethod::Deflated]),
        large in any::<bool>(),
    ) {
        let (mut bytes, _) = archive("", method, large);
        let length = bytes.len();
        let start = if late { length.saturating_sub(260) } else { 0 };
        for (place, value) in edits {
            bytes[start + place.index(length - start)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(length));
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.zip");
        fs::write(&file, bytes).unwrap();
        if let Ok(movie) = MovieReader::open(&file) {
            let length = movie.shape().frame_len();
            let _ = movie.read(0..1, &mut vec![0.0; length]);
        }
    }
}
