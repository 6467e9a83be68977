//! The components of one block.
//!
//! A block's pixels, binned in time and in units of their noise, are a matrix
//! `X (pixel, bin)`. The time courses of its leading components are looked for
//! in pixels averaged 2 × 2 and smoothed, where structure of a cell's size
//! stands out much further from the noise than in single pixels; the cheaper
//! Gram matrix, or the matrix itself where both are large, is iterated on
//! (Halko, Martinsson, Tropp 2011, SIAM Rev. 53:217, algorithm 4.4). Passes
//! over all pixels then give the images, each smoothed as far as it is noise:
//! the kernel is chosen by Stein's unbiased estimate of the error (1981, Ann.
//! Stat. 9:1135), for which the noise is known.

use faer::{Mat, MatRef};
use ndarray::{Array2, ArrayView2};

use crate::linear::{Products, eigen, gram, orthonormalise};
use crate::roughness::{Roughness, Thresholds};
use crate::smooth::{Smoother, smooth};
use crate::trend::TrendFilter;
use crate::{Error, Parameters, trend};

/// Candidates of the first attempt; doubled until noise is reached.
const FIRST: usize = 16;
/// Columns of the iterated subspace beyond the candidates; with those of the
/// first attempt they fill whole vectors.
const OVERSAMPLING: usize = 8;
/// Applications of the Gram matrix.
const ITERATIONS: usize = 8;
/// Passes over all pixels after the search.
const REFINEMENTS: usize = 2;
/// Components in a row that fail the test before the search ends.
pub(crate) const FAILURES: usize = 3;

/// Extent of a block or an image along `(plane, y, x)`.
pub(crate) type Shape = [usize; 3];

/// Upper bound of the bytes that searching one block takes, its pixels included.
pub(crate) fn workspace(shape: Shape, bins: usize, max_rank: usize) -> usize {
    let [planes, rows, columns] = shape;
    let pixels = planes * rows * columns;
    let cells = planes * rows.div_ceil(2) * columns.div_ceil(2);
    let shorter = cells.min(bins);
    let width = (max_rank.max(FIRST) + OVERSAMPLING).min(shorter);
    // The block and its average, a Gram matrix, factors with what comes in
    // between, images being smoothed, and courses.
    let values =
        (pixels + cells) * bins + shorter * shorter + 5 * width * (pixels + bins) + 12 * pixels;
    size_of::<f32>() * values + trend::scratch(bins)
}

/// Bytes of what the searches of all blocks share.
pub(crate) fn shared(shape: Shape, bins: usize, max_rank: usize) -> usize {
    let width = max_rank.max(FIRST) + OVERSAMPLING;
    let shorter = shape.iter().product::<usize>().min(bins);
    size_of::<f32>() * width * shorter.next_multiple_of(16) + trend::shared(bins)
}

/// Leading singular vectors of a block.
pub(crate) struct Leading {
    /// `(pixel, component)`, orthonormal.
    pub(crate) spatial: Mat<f32>,
    /// `(bin, component)`, orthonormal.
    pub(crate) temporal: Mat<f32>,
    /// Singular values, descending.
    pub(crate) values: Vec<f64>,
}

/// Finds the components of blocks of one number of bins: what the blocks of a
/// movie share, made once.
///
/// [`Denoiser`](crate::Denoiser) does this for every block of a movie; here is
/// the same for a single matrix, such as the pixels of a region of interest.
pub struct BlockSearch {
    bins: usize,
    start: Start,
    thresholds: Thresholds,
    trend: TrendFilter,
    max_rank: usize,
}

/// What a search in one block found.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockComponents {
    /// Orthonormal images `(pixel, component)`, strongest first; pixels count
    /// `(plane · height + y) · width + x` within the block.
    pub images: Array2<f32>,
    /// Multiplications and additions spent in matrix products.
    pub operations: u64,
}

impl BlockSearch {
    /// Prepares for blocks of at most `largest` pixels `(plane, y, x)` and of
    /// `bins` samples in time, by taking apart blocks of simulated noise.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming a parameter that is out of range;
    /// [`Error::Input`] if there are no pixels or fewer than three bins;
    /// [`Error::Decomposition`] if an eigenvalue problem does not converge.
    pub fn new(largest: [usize; 3], bins: usize, parameters: &Parameters) -> Result<Self, Error> {
        Self::prepare(largest, bins, parameters, usize::MAX)
    }

    /// The same, `at_once` blocks of noise at a time.
    pub(crate) fn prepare(
        largest: Shape,
        bins: usize,
        parameters: &Parameters,
        at_once: usize,
    ) -> Result<Self, Error> {
        parameters.validate()?;
        let pixels: usize = largest.iter().product();
        if pixels == 0 || bins < 3 {
            return Err(Error::Input(format!(
                "a block of {pixels} pixels and {bins} bins cannot be searched"
            )));
        }
        let Parameters {
            max_rank,
            significance,
            seed,
            ..
        } = *parameters;
        let start = Start::new(pixels.min(bins), max_rank, seed);
        let thresholds = Thresholds::simulate(largest, bins, significance, &start, seed, at_once)
            .ok_or(Error::Decomposition { block: 0 })?;
        Ok(Self {
            bins,
            start,
            thresholds,
            trend: TrendFilter::new(bins),
            max_rank,
        })
    }

    /// The components of `block (pixel, bin)`, whose noise is white with a
    /// standard deviation of 1 and whose pixels have the extent `shape`
    /// `(plane, y, x)`; pixels that are zero throughout cannot be used.
    ///
    /// # Errors
    /// [`Error::Input`] if the matrix has not the size of the shape and the
    /// bins, is larger than prepared for or holds values that are not finite; [`Error::Decomposition`] if an
    /// eigenvalue problem does not converge.
    pub fn components(
        &self,
        block: ArrayView2<'_, f32>,
        shape: [usize; 3],
    ) -> Result<BlockComponents, Error> {
        let (pixels, bins) = block.dim();
        let by_bin = block.reversed_axes();
        let by_bin = by_bin.as_standard_layout();
        let data = by_bin.as_slice().unwrap_or_default();
        if !data.iter().all(|v| v.is_finite()) {
            return Err(Error::Input("a block must hold finite values only".into()));
        }
        let mut products = Products::default();
        let data = MatRef::from_column_major_slice(data, pixels, bins);
        let images = self.find(data, shape, &mut products)?;
        Ok(BlockComponents {
            images: Array2::from_shape_fn((pixels, images.ncols()), |at| images[at]),
            operations: products.operations,
        })
    }

    pub(crate) fn find(
        &self,
        data: MatRef<'_, f32>,
        shape: Shape,
        products: &mut Products,
    ) -> Result<Mat<f32>, Error> {
        let pixels: usize = shape.iter().product();
        if (data.nrows(), data.ncols()) != (pixels, self.bins)
            || pixels.min(self.bins) > self.start.longest()
        {
            return Err(Error::Input(format!(
                "a block of {} × {} is not one of {pixels} pixels and {} bins",
                data.nrows(),
                data.ncols(),
                self.bins
            )));
        }
        self.search(data, shape, products)
            .ok_or(Error::Decomposition { block: 0 })
    }

    fn search(
        &self,
        data: MatRef<'_, f32>,
        shape: Shape,
        products: &mut Products,
    ) -> Option<Mat<f32>> {
        let most = self.max_rank.min(data.nrows()).min(data.ncols());
        let mut wanted = FIRST.min(most);
        loop {
            let leading = leading(data, shape, wanted, &self.start, products)?;
            let kept = significant(&leading, shape, &self.thresholds);
            // Noise was reached within the candidates, or there are no more to look at.
            let found_the_end = kept.last().is_none_or(|&last| last + FAILURES < wanted);
            if found_the_end || wanted == most {
                return self.refined(data, shape, &leading.temporal, &kept, products);
            }
            wanted = (2 * wanted).min(most);
        }
    }

    /// Images of the kept components, smoothed as far as they are noise, from
    /// time courses that are smoothed likewise, in turns.
    fn refined(
        &self,
        data: MatRef<'_, f32>,
        shape: Shape,
        temporal: &Mat<f32>,
        kept: &[usize],
        products: &mut Products,
    ) -> Option<Mat<f32>> {
        if kept.is_empty() {
            return Some(Mat::zeros(data.nrows(), 0));
        }
        let bins = temporal.nrows();
        let mut temporal = Mat::from_fn(bins, kept.len(), |t, k| temporal[(t, kept[k])]);
        let usable: Vec<bool> = (0..data.nrows())
            .map(|p| (0..bins).any(|t| data[(p, t)] != 0.0))
            .collect();
        let smoother = Smoother::new(shape, &usable);
        let mut spatial = Mat::new();
        for _ in 0..REFINEMENTS {
            orthonormalise(&mut temporal);
            spatial = products.product(data, temporal.as_ref());
            // Strong components are kept apart, so that each is smoothed by its own measure.
            let (_, rotation) = eigen(&gram(spatial.as_ref()))?;
            spatial = products.product(spatial.as_ref(), rotation.as_ref());
            for component in 0..spatial.ncols() {
                if let Some(image) = spatial.as_mut().col_mut(component).try_as_col_major_mut() {
                    smoother.denoise(image.as_slice_mut());
                }
            }
            orthonormalise(&mut spatial);
            temporal = products.transposed(spatial.as_ref(), data);
            let at = (0..temporal.ncols()).flat_map(|k| (0..bins).map(move |t| (t, k)));
            let mut courses: Vec<f32> = at.map(|at| temporal[at]).collect();
            self.trend.apply_few(&mut courses, 1.0);
            temporal = Mat::from_fn(bins, temporal.ncols(), |t, k| courses[k * bins + t]);
        }
        Some(spatial)
    }
}

impl std::fmt::Debug for BlockSearch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockSearch")
            .field("bins", &self.bins)
            .field("thresholds", &self.thresholds)
            .field("max_rank", &self.max_rank)
            .finish_non_exhaustive()
    }
}

/// Components that noise would not give, strongest first; the search ends
/// where several in a row could be noise.
fn significant(leading: &Leading, shape: Shape, thresholds: &Thresholds) -> Vec<usize> {
    let mut kept = Vec::new();
    let mut failures = 0;
    let strongest = leading.values.first().copied().unwrap_or(0.0);
    for (component, &value) in leading.values.iter().enumerate() {
        let is_signal = value > 1e-6 * strongest
            && thresholds.passes(value, Roughness::of(leading, component, shape));
        if is_signal {
            kept.push(component);
            failures = 0;
        } else {
            failures += 1;
            if failures == FAILURES {
                break;
            }
        }
    }
    kept
}

/// Random directions to begin with; the same for all blocks.
pub(crate) struct Start {
    values: Mat<f32>,
}

impl Start {
    /// For matrices whose smaller side is at most `longest`.
    pub(crate) fn new(longest: usize, max_rank: usize, seed: u64) -> Self {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let columns = (max_rank.max(FIRST) + OVERSAMPLING).min(longest);
        Self {
            values: Mat::from_fn(longest, columns, |_, _| StandardNormal.sample(&mut rng)),
        }
    }

    /// Longest smaller side prepared for.
    fn longest(&self) -> usize {
        self.values.nrows()
    }

    fn directions(&self, length: usize, columns: usize) -> MatRef<'_, f32> {
        self.values.as_ref().submatrix(0, 0, length, columns)
    }
}

/// The `wanted` leading singular vectors of `data`, by way of averaged pixels.
pub(crate) fn leading(
    data: MatRef<'_, f32>,
    shape: Shape,
    wanted: usize,
    start: &Start,
    products: &mut Products,
) -> Option<Leading> {
    let coarse = averaged(data, shape);
    let right = leading_right(coarse.as_ref(), wanted, start, products);
    let mut spatial = products.product(data, right.as_ref());
    orthonormalise(&mut spatial);
    let along = products.transposed(spatial.as_ref(), data);
    let (squares, rotation) = eigen(&gram(along.as_ref()))?;
    let rank = wanted.min(squares.len());
    let rotation = rotation.as_ref().subcols(0, rank);
    let values: Vec<f64> = squares[..rank].iter().map(|s| s.max(0.0).sqrt()).collect();
    let mut temporal = products.product(along.as_ref(), rotation);
    for (k, &value) in values.iter().enumerate() {
        let scale = if value > 0.0 {
            (1.0 / value) as f32
        } else {
            0.0
        };
        for t in 0..temporal.nrows() {
            temporal[(t, k)] *= scale;
        }
    }
    Some(Leading {
        spatial: products.product(spatial.as_ref(), rotation),
        temporal,
        values,
    })
}

/// A basis `(bin, column)` of the leading right singular directions of `data`,
/// not orthonormal, with a few columns more than `wanted`.
fn leading_right(
    data: MatRef<'_, f32>,
    wanted: usize,
    start: &Start,
    products: &mut Products,
) -> Mat<f32> {
    let (rows, columns) = (data.nrows(), data.ncols());
    let shorter = rows.min(columns);
    let width = (wanted + OVERSAMPLING).min(shorter);
    let mut basis = start.directions(shorter, width).to_owned();
    // Multiplications and additions of all iterations, by either route.
    let by_gram = shorter * shorter * (rows.max(columns) / 2 + ITERATIONS * width);
    let direct = 2 * ITERATIONS * rows * columns * width;
    let wide = if rows <= columns {
        data
    } else {
        data.transpose()
    };
    if by_gram <= direct {
        let gram = products.outer(wide);
        for _ in 0..ITERATIONS {
            basis = products.product(gram.as_ref(), basis.as_ref());
            orthonormalise(&mut basis);
        }
    } else {
        for _ in 0..ITERATIONS {
            let back = products.product(wide.transpose(), basis.as_ref());
            basis = products.product(wide, back.as_ref());
            orthonormalise(&mut basis);
        }
    }
    if rows <= columns {
        products.transposed(basis.as_ref(), data)
    } else {
        basis
    }
}

/// Sums of 2 × 2 pixels over the root of their number, so that noise keeps
/// its size, smoothed. `(cell, bin)`.
fn averaged(data: MatRef<'_, f32>, shape: Shape) -> Mat<f32> {
    let [planes, rows, columns] = shape;
    let cells = [planes, rows.div_ceil(2), columns.div_ceil(2)];
    let mut out = Mat::zeros(cells.iter().product(), data.ncols());
    let mut room = Vec::new();
    for bin in 0..data.ncols() {
        let (Some(pixels), Some(averages)) = (
            data.col(bin).try_as_col_major(),
            out.as_mut().col_mut(bin).try_as_col_major_mut(),
        ) else {
            continue;
        };
        let averages = averages.as_slice_mut();
        average(pixels.as_slice(), shape, averages);
        smooth(averages, cells, &mut room);
    }
    out
}

fluorspar_movie::vectorised! {
    fn average<'a>(pixels: &'a [f32], shape: Shape, cells: &'a mut [f32]) {
        let [_, rows, columns] = shape;
        let width = columns.div_ceil(2);
        for (row, line) in pixels.chunks_exact(columns).enumerate() {
            let y = row % rows;
            // Lines in pairs share a line of cells; the last may be alone.
            let alone = y + 1 == rows && y % 2 == 0;
            let at = (row / rows * rows.div_ceil(2) + y / 2) * width;
            let scale = if alone { std::f32::consts::FRAC_1_SQRT_2 } else { 0.5 };
            let line_cells = &mut cells[at..at + width];
            if y % 2 == 0 {
                line_cells.fill(0.0);
            }
            for (cell, pair) in line_cells.iter_mut().zip(line.chunks_exact(2)) {
                *cell += scale * (pair[0] + pair[1]);
            }
            if columns % 2 == 1 {
                line_cells[width - 1] += scale * std::f32::consts::SQRT_2 * line[columns - 1];
            }
        }
    }
}
