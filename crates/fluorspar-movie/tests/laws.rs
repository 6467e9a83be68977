//! Laws every movie adapter keeps.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use fluorspar_movie::{
    ArrayMovie, Budget, Concatenated, Error, FrameRange, ImageOrder, MemorySink, Mosaic, Movie,
    MovieExt, MovieShape, MovieSink, Piece, Plane, Sample, Volumes, frame_blocks,
};
use ndarray::Array3;
use proptest::prelude::*;

fn counting(frames: usize, height: usize, width: usize, first: usize) -> Array3<i16> {
    Array3::from_shape_fn((frames, height, width), |(t, y, x)| {
        ((first + t) * 100 + y * 10 + x) as i16
    })
}

proptest! {
    #[test]
    fn blocks_tile_the_movie(frames in 0_usize..5000, bytes in 1_usize..10_000, budget in 0_usize..1_000_000, align in 1_usize..64) {
        let blocks: Vec<_> = frame_blocks(frames, bytes, Budget { bytes: budget }, align).collect();
        let mut at = 0;
        for block in &blocks {
            prop_assert_eq!(block.start, at);
            prop_assert!(block.end > block.start);
            prop_assert_eq!(block.start % align, 0);
            prop_assert!(block.len() <= align || block.len() * bytes <= budget);
            at = block.end;
        }
        prop_assert_eq!(at, frames);
    }

    #[test]
    fn a_concatenation_reads_like_the_whole(cuts in prop::collection::vec(0_usize..5, 1..6), a in 0_usize..20, b in 0_usize..20) {
        let total: usize = cuts.iter().sum();
        let whole = ArrayMovie::new(counting(total, 3, 4, 0));
        let mut at = 0;
        let parts = cuts.iter().map(|&n| {
            let part = ArrayMovie::new(counting(n, 3, 4, at));
            at += n;
            Box::new(part) as Box<dyn Movie>
        }).collect();
        let joined = Concatenated::new(parts).unwrap();
        let (start, stop) = (a.min(b).min(total), a.max(b).min(total));
        prop_assert_eq!(joined.read_array(start..stop).unwrap(), whole.read_array(start..stop).unwrap());
        let mut bytes = vec![0; (stop - start) * 24];
        joined.read_native(start..stop, &mut bytes).unwrap();
        prop_assert_eq!(Some(&bytes[..]), whole.view_bytes(start..stop));
        if let Some(view) = joined.view::<i16>(start..stop) {
            prop_assert_eq!(view.mapv(f32::from), whole.read_array(start..stop).unwrap());
        }
        let part = FrameRange::new(&joined, start..stop).unwrap();
        prop_assert_eq!(part.read_array(0..stop - start).unwrap(), whole.read_array(start..stop).unwrap());
    }

    #[test]
    fn integers_survive_the_trip_through_f32(value in any::<i16>(), other in any::<u16>()) {
        prop_assert_eq!(i16::from_f32(value.to_f32()), value);
        prop_assert_eq!(u16::from_f32(other.to_f32()), other);
    }
}

#[test]
fn requests_outside_the_movie_are_refused() {
    let movie = ArrayMovie::new(counting(3, 2, 2, 0));
    let mut buffer = vec![0.0; 4];
    assert!(matches!(
        movie.read(3..4, &mut buffer),
        Err(Error::Misuse(_))
    ));
    assert!(matches!(
        movie.read(0..2, &mut buffer),
        Err(Error::Misuse(_))
    ));
    assert!(matches!(
        movie.read_native(0..1, &mut [0; 7]),
        Err(Error::Misuse(_))
    ));
    assert!(movie.view_bytes(2..9).is_none());
    assert!(
        movie.view::<u16>(0..1).is_none(),
        "another type is never lent"
    );
    assert!(FrameRange::new(&movie, 1..9).is_err());
}

#[test]
fn mixed_parts_are_refused_by_name() {
    let a = || Box::new(ArrayMovie::new(counting(1, 2, 2, 0))) as Box<dyn Movie>;
    let wider = Box::new(ArrayMovie::new(counting(1, 2, 3, 0)));
    let message = Concatenated::new(vec![a(), wider]).unwrap_err().to_string();
    assert!(message.contains("part 1"), "{message}");
    let other_type = Box::new(ArrayMovie::new(Array3::<u8>::zeros((1, 2, 2))));
    assert!(Concatenated::new(vec![a(), other_type]).is_err());
    assert!(Concatenated::new(vec![]).is_err());
}

#[test]
fn a_sink_takes_blocks_in_any_order() {
    let movie = ArrayMovie::new(counting(5, 2, 3, 0));
    let whole = movie.read_array(0..5).unwrap();
    let mut sink = MemorySink::new(MovieShape::new(5, 1, 2, 3));
    for frames in [3..5, 0..3] {
        let block = movie.read_array(frames.clone()).unwrap();
        sink.write(frames.start, block.as_slice().unwrap()).unwrap();
    }
    assert!(sink.write(5, &[0.0; 6]).is_err());
    assert_eq!(sink.into_array(), whole);
}

proptest! {
    /// Every order of channel, plane and frame gives back what was put in order.
    #[test]
    fn volumes_are_put_together(
        frames in 1_usize..5, planes in 1_usize..4, channels in 1_usize..3, order in 0_usize..6, a in 0_usize..5, b in 0_usize..5,
    ) {
        let counts = [frames, planes, channels];
        let fastest_first = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][order];
        let mut steps = [0; 3];
        let mut step = 1;
        for axis in fastest_first {
            steps[axis] = step;
            step *= counts[axis];
        }
        let images = ArrayMovie::new(Array3::from_shape_fn((step, 3, 2), |(i, y, x)| (100 * i + 10 * y + x) as u16));
        let (a, b) = (a.min(frames), b.min(frames));
        let range = a.min(b)..a.max(b);
        for channel in 0..channels {
            let order = ImageOrder { first: channel * steps[2], frame_step: steps[0], plane_step: steps[1] };
            let movie = Volumes::new(&images, frames, planes, order).unwrap();
            let found = movie.read_array(range.clone()).unwrap();
            for (k, frame) in range.clone().enumerate() {
                for plane in 0..planes {
                    let image = frame * steps[0] + plane * steps[1] + channel * steps[2];
                    prop_assert_eq!(found[[k, 3 * plane + 2, 1]], (100 * image + 21) as f32);
                }
            }
            if let Some(view) = movie.view::<u16>(range.clone()) {
                prop_assert_eq!(view.mapv(f32::from), found);
            }
            let beyond = ImageOrder { first: channel * steps[2] + step, ..order };
            prop_assert!(Volumes::new(&images, frames, planes, beyond).is_err());
        }
    }
}

/// A movie that lends nothing.
struct Distant<M>(M);

impl<M: Movie> Movie for Distant<M> {
    fn shape(&self) -> MovieShape {
        self.0.shape()
    }
    fn pixel_type(&self) -> fluorspar_movie::PixelType {
        self.0.pixel_type()
    }
    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        self.0.read(frames, into)
    }
    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        self.0.read_native(frames, into)
    }
}

/// Counts how many images are read.
struct Counted<M>(M, AtomicUsize);

impl<M: Movie> Movie for Counted<M> {
    fn shape(&self) -> MovieShape {
        self.0.shape()
    }
    fn pixel_type(&self) -> fluorspar_movie::PixelType {
        self.0.pixel_type()
    }
    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        let count = frames.len() * self.shape().planes;
        self.1.fetch_add(count, Ordering::Relaxed);
        self.0.read(frames, into)
    }
    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        self.0.read_native(frames, into)
    }
}

proptest! {
    /// A plane is what whole frames hold there, whatever the movie is made of.
    #[test]
    fn a_plane_is_a_part_of_every_frame(
        frames in 1_usize..6, planes in 1_usize..4, planes_first in any::<bool>(), cut in 0_usize..6, a in 0_usize..6, b in 0_usize..6,
    ) {
        let images = ArrayMovie::new(counting(frames * planes, 3, 2, 0));
        let (frame_step, plane_step) = if planes_first { (planes, 1) } else { (1, frames) };
        let order = ImageOrder { first: 0, frame_step, plane_step };
        let volumes = Volumes::new(&images, frames, planes, order).unwrap();
        let cut = cut.min(frames);
        let part = |range: Range<usize>| {
            let images = ArrayMovie::new(counting(frames * planes, 3, 2, 0));
            let volumes = Volumes::new(images, frames, planes, order).unwrap();
            Box::new(FrameRange::new(volumes, range).unwrap()) as Box<dyn Movie>
        };
        let joined = Concatenated::new(vec![part(0..cut), part(cut..frames)]).unwrap();
        let distant = Distant(&volumes);
        let (a, b) = (a.min(frames), b.min(frames));
        let range = a.min(b)..a.max(b);
        let whole = volumes.read_array(range.clone()).unwrap();
        for movie in [&volumes as &dyn Movie, &joined, &distant] {
            for k in 0..planes {
                let plane = Plane::new(movie, k).unwrap();
                prop_assert_eq!(plane.shape(), MovieShape::new(frames, 1, 3, 2));
                let found = plane.read_array(range.clone()).unwrap();
                prop_assert_eq!(&found, &whole.slice(ndarray::s![.., 3 * k..3 * k + 3, ..]));
                let mut bytes = vec![0; 2 * found.len()];
                plane.read_native(range.clone(), &mut bytes).unwrap();
                let native: Vec<f32> = bytes.chunks_exact(2).map(|b| f32::from(i16::from_ne_bytes([b[0], b[1]]))).collect();
                prop_assert_eq!(Some(&native[..]), found.as_slice());
                if let Some(lent) = plane.view_bytes(range.clone()) {
                    prop_assert_eq!(lent, bytes);
                }
            }
            prop_assert!(Plane::new(movie, planes).is_err());
            prop_assert!(matches!(movie.read_plane(planes, 0..0, &mut []), Err(Error::Misuse(_))));
            prop_assert!(matches!(movie.read_plane(0, 0..1, &mut [0.0; 5]), Err(Error::Misuse(_))));
            prop_assert!(matches!(movie.read_plane_native(0, frames..frames + 1, &mut [0; 12]), Err(Error::Misuse(_))));
        }
        // Images in a row are read only where the plane lies.
        let counted = Counted(&images, AtomicUsize::new(0));
        let volumes = Volumes::new(&counted, frames, planes, order).unwrap();
        Plane::new(&volumes, planes - 1).unwrap().read_array(range.clone()).unwrap();
        prop_assert_eq!(counted.1.into_inner(), range.len());
    }
}

proptest! {
    /// Every pixel of a mosaic is the pixel that its piece says, or the filling.
    #[test]
    fn mosaics_are_laid_pixel_by_pixel(
        frames in 1_usize..4, height in 1_usize..6, width in 1_usize..7, gap in 0_usize..3,
        count in 1_usize..4, offsets in prop::collection::vec(-9_i32..9, 3), fill in -5_i16..5,
    ) {
        let pages = counting(frames, count * (height + gap), width + 2, 0);
        // Strips side by side, one column between them and each a line lower.
        let pieces: Vec<Piece> = (0..count).map(|k| Piece {
            rows: k * (height + gap)..k * (height + gap) + height,
            columns: 1..width + 1,
            place: [k, k * (width + 1)],
            line_offset: offsets[k],
        }).collect();
        let size = [height + count, count * (width + 1)];
        let movie = Mosaic::new(ArrayMovie::new(pages.clone()), size, pieces.clone(), f32::from(fill)).unwrap();
        prop_assert_eq!(movie.shape(), MovieShape::new(frames, 1, size[0], size[1]));
        let found = movie.read_array(0..frames).unwrap();
        for ((t, y, x), &value) in found.indexed_iter() {
            let (k, column) = (x / (width + 1), x % (width + 1));
            let expected = if column == width || y < k || y >= k + height {
                fill
            } else {
                let by = if (y - k) % 2 == 1 { offsets[k] } else { 0 };
                let from = (column as i32 + by).clamp(0, width as i32 - 1) as usize;
                pages[[t, k * (height + gap) + y - k, 1 + from]]
            };
            prop_assert_eq!(value, f32::from(expected), "{} {} {}", t, y, x);
        }
        let mut bytes = vec![0; 2 * found.len()];
        movie.read_native(0..frames, &mut bytes).unwrap();
        let native: Vec<f32> = bytes.chunks_exact(2).map(|b| f32::from(i16::from_ne_bytes([b[0], b[1]]))).collect();
        prop_assert_eq!(Some(&native[..]), found.as_slice());
        let distant = Mosaic::new(Distant(ArrayMovie::new(pages)), size, pieces, f32::from(fill)).unwrap();
        prop_assert_eq!(distant.read_array(0..frames).unwrap(), found);
        let mut same = vec![0; bytes.len()];
        distant.read_native(0..frames, &mut same).unwrap();
        prop_assert_eq!(same, bytes);
    }
}

#[test]
fn pieces_outside_are_refused() {
    let movie = ArrayMovie::new(counting(2, 4, 5, 0));
    let fits = |rows, columns, place, size| {
        let piece = Piece {
            rows,
            columns,
            place,
            line_offset: 1,
        };
        Mosaic::new(&movie, size, vec![piece], 0.0).is_ok()
    };
    assert!(fits(0..4, 0..5, [0, 0], [4, 5]));
    assert!(!fits(0..5, 0..5, [0, 0], [9, 9]), "rows the page has not");
    assert!(!fits(0..4, 3..6, [0, 0], [9, 9]), "columns it has not");
    assert!(!fits(0..4, 0..5, [1, 0], [4, 5]), "below the mosaic");
    assert!(!fits(0..4, 0..5, [0, 1], [4, 5]), "right of it");
    assert!(!fits(0..4, 0..5, [usize::MAX, 0], [4, 5]), "far below");
    assert!(!fits(2..2, 0..5, [0, 0], [4, 5]), "nothing");
    let empty = ArrayMovie::new(Array3::<i16>::zeros((2, 0, 5)));
    assert!(Mosaic::new(&empty, [3, 3], Vec::new(), 0.0).is_err());
    assert!(Mosaic::new(&movie, [0, 3], Vec::new(), 0.0).is_err());
    // No pieces at all: the filling, as the type holds it.
    let blank = Mosaic::new(&movie, [2, 2], Vec::new(), 1e9).unwrap();
    assert_eq!(blank.read_array(0..1).unwrap()[[0, 1, 1]], 32767.0);
}
