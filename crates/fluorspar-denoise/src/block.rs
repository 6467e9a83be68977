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

use crate::linear::{eigen, gram, orthonormalise, outer, product};
use crate::roughness::{Roughness, Thresholds};
use crate::smooth::{Smoother, smooth};

/// Candidates of the first attempt; doubled until noise is reached.
const FIRST: usize = 16;
/// Columns of the iterated subspace beyond the candidates.
const OVERSAMPLING: usize = 8;
/// Applications of the Gram matrix.
const ITERATIONS: usize = 8;
/// Passes over all pixels after the search.
const REFINEMENTS: usize = 2;
/// Components in a row that fail the test before the search ends.
pub(crate) const FAILURES: usize = 3;

/// Extent of a block or an image along `(plane, y, x)`.
pub(crate) type Shape = [usize; 3];

/// Leading singular vectors of a block.
pub(crate) struct Leading {
    /// `(pixel, component)`, orthonormal.
    pub(crate) spatial: Mat<f32>,
    /// `(bin, component)`, orthonormal.
    pub(crate) temporal: Mat<f32>,
    /// Singular values, descending.
    pub(crate) values: Vec<f64>,
}

/// Spatial components `(pixel, component)` of `data (pixel, bin)` that noise
/// would not give, orthonormal, strongest first. `None` if a decomposition
/// does not converge.
pub(crate) fn components(
    data: MatRef<'_, f32>,
    shape: Shape,
    thresholds: &Thresholds,
    max_rank: usize,
    start: &Start,
) -> Option<Mat<f32>> {
    let most = max_rank.min(data.nrows()).min(data.ncols());
    let mut wanted = FIRST.min(most);
    loop {
        let leading = leading(data, shape, wanted, start)?;
        let kept = significant(&leading, shape, thresholds);
        // Noise was reached within the candidates, or there are no more to look at.
        let found_the_end = kept.last().is_none_or(|&last| last + FAILURES < wanted);
        if found_the_end || wanted == most {
            return refined(data, shape, &leading.temporal, &kept);
        }
        wanted = (2 * wanted).min(most);
    }
}

/// Images of the kept components, smoothed as far as they are noise, and once
/// more from the time courses that those images give.
fn refined(
    data: MatRef<'_, f32>,
    shape: Shape,
    temporal: &Mat<f32>,
    kept: &[usize],
) -> Option<Mat<f32>> {
    let mut temporal = Mat::from_fn(temporal.nrows(), kept.len(), |t, k| temporal[(t, kept[k])]);
    let usable: Vec<bool> = (0..data.nrows())
        .map(|p| (0..data.ncols()).any(|t| data[(p, t)] != 0.0))
        .collect();
    let smoother = Smoother::new(shape, &usable);
    let mut spatial = Mat::new();
    for _ in 0..REFINEMENTS {
        orthonormalise(&mut temporal);
        spatial = product(data, temporal.as_ref());
        // Where a rotation keeps strong components apart, each is smoothed by its own measure.
        let (_, rotation) = eigen(&gram(spatial.as_ref()))?;
        spatial = product(spatial.as_ref(), rotation.as_ref());
        for component in 0..spatial.ncols() {
            if let Some(image) = spatial.as_mut().col_mut(component).try_as_col_major_mut() {
                smoother.denoise(image.as_slice_mut());
            }
        }
        orthonormalise(&mut spatial);
        temporal = product(data.transpose(), spatial.as_ref());
    }
    Some(spatial)
}

/// Components smoother than noise, strongest first; the search ends where
/// several in a row are not.
fn significant(leading: &Leading, shape: Shape, thresholds: &Thresholds) -> Vec<usize> {
    let mut kept = Vec::new();
    let mut failures = 0;
    let strongest = leading.values.first().copied().unwrap_or(0.0);
    for (component, &value) in leading.values.iter().enumerate() {
        let is_signal =
            value > 1e-6 * strongest && thresholds.passes(Roughness::of(leading, component, shape));
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
        let columns = (max_rank + OVERSAMPLING).min(longest);
        Self {
            values: Mat::from_fn(longest, columns, |_, _| StandardNormal.sample(&mut rng)),
        }
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
) -> Option<Leading> {
    let coarse = averaged(data, shape);
    let right = leading_right(coarse.as_ref(), wanted, start);
    let mut spatial = product(data, right.as_ref());
    orthonormalise(&mut spatial);
    let along = product(data.transpose(), spatial.as_ref());
    let (squares, rotation) = eigen(&gram(along.as_ref()))?;
    let rank = wanted.min(squares.len());
    let rotation = rotation.as_ref().subcols(0, rank);
    let values: Vec<f64> = squares[..rank].iter().map(|s| s.max(0.0).sqrt()).collect();
    let mut temporal = product(along.as_ref(), rotation);
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
        spatial: product(spatial.as_ref(), rotation),
        temporal,
        values,
    })
}

/// A basis `(bin, column)` of the leading right singular directions of `data`,
/// not orthonormal, with a few columns more than `wanted`.
fn leading_right(data: MatRef<'_, f32>, wanted: usize, start: &Start) -> Mat<f32> {
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
        let gram = outer(wide);
        for _ in 0..ITERATIONS {
            basis = product(gram.as_ref(), basis.as_ref());
            orthonormalise(&mut basis);
        }
    } else {
        for _ in 0..ITERATIONS {
            let back = product(wide.transpose(), basis.as_ref());
            basis = product(wide, back.as_ref());
            orthonormalise(&mut basis);
        }
    }
    if rows <= columns {
        product(data.transpose(), basis.as_ref())
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
