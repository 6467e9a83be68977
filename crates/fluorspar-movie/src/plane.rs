use std::ops::Range;

use crate::adapter::check_native;
use crate::{Error, Movie, MovieShape, PixelType, check_read};

/// One plane of a volume movie, as a movie of its own; costs what
/// [`Movie::read_plane`] costs the movie it is taken from.
///
/// ```
/// use fluorspar_movie::{ArrayMovie, ImageOrder, Movie, MovieExt, Plane, Volumes};
/// use ndarray::Array3;
///
/// // Three planes, one image after the other.
/// let images = ArrayMovie::new(Array3::from_shape_fn((12, 4, 4), |(image, _, _)| image as u8));
/// let order = ImageOrder { first: 0, frame_step: 3, plane_step: 1 };
/// let volumes = Volumes::new(images, 4, 3, order)?;
/// let deepest = Plane::new(&volumes, 2)?;
/// assert_eq!(deepest.shape().planes, 1);
/// assert_eq!(deepest.read_array(1..2)?[[0, 0, 0]], 5.0);
/// # Ok::<(), fluorspar_movie::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plane<M: Movie> {
    movie: M,
    plane: usize,
}

impl<M: Movie> Plane<M> {
    /// Plane `plane` of `movie`, counted from 0.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the movie has no such plane.
    pub fn new(movie: M, plane: usize) -> Result<Self, Error> {
        check_plane(movie.shape(), plane)?;
        Ok(Self { movie, plane })
    }
}

impl<M: Movie> Movie for Plane<M> {
    fn shape(&self) -> MovieShape {
        one_plane(self.movie.shape())
    }

    fn pixel_type(&self) -> PixelType {
        self.movie.pixel_type()
    }

    /// Frames per second: every frame has an image of every plane.
    fn frame_rate(&self) -> Option<f64> {
        self.movie.frame_rate()
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        self.movie.read_plane(self.plane, frames, into)
    }

    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        self.movie.read_plane_native(self.plane, frames, into)
    }

    fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
        // Images of one plane lie side by side in single frames only.
        let planes = self.movie.shape().planes;
        if planes > 1 && frames.len() != 1 {
            return None;
        }
        let all = self.movie.view_bytes(frames)?;
        let length = all.len() / planes;
        all.get(self.plane * length..(self.plane + 1) * length)
    }
}

/// The shape of one plane of a movie.
fn one_plane(shape: MovieShape) -> MovieShape {
    MovieShape { planes: 1, ..shape }
}

fn check_plane(shape: MovieShape, plane: usize) -> Result<(), Error> {
    if plane < shape.planes {
        Ok(())
    } else {
        Err(Error::misuse(format!(
            "plane {plane} asked of a movie of {} planes",
            shape.planes
        )))
    }
}

/// Checks a request of [`Movie::read_plane`]; for those who implement it.
/// `buffer_len` is in samples.
///
/// # Errors
/// [`Error::Misuse`] if there is no such plane, the range leaves the movie or
/// the buffer's length does not fit the range.
pub fn check_read_plane(
    shape: MovieShape,
    plane: usize,
    frames: &Range<usize>,
    buffer_len: usize,
) -> Result<(), Error> {
    check_plane(shape, plane)?;
    check_read(one_plane(shape), frames, buffer_len)
}

/// [`check_read_plane`] for a buffer of so many bytes.
pub(crate) fn check_native_plane(
    shape: MovieShape,
    pixel_type: PixelType,
    plane: usize,
    frames: &Range<usize>,
    bytes: usize,
) -> Result<(), Error> {
    check_plane(shape, plane)?;
    check_native(one_plane(shape), pixel_type, frames, bytes)
}

/// Reads frame after frame and keeps one of its `planes` parts.
pub(crate) fn pick<T: Copy + Default>(
    (plane, planes): (usize, usize),
    frames: Range<usize>,
    into: &mut [T],
    read: impl Fn(Range<usize>, &mut [T]) -> Result<(), Error>,
) -> Result<(), Error> {
    if into.is_empty() {
        return Ok(());
    }
    if planes == 1 {
        return read(frames, into);
    }
    let length = into.len() / frames.len();
    let mut whole = vec![T::default(); length * planes];
    for (frame, out) in frames.zip(into.chunks_exact_mut(length)) {
        read(frame..frame + 1, &mut whole)?;
        out.copy_from_slice(&whole[plane * length..(plane + 1) * length]);
    }
    Ok(())
}
