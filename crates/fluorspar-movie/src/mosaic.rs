use std::ops::Range;

use crate::adapter::check_native;
use crate::{Error, Movie, MovieShape, PixelType, check_read, from_native, to_native};

/// A rectangle of each image of a movie and its place in a [`Mosaic`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Its rows in the image.
    pub rows: Range<usize>,
    /// Its columns in the image.
    pub columns: Range<usize>,
    /// Its first row and column in the mosaic.
    pub place: [usize; 2],
    /// Whole pixels by which its second, fourth, … line is moved to the left,
    /// its border repeated: for lines scanned back and forth.
    pub line_offset: i32,
}

/// A movie whose images are put together from rectangles of another's, such
/// as the strips of a mesoscope that lie one below the other in each page.
///
/// Pixels are copied when they are read, and never interpolated. Where pieces
/// overlap, the later one shows; where none lies, a value of the caller's.
///
/// ```
/// use fluorspar_movie::{ArrayMovie, Mosaic, MovieExt, Piece};
/// use ndarray::Array3;
///
/// // Two strips of 2 × 3 pixels, a line between them: side by side.
/// let number = |(t, y, x)| (100 * t + 10 * y + x) as i16;
/// let pages = ArrayMovie::new(Array3::from_shape_fn((4, 5, 3), number));
/// let piece = |first: usize, x: usize| Piece {
///     rows: first..first + 2, columns: 0..3, place: [0, x], line_offset: 0,
/// };
/// let field = Mosaic::new(pages, [2, 6], vec![piece(0, 0), piece(3, 3)], 0.0)?;
/// assert_eq!(field.read_array(1..2)?[[0, 1, 4]], 141.0);
/// # Ok::<(), fluorspar_movie::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mosaic<M: Movie> {
    movie: M,
    shape: MovieShape,
    pieces: Vec<Piece>,
    fill: f32,
}

impl<M: Movie> Mosaic<M> {
    /// Images of `[height, width]` pixels from `pieces` of every image (frame
    /// and plane) of `movie`, `fill` where no piece lies, rounded and clamped
    /// to the pixel type.
    ///
    /// # Errors
    /// [`Error::Misuse`] if a piece leaves the image or the mosaic, or images
    /// are empty.
    pub fn new(
        movie: M,
        [height, width]: [usize; 2],
        pieces: Vec<Piece>,
        fill: f32,
    ) -> Result<Self, Error> {
        let from = movie.shape();
        let inside = |part: &Range<usize>, length: usize, first: usize, space: usize| {
            part.start < part.end
                && part.end <= length
                && first
                    .checked_add(part.len())
                    .is_some_and(|end| end <= space)
        };
        for piece in &pieces {
            let [y, x] = piece.place;
            if !inside(&piece.rows, from.height, y, height)
                || !inside(&piece.columns, from.width, x, width)
            {
                return Err(Error::misuse(format!(
                    "rows {:?}, columns {:?} of images of {} × {} px do not fit at ({y}, {x}) of \
                     {height} × {width} px",
                    piece.rows, piece.columns, from.height, from.width
                )));
            }
        }
        let area = height.checked_mul(width);
        if area.is_none_or(|area| area == 0) || from.frame_len() == 0 {
            return Err(Error::misuse(format!(
                "a mosaic of {height} × {width} px cannot be made"
            )));
        }
        Ok(Self {
            movie,
            shape: MovieShape {
                height,
                width,
                ..from
            },
            pieces,
            fill,
        })
    }

    /// The pieces, in the order they are laid.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Lays the pieces of the images in `from` into `into`; a pixel has `unit` bytes.
    fn lay(&self, from: &[u8], into: &mut [u8], unit: usize) {
        let page = self.movie.shape();
        let images = from.chunks_exact(unit * page.height * page.width);
        let mosaics = into.chunks_exact_mut(unit * self.shape.height * self.shape.width);
        for (image, mosaic) in images.zip(mosaics) {
            for piece in &self.pieces {
                let length = piece.columns.len();
                for (k, row) in piece.rows.clone().enumerate() {
                    let at = unit * (row * page.width + piece.columns.start);
                    let to = (piece.place[0] + k) * self.shape.width + piece.place[1];
                    let line = &mut mosaic[unit * to..unit * (to + length)];
                    let offset = if k % 2 == 1 { piece.line_offset } else { 0 };
                    copy_line(&image[at..at + unit * length], line, unit, offset);
                }
            }
        }
    }
}

/// Copies a line, moved to the left by `offset` pixels of `unit` bytes.
fn copy_line(from: &[u8], to: &mut [u8], unit: usize, offset: i32) {
    let by = unit * (offset.unsigned_abs() as usize).min(from.len() / unit);
    let kept = from.len() - by;
    let border = if offset > 0 {
        to[..kept].copy_from_slice(&from[by..]);
        (kept..from.len(), from.len() - unit)
    } else {
        to[by..].copy_from_slice(&from[..kept]);
        (0..by, 0)
    };
    let edge = &from[border.1..border.1 + unit];
    for pixel in to[border.0].chunks_exact_mut(unit) {
        pixel.copy_from_slice(edge);
    }
}

impl<M: Movie> Movie for Mosaic<M> {
    fn shape(&self) -> MovieShape {
        self.shape
    }

    fn pixel_type(&self) -> PixelType {
        self.movie.pixel_type()
    }

    fn frame_rate(&self) -> Option<f64> {
        self.movie.frame_rate()
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        check_read(self.shape, &frames, into.len())?;
        let pixel_type = self.pixel_type();
        let length = self.shape.frame_len();
        // Pieces lie where they lay in the frame before, so one filling does.
        let mut native = vec![0; length * pixel_type.bytes()];
        fill_native(&mut native, pixel_type, self.fill);
        let mut page = Vec::new();
        for (frame, out) in frames.zip(into.chunks_exact_mut(length)) {
            if let Some(lent) = self.movie.view_bytes(frame..frame + 1) {
                self.lay(lent, &mut native, pixel_type.bytes());
            } else {
                page.resize(self.movie.shape().frame_len() * pixel_type.bytes(), 0);
                self.movie.read_native(frame..frame + 1, &mut page)?;
                self.lay(&page, &mut native, pixel_type.bytes());
            }
            from_native(pixel_type, &native, out);
        }
        Ok(())
    }

    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        let pixel_type = self.pixel_type();
        check_native(self.shape, pixel_type, &frames, into.len())?;
        fill_native(into, pixel_type, self.fill);
        let length = self.shape.frame_len() * pixel_type.bytes();
        let mut page = Vec::new();
        for (frame, out) in frames.zip(into.chunks_exact_mut(length)) {
            if let Some(lent) = self.movie.view_bytes(frame..frame + 1) {
                self.lay(lent, out, pixel_type.bytes());
            } else {
                page.resize(self.movie.shape().frame_len() * pixel_type.bytes(), 0);
                self.movie.read_native(frame..frame + 1, &mut page)?;
                self.lay(&page, out, pixel_type.bytes());
            }
        }
        Ok(())
    }
}

fn fill_native(bytes: &mut [u8], pixel_type: PixelType, value: f32) {
    let mut stored = [0; 8];
    let stored = &mut stored[..pixel_type.bytes()];
    to_native(pixel_type, &[value], stored);
    for pixel in bytes.chunks_exact_mut(stored.len()) {
        pixel.copy_from_slice(stored);
    }
}
