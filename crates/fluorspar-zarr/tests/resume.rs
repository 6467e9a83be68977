//! Blocks in any order, from many threads, over any number of interruptions:
//! the same bytes as in one go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fluorspar_movie::{Movie, MovieShape, PixelType};
use fluorspar_zarr::{BlockWriter, Codec, Error, MovieReader, PixelSize, WriteOptions};
use proptest::prelude::*;

fn pixels(shape: MovieShape, seed: u32) -> Vec<u16> {
    let mut state = seed;
    (0..shape.frames * shape.frame_len())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as u16
        })
        .collect()
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                all.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    all
}

fn options(codec: Codec, tile: Option<usize>, ome: bool) -> WriteOptions {
    WriteOptions {
        codec,
        chunk_frames: Some(2),
        shard_frames: Some(6),
        tile: tile.map(|edge| [edge; 2]),
        frame_rate: Some(29.97),
        pixel_size: Some(PixelSize {
            y: 1.1,
            x: 1.2,
            z: None,
        }),
        ome,
    }
}

fn in_one_go(
    shape: MovieShape,
    data: &[u16],
    options: &WriteOptions,
) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let writer = BlockWriter::create(&path, shape, PixelType::U16, options).unwrap();
    let values: Vec<f32> = data.iter().map(|&v| f32::from(v)).collect();
    writer.write(0, &values).unwrap();
    writer.finish().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    contents(&path)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn interruptions_and_threads_leave_no_trace(
        frames in 1usize..60,
        planes in 1usize..3,
        side in (1usize..20, 1usize..20),
        codec in prop::sample::select(vec![
            Codec::None, Codec::Blosc, Codec::Zstd { level: 1 }, Codec::Gzip { level: 1 },
        ]),
        tile in prop::option::of(1usize..12),
        ome in any::<bool>(),
        order in Just(()).prop_perturb(|(), mut rng| rng.random::<u64>()),
        runs in 1usize..4,
    ) {
        let shape = MovieShape::new(frames, planes, side.0, side.1);
        let data = pixels(shape, order as u32);
        let options = options(codec, tile, ome);
        let expected = in_one_go(shape, &data, &options);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.zarr");
        let mut shards: Vec<usize> = (0..frames.div_ceil(6)).collect();
        shards.sort_by_key(|&shard| (shard as u64 + 1).wrapping_mul(order | 1) % 1009);
        let per_run = shards.len().div_ceil(runs);
        for some in shards.chunks(per_run) {
            let writer = BlockWriter::resume_or_create(&path, shape, PixelType::U16, &options).unwrap();
            std::thread::scope(|scope| {
                for part in some.chunks(2) {
                    let (writer, data) = (&writer, &data);
                    scope.spawn(move || {
                        for &shard in part {
                            let stop = (shard * 6 + 6).min(frames);
                            let length = shape.frame_len();
                            let block = &data[shard * 6 * length..stop * length];
                            writer.write_native(shard * 6, bytemuck::cast_slice(block)).unwrap();
                        }
                    });
                }
            });
            prop_assert!(!path.exists(), "nothing shows before finish");
        }
        let writer = BlockWriter::resume(&path, shape, PixelType::U16, &options).unwrap();
        prop_assert_eq!(writer.done(), vec![0..frames; 1]);
        prop_assert!(writer.missing().is_empty());
        writer.finish().unwrap();
        prop_assert!(contents(&path) == expected);
        let movie = MovieReader::open(&path).unwrap();
        prop_assert_eq!(movie.shape(), shape);
        prop_assert_eq!(movie.frame_rate(), Some(29.97));
        prop_assert_eq!(movie.pixel_size(), options.pixel_size);
        let mut back = vec![0u16; data.len()];
        movie.read_native(0..frames, bytemuck::cast_slice_mut(&mut back)).unwrap();
        prop_assert_eq!(&back, &data);
        // Any window is that part of the whole.
        let (y, x) = (side.0 / 3..side.0, side.1 / 2..side.1);
        let range = frames / 3..frames;
        let mut window = vec![0.0; range.len() * planes * y.len() * x.len()];
        movie.read_window(range.clone(), y.clone(), x.clone(), &mut window).unwrap();
        let whole = ndarray::ArrayView4::from_shape((frames, planes, side.0, side.1), &data).unwrap();
        let want = whole.slice(ndarray::s![range, .., y, x]);
        prop_assert!(want.iter().zip(&window).all(|(&a, &b)| f32::from(a) == b));
    }
}

const SHAPE: MovieShape = MovieShape {
    frames: 20,
    planes: 1,
    height: 4,
    width: 5,
};

fn begin(path: &Path) -> BlockWriter {
    let options = options(Codec::Blosc, None, false);
    BlockWriter::create(path, SHAPE, PixelType::U16, &options).unwrap()
}

fn resume(path: &Path) -> Result<BlockWriter, Error> {
    let options = options(Codec::Blosc, None, false);
    BlockWriter::resume(path, SHAPE, PixelType::U16, &options)
}

#[test]
fn a_shard_that_is_not_whole_is_missing_and_leftovers_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let writer = begin(&path);
    writer.write(0, &[3.0; 18 * 20]).unwrap();
    drop(writer);
    let partial = folder.path().join(".m.zarr.partial");
    // As a disk that lost its cache, and a process killed while writing, leave them.
    let second = partial.join("c/1/0/0");
    let bytes = fs::read(&second).unwrap();
    fs::write(&second, &bytes[..bytes.len() - 9]).unwrap();
    fs::write(partial.join("c/2/0/0"), "").unwrap();
    fs::write(partial.join("c/0/0/0.77-1.unfinished"), "half").unwrap();
    let writer = resume(&path).unwrap();
    assert_eq!(writer.done(), vec![0..6; 1]);
    assert_eq!(writer.missing(), vec![6..20; 1]);
    assert!(
        writer.write(0, &[3.0; 6 * 20]).is_err(),
        "it is there already"
    );
    writer.write(6, &[3.0; 14 * 20]).unwrap();
    writer.finish().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(contents(&path).len(), 5);
    assert!(matches!(resume(&path), Err(Error::NothingToResume { .. })));
}

#[test]
fn other_parameters_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    assert!(matches!(resume(&path), Err(Error::NothingToResume { .. })));
    drop(begin(&path));
    let same = options(Codec::Blosc, None, false);
    let try_with = |shape, pixel, options: &WriteOptions| match BlockWriter::resume(
        &path, shape, pixel, options,
    ) {
        Err(Error::Different { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let longer = MovieShape::new(21, 1, 4, 5);
    assert_eq!(try_with(longer, PixelType::U16, &same), "shape");
    let field = try_with(SHAPE, PixelType::I16, &same);
    assert!(["data_type", "codecs"].contains(&field.as_str()), "{field}");
    let zstd = options(Codec::Zstd { level: 3 }, None, false);
    assert_eq!(try_with(SHAPE, PixelType::U16, &zstd), "codecs");
    let faster = WriteOptions {
        frame_rate: Some(30.0),
        ..same
    };
    let field = try_with(SHAPE, PixelType::U16, &faster);
    assert_eq!(field, "attributes.frame_rate");
    assert!(resume(&path).is_ok(), "all refused, nothing changed");
}

#[test]
fn writers_in_company() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let first = begin(&path);
    let same = options(Codec::Blosc, None, false);
    let again = BlockWriter::create(&path, SHAPE, PixelType::U16, &same);
    assert!(matches!(again, Err(Error::Busy { .. })));
    let second = resume(&path).unwrap();
    first.write(0, &[1.0; 6 * 20]).unwrap();
    second.write(6, &[2.0; 14 * 20]).unwrap();
    assert!(matches!(first.finish(), Err(Error::Busy { .. })));
    second.finish().unwrap();
    assert!(MovieReader::open(&path).is_ok());
    begin(&path).discard().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn shards_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let writer = begin(&path);
    writer.write(0, &[1.0; 20 * 20]).unwrap();
    assert!(writer.write(6, &[2.0; 6 * 20]).is_err(), "there already");
    writer.take_back(7..8);
    assert_eq!(writer.missing().len(), 1);
    let frames = writer.missing()[0].clone();
    assert!(frames.contains(&7) && !frames.contains(&0));
    for (file, name) in writer.shard_files(0..20) {
        assert!(file.is_file() && file.ends_with(name));
    }
    writer
        .write(frames.start, &vec![2.0; frames.len() * 20])
        .unwrap();
    writer.finish().unwrap();
    let mut pixels = vec![0.0; 20 * 20];
    MovieReader::open(&path)
        .unwrap()
        .read(0..20, &mut pixels)
        .unwrap();
    for (t, frame) in pixels.chunks(20).enumerate() {
        let expected = if frames.contains(&t) { 2.0 } else { 1.0 };
        assert!(frame.iter().all(|&v| v == expected), "{t}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.zarr");
    let same = options(Codec::Blosc, None, false);
    for wrong in [
        WriteOptions {
            chunk_frames: Some(0),
            ..same
        },
        WriteOptions {
            chunk_frames: Some(4),
            ..same
        },
        WriteOptions {
            tile: Some([0, 4]),
            ..same
        },
        WriteOptions {
            frame_rate: Some(f64::INFINITY),
            ..same
        },
        WriteOptions {
            pixel_size: Some(PixelSize {
                y: 0.0,
                x: 1.0,
                z: None,
            }),
            ..same
        },
    ] {
        let error = BlockWriter::create(&path, SHAPE, PixelType::U16, &wrong).unwrap_err();
        assert!(matches!(error, Error::Misuse { .. }), "{error}");
    }
    let huge = WriteOptions {
        chunk_frames: Some(1 << 50),
        shard_frames: Some(1 << 50),
        ..same
    };
    assert!(BlockWriter::create(&path, SHAPE, PixelType::U16, &huge).is_err());
    let writer = begin(&path);
    assert!(writer.write_native(0, &[0; 41]).is_err(), "half a sample");
    assert!(writer.finish().is_err(), "nothing was written");
}
