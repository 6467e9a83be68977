//! The table in COMPATIBILITY.md, by trying each combination. `zarrs` writes
//! where it can; what it cannot write must be refused as unsupported.
//! `FLUORSPAR_UPDATE=1 cargo test -p fluorspar-zarr --test compatibility` renews the file.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use fluorspar_movie::{Movie, MovieShape, PixelType};
use fluorspar_zarr::{BlockWriter, Codec, Error, MovieReader, WriteOptions};
use serde_json::{Value, json};
use zarrs::array::{Array, ArrayBytes, ArrayMetadata};
use zarrs::filesystem::FilesystemStore;

const SHAPE: [u64; 3] = [5, 4, 6];
const TYPES: [(&str, &str, usize); 13] = [
    ("uint8", "|u1", 1),
    ("int8", "|i1", 1),
    ("uint16", "<u2", 2),
    ("int16", "<i2", 2),
    ("uint32", "<u4", 4),
    ("int32", "<i4", 4),
    ("uint64", "<u8", 8),
    ("int64", "<i8", 8),
    ("float32", "<f4", 4),
    ("float64", "<f8", 8),
    ("bool", "|b1", 1),
    ("float16", "<f2", 2),
    ("complex64", "<c8", 8),
];
const CODECS: [(&str, &str); 10] = [
    ("none", "null"),
    (
        "blosc",
        r#"{"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "typesize": 2, "blocksize": 0}"#,
    ),
    ("zstd", r#"{"level": 3, "checksum": false}"#),
    ("gzip", r#"{"level": 3}"#),
    ("zlib", r#"{"level": 3}"#),
    ("crc32c", "null"),
    ("lz4", r#"{"acceleration": 1}"#),
    ("bz2", r#"{"level": 3}"#),
    ("pcodec", r#"{"level": 3}"#),
    ("zfpy", r#"{"mode": 4}"#),
];

/// Small numbers, valid in every type (also as bool).
fn sample_bytes(size: usize) -> Vec<u8> {
    (0..120 * size)
        .map(|i| u8::from(i % size == 0 && (i / size).is_multiple_of(3)))
        .collect()
}

/// Whether an array with these metadata is read, after `zarrs` has written it.
fn read(metadata: &Value, size: usize) -> &'static str {
    let folder = tempfile::tempdir().unwrap();
    let v2 = metadata["zarr_format"] == 2;
    let file = if v2 { ".zarray" } else { "zarr.json" };
    fs::write(folder.path().join(file), metadata.to_string()).unwrap();
    let written = written_by_zarrs(folder.path(), metadata, size);
    match MovieReader::open(folder.path()) {
        Ok(movie) => {
            assert!(written, "read, but nobody could write it: {metadata}");
            let mut bytes = vec![0; 120 * size];
            movie.read_native(0..5, &mut bytes).unwrap();
            assert!(bytes == sample_bytes(size), "{metadata}");
            "yes"
        }
        Err(Error::Unsupported { .. }) => "no",
        Err(other) => panic!("{metadata}: {other}"),
    }
}

fn written_by_zarrs(folder: &Path, metadata: &Value, size: usize) -> bool {
    let store = Arc::new(FilesystemStore::new(folder).unwrap());
    let Ok(metadata) = ArrayMetadata::try_from(metadata.to_string().as_str()) else {
        return false;
    };
    let Ok(array) = Array::new_with_metadata(store, "/", metadata) else {
        return false;
    };
    let bytes = ArrayBytes::new_flen(sample_bytes(size));
    array.store_array_subset(&array.subset_all(), bytes).is_ok()
}

fn v2(dtype: &str, compressor: &Value, order: &str, separator: &str) -> Value {
    json!({
        "zarr_format": 2, "shape": SHAPE, "chunks": [2, 4, 6], "dtype": dtype, "order": order,
        "fill_value": 0, "filters": null, "compressor": compressor, "dimension_separator": separator,
    })
}

fn v3(dtype: &str, codecs: &Value) -> Value {
    let fill = match dtype {
        "bool" => json!(false),
        "complex64" => json!([1.0, 1.0]),
        // Nothing written is all fill value, so that no chunk is left out.
        _ => json!(9),
    };
    json!({
        "zarr_format": 3, "node_type": "array", "shape": SHAPE, "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 4, 6]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill, "codecs": codecs,
    })
}

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

fn sharded(inner: &Value) -> Value {
    json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [1, 4, 6], "codecs": inner, "index_codecs": [little(), {"name": "crc32c"}],
        "index_location": "end"}}])
}

/// Whether a movie of this type and codec can be written and read back.
fn written(pixel_type: Option<PixelType>, codec: Option<Codec>) -> &'static str {
    let (Some(pixel_type), Some(codec)) = (pixel_type, codec) else {
        return "no";
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let options = WriteOptions {
        codec,
        ..WriteOptions::default()
    };
    let writer =
        BlockWriter::create(&path, MovieShape::new(5, 1, 4, 6), pixel_type, &options).unwrap();
    let data = sample_bytes(pixel_type.bytes());
    writer.write_native(0, &data).unwrap();
    writer.finish().unwrap();
    let mut back = vec![0; data.len()];
    MovieReader::open(&path)
        .unwrap()
        .read_native(0..5, &mut back)
        .unwrap();
    assert!(back == data);
    "yes"
}

fn pixel_type(name: &str) -> Option<PixelType> {
    Some(match name {
        "uint8" => PixelType::U8,
        "int8" => PixelType::I8,
        "uint16" => PixelType::U16,
        "int16" => PixelType::I16,
        "uint32" => PixelType::U32,
        "int32" => PixelType::I32,
        "float32" => PixelType::F32,
        "float64" => PixelType::F64,
        _ => return None,
    })
}

fn table() -> String {
    let mut text = String::from(
        "Movies, as a test found them: `zarrs` writes, this crate reads; this crate writes and reads.\n\
         \"no\" is an error of the kind `Unsupported`.\n\n\
         | element | read v2 | read v3 | written |\n|---|---|---|---|\n",
    );
    for (name, code, size) in TYPES {
        let swapped = code.replace('<', ">");
        let old = read(&v2(code, &Value::Null, "C", "."), size);
        assert_eq!(read(&v2(&swapped, &Value::Null, "C", "."), size), old);
        let new = read(&v3(name, &json!([little()])), size);
        writeln!(
            text,
            "| {name} | {old} | {new} | {} |",
            written(pixel_type(name), Some(Codec::None))
        )
        .unwrap();
    }
    text.push_str("\n64-bit integers are read from groups, as arrays, but are no pixels.\n\n");
    text.push_str(
        "| codec | read v2 | read v3 | read in shards | written |\n|---|---|---|---|---|\n",
    );
    for (name, settings) in CODECS {
        let settings: Value = serde_json::from_str(settings).unwrap();
        let mut compressor = json!({"id": name});
        for (key, value) in settings.as_object().into_iter().flatten() {
            compressor[key] = value.clone();
        }
        if name == "blosc" {
            compressor["shuffle"] = json!(2);
            compressor.as_object_mut().unwrap().remove("typesize");
        }
        let old = match name {
            "none" => read(&v2("<u2", &Value::Null, "C", "."), 2),
            "crc32c" => "–",
            _ => read(&v2("<u2", &compressor, "C", "."), 2),
        };
        let mut codec = json!({"name": if name == "zlib" { "numcodecs.zlib" } else { name }});
        if settings.is_object() {
            codec["configuration"] = settings;
        }
        let codecs = match name {
            "none" => json!([little()]),
            _ => json!([little(), codec]),
        };
        let plain = read(&v3("uint16", &codecs), 2);
        let inner = read(&v3("uint16", &sharded(&codecs)), 2);
        let ours = match name {
            "none" | "crc32c" => Some(Codec::None),
            "blosc" => Some(Codec::Blosc),
            "zstd" => Some(Codec::Zstd { level: 3 }),
            "gzip" => Some(Codec::Gzip { level: 3 }),
            _ => None,
        };
        let ours = written(Some(PixelType::U16), ours);
        writeln!(text, "| {name} | {old} | {plain} | {inner} | {ours} |").unwrap();
    }
    text.push_str("\n| layout | read |\n|---|---|\n");
    let big = json!({"name": "bytes", "configuration": {"endian": "big"}});
    let transpose = json!({"name": "transpose", "configuration": {"order": [2, 0, 1]}});
    let mut start = sharded(&json!([little()]));
    start[0]["configuration"]["index_location"] = json!("start");
    let nested = json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [1, 4, 6], "codecs": sharded(&json!([little()])),
        "index_codecs": [little()], "index_location": "end"}}]);
    let mut flat = v3("uint16", &json!([little()]));
    flat["chunk_key_encoding"]["configuration"]["separator"] = json!(".");
    let mut old_keys = v3("uint16", &json!([little()]));
    old_keys["chunk_key_encoding"]["name"] = json!("v2");
    let mut delta = v2("<u2", &Value::Null, "C", ".");
    delta["filters"] = json!([{"id": "delta", "dtype": "<u2"}]);
    let mut ragged = v3("uint16", &json!([little()]));
    ragged["chunk_grid"] = json!({"name": "rectilinear", "configuration": {
        "kind": "inline", "chunk_shapes": [[2, 3], [4], [6]]}});
    for (name, metadata) in [
        ("v2, keys `0.0.0`", v2("<u2", &Value::Null, "C", ".")),
        ("v2, keys `0/0/0`", v2("<u2", &Value::Null, "C", "/")),
        ("v2, order F", v2("<u2", &Value::Null, "F", ".")),
        ("v2, filters", delta),
        ("v3, keys `c/0/0/0`", v3("uint16", &json!([little()]))),
        ("v3, keys `c.0.0.0`", flat),
        ("v3, keys as in v2", old_keys),
        ("v3, big-endian", v3("uint16", &json!([big]))),
        (
            "v3, transposed",
            v3("uint16", &json!([transpose, little()])),
        ),
        (
            "v3, shards, index at the end",
            v3("uint16", &sharded(&json!([little()]))),
        ),
        ("v3, shards, index at the start", v3("uint16", &start)),
        ("v3, shards in shards", v3("uint16", &nested)),
        ("v3, chunks of unequal size", ragged),
    ] {
        writeln!(text, "| {name} | {} |", read(&metadata, 2)).unwrap();
    }
    text
}

#[test]
fn the_table_tells_the_truth() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("COMPATIBILITY.md");
    let text = table();
    if std::env::var_os("FLUORSPAR_UPDATE").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "FLUORSPAR_UPDATE=1 renews {}:\n{text}",
        file.display()
    );
}
