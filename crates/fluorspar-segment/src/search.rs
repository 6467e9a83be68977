//! Finds new cells in one tile.

use rayon::prelude::*;

use crate::Parameters;
use crate::cell::{Grown, spread};
use crate::evidence::snr;
use crate::tile::Tile;

/// Blurred activity counts above this many times its noise.
const LOUD: f32 = 4.0;

/// How strongly the neighbourhood of a point of the coarse grid was active:
/// the root of the summed squares of all loud bins.
fn strength(tile: &Tile, point: usize) -> f32 {
    let rest = tile.coarse.rest[point];
    if tile.noise[tile.coarse.pixel(point, tile.columns)] <= 0.0 {
        return 0.0;
    }
    let cut = LOUD * rest.noise;
    let sum: f32 = tile
        .coarse
        .at(point)
        .iter()
        .map(|&v| v - rest.level)
        .map(|v| if v > cut { v * v } else { 0.0 })
        .sum();
    if sum.is_finite() { sum.sqrt() } else { 0.0 }
}

/// Strength of every point of the coarse grid, row by row.
pub(crate) fn strengths(tile: &Tile) -> Vec<f32> {
    (0..tile.coarse.rows * tile.coarse.columns)
        .into_par_iter()
        .map(|point| strength(tile, point))
        .collect()
}

/// Takes one cell after another, strongest first.
pub(crate) fn search(
    tile: &mut Tile,
    mut strengths: Vec<f32>,
    parameters: &Parameters,
    frames_per_bin: usize,
    strictness: f64,
) -> Vec<Grown> {
    let mut found: Vec<Grown> = Vec::new();
    let mut spent = vec![false; strengths.len()];
    let apart = (parameters.diameter / 5.0).max(1.0).floor() as usize;
    while let Some(point) = strongest(&strengths) {
        let grown = Grown::new(tile, point, parameters)
            .filter(|cell| plausible(cell, tile, parameters, frames_per_bin, strictness));
        // A place is a seed once, whether or not something grows there.
        let window = tile.window(tile.coarse.pixel(point, tile.columns), apart);
        for near in tile.coarse.points(&window) {
            spent[near] = true;
        }
        let changed = match grown {
            Some(cell) => {
                let changed = tile.subtract(&cell.pixels, &cell.weights, &cell.trace);
                found.push(cell);
                changed
            }
            None => window,
        };
        for near in tile.coarse.points(&changed) {
            strengths[near] = if spent[near] {
                0.0
            } else {
                strength(tile, near)
            };
        }
    }
    found
}

/// The first of the largest values, if any is positive.
fn strongest(values: &[f32]) -> Option<usize> {
    let (mut best, mut at) = (0.0, None);
    for (index, &value) in values.iter().enumerate() {
        if value > best {
            (best, at) = (value, Some(index));
        }
    }
    at
}

/// Whether what has grown could become a cell when it is refined: limits are
/// `strictness` times as strict as those that a cell must meet in the end.
fn plausible(
    cell: &Grown,
    tile: &Tile,
    parameters: &Parameters,
    frames_per_bin: usize,
    strictness: f64,
) -> bool {
    let area = cell.pixels.len() as f64 / parameters.disc();
    let energy = cell.weights.iter().map(|w| w * w).sum();
    area >= parameters.min_area * strictness
        && area <= parameters.max_area / strictness
        && spread(cell.pixels.iter().copied(), tile.columns) <= parameters.max_spread / strictness
        && f64::from(snr(&cell.trace, energy, frames_per_bin)) >= parameters.min_snr * strictness
}
