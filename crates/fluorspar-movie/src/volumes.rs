use std::ops::Range;

use crate::adapter::check_native;
use crate::plane::check_native_plane;
use crate::{Error, Movie, MovieShape, PixelType, check_read, check_read_plane};

/// How the images of one channel of a volume movie follow each other in a
/// movie that has them all in a row:
/// image of `(frame, plane)` = `first + frame · frame_step + plane · plane_step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageOrder {
    /// Image of frame 0, plane 0.
    pub first: usize,
    /// Images from one frame to the next.
    pub frame_step: usize,
    /// Images from one plane to the next.
    pub plane_step: usize,
}

/// A movie of images in a row, read as volumes of one channel; costs nothing
/// but arithmetic.
///
/// ```
/// use fluorspar_movie::{ArrayMovie, ImageOrder, Movie, MovieExt, Volumes};
/// use ndarray::Array3;
///
/// // Two channels, three planes, channels fastest: image = (6 · frame) + (2 · plane) + channel.
/// let images = ArrayMovie::new(Array3::from_shape_fn((24, 4, 4), |(image, _, _)| image as u8));
/// let order = ImageOrder { first: 1, frame_step: 6, plane_step: 2 };
/// let red = Volumes::new(images, 4, 3, order)?;
/// assert_eq!(red.shape().planes, 3);
/// assert_eq!(red.read_array(2..3)?[[0, 2 * 4, 0]], 17.0);
/// # Ok::<(), fluorspar_movie::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Volumes<M: Movie> {
    images: M,
    shape: MovieShape,
    order: ImageOrder,
}

impl<M: Movie> Volumes<M> {
    /// Reads the single-plane movie `images` as `frames` volumes of `planes`.
    ///
    /// # Errors
    /// [`Error::Misuse`] if `images` has planes already or the order names
    /// images it does not have.
    pub fn new(images: M, frames: usize, planes: usize, order: ImageOrder) -> Result<Self, Error> {
        let whole = images.shape();
        let last =
            |count: usize, step: usize| count.checked_sub(1).and_then(|n| n.checked_mul(step));
        let end = last(frames, order.frame_step)
            .zip(last(planes, order.plane_step))
            .and_then(|(a, b)| a.checked_add(b)?.checked_add(order.first)?.checked_add(1));
        let fits = frames == 0 || end.is_some_and(|end| end <= whole.frames);
        if whole.planes != 1 || planes == 0 || !fits {
            return Err(Error::misuse(format!(
                "{frames} volumes of {planes} planes in the order {order:?} are not in a movie of {whole}"
            )));
        }
        Ok(Self {
            images,
            shape: MovieShape {
                frames,
                planes,
                ..whole
            },
            order,
        })
    }

    fn image(&self, frame: usize, plane: usize) -> usize {
        self.order.first + frame * self.order.frame_step + plane * self.order.plane_step
    }

    /// The images of `frames` if they follow each other.
    fn run(&self, frames: &Range<usize>) -> Option<Range<usize>> {
        let planes = self.shape.planes;
        let adjacent = (planes == 1 || self.order.plane_step == 1)
            && (frames.len() <= 1 || self.order.frame_step == planes);
        let first = self.image(frames.start, 0);
        adjacent.then_some(first..first + frames.len() * planes)
    }

    /// Calls `read(images, part of the output)` for each run of images; `unit`
    /// elements per image.
    fn each<T>(
        &self,
        frames: Range<usize>,
        into: &mut [T],
        unit: usize,
        read: impl Fn(Range<usize>, &mut [T]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if into.is_empty() {
            return Ok(());
        }
        if let Some(run) = self.run(&frames) {
            return read(run, into);
        }
        let planes = self.shape.planes;
        let first = frames.start;
        into.chunks_exact_mut(unit)
            .enumerate()
            .try_for_each(|(k, out)| {
                let image = self.image(first + k / planes, k % planes);
                read(image..image + 1, out)
            })
    }

    /// Calls `read(images, part of the output)` for the images of one plane;
    /// `unit` elements per image.
    fn each_of_plane<T>(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [T],
        unit: usize,
        read: impl Fn(Range<usize>, &mut [T]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if into.is_empty() {
            return Ok(());
        }
        let first = self.image(frames.start, plane);
        if frames.len() == 1 || self.order.frame_step == 1 {
            return read(first..first + frames.len(), into);
        }
        let images = frames.map(|frame| self.image(frame, plane));
        images
            .zip(into.chunks_exact_mut(unit))
            .try_for_each(|(image, out)| read(image..image + 1, out))
    }
}

impl<M: Movie> Movie for Volumes<M> {
    fn shape(&self) -> MovieShape {
        self.shape
    }

    fn pixel_type(&self) -> PixelType {
        self.images.pixel_type()
    }

    /// Volumes per second: what the images' source says, which counts
    /// volumes where it knows of them.
    fn frame_rate(&self) -> Option<f64> {
        self.images.frame_rate()
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        check_read(self.shape, &frames, into.len())?;
        let unit = self.shape.height * self.shape.width;
        self.each(frames, into, unit, |images, out| {
            self.images.read(images, out)
        })
    }

    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        check_native(self.shape, self.pixel_type(), &frames, into.len())?;
        let unit = self.shape.height * self.shape.width * self.pixel_type().bytes();
        self.each(frames, into, unit, |images, out| {
            self.images.read_native(images, out)
        })
    }

    fn read_plane(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [f32],
    ) -> Result<(), Error> {
        check_read_plane(self.shape, plane, &frames, into.len())?;
        let unit = self.shape.height * self.shape.width;
        self.each_of_plane(plane, frames, into, unit, |images, out| {
            self.images.read(images, out)
        })
    }

    fn read_plane_native(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), Error> {
        check_native_plane(self.shape, self.pixel_type(), plane, &frames, into.len())?;
        let unit = self.shape.height * self.shape.width * self.pixel_type().bytes();
        self.each_of_plane(plane, frames, into, unit, |images, out| {
            self.images.read_native(images, out)
        })
    }

    fn view_bytes(&self, frames: Range<usize>) -> Option<&[u8]> {
        if frames.start >= frames.end || frames.end > self.shape.frames {
            return None;
        }
        self.images.view_bytes(self.run(&frames)?)
    }
}
