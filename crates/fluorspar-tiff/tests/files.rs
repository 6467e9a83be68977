//! TIFF files, sound and broken, against what is known of them.

mod common;

use std::path::{Path, PathBuf};

use common::{Tag, TiffBuilder, set};
use fluorspar_movie::{Movie as _, MovieExt, MovieShape, MovieSink, PixelType};
use fluorspar_tiff::{Backend, Dialect, Error, Movie, OpenOptions, Writer, WriterOptions};
use ndarray::Array3;
use proptest::prelude::*;

fn one_page(change: impl Fn(&mut Vec<Tag>)) -> Result<Movie, Error> {
    let mut builder = TiffBuilder::new();
    builder.page(4, 6, 7, change);
    builder.open()
}

#[test]
fn a_built_file_is_read() {
    let mut builder = TiffBuilder::new();
    builder.page(4, 6, 7, |_| {});
    builder.page(4, 6, 9, |_| {});
    let movie = builder.open().unwrap();
    assert_eq!(movie.shape(), MovieShape::new(2, 1, 4, 6));
    assert_eq!(movie.read_array(0..2).unwrap()[[1, 3, 5]], 9.0);
    assert_eq!(movie.view::<u16>(1..2).unwrap()[[0, 0, 0]], 9);
    assert!(
        movie.view::<u16>(0..2).is_none(),
        "directories lie between the pages"
    );
}

#[test]
fn broken_files_are_refused_by_rule() {
    let rule = |result: Result<Movie, Error>| result.unwrap_err().to_string();
    assert!(rule(one_page(set(256, 0))).contains("no pixels"));
    assert!(matches!(
        one_page(set(257, u64::from(u32::MAX))),
        Err(Error::Limit { .. })
    ));
    assert!(rule(one_page(set(273, 1 << 30))).contains("past the end"));
    assert!(rule(one_page(set(279, 3))).contains("need 48"));
    assert!(rule(one_page(set(277, 3))).contains("need 144"));
    assert!(matches!(
        one_page(set(258, 12)),
        Err(Error::Unsupported { .. })
    ));
    assert!(matches!(
        one_page(set(259, 7)),
        Err(Error::Unsupported { .. })
    ));
    assert!(rule(one_page(|tags| tags.retain(|t| t.0 != 256))).contains("256 is missing"));
    assert!(rule(one_page(|tags| tags.retain(|t| t.0 != 273))).contains("where its pixels"));

    let mut mixed = TiffBuilder::new();
    mixed.page(4, 6, 1, |_| {});
    mixed.page(4, 7, 1, |_| {});
    assert!(rule(mixed.open()).contains("page 1"));

    let mut looped = TiffBuilder::new();
    let first = looped.page(4, 6, 1, |_| {});
    looped.page(4, 6, 1, |_| {});
    let link = looped.link;
    looped.bytes[link..link + 4].copy_from_slice(&(first as u32).to_le_bytes());
    assert!(rule(looped.open()).contains("loop"));

    for bytes in [
        &b""[..],
        b"II",
        b"hello, this is text",
        b"II\x2a\0\0\0\0\0",
        b"MM\0\x2b\0\x08\0\0",
    ] {
        assert!(Movie::from_bytes(bytes.to_vec(), &OpenOptions::default()).is_err());
    }
    assert!(matches!(Movie::open_many(&[]), Err(Error::Misuse(_))));
    assert!(matches!(
        Movie::open(Path::new("/does/not/exist.tif")),
        Err(Error::Io { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any prefix and any flipped byte of a sound file: an answer, never a panic.
    #[test]
    fn spoilt_bytes_never_panic(cut in 0_usize..400, at in 0_usize..400, byte in any::<u8>()) {
        let mut builder = TiffBuilder::new();
        builder.page(4, 6, 7, |_| {});
        builder.page(4, 6, 8, |_| {});
        let mut bytes = builder.bytes;
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut.min(bytes.len()) / 4);
        if let Ok(movie) = Movie::from_bytes(bytes, &OpenOptions::default()) {
            let _ = movie.read_array(0..movie.shape().frames.min(3));
        }
    }

    #[test]
    fn what_is_written_is_read(frames in 1_usize..5, height in 1_usize..9, width in 1_usize..9, big in any::<bool>(), scanimage in any::<bool>(), kind in 0_usize..5, seed in any::<u32>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movie.tif");
        let pixel_type = [PixelType::U8, PixelType::I16, PixelType::U16, PixelType::I32, PixelType::F32][kind];
        let (low, range) = if kind == 1 { (-300, 600) } else { (0, 250) };
        let data = Array3::from_shape_fn((frames, height, width), |(t, y, x)| {
            (low + (seed as usize % 1000 + t * 7919 + y * 31 + x * 17) as i32 % range) as f32
        });
        let dialect = if scanimage { Dialect::ScanImage } else { Dialect::ImageJ };
        let options = WriterOptions { frame_rate: Some(15.5), dialect, bigtiff: Some(big || scanimage), ..WriterOptions::default() };
        let shape = MovieShape::new(frames, 1, height, width);
        let mut writer = Writer::create(&path, shape, pixel_type, &options).unwrap();
        writer.write(0, data.as_slice().unwrap()).unwrap();
        Box::new(writer).finish().unwrap();
        for backend in [Backend::Mapped, Backend::Positioned] {
            let limits = OpenOptions { backend, ..OpenOptions::default() };
            let movie = Movie::open_with(std::slice::from_ref(&path), &limits).unwrap();
            prop_assert_eq!(movie.pixel_type(), pixel_type);
            prop_assert!((movie.frame_rate().unwrap() - 15.5).abs() < 1e-9);
            prop_assert_eq!(&movie.read_array(0..frames).unwrap(), &data);
        }
    }
}

fn written(path: &Path, frames: usize, value: f32) {
    let shape = MovieShape::new(frames, 1, 8, 8);
    let mut writer =
        Writer::create(path, shape, PixelType::I16, &WriterOptions::default()).unwrap();
    writer.write(0, &vec![value; frames * 64]).unwrap();
    Box::new(writer).finish().unwrap();
}

#[test]
fn several_files_are_one_movie() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths: Vec<PathBuf> = [10, 9, 1]
        .map(|k| folder.path().join(format!("scan_{k}.tif")))
        .to_vec();
    for (path, value) in paths.iter().zip([10.0, 9.0, 1.0]) {
        written(path, 2, value);
    }
    fluorspar_tiff::natural_order(&mut paths);
    let movie = Movie::open_many(&paths).unwrap();
    let all = movie.read_array(1..5).unwrap();
    assert_eq!(
        (0..4).map(|t| all[[t, 3, 3]]).collect::<Vec<_>>(),
        [1.0, 9.0, 9.0, 10.0]
    );
    let shape = MovieShape::new(1, 1, 8, 9);
    let odd = folder.path().join("odd.tif");
    let mut writer =
        Writer::create(&odd, shape, PixelType::I16, &WriterOptions::default()).unwrap();
    writer.write(0, &[0.0; 72]).unwrap();
    Box::new(writer).finish().unwrap();
    paths.push(odd);
    assert!(
        Movie::open_many(&paths)
            .unwrap_err()
            .to_string()
            .contains("odd.tif")
    );
}

#[test]
fn a_file_that_shrinks_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for backend in [Backend::Mapped, Backend::Positioned] {
        let path = folder.path().join("movie.tif");
        written(&path, 20, 3.0);
        let limits = OpenOptions {
            backend,
            ..OpenOptions::default()
        };
        let movie = Movie::open_with(std::slice::from_ref(&path), &limits).unwrap();
        std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(500)
            .unwrap();
        let error = movie.read_array(0..20).unwrap_err().to_string();
        assert!(error.contains("changed while it was open"), "{error}");
        assert!(movie.view::<i16>(0..1).is_none());
    }
}

#[test]
fn an_unfinished_file_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.tif");
    written(&path, 2, 5.0);
    let shape = MovieShape::new(9, 1, 8, 8);
    let mut writer =
        Writer::create(&path, shape, PixelType::I16, &WriterOptions::default()).unwrap();
    writer.write(0, &[1.0; 64]).unwrap();
    assert!(writer.write(5, &[1.0; 64]).is_err(), "frames come in order");
    drop(writer);
    assert_eq!(Movie::open(&path).unwrap().shape().frames, 2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let mut writer =
        Writer::create(&path, shape, PixelType::I16, &WriterOptions::default()).unwrap();
    writer.write(0, &[1e6; 64]).unwrap();
    assert_eq!(writer.saturated(), 64);
    assert!(Box::new(writer).finish().is_err(), "frames are missing");
}

/// Every way to lay pages out, cut off anywhere: refused by default, and what
/// is whole is kept when asked for.
#[test]
fn what_is_whole_of_a_broken_file_can_be_salvaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.tif");
    let shape = MovieShape::new(20, 1, 16, 16);
    let pixels: Vec<f32> = (0..20 * 256).map(|k| (k / 256) as f32).collect();
    for dialect in [Dialect::Plain, Dialect::ScanImage, Dialect::ImageJ] {
        let options = WriterOptions {
            dialect,
            ..WriterOptions::default()
        };
        let mut writer = Writer::create(&path, shape, PixelType::I16, &options).unwrap();
        writer.write(0, &pixels).unwrap();
        Box::new(writer).finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let salvage = OpenOptions {
            salvage: true,
            ..OpenOptions::default()
        };
        for cut in [bytes.len() / 3, bytes.len() / 2, bytes.len() - 7] {
            let broken = bytes[..cut].to_vec();
            let error = Movie::from_bytes(broken.clone(), &OpenOptions::default()).unwrap_err();
            // ImageJ's stacks have their directories at the end.
            if dialect != Dialect::ImageJ {
                assert!(error.to_string().contains("can be salvaged"), "{error}");
            }
            let movie = Movie::from_bytes(broken, &salvage).unwrap();
            let frames = movie.shape().frames;
            // A page takes less than 1 KiB with all that belongs to it.
            assert!(
                (cut / 1024 - 1..20).contains(&frames),
                "{dialect:?}: {frames}"
            );
            for frame in 0..frames {
                assert_eq!(
                    movie.read_array(frame..frame + 1).unwrap()[[0, 9, 9]],
                    frame as f32
                );
            }
        }
    }
}

fn data() -> Option<PathBuf> {
    let path = std::env::var_os("FLUORSPAR_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    path.is_dir().then_some(path)
}

#[test]
fn real_recordings_in_two_dialects_agree() {
    let Some(data) = data() else { return };
    let packed = Movie::open(&data.join("movies/optinist_mouse2p.tiff")).unwrap();
    assert_eq!(packed.shape(), MovieShape::new(2000, 1, 128, 128));
    assert_eq!(
        (packed.pixel_type(), packed.codec()),
        (PixelType::U16, "PackBits")
    );
    let stack =
        Movie::open(&data.join("movies/optinist_mouse2p_first200_bigendian_imagej.tiff")).unwrap();
    assert_eq!(stack.metadata().dialect, Dialect::ImageJ);
    assert_eq!(stack.shape().frames, 200);
    assert_eq!(
        packed.read_array(0..200).unwrap(),
        stack.read_array(0..200).unwrap()
    );
}

#[test]
fn files_that_broke_other_decoders_break_nothing() {
    let Some(data) = data() else { return };
    let mut opened = 0;
    for folder in [
        "tiff",
        "tiff-imagecodecs",
        "tiff-malformed",
        "tiff-malformed-image-rs",
    ] {
        let Ok(entries) = std::fs::read_dir(data.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if let Ok(movie) = Movie::open(&path) {
                opened += usize::from(movie.read_array(0..1).is_ok());
            }
        }
    }
    assert!(opened > 10, "{opened}");
}

/// One block of 8 × 8 pixels with nothing but a mean: by the definition of the
/// transform, all pixels are 128 + 40 · 8 / 8.
#[test]
fn a_grey_jpeg_is_read() {
    let mut jpeg = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, body: &[u8]| {
        jpeg.extend([0xFF, marker]);
        jpeg.extend((body.len() as u16 + 2).to_be_bytes());
        jpeg.extend(body);
    };
    // Every coefficient in units of 8.
    segment(0xDB, &[&[0][..], &[8; 64]].concat());
    segment(0xC0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    // One code of one bit in each table: a mean of 6 bits, and the end of the block.
    let lengths = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    segment(0xC4, &[&[0x00][..], &lengths, &[6]].concat());
    segment(0xC4, &[&[0x10][..], &lengths, &[0]].concat());
    segment(0xDA, &[1, 1, 0, 0, 63, 0]);
    jpeg.extend([0b0101_0000, 0xFF, 0xD9]);
    let mut builder = TiffBuilder::new();
    let at = builder.bytes.len() as u64;
    builder.bytes.extend(&jpeg);
    builder.directory(&[
        (256, 4, 8),
        (257, 4, 8),
        (258, 3, 8),
        (259, 3, 7),
        (262, 3, 1),
        (273, 4, at),
        (277, 3, 1),
        (278, 4, 8),
        (279, 4, jpeg.len() as u64),
    ]);
    let movie = builder.open().unwrap();
    assert_eq!(
        (movie.codec(), movie.shape()),
        ("JPEG", MovieShape::new(1, 1, 8, 8))
    );
    assert!(movie.read_array(0..1).unwrap().iter().all(|&v| v == 168.0));
}

#[test]
fn pages_know_when_they_were_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.tif");
    let shape = MovieShape::new(5, 1, 4, 4);
    for (dialect, expected) in [
        (Dialect::ScanImage, Some(vec![0.0, 0.25, 0.5, 0.75, 1.0])),
        (Dialect::ImageJ, None),
    ] {
        let options = WriterOptions {
            frame_rate: Some(4.0),
            dialect,
            ..WriterOptions::default()
        };
        let mut writer = Writer::create(&path, shape, PixelType::U8, &options).unwrap();
        writer.write(0, &[1.0; 80]).unwrap();
        Box::new(writer).finish().unwrap();
        assert_eq!(Movie::open(&path).unwrap().times_s().unwrap(), expected);
    }
}

/// Two files of an OME set, each with the description of the whole.
#[test]
fn a_set_of_ome_files_is_one_movie() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["b.ome.tif", "a.ome.tif"];
    let xml = |uuid: usize| {
        let data = |k: usize| {
            format!(
                "<TiffData FirstT=\"{}\" IFD=\"0\" PlaneCount=\"2\"><UUID FileName=\"{}\">urn:uuid:{k}</UUID></TiffData>",
                2 * k,
                names[k]
            )
        };
        format!(
            "<OME UUID=\"urn:uuid:{uuid}\"><Image><Pixels DimensionOrder=\"XYCZT\" SizeX=\"4\" SizeY=\"3\" \
             SizeZ=\"1\" SizeC=\"1\" SizeT=\"4\">{}{}</Pixels></Image></OME>\0",
            data(1),
            data(0)
        )
    };
    let write = |name: &str, uuid: usize, first: u16| {
        let mut builder = TiffBuilder::new();
        let text = builder.bytes.len() as u64;
        let xml = xml(uuid);
        builder.bytes.extend(xml.as_bytes());
        let place = builder.page(3, 4, first, |tags| tags.insert(5, (270, 2, text)));
        builder.page(3, 4, first + 1, |_| {});
        // The description is as long as it is.
        let count = place + 2 + 5 * 12 + 4;
        builder.bytes[count..count + 4].copy_from_slice(&(xml.len() as u32).to_le_bytes());
        builder.bytes[count + 4..count + 8].copy_from_slice(&(text as u32).to_le_bytes());
        std::fs::write(folder.path().join(name), builder.bytes).unwrap();
    };
    write(names[0], 0, 10);
    write(names[1], 1, 12);
    let options = OpenOptions::default();
    for name in names {
        let movie = Movie::open_set(&folder.path().join(name), &options).unwrap();
        assert_eq!(movie.shape(), MovieShape::new(4, 1, 3, 4));
        let values: Vec<f32> = (0..4)
            .map(|t| movie.read_array(t..t + 1).unwrap()[[0, 2, 3]])
            .collect();
        assert_eq!(values, [10.0, 11.0, 12.0, 13.0]);
    }
    // Another file under the name of a part, then none.
    write(names[1], 7, 12);
    let error = Movie::open_set(&folder.path().join(names[0]), &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a.ome.tif") && error.contains("urn:uuid:7"),
        "{error}"
    );
    std::fs::remove_file(folder.path().join(names[1])).unwrap();
    let error = Movie::open_set(&folder.path().join(names[0]), &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("a.ome.tif"), "{error}");
    // A file that is no set opens as itself.
    written(&folder.path().join("c.tif"), 3, 1.0);
    assert_eq!(
        Movie::open_set(&folder.path().join("c.tif"), &options)
            .unwrap()
            .shape()
            .frames,
        3
    );
}
