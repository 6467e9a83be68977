//! Broken and hostile input: one typed error that names the file, never a
//! panic, never an absurd allocation.

use std::fs;
use std::path::Path;

use fluorspar_movie::{Movie, MovieExt, MovieShape, MovieSink, PixelType};
use fluorspar_zarr::{
    Error, GroupReader, GroupWriter, Limits, MissingChunks, MovieReader, MovieWriter, OpenOptions,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn good(path: &Path) -> Vec<f32> {
    let shape = MovieShape::new(100, 1, 16, 16);
    let data: Vec<f32> = (0..100 * 256u32)
        .map(|i| ((i * 7919) % 1009) as f32)
        .collect();
    let mut writer = MovieWriter::create(path, shape, PixelType::U16, Some(30.0)).unwrap();
    writer.write(0, &data).unwrap();
    writer.finish().unwrap();
    data
}

fn metadata() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    good(&path);
    serde_json::from_str(&fs::read_to_string(path.join("zarr.json")).unwrap()).unwrap()
}

/// Opens metadata given as text.
fn open(text: &[u8]) -> Result<MovieReader, Error> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("zarr.json"), text).unwrap();
    MovieReader::open(folder.path())
}

fn with(pointer: &str, value: Value) -> Error {
    let mut changed = metadata();
    *changed.pointer_mut(pointer).unwrap() = value;
    let error = open(changed.to_string().as_bytes()).expect_err(pointer);
    assert!(
        error
            .path()
            .is_some_and(|path| error.to_string().contains(&path.display().to_string()))
    );
    error
}

const INNER: &str = "/codecs/0/configuration";

#[test]
fn broken_metadata_are_typed_errors() {
    assert!(
        open(metadata().to_string().as_bytes()).is_ok(),
        "the unchanged metadata are fine"
    );
    for text in [
        "",
        "{",
        "[]",
        "null",
        "3",
        "{}",
        "\u{0}",
        "{\"zarr_format\": 3}",
    ] {
        assert!(
            matches!(open(text.as_bytes()), Err(Error::Metadata { .. })),
            "{text}"
        );
    }
    let deep = "[".repeat(100_000);
    assert!(matches!(open(deep.as_bytes()), Err(Error::Metadata { .. })));
    for (pointer, value) in [
        ("/zarr_format", json!(4)),
        ("/node_type", json!("tree")),
        ("/shape", json!([100, 16])),
        ("/shape", json!([100, 16, -16])),
        ("/shape", json!([100, 16, 1.5])),
        ("/shape", json!([100, 16, "16"])),
        ("/shape", json!("large")),
        ("/shape", json!([u64::MAX, 16, 16])),
        ("/shape", json!([1u64 << 40, 1u64 << 40, 16])),
        ("/data_type", json!(7)),
        ("/chunk_grid", json!(null)),
        ("/chunk_grid/configuration/chunk_shape", json!([0, 16, 16])),
        ("/chunk_grid/configuration/chunk_shape", json!([64, 16])),
        ("/chunk_grid/configuration/chunk_shape", json!([63, 16, 16])),
        (
            "/chunk_grid/configuration/chunk_shape",
            json!([u64::MAX, u64::MAX, 16]),
        ),
        ("/codecs", json!(null)),
        ("/codecs", json!([])),
        ("/codecs", json!([{"name": "crc32c"}])),
        ("/codecs", json!([{}])),
        ("/fill_value", json!("zero")),
        ("/fill_value", json!(-1)),
        ("/attributes", json!(3)),
        ("/attributes/frame_rate", json!(-30.0)),
        ("/attributes/frame_rate", json!("fast")),
        ("/chunk_key_encoding", json!({"name": "spiral"})),
        (&format!("{INNER}/chunk_shape"), json!([0, 16, 16])),
        (&format!("{INNER}/chunk_shape"), json!([5, 16, 16])),
        (&format!("{INNER}/codecs"), json!([])),
        (&format!("{INNER}/index_codecs"), json!(1)),
        (&format!("{INNER}/index_location"), json!("middle")),
        (
            &format!("{INNER}/codecs/1/configuration/cname"),
            json!("magic"),
        ),
        (
            &format!("{INNER}/codecs/1/configuration/typesize"),
            json!(-1),
        ),
    ] {
        let error = with(pointer, value.clone());
        assert!(
            matches!(error, Error::Metadata { .. }),
            "{pointer} {value}: {error:?}"
        );
    }
    for (pointer, value) in [
        ("/shape", json!([])),
        ("/shape", json!([1, 1, 1, 1, 1, 1, 1, 1, 1])),
        ("/data_type", json!("complex64")),
        ("/data_type", json!("float16")),
        ("/chunk_grid/name", json!("rectilinear")),
        ("/codecs/0/name", json!("pcodec")),
        (&format!("{INNER}/codecs/1/name"), json!("sharding_indexed")),
        (
            &format!("{INNER}/index_codecs"),
            json!([{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}]),
        ),
        ("/dimension_names", json!(["x", "t", "t"])),
    ] {
        let error = with(pointer, value.clone());
        assert!(
            matches!(error, Error::Unsupported { .. }),
            "{pointer} {value}: {error:?}"
        );
    }
    let mut extra = metadata();
    extra["new_rule"] = json!({"must_understand": true});
    assert!(matches!(
        open(extra.to_string().as_bytes()),
        Err(Error::Unsupported { .. })
    ));
    extra["new_rule"] = json!({"must_understand": false});
    assert!(open(extra.to_string().as_bytes()).is_ok());
    assert!(matches!(
        with("/data_type", json!("int64")),
        Error::Unsupported { .. }
    ));
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    // A frame of 2^40 bytes, in small chunks.
    let error = with("/shape", json!([1, 1u64 << 20, 1u64 << 19]));
    assert!(
        matches!(
            error,
            Error::Limit {
                what: "one frame",
                ..
            }
        ),
        "{error:?}"
    );
    // A chunk of 2^41 bytes.
    let mut changed = metadata();
    let huge = json!([1u64 << 32, 16, 16]);
    changed["chunk_grid"]["configuration"]["chunk_shape"] = huge.clone();
    changed["codecs"][0]["configuration"]["chunk_shape"] = huge;
    let error = open(changed.to_string().as_bytes()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                what: "a decoded chunk",
                ..
            }
        ),
        "{error:?}"
    );
    // A shard of 2^28 chunks.
    let mut changed = metadata();
    changed["chunk_grid"]["configuration"]["chunk_shape"] = json!([1u64 << 28, 16, 16]);
    changed["codecs"][0]["configuration"]["chunk_shape"] = json!([1, 16, 16]);
    let error = open(changed.to_string().as_bytes()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                what: "the index of a shard",
                ..
            }
        ),
        "{error:?}"
    );
    // Metadata longer than allowed.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("zarr.json"), metadata().to_string()).unwrap();
    let options = OpenOptions {
        limits: Limits {
            metadata_bytes: 100,
            ..Limits::default()
        },
        ..OpenOptions::default()
    };
    let error = MovieReader::open_with(folder.path(), &options).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error:?}");
    // An array of a group.
    let path = folder.path().join("g.zarr");
    let mut group = GroupWriter::create(&path).unwrap();
    group.array("a", &ndarray::aview1(&[1u8]), &["x"]).unwrap();
    group.finish().unwrap();
    let file = path.join("a/zarr.json");
    let mut changed: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    changed["shape"] = json!([1u64 << 50]);
    fs::write(&file, changed.to_string()).unwrap();
    let error = GroupReader::open(&path)
        .unwrap()
        .array::<u8>("a")
        .unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error:?}");
}

#[test]
fn an_empty_movie_is_refused() {
    for shape in [json!([0, 16, 16]), json!([100, 0, 16])] {
        assert!(matches!(with("/shape", shape), Error::Empty { .. }));
    }
}

#[test]
fn not_there_and_not_zarr() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.zarr");
    let error = MovieReader::open(&missing).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("missing.zarr"));
    assert!(matches!(
        MovieReader::open(folder.path()),
        Err(Error::NotZarr { .. })
    ));
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(matches!(
        GroupReader::open(&file),
        Err(Error::NotZarr { .. })
    ));
}

#[test]
fn a_dataset_path_cannot_leave_its_group() {
    let folder = tempfile::tempdir().unwrap();
    good(&folder.path().join("secret"));
    let group = folder.path().join("group");
    fs::create_dir(&group).unwrap();
    for path in ["../secret", "/etc", "", "a/../../secret"] {
        let metadata = json!({"zarr_format": 3, "node_type": "group", "attributes":
            {"ome": {"multiscales": [{"datasets": [{"path": path}]}]}}});
        fs::write(group.join("zarr.json"), metadata.to_string()).unwrap();
        let error = MovieReader::open(&group).unwrap_err();
        assert!(matches!(error, Error::Metadata { .. }), "{path}: {error:?}");
    }
}

/// The error of reading everything after `damage` to the first shard.
fn after(damage: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    good(&path);
    let shard = path.join("c/0/0/0");
    damage(&shard);
    let movie = MovieReader::open(&path).unwrap();
    let error = movie.read_array(0..100).unwrap_err();
    assert!(error.is_bad_data(), "{error:?}");
    // The other shard is still readable.
    movie.read_array(64..100).unwrap();
    error.to_string()
}

#[test]
fn damaged_shards_name_the_file() {
    let cut = |keep: fn(usize) -> usize| {
        after(move |shard| {
            let bytes = fs::read(shard).unwrap();
            fs::write(shard, &bytes[..keep(bytes.len())]).unwrap();
        })
    };
    assert!(after(|shard| fs::remove_file(shard).unwrap()).contains("is missing"));
    for text in [cut(|_| 0), cut(|_| 20), cut(|n| n / 2), cut(|n| n - 1)] {
        assert!(
            text.contains("c/0/0/0") && text.contains("damaged"),
            "{text}"
        );
    }
    // Any flipped bit, in pixels or index, is noticed.
    for place in [0usize, 5, 16, 40, 1000, 5000] {
        let text = after(|shard| {
            let mut bytes = fs::read(shard).unwrap();
            let at = place % bytes.len();
            bytes[at] ^= 0x10;
            fs::write(shard, bytes).unwrap();
        });
        assert!(
            text.contains("c/0/0/0") && text.contains("damaged"),
            "{place}: {text}"
        );
    }
    let text = after(|shard| {
        let mut bytes = fs::read(shard).unwrap();
        let last = bytes.len() - 30;
        bytes[last] ^= 1;
        fs::write(shard, bytes).unwrap();
    });
    assert!(text.contains("the shard index"), "{text}");
}

#[test]
fn an_index_without_checksum_cannot_lead_astray() {
    let folder = tempfile::tempdir().unwrap();
    let mut changed = metadata();
    changed["codecs"][0]["configuration"]["index_codecs"] =
        json!([{"name": "bytes", "configuration": {"endian": "little"}}]);
    fs::write(folder.path().join("zarr.json"), changed.to_string()).unwrap();
    let shard = folder.path().join("c/0/0/0");
    fs::create_dir_all(shard.parent().unwrap()).unwrap();
    let movie = MovieReader::open(folder.path()).unwrap();
    let cells = 64 / movie.chunk_frames();
    for (offset, length) in [
        (0u64, u64::MAX),
        (u64::MAX, 0),
        (u64::MAX - 1, 1 << 40),
        (0, 1 << 62),
        (1 << 62, 1),
        (0, 0),
    ] {
        let mut bytes = vec![0u8; 100];
        for _ in 0..cells {
            bytes.extend(offset.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        fs::write(&shard, bytes).unwrap();
        let movie = MovieReader::open(folder.path()).unwrap();
        let error = movie.read_array(0..1).unwrap_err().to_string();
        assert!(error.contains("c/0/0/0"), "{offset} {length}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Any small change of the metadata opens or is refused; what opens, reads or is refused.
    #[test]
    fn mutated_metadata_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        digits in any::<bool>(),
        fill in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut text = serde_json::to_vec(&metadata_once()).unwrap();
        let places: Vec<usize> = (0..text.len())
            .filter(|&i| !digits || text[i].is_ascii_digit())
            .collect();
        for (place, byte) in edits {
            let at = *place.get(&places);
            text[at] = if digits { b'0' + byte % 10 } else { byte };
        }
        fs::write(folder.path().join("zarr.json"), &text).unwrap();
        let options = OpenOptions {
            limits: Limits { frame_bytes: 1 << 20, chunk_bytes: 1 << 22, ..Limits::default() },
            missing_chunks: if fill { MissingChunks::Fill } else { MissingChunks::Refuse },
            channel: None,
        };
        if let Ok(movie) = MovieReader::open_with(folder.path(), &options) {
            let _ = movie.read_array(0..1);
        }
    }

    /// A shard of any bytes is decoded or refused.
    #[test]
    fn any_bytes_as_a_shard_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let mut metadata = metadata_once();
        metadata["codecs"][0]["configuration"]["index_codecs"] =
            json!([{"name": "bytes", "configuration": {"endian": "little"}}]);
        fs::write(folder.path().join("zarr.json"), metadata.to_string()).unwrap();
        let shard = folder.path().join("c/0/0/0");
        fs::create_dir_all(shard.parent().unwrap()).unwrap();
        fs::write(&shard, &bytes).unwrap();
        let movie = MovieReader::open(folder.path()).unwrap();
        prop_assert!(movie.read(0..1, &mut [0.0; 256]).is_err());
    }
}

fn metadata_once() -> Value {
    static ONCE: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    ONCE.get_or_init(metadata).clone()
}
