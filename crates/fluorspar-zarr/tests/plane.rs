//! One plane of a volume movie is read alone.

use std::fs;
use std::path::Path;

use fluorspar_movie::{Movie, MovieExt, MovieShape, MovieSink, PixelType, Plane};
use fluorspar_zarr::{Error, MovieReader, MovieWriter, WriteOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

fn write(path: &Path, shape: MovieShape, options: &WriteOptions) {
    let length = shape.frames * shape.frame_len();
    let data: Vec<f32> = (0..length).map(|at| (at * 7919 % 30_011) as f32).collect();
    let mut writer = MovieWriter::create_with(path, shape, PixelType::U16, options).unwrap();
    writer.write(0, &data).unwrap();
    Box::new(writer).finish().unwrap();
}

fn metadata(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path.join("zarr.json")).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The same as what whole frames hold there, however the axes and chunks lie.
    #[test]
    fn a_plane_is_a_part_of_every_frame(
        counts in (1_usize..40, 2_usize..5, 1_usize..9, 1_usize..9),
        tile in prop::option::of((1_usize..9, 1_usize..9)),
        chunk in prop::option::of(1_usize..9),
        names in prop::sample::select(vec![["t", "z", "y", "x"], ["t", "y", "z", "x"], ["x", "z", "t", "y"], ["z", "t", "y", "x"]]),
        cut in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movie.zarr");
        let (frames, planes, height, width) = counts;
        let options = WriteOptions {
            tile: tile.map(|(y, x)| [y, x]),
            chunk_frames: chunk,
            ..WriteOptions::default()
        };
        write(&path, MovieShape::new(frames, planes, height, width), &options);
        let mut array = metadata(&path);
        array["dimension_names"] = json!(names);
        fs::write(path.join("zarr.json"), array.to_string()).unwrap();
        let movie = MovieReader::open(&path).unwrap();
        let shape = movie.shape();
        let (a, b) = (cut.0.index(shape.frames), cut.1.index(shape.frames));
        let range = a.min(b)..a.max(b) + 1;
        let whole = movie.read_array(range.clone()).unwrap();
        for k in 0..shape.planes {
            let plane = Plane::new(&movie, k).unwrap();
            let found = plane.read_array(range.clone()).unwrap();
            let rows = k * shape.height..(k + 1) * shape.height;
            prop_assert_eq!(&found, &whole.slice(ndarray::s![.., rows, ..]));
            let mut native = vec![0_u16; found.len()];
            plane.read_native(range.clone(), bytemuck::cast_slice_mut(&mut native)).unwrap();
            prop_assert!(found.iter().zip(&native).all(|(&a, &b)| a == f32::from(b)));
        }
        prop_assert!(movie.read_plane(shape.planes, 0..0, &mut []).is_err());
        prop_assert!(movie.read_plane_native(0, 0..1, &mut [0]).is_err());
    }
}

#[test]
fn planes_that_share_a_chunk_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    // Frames of a movie are the planes of a volume once the axis is renamed.
    write(
        &path,
        MovieShape::new(20, 1, 9, 7),
        &WriteOptions::default(),
    );
    let mut array = metadata(&path);
    array["dimension_names"] = json!(["z", "y", "x"]);
    let whole = MovieReader::open(&path).unwrap().read_array(0..20).unwrap();
    fs::write(path.join("zarr.json"), array.to_string()).unwrap();
    let movie = MovieReader::open(&path).unwrap();
    assert_eq!(movie.shape(), MovieShape::new(1, 20, 9, 7));
    for k in 0..20 {
        let found = Plane::new(&movie, k).unwrap().read_array(0..1).unwrap();
        assert_eq!(found, whole.slice(ndarray::s![k..k + 1, .., ..]));
    }
}

#[test]
fn damage_in_one_plane_does_not_reach_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    write(
        &path,
        MovieShape::new(16, 3, 32, 32),
        &WriteOptions::default(),
    );
    // Chunks of planes 0, 1 and 2 follow each other.
    let shard = path.join("c/0/0/0/0");
    let mut bytes = fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let movie = MovieReader::open(&path).unwrap();
    let mut image = vec![0.0; 16 * 32 * 32];
    movie.read_plane(0, 0..16, &mut image).unwrap();
    movie.read_plane(2, 0..16, &mut image).unwrap();
    let error = movie.read_plane(1, 0..16, &mut image).unwrap_err();
    let fluorspar_movie::Error::Format { source, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(
        source.downcast_ref(),
        Some(Error::CorruptChunk { .. })
    ));
}
