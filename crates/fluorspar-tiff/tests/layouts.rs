//! Pages in regular and irregular places: what is predicted is what a walk finds.

mod common;

use common::{TiffBuilder, set};
use fluorspar_movie::{Movie as _, MovieExt, MovieShape, PixelType};
use fluorspar_tiff::{Movie, OpenOptions, Search};
use proptest::prelude::*;

fn walking() -> OpenOptions {
    OpenOptions {
        search: Search::Walk,
        ..OpenOptions::default()
    }
}

/// Pages of 3 × 5 pixels whose value is their number, with gaps between them.
fn stack(big_endian: bool, big: bool, gaps: &[usize]) -> TiffBuilder {
    let mut builder = TiffBuilder::with(big_endian, big);
    for (page, &gap) in gaps.iter().enumerate() {
        builder.pad(gap);
        builder.page(3, 5, page as u16, |_| {});
    }
    builder
}

fn values(movie: &Movie) -> Vec<f32> {
    (0..movie.shape().frames)
        .map(|frame| movie.read_array(frame..frame + 1).unwrap()[[0, 2, 4]])
        .collect()
}

#[test]
fn equal_distances_are_seen() {
    for (big_endian, big) in [(false, false), (true, false), (false, true), (true, true)] {
        let movie = stack(big_endian, big, &[2; 300]).open().unwrap();
        assert_eq!(movie.page_layout(), "equal distances");
        assert_eq!(movie.shape(), MovieShape::new(300, 1, 3, 5));
        let expected: Vec<f32> = (0..300_u16).map(f32::from).collect();
        assert_eq!(values(&movie), expected);
        assert_eq!(
            movie.view::<u16>(7..8).is_some(),
            big_endian == cfg!(target_endian = "big")
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A few changes of distance, of any size and anywhere.
    #[test]
    fn prediction_and_walk_agree(
        runs in prop::collection::vec((1_usize..40, 0_usize..20), 1..8),
        big_endian in any::<bool>(),
        big in any::<bool>(),
        tail in 0_usize..400,
    ) {
        let gaps: Vec<usize> = runs.iter().flat_map(|&(pages, gap)| vec![2 * gap; pages]).collect();
        let mut builder = stack(big_endian, big, &gaps);
        builder.pad(tail);
        let bytes = builder.bytes;
        let predicted = Movie::from_bytes(bytes.clone(), &OpenOptions::default()).unwrap();
        let walked = Movie::from_bytes(bytes, &walking()).unwrap();
        prop_assert_eq!(predicted.shape(), walked.shape());
        prop_assert_eq!(values(&predicted), values(&walked));
    }

    /// One spoilt byte anywhere: a prediction gives what the walk gives, or an error.
    #[test]
    fn no_prediction_hides_damage(at in 0_usize..20_000, byte in any::<u8>()) {
        let mut bytes = stack(false, false, &[2; 150]).bytes;
        let at = at % bytes.len();
        bytes[at] = byte;
        let walked = Movie::from_bytes(bytes.clone(), &walking());
        let predicted = Movie::from_bytes(bytes, &OpenOptions::default());
        if let (Ok(predicted), Ok(walked)) = (predicted, walked)
            && predicted.shape() == walked.shape()
        {
            for frame in 0..walked.shape().frames {
                match (predicted.read_array(frame..frame + 1), walked.read_array(frame..frame + 1)) {
                    (Ok(a), Ok(b)) => prop_assert_eq!(a, b),
                    (Ok(_), Err(error)) => prop_assert!(false, "frame {frame} is broken: {error}"),
                    (Err(_), _) => {}
                }
            }
        }
    }
}

/// A directory in the middle that no sample touches, moved elsewhere with its pixels.
#[test]
fn a_page_that_is_not_where_it_was_predicted_is_found_by_the_walk() {
    let gaps = vec![2; 5000];
    let mut builder = stack(false, false, &gaps);
    let stride = {
        let first = u32::from_le_bytes(builder.bytes[4..8].try_into().unwrap()) as usize;
        let link = first + 2 + 9 * 12;
        u32::from_le_bytes(builder.bytes[link..link + 4].try_into().unwrap()) as usize - first
    };
    let first = u32::from_le_bytes(builder.bytes[4..8].try_into().unwrap()) as usize;
    // Page 2777 points to a new directory for page 2778, which points back to 2779.
    let link = |page: usize| first + page * stride + 2 + 9 * 12;
    let data = builder.bytes.len();
    builder.bytes.extend(7777_u16.to_le_bytes().repeat(15));
    let moved = builder.bytes.len();
    let old = first + 2778 * stride;
    let mut directory = builder.bytes[old..old + 2 + 9 * 12 + 4].to_vec();
    let strip = 2 + 5 * 12 + 8;
    directory[strip..strip + 4].copy_from_slice(&(data as u32).to_le_bytes());
    builder.bytes.extend(directory);
    let at = link(2777);
    builder.bytes[at..at + 4].copy_from_slice(&(moved as u32).to_le_bytes());
    let movie = builder.open().unwrap();
    let pixel = |frame: usize| movie.read_array(frame..frame + 1).unwrap()[[0, 0, 0]];
    assert_eq!((pixel(2776), pixel(2779)), (2776.0, 2779.0));
    // Where the prediction is questioned, the walk decides.
    assert_eq!(pixel(2777), 2777.0);
    assert_eq!(pixel(2778), 7777.0);
}

/// Found by fuzzing: the template took the last of doubled tags, the reader the first.
#[test]
fn of_doubled_tags_the_first_counts() {
    let mut builder = TiffBuilder::new();
    for page in 0..20 {
        builder.page(3, 5, page, |tags| {
            let elsewhere = tags.iter().find(|tag| tag.0 == 273).unwrap().2 - 4;
            tags.extend([(273, 4, elsewhere), (279, 4, 2)]);
        });
    }
    let bytes = builder.bytes;
    let predicted = Movie::from_bytes(bytes.clone(), &OpenOptions::default()).unwrap();
    let walked = Movie::from_bytes(bytes, &walking()).unwrap();
    assert_eq!(predicted.page_layout(), "equal distances");
    assert_eq!(values(&predicted), values(&walked));
}

#[test]
fn thumbnails_among_the_pages_are_no_frames() {
    let mut builder = TiffBuilder::new();
    for page in 0..10 {
        builder.page(4, 6, page, |_| {});
        builder.page(2, 3, 99, |tags| tags.insert(0, (254, 4, 1)));
    }
    let movie = builder.open().unwrap();
    assert_eq!(movie.shape(), MovieShape::new(10, 1, 4, 6));
    assert_eq!(movie.read_array(9..10).unwrap()[[0, 3, 5]], 9.0);
}

#[test]
fn samples_of_a_page_are_frames() {
    // Red, green and blue of 2 × 2 pixels, interleaved and in planes.
    for planar in [1_u64, 2] {
        let mut builder = TiffBuilder::new();
        let data = builder.bytes.len();
        let chunky: Vec<u8> = (0..4)
            .flat_map(|pixel| [pixel, 10 + pixel, 20 + pixel])
            .collect();
        let planes: Vec<u8> = (0..3)
            .flat_map(|sample| (0..4).map(move |p| 10 * sample + p))
            .collect();
        builder
            .bytes
            .extend(if planar == 1 { &chunky } else { &planes });
        let table = builder.bytes.len() as u64;
        let mut tags = vec![
            (256, 3, 2),
            (257, 3, 2),
            (258, 3, 8),
            (259, 3, 1),
            (262, 3, 2),
            (273, 4, data as u64),
            (277, 3, 3),
            (279, 4, 12),
            (284, 3, planar),
        ];
        if planar == 2 {
            for plane in 0..3 {
                builder.put(data as u64 + 4 * plane, 4);
            }
            for _ in 0..3 {
                builder.put(4, 4);
            }
            set(273, table)(&mut tags);
            set(279, table + 12)(&mut tags);
        }
        let place = builder.directory(&tags);
        if planar == 2 {
            for index in [5, 7] {
                builder.bytes[place + 2 + index * 12 + 4] = 3;
            }
        }
        let movie = builder.open().unwrap();
        assert_eq!(
            (movie.shape(), movie.samples()),
            (MovieShape::new(3, 1, 2, 2), 3)
        );
        assert_eq!(movie.pixel_type(), PixelType::U8);
        let all = movie.read_array(0..3).unwrap();
        assert_eq!(
            (all[[0, 1, 1]], all[[1, 0, 1]], all[[2, 1, 0]]),
            (3.0, 11.0, 22.0)
        );
        assert_eq!(movie.read_array(1..3).unwrap()[[1, 1, 0]], 22.0);
    }
}

#[test]
fn places_are_kept_in_a_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.tif");
    // Irregular on purpose: each page a little further.
    let gaps: Vec<usize> = (0..200).map(|page| 2 * (page * page % 37)).collect();
    std::fs::write(&path, stack(false, true, &gaps).bytes).unwrap();
    let options = OpenOptions {
        sidecar: true,
        ..OpenOptions::default()
    };
    let open = || Movie::open_with(std::slice::from_ref(&path), &options).unwrap();
    let before = values(&open());
    let sidecar = folder.path().join(".movie.tif.index");
    assert!(sidecar.is_file());
    assert_eq!(values(&open()), before);
    // A sidecar that is damaged, or of another file, is not believed.
    let mut kept = std::fs::read(&sidecar).unwrap();
    kept[60] ^= 1;
    std::fs::write(&sidecar, &kept).unwrap();
    assert_eq!(values(&open()), before);
    std::fs::write(&path, stack(false, true, &gaps[..150]).bytes).unwrap();
    assert_eq!(open().shape().frames, 150);
}
