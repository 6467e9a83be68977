//! How distance and looks become a probability.
//!
//! Of a ROI and its neighbours in another session, at most one is the same
//! cell. That one lies about the same place, with a distance that is a mixture
//! of well and badly segmented cells', and looks about the same, the less so
//! the farther it lies. Other ROIs are different cells. How many of these to
//! expect at a distance follows from pairs within one session, which are
//! known to differ (ROICaT, Nguyen et al. 2024), and how they look at that
//! distance from sessions that were displaced on purpose. The mixture is in
//! the spirit of CellReg (Sheintuch et al. 2017, Cell Rep. 21:1102).

use std::f64::consts::{PI, TAU};

use crate::candidates::Candidate;
use crate::looks::{Looks, Moments};

/// One class of pairs that are the same cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SameCell {
    /// Share of this class.
    pub share: f64,
    /// Standard deviation of the displacement along each axis, pixels.
    pub displacement: f64,
}

/// Bins of distance.
const BINS: usize = 24;
/// Rings of distance in which looks are told apart.
const RINGS: usize = 8;
/// Farthest by which same cells may be apart in planes.
const PLANES: usize = 4;
/// Pairs that a guess counts as.
const PRIOR: f64 = 10.0;

/// Standard deviation of the displacement of badly segmented cells, at most, in
/// diameters: half a cell lies 0.2 from its whole, two taken for one half.
const FARTHEST: f64 = 0.3;

/// The same at least, pixels: no centre is known better.
const LEAST: f64 = 1e-2;

/// What tells the same cell from different ones in one data set.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchModel {
    /// Well and badly segmented cells.
    pub same: [SameCell; 2],
    /// How often the same cell is found 0, 1, … planes apart; sums to one
    /// over both directions.
    pub planes_apart: [f64; PLANES],
    /// How many different cells there are at a distance, relative to evenly
    /// strewn ones, in equal bins up to the largest distance: cells within a
    /// session keep apart.
    pub different_near: [f64; BINS],
    /// The same for all cells of a session, with or without a partner in others.
    pub all_near: [f64; BINS],
    /// Share of different cells that keep no distance: those of a session that
    /// lay above or below in the other.
    pub strewn: f64,
    /// Largest distance of one cell, pixels.
    pub max_distance: f64,
    /// How the same cell looks, ring by ring.
    same_looks: [Looks; RINGS],
    /// How different cells look that happen to lie so near.
    different_looks: [Looks; RINGS],
}

/// How many cells two sessions share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sharing {
    /// Probability that a ROI of the first has a partner.
    pub(crate) found: f64,
    /// Share of the ROIs of the second that have none.
    pub(crate) free: f64,
    /// Root of the number of ROIs of the first over that of the second.
    pub(crate) balance: f64,
}

impl Sharing {
    /// As the second session sees it.
    pub(crate) fn swapped(self) -> Self {
        Self {
            found: 1.0 - self.free,
            free: 1.0 - self.found,
            balance: 1.0 / self.balance,
        }
    }
}

impl Default for Sharing {
    fn default() -> Self {
        Self {
            found: 0.6,
            free: 0.4,
            balance: 1.0,
        }
    }
}

fn bin(at: f64, high: f64) -> usize {
    ((at / high * BINS as f64).max(0.0) as usize).min(BINS - 1)
}

/// The two nearest of `count` equal parts of `0..high` to `at`, by their
/// middles, and how far it lies towards the second.
fn parts(at: f64, high: f64, count: usize) -> (usize, f64) {
    let place = (at / high * count as f64 - 0.5).clamp(0.0, (count - 1) as f64);
    let first = (place as usize).min(count - 2);
    (first, place - first as f64)
}

/// Linear interpolation between the middles of bins.
fn between(bins: &[f64; BINS], at: f64, high: f64) -> f64 {
    let (k, f) = parts(at, high, BINS);
    (1.0 - f) * bins[k] + f * bins[k + 1]
}

impl SameCell {
    /// Density per square pixel.
    fn density(&self, distance: f64, farthest: f64) -> f64 {
        let variance = self.displacement * self.displacement;
        let inside = 1.0 - (-0.5 * farthest * farthest / variance).exp();
        (-0.5 * distance * distance / variance).exp() / (TAU * variance * inside)
    }
}

impl MatchModel {
    /// A first guess for cells of `diameter` pixels, before any data.
    pub(crate) fn guess(diameter: f64, max_distance: f64) -> Self {
        let class = |share: f64, displacement: f64| SameCell {
            share,
            displacement: displacement * diameter,
        };
        let mut planes_apart = [0.0; PLANES];
        planes_apart[0] = 0.8;
        planes_apart[1] = 0.1;
        Self {
            same: [class(0.85, 0.1), class(0.15, 0.25)],
            planes_apart,
            different_near: [1.0; BINS],
            all_near: [1.0; BINS],
            strewn: 0.1,
            max_distance,
            same_looks: [Looks::new(&same_guess(PRIOR)); RINGS],
            different_looks: [Looks::new(&different_guess(PRIOR)); RINGS],
        }
    }

    /// Density of the same cell at a candidate, and each class's part of it.
    fn same_density(&self, candidate: &Candidate) -> (f64, [f64; 2]) {
        let distance = f64::from(candidate.distance);
        let looks = self.looks(&self.same_looks, candidate);
        let planes = usize::from(candidate.planes).min(PLANES - 1);
        // A cell seen in another plane is a good one; a bad one in another plane
        // could not be told from anything else.
        let badly = if planes == 0 { 1.0 } else { 0.0 };
        let [well, badly] = [self.planes_apart[planes], badly].map(|factor| factor * looks);
        let density = |class: &SameCell| class.share * class.density(distance, self.max_distance);
        let parts = [
            well * density(&self.same[0]),
            badly * density(&self.same[1]),
        ];
        (parts[0] + parts[1], parts)
    }

    fn looks(&self, rings: &[Looks; RINGS], candidate: &Candidate) -> f64 {
        let (k, f) = parts(f64::from(candidate.distance), self.max_distance, RINGS);
        (1.0 - f) * rings[k].density(candidate) + f * rings[k + 1].density(candidate)
    }

    /// Density of different cells at a candidate, in the same units, and the
    /// part of it that keeps no distance.
    fn different_density(&self, candidate: &Candidate) -> (f64, f64) {
        let near = if candidate.planes == 0 {
            let distance = f64::from(candidate.distance);
            between(&self.different_near, distance, self.max_distance)
        } else {
            1.0
        };
        let each = f64::from(candidate.density) * self.looks(&self.different_looks, candidate);
        let strewn = self.strewn * each;
        ((1.0 - self.strewn) * near * each + strewn, strewn)
    }

    /// Odds of a candidate by itself: the same cell against both unmatched.
    pub(crate) fn odds(&self, candidate: &Candidate, sharing: Sharing) -> f64 {
        let same = sharing.balance * sharing.found * self.same_density(candidate).0;
        let different = self.different_density(candidate).0;
        let apart = (1.0 - sharing.found) * sharing.free * different;
        (same / apart.max(1e-300)).min(1e12)
    }

    /// Density of the distance (per pixel) of the same cell.
    pub fn same_distance(&self, distance: f64) -> f64 {
        let parts = self.same.iter();
        let all: f64 = parts
            .map(|c| c.share * c.density(distance, self.max_distance))
            .sum();
        TAU * distance * all
    }

    /// Different cells per pixel of distance, around a ROI among `per_area`
    /// others to the square pixel.
    pub fn different_distance(&self, distance: f64, per_area: f64) -> f64 {
        let near = between(&self.different_near, distance, self.max_distance);
        let relative = (1.0 - self.strewn) * near + self.strewn;
        TAU * distance * per_area * relative
    }

    /// Learns how different cells keep apart, from pairs within one session:
    /// counts of neighbours by distance, and those of evenly strewn ones, of
    /// cells without partners and of all. Each cell of a session is displaced
    /// on its own, so that nothing changes from one session to another.
    pub(crate) fn learn_apart(&mut self, free: &Apart, all: &Apart) {
        self.different_near = free.relative();
        self.all_near = all.relative();
    }

    /// Share of evenly strewn cells within the largest distance that are
    /// missing because cells keep apart.
    pub(crate) fn kept_apart(&self) -> f64 {
        1.0 - mean_over_disc(&self.all_near)
    }

    /// How many times more cells there are at a candidate, with these looks,
    /// around a cell that has a partner with probability `found`, than if
    /// cells were evenly strewn.
    pub(crate) fn against_strewn(&self, candidate: &Candidate, found: f64) -> f64 {
        let each = f64::from(candidate.density) * self.looks(&self.different_looks, candidate);
        let same = found * self.same_density(candidate).0 / each.max(1e-300);
        let others = if candidate.planes == 0 {
            between(
                &self.all_near,
                f64::from(candidate.distance),
                self.max_distance,
            )
        } else {
            1.0
        };
        same + (1.0 - self.strewn) * others + self.strewn
    }

    /// Learns how different cells look that happen to lie near each other,
    /// from candidates of displaced sessions and their weights.
    pub(crate) fn learn_different<'a>(
        &mut self,
        misaligned: impl Iterator<Item = (&'a Candidate, f64)>,
    ) {
        self.different_looks = self.rings(misaligned, different_guess(PRIOR));
    }

    /// Learns from candidates and their probabilities how the same cell varies.
    pub(crate) fn learn_same<'a, I: Iterator<Item = (&'a Candidate, f64)>>(
        &mut self,
        pairs: impl Fn() -> I,
        diameter: f64,
    ) {
        let guess = Self::guess(diameter, self.max_distance);
        let mut sums = [(0.0, 0.0); 2];
        let mut planes = [0.0; PLANES];
        let (mut strewn, mut others) = (0.0, 0.0);
        for (candidate, p) in pairs() {
            let (same, parts) = self.same_density(candidate);
            if same > 0.0 {
                for (sum, part) in sums.iter_mut().zip(parts) {
                    let weight = p * part / same;
                    sum.0 += weight;
                    sum.1 += weight * 0.5 * f64::from(candidate.distance).powi(2);
                }
            }
            if same > 0.0 {
                planes[usize::from(candidate.planes).min(PLANES - 1)] += p * parts[0] / same;
            }
            let (different, free) = self.different_density(candidate);
            if different > 0.0 {
                strewn += (1.0 - p) * free / different;
                others += 1.0 - p;
            }
        }
        self.same_looks = self.rings(pairs(), same_guess(PRIOR));
        let total: f64 = sums.iter().map(|sum| sum.0).sum();
        for ((class, sum), guess) in self.same.iter_mut().zip(sums).zip(guess.same) {
            let variance = (sum.1 + PRIOR * guess.displacement.powi(2)) / (sum.0 + PRIOR);
            *class = SameCell {
                share: (sum.0 + PRIOR * guess.share) / (total + PRIOR),
                displacement: variance.sqrt().min(FARTHEST * diameter).max(LEAST),
            };
        }
        // The better class is the nearer one.
        if self.same[1].displacement < self.same[0].displacement {
            self.same.swap(0, 1);
        }
        let seen: f64 = planes.iter().sum();
        for (k, slot) in self.planes_apart.iter_mut().enumerate() {
            // Two directions, but for the plane itself.
            let ways = if k == 0 { 1.0 } else { 2.0 };
            *slot = (planes[k] + PRIOR * ways * guess.planes_apart[k]) / ((seen + PRIOR) * ways);
        }
        // Of those counted, the ones that keep a distance are fewer than evenly
        // strewn ones would be by the mean of their relative number.
        let share = (strewn + PRIOR * guess.strewn) / (others + PRIOR);
        let kept = mean_over_disc(&self.different_near);
        self.strewn = share * kept / (1.0 - share + share * kept);
    }

    /// Looks in each ring; where a ring has few pairs it takes after all.
    fn rings<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a Candidate, f64)>,
        guess: Moments,
    ) -> [Looks; RINGS] {
        let mut rings = [Moments::default(); RINGS];
        let mut all = guess;
        for (candidate, weight) in pairs {
            let share = f64::from(candidate.distance) / self.max_distance;
            let ring = ((share * RINGS as f64) as usize).min(RINGS - 1);
            rings[ring].add(candidate, weight);
            all.add(candidate, weight);
        }
        let few = PRIOR / all.weight();
        rings.map(|ring| Looks::new(&ring.plus(&all, few)))
    }
}

/// Mean over the disc of the largest distance.
fn mean_over_disc(bins: &[f64; BINS]) -> f64 {
    let rings = bins.iter().enumerate();
    let sum: f64 = rings.map(|(k, value)| value * (2 * k + 1) as f64).sum();
    sum / (BINS * BINS) as f64
}

/// The same cell looks about the same.
fn same_guess(weight: f64) -> Moments {
    Moments::guess(weight, [-2.2, -2.0, -1.8], [0.6, 0.6, 0.8])
}

/// Different cells look about as similar as cells do, and overlap as it happens.
fn different_guess(weight: f64) -> Moments {
    Moments::guess(weight, [-1.6, -0.6, -1.0], [0.6, 0.5, 0.8])
}

/// Neighbours by distance, and those of evenly strewn cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Apart {
    counted: [f64; BINS],
    strewn: [f64; BINS],
}

impl Apart {
    /// Adds one neighbour of a ROI.
    pub(crate) fn count(&mut self, distance: f64, max_distance: f64, weight: f64) {
        self.counted[bin(distance, max_distance)] += weight;
    }

    /// Adds what evenly strewn neighbours of a ROI, `density` to the square
    /// pixel, would count.
    pub(crate) fn expect(&mut self, density: f64, max_distance: f64, weight: f64) {
        let width = max_distance / BINS as f64;
        for (k, slot) in self.strewn.iter_mut().enumerate() {
            *slot += weight * density * PI * width * width * (2 * k + 1) as f64;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for k in 0..BINS {
            self.counted[k] += other.counted[k];
            self.strewn[k] += other.strewn[k];
        }
    }

    /// Counted to strewn, smoothed over neighbouring bins; one where nothing is
    /// expected.
    fn relative(&self) -> [f64; BINS] {
        let mut out = [0.0; BINS];
        for (k, slot) in out.iter_mut().enumerate() {
            let (mut counted, mut strewn) = (1.0, 1.0);
            for (j, weight) in [(k.wrapping_sub(1), 0.5), (k, 1.0), (k + 1, 0.5)] {
                counted += weight * self.counted.get(j).copied().unwrap_or(0.0);
                strewn += weight * self.strewn.get(j).copied().unwrap_or(0.0);
            }
            *slot = counted / strewn;
        }
        out
    }
}
