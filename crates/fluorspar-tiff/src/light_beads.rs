//! The order of planes in light-beads recordings, whose planes are channels.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::Error;

/// Least evidence, in standard errors, for planes to have an order at all.
const EVIDENCE: f64 = 5.0;
/// Side of the squares that are dealt to the two halves of the pixels.
const SQUARE: usize = 16;
/// A table that explains this share of what the best order explains is as
/// good as it: neighbours that are swapped at the noise cost less.
const AS_GOOD: f64 = 0.97;

/// A published order of channels from one end of the stack to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlaneTable {
    /// 30 planes of MAxiMuM (Demas et al. 2021, Nature Methods 18:1103, code).
    Maximum30,
    /// 15 planes of MAxiMuM.
    Maximum15,
    /// 30 planes of Suite3D (Haimerl et al. 2025, code), which has two planes swapped.
    Suite3d30,
}

impl PlaneTable {
    const ALL: [Self; 3] = [Self::Maximum30, Self::Maximum15, Self::Suite3d30];

    /// Channels, counted from 0, plane by plane.
    pub fn channels(self) -> Vec<usize> {
        let runs: &[std::ops::RangeInclusive<usize>] = match self {
            Self::Maximum30 => &[
                1..=1,
                5..=10,
                2..=2,
                11..=17,
                3..=3,
                18..=23,
                4..=4,
                24..=30,
            ],
            Self::Maximum15 => &[1..=1, 5..=6, 2..=2, 7..=9, 3..=3, 10..=14, 4..=4, 15..=15],
            Self::Suite3d30 => &[1..=1, 5..=9, 2..=2, 10..=17, 3..=3, 18..=23, 4..=4, 24..=30],
        };
        let mut out: Vec<usize> = runs.iter().cloned().flatten().map(|n| n - 1).collect();
        if self != Self::Suite3d30 {
            out.reverse();
        }
        out
    }
}

/// What the images say about the order of planes.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaneOrder {
    /// Channels, counted from 0, from one end of the stack to the other: the
    /// table's where one agrees, otherwise the best found, the end with the
    /// lower channel first. As recorded if nothing can be said.
    pub channels: Vec<usize>,
    /// How well two halves of the pixels agree on which channels are alike, in
    /// standard errors.
    pub evidence: f64,
    /// The table that agrees.
    pub table: Option<PlaneTable>,
}

impl PlaneOrder {
    /// Whether the images show an order at all.
    pub fn is_determined(&self) -> bool {
        self.evidence >= EVIDENCE
    }
}

/// Orders channels by how alike their mean images are: neighbouring planes see
/// the same out-of-focus tissue.
///
/// `means` has the axes `(channel, y, x)`. Slow variations of brightness are
/// taken off; then the order is sought in which neighbours are most alike in
/// sum (nearest neighbours from every start, improved by reversing and moving
/// parts). A published table is believed only if it explains the likeness
/// as well as that order. Direction in depth cannot be seen in images.
///
/// # Errors
/// [`Error::Misuse`] for fewer than 4 channels or images with a side below 32 pixels.
pub fn plane_order(means: ArrayView3<'_, f32>) -> Result<PlaneOrder, Error> {
    let (channels, height, width) = means.dim();
    if channels < 4 || height.min(width) < 2 * SQUARE {
        return Err(Error::Misuse(format!(
            "{channels} images of {height} × {width} pixels do not show an order; it takes 4 of \
             32 × 32"
        )));
    }
    let images: Vec<Array2<f32>> = (0..channels)
        .into_par_iter()
        .map(|channel| flattened(means.index_axis(Axis(0), channel)))
        .collect();
    let whole = likeness(&images, |_, _| true);
    let half =
        |parity: usize| likeness(&images, move |y, x| (y / SQUARE + x / SQUARE) % 2 == parity);
    let (even, odd) = (half(0), half(1));
    let evidence = agreement(&even, &odd);
    if evidence < EVIDENCE {
        return Ok(PlaneOrder {
            channels: (0..channels).collect(),
            evidence,
            table: None,
        });
    }
    let mut best = best_order(&whole);
    let others = off_diagonal_mean(&whole);
    let gain = |order: &[usize]| length(order, &whole) / (channels - 1) as f64 - others;
    let table = PlaneTable::ALL
        .into_iter()
        .filter(|table| table.channels().len() == channels)
        .max_by(|a, b| gain(&a.channels()).total_cmp(&gain(&b.channels())))
        .filter(|table| gain(&table.channels()) >= AS_GOOD * gain(&best));
    if let Some(table) = table {
        best = table.channels();
    } else if best[0] > best[channels - 1] {
        best.reverse();
    }
    Ok(PlaneOrder {
        channels: best,
        evidence,
        table,
    })
}

/// An image without its slow variations, gaps filled with nothing.
fn flattened(image: ArrayView2<'_, f32>) -> Array2<f32> {
    let radius = SQUARE / 2;
    let (height, width) = image.dim();
    let clean = image.mapv(|v| if v.is_finite() { v } else { 0.0 });
    let mut sums = Array2::<f64>::zeros((height + 1, width + 1));
    for y in 0..height {
        for x in 0..width {
            sums[[y + 1, x + 1]] =
                f64::from(clean[[y, x]]) + sums[[y, x + 1]] + sums[[y + 1, x]] - sums[[y, x]];
        }
    }
    Array2::from_shape_fn((height, width), |(y, x)| {
        let (y0, y1) = (y.saturating_sub(radius), (y + radius + 1).min(height));
        let (x0, x1) = (x.saturating_sub(radius), (x + radius + 1).min(width));
        let sum = sums[[y1, x1]] - sums[[y0, x1]] - sums[[y1, x0]] + sums[[y0, x0]];
        let mean = sum / ((y1 - y0) * (x1 - x0)) as f64;
        clean[[y, x]] - mean as f32
    })
}

/// Correlations of all pairs of images over the pixels that `take` names; the diagonal is 0.
fn likeness(images: &[Array2<f32>], take: impl Fn(usize, usize) -> bool + Sync) -> Array2<f64> {
    let standard: Vec<Vec<f64>> = images
        .par_iter()
        .map(|image| {
            let mut values: Vec<f64> = image
                .indexed_iter()
                .filter(|((y, x), _)| take(*y, *x))
                .map(|(_, &v)| f64::from(v))
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            for value in &mut values {
                *value -= mean;
            }
            let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
            if norm > 0.0 {
                for value in &mut values {
                    *value /= norm;
                }
            }
            values
        })
        .collect();
    let n = images.len();
    let rows: Vec<Vec<f64>> = (0..n)
        .into_par_iter()
        .map(|i| {
            (0..n)
                .map(|j| {
                    if i == j {
                        return 0.0;
                    }
                    standard[i]
                        .iter()
                        .zip(&standard[j])
                        .map(|(a, b)| a * b)
                        .sum()
                })
                .collect()
        })
        .collect();
    Array2::from_shape_fn((n, n), |(i, j)| rows[i.min(j)][i.max(j)])
}

fn length(order: &[usize], likeness: &Array2<f64>) -> f64 {
    order
        .windows(2)
        .map(|pair| likeness[[pair[0], pair[1]]])
        .sum()
}

fn off_diagonal_mean(likeness: &Array2<f64>) -> f64 {
    let n = likeness.nrows();
    likeness.sum() / (n * (n - 1)) as f64
}

/// Whether two halves of the pixels agree on which pairs are alike: their
/// correlation over pairs, in standard errors (Fisher's z), 0 if there is none.
fn agreement(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let n = a.nrows();
    let pairs: Vec<[f64; 2]> = (0..n)
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|at| [a[at], b[at]])
        .collect();
    let count = pairs.len() as f64;
    let mean = [0, 1].map(|k| pairs.iter().map(|pair| pair[k]).sum::<f64>() / count);
    let product = |k: usize, l: usize| -> f64 {
        pairs
            .iter()
            .map(|pair| (pair[k] - mean[k]) * (pair[l] - mean[l]))
            .sum()
    };
    let correlation = product(0, 1) / (product(0, 0) * product(1, 1)).sqrt();
    if correlation.is_nan() {
        return 0.0;
    }
    correlation.clamp(-0.999_999, 0.999_999).atanh() * (count - 3.0).max(0.0).sqrt()
}

/// The order in which neighbours are most alike in sum: from every start along
/// the most alike, then improved until neither reversing nor moving a part helps.
fn best_order(likeness: &Array2<f64>) -> Vec<usize> {
    let n = likeness.nrows();
    let orders: Vec<Vec<usize>> = (0..n)
        .into_par_iter()
        .map(|start| {
            let mut order = vec![start];
            let mut left: Vec<usize> = (0..n).filter(|&k| k != start).collect();
            let mut here = start;
            while !left.is_empty() {
                let next = (0..left.len())
                    .max_by(|&a, &b| {
                        likeness[[here, left[a]]].total_cmp(&likeness[[here, left[b]]])
                    })
                    .unwrap_or(0);
                here = left.swap_remove(next);
                order.push(here);
            }
            improve(&mut order, likeness);
            order
        })
        .collect();
    orders
        .into_iter()
        .rev()
        .max_by(|a, b| length(a, likeness).total_cmp(&length(b, likeness)))
        .unwrap_or_default()
}

fn improve(order: &mut Vec<usize>, likeness: &Array2<f64>) {
    let n = order.len();
    let mut best = length(order, likeness);
    loop {
        let mut better: Option<Vec<usize>> = None;
        for i in 0..n {
            for j in i + 1..=n {
                let mut reversed = order.clone();
                reversed[i..j].reverse();
                let mut candidates = vec![reversed];
                // Parts of up to three planes, anywhere else.
                if j - i <= 3 {
                    let part: Vec<usize> = order[i..j].to_vec();
                    let rest: Vec<usize> = order[..i].iter().chain(&order[j..]).copied().collect();
                    candidates.extend((0..=rest.len()).map(|at| {
                        rest[..at]
                            .iter()
                            .chain(&part)
                            .chain(&rest[at..])
                            .copied()
                            .collect()
                    }));
                }
                for candidate in candidates {
                    let sum = length(&candidate, likeness);
                    if sum > best + 1e-12 {
                        (best, better) = (sum, Some(candidate));
                    }
                }
            }
        }
        match better {
            Some(found) => *order = found,
            None => return,
        }
    }
}
