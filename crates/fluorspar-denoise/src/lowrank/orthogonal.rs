use faer::Mat;
use ndarray::Array2;

use super::LowRank;
use super::dense::{
    PIECE, courses, courses_times, courses_transposed_times, eigen, product, symmetric,
    symmetrised, view,
};
use crate::Error;

/// Directions weaker than this part of the strongest are dropped.
const TOLERANCE: f64 = 1e-5;

/// A low-rank movie without its mean image as a singular value decomposition
/// whose images stay factored: `U · V = (U · mixing) · diag(values) · courses`.
///
/// The columns of `U · mixing` `(pixel, direction)` are orthonormal, and so
/// are the rows of `courses`.
#[derive(Clone, Debug, PartialEq)]
pub struct Orthogonal {
    /// What each component contributes to each direction `(component, direction)`.
    /// In double precision: components of overlapping blocks nearly cancel in
    /// weak directions.
    pub mixing: Array2<f64>,
    /// Singular values `(direction)`, descending, in the movie's units.
    pub values: Vec<f64>,
    /// Time courses `(direction, frame)`; the entry of largest magnitude of
    /// each is positive.
    pub courses: Array2<f32>,
}

/// Directions in double precision, row-major: mixing `(component, direction)`
/// and courses `(frame, direction)`.
struct Directions {
    mixing: Vec<f64>,
    values: Vec<f64>,
    courses: Vec<f64>,
}

impl LowRank {
    /// Makes the components of all blocks orthogonal to each other, exactly
    /// (the global step of localmd, a successor of penalised matrix
    /// decomposition, Buchanan et al. 2018, bioRxiv 334706). U is left as it is.
    ///
    /// Dropped are directions whose singular value is below 10⁻⁵ of the
    /// largest; where frames outnumber components, also combinations of time
    /// courses that are as weak beside the others, once components are scaled
    /// to images of the same norm.
    ///
    /// With `n` the smaller of the numbers of components and of frames, the
    /// eigenvalue problem takes O(n³) operations on one thread and about
    /// `5 n²` double-precision numbers: seconds for 2,000, minutes for 8,000.
    /// [`principal`](LowRank::principal) gives the leading ones for less.
    ///
    /// # Errors
    /// [`Error::Eigenvalues`] if an eigenvalue problem does not converge.
    pub fn orthogonal(&self) -> Result<Orthogonal, Error> {
        let directions = if self.frames() <= self.rank() {
            self.by_frames()?
        } else {
            self.by_components()?
        };
        let (frames, count) = (self.frames(), directions.values.len());
        let mut mixing = Array2::from_shape_fn((self.rank(), count), |(k, r)| {
            directions.mixing[k * count + r]
        });
        let mut courses = Array2::from_shape_fn((count, frames), |(r, t)| {
            directions.courses[t * count + r] as f32
        });
        for (mut course, mut mixing) in courses.outer_iter_mut().zip(mixing.columns_mut()) {
            let largest = course.iter().fold(0.0_f32, |largest, &value| {
                if value.abs() > largest.abs() {
                    value
                } else {
                    largest
                }
            });
            if largest < 0.0 {
                course.mapv_inplace(|value| -value);
                mixing.mapv_inplace(|value| -value);
            }
        }
        Ok(Orthogonal {
            mixing,
            values: directions.values,
            courses,
        })
    }

    /// From the frames' inner products, `Vᵀ (UᵀU) V = C S² Cᵀ`: courses `C`,
    /// mixing `V C S⁻¹`.
    fn by_frames(&self) -> Result<Directions, Error> {
        let frames = self.frames();
        let (squares, vectors) = eigen(&self.gram_of_frames(0..frames)?)?;
        let values = kept(&squares);
        let count = values.len();
        let courses = leading(&vectors, count, |_, _| 1.0);
        let mut mixing = courses_times(self, &courses, count);
        for (at, entry) in mixing.iter_mut().enumerate() {
            *entry /= values[at % count];
        }
        Ok(Directions {
            mixing,
            values,
            courses,
        })
    }

    /// From the components. With `D` the norms of the components' images,
    /// `D V Vᵀ D = E L Eᵀ` gives orthonormal courses `B = L^-½ Eᵀ D V`, so that
    /// `U V = (U D⁻¹ E L^½) B`; the bracket's own inner products `F S² Fᵀ` give
    /// courses `Fᵀ B` and mixing `D⁻¹ E L^½ F S⁻¹`.
    fn by_components(&self) -> Result<Directions, Error> {
        let (rank, frames) = (self.rank(), self.frames());
        let gram = self.gram_of_components();
        let norms: Vec<f64> = (0..rank).map(|k| gram.get(k, k).max(0.0).sqrt()).collect();
        // Components without an image, or none to speak of, have no part.
        let inverse: Vec<f64> = norms
            .iter()
            .map(|&norm| if norm > 0.0 { 1.0 / norm } else { 0.0 })
            .collect();
        let range = |k: usize| k * PIECE..rank.min((k + 1) * PIECE);
        let mut inner = symmetric(rank, |i| {
            let rows = courses(self, range(i), 0..frames);
            let rows = view(&rows, range(i).len(), frames);
            (0..=i)
                .map(|j| {
                    let columns = courses(self, range(j), 0..frames);
                    product(rows, view(&columns, range(j).len(), frames).transpose())
                })
                .collect()
        });
        for ((i, j), value) in inner.indexed_iter_mut() {
            *value *= norms[i] * norms[j];
        }
        let (squares, vectors) = eigen(&inner)?;
        drop(inner);
        let lengths = kept(&squares);
        let width = lengths.len();
        // D⁻¹ E L^½, and its inner products over pixels.
        let mixed = leading(&vectors, width, |k, r| inverse[k] * lengths[r]);
        let images = gram.product(&mixed, width);
        let small = product(
            view(&mixed, rank, width).transpose(),
            view(&images, rank, width),
        );
        let (squares, rotation) = eigen(&symmetrised(&small, width))?;
        let values = kept(&squares);
        let count = values.len();
        let scaled = leading(&rotation, count, |_, r| 1.0 / values[r]);
        let mixing = product(view(&mixed, rank, width), view(&scaled, width, count));
        // D E L^-½ F, which makes courses of V.
        let whitened = leading(&vectors, width, |k, r| norms[k] / lengths[r]);
        let rotated = leading(&rotation, count, |_, _| 1.0);
        let whitened = product(view(&whitened, rank, width), view(&rotated, width, count));
        Ok(Directions {
            mixing,
            values,
            courses: courses_transposed_times(self, &whitened, count),
        })
    }
}

/// Singular values that are kept, from their squares, descending.
fn kept(squares: &[f64]) -> Vec<f64> {
    let least = TOLERANCE * TOLERANCE * squares.first().copied().unwrap_or(0.0);
    squares
        .iter()
        .take_while(|&&square| square > least && square > 0.0)
        .map(|square| square.sqrt())
        .collect()
}

/// The leading columns of a matrix, each entry scaled; row-major.
fn leading(matrix: &Mat<f64>, count: usize, scale: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..matrix.nrows() * count)
        .map(|at| (at / count, at % count))
        .map(|(i, j)| scale(i, j) * matrix[(i, j)])
        .collect()
}
