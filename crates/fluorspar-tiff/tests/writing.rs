//! What is written is read, to the bit, and a file in the making disturbs nobody.

use std::path::Path;

use fluorspar_movie::{Movie as _, MovieShape, MovieSink, PixelType};
use fluorspar_tiff::{Compression, Dialect, Error, Movie, Writer, WriterOptions};
use proptest::prelude::*;

const DIALECTS: [Dialect; 4] = [
    Dialect::Plain,
    Dialect::ImageJ,
    Dialect::Ome,
    Dialect::ScanImage,
];
const COMPRESSIONS: [Compression; 4] = [
    Compression::None,
    Compression::Deflate,
    Compression::Lzw,
    Compression::Zstd,
];

fn native(movie: &Movie) -> Vec<u8> {
    let shape = movie.shape();
    let mut out = vec![0; shape.frames * shape.frame_len() * movie.pixel_type().bytes()];
    movie.read_native(0..shape.frames, &mut out).unwrap();
    out
}

/// Bytes that are neither constant nor noise.
fn some_bytes(count: usize, seed: u8) -> Vec<u8> {
    (0..count)
        .map(|k| (k as u8).wrapping_mul(seed) ^ ((k >> 5) as u8))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bytes_come_back(
        kind in 0_usize..8,
        dialect in 0_usize..4,
        compression in 0_usize..4,
        big in any::<bool>(),
        (frames, height, width) in (1_usize..6, 1_usize..20, 1_usize..20),
        more in 0_usize..4,
        rate in prop::option::of(0.1_f64..1000.0),
        size in prop::option::of(0.01_f64..50.0),
        seed in any::<u8>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movie.tif");
        let dialect = DIALECTS[dialect];
        let options = WriterOptions {
            frame_rate: rate,
            pixel_size_um: size,
            dialect,
            compression: COMPRESSIONS[compression],
            bigtiff: Some(big || dialect == Dialect::ScanImage),
        };
        let pixel_type = PixelType::ALL[kind];
        let shape = MovieShape::new(frames, 1, height, width);
        let frame = height * width * pixel_type.bytes();
        let bytes = some_bytes((frames + more) * frame, seed | 1);
        let mut writer = Writer::create(&path, shape, pixel_type, &options).unwrap();
        // In two parts, as they come.
        let cut = frames / 2;
        writer.write_native(0, &bytes[..cut * frame]).unwrap();
        writer.write_native(cut, &bytes[cut * frame..frames * frame]).unwrap();
        prop_assert!(!path.exists());
        Box::new(writer).finish().unwrap();
        let movie = Movie::open(&path).unwrap();
        prop_assert_eq!((movie.shape(), movie.pixel_type()), (shape, pixel_type));
        prop_assert_eq!(native(&movie), &bytes[..frames * frame]);
        if let (Some(rate), true) = (rate, dialect != Dialect::Plain) {
            prop_assert!((movie.frame_rate().unwrap() / rate - 1.0).abs() < 1e-6);
        }
        let zero_copy = options.compression == Compression::None;
        prop_assert_eq!(movie.is_zero_copy(), zero_copy);
        drop(movie);

        if more == 0 {
            return Ok(());
        }
        let appended = Writer::append(&path, more, &options);
        if matches!(dialect, Dialect::ImageJ | Dialect::Ome) {
            let refused = matches!(appended, Err(Error::Unsupported { .. }));
            prop_assert!(refused);
            return Ok(());
        }
        let before = std::fs::read(&path).unwrap();
        // Given up halfway: nothing has changed.
        drop(appended);
        prop_assert_eq!(&std::fs::read(&path).unwrap(), &before);
        let mut writer = Writer::append(&path, more, &options).unwrap();
        writer.write_native(0, &bytes[frames * frame..]).unwrap();
        // Until it is finished, readers see the old movie.
        prop_assert_eq!(Movie::open(&path).unwrap().shape().frames, frames);
        Box::new(writer).finish().unwrap();
        let movie = Movie::open(&path).unwrap();
        prop_assert_eq!(movie.shape().frames, frames + more);
        prop_assert_eq!(native(&movie), bytes);
    }
}

fn create(path: &Path, shape: MovieShape, options: &WriterOptions) -> Result<Writer, Error> {
    Writer::create(path, shape, PixelType::U16, options)
}

#[test]
fn what_cannot_be_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.tif");
    let options = WriterOptions::default();
    for shape in [
        MovieShape::new(0, 1, 4, 4),
        MovieShape::new(1, 1, 0, 4),
        MovieShape::new(1, 0, 4, 4),
        MovieShape::new(1, 1, 1 << 33, 4),
        MovieShape::new(usize::MAX, 2, 4, 4),
    ] {
        assert!(matches!(
            create(&path, shape, &options),
            Err(Error::Misuse(_))
        ));
    }
    // 8 GB do not fit classic TIFF, but for ImageJ's stacks of one directory.
    let long = MovieShape::new(4096, 1, 1024, 1024);
    let classic = |dialect| WriterOptions {
        dialect,
        bigtiff: Some(false),
        ..WriterOptions::default()
    };
    assert!(create(&path, long, &classic(Dialect::Plain)).is_err());
    assert!(create(&path, long, &classic(Dialect::ImageJ)).is_ok());
    assert!(
        create(
            &path,
            MovieShape::new(1, 1, 4, 4),
            &classic(Dialect::ScanImage)
        )
        .is_err()
    );
    let nowhere = folder.path().join("nowhere/movie.tif");
    assert!(matches!(
        create(&nowhere, MovieShape::new(1, 1, 4, 4), &options),
        Err(Error::Io { .. })
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let mut writer = create(&path, MovieShape::new(2, 1, 4, 4), &options).unwrap();
    assert!(writer.write_native(0, &[0; 31]).is_err(), "half a pixel");
    assert!(writer.write_native(0, &[0; 30]).is_err(), "half a frame");
    assert!(writer.write_native(1, &[0; 32]).is_err(), "frame 0 is due");
    assert!(writer.write_native(0, &[0; 96]).is_err(), "three frames");
    writer.write_native(0, &[0; 32]).unwrap();
    assert!(Box::new(writer).finish().is_err(), "one frame is missing");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// ImageJ's own way beyond 4 GB: one directory, all pixels in a block, whose
/// end no classic offset can name. The pixels are a hole in the file.
#[cfg(target_os = "linux")]
#[test]
fn an_imagej_stack_beyond_4_gb_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.tif");
    let (frames, side) = (2_500_u64, 1024_u64);
    let text = format!("ImageJ=1.54f\nimages={frames}\nframes={frames}\nfinterval=0.1\n\0");
    let mut bytes = b"MM\0\x2a\0\0\0\x08".to_vec();
    let (after, pixels) = (8 + 2 + 8 * 12 + 4, 512_u32);
    bytes.extend(8_u16.to_be_bytes());
    let count = text.len() as u32;
    for (tag, kind, count, value) in [
        (256_u16, 4_u16, 1_u32, side as u32),
        (257, 4, 1, side as u32),
        (258, 3, 1, 16 << 16),
        (262, 3, 1, 1 << 16),
        (270, 2, count, after),
        (273, 4, 1, pixels),
        (278, 4, 1, side as u32),
        (279, 4, 1, (2 * side * side) as u32),
    ] {
        bytes.extend(tag.to_be_bytes());
        bytes.extend(kind.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        bytes.extend(value.to_be_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend(text.as_bytes());
    std::fs::write(&path, bytes).unwrap();
    let end = u64::from(pixels) + 2 * frames * side * side;
    assert!(end > u64::from(u32::MAX));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(end).unwrap();
    // The last pixel is 0x0102.
    std::os::unix::fs::FileExt::write_all_at(&file, &[1, 2], end - 2).unwrap();
    let movie = Movie::open(&path).unwrap();
    assert_eq!(movie.shape(), MovieShape::new(2500, 1, 1024, 1024));
    assert_eq!(
        (movie.page_layout(), movie.frame_rate()),
        ("one block", Some(10.0))
    );
    let mut last = vec![0.0; 1024 * 1024];
    movie.read(2499..2500, &mut last).unwrap();
    assert_eq!((last[0], last[1024 * 1024 - 1]), (0.0, 258.0));
    file.set_len(end - 1).unwrap();
    let error = Movie::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("truncated") && error.contains("2500 images"),
        "{error}"
    );
}
