use std::ops::Range;

use fluorspar_movie::{Movie, MovieShape, PixelType, check_read};
use ndarray::{Array2, Array3, ArrayView2};
use rayon::prelude::*;

use crate::Error;

/// A movie as `U · V + mean`: sparse `U (pixel, component)`, dense
/// `V (component, frame)`.
///
/// It is itself a single-plane `f32` movie in the original units.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    height: usize,
    width: usize,
    indptr: Vec<u64>,
    indices: Vec<u32>,
    weights: Vec<f32>,
    v: Array2<f32>,
    mean: Array2<f32>,
    noise: Array2<f32>,
    frame_rate: Option<f64>,
}

impl LowRank {
    /// Takes the parts: compressed rows of `U` (`indptr` pixel + 1, `indices`
    /// of components, `weights`), `v (component, frame)`, `mean (y, x)` and
    /// `noise (y, x)`.
    ///
    /// # Errors
    /// [`Error::Input`] naming the part that does not fit the others.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a stored artefact, each by name"
    )]
    pub fn from_parts(
        height: usize,
        width: usize,
        indptr: Vec<u64>,
        indices: Vec<u32>,
        weights: Vec<f32>,
        v: Array2<f32>,
        mean: Array2<f32>,
        noise: Array2<f32>,
    ) -> Result<Self, Error> {
        let bad = |what: &str| Err(Error::Input(format!("low-rank movie: {what}")));
        let pixels = height * width;
        if indptr.len() != pixels + 1
            || indptr[0] != 0
            || indptr.windows(2).any(|pair| pair[0] > pair[1])
            || indptr[pixels] != indices.len() as u64
        {
            return bad("the row boundaries of U do not fit its pixels and entries");
        }
        if indices.len() != weights.len() {
            return bad("U has as many indices as weights");
        }
        if indices.iter().any(|&k| k as usize >= v.nrows()) {
            return bad("U names a component that V does not have");
        }
        if mean.dim() != (height, width) || noise.dim() != (height, width) {
            return bad("mean and noise must have the image's size");
        }
        Ok(Self {
            height,
            width,
            indptr,
            indices,
            weights,
            v: v.as_standard_layout().into_owned(),
            mean,
            noise,
            frame_rate: None,
        })
    }

    /// States the frame rate in Hz.
    #[must_use]
    pub fn with_frame_rate(mut self, hz: f64) -> Self {
        self.frame_rate = Some(hz);
        self
    }

    /// Number of components.
    pub fn rank(&self) -> usize {
        self.v.nrows()
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.v.ncols()
    }

    /// Rows of the image, pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of the image, pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row boundaries of U, pixel + 1 entries.
    pub fn u_indptr(&self) -> &[u64] {
        &self.indptr
    }

    /// Components of U's entries.
    pub fn u_indices(&self) -> &[u32] {
        &self.indices
    }

    /// U's entries.
    pub fn u_weights(&self) -> &[f32] {
        &self.weights
    }

    /// Time courses `(component, frame)`.
    pub fn v(&self) -> ArrayView2<'_, f32> {
        self.v.view()
    }

    /// Mean over frames `(y, x)`.
    pub fn mean(&self) -> ArrayView2<'_, f32> {
        self.mean.view()
    }

    /// Standard deviation of each pixel's noise `(y, x)`, in the movie's units.
    pub fn noise(&self) -> ArrayView2<'_, f32> {
        self.noise.view()
    }

    fn row(&self, pixel: usize) -> (&[u32], &[f32]) {
        let range = self.indptr[pixel] as usize..self.indptr[pixel + 1] as usize;
        (&self.indices[range.clone()], &self.weights[range])
    }

    /// Reads a window `(frame, y, x)` without its mean.
    ///
    /// # Errors
    /// [`Error::Input`] if the window leaves the movie.
    pub fn read_block(
        &self,
        y: Range<usize>,
        x: Range<usize>,
        frames: Range<usize>,
    ) -> Result<Array3<f32>, Error> {
        let inside =
            |range: &Range<usize>, end: usize| range.start <= range.end && range.end <= end;
        if !inside(&y, self.height) || !inside(&x, self.width) || !inside(&frames, self.frames()) {
            return Err(Error::Input(format!(
                "the window {y:?} × {x:?}, frames {frames:?}, leaves the movie"
            )));
        }
        let mut out = Array3::zeros((frames.len(), y.len(), x.len()));
        for (i, row) in y.enumerate() {
            for (j, column) in x.clone().enumerate() {
                let (components, weights) = self.row(row * self.width + column);
                let mut trace = vec![0.0_f32; frames.len()];
                for (&k, &w) in components.iter().zip(weights) {
                    let course = self.v.row(k as usize);
                    for (slot, &v) in trace.iter_mut().zip(course.iter().skip(frames.start)) {
                        *slot += w * v;
                    }
                }
                for (t, &value) in trace.iter().enumerate() {
                    out[[t, i, j]] = value;
                }
            }
        }
        Ok(out)
    }

    /// Adds one pixel's time course, without its mean, to `trace` (one value
    /// per frame, as far as it reaches). `pixel` is `y · width + x`; pixels
    /// outside the image add nothing.
    pub fn add_trace(&self, pixel: usize, scale: f32, trace: &mut [f32]) {
        if pixel >= self.height * self.width {
            return;
        }
        let (components, weights) = self.row(pixel);
        for (&k, &w) in components.iter().zip(weights) {
            if let Some(course) = self.v.row(k as usize).as_slice() {
                for (slot, &v) in trace.iter_mut().zip(course) {
                    *slot += scale * w * v;
                }
            }
        }
    }
}

impl Movie for LowRank {
    fn shape(&self) -> MovieShape {
        MovieShape::new(self.frames(), 1, self.height, self.width)
    }

    fn pixel_type(&self) -> PixelType {
        PixelType::F32
    }

    fn frame_rate(&self) -> Option<f64> {
        self.frame_rate
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape(), &frames, into.len())?;
        into.par_chunks_mut(self.shape().frame_len().max(1))
            .enumerate()
            .for_each(|(k, frame)| {
                let now: Vec<f32> = self.v.column(frames.start + k).to_vec();
                for (pixel, (slot, &mean)) in frame.iter_mut().zip(&self.mean).enumerate() {
                    let (components, weights) = self.row(pixel);
                    *slot = mean
                        + components
                            .iter()
                            .zip(weights)
                            .map(|(&k, &w)| w * now[k as usize])
                            .sum::<f32>();
                }
            });
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
