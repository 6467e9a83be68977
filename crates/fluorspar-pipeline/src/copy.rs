//! From one movie to another, and whether they are the same.

use fluorspar_movie::{Budget, Error, Movie, MovieSink, frame_blocks};

use crate::Observer;

/// BLAKE3 digest of the number and size of a movie's images, its pixel type
/// and all pixels (little-endian, axes `(frame, plane, y, x)`), wherever and
/// however it is stored; planes in a row count as the volumes they make.
#[derive(Clone, Debug)]
pub(crate) struct PixelDigest {
    hasher: blake3::Hasher,
    size: usize,
}

impl PixelDigest {
    /// Before the first pixel of `movie`.
    pub(crate) fn new(movie: &dyn Movie) -> Self {
        let (shape, pixel_type) = (movie.shape(), movie.pixel_type());
        let mut hasher = blake3::Hasher::new();
        let images = shape.frames * shape.planes;
        let (height, width) = (shape.height, shape.width);
        hasher.update(format!("{images} × {height} × {width} {pixel_type}").as_bytes());
        Self {
            hasher,
            size: pixel_type.bytes(),
        }
    }

    /// The digest of a whole movie, read in blocks that fit `budget`.
    pub(crate) fn of(
        movie: &dyn Movie,
        budget: Budget,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let mut digest = Self::new(movie);
        each_block(movie, budget, 1, observer, |_, bytes| {
            digest.add(bytes);
            Ok(())
        })?;
        Ok(digest)
    }

    /// Adds native-endian pixels.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if cfg!(target_endian = "big") {
            let mut turned = bytes.to_vec();
            turned.chunks_exact_mut(self.size).for_each(<[u8]>::reverse);
            self.hasher.update(&turned);
        } else {
            self.hasher.update(bytes);
        }
    }

    pub(crate) fn finish(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

/// Streams a movie into a sink in blocks that fit `budget`: pixel by pixel as
/// they are stored if the sink takes their type, through `f32` otherwise.
pub(crate) fn copy(
    movie: &dyn Movie,
    sink: &mut dyn MovieSink,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let align = sink.align();
    if sink.native_type() == Some(movie.pixel_type()) {
        return each_block(movie, budget, align, observer, |first, bytes| {
            sink.write_native(first, bytes)
        });
    }
    let shape = movie.shape();
    let length = shape.frame_len();
    let mut buffer = Vec::new();
    for frames in frame_blocks(shape.frames, length * 4, budget, align) {
        let count = frames.len();
        buffer.resize(count * length, 0.0);
        movie.read(frames.clone(), &mut buffer)?;
        sink.write(frames.start, &buffer)?;
        observer.advance(count as u64);
    }
    Ok(())
}

/// Hands the native bytes of a movie, lent where they can be, to `take` with
/// the number of their first frame.
pub(crate) fn each_block(
    movie: &dyn Movie,
    budget: Budget,
    align: usize,
    observer: &dyn Observer,
    mut take: impl FnMut(usize, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let shape = movie.shape();
    let length = shape.frame_len() * movie.pixel_type().bytes();
    let mut buffer = Vec::new();
    for frames in frame_blocks(shape.frames, length, budget, align) {
        if let Some(lent) = movie.view_bytes(frames.clone()) {
            take(frames.start, lent)?;
        } else {
            buffer.resize(frames.len() * length, 0);
            movie.read_native(frames.clone(), &mut buffer)?;
            take(frames.start, &buffer)?;
        }
        observer.advance(frames.len() as u64);
    }
    Ok(())
}
