use ndarray::Array3;
use rayon::prelude::*;

use super::LowRank;
use super::covariance::{Covariance, dot, spread};
use super::groups::Groups;

/// The pixels around a pixel, in its plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbours {
    /// Those that share an edge.
    Four,
    /// Those that share an edge or a corner.
    Eight,
}

/// The variance that a covariance is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variability {
    /// Of the denoised pixels: Pearson's correlation of what was found.
    Denoised,
    /// Of the denoised pixels plus their noise, which is taken to be
    /// independent from pixel to pixel: the correlation of the raw movie as
    /// it would be expected.
    WithNoise,
}

/// Two neighbouring pixels and their groups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    groups: (u32, u32),
    pixels: (u32, u32),
}

impl LowRank {
    /// Local correlation `(plane, y, x)`, −1 to 1: the mean over a pixel's
    /// neighbours in its plane of the correlation over frames of the two
    /// denoised time courses (Smith & Häusser 2010, Nat. Neurosci. 13:1144,
    /// describe the image of raw movies).
    ///
    /// Neighbours outside the image do not count; a correlation with a pixel
    /// without variance counts as 0. The covariance of two pixels with weights
    /// `u` and `w` is `uᵀ C w`, where `C` is the covariance of the time
    /// courses; no frame is computed.
    pub fn correlation_image(
        &self,
        neighbours: Neighbours,
        variability: Variability,
    ) -> Array3<f32> {
        let groups = Groups::new(self);
        let edges = self.edges(neighbours, &groups);
        let covariance = Covariance::new(self, &groups, &adjacent(&edges, &groups));
        let mut variances = covariance.variances(self, &groups);
        if variability == Variability::WithNoise {
            for (variance, &noise) in variances.iter_mut().zip(self.noise()) {
                *variance += f64::from(noise) * f64::from(noise);
            }
        }
        // Pieces of edges between the same two groups.
        let pieces: Vec<&[Edge]> = edges
            .chunk_by(|a, b| a.groups == b.groups)
            .flat_map(|edges| edges.chunks(1024))
            .collect();
        let correlations: Vec<Vec<f64>> = pieces
            .par_iter()
            .map(|edges| self.correlations(edges, &groups, &covariance, &variances))
            .collect();
        let mut sums = vec![(0.0_f64, 0_u32); self.pixels()];
        for (edges, correlations) in pieces.iter().zip(correlations) {
            for (edge, correlation) in edges.iter().zip(correlations) {
                for pixel in [edge.pixels.0, edge.pixels.1] {
                    let (sum, count) = &mut sums[pixel as usize];
                    *sum += correlation;
                    *count += 1;
                }
            }
        }
        let mean = |(sum, count): (f64, u32)| (sum / f64::from(count.max(1))) as f32;
        self.image(sums.into_iter().map(mean).collect())
    }

    /// Correlations of neighbours whose groups are the same for all.
    fn correlations(
        &self,
        edges: &[Edge],
        groups: &Groups<'_>,
        covariance: &Covariance,
        variances: &[f64],
    ) -> Vec<f64> {
        let Some(first) = edges.first() else {
            return Vec::new();
        };
        let others = groups.components[first.groups.1 as usize];
        let part = covariance.part(groups.components[first.groups.0 as usize], others);
        let mut reach = vec![0.0; others.len()];
        let mut ready = None;
        edges
            .iter()
            .map(|edge| {
                let (a, b) = (edge.pixels.0 as usize, edge.pixels.1 as usize);
                let product = variances[a] * variances[b];
                if product <= 0.0 {
                    return 0.0;
                }
                // Edges are sorted: those of one pixel follow each other.
                if ready != Some(a) {
                    spread(&mut reach, self.row(a).1, &part);
                    ready = Some(a);
                }
                (dot(self.row(b).1, &reach) / product.sqrt()).clamp(-1.0, 1.0)
            })
            .collect()
    }

    /// All pairs of neighbours, sorted by their groups.
    fn edges(&self, neighbours: Neighbours, groups: &Groups<'_>) -> Vec<Edge> {
        let (height, width) = (self.height(), self.width());
        let mut edges = Vec::new();
        for pixel in 0..self.pixels() {
            let (y, x) = (pixel / width % height, pixel % width);
            let (below, right) = (y + 1 < height, x + 1 < width);
            let corners = neighbours == Neighbours::Eight && below;
            for (is, other) in [
                (right, pixel + 1),
                (below, pixel + width),
                (corners && right, pixel + width + 1),
                (corners && x > 0, pixel + width - 1),
            ] {
                if is {
                    let (a, b) = (groups.of[pixel], groups.of[other]);
                    let (p, q) = (pixel as u32, other as u32);
                    edges.push(if a <= b {
                        Edge {
                            groups: (a, b),
                            pixels: (p, q),
                        }
                    } else {
                        Edge {
                            groups: (b, a),
                            pixels: (q, p),
                        }
                    });
                }
            }
        }
        edges.par_sort_unstable();
        edges
    }
}

/// For each group, the others that its pixels touch.
fn adjacent(edges: &[Edge], groups: &Groups<'_>) -> Vec<Vec<u32>> {
    let mut adjacent = vec![Vec::new(); groups.components.len()];
    for edges in edges.chunk_by(|a, b| a.groups == b.groups) {
        let (a, b) = edges[0].groups;
        if a != b {
            adjacent[a as usize].push(b);
            adjacent[b as usize].push(a);
        }
    }
    adjacent
}
