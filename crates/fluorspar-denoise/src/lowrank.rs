mod correlation;
mod covariance;
mod dense;
mod groups;
mod images;
mod kernel;
mod orthogonal;
mod principal;
mod products;
mod symmetric;
mod window;

pub use correlation::{Neighbours, Variability};
pub use images::Projection;
pub use orthogonal::Orthogonal;
pub use principal::Principal;
pub use symmetric::Symmetric;

use std::ops::Range;

use fluorspar_movie::{Movie, MovieShape, PixelType, check_read, check_read_plane};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3};

use crate::{Blocks, Error};

/// A movie as `U · V + mean`: sparse `U (pixel, component)`, dense
/// `V (component, frame)`.
///
/// It is itself an `f32` movie in the original units. Pixels count
/// `(plane · height + y) · width + x`. Questions about it are answered from
/// the factors; only those that ask for frames compute any:
///
/// | you want | ask |
/// |---|---|
/// | frames | [`Movie::read`] |
/// | any sub-volume; one pixel | [`window`](Self::window), [`trace`](Self::trace) |
/// | maximum, minimum, mean, standard deviation | [`projection`](Self::projection) |
/// | variance; correlation of neighbours | [`variance_image`](Self::variance_image), [`correlation_image`](Self::correlation_image) |
/// | time courses of footprints | [`project`](Self::project) |
/// | inner products of components, of frames | [`gram_of_components`](Self::gram_of_components), [`gram_of_frames`](Self::gram_of_frames) |
/// | leading principal components | [`principal`](Self::principal) |
/// | all components, made orthogonal | [`orthogonal`](Self::orthogonal) |
///
/// No answer depends on the number of threads.
///
/// ```
/// use fluorspar_denoise::{Blocks, LowRank, Parts, Projection};
/// use ndarray::{Array3, array};
///
/// // Two pixels, of which the second follows one component.
/// let movie = LowRank::from_parts(Parts {
///     u_indptr: vec![0, 0, 1],
///     u_indices: vec![0],
///     u_weights: vec![2.0],
///     v: array![[1.0, -1.0, 0.0, 0.0]],
///     mean: Array3::from_elem((1, 1, 2), 10.0),
///     noise: Array3::zeros((1, 1, 2)),
///     blocks: Blocks::default(),
///     component_block: vec![0],
///     frame_rate: None,
/// })?;
/// assert_eq!(movie.trace(1)?, [12.0, 8.0, 10.0, 10.0]);
/// assert_eq!(movie.projection(Projection::Max), array![[[10.0, 12.0]]]);
/// assert_eq!(movie.variance_image(), array![[[0.0, 2.0]]]);
/// # Ok::<(), fluorspar_denoise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    parts: Parts,
}

/// What a [`LowRank`] is made of, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// Row boundaries of U, `(pixel + 1)`.
    pub u_indptr: Vec<u64>,
    /// Components of U's entries, ascending within a pixel.
    pub u_indices: Vec<u32>,
    /// U's entries, in the movie's units.
    pub u_weights: Vec<f32>,
    /// Time courses `(component, frame)`, in units of the noise they would have
    /// if they were not smoothed.
    pub v: Array2<f32>,
    /// Mean over frames `(plane, y, x)`.
    pub mean: Array3<f32>,
    /// Standard deviation of each pixel's noise `(plane, y, x)`, in the
    /// movie's units; 0 where a pixel cannot be used.
    pub noise: Array3<f32>,
    /// The blocks that components were found in.
    pub blocks: Blocks,
    /// The block of each component `(component)`, plane by plane, row by row.
    pub component_block: Vec<u32>,
    /// Frames per second (Hz), where it is known.
    pub frame_rate: Option<f64>,
}

impl LowRank {
    /// Takes the parts.
    ///
    /// # Errors
    /// [`Error::Input`] naming the part that does not fit the others or holds
    /// a value that is not finite, if the blocks have a size that no movie is
    /// cut into, and if a pixel's values could be too large
    /// for `f32`, noise is negative or there are more than 2³² pixels.
    pub fn from_parts(mut parts: Parts) -> Result<Self, Error> {
        let bad = |what: &str| Err(Error::Input(format!("low-rank movie: {what}")));
        if let Err(error) = parts.blocks.validate() {
            return bad(&error.to_string());
        }
        let pixels = parts.mean.len();
        if u32::try_from(pixels).is_err() {
            return bad("it has too many pixels");
        }
        if parts.u_indptr.len() != pixels + 1
            || parts.u_indptr[0] != 0
            || parts.u_indptr.windows(2).any(|pair| pair[0] > pair[1])
            || parts.u_indptr[pixels] != parts.u_indices.len() as u64
        {
            return bad("the row boundaries of U do not fit its pixels and entries");
        }
        if parts.u_indices.len() != parts.u_weights.len() {
            return bad("U must have as many indices as weights");
        }
        let rank = parts.v.nrows();
        if parts.u_indices.iter().any(|&k| k as usize >= rank) {
            return bad("U names a component that V does not have");
        }
        if parts.noise.dim() != parts.mean.dim() {
            return bad("mean and noise must have the same size");
        }
        let ascends = |range: &[u64]| {
            let row = &parts.u_indices[range[0] as usize..range[1] as usize];
            row.windows(2).all(|pair| pair[0] < pair[1])
        };
        if !parts.u_indptr.windows(2).all(ascends) {
            return bad("the components of a pixel must ascend");
        }
        if parts.component_block.len() != rank {
            return bad("every component must have a block");
        }
        let values = parts.u_weights.iter().chain(&parts.v);
        if !values
            .chain(&parts.mean)
            .chain(&parts.noise)
            .all(|v| v.is_finite())
        {
            return bad("all values must be finite");
        }
        // No sum of a pixel's components may leave what float32 can hold.
        let loudest = parts.v.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let too_large = parts
            .u_indptr
            .windows(2)
            .zip(&parts.mean)
            .any(|(range, mean)| {
                let row = &parts.u_weights[range[0] as usize..range[1] as usize];
                let sum: f64 = row.iter().map(|w| f64::from(w.abs())).sum();
                sum * f64::from(loudest) + f64::from(mean.abs()) > f64::from(f32::MAX)
            });
        if too_large {
            return bad("the values are too large for float32");
        }
        if parts.noise.iter().any(|&noise| noise < 0.0) {
            return bad("noise must not be negative");
        }
        // Rows are read as slices.
        if !parts.v.is_standard_layout() {
            parts.v = parts.v.as_standard_layout().into_owned();
        }
        for image in [&mut parts.mean, &mut parts.noise] {
            if !image.is_standard_layout() {
                *image = image.as_standard_layout().into_owned();
            }
        }
        Ok(Self { parts })
    }

    /// The parts, as they are stored.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The parts, given away.
    pub fn into_parts(self) -> Parts {
        self.parts
    }

    /// States the frame rate in Hz.
    #[must_use]
    pub fn with_frame_rate(mut self, hz: f64) -> Self {
        self.parts.frame_rate = Some(hz);
        self
    }

    /// Number of components.
    pub fn rank(&self) -> usize {
        self.parts.v.nrows()
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.parts.v.ncols()
    }

    /// Number of planes.
    pub fn planes(&self) -> usize {
        self.parts.mean.dim().0
    }

    /// Rows of an image, pixels.
    pub fn height(&self) -> usize {
        self.parts.mean.dim().1
    }

    /// Columns of an image, pixels.
    pub fn width(&self) -> usize {
        self.parts.mean.dim().2
    }

    /// Pixels of one frame, all planes together.
    pub(crate) fn pixels(&self) -> usize {
        self.parts.mean.len()
    }

    /// Time courses `(component, frame)`.
    pub fn v(&self) -> ArrayView2<'_, f32> {
        self.parts.v.view()
    }

    /// Mean over frames `(plane, y, x)`.
    pub fn mean(&self) -> ArrayView3<'_, f32> {
        self.parts.mean.view()
    }

    /// Standard deviation of each pixel's noise `(plane, y, x)`, in the
    /// movie's units; 0 where a pixel cannot be used.
    pub fn noise(&self) -> ArrayView3<'_, f32> {
        self.parts.noise.view()
    }

    /// Components and weights of one pixel: a row of U.
    ///
    /// # Panics
    /// If the movie has no such pixel.
    pub fn row(&self, pixel: usize) -> (&[u32], &[f32]) {
        let indptr = &self.parts.u_indptr;
        let range = indptr[pixel] as usize..indptr[pixel + 1] as usize;
        (
            &self.parts.u_indices[range.clone()],
            &self.parts.u_weights[range],
        )
    }

    /// First pixel of each row of some planes.
    fn rows(&self, planes: Range<usize>) -> Vec<usize> {
        let rows = planes.start * self.height()..planes.end * self.height();
        rows.map(|row| row * self.width()).collect()
    }

    /// Puts other time courses, of the same components, in place.
    pub(crate) fn replace_courses(&mut self, v: Array2<f32>) {
        self.parts.v = v.as_standard_layout().into_owned();
    }

    /// Time course of one component.
    pub(crate) fn course(&self, component: usize) -> &[f32] {
        let frames = self.frames();
        let all = self.parts.v.as_slice().unwrap_or_default();
        &all[component * frames..(component + 1) * frames]
    }

    /// Mean of every pixel, in order.
    pub(crate) fn mean_values(&self) -> &[f32] {
        self.parts.mean.as_slice().unwrap_or_default()
    }

    /// Adds one pixel's time course, without its mean, to `trace` (one value
    /// per frame, as far as it reaches). Pixels outside the movie add nothing.
    pub fn add_trace(&self, pixel: usize, scale: f32, trace: &mut [f32]) {
        if pixel >= self.parts.mean.len() {
            return;
        }
        let (components, weights) = self.row(pixel);
        for (&k, &w) in components.iter().zip(weights) {
            for (slot, &v) in trace.iter_mut().zip(self.course(k as usize)) {
                *slot += scale * w * v;
            }
        }
    }
}

impl Movie for LowRank {
    fn shape(&self) -> MovieShape {
        MovieShape::new(self.frames(), self.planes(), self.height(), self.width())
    }

    fn pixel_type(&self) -> PixelType {
        PixelType::F32
    }

    fn frame_rate(&self) -> Option<f64> {
        self.parts.frame_rate
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape(), &frames, into.len())?;
        self.fill(&self.rows(0..self.planes()), self.width(), &frames, into);
        Ok(())
    }

    fn read_plane(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [f32],
    ) -> Result<(), fluorspar_movie::Error> {
        check_read_plane(self.shape(), plane, &frames, into.len())?;
        self.fill(&self.rows(plane..plane + 1), self.width(), &frames, into);
        Ok(())
    }

    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let mut values = vec![0.0; into.len() / 4];
        if !into.len().is_multiple_of(4) {
            return Err(fluorspar_movie::Error::misuse(
                "a buffer of whole float32 samples is needed",
            ));
        }
        self.read(frames, &mut values)?;
        for (slot, value) in into.chunks_exact_mut(4).zip(&values) {
            slot.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(())
    }
}
