//! Half-overlapping blocks and the weights that blend them.

use std::ops::Range;

/// Blocks along one axis: starts half a block apart, the last flush with the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) blocks: Vec<Range<usize>>,
}

impl Axis {
    pub(crate) fn new(length: usize, block: usize) -> Self {
        if length <= block {
            return Self {
                blocks: std::iter::once(0..length).collect(),
            };
        }
        let steps = (length - block).div_ceil(block / 2);
        let start = |k: usize| k * (length - block) / steps;
        Self {
            blocks: (0..=steps).map(|k| start(k)..start(k) + block).collect(),
        }
    }

    /// Weight of block `index` at its pixels: a tent, before normalisation.
    fn tent(&self, index: usize) -> impl Fn(usize) -> f64 {
        let range = self.blocks[index].clone();
        move |at| (1 + (at - range.start).min(range.end - 1 - at)) as f64
    }

    /// Weight of block `index` at each of its pixels; over all blocks they sum to 1.
    pub(crate) fn weights(&self, index: usize) -> Vec<f64> {
        let own = self.tent(index);
        self.blocks[index]
            .clone()
            .map(|at| {
                let all: f64 = (0..self.blocks.len())
                    .filter(|&other| self.blocks[other].contains(&at))
                    .map(|other| self.tent(other)(at))
                    .sum();
                own(at) / all
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_everywhere() {
        for (length, block) in [(100, 32), (31, 32), (33, 32), (160, 32), (17, 4), (5, 5)] {
            let axis = Axis::new(length, block);
            let mut sum = vec![0.0; length];
            for (index, range) in axis.blocks.iter().enumerate() {
                for (at, weight) in range.clone().zip(axis.weights(index)) {
                    assert!(weight > 0.0);
                    sum[at] += weight;
                }
            }
            assert!(
                sum.iter().all(|s| (s - 1.0).abs() < 1e-12),
                "{length} {block}"
            );
            assert!(
                axis.blocks
                    .windows(2)
                    .all(|pair| pair[1].start <= pair[0].end - block / 2)
            );
        }
    }
}
