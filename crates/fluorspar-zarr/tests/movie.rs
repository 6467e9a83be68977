//! What is written is read back, by us and by another reader; the bytes depend
//! on nothing but the data; the target is replaced whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use fluorspar_movie::{Movie, MovieExt, MovieShape, MovieSink, PixelType, Sample};
use fluorspar_zarr::{Error, MovieReader, MovieWriter};
use proptest::prelude::*;
use zarrs::array::Array;
use zarrs::filesystem::FilesystemStore;

/// Values that every type holds, with no pattern along any axis.
fn pixels(shape: MovieShape, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..shape.frames * shape.frame_len())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 25) as f32
        })
        .collect()
}

/// All files below a folder with their bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, into);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                into.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(folder, folder, &mut all);
    all
}

/// Writes blocks of one shard each in the order given by `order`.
fn write(path: &Path, shape: MovieShape, pixel: PixelType, data: &[f32], order: &[usize]) {
    let mut writer = MovieWriter::create(path, shape, pixel, Some(30.0)).unwrap();
    let align = writer.align();
    let blocks: Vec<_> = data.chunks(align * shape.frame_len()).enumerate().collect();
    let mut ranked: Vec<usize> = (0..blocks.len()).collect();
    ranked.sort_by_key(|&i| {
        order[i % order.len()]
            .wrapping_mul(7919)
            .wrapping_add(i * 31)
            % 101
    });
    for i in ranked {
        writer.write(blocks[i].0 * align, blocks[i].1).unwrap();
    }
    writer.finish().unwrap();
}

fn frame_bytes(data: &[f32], pixel: PixelType) -> Vec<u8> {
    fn all<T: Sample>(data: &[f32]) -> Vec<u8> {
        let values: Vec<T> = data.iter().map(|&v| T::from_f32(v)).collect();
        bytemuck::cast_slice(&values).to_vec()
    }
    match pixel {
        PixelType::U8 => all::<u8>(data),
        PixelType::I8 => all::<i8>(data),
        PixelType::U16 => all::<u16>(data),
        PixelType::I16 => all::<i16>(data),
        PixelType::U32 => all::<u32>(data),
        PixelType::I32 => all::<i32>(data),
        PixelType::F32 => all::<f32>(data),
        _ => all::<f64>(data),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_movie_comes_back(
        frames in 1usize..150,
        planes in 1usize..4,
        height in 1usize..12,
        width in 1usize..12,
        pixel in prop::sample::select(&PixelType::ALL[..]),
        order in prop::collection::vec(any::<usize>(), 1..6),
        seed in any::<u32>(),
        cut in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movie.zarr");
        let shape = MovieShape::new(frames, planes, height, width);
        let data = pixels(shape, seed);
        write(&path, shape, pixel, &data, &order);
        let movie = MovieReader::open(&path).unwrap();
        prop_assert_eq!(movie.shape(), shape);
        prop_assert_eq!(movie.pixel_type(), pixel);
        prop_assert_eq!(movie.frame_rate(), Some(30.0));
        let a = (cut.0 * frames as f64) as usize;
        let b = (cut.1 * frames as f64) as usize;
        let range = a.min(b)..a.max(b) + 1;
        let want = &data[range.start * shape.frame_len()..range.end * shape.frame_len()];
        let got = movie.read_array(range.clone()).unwrap();
        prop_assert_eq!(got.as_slice().unwrap(), want);
        let mut native = vec![0; want.len() * pixel.bytes()];
        movie.read_native(range, &mut native).unwrap();
        prop_assert_eq!(native, frame_bytes(want, pixel));
    }
}

#[test]
fn another_reader_sees_the_same_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let shape = MovieShape::new(75, 2, 20, 30);
    let data = pixels(shape, 3);
    write(&path, shape, PixelType::I16, &data, &[0]);
    let store = Arc::new(FilesystemStore::new(&path).unwrap());
    let array = Array::open(store, "/").unwrap();
    assert_eq!(array.shape(), [75, 2, 20, 30]);
    let names = array.dimension_names().as_ref().unwrap();
    assert_eq!(
        names.iter().map(|n| n.clone().unwrap()).collect::<String>(),
        "tzyx"
    );
    let all: Vec<i16> = array.retrieve_array_subset(&array.subset_all()).unwrap();
    assert!(all.iter().zip(&data).all(|(&a, &b)| f32::from(a) == b));
    assert_eq!(all.len(), data.len());
}

#[test]
fn bytes_depend_on_neither_threads_nor_block_order() {
    let shape = MovieShape::new(200, 1, 64, 64);
    let data = pixels(shape, 9);
    let make = |threads: usize, order: &[usize]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movie.zarr");
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| write(&path, shape, PixelType::U16, &data, order));
        contents(&path)
    };
    let one = make(1, &[0]);
    assert!(one.len() > 3, "several shards and the metadata");
    assert!(one == make(4, &[0]));
    assert!(one == make(4, &[5, 2, 9, 1]));
    // One call with everything, as an unlimited budget would give.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let mut writer = MovieWriter::create(&path, shape, PixelType::U16, Some(30.0)).unwrap();
    writer.write(0, &data).unwrap();
    writer.finish().unwrap();
    assert!(one == contents(&path));
}

#[test]
fn reading_is_the_same_at_any_thread_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let shape = MovieShape::new(130, 1, 64, 64);
    write(&path, shape, PixelType::U16, &pixels(shape, 4), &[0]);
    let movie = MovieReader::open(&path).unwrap();
    let read = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| movie.read_array(3..129).unwrap())
    };
    assert_eq!(read(1), read(4));
}

#[test]
fn a_drop_before_finish_leaves_the_old_target_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let shape = MovieShape::new(40, 1, 8, 8);
    write(&path, shape, PixelType::U8, &pixels(shape, 1), &[0]);
    let before = contents(folder.path());
    let mut writer = MovieWriter::create(&path, shape, PixelType::U8, None).unwrap();
    writer.write(0, &pixels(shape, 2)).unwrap();
    assert!(contents(folder.path()).len() > before.len());
    drop(writer);
    assert_eq!(contents(folder.path()), before);
    // Nor does a finish that is refused.
    let writer = MovieWriter::create(&path, shape, PixelType::U8, None).unwrap();
    assert!(matches!(writer.finish(), Err(Error::Misuse { .. })));
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn finish_replaces_the_old_target_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let long = MovieShape::new(400, 1, 8, 8);
    let short = MovieShape::new(3, 1, 5, 7);
    write(&path, long, PixelType::U8, &pixels(long, 1), &[0]);
    write(&path, short, PixelType::F32, &pixels(short, 2), &[0]);
    assert_eq!(MovieReader::open(&path).unwrap().shape(), short);
    assert_eq!(contents(&path).len(), 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_interrupted_replacement_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let shape = MovieShape::new(5, 1, 8, 8);
    write(&path, shape, PixelType::U8, &pixels(shape, 1), &[0]);
    let old = contents(&path);
    // As a crash between the two renames of a commit would leave it.
    fs::rename(&path, folder.path().join(".movie.zarr.replaced")).unwrap();
    drop(MovieWriter::create(&path, shape, PixelType::U8, None).unwrap());
    assert_eq!(contents(&path), old);
    // And as a crash after them would.
    fs::create_dir(folder.path().join(".movie.zarr.replaced")).unwrap();
    write(&path, shape, PixelType::U8, &pixels(shape, 2), &[0]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_not_zarr_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thesis");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("chapter1.txt"), "years of work").unwrap();
    let shape = MovieShape::new(5, 1, 8, 8);
    write(&path, shape, PixelType::U8, &pixels(shape, 1), &[0]);
    assert_eq!(MovieReader::open(&path).unwrap().shape(), shape);
    let kept = folder.path().join("thesis.replaced-0").join("chapter1.txt");
    assert_eq!(fs::read_to_string(kept).unwrap(), "years of work");
}

#[test]
fn misuse_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let shape = MovieShape::new(100, 1, 8, 8);
    let create = |shape, rate| MovieWriter::create(&path, shape, PixelType::U16, rate);
    assert!(matches!(
        create(MovieShape::new(0, 1, 8, 8), None),
        Err(Error::Empty { .. })
    ));
    assert!(matches!(
        create(MovieShape::new(5, 1, 8, 0), None),
        Err(Error::Empty { .. })
    ));
    assert!(matches!(
        create(shape, Some(0.0)),
        Err(Error::Misuse { .. })
    ));
    assert!(matches!(
        create(shape, Some(f64::NAN)),
        Err(Error::Misuse { .. })
    ));
    let huge = MovieShape::new(5, 1, 1 << 20, 1 << 20);
    assert!(matches!(create(huge, None), Err(Error::Limit { .. })));
    let nowhere = folder.path().join("missing").join("movie.zarr");
    let error = MovieWriter::create(&nowhere, shape, PixelType::U16, None).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("missing"));
    assert!(MovieWriter::create("/", shape, PixelType::U16, None).is_err());
    let mut writer = create(shape, None).unwrap();
    let align = writer.align();
    assert_eq!(align, 64);
    assert!(
        writer.write(1, &[0.0; 64 * 64]).is_err(),
        "start not aligned"
    );
    assert!(writer.write(0, &[0.0; 63 * 64]).is_err(), "end not aligned");
    assert!(writer.write(0, &[0.0; 100]).is_err(), "not whole frames");
    assert!(writer.write(64, &[0.0; 64 * 64]).is_err(), "past the end");
    assert!(
        writer.write(usize::MAX, &[0.0; 64]).is_err(),
        "far past the end"
    );
    writer.write(64, &[0.0; 36 * 64]).unwrap();
    assert!(writer.write(64, &[0.0; 36 * 64]).is_err(), "twice");
    let error = writer.finish().unwrap_err().to_string();
    assert!(error.contains("frame 0 was never written"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn saturated_and_nan_samples_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let shape = MovieShape::new(1, 1, 1, 5);
    let mut writer = MovieWriter::create(&path, shape, PixelType::U8, None).unwrap();
    writer
        .write(0, &[-3.0, 300.0, 2.5, f32::NAN, 255.0])
        .unwrap();
    assert_eq!((writer.saturated(), writer.nan()), (2, 1));
    Box::new(writer).finish().unwrap();
    let movie = MovieReader::open(&path).unwrap();
    assert_eq!(movie.frame_rate(), None);
    let got = movie.read_array(0..1).unwrap();
    assert_eq!(got.as_slice().unwrap(), [0.0, 255.0, 2.0, 0.0, 255.0]);
}

#[test]
fn reads_outside_the_movie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.zarr");
    let shape = MovieShape::new(5, 1, 4, 4);
    write(&path, shape, PixelType::U16, &pixels(shape, 1), &[0]);
    let movie = MovieReader::open(&path).unwrap();
    assert!(movie.read(0..6, &mut [0.0; 96]).is_err());
    assert!(movie.read(0..2, &mut [0.0; 31]).is_err());
    assert!(movie.read_native(0..2, &mut [0; 63]).is_err());
    movie.read(2..2, &mut []).unwrap();
}
