//! The bent part of an alignment, from what parts of the two fields look like:
//! brings cells so near each other that neighbours can be told.
//!
//! Each part of the reference session is correlated with the other session
//! around it, at all shifts of a few cells. A part alone may be mistaken; but
//! tissue bends smoothly, so from the part that is surest the others are asked,
//! neighbour by neighbour, surest first, near where their neighbours lie.

use std::collections::BinaryHeap;

use rayon::prelude::*;
use rustfft::num_complex::Complex32;

use super::correlator::{Correlator, Surface, TwoChannel};
use super::view::View;
use crate::transform::Transform;

/// Side of a part, and the farthest that is looked, in diameters of a cell.
const SIDE: f64 = 7.0;
const REACH: f64 = 4.0;
/// A part lies within so many diameters of where its neighbours do.
const STRAY: f64 = 0.7;
/// What it costs a part to lie as far from its neighbours as it may, in
/// standard deviations.
const STRAYED: f64 = 1.0;
/// Parts along one side, at most.
const MOST: usize = 28;
/// A peak that stands out of its surface by so many standard deviations says
/// something.
const CLEAR: f64 = 3.5;
/// More clearly than this no part is believed.
const CLEAREST: f64 = 8.0;
/// Parts that the search is started from.
const STARTS: usize = 4;

/// Adds to the field of `transform` what parts of `moving` are off; `diameter`
/// is that of a cell in pixels of the reference session.
pub(super) fn bend(transform: &mut Transform, fixed: &View, moving: &View, diameter: f64) {
    let cell = diameter / fixed.pitch;
    let parts = Parts::new(fixed, cell);
    let lay = |transform: &Transform| -> Vec<TwoChannel> {
        let layers = moving.layers.iter();
        layers
            .map(|layer| warped(transform, fixed, moving, layer))
            .collect()
    };
    let straight = lay(transform);
    let surfaces = parts.surfaces(&fixed.layers, &straight, (REACH * cell).ceil() as usize);
    let starts = parts.starts(&surfaces);
    let grown = starts
        .into_iter()
        .map(|start| parts.grow(&surfaces, start, STRAY * cell));
    // The start that others agree with most.
    let Some(found) = grown.max_by(|a, b| total(a).total_cmp(&total(b))) else {
        return;
    };
    let before = transform.field.clone();
    parts.add(transform, fixed, &found);
    if agreement(&fixed.layers, &lay(transform)) < agreement(&fixed.layers, &straight) {
        transform.field = before;
    }
}

/// Correlation of two views as they lie.
fn agreement(fixed: &[TwoChannel], moving: &[TwoChannel]) -> f64 {
    let product = |(a, b): (&Complex32, &Complex32)| f64::from(a.re * b.re + a.im * b.im);
    let layers = fixed.iter().zip(moving);
    layers
        .map(|(a, b)| a.pixels.iter().zip(&b.pixels).map(product).sum::<f64>())
        .sum()
}

/// A shift on the view, and how clearly it is seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    shift: (f64, f64),
    clear: f64,
}

fn total(all: &[Seen]) -> f64 {
    all.iter().map(|seen| (seen.clear - CLEAR).max(0.0)).sum()
}

/// Parts of the field, on a grid; pixels of the view.
struct Parts {
    side: usize,
    step: (f64, f64),
    rows: usize,
    columns: usize,
}

impl Parts {
    fn new(fixed: &View, cell: f64) -> Self {
        let (height, width) = fixed.size();
        let side = ((SIDE * cell) as usize).clamp(4, height.max(width).max(4));
        let count = |length: usize| (length * 3).div_ceil(side).clamp(1, MOST);
        let (rows, columns) = (count(height), count(width));
        Self {
            side,
            step: (height as f64 / rows as f64, width as f64 / columns as f64),
            rows,
            columns,
        }
    }

    fn centre(&self, part: usize) -> (f64, f64) {
        let (row, column) = (part / self.columns, part % self.columns);
        let middle = |k: usize, step: f64| (k as f64 + 0.5) * step - 0.5;
        (middle(row, self.step.0), middle(column, self.step.1))
    }

    /// The correlation of each part with what lies around it.
    fn surfaces(&self, fixed: &[TwoChannel], moving: &[TwoChannel], reach: usize) -> Vec<Scaled> {
        let wide = self.side + 2 * reach;
        let correlator = Correlator::new((wide, wide), (2 * reach, 2 * reach));
        let parts = 0..self.rows * self.columns;
        let mut found: Vec<(Scaled, f64)> = parts
            .into_par_iter()
            .map(|part| {
                let (y, x) = self.centre(part);
                let corner = |at: f64, length: usize| (at - 0.5 * length as f64).round() as isize;
                let start = (corner(y, self.side), corner(x, self.side));
                // The wide part begins `reach` before the other.
                let wider = (start.0 - reach as isize, start.1 - reach as isize);
                let of = |image: &TwoChannel, start, length, window| {
                    correlator.spectrum(&cut(image, start, length, window))
                };
                let spectra: Vec<_> = fixed
                    .iter()
                    .zip(moving)
                    .map(|(a, b)| (of(a, start, self.side, true), of(b, wider, wide, false)))
                    .collect();
                let layers = spectra.iter().map(|(a, b)| (&**a, &**b));
                let whole = correlator.correlate(layers, (2 * reach, 2 * reach));
                let energy: f64 = spectra.iter().map(|(a, _)| energy(a)).sum();
                (Scaled::new(&whole, reach), energy)
            })
            .collect();
        // Where there is little to see, little is believed: two lonely cells
        // always lie on each other at some shift.
        let mut energies: Vec<f64> = found.iter().map(|(_, energy)| *energy).collect();
        energies.sort_by(f64::total_cmp);
        let typical = energies[energies.len() * 3 / 4].max(f64::MIN_POSITIVE);
        for (surface, energy) in &mut found {
            surface.scale((*energy / typical).min(1.0).sqrt());
        }
        found.into_iter().map(|(surface, _)| surface).collect()
    }

    /// The clearest parts, far from each other.
    fn starts(&self, surfaces: &[Scaled]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..surfaces.len()).collect();
        let clear: Vec<f64> = surfaces.iter().map(|s| s.peak(None).clear).collect();
        order.sort_by(|&a, &b| clear[b].total_cmp(&clear[a]).then(a.cmp(&b)));
        let mut out: Vec<usize> = Vec::new();
        for part in order {
            let (y, x) = self.centre(part);
            let far = out.iter().all(|&other| {
                let (v, u) = self.centre(other);
                (y - v).hypot(x - u) > self.side as f64
            });
            if far {
                out.push(part);
            }
            if out.len() == STARTS {
                break;
            }
        }
        out
    }

    fn neighbours(&self, part: usize) -> impl Iterator<Item = usize> {
        let (row, column) = (
            (part / self.columns) as isize,
            (part % self.columns) as isize,
        );
        let (rows, columns) = (self.rows as isize, self.columns as isize);
        (-1..=1)
            .flat_map(move |dy| (-1..=1).map(move |dx| (row + dy, column + dx)))
            .filter(move |&(y, x)| {
                (y, x) != (row, column) && (0..rows).contains(&y) && (0..columns).contains(&x)
            })
            .map(move |(y, x)| (y * columns + x) as usize)
    }

    /// From one part to all others, the clearest first.
    fn grow(&self, surfaces: &[Scaled], start: usize, stray: f64) -> Vec<Seen> {
        let mut found: Vec<Option<Seen>> = vec![None; surfaces.len()];
        let mut waiting = BinaryHeap::new();
        let first = surfaces[start].peak(None);
        waiting.push(Ask {
            clear: first.clear,
            part: start,
            seen: first,
        });
        while let Some(Ask { part, seen, .. }) = waiting.pop() {
            if found[part].is_some() {
                continue;
            }
            found[part] = Some(seen);
            for next in self.neighbours(part) {
                if found[next].is_some() {
                    continue;
                }
                let expected = self.expected(&found, next);
                let mut seen = surfaces[next].peak(Some((expected, stray)));
                if seen.clear < CLEAR {
                    seen.shift = expected;
                }
                waiting.push(Ask {
                    clear: seen.clear,
                    part: next,
                    seen,
                });
            }
        }
        found.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// Mean of the neighbours that are known, by how clear they are.
    fn expected(&self, found: &[Option<Seen>], part: usize) -> (f64, f64) {
        let (mut y, mut x, mut total) = (0.0, 0.0, 0.0);
        for seen in self.neighbours(part).filter_map(|k| found[k]) {
            let weight = (seen.clear - CLEAR).max(0.1);
            y += weight * seen.shift.0;
            x += weight * seen.shift.1;
            total += weight;
        }
        if total > 0.0 {
            (y / total, x / total)
        } else {
            (0.0, 0.0)
        }
    }

    /// Adds local means of the shifts to the field.
    fn add(&self, transform: &mut Transform, fixed: &View, seen: &[Seen]) {
        let (_, rows, columns) = transform.field.dim();
        let sigma = self.step.0.max(self.step.1);
        let misses: Vec<(f64, f64)> = seen
            .iter()
            .enumerate()
            .map(|(part, seen)| {
                // A shift on the view, there, as a shift in the session.
                let (y, x) = self.centre(part);
                let here = transform.to_session(fixed.outward((y, x)));
                let moved = (y + seen.shift.0, x + seen.shift.1);
                let there = transform.to_session(fixed.outward(moved));
                (there.0 - here.0, there.1 - here.1)
            })
            .collect();
        for row in 0..rows {
            for column in 0..columns {
                let y = transform.origin.0 + row as f64 * transform.spacing;
                let x = transform.origin.1 + column as f64 * transform.spacing;
                let (v, u) = fixed.inward((y, x));
                let (mut weight, mut dy, mut dx) = (1e-9, 0.0, 0.0);
                for (part, (seen, miss)) in seen.iter().zip(&misses).enumerate() {
                    let (cy, cx) = self.centre(part);
                    let distance = (cy - v).hypot(cx - u) / sigma;
                    if distance < 4.0 {
                        let clear = (seen.clear - CLEAR).clamp(0.1, 5.0);
                        let w = clear * (-0.5 * distance * distance).exp();
                        weight += w;
                        dy += w * miss.0;
                        dx += w * miss.1;
                    }
                }
                transform.field[[0, row, column]] += dy / weight;
                transform.field[[1, row, column]] += dx / weight;
            }
        }
    }
}

/// A part that waits to be asked; the clearest comes first.
#[derive(Clone, Copy, Debug)]
struct Ask {
    clear: f64,
    part: usize,
    seen: Seen,
}

impl PartialEq for Ask {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ask {}

impl PartialOrd for Ask {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ask {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.clear
            .total_cmp(&other.clear)
            .then(other.part.cmp(&self.part))
    }
}

/// A correlation surface in units of its own standard deviation.
struct Scaled {
    reach: usize,
    values: Vec<f32>,
}

impl Scaled {
    /// The part of `whole` whose shifts, less `reach`, lie within `reach`.
    fn new(whole: &Surface, reach: usize) -> Self {
        let width = 2 * whole.reach.1 + 1;
        let side = 2 * reach + 1;
        let mut values = Vec::with_capacity(side * side);
        for y in 0..side {
            let row = (y + whole.reach.0) * width + whole.reach.1;
            values.extend_from_slice(&whole.values[row..row + side]);
        }
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        let scale = if variance > 0.0 {
            1.0 / variance.sqrt()
        } else {
            0.0
        };
        for value in &mut values {
            *value = ((f64::from(*value) - mean) * scale) as f32;
        }
        Self { reach, values }
    }

    fn scale(&mut self, factor: f64) {
        for value in &mut self.values {
            *value *= factor as f32;
        }
    }

    /// The highest place, within `stray` of a shift if one is given; the
    /// farther from it the higher it must be.
    fn peak(&self, near: Option<((f64, f64), f64)>) -> Seen {
        let side = 2 * self.reach + 1;
        let centre = self.reach as f64;
        let mut best = (f32::NEG_INFINITY, 0, 0);
        for (index, &value) in self.values.iter().enumerate() {
            let (y, x) = (index / side, index % side);
            let strayed = near.map_or(0.0, |((dy, dx), stray)| {
                ((y as f64 - centre - dy).powi(2) + (x as f64 - centre - dx).powi(2)).sqrt() / stray
            });
            let believed = value - (STRAYED * strayed * strayed) as f32;
            if strayed <= 1.0 && believed > best.0 {
                best = (believed, y, x);
            }
        }
        let (believed, y, x) = best;
        if believed == f32::NEG_INFINITY {
            return Seen::default();
        }
        let value = self.values[y * side + x];
        // A parabola through the neighbours, along each axis.
        let refine = |at: usize, stride: usize| {
            if at == 0 || at + 1 == side {
                return 0.0;
            }
            let index = y * side + x;
            let (low, high) = (self.values[index - stride], self.values[index + stride]);
            let bend = f64::from(low) - 2.0 * f64::from(value) + f64::from(high);
            if bend < 0.0 {
                (0.5 * f64::from(low - high) / bend).clamp(-0.5, 0.5)
            } else {
                0.0
            }
        };
        Seen {
            shift: (
                y as f64 - centre + refine(y, side),
                x as f64 - centre + refine(x, 1),
            ),
            clear: f64::from(believed).min(CLEAREST),
        }
    }
}

/// Sum of squares of a spectrum.
fn energy(spectrum: &[Complex32]) -> f64 {
    spectrum.iter().map(|v| f64::from(v.norm_sqr())).sum()
}

/// A layer of the moving view as it lies on the fixed one.
fn warped(transform: &Transform, fixed: &View, moving: &View, layer: &TwoChannel) -> TwoChannel {
    let (height, width) = fixed.size();
    let mut out = TwoChannel::zeros(height, width);
    let rows = out.pixels.par_chunks_exact_mut(width).enumerate();
    rows.for_each(|(y, row)| {
        for (x, value) in row.iter_mut().enumerate() {
            let place = transform.to_session(fixed.outward((y as f64, x as f64)));
            let (v, u) = moving.inward(place);
            *value = layer.sample(v, u);
        }
    });
    out
}

/// A part of an image, zero outside; under a window that falls to zero at its
/// border if asked.
fn cut(image: &TwoChannel, (top, left): (isize, isize), length: usize, window: bool) -> TwoChannel {
    let mut out = TwoChannel::zeros(length, length);
    let weight = |k: usize| {
        let phase = std::f64::consts::PI * (k as f64 + 0.5) / length as f64;
        if window { phase.sin() as f32 } else { 1.0 }
    };
    let weights: Vec<f32> = (0..length).map(weight).collect();
    for y in 0..length {
        for x in 0..length {
            let (v, u) = (top + y as isize, left + x as isize);
            if v >= 0 && u >= 0 && (v as usize) < image.height && (u as usize) < image.width {
                let value = image.pixels[v as usize * image.width + u as usize];
                out.pixels[y * length + x] = value * (weights[y] * weights[x]);
            }
        }
    }
    out
}
