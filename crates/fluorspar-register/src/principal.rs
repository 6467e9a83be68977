//! Motion that is left, seen in the principal components of a registered movie.

use std::ops::Range;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};
use fluorspar_movie::{Movie, PixelType, vectorised};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::{Error, Parameters, Shift, phase_correlation};

/// Most frames that are looked at: 150 in each mean, whose noise `by_chance` shows.
const FRAMES: usize = 1000;
/// Fewest; of fewer frames there is nothing to be said.
const FEWEST: usize = 40;
/// Frames that are read at once: what lies together on disk is decoded together.
const RUN: usize = 8;
/// Most bytes of such a run.
const RUN_BYTES: usize = 16 << 20;
/// Runs that are added up at once.
const RUNS: usize = 4;
/// Most components.
const COMPONENTS: usize = 30;
/// Frames for each component.
const FRAMES_EACH: usize = 20;
/// Share of the frames in each mean.
const SHARE: f64 = 0.15;
/// Most pixels of the small frames whose components are found.
const SMALL: usize = 16_384;
/// Most bytes of mean images.
const MEANS: usize = 256 << 20;
/// Directions beyond the wanted ones that the iteration carries along.
const SPARE: usize = 10;
/// Rounds of the iteration.
const ROUNDS: usize = 16;
/// Rows of a block of the Gram matrix.
const BLOCK: usize = 256;
/// Pixels that are added up at once: accumulators stay in the cache.
const STRIPE: usize = 4096;
/// Largest displacement looked for, pixels.
const REACH: usize = 10;
/// Side of the parts that are compared, pixels.
const PART: usize = 128;
/// Parts of frames picked blindly that differ by more, pixels, show nothing.
const BLIND: f32 = 0.5;

/// How far two mean images of a movie are from one another, pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Displacement {
    /// Of the whole along y.
    pub dy: f32,
    /// Of the whole along x.
    pub dx: f32,
    /// Mean distance of the parts (about 128 pixels wide) beyond the whole;
    /// 0 for images that are one part.
    pub parts_mean: f32,
    /// Largest of the same.
    pub parts_max: f32,
}

impl Displacement {
    /// Length of the displacement of the whole.
    pub fn distance(&self) -> f32 {
        self.dy.hypot(self.dx)
    }
}

/// One principal component of a registered movie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component {
    /// Its share of the variance of the frames, noise included, 0 to 1.
    pub share: f32,
    /// From the mean of the frames that score lowest on it to that of those
    /// that score highest.
    pub displacement: Displacement,
}

/// Motion that is left in a registered movie, by its principal components.
///
/// Frames that score lowest and highest on a component (15 % each) are
/// averaged and registered to one another (Pachitariu et al. 2017, bioRxiv
/// 061507, who look at 30 components of 2,000 frames). Motion that registration
/// has left makes a component of its own, and its extremes are displaced:
/// residual motion of standard deviation s pixels by about 3.1 s. Activity
/// makes components too, mostly the first; what counts is not that they are
/// there but whether their extremes are displaced.
///
/// Up to 1,000 trusted frames are taken, evenly over the movie in runs of
/// eight; one component is looked at for every 20 of them, at most 30: five
/// at 100 frames, where a mean is made of 15 frames and its noise is seen in
/// `by_chance`. Below 40 frames there is nothing to be said.
#[derive(Clone, Debug, PartialEq)]
pub struct PrincipalMotion {
    /// Frames looked at.
    pub frames: usize,
    /// The components, the largest first.
    pub components: Vec<Component>,
    /// Between means of as many frames picked blindly: what noise alone does.
    pub by_chance: Displacement,
}

impl PrincipalMotion {
    /// Largest displacement of the whole between the extremes of any
    /// component, pixels.
    pub fn largest(&self) -> f32 {
        let all = self.components.iter();
        all.map(|c| c.displacement.distance()).fold(0.0, f32::max)
    }

    /// Largest mean displacement of parts beyond the whole, pixels.
    pub fn largest_parts(&self) -> f32 {
        let all = self.components.iter();
        all.map(|c| c.displacement.parts_mean).fold(0.0, f32::max)
    }

    /// Looks at the `trusted` frames (ascending) of a registered movie of one
    /// plane; `None` if there are too few of them or they do not differ.
    ///
    /// Reads the frames twice. Holds at most 64 MiB of small frames and 4
    /// of products, then 256 MiB of means (of images beyond a megapixel
    /// fewer components are looked at), and a few runs of frames.
    pub(crate) fn assess(
        movie: &dyn Movie,
        trusted: &[usize],
        parameters: &Parameters,
    ) -> Result<Option<Self>, Error> {
        let shape = movie.shape();
        let pixels = shape.height * shape.width;
        let runs = runs(trusted, shape.frames, pixels);
        let frames: usize = runs.iter().map(|run| run.wanted.len()).sum();
        let fitting = (MEANS / (4 * pixels).max(1)).saturating_sub(2) / 2;
        let count = (frames / FRAMES_EACH).min(COMPONENTS).min(fitting);
        if frames < FEWEST || count == 0 {
            return Ok(None);
        }
        let (small, pixels) = small_frames(movie, &runs, frames)?;
        let small_frames = MatRef::from_column_major_slice(&small, pixels, frames);
        let Some(components) = components(small_frames, count) else {
            return Ok(None);
        };
        drop(small);
        let each = (SHARE * frames as f64).round() as usize;
        // Of each frame, the means it is part of.
        let mut member: Vec<Vec<usize>> = vec![Vec::new(); frames];
        for (k, component) in components.iter().enumerate() {
            let mut order: Vec<usize> = (0..frames).collect();
            let scores = &component.1;
            order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)));
            for &frame in &order[..each] {
                member[frame].push(2 * k);
            }
            for &frame in &order[frames - each..] {
                member[frame].push(2 * k + 1);
            }
        }
        let blind = 2 * components.len();
        for (frame, member) in member.iter_mut().enumerate() {
            // A seventh each, about as many as in the extremes.
            match frame % 7 {
                0 => member.push(blind),
                3 => member.push(blind + 1),
                _ => {}
            }
        }
        let means = means(movie, &runs, &member, blind + 2)?;
        let image = |k: usize| ArrayView2::from_shape((shape.height, shape.width), &means[k]);
        let pair = |k: usize| -> Result<_, Error> {
            let wrong = |_| Error::Image("the movie has changed its size".into());
            Ok((image(k).map_err(wrong)?, image(k + 1).map_err(wrong)?))
        };
        let parameters = Parameters {
            mode: crate::Mode::Rigid,
            ..parameters.clone()
        };
        let tiles = tiles(shape.height, shape.width);
        let (first, second) = pair(blind)?;
        let (by_chance, telling) = compare(first, second, &tiles, &parameters)?;
        let tiles: Vec<_> = tiles
            .into_iter()
            .zip(telling)
            .filter_map(|(tile, telling)| telling.then_some(tile))
            .collect();
        let found: Result<Vec<Component>, Error> = components
            .par_iter()
            .enumerate()
            .map(|(k, &(share, _))| {
                let (low, high) = pair(2 * k)?;
                let (displacement, _) = compare(low, high, &tiles, &parameters)?;
                Ok(Component {
                    share,
                    displacement,
                })
            })
            .collect();
        Ok(Some(Self {
            frames,
            components: found?,
            by_chance,
        }))
    }
}

/// Frames that lie together.
struct Run {
    /// What is read.
    frames: Range<usize>,
    /// Those of them that are looked at, from the first read.
    wanted: Vec<usize>,
}

/// Runs of frames, evenly spread, that hold at most [`FRAMES`] trusted ones.
fn runs(trusted: &[usize], frames: usize, pixels: usize) -> Vec<Run> {
    let length = (RUN_BYTES / (4 * pixels).max(1)).clamp(1, RUN);
    let mut all: Vec<Run> = Vec::new();
    for &frame in trusted {
        let start = frame / length * length;
        match all.last_mut() {
            Some(run) if run.frames.start == start => run.wanted.push(frame - start),
            _ => all.push(Run {
                frames: start..(start + length).min(frames),
                wanted: vec![frame - start],
            }),
        }
    }
    let most = FRAMES / length;
    let (count, kept) = (all.len(), all.len().min(most));
    let mut chosen = vec![false; count];
    for k in 0..kept {
        chosen[k * count / kept] = true;
    }
    let mut chosen = chosen.into_iter();
    all.retain(|_| chosen.next().unwrap_or(false));
    all
}

/// The frames with their pixels added up in squares, the mean of all frames
/// taken off, one after the other; and their pixels.
fn small_frames(
    movie: &dyn Movie,
    runs: &[Run],
    frames: usize,
) -> Result<(Vec<f32>, usize), Error> {
    let shape = movie.shape();
    let (height, width) = (shape.height, shape.width);
    let mut side = 1;
    while (height / side) * (width / side) > SMALL {
        side += 1;
    }
    let (tall, wide) = (height / side, width / side);
    let pixels = tall * wide;
    let mut out = vec![0.0; frames * pixels];
    let mut rest = out.as_mut_slice();
    let mut slots = Vec::with_capacity(runs.len());
    for run in runs {
        let (slot, more) = rest.split_at_mut(run.wanted.len() * pixels);
        slots.push(slot);
        rest = more;
    }
    runs.par_iter()
        .zip(slots)
        .map_init(
            || (Vec::new(), vec![0.0; width]),
            |(buffer, lines), (run, out)| {
                read(movie, run, buffer)?;
                for (out, &k) in out.chunks_exact_mut(pixels).zip(&run.wanted) {
                    let frame = &buffer[k * height * width..(k + 1) * height * width];
                    // Lines first, which is quick.
                    let squares = frame.chunks_exact(side * width);
                    for (out, rows) in out.chunks_exact_mut(wide).zip(squares) {
                        lines.copy_from_slice(&rows[..width]);
                        for row in rows.chunks_exact(width).skip(1) {
                            for (sum, value) in lines.iter_mut().zip(row) {
                                *sum += value;
                            }
                        }
                        for (slot, square) in out.iter_mut().zip(lines.chunks_exact(side)) {
                            *slot = square.iter().sum();
                        }
                    }
                }
                Ok(())
            },
        )
        .collect::<Result<Vec<()>, Error>>()?;
    let mut mean = vec![0.0_f64; pixels];
    for frame in out.chunks_exact(pixels) {
        for (sum, &value) in mean.iter_mut().zip(frame) {
            *sum += f64::from(value);
        }
    }
    for frame in out.chunks_exact_mut(pixels) {
        for (value, sum) in frame.iter_mut().zip(&mean) {
            *value = (f64::from(*value) - sum / frames as f64) as f32;
        }
    }
    Ok((out, pixels))
}

/// Reads a run; what is not finite counts as 0.
fn read(movie: &dyn Movie, run: &Run, buffer: &mut Vec<f32>) -> Result<(), Error> {
    buffer.resize(run.frames.len() * movie.shape().frame_len(), 0.0);
    movie.read(run.frames.clone(), buffer)?;
    if !matches!(movie.pixel_type(), PixelType::F32 | PixelType::F64) {
        return Ok(());
    }
    for value in buffer.iter_mut() {
        if !value.is_finite() {
            *value = 0.0;
        }
    }
    Ok(())
}

/// The share of the variance and the scores of the frames (columns) on the
/// `count` largest principal components, by iterating a subspace under the
/// frames' Gram matrix; fewer where the frames span no more.
fn components(frames: MatRef<'_, f32>, count: usize) -> Option<Vec<(f32, Vec<f64>)>> {
    let n = frames.ncols();
    let gram = gram(frames);
    let total: f64 = (0..n).map(|k| f64::from(gram[(k, k)])).sum();
    if total <= 0.0 || !total.is_finite() {
        return None;
    }
    let width = (count + SPARE).min(n);
    let mut state = 0_u64;
    let mut basis = Mat::from_fn(n, width, |_, _| {
        // Any start does that is not orthogonal to what is looked for (Weyl's sequence).
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 40) as f32 / (1 << 24) as f32 - 0.5
    });
    orthonormalise(&mut basis);
    for _ in 0..ROUNDS {
        basis = times(&gram, &basis);
        orthonormalise(&mut basis);
    }
    let image = times(&gram, &basis);
    let ritz = Mat::from_fn(width, width, |i, j| {
        let product = |i: usize, j: usize| -> f64 {
            let rows = (0..n).map(|k| f64::from(basis[(k, i)]) * f64::from(image[(k, j)]));
            rows.sum()
        };
        f64::midpoint(product(i, j), product(j, i))
    });
    let (values, vectors) = eigen(&ritz)?;
    let largest = (0..width).rev().take(count);
    let found = largest.filter(|&k| values[k] > 1e-9 * total).map(|k| {
        let score = |row: usize| -> f64 {
            (0..width)
                .map(|j| f64::from(basis[(row, j)]) * vectors[(j, k)])
                .sum()
        };
        ((values[k] / total) as f32, (0..n).map(score).collect())
    });
    Some(found.collect())
}

/// Products of all pairs of columns, block by block.
fn gram(frames: MatRef<'_, f32>) -> Mat<f32> {
    let n = frames.ncols();
    let starts: Vec<usize> = (0..n).step_by(BLOCK).collect();
    let columns = |start: usize| frames.subcols(start, BLOCK.min(n - start));
    let pairs: Vec<(usize, usize)> = starts
        .iter()
        .flat_map(|&i| {
            starts
                .iter()
                .take_while(move |&&j| j <= i)
                .map(move |&j| (i, j))
        })
        .collect();
    let blocks: Vec<Mat<f32>> = pairs
        .par_iter()
        .map(|&(i, j)| {
            let (a, b) = (columns(i), columns(j));
            let mut out = Mat::zeros(a.ncols(), b.ncols());
            product(out.as_mut(), a.transpose(), b);
            out
        })
        .collect();
    let mut out = Mat::zeros(n, n);
    for (&(i, j), block) in pairs.iter().zip(&blocks) {
        for c in 0..block.ncols() {
            for r in 0..block.nrows() {
                out[(i + r, j + c)] = block[(r, c)];
                out[(j + c, i + r)] = block[(r, c)];
            }
        }
    }
    out
}

/// A symmetric matrix times `basis`, by blocks of rows.
fn times(symmetric: &Mat<f32>, basis: &Mat<f32>) -> Mat<f32> {
    let n = symmetric.ncols();
    let starts: Vec<usize> = (0..n).step_by(BLOCK).collect();
    let blocks: Vec<Mat<f32>> = starts
        .par_iter()
        .map(|&start| {
            let rows = symmetric.as_ref().subcols(start, BLOCK.min(n - start));
            let mut out = Mat::zeros(rows.ncols(), basis.ncols());
            product(out.as_mut(), rows.transpose(), basis.as_ref());
            out
        })
        .collect();
    Mat::from_fn(n, basis.ncols(), |row, k| {
        blocks[row / BLOCK][(row % BLOCK, k)]
    })
}

fn product(out: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
    matmul(out, Accum::Replace, a, b, 1.0, Par::Seq);
}

/// Gram and Schmidt's columns, twice for the sake of rounding; a column that
/// the others span already becomes 0.
fn orthonormalise(basis: &mut Mat<f32>) {
    let (n, width) = (basis.nrows(), basis.ncols());
    let mut done: Vec<Vec<f64>> = Vec::with_capacity(width);
    for k in 0..width {
        let mut column: Vec<f64> = (0..n).map(|row| f64::from(basis[(row, k)])).collect();
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let before = norm(&column);
        for _ in 0..2 {
            for other in &done {
                let along: f64 = column.iter().zip(other).map(|(a, b)| a * b).sum();
                for (a, b) in column.iter_mut().zip(other) {
                    *a -= along * b;
                }
            }
        }
        let after = norm(&column);
        let scale = if after > 1e-6 * before {
            1.0 / after
        } else {
            0.0
        };
        for (row, value) in column.iter_mut().enumerate() {
            *value *= scale;
            basis[(row, k)] = *value as f32;
        }
        done.push(column);
    }
}

/// Eigenvalues, ascending, and eigenvectors of a symmetric matrix.
fn eigen(a: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let n = a.nrows();
    let mut vectors = Mat::zeros(n, n);
    let mut values = faer::diag::Diag::zeros(n);
    let scratch =
        self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Spec::default());
    self_adjoint_evd(
        a.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Spec::default(),
    )
    .ok()?;
    Some(((0..n).map(|k| values[k]).collect(), vectors))
}

/// Some pixels of one mean.
struct Stripe<'a> {
    /// The first of them.
    start: usize,
    sum: &'a mut [f32],
    /// The frames that it is a mean of.
    frames: &'a [&'a [f32]],
}

vectorised! {
    /// Adds the pixels of `frames` from `start` on to `sum`, frame after frame.
    fn add_frames<'a>(sum: &'a mut [f32], frames: &'a [&'a [f32]], start: usize) {
        const WIDTH: usize = 64;
        for (k, part) in sum.chunks_mut(WIDTH).enumerate() {
            let from = start + k * WIDTH;
            if let Some(part) = part.first_chunk_mut::<WIDTH>() {
                let mut total = *part;
                for frame in frames {
                    let Some(values) = frame[from..].first_chunk::<WIDTH>() else {
                        return;
                    };
                    for (sum, value) in total.iter_mut().zip(values) {
                        *sum += value;
                    }
                }
                *part = total;
            } else {
                for frame in frames {
                    for (sum, value) in part.iter_mut().zip(&frame[from..]) {
                        *sum += value;
                    }
                }
            }
        }
    }
}

/// `count` mean images; frame `k` is part of those that `member[k]` names.
fn means(
    movie: &dyn Movie,
    runs: &[Run],
    member: &[Vec<usize>],
    count: usize,
) -> Result<Vec<Vec<f32>>, Error> {
    let pixels = movie.shape().frame_len();
    let mut sums = vec![vec![0.0_f32; pixels]; count];
    let mut buffers = vec![Vec::new(); RUNS];
    let mut first = 0;
    for runs in runs.chunks(RUNS) {
        let reading = buffers.par_iter_mut().zip(runs);
        reading
            .map(|(buffer, run)| read(movie, run, buffer))
            .collect::<Result<Vec<()>, Error>>()?;
        let mut frames: Vec<(&[f32], &[usize])> = Vec::new();
        for (buffer, run) in buffers.iter().zip(runs) {
            for &k in &run.wanted {
                let frame = &buffer[k * pixels..(k + 1) * pixels];
                frames.push((frame, &member[first + frames.len()]));
            }
        }
        first += frames.len();
        // Each stripe of a mean takes its frames in their order.
        let members: Vec<Vec<&[f32]>> = (0..count)
            .map(|mean| {
                let of = frames.iter().filter(|(_, all)| all.contains(&mean));
                of.map(|&(frame, _)| frame).collect()
            })
            .collect();
        let mut stripes: Vec<Stripe<'_>> = Vec::new();
        for (sum, frames) in sums.iter_mut().zip(&members) {
            for (k, sum) in sum.chunks_mut(STRIPE).enumerate() {
                let start = k * STRIPE;
                stripes.push(Stripe { start, sum, frames });
            }
        }
        // Means side by side take the same pixels, while these are in the cache.
        stripes.sort_by_key(|stripe| stripe.start);
        stripes
            .par_iter_mut()
            .with_min_len(count)
            .for_each(|stripe| add_frames(stripe.sum, stripe.frames, stripe.start));
    }
    for (mean, sum) in sums.iter_mut().enumerate() {
        let of = member.iter().filter(|all| all.contains(&mean)).count();
        for value in sum {
            *value /= of.max(1) as f32;
        }
    }
    Ok(sums)
}

/// Rows and columns of a part.
type Tile = (Range<usize>, Range<usize>);

fn tiles(height: usize, width: usize) -> Vec<Tile> {
    let cut = |length: usize| -> Vec<Range<usize>> {
        let count = (length as f64 / PART as f64).round().max(1.0) as usize;
        (0..count)
            .map(|k| k * length / count..(k + 1) * length / count)
            .collect()
    };
    let across = cut(width);
    let all: Vec<Tile> = cut(height)
        .into_iter()
        .flat_map(|rows| {
            across
                .iter()
                .map(move |columns| (rows.clone(), columns.clone()))
        })
        .collect();
    // A single part is the whole.
    if all.len() > 1 { all } else { Vec::new() }
}

/// How far `second` is from `first`, and whether each part is where the whole is.
fn compare(
    first: ArrayView2<'_, f32>,
    second: ArrayView2<'_, f32>,
    tiles: &[Tile],
    parameters: &Parameters,
) -> Result<(Displacement, Vec<bool>), Error> {
    let between = |a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>| -> Result<Shift, Error> {
        phase_correlation(a, b, (REACH, REACH), parameters)
    };
    let whole = between(first, second)?;
    let mut parts = Vec::new();
    for (rows, columns) in tiles {
        let cut = |image: &ArrayView2<'_, f32>| -> Array2<f32> {
            let rows = image.slice_axis(Axis(0), rows.clone().into());
            rows.slice_axis(Axis(1), columns.clone().into()).to_owned()
        };
        let part = between(cut(&first).view(), cut(&second).view())?;
        parts.push((part.dy - whole.dy).hypot(part.dx - whole.dx));
    }
    let telling = parts.iter().map(|&distance| distance <= BLIND).collect();
    Ok((
        Displacement {
            dy: whole.dy,
            dx: whole.dx,
            parts_mean: parts.iter().sum::<f32>() / parts.len().max(1) as f32,
            parts_max: parts.iter().copied().fold(0.0, f32::max),
        },
        telling,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_components_are_found_in_order() {
        let (frames, pixels) = (120, 300);
        let data = Mat::from_fn(pixels, frames, |p, t| {
            let (p, t) = (p as f32, t as f32);
            9.0 * (p * 0.3).sin() * (t * 0.21).sin() + 3.0 * (p * 0.11).cos() * (t * 0.5).cos()
        });
        let found = components(data.as_ref(), 5).unwrap();
        // Rounding of single precision is no component.
        let shares: Vec<f32> = found.iter().map(|c| c.0).collect();
        assert!(shares[0] > 0.85 && shares[1] > 0.05, "{shares:?}");
        assert!(shares[2..].iter().all(|&s| s < 1e-5), "{shares:?}");
        let wanted: Vec<f64> = (0..frames).map(|t| (t as f64 * 0.21).sin()).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cosine = dot(&found[0].1, &wanted) / dot(&wanted, &wanted).sqrt();
        assert!(cosine.abs() > 0.99, "{cosine}");
    }

    #[test]
    fn runs_are_spread_over_the_movie() {
        let trusted: Vec<usize> = (0..100_000).filter(|k| k % 10 != 3).collect();
        let chosen = runs(&trusted, 100_000, 512 * 512);
        assert_eq!(chosen.len(), FRAMES / RUN);
        assert_eq!(chosen[0].frames, 0..8);
        assert!(chosen[124].frames.start > 99_000);
        let gaps = chosen
            .windows(2)
            .map(|w| w[1].frames.start - w[0].frames.start);
        assert!(gaps.clone().max() <= Some(816) && gaps.min() >= Some(784));
        let few = runs(&[1, 2, 9, 12], 13, 100);
        assert_eq!(few.len(), 2);
        assert_eq!(
            (few[1].frames.clone(), &few[1].wanted[..]),
            (8..13, &[1, 4][..])
        );
    }
}
