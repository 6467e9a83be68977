//! Seeds of the fuzz target `zarr_metadata`: metadata, a zero byte, a chunk;
//! or an archive. `FLUORSPAR_UPDATE=1` writes them to fuzz/corpus.

use std::fs;
use std::io::Write;
use std::path::Path;

use fluorspar_movie::{MovieShape, PixelType};
use fluorspar_zarr::{BlockWriter, Codec, MovieReader, WriteOptions};
use zip::write::SimpleFileOptions;

fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, codec) in [
        ("none", Codec::None),
        ("blosc", Codec::Blosc),
        ("zstd", Codec::Zstd { level: 1 }),
        ("gzip", Codec::Gzip { level: 1 }),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.zarr");
        let options = WriteOptions {
            codec,
            frame_rate: Some(30.0),
            ..WriteOptions::default()
        };
        let shape = MovieShape::new(4, 1, 3, 5);
        let writer = BlockWriter::create(&path, shape, PixelType::U16, &options).unwrap();
        let data: Vec<u8> = (0..120u32).map(|i| (i * 37 % 251) as u8).collect();
        writer.write_native(0, &data).unwrap();
        writer.finish().unwrap();
        assert!(MovieReader::open(&path).is_ok());
        let metadata = fs::read(path.join("zarr.json")).unwrap();
        let shard = fs::read(path.join("c/0/0/0")).unwrap();
        seeds.push((format!("v3_{name}"), [&metadata[..], &[0], &shard].concat()));
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (file, bytes) in [("zarr.json", &metadata), ("c/0/0/0", &shard)] {
            let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
            zip.start_file(file, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        seeds.push((format!("zip_{name}"), zip.finish().unwrap().into_inner()));
    }
    let old = br#"{"zarr_format": 2, "shape": [4, 3, 5], "chunks": [2, 3, 5], "dtype": ">u2", "order": "F",
"fill_value": 7, "filters": null, "compressor": null, "dimension_separator": "."}"#;
    seeds.push(("v2".into(), [&old[..], &[0], &[5; 60]].concat()));
    seeds
}

#[test]
fn seeds_are_small_and_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/zarr_metadata");
    if std::env::var_os("FLUORSPAR_UPDATE").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds() {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    for (_, bytes) in seeds() {
        assert!(bytes.len() < 4096);
    }
}
