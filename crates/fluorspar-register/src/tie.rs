//! What planes recorded together say about each other's shifts.
//!
//! Plane z of volume t is shifted by `s + a u + d`: the shift s that all planes
//! share, a shear a that grows with the depth u, as in tissue that tilts, and
//! a deviation d of its own; a and d are normal with variances σ² and τ² that
//! are learnt from the movie. What the plane says about itself is the peak m
//! of its own correlation map near there, with an error of variance v. The
//! most probable line `s + a u` through the planes that are surely found
//! follows by least squares; the most probable shift of a plane is the line's
//! plus `τ² / (τ² + v)` of what m lies beside it.
//!
//! v follows from the map itself. Where there is no peak the map shows what
//! noise does, and noise does the same under the peak: its slope there moves
//! the peak by slope / curvature, so `v = Var(slope) / curvature²`.

use serde::{Deserialize, Serialize};

use crate::Shift;
use crate::refine::{REACH, Refiner};
use crate::warp::keys;

/// Farthest that a plane is looked for from the shared shift, pixels.
const SEARCH: isize = 5;
/// Half the side of the patches that are kept for learning.
const PATCH: isize = SEARCH + REACH as isize;
/// Places at least so far from the peak along one axis show noise only, pixels.
const QUIET: f32 = 5.0;
/// A plane is surely found on its own where its peak is usually so many
/// standard deviations of the noise high.
const CERTAIN: f64 = 5.0;
/// The same where the peak may be anywhere.
const CLEAR: f64 = 6.0;
/// Peaks of identical motion scatter by this even without noise, pixels: the
/// frame is sampled and its border differs.
const FLOOR: f64 = 0.03;
/// Standard deviations by which the scatter of the planes must exceed what
/// noise explains before they are let go.
const DOUBT: f64 = 2.0;
/// Fewest degrees of freedom that a spread is learnt from.
const FEWEST: f64 = 10.0;
/// Largest variances of deviations and shears, pixels².
const LOOSEST: f64 = 25.0;

/// Which shifts a correlation map covers: rows and columns around the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) reach: (usize, usize),
    pub(crate) most: (usize, usize),
}

impl Window {
    /// Values in a map.
    pub(crate) fn len(self) -> usize {
        (2 * self.reach.0 + 1) * (2 * self.reach.1 + 1)
    }

    /// The value at a shift; NaN outside.
    pub(crate) fn at(self, map: &[f32], dy: isize, dx: isize) -> f32 {
        let (wy, wx) = (self.reach.0 as isize, self.reach.1 as isize);
        if dy.abs() > wy || dx.abs() > wx {
            return f32::NAN;
        }
        let index = (dy + wy) * (2 * wx + 1) + dx + wx;
        map.get(index as usize).copied().unwrap_or(f32::NAN)
    }
}

/// What is known of one plane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Own {
    /// −1/2 for the first plane, 1/2 for the last.
    depth: f64,
    /// Height of the map of an image with itself.
    perfect: f32,
    /// Usual height where the plane lies.
    height: f64,
    /// Variance of its own peak, pixels² along y and x.
    variance: [f64; 2],
    /// Where its own peak lies beside the shared one on average, pixels.
    offset: [f64; 2],
    /// Log-likelihood per unit of the map.
    sharpness: f64,
    /// Whether it is surely found on its own.
    certain: bool,
}

/// How tightly planes move together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tie {
    own: Vec<Own>,
    /// Variance of the last plane's shift beside the first's as far as it
    /// grows with depth, pixels² along y and x.
    shear: [f64; 2],
    /// Variance of planes about that, pixels² along y and x.
    spread: [f64; 2],
    #[serde(skip, default = "Refiner::new")]
    refiner: Refiner,
}

/// A plane's own peak in one volume.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// From the shared shift, the plane's usual offset taken off, pixels.
    beside: [f64; 2],
    variance: [f64; 2],
    /// 0 if there is nothing to go by.
    height: f64,
}

impl Tie {
    /// Number of planes.
    pub(crate) fn planes(&self) -> usize {
        self.own.len()
    }

    /// All planes have the shared shift.
    pub(crate) fn rigid(perfect: impl Iterator<Item = f32>) -> Self {
        let perfect: Vec<f32> = perfect.collect();
        let last = (perfect.len().max(2) - 1) as f64;
        let own = perfect.iter().enumerate().map(|(plane, &perfect)| Own {
            depth: plane as f64 / last - 0.5,
            perfect,
            height: f64::from(perfect),
            variance: [f64::INFINITY; 2],
            offset: [0.0; 2],
            sharpness: 0.0,
            certain: false,
        });
        Self {
            own: own.collect(),
            shear: [0.0; 2],
            spread: [0.0; 2],
            refiner: Refiner::new(),
        }
    }

    /// Standard deviation of the last plane's shift beside the first's as far
    /// as it grows with depth, pixels along y and x.
    pub(crate) fn shear(&self) -> (f32, f32) {
        let [y, x] = self.shear.map(|v| v.sqrt() as f32);
        (y, x)
    }

    /// Standard deviation of planes about that, pixels along y and x.
    pub(crate) fn spread(&self) -> (f32, f32) {
        let [y, x] = self.spread.map(|v| v.sqrt() as f32);
        (y, x)
    }

    /// Variance of a plane's shift about the shared one.
    fn variance(&self, own: &Own) -> [f64; 2] {
        [0, 1].map(|axis| self.shear[axis] * own.depth.powi(2) + self.spread[axis])
    }

    /// Usual height of each plane's map beside that of an image with itself.
    pub(crate) fn heights(&self) -> impl Iterator<Item = f32> {
        self.own
            .iter()
            .map(|own| (own.height.max(0.0) / f64::from(own.perfect).max(1e-30)) as f32)
    }

    /// Standard error of each plane's own peak, pixels, the mean of both axes.
    pub(crate) fn errors(&self) -> impl Iterator<Item = f32> {
        self.own.iter().map(|own| {
            if own.certain {
                (0.5 * (own.variance[0] + own.variance[1])).sqrt() as f32
            } else {
                f32::INFINITY
            }
        })
    }

    /// The most probable shift of every plane of a volume of which
    /// `at(plane, dy, dx)` gives the maps, NaN where there is none; returns
    /// the shared shift, that of the middle depth where planes deviate, and
    /// not that of the planes seen best.
    pub(crate) fn resolve(
        &self,
        shared: Shift,
        at: impl Fn(usize, isize, isize) -> f32,
        found: &mut [Found],
        shifts: &mut [Shift],
    ) -> Shift {
        let free = [0, 1].map(|axis| self.shear[axis] + self.spread[axis] > 0.0);
        let mut lines = [Line::default(); 2];
        if free != [false; 2] {
            for (plane, (slot, own)) in found.iter_mut().zip(&self.own).enumerate() {
                let variance = self.variance(own);
                *slot = self.look(own, shared, variance, |dy, dx| at(plane, dy, dx));
            }
            for axis in 0..2 {
                if free[axis] {
                    let (shear, spread) = (self.shear[axis], self.spread[axis]);
                    lines[axis] = Sums::of(found, &self.own, axis, spread).line(shear);
                }
            }
        }
        for (plane, (shift, own)) in shifts.iter_mut().zip(&self.own).enumerate() {
            let beside = [0, 1].map(|axis| {
                let line = lines[axis].at(own.depth);
                let spread = self.spread[axis];
                match found.get(plane) {
                    Some(found) if spread > 0.0 && found.height > 0.0 => {
                        let share = spread / (spread + found.variance[axis]);
                        line + share * (found.beside[axis] - line)
                    }
                    _ => line,
                }
            });
            *shift = Shift {
                dy: shared.dy + beside[0] as f32,
                dx: shared.dx + beside[1] as f32,
                quality: 0.0,
            };
            let value = interpolate(&|dy, dx| at(plane, dy, dx), shift.dy, shift.dx);
            if value.is_finite() {
                let perfect = own.perfect.max(f32::MIN_POSITIVE);
                shift.quality = (value / perfect).clamp(0.0, 1.0);
            }
        }
        Shift {
            dy: shared.dy + lines[0].middle as f32,
            dx: shared.dx + lines[1].middle as f32,
            ..shared
        }
    }

    /// The plane's own peak near the shared shift: the highest, its log-likelihood
    /// and that of a deviation of variance `spread` taken together.
    fn look(
        &self,
        own: &Own,
        shared: Shift,
        spread: [f64; 2],
        at: impl Fn(isize, isize) -> f32,
    ) -> Found {
        if own.sharpness <= 0.0 {
            return Found::default();
        }
        let centre = [
            f64::from(shared.dy) + own.offset[0],
            f64::from(shared.dx) + own.offset[1],
        ];
        let reach = spread.map(|v| {
            if v > 0.0 {
                ((3.0 * v.sqrt()).ceil() as isize + 1).min(SEARCH)
            } else {
                0
            }
        });
        let middle = centre.map(|c| c.round() as isize);
        let (mut best, mut place) = (f64::NEG_INFINITY, None);
        for dy in middle[0] - reach[0]..=middle[0] + reach[0] {
            for dx in middle[1] - reach[1]..=middle[1] + reach[1] {
                let value = f64::from(at(dy, dx));
                let mut score = value * own.sharpness;
                for ((place, centre), spread) in [dy, dx].into_iter().zip(centre).zip(spread) {
                    if spread > 0.0 {
                        score -= (place as f64 - centre).powi(2) / (2.0 * spread);
                    }
                }
                if score > best {
                    (best, place) = (score, Some([dy, dx]));
                }
            }
        }
        let Some([dy, dx]) = place else {
            return Found::default();
        };
        let reach = REACH as isize;
        let patch = std::array::from_fn(|i| {
            std::array::from_fn(|j| f64::from(at(dy + i as isize - reach, dx + j as isize - reach)))
        });
        let whole = patch.iter().flatten().all(|v: &f64| v.is_finite());
        let (fy, fx) = if whole {
            self.refiner.peak(&patch)
        } else {
            (0.0, 0.0)
        };
        let peak = [dy as f64 + fy, dx as f64 + fx];
        let height = f64::from(interpolate(&at, peak[0] as f32, peak[1] as f32));
        // A peak without height says nothing.
        if height.is_nan() || height <= 0.0 {
            return Found::default();
        }
        // A volume in which the plane is dimmer than usual is located worse;
        // never better, since noise can only be mistaken for height.
        let worse = (own.height / height).max(1.0).powi(2);
        Found {
            beside: [peak[0] - centre[0], peak[1] - centre[1]],
            variance: own.variance.map(|v| v * worse),
            height,
        }
    }
}

/// Shift beside the shared one along one axis, by depth.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    middle: f64,
    slope: f64,
}

impl Line {
    fn at(self, depth: f64) -> f64 {
        self.middle + self.slope * depth
    }
}

/// Weighted moments of the planes of one volume that are surely found.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    planes: usize,
    weight: f64,
    depth: f64,
    depth_square: f64,
    shift: f64,
    shift_depth: f64,
    shift_square: f64,
}

impl Sums {
    /// With a variance of `spread` besides that of each peak.
    fn of(found: &[Found], own: &[Own], axis: usize, spread: f64) -> Self {
        let mut sums = Self::default();
        for (found, own) in found.iter().zip(own) {
            if own.certain && found.height > 0.0 {
                let weight = 1.0 / (spread + found.variance[axis]);
                let (depth, shift) = (own.depth, found.beside[axis]);
                sums.planes += 1;
                sums.weight += weight;
                sums.depth += weight * depth;
                sums.depth_square += weight * depth * depth;
                sums.shift += weight * shift;
                sums.shift_depth += weight * shift * depth;
                sums.shift_square += weight * shift * shift;
            }
        }
        sums
    }

    /// The most probable line if slopes have the variance `shear`.
    fn line(&self, shear: f64) -> Line {
        if self.weight <= 0.0 {
            return Line::default();
        }
        let slope = if shear > 0.0 {
            self.moment() / (self.lever() + 1.0 / shear)
        } else {
            0.0
        };
        Line {
            middle: (self.shift - slope * self.depth) / self.weight,
            slope,
        }
    }

    /// `Σ w (u − ū)²`: the inverse variance of the slope.
    fn lever(&self) -> f64 {
        self.depth_square - self.depth.powi(2) / self.weight
    }

    /// `Σ w (u − ū) m`.
    fn moment(&self) -> f64 {
        self.shift_depth - self.depth * self.shift / self.weight
    }

    /// Weighted squares about the mean.
    fn about_mean(&self) -> f64 {
        (self.shift_square - self.shift.powi(2) / self.weight).max(0.0)
    }

    /// Weighted squares about the line of least squares.
    fn about_line(&self) -> f64 {
        (self.about_mean() - self.moment().powi(2) / self.lever()).max(0.0)
    }
}

/// Maps of a sample of volumes, as much of them as learning needs.
#[derive(Debug)]
pub(crate) struct Evidence {
    planes: usize,
    shared: Vec<Shift>,
    /// `(volume, plane, place)` around the shared shift in whole pixels.
    patches: Vec<f32>,
    noise: Vec<Noise>,
}

/// Sums over the places of maps that show noise only.
#[derive(Clone, Copy, Debug, Default)]
struct Noise {
    count: f64,
    sum: f64,
    square: f64,
    /// Products with the neighbours along y and x.
    product: [f64; 2],
}

impl Noise {
    fn variance(&self) -> f64 {
        (self.square / self.count - (self.sum / self.count).powi(2)).max(0.0)
    }

    /// Variance of the slope along `axis`, as of a field whose correlation
    /// falls as a Gaussian: `−2 R(0) ln(R(1) / R(0))`.
    fn slope(&self, axis: usize) -> f64 {
        let here = self.variance();
        let next = self.product[axis] / self.count - (self.sum / self.count).powi(2);
        if next > 0.0 {
            2.0 * here * (here / next).ln().max(0.0)
        } else {
            2.0 * (here - next)
        }
    }
}

const PLACES: usize = ((2 * PATCH + 1) * (2 * PATCH + 1)) as usize;

impl Evidence {
    pub(crate) fn new(planes: usize) -> Self {
        Self {
            planes,
            shared: Vec::new(),
            patches: Vec::new(),
            noise: vec![Noise::default(); planes],
        }
    }

    /// Keeps what is needed of the maps of one volume.
    pub(crate) fn add(&mut self, shared: Shift, window: Window, maps: &[f32], present: &[bool]) {
        self.shared.push(shared);
        let centre = [shared.dy, shared.dx].map(|v| v.round() as isize);
        let maps = maps.chunks_exact(window.len()).zip(present);
        for ((map, &present), noise) in maps.zip(&mut self.noise) {
            for dy in -PATCH..=PATCH {
                for dx in -PATCH..=PATCH {
                    self.patches.push(if present {
                        window.at(map, centre[0] + dy, centre[1] + dx)
                    } else {
                        f32::NAN
                    });
                }
            }
            if present {
                noise.add(window, map, shared);
            }
        }
    }

    /// Volume `k`'s map of `plane` as far as it is kept.
    fn at(&self, k: usize, plane: usize, dy: isize, dx: isize) -> f32 {
        let shared = self.shared[k];
        let dy = dy - shared.dy.round() as isize;
        let dx = dx - shared.dx.round() as isize;
        if dy.abs() > PATCH || dx.abs() > PATCH {
            return f32::NAN;
        }
        let place = (dy + PATCH) * (2 * PATCH + 1) + dx + PATCH;
        self.patches[(k * self.planes + plane) * PLACES + place as usize]
    }

    /// Learns how each plane is seen and how far planes deviate.
    pub(crate) fn learn(&self, tie: &mut Tie) {
        // Once around the shared shift, once more around the planes' own.
        for _ in 0..2 {
            self.profile(tie);
            self.between(tie);
            if tie.shear.iter().chain(&tie.spread).all(|&v| v <= 0.0) {
                break;
            }
        }
    }

    /// The shifts of all planes of volume `k`, and the shared one.
    pub(crate) fn resolve(&self, k: usize, tie: &Tie, shifts: &mut [Shift]) -> Shift {
        let mut found = vec![Found::default(); self.planes];
        let at = |plane: usize, dy: isize, dx: isize| self.at(k, plane, dy, dx);
        tie.resolve(self.shared[k], at, &mut found, shifts)
    }

    /// Median quality of the volumes that have a place.
    pub(crate) fn usual_quality(&self) -> Option<f32> {
        let mut all: Vec<f32> = self.shared.iter().map(|s| s.quality).collect();
        all.retain(|&quality| quality > 0.0);
        all.sort_unstable_by(f32::total_cmp);
        all.get(all.len() / 2).copied()
    }

    fn placed(&self) -> impl Iterator<Item = usize> {
        (0..self.shared.len()).filter(|&k| self.shared[k].quality > 0.0)
    }

    /// Height, curvature and noise of every plane's mean peak.
    fn profile(&self, tie: &mut Tie) {
        let places = [(0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)];
        let mut sums = vec![[0.0_f64; 5]; self.planes];
        let mut counts = vec![0.0_f64; self.planes];
        let mut shifts = vec![Shift::default(); self.planes];
        for k in self.placed() {
            self.resolve(k, tie, &mut shifts);
            for (plane, shift) in shifts.iter().enumerate() {
                let own = tie.own[plane].offset;
                let values = places.map(|(dy, dx): (f32, f32)| {
                    let at = |dy, dx| self.at(k, plane, dy, dx);
                    let (y, x) = (shift.dy + own[0] as f32, shift.dx + own[1] as f32);
                    f64::from(interpolate(&at, y + dy, x + dx))
                });
                if values.iter().all(|v| v.is_finite()) {
                    for (sum, value) in sums[plane].iter_mut().zip(values) {
                        *sum += value;
                    }
                    counts[plane] += 1.0;
                }
            }
        }
        for (plane, own) in tie.own.iter_mut().enumerate() {
            let n = counts[plane].max(1.0);
            let [top, up, down, left, right] = sums[plane].map(|sum| sum / n);
            let noise = &self.noise[plane];
            let deviation = noise.variance().sqrt();
            // A Gaussian's curvature from its values a pixel away.
            let bend = |a: f64, b: f64| {
                if top > 0.0 && a > 0.0 && b > 0.0 {
                    top * (top * top / (a * b)).ln()
                } else {
                    0.0
                }
            };
            let curvature = [bend(up, down), bend(left, right)];
            own.height = top;
            own.sharpness = 0.0;
            own.variance = [f64::INFINITY; 2];
            own.certain = false;
            if noise.count < 1.0 || curvature.iter().any(|&c| c <= 0.0) {
                continue;
            }
            for axis in 0..2 {
                let slope = noise.slope(axis).max(1e-30);
                let square = curvature[axis].powi(2);
                let second = 9.0 * slope.powi(2) / (noise.variance().max(1e-30) * square);
                own.variance[axis] = slope / square * (1.0 + second) + FLOOR.powi(2);
                own.sharpness += 0.5 / (own.variance[axis] * curvature[axis]);
            }
            own.certain = top >= CERTAIN * deviation;
        }
    }

    /// The variances of shears and deviations along both axes: those with
    /// which the planes' scatter is as large as expected (Paule and Mandel
    /// 1982, J. Res. NBS 87:377), 0 unless noise alone is surely too little.
    fn between(&self, tie: &mut Tie) {
        let wide = [LOOSEST; 2];
        let mut all: Vec<Vec<Found>> = self
            .placed()
            .map(|k| {
                let look = |(plane, own): (usize, &Own)| {
                    if !own.certain {
                        return Found::default();
                    }
                    let bare = Own {
                        offset: [0.0; 2],
                        ..*own
                    };
                    let at = |dy, dx| self.at(k, plane, dy, dx);
                    tie.look(&bare, self.shared[k], wide, at)
                };
                tie.own.iter().enumerate().map(look).collect()
            })
            .collect();
        for (plane, own) in tie.own.iter_mut().enumerate() {
            for axis in 0..2 {
                let (mut sum, mut count) = (0.0, 0.0);
                for volume in all.iter().filter(|volume| volume[plane].height > 0.0) {
                    sum += volume[plane].beside[axis];
                    count += 1.0;
                }
                own.offset[axis] = sum / f64::max(count, 1.0);
                for volume in &mut all {
                    volume[plane].beside[axis] -= own.offset[axis];
                }
            }
        }
        let own = &tie.own;
        let certain = own.iter().filter(|own| own.certain).count();
        for axis in 0..2 {
            let sums = |spread: f64| {
                let all = all.iter();
                all.map(move |volume| Sums::of(volume, own, axis, spread))
            };
            // Offsets have taken a degree of freedom per plane.
            let freedom = |fitted: usize| {
                let left = sums(0.0)
                    .map(|s| s.planes.saturating_sub(fitted))
                    .sum::<usize>();
                left as f64 - certain.saturating_sub(fitted) as f64
            };
            let lined = |s: &Sums| s.planes > 2 && s.lever() > 0.0;
            let about_line = balance(freedom(2), LOOSEST, |spread| {
                let lined = sums(spread).filter(lined);
                lined.map(|s| s.about_line()).sum()
            });
            let slopes: Vec<(f64, f64)> = sums(about_line)
                .filter(lined)
                .map(|s| (s.moment() / s.lever(), 1.0 / s.lever()))
                .collect();
            let shear = balance(slopes.len() as f64 - 1.0, 4.0 * LOOSEST, |shear| {
                let terms = slopes.iter();
                terms
                    .map(|(slope, variance)| slope * slope / (variance + shear))
                    .sum()
            });
            tie.shear[axis] = shear;
            tie.spread[axis] = if shear > 0.0 {
                about_line
            } else {
                balance(freedom(1), LOOSEST, |spread| {
                    let several = sums(spread).filter(|s| s.planes > 1);
                    several.map(|s| s.about_mean()).sum()
                })
            };
        }
    }
}

/// The variance at which a falling `scatter` is down to `freedom`, up to
/// `most`; 0 if it is not surely above that without any.
fn balance(freedom: f64, most: f64, scatter: impl Fn(f64) -> f64) -> f64 {
    if freedom < FEWEST || scatter(0.0) <= freedom + DOUBT * (2.0 * freedom).sqrt() {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, most);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if scatter(middle) > freedom {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

impl Noise {
    /// Adds the places of a map that are away from its peak.
    fn add(&mut self, window: Window, map: &[f32], peak: Shift) {
        let (my, mx) = (window.most.0 as isize, window.most.1 as isize);
        for dy in -my..my {
            for dx in -mx..mx {
                let far = (dy as f32 - peak.dy).abs().max((dx as f32 - peak.dx).abs());
                if far < QUIET {
                    continue;
                }
                let value = f64::from(window.at(map, dy, dx));
                self.count += 1.0;
                self.sum += value;
                self.square += value * value;
                self.product[0] += value * f64::from(window.at(map, dy + 1, dx));
                self.product[1] += value * f64::from(window.at(map, dy, dx + 1));
            }
        }
    }
}

/// Whether a peak is more than the highest of what noise makes of a whole map.
pub(crate) fn stands_out(window: Window, map: &[f32], peak: Shift, height: f32) -> bool {
    let mut noise = Noise::default();
    noise.add(window, map, peak);
    noise.count > 0.0 && f64::from(height) >= CLEAR * noise.variance().sqrt()
}

/// A map between its places, by cubic convolution; not a number where it ends.
fn interpolate(at: &impl Fn(isize, isize) -> f32, dy: f32, dx: f32) -> f32 {
    let (y, x) = (dy.floor(), dx.floor());
    let (wy, wx) = (keys(dy - y), keys(dx - x));
    let mut sum = 0.0;
    for (i, wy) in (-1_isize..).zip(wy) {
        for (j, wx) in (-1_isize..).zip(wx) {
            // Places without weight may lie outside.
            if wy != 0.0 && wx != 0.0 {
                sum += wy * wx * at(y as isize + i, x as isize + j);
            }
        }
    }
    sum
}
