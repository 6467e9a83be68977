//! Arrays that other programs write: v2 in all its spellings, other codecs,
//! shards and grids, OME-Zarr groups. Built by hand or by `zarrs`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fluorspar_movie::{Movie, MovieExt, MovieShape, PixelType};
use fluorspar_zarr::{Error, GroupReader, MissingChunks, MovieReader, OpenOptions};
use ndarray::Array3;
use serde_json::{Value, json};
use zarrs::array::{Array, ArrayMetadata};
use zarrs::filesystem::FilesystemStore;

fn json_file(path: &Path, value: &Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, value.to_string()).unwrap();
}

fn sample(t: usize, y: usize, x: usize) -> u16 {
    (t * 300 + y * 20 + x) as u16
}

/// Frames 5, 4 × 6 pixels, chunks (2, 3, 4), padded with 9999.
fn v2(folder: &Path, big_endian: bool, fortran: bool, separator: &str) {
    json_file(
        &folder.join(".zarray"),
        &json!({
            "zarr_format": 2, "shape": [5, 4, 6], "chunks": [2, 3, 4],
            "dtype": if big_endian { ">u2" } else { "<u2" },
            "order": if fortran { "F" } else { "C" },
            "dimension_separator": separator,
            "fill_value": 0, "filters": null, "compressor": null,
        }),
    );
    json_file(&folder.join(".zattrs"), &json!({"frame_rate": 15.5}));
    for (a, b, c) in itertools(3, 2, 2) {
        let mut bytes = Vec::new();
        for i in 0..24 {
            let (t, y, x) = if fortran {
                (i % 2, i / 2 % 3, i / 6)
            } else {
                (i / 12, i / 4 % 3, i % 4)
            };
            let (t, y, x) = (a * 2 + t, b * 3 + y, c * 4 + x);
            let value = if t < 5 && y < 4 && x < 6 {
                sample(t, y, x)
            } else {
                9999
            };
            bytes.extend(if big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            });
        }
        let file = folder.join([a, b, c].map(|i| i.to_string()).join(separator));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

fn itertools(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a * b * c).map(move |i| (i / (b * c), i / c % b, i % c))
}

fn expected() -> Array3<f32> {
    Array3::from_shape_fn((5, 4, 6), |(t, y, x)| f32::from(sample(t, y, x)))
}

#[test]
fn v2_in_every_spelling() {
    for big_endian in [false, true] {
        for fortran in [false, true] {
            for separator in [".", "/"] {
                let folder = tempfile::tempdir().unwrap();
                v2(folder.path(), big_endian, fortran, separator);
                let movie = MovieReader::open(folder.path()).unwrap();
                assert_eq!(movie.shape(), MovieShape::new(5, 1, 4, 6));
                assert_eq!(movie.pixel_type(), PixelType::U16);
                assert_eq!(movie.frame_rate(), Some(15.5));
                assert_eq!(movie.read_array(0..5).unwrap(), expected());
                let part = movie.read_array(1..4).unwrap();
                assert_eq!(part, expected().slice(ndarray::s![1..4, .., ..]));
            }
        }
    }
}

#[test]
fn a_v2_group_of_one_array_is_that_movie_and_a_group() {
    let folder = tempfile::tempdir().unwrap();
    json_file(&folder.path().join(".zgroup"), &json!({"zarr_format": 2}));
    json_file(&folder.path().join(".zattrs"), &json!({"animal": "m12"}));
    v2(&folder.path().join("stack"), false, false, ".");
    assert_eq!(
        MovieReader::open(folder.path())
            .unwrap()
            .read_array(0..5)
            .unwrap(),
        expected()
    );
    let group = GroupReader::open(folder.path()).unwrap();
    assert_eq!(group.attribute("animal"), Some(json!("m12")));
    let all = group.array::<u16>("stack").unwrap();
    assert_eq!(all.mapv(f32::from), expected().into_dyn());
    v2(&folder.path().join("other"), false, false, ".");
    let error = MovieReader::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("other, stack"), "{error}");
}

fn zarrs_array(folder: &Path, metadata: &Value) -> Array<FilesystemStore> {
    let store = Arc::new(FilesystemStore::new(folder).unwrap());
    let metadata = ArrayMetadata::try_from(metadata.to_string().as_str()).unwrap();
    let array = Array::new_with_metadata(store, "/", metadata).unwrap();
    array.store_metadata().unwrap();
    array
}

fn v3(chunk: [u64; 3], codecs: &Value) -> Value {
    json!({
        "zarr_format": 3, "node_type": "array", "shape": [5, 4, 6], "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": 77, "codecs": codecs,
        "attributes": {"frame_rate": 10},
    })
}

fn bytes(endian: &str) -> Value {
    json!({"name": "bytes", "configuration": {"endian": endian}})
}

#[test]
fn v3_codecs_grids_and_shards_of_others() {
    let zstd = json!({"name": "zstd", "configuration": {"level": 3, "checksum": true}});
    let gzip = json!({"name": "gzip", "configuration": {"level": 4}});
    let transpose = json!({"name": "transpose", "configuration": {"order": [2, 0, 1]}});
    let crc = json!({"name": "crc32c"});
    let blosc = json!({"name": "blosc", "configuration": {
        "cname": "zstd", "clevel": 3, "shuffle": "shuffle", "typesize": 2, "blocksize": 0}});
    let shard = |location: &str, inner: Value| {
        json!([{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [1, 2, 3], "codecs": inner,
            "index_codecs": [bytes("big"), crc], "index_location": location}}])
    };
    let cases = [
        ([5, 4, 6], json!([bytes("little")])),
        ([2, 3, 4], json!([bytes("big"), zstd])),
        ([1, 4, 6], json!([transpose, bytes("little"), gzip, crc])),
        ([3, 1, 6], json!([bytes("little"), blosc])),
        ([2, 4, 6], shard("end", json!([bytes("little"), zstd]))),
        ([4, 2, 3], shard("start", json!([transpose, bytes("big")]))),
    ];
    for (chunk, codecs) in cases {
        let folder = tempfile::tempdir().unwrap();
        let array = zarrs_array(folder.path(), &v3(chunk, &codecs));
        let values: Vec<u16> = expected().iter().map(|&v| v as u16).collect();
        array
            .store_array_subset(&array.subset_all(), &values[..])
            .unwrap();
        // Keep the all-fill check honest: no value here is the fill value of a whole chunk.
        let movie = MovieReader::open(folder.path()).unwrap();
        assert_eq!(movie.read_array(0..5).unwrap(), expected(), "{codecs}");
        assert_eq!(movie.frame_rate(), Some(10.0));
        for t in 0..5 {
            let one = movie.read_array(t..t + 1).unwrap();
            assert_eq!(one, expected().slice(ndarray::s![t..=t, .., ..]));
        }
    }
}

#[test]
fn missing_chunks_are_refused_unless_asked_for() {
    let shard = json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [1, 4, 6], "codecs": [bytes("little")],
        "index_codecs": [bytes("little")], "index_location": "end"}}]);
    for (chunk, codecs) in [([1, 4, 6], json!([bytes("little")])), ([5, 4, 6], shard)] {
        let folder = tempfile::tempdir().unwrap();
        let array = zarrs_array(folder.path(), &v3(chunk, &codecs));
        let mut values: Vec<u16> = expected().iter().map(|&v| v as u16).collect();
        values[2 * 24..3 * 24].fill(77); // frame 2 is all fill value: zarrs leaves it out
        array
            .store_array_subset(&array.subset_all(), &values[..])
            .unwrap();
        let movie = MovieReader::open(folder.path()).unwrap();
        movie.read_array(0..2).unwrap();
        let error = movie.read_array(0..5).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("[2, 0, 0]") && text.contains("c."), "{text}");
        assert!(
            text.contains(&folder.path().display().to_string()),
            "{text}"
        );
        let options = OpenOptions {
            missing_chunks: MissingChunks::Fill,
            ..OpenOptions::default()
        };
        let movie = MovieReader::open_with(folder.path(), &options).unwrap();
        let all = movie.read_array(0..5).unwrap();
        assert!(all.iter().zip(&values).all(|(&a, &b)| a == f32::from(b)));
    }
}

#[test]
fn ome_zarr_level_0_with_its_axes_and_rate() {
    let axes = |unit: &str| {
        json!([
            {"name": "t", "type": "time", "unit": unit}, {"name": "c", "type": "channel"},
            {"name": "z", "type": "space", "unit": "micrometer"},
            {"name": "y", "type": "space", "unit": "micrometer"},
            {"name": "x", "type": "space", "unit": "micrometer"},
        ])
    };
    let image = |unit: &str| {
        json!([{
            "axes": axes(unit),
            "datasets": [
                {"path": "s/0", "coordinateTransformations":
                    [{"type": "scale", "scale": [50.0, 1.0, 2.0, 0.5, 0.5]}]},
                {"path": "s/1", "coordinateTransformations":
                    [{"type": "scale", "scale": [50.0, 1.0, 2.0, 1.0, 1.0]}]},
            ],
        }])
    };
    for version in ["0.4", "0.5"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        if version == "0.4" {
            json_file(&root.join(".zgroup"), &json!({"zarr_format": 2}));
            json_file(
                &root.join(".zattrs"),
                &json!({"multiscales": image("millisecond")}),
            );
        } else {
            json_file(
                &root.join("zarr.json"),
                &json!({"zarr_format": 3, "node_type": "group", "attributes":
                    {"ome": {"version": "0.5", "multiscales": image("millisecond")}}}),
            );
        }
        json_file(
            &root.join("s/0/.zarray"),
            &json!({"zarr_format": 2, "shape": [3, 1, 2, 2, 2], "chunks": [1, 1, 1, 2, 2],
                "dtype": "|i1", "order": "C", "dimension_separator": "/",
                "fill_value": 0, "filters": null, "compressor": null}),
        );
        for t in 0..3u8 {
            for z in 0..2u8 {
                let file = root.join(format!("s/0/{t}/0/{z}/0/0"));
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(
                    file,
                    [
                        t * 8 + z * 4,
                        t * 8 + z * 4 + 1,
                        t * 8 + z * 4 + 2,
                        t * 8 + z * 4 + 3,
                    ],
                )
                .unwrap();
            }
        }
        let movie = MovieReader::open(root).unwrap();
        assert_eq!(movie.shape(), MovieShape::new(3, 2, 2, 2));
        assert_eq!(movie.frame_rate(), Some(20.0));
        let all = movie.read_array(0..3).unwrap();
        assert!(all.iter().enumerate().all(|(i, &v)| v == i as f32));
        // Several channels are not one movie.
        json_file(
            &root.join("s/0/.zarray"),
            &json!({"zarr_format": 2, "shape": [3, 2, 2, 2, 2], "chunks": [1, 1, 1, 2, 2],
                "dtype": "|i1", "order": "C", "dimension_separator": "/",
                "fill_value": 0, "filters": null, "compressor": null}),
        );
        let error = MovieReader::open(root).unwrap_err();
        assert!(matches!(error, Error::Channel { count: 2, .. }), "{error}");
        let second = OpenOptions {
            channel: Some(1),
            missing_chunks: MissingChunks::Fill,
            ..OpenOptions::default()
        };
        let movie = MovieReader::open_with(root, &second).unwrap();
        assert_eq!(movie.shape(), MovieShape::new(3, 2, 2, 2));
        let size = movie.pixel_size().unwrap();
        assert_eq!((size.z, size.y, size.x), (Some(2.0), 0.5, 0.5));
    }
}
