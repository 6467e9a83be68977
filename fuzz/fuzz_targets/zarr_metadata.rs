//! `zarr.json`, `.zarray`, a chunk or shard, a zip archive: any bytes open or
//! are refused, and what opens reads its first frame or says why not.
//!
//! The input is metadata up to the first zero byte, a chunk behind it; the
//! whole of it is tried as an archive too.
#![no_main]

use std::path::Path;

use fluorspar_movie::Movie;
use fluorspar_zarr::{GroupReader, Limits, MissingChunks, MovieReader, OpenOptions};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    metadata_bytes: 1 << 20,
    frame_bytes: 1 << 20,
    chunk_bytes: 1 << 22,
    index_bytes: 1 << 20,
    array_bytes: 1 << 20,
};

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|&byte| byte == 0);
    let (metadata, chunk) = bytes.split_at(split.unwrap_or(bytes.len()));
    let chunk = chunk.get(1..).unwrap_or_default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["zarr.json", ".zarray"] {
        let array = folder.path().join(name.replace('.', ""));
        std::fs::create_dir_all(array.join("c/0/0")).expect("a folder");
        std::fs::write(array.join(name), metadata).expect("a file");
        for key in ["c/0/0/0", "c.0.0.0", "0.0.0"] {
            std::fs::write(array.join(key), chunk).expect("a file");
        }
        visit(&array);
    }
    let archive = folder.path().join("archive.zip");
    std::fs::write(&archive, bytes).expect("a file");
    visit(&archive);
    // The array as a member of a group, read whole.
    let group = r#"{"zarr_format": 3, "node_type": "group"}"#;
    std::fs::write(folder.path().join("zarr.json"), group).ok();
    let options = OpenOptions {
        limits: LIMITS,
        missing_chunks: MissingChunks::Fill,
        channel: None,
    };
    if let Ok(group) = GroupReader::open_with(folder.path(), &options) {
        for name in ["zarrjson", "zarray"] {
            let _ = group.array::<u16>(name);
            let _ = group.array::<f32>(name);
        }
    }
});

fn visit(path: &Path) {
    for missing_chunks in [MissingChunks::Refuse, MissingChunks::Fill] {
        let options = OpenOptions {
            limits: LIMITS,
            missing_chunks,
            channel: Some(0),
        };
        if let Ok(movie) = MovieReader::open_with(path, &options) {
            let shape = movie.shape();
            assert!(shape.frames > 0 && shape.frame_len() > 0);
            let length = shape.frame_len();
            if length <= 1 << 16 {
                let mut frame = vec![0.0; length];
                let read = movie.read(0..1, &mut frame);
                let mut native = vec![0; length * movie.pixel_type().bytes()];
                assert_eq!(read.is_ok(), movie.read_native(0..1, &mut native).is_ok());
                let mut pixel = vec![0.0; shape.planes];
                let one = movie.read_window(0..1, 0..1, 0..1, &mut pixel);
                assert!(one.is_ok() || read.is_err());
            }
        }
        if let Ok(group) = GroupReader::open_with(path, &options) {
            let _ = group.names();
        }
    }
}
