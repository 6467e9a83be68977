//! Finds the cells of one tile.

use rayon::prelude::*;

use crate::Parameters;
use crate::component::Component;
use crate::stats::correlation;
use crate::tile::{Rectangle, Tile};

/// Blurred activity counts above this many times its noise.
const LOUD: f32 = 4.0;
/// Rounds of joint refinement.
const REFINEMENTS: usize = 5;

/// How strongly a pixel's neighbourhood was active: the root of the summed
/// squares of all loud bins.
fn strength(tile: &Tile, pixel: usize) -> f32 {
    let rest = tile.rest[pixel];
    if tile.noise[pixel] <= 0.0 {
        return 0.0;
    }
    let cut = LOUD * rest.noise;
    let sum: f32 = tile
        .blurred(pixel)
        .iter()
        .map(|&v| v - rest.level)
        .map(|v| if v > cut { v * v } else { 0.0 })
        .sum();
    if sum.is_finite() { sum.sqrt() } else { 0.0 }
}

/// Strength of every pixel, row by row.
pub(crate) fn strengths(tile: &Tile) -> Vec<f32> {
    (0..tile.rows * tile.columns)
        .into_par_iter()
        .map(|pixel| strength(tile, pixel))
        .collect()
}

/// Takes one cell after another, strongest first, and refines them together.
pub(crate) fn search(
    tile: &mut Tile,
    mut strengths: Vec<f32>,
    parameters: &Parameters,
    frames_per_bin: usize,
) -> Vec<Component> {
    let mut found: Vec<Component> = Vec::new();
    let mut spent = vec![false; strengths.len()];
    let apart = (parameters.diameter / 5.0).max(1.0);
    while let Some(seed) = strongest(&strengths) {
        let grown = Component::grow(tile, seed, parameters)
            .filter(|cell| plausible(cell, tile, parameters, frames_per_bin, 0.5));
        // A place is a seed once, whether or not something grows there.
        let window = tile.window(seed, apart.floor() as usize);
        for pixel in pixels(&window, tile.columns) {
            spent[pixel] = true;
        }
        let changed = match grown {
            Some(cell) => {
                let changed = tile.subtract(&cell);
                found.push(cell);
                changed
            }
            None => window,
        };
        for pixel in pixels(&changed, tile.columns) {
            strengths[pixel] = if spent[pixel] {
                0.0
            } else {
                strength(tile, pixel)
            };
        }
    }
    for _ in 0..REFINEMENTS {
        found.retain_mut(|cell| cell.refine(tile, parameters));
        merge(&mut found, tile, parameters);
    }
    found.retain(|cell| plausible(cell, tile, parameters, frames_per_bin, 1.0));
    found
}

fn pixels(window: &Rectangle, columns: usize) -> impl Iterator<Item = usize> + use<> {
    let x = window.x.clone();
    window
        .y
        .clone()
        .flat_map(move |y| x.clone().map(move |x| y * columns + x))
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

/// Whether a component is the size and shape of a cell and rises out of its
/// noise; limits are relaxed by `strictness` below 1.
fn plausible(
    cell: &Component,
    tile: &Tile,
    parameters: &Parameters,
    frames_per_bin: usize,
    strictness: f64,
) -> bool {
    let area = cell.pixels.len() as f64 / parameters.disc();
    area >= parameters.min_area * strictness
        && area <= parameters.max_area / strictness
        && cell.spread(tile) <= parameters.max_spread / strictness
        && f64::from(cell.snr(frames_per_bin)) >= parameters.min_snr * strictness
}

/// Joins components that are parts of one cell: they touch or overlap and
/// their activity correlates. The weaker one is given back to what is left
/// and the stronger one takes it up in the next refinement.
fn merge(found: &mut Vec<Component>, tile: &mut Tile, parameters: &Parameters) {
    let energy = |cell: &Component| -> f64 {
        let trace: f64 = cell.trace.iter().map(|&v| f64::from(v * v)).sum();
        let image: f64 = cell.weights.iter().map(|&v| f64::from(v * v)).sum();
        trace * image
    };
    let mut order: Vec<(f64, usize)> = found.iter().map(energy).zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let centres: Vec<(f64, f64)> = found.iter().map(|cell| cell.centre(tile)).collect();
    let mut gone = vec![false; found.len()];
    for (rank, &(_, i)) in order.iter().enumerate() {
        if gone[i] {
            continue;
        }
        for &(_, j) in &order[rank + 1..] {
            let distance = (centres[i].0 - centres[j].0).hypot(centres[i].1 - centres[j].1);
            if gone[j] || distance > parameters.diameter {
                continue;
            }
            let smaller = found[i].pixels.len().min(found[j].pixels.len());
            let shared = found[i].shared(&found[j]) as f64 / smaller as f64;
            let alike = correlation(&found[i].trace, &found[j].trace);
            let one = (alike >= parameters.merge_correlation
                && (shared > 0.3 || distance < 0.6 * parameters.diameter))
                || shared > 0.8;
            if one {
                gone[j] = true;
                found[j].give_back(tile);
            }
        }
    }
    let mut index = 0;
    found.retain(|_| {
        index += 1;
        !gone[index - 1]
    });
}
