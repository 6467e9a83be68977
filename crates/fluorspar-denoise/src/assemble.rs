//! U from the components of all blocks.

use faer::Mat;

use crate::decimate::Statistics;
use crate::grid::Grid;

/// The blocks' components, blended, as compressed rows of U.
pub(crate) fn sparse(
    grid: &Grid,
    spatial: &[Mat<f32>],
    statistics: &Statistics,
) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
    let mut first = vec![0_u32];
    for block in spatial {
        first.push(first[first.len() - 1] + block.ncols() as u32);
    }
    let pixels = statistics.noise.len();
    let mut lengths = vec![0_u64; pixels + 1];
    for tile in 0..grid.tiles() {
        let rank: usize = grid
            .blocks_of(tile)
            .into_iter()
            .map(|b| spatial[b].ncols())
            .sum();
        for pixel in grid.lines(tile).into_iter().flatten() {
            if statistics.noise[pixel] > 0.0 {
                lengths[pixel + 1] = rank as u64;
            }
        }
    }
    for pixel in 0..pixels {
        lengths[pixel + 1] += lengths[pixel];
    }
    let indptr = lengths;
    let entries = indptr[pixels] as usize;
    let (mut indices, mut weights) = (vec![0_u32; entries], vec![0.0_f32; entries]);
    for tile in 0..grid.tiles() {
        let mut before = 0;
        for block in grid.blocks_of(tile) {
            let blend = grid.weights(block, tile);
            let components = &spatial[block];
            let within = grid.lines_within(block, tile).into_iter().flatten();
            for ((pixel, from), &blend) in grid
                .lines(tile)
                .into_iter()
                .flatten()
                .zip(within)
                .zip(&blend)
            {
                let noise = statistics.noise[pixel];
                if noise > 0.0 {
                    let at = indptr[pixel] as usize + before;
                    for k in 0..components.ncols() {
                        indices[at + k] = first[block] + k as u32;
                        weights[at + k] = rounded(blend * noise * components[(from, k)]);
                    }
                }
            }
            before += spatial[block].ncols();
        }
    }
    (indptr, indices, weights)
}

/// To 13 significant bits, so that weights can be compressed.
fn rounded(value: f32) -> f32 {
    const CUT: u32 = 11;
    let bits = value.to_bits();
    let half = 1 << (CUT - 1);
    f32::from_bits(bits.wrapping_add(half) & !((1 << CUT) - 1))
}
