//! All cells of a plane and the background together, refined in turn: traces
//! given footprints, footprints given traces. Nothing here is as large as the
//! movie; every product with it is taken through its components.

use std::ops::Range;

use rayon::prelude::*;

use crate::Parameters;
use crate::activity::{Activity, Combination, Gather};
use crate::background::Background;
use crate::cell::{Cell, instrument};
use crate::evidence::{Evidence, Shape, snr, stability};
use crate::outline::{Rectangle, outline};
use crate::stats::{axpy, correlation, dot, gathered};

/// Sweeps over all traces in one fit.
const SWEEPS: usize = 6;
/// Bins that are solved together.
const CHUNK: usize = 64;

/// `Z ≈ footprints · traces + background`.
pub(crate) struct Model<'a> {
    pub(crate) activity: &'a Activity<'a>,
    pub(crate) cells: Vec<Cell>,
    background: Background,
    /// Of each pixel, the cells that hold it and their weights there.
    owners: Vec<Vec<(u32, f32)>>,
}

/// Pixels of the plane, ascending, and their weights in units of noise.
type Pixels = (Vec<u32>, Vec<f32>);

/// How one trace enters the least-squares problem.
struct Equation {
    /// Product of the footprint with itself.
    energy: f32,
    /// The other traces whose footprints overlap it.
    others: Vec<u32>,
    /// Products with those footprints.
    coupling: Vec<f32>,
}

/// What regression on one cell's transients needs, from the components' and
/// the other traces' courses.
struct Regression {
    window: Rectangle,
    near: Rectangle,
    /// Of each component, its product with the instrument.
    components: Combination,
    /// Of each other cell whose pixels may lie in the window, the same.
    cells: Vec<(u32, f32)>,
    /// Of each knot of the background, the same.
    knots: Vec<(u32, f32)>,
}

impl<'a> Model<'a> {
    /// The background alone.
    pub(crate) fn new(activity: &'a Activity<'a>, parameters: &Parameters) -> Self {
        let step = (2.0 * parameters.diameter).round() as usize;
        let mut model = Self {
            activity,
            cells: Vec::new(),
            background: Background::new(activity, step),
            owners: vec![Vec::new(); activity.scale.len()],
        };
        model.fit_traces();
        model
    }

    /// Writes what is not explained of one pixel's activity.
    pub(crate) fn residual(&self, y: usize, x: usize, out: &mut [f32]) {
        let pixel = y * self.activity.width + x;
        out.fill(0.0);
        if self.activity.scale[pixel] <= 0.0 {
            return;
        }
        self.activity.pixel(pixel, out);
        self.background.subtract(y, x, out);
        for &(cell, weight) in &self.owners[pixel] {
            axpy(-weight, &self.cells[cell as usize].trace, out);
        }
    }

    /// Adds cells; their traces count as they are until the next fit.
    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.cells.extend(cells);
        self.index();
    }

    fn index(&mut self) {
        for owners in &mut self.owners {
            owners.clear();
        }
        for (k, cell) in self.cells.iter().enumerate() {
            for (&pixel, &weight) in cell.pixels.iter().zip(&cell.weights) {
                self.owners[pixel as usize].push((k as u32, weight));
            }
        }
    }

    fn place(&self, pixel: u32) -> (usize, usize) {
        let width = self.activity.width;
        (pixel as usize / width, pixel as usize % width)
    }

    /// Rounds of footprints and traces. Cells that fade away are dropped,
    /// parts of one cell joined.
    pub(crate) fn refine(&mut self, rounds: usize, parameters: &Parameters) {
        for _ in 0..rounds {
            self.fit_traces();
            self.fit_footprints(parameters);
            self.join(parameters);
        }
        self.fit_traces();
    }

    /// Least squares for all traces and the background, given footprints: the
    /// knots first, then the cells, in sweeps that start from what is there.
    pub(crate) fn fit_traces(&mut self) {
        let knots = self.background.courses.len();
        let bins = self.activity.bins();
        let (equations, products) = self.equations();
        let product = |v: usize| -> &[f32] {
            if v < knots {
                &self.background.products[v]
            } else {
                &products[v - knots]
            }
        };
        let trace = |v: usize| -> &[f32] {
            if v < knots {
                &self.background.courses[v]
            } else {
                &self.cells[v - knots].trace
            }
        };
        let solved: Vec<Vec<f32>> = (0..bins.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(bins);
                let length = range.len();
                let mut x: Vec<f32> = Vec::with_capacity(equations.len() * length);
                for v in 0..equations.len() {
                    x.extend_from_slice(&trace(v)[range.clone()]);
                }
                let mut rest = vec![0.0_f32; length];
                for _ in 0..SWEEPS {
                    for (v, equation) in equations.iter().enumerate() {
                        if equation.energy <= 0.0 {
                            continue;
                        }
                        rest.copy_from_slice(&product(v)[range.clone()]);
                        gathered(&x, &equation.others, &equation.coupling, -1.0, &mut rest);
                        let out = &mut x[v * length..(v + 1) * length];
                        for (out, &rest) in out.iter_mut().zip(&rest) {
                            *out = rest / equation.energy;
                        }
                    }
                }
                x
            })
            .collect();
        for (chunk, x) in solved.iter().enumerate() {
            let start = chunk * CHUNK;
            let length = x.len() / equations.len().max(1);
            for v in 0..equations.len() {
                let from = &x[v * length..(v + 1) * length];
                let to = if v < knots {
                    &mut self.background.courses[v]
                } else {
                    &mut self.cells[v - knots].trace
                };
                to[start..start + length].copy_from_slice(from);
            }
        }
    }

    /// The normal equations of all traces, and the cells' products with the movie.
    fn equations(&self) -> (Vec<Equation>, Vec<Vec<f32>>) {
        let knots = self.background.courses.len();
        let cells: Vec<(Equation, Vec<f32>)> = self
            .cells
            .par_iter()
            .enumerate()
            .map_init(
                || Gather::new(self.activity.rank()),
                |gather, (k, cell)| {
                    let mut coupling: Vec<(u32, f32)> = Vec::new();
                    let mut couple = |variable: usize, value: f32| match coupling
                        .iter_mut()
                        .find(|c| c.0 as usize == variable)
                    {
                        Some(entry) => entry.1 += value,
                        None => coupling.push((variable as u32, value)),
                    };
                    for (&pixel, &weight) in cell.pixels.iter().zip(&cell.weights) {
                        let (y, x) = self.place(pixel);
                        for (knot, height) in self.background.tents(y, x) {
                            if height > 0.0 {
                                couple(knot, weight * height);
                            }
                        }
                        for &(other, share) in &self.owners[pixel as usize] {
                            if other as usize != k {
                                couple(knots + other as usize, weight * share);
                            }
                        }
                    }
                    let weighted = cell.pixels.iter().zip(&cell.weights);
                    let combination = self
                        .activity
                        .combination(weighted.map(|(&p, &w)| (p as usize, w)), gather);
                    let (others, coupling) = coupling.into_iter().unzip();
                    let equation = Equation {
                        energy: cell.energy(),
                        others,
                        coupling,
                    };
                    (equation, self.activity.course(&combination))
                },
            )
            .collect();
        let mut equations: Vec<Equation> = self
            .background
            .gram
            .iter()
            .map(|gram| {
                let (others, coupling) = gram[1..].iter().copied().unzip();
                Equation {
                    energy: gram[0].1,
                    others,
                    coupling,
                }
            })
            .collect();
        for (k, (equation, _)) in cells.iter().enumerate() {
            for (&variable, &value) in equation.others.iter().zip(&equation.coupling) {
                if (variable as usize) < knots {
                    let knot = &mut equations[variable as usize];
                    knot.others.push((knots + k) as u32);
                    knot.coupling.push(value);
                }
            }
        }
        let mut products = Vec::with_capacity(cells.len());
        for (equation, product) in cells {
            equations.push(equation);
            products.push(product);
        }
        (equations, products)
    }

    /// Regresses every pixel around a cell on the cell's transients, what the
    /// others and the background explain taken away, and cuts the footprint
    /// out of that image. Cells whose windows meet follow each other; those
    /// that are apart are done at once.
    fn fit_footprints(&mut self, parameters: &Parameters) {
        let windows = self.windows();
        let neighbours = neighbours(&windows);
        let regressions = self.regressions(&windows, &neighbours);
        for class in classes(&neighbours) {
            let model = &*self;
            let next: Vec<Option<Pixels>> = class
                .par_iter()
                .map_init(
                    || Scratch::new(model),
                    |scratch, &k| {
                        let regression = regressions[k].as_ref()?;
                        model.footprint(k, regression, scratch, parameters)
                    },
                )
                .collect();
            for (k, next) in class.into_iter().zip(next) {
                if next.is_some() || self.cells[k].given.is_none() {
                    self.replace(k, next.unwrap_or_default());
                }
            }
        }
        self.cells
            .retain(|cell| cell.given.is_some() || cell.energy() > 0.0);
        self.index();
    }

    /// The new footprint of one cell, if it has one.
    fn footprint(
        &self,
        cell: usize,
        regression: &Regression,
        scratch: &mut Scratch,
        parameters: &Parameters,
    ) -> Option<Pixels> {
        let image = scratch.image(self, cell, regression);
        let (window, near) = (&regression.window, &regression.near);
        if self.cells[cell].given.is_some() {
            return Some(self.given_weights(cell, window, &image));
        }
        let cut = outline(window, &image, near, parameters.support)?;
        Some(self.placed(window, &cut.inside, &cut.weights))
    }

    /// Gives a cell another footprint.
    fn replace(&mut self, k: usize, (pixels, weights): Pixels) {
        let cell = &mut self.cells[k];
        for &pixel in &cell.pixels {
            self.owners[pixel as usize].retain(|owner| owner.0 as usize != k);
        }
        for (&pixel, &weight) in pixels.iter().zip(&weights) {
            self.owners[pixel as usize].push((k as u32, weight));
        }
        (cell.pixels, cell.weights) = (pixels, weights);
    }

    /// What each cell's footprint may take up next: its surroundings.
    fn windows(&self) -> Vec<Rectangle> {
        let (height, width) = (self.activity.height, self.activity.width);
        self.cells
            .iter()
            .map(|cell| cell.bounds(width).wider(2, height, width))
            .collect()
    }

    /// New weights for the pixels of a given footprint: what regression says,
    /// at least a hundredth of its peak, because they are given. Nothing
    /// changes if it is nowhere positive.
    fn given_weights(&self, cell: usize, window: &Rectangle, image: &[f32]) -> Pixels {
        let cell = &self.cells[cell];
        let weights: Vec<f32> = cell
            .pixels
            .iter()
            .map(|&pixel| {
                let (y, x) = self.place(pixel);
                let k = (y - window.y.start) * window.x.len() + x - window.x.start;
                image[k].max(0.0) * self.activity.scale[pixel as usize]
            })
            .collect();
        let peak = weights.iter().copied().fold(0.0, f32::max);
        let sound = weights.iter().all(|w| w.is_finite()) && peak > 0.0;
        let usable = |pixel: u32| self.activity.scale[pixel as usize] > 0.0;
        let weights = if sound {
            let pixels = cell.pixels.iter().zip(weights);
            pixels
                .map(|(&pixel, w)| {
                    if usable(pixel) {
                        w.max(0.01 * peak)
                    } else {
                        0.0
                    }
                })
                .collect()
        } else {
            cell.weights.clone()
        };
        (cell.pixels.clone(), weights)
    }

    /// Pixels and weights of a part of a window; weights in units of noise.
    fn placed(&self, window: &Rectangle, inside: &[usize], weights: &[f32]) -> Pixels {
        let width = self.activity.width;
        inside
            .iter()
            .zip(weights)
            .map(|(&k, &weight)| {
                let (y, x) = (k / window.x.len(), k % window.x.len());
                let pixel = (window.y.start + y) * width + window.x.start + x;
                (pixel as u32, weight * self.activity.scale[pixel])
            })
            .unzip()
    }

    /// Of each cell what [`Scratch::image`] needs; `None` without transients.
    fn regressions(
        &self,
        windows: &[Rectangle],
        neighbours: &[Vec<u32>],
    ) -> Vec<Option<Regression>> {
        self.cells
            .par_iter()
            .enumerate()
            .map_init(
                || (Scratch::new(self), Vec::new()),
                |(scratch, sorted), (k, cell)| {
                    let p = instrument(&cell.trace, sorted)?;
                    let all = 0..self.activity.bins();
                    Some(self.regression(k, &p, all, windows, &neighbours[k], scratch))
                },
            )
            .collect()
    }

    /// The products of one cell's surroundings with an instrument `p` of the
    /// given bins.
    fn regression(
        &self,
        cell: usize,
        p: &[f32],
        bins: Range<usize>,
        windows: &[Rectangle],
        neighbours: &[u32],
        scratch: &mut Scratch,
    ) -> Regression {
        let width = self.activity.width;
        let window = windows[cell].clone();
        let pixels = window.pixels(width).map(|pixel| (pixel, 1.0));
        let mut components = self.activity.combination(pixels, &mut scratch.gather);
        for (component, value) in &mut components {
            let course = self.activity.courses.of(*component as usize);
            *value = dot(&course[bins.clone()], p);
        }
        let cells = neighbours
            .iter()
            .map(|&other| {
                (
                    other,
                    dot(&self.cells[other as usize].trace[bins.clone()], p),
                )
            })
            .collect();
        let mut knots: Vec<(u32, f32)> = Vec::new();
        for pixel in window.pixels(width) {
            for (knot, height) in self.background.tents(pixel / width, pixel % width) {
                if height > 0.0 && !knots.iter().any(|k| k.0 as usize == knot) {
                    knots.push((
                        knot as u32,
                        dot(&self.background.courses[knot][bins.clone()], p),
                    ));
                }
            }
        }
        Regression {
            near: self.cells[cell].bounds(width),
            window,
            components,
            cells,
            knots,
        }
    }

    /// What speaks for each cell; see [`Evidence`].
    pub(crate) fn evidence(&self, parameters: &Parameters) -> Vec<Evidence> {
        let width = self.activity.width;
        let windows = self.windows();
        let neighbours = neighbours(&windows);
        let half = self.activity.bins() / 2;
        let halves = [0..half, half..self.activity.bins()];
        self.cells
            .par_iter()
            .enumerate()
            .map_init(
                || (Scratch::new(self), Vec::new()),
                |(scratch, sorted), (k, cell)| {
                    let images = halves.clone().map(|range| {
                        let p = instrument(&cell.trace[range.clone()], sorted)?;
                        let regression =
                            self.regression(k, &p, range, &windows, &neighbours[k], scratch);
                        Some(scratch.image(self, k, &regression))
                    });
                    let (pixels, weights) = cell.footprint(&self.activity.scale);
                    let shape = Shape {
                        pixels: &pixels,
                        width,
                        weights: &weights,
                    };
                    let snr = snr(&cell.trace, cell.energy(), self.activity.courses.bin);
                    let [first, second] = &images;
                    Evidence {
                        stability: stability(first.as_deref(), second.as_deref()),
                        duplicate: self.duplicate(cell, &neighbours[k]),
                        given: cell.given.is_some(),
                        ..Evidence::of(&shape, &cell.trace, snr, parameters)
                    }
                    .judged(parameters.class)
                },
            )
            .collect()
    }

    /// See [`Evidence::duplicate`].
    fn duplicate(&self, cell: &Cell, neighbours: &[u32]) -> f32 {
        neighbours
            .iter()
            .map(|&other| {
                let other = &self.cells[other as usize];
                let smaller = cell.pixels.len().min(other.pixels.len());
                let shared = cell.shared(other) as f64 / smaller as f64;
                let alike = if shared > 0.0 {
                    correlation(&cell.trace, &other.trace).max(0.0)
                } else {
                    0.0
                };
                (shared * alike) as f32
            })
            .fold(0.0, f32::max)
    }

    /// Joins cells that are parts of one: they touch or overlap and their
    /// activity correlates. The weaker goes; the stronger takes its pixels up
    /// in the next fit.
    fn join(&mut self, parameters: &Parameters) {
        let width = self.activity.width;
        let energies: Vec<f64> = self
            .cells
            .iter()
            .map(|cell| {
                let trace: f64 = cell.trace.iter().map(|&v| f64::from(v * v)).sum();
                trace * f64::from(cell.energy())
            })
            .collect();
        let centres: Vec<(f64, f64)> = self
            .cells
            .iter()
            .map(|cell| cell.centre(&self.activity.scale, width))
            .collect();
        let reach = (parameters.diameter / 2.0).ceil() as usize;
        let windows: Vec<Rectangle> = self
            .cells
            .iter()
            .map(|cell| cell.bounds(width).wider(reach, self.activity.height, width))
            .collect();
        let neighbours = neighbours(&windows);
        let mut order: Vec<usize> = (0..self.cells.len()).collect();
        order.sort_by(|&a, &b| {
            let found = |k: usize| self.cells[k].given.is_none();
            found(a)
                .cmp(&found(b))
                .then(energies[b].total_cmp(&energies[a]))
                .then(a.cmp(&b))
        });
        let mut rank = vec![0; order.len()];
        for (place, &k) in order.iter().enumerate() {
            rank[k] = place;
        }
        let mut gone = vec![false; self.cells.len()];
        for &i in &order {
            if gone[i] {
                continue;
            }
            for &j in &neighbours[i] {
                let j = j as usize;
                let distance = (centres[i].0 - centres[j].0).hypot(centres[i].1 - centres[j].1);
                let given = self.cells[j].given.is_some();
                if gone[j] || given || rank[j] < rank[i] || distance > parameters.diameter {
                    continue;
                }
                let (a, b) = (&self.cells[i], &self.cells[j]);
                let smaller = a.pixels.len().min(b.pixels.len());
                let shared = a.shared(b) as f64 / smaller as f64;
                let alike = correlation(&a.trace, &b.trace);
                gone[j] = shared > 0.8
                    || alike >= parameters.merge_correlation
                        && (shared > 0.3 || distance < 0.6 * parameters.diameter);
            }
        }
        let mut index = 0;
        self.cells.retain(|_| {
            index += 1;
            !gone[index - 1]
        });
        self.index();
    }
}

/// Dense arrays for sparse values: zero between uses.
struct Scratch {
    gather: Gather,
    components: Vec<f32>,
    cells: Vec<f32>,
    knots: Vec<f32>,
}

impl Scratch {
    fn new(model: &Model<'_>) -> Self {
        let rank = model.activity.rank();
        Self {
            gather: Gather::new(rank),
            components: vec![0.0; rank],
            cells: vec![0.0; model.cells.len()],
            knots: vec![0.0; model.background.courses.len()],
        }
    }

    /// The regression image of one cell over its window, in the movie's units.
    fn image(&mut self, model: &Model<'_>, cell: usize, regression: &Regression) -> Vec<f32> {
        set(&mut self.components, &regression.components);
        set(&mut self.cells, &regression.cells);
        set(&mut self.knots, &regression.knots);
        let activity = model.activity;
        let width = activity.width;
        let image = regression
            .window
            .pixels(width)
            .map(|pixel| {
                let scale = activity.scale[pixel];
                if scale <= 0.0 {
                    return 0.0;
                }
                let mut value = 0.0;
                for (component, weight) in activity.row(pixel) {
                    value += weight * self.components[component];
                }
                for &(other, weight) in &model.owners[pixel] {
                    if other as usize != cell {
                        value -= weight * self.cells[other as usize];
                    }
                }
                for (knot, height) in model.background.tents(pixel / width, pixel % width) {
                    value -= height * self.knots[knot];
                }
                value / scale
            })
            .collect();
        unset(&mut self.components, &regression.components);
        unset(&mut self.cells, &regression.cells);
        unset(&mut self.knots, &regression.knots);
        image
    }
}

/// Writes sparse values into a dense array that is zero elsewhere.
fn set(dense: &mut [f32], sparse: &[(u32, f32)]) {
    for &(index, value) in sparse {
        dense[index as usize] = value;
    }
}

/// Undoes [`set`].
fn unset(dense: &mut [f32], sparse: &[(u32, f32)]) {
    for &(index, _) in sparse {
        dense[index as usize] = 0.0;
    }
}

/// Of each rectangle the others that it meets, ascending.
fn neighbours(windows: &[Rectangle]) -> Vec<Vec<u32>> {
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&k| (windows[k].y.start, k));
    let mut out = vec![Vec::new(); windows.len()];
    for (place, &i) in order.iter().enumerate() {
        for &j in &order[place + 1..] {
            if windows[j].y.start >= windows[i].y.end {
                break;
            }
            if windows[i].meets(&windows[j]) {
                out[i].push(j as u32);
                out[j].push(i as u32);
            }
        }
    }
    for list in &mut out {
        list.sort_unstable();
    }
    out
}

/// Numbers of those that have no neighbour in their class, ascending within
/// each; as few classes as come of taking the first that is free.
fn classes(neighbours: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut class_of: Vec<usize> = Vec::with_capacity(neighbours.len());
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for (k, near) in neighbours.iter().enumerate() {
        let taken: Vec<usize> = near
            .iter()
            .filter_map(|&other| class_of.get(other as usize).copied())
            .collect();
        let free = (0..=classes.len()).find(|class| !taken.contains(class));
        let free = free.unwrap_or(classes.len());
        class_of.push(free);
        if free == classes.len() {
            classes.push(Vec::new());
        }
        classes[free].push(k);
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_those_that_meet() {
        let square = |y: usize, x: usize| Rectangle {
            y: y..y + 10,
            x: x..x + 10,
        };
        let windows = [square(0, 0), square(30, 30), square(9, 9), square(5, 20)];
        let found = neighbours(&windows);
        assert_eq!(found, [vec![2], vec![], vec![0], vec![]]);
        assert_eq!(classes(&found), [vec![0, 1, 3], vec![2]]);
    }
}
