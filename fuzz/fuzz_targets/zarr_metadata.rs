//! `zarr.json` and `.zarray`: any bytes open or are refused, and what opens
//! reads its first frame or says why not.
#![no_main]

use fluorspar_movie::Movie;
use fluorspar_zarr::{GroupReader, Limits, MissingChunks, MovieReader, OpenOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        frame_bytes: 1 << 20,
        chunk_bytes: 1 << 22,
        index_bytes: 1 << 20,
        array_bytes: 1 << 20,
        ..Limits::default()
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["zarr.json", ".zarray"] {
        let array = folder.path().join(name.replace('.', ""));
        std::fs::create_dir(&array).expect("a folder");
        std::fs::write(array.join(name), bytes).expect("a file");
        for missing_chunks in [MissingChunks::Refuse, MissingChunks::Fill] {
            let options = OpenOptions {
                limits,
                missing_chunks,
                channel: Some(0),
            };
            if let Ok(movie) = MovieReader::open_with(&array, &options) {
                let shape = movie.shape();
                assert!(shape.frames > 0 && shape.frame_len() > 0);
                let length = shape.frame_len();
                if length <= 1 << 16 {
                    let mut frame = vec![0.0; length];
                    let read = movie.read(0..1, &mut frame);
                    let mut native = vec![0; length * movie.pixel_type().bytes()];
                    assert_eq!(read.is_ok(), movie.read_native(0..1, &mut native).is_ok());
                }
            }
            if let Ok(group) = GroupReader::open_with(&array, &options) {
                let _ = group.names();
            }
        }
    }
    // The array as a member of a group, read whole.
    let group = r#"{"zarr_format": 3, "node_type": "group"}"#;
    std::fs::write(folder.path().join("zarr.json"), group).ok();
    let options = OpenOptions {
        limits,
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
