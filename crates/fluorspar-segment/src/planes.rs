use std::borrow::Cow;
use std::collections::HashMap;

use fluorspar_movie::Footprints;
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::Error;
use crate::stats::Rest;

/// When ROIs of neighbouring planes are one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// Size of a pixel (µm).
    pub pixel_um: f64,
    /// Largest lateral distance of the centres (µm). The default is
    /// three times 7.5 µm, the rule of the first light-bead recordings
    /// (Demas et al. 2021, Nat. Methods 18:1103).
    pub distance_um: f64,
    /// Smallest correlation of two ROIs in adjacent planes, freed of
    /// noise, 0 to 1.
    pub correlation: f64,
    /// Smallest such correlation of any two ROIs of a cell, 0 to 1: what is
    /// not alike at its two ends is two cells in a row.
    pub chain: f64,
    /// Standard errors by which a measured correlation must exceed zero
    /// before noise is taken out of it.
    pub significance: f64,
    /// Lateral offset `(y, x)` of each plane (pixels): what to subtract from
    /// its positions to have them in a common frame. Empty for none.
    pub offsets: Vec<(f64, f64)>,
}

impl Default for Merge {
    fn default() -> Self {
        Self {
            pixel_um: 2.0,
            distance_um: 22.5,
            correlation: 0.8,
            chain: 0.7,
            significance: 5.0,
            offsets: Vec::new(),
        }
    }
}

impl Merge {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the first that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, value, range, rule) in [
            ("pixel_um", self.pixel_um, 1e-3..=1e3, "from 0.001 to 1000"),
            (
                "distance_um",
                self.distance_um,
                0.0..=1e3,
                "from 0 to 1000 micrometres",
            ),
            ("correlation", self.correlation, 0.0..=1.0, "from 0 to 1"),
            ("chain", self.chain, 0.0..=1.0, "from 0 to 1"),
            (
                "significance",
                self.significance,
                0.0..=1e3,
                "from 0 to 1000",
            ),
        ] {
            if !range.contains(&value) {
                return Err(Error::Parameter { name, value, rule });
            }
        }
        for &(y, x) in &self.offsets {
            for value in [y, x] {
                if !(-1e6..=1e6).contains(&value) {
                    return Err(Error::Parameter {
                        name: "offsets",
                        value,
                        rule: "from −1000000 to 1000000 pixels",
                    });
                }
            }
        }
        Ok(())
    }
}

/// One cell, seen in one plane or in several that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its ROIs, one per plane, planes ascending.
    pub rois: Vec<usize>,
    /// The plane of each of `rois`.
    pub planes: Vec<u32>,
    /// Weight of each of `rois` in the merged trace `Σ weight · trace`: its
    /// share in the cell's brightness. They add up to 1.
    pub weights: Vec<f32>,
    /// Mean `(plane, y, x)` of the ROIs' centres by those weights, in planes
    /// and pixels of the common frame.
    pub centre: [f64; 3],
    /// The brightest of `rois`.
    pub representative: usize,
}

/// Merges ROIs of neighbouring planes that are the same cell.
///
/// `footprints` hold one ROI per plane it was found in, `traces (roi, time)`
/// their activity, such as ΔF/F. Every ROI is in exactly one [`Cell`]; cells
/// come in the order of their smallest ROI. Numbering the ROIs otherwise
/// changes nothing but the numbers, unless two are equal in every respect.
///
/// 1. Candidates lie in adjacent planes within [`Merge::distance_um`].
/// 2. A trace is signal and white noise. The noise's variance is half that
///    of successive differences, measured by their median, which transients
///    hardly move; the correlation of the signals is the traces' covariance
///    over the root of the product of the variances left. It must reach
///    [`Merge::correlation`]. The share of signal in a variance is taken to be
///    at least three standard errors of that estimate, `9 / √time`, so that
///    noise does not become similarity. The measured
///    correlation must be significant by Fisher's transformation, with the
///    number of independent samples by Bartlett's formula for two traces
///    whose autocorrelation decays exponentially.
/// 3. Two ROIs join if each is the other's best in that plane.
/// 4. Joined ROIs make chains through planes. The strongest joint goes
///    first; two parts are put together only if every ROI of the one is as
///    near, and as alike as [`Merge::chain`], to every ROI of the other
///    (complete linkage).
///
/// A ROI's brightness is the standard deviation of its signal. A trace that is
/// constant or not finite matches none. Time goes with the number of pairs
/// that are near each other, by a spatial hash.
///
/// ```
/// use fluorspar_movie::Footprints;
/// use fluorspar_segment::{Merge, merge_planes};
///
/// // The same pixels in two planes, the second half as bright.
/// let mut footprints = Footprints::new(10, 10);
/// footprints.push(&[44, 45], &[1.0, 1.0], 0)?;
/// footprints.push(&[44, 45], &[1.0, 1.0], 1)?;
/// let traces = ndarray::Array2::from_shape_fn((2, 400), |(roi, t)| {
///     let calcium = (-((t % 50) as f32) / 10.0).exp();
///     if roi == 0 { calcium } else { 0.5 * calcium }
/// });
/// let cells = merge_planes(&footprints, traces.view(), &Merge::default())?;
/// assert_eq!(cells[0].rois, [0, 1]);
/// assert_eq!(cells[0].representative, 0);
/// assert!((cells[0].centre[0] - 1.0 / 3.0).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Parameter`] from [`Merge::validate`]; [`Error::Movie`] if there
/// are not as many traces as footprints, or offsets for some planes only.
pub fn merge_planes(
    footprints: &Footprints,
    traces: ArrayView2<'_, f32>,
    parameters: &Merge,
) -> Result<Vec<Cell>, Error> {
    parameters.validate()?;
    let misuse = |message: String| Err(Error::Movie(fluorspar_movie::Error::misuse(message)));
    if traces.nrows() != footprints.len() {
        return misuse(format!(
            "{} traces for {} footprints",
            traces.nrows(),
            footprints.len()
        ));
    }
    let planes = footprints.planes();
    let last = planes.iter().max().map_or(0, |&plane| plane as usize + 1);
    if !parameters.offsets.is_empty() && parameters.offsets.len() < last {
        return misuse(format!(
            "offsets of {} planes for footprints in {last}",
            parameters.offsets.len()
        ));
    }
    let rois: Vec<Roi<'_>> = (0..footprints.len())
        .into_par_iter()
        .map(|roi| {
            let plane = planes[roi];
            let (dy, dx) = parameters
                .offsets
                .get(plane as usize)
                .copied()
                .unwrap_or_default();
            let (y, x) = footprints.centroid(roi);
            Roi::new(plane, (y - dy, x - dx), traces, roi)
        })
        .collect();
    let reach = parameters.distance_um / parameters.pixel_um;
    let joints = mutual(&rois, &candidates(&rois, reach, parameters));
    Ok(chains(&rois, joints, reach, parameters)
        .into_iter()
        .map(|members| cell(&rois, members))
        .collect())
}

struct Roi<'a> {
    plane: u32,
    y: f64,
    x: f64,
    trace: Cow<'a, [f32]>,
    mean: f32,
    /// Variance; 0 if the trace cannot be compared.
    variance: f64,
    /// What of it is signal.
    signal: f64,
    /// Autocorrelation of successive samples.
    memory: f64,
}

impl<'a> Roi<'a> {
    fn new(plane: u32, place: (f64, f64), traces: ArrayView2<'a, f32>, roi: usize) -> Self {
        let row = traces.index_axis_move(ndarray::Axis(0), roi);
        let trace: Cow<'a, [f32]> = match row.to_slice() {
            Some(row) => Cow::Borrowed(row),
            None => Cow::Owned(row.to_vec()),
        };
        let length = trace.len().max(1) as f64;
        let mean = trace.iter().map(|&v| f64::from(v)).sum::<f64>() / length;
        let variance = covariance(&trace, mean as f32, &trace, mean as f32);
        let mut found = Self {
            plane,
            y: place.0,
            x: place.1,
            mean: mean as f32,
            variance: 0.0,
            signal: 0.0,
            memory: 0.0,
            trace,
        };
        // Rounding of a constant trace is not activity.
        let rounding = (f64::from(f32::EPSILON) * mean).powi(2);
        if variance.is_finite() && variance > rounding {
            let (before, after) = (&found.trace[..found.trace.len() - 1], &found.trace[1..]);
            let lagged = covariance(before, found.mean, after, found.mean);
            // The distance of the median from the 16th percentile is one
            // standard deviation; differences have twice the noise's variance.
            let steps: Vec<f32> = before.iter().zip(after).map(|(a, b)| b - a).collect();
            let noise = f64::from(Rest::of(&steps, &mut Vec::new()).noise).powi(2) / 2.0;
            found.memory = (lagged / variance).clamp(0.0, 0.99);
            // A variance from two quantiles of differences has a relative
            // standard error of about 3 / √length.
            let least = (9.0 / length.sqrt()).min(1.0);
            found.signal = (variance - noise).max(least * variance);
            found.variance = variance;
        }
        found
    }

    fn brightness(&self) -> f64 {
        self.signal.sqrt()
    }

    fn apart(&self, other: &Self) -> f64 {
        (self.y - other.y).hypot(self.x - other.x)
    }

    /// Correlation of the signals, at most 1; nothing if that of the traces
    /// could be chance.
    fn alike(&self, other: &Self, significance: f64) -> Option<f64> {
        if self.variance == 0.0 || other.variance == 0.0 {
            return None;
        }
        let covariance = covariance(&self.trace, self.mean, &other.trace, other.mean);
        let measured = covariance / (self.variance * other.variance).sqrt();
        let memory = self.memory * other.memory;
        let samples = self.trace.len() as f64 * (1.0 - memory) / (1.0 + memory);
        // Even a perfect correlation of a few samples may be chance.
        let errors = measured.clamp(-0.999, 0.999).atanh() * (samples - 3.0).max(0.0).sqrt();
        (errors >= significance)
            .then(|| (covariance / (self.signal * other.signal).sqrt()).min(1.0))
    }
}

/// Mean product of what two traces of one length have beyond their means.
fn covariance(a: &[f32], mean_a: f32, b: &[f32], mean_b: f32) -> f64 {
    let sum: f64 = a
        .chunks(256)
        .zip(b.chunks(256))
        .map(|(a, b)| f64::from(products(a, mean_a, b, mean_b)))
        .sum();
    sum / a.len().max(1) as f64
}

fluorspar_movie::vectorised! {
    fn products<'a>(a: &'a [f32], mean_a: f32, b: &'a [f32], mean_b: f32) -> f32 {
        let mut sums = [0.0_f32; 16];
        let (head_a, tail_a) = a.as_chunks::<16>();
        let (head_b, tail_b) = b.as_chunks::<16>();
        for (a, b) in head_a.iter().zip(head_b) {
            for k in 0..16 {
                sums[k] += (a[k] - mean_a) * (b[k] - mean_b);
            }
        }
        let mut sum = 0.0;
        for k in 0..16 {
            sum += sums[k];
        }
        for (a, b) in tail_a.iter().zip(tail_b) {
            sum += (a - mean_a) * (b - mean_b);
        }
        sum
    }
}

/// Two ROIs that may be one cell: the first lies in the plane before.
#[derive(Clone, Copy)]
struct Pair {
    rois: (usize, usize),
    alike: f64,
    apart: f64,
}

impl Pair {
    /// The better match is the greater: by likeness, distance, and at last by
    /// place, so that the order of ROIs does not matter.
    fn better(&self, other: &Self, rois: &[Roi<'_>]) -> std::cmp::Ordering {
        let places = |pair: &Self| {
            let (a, b) = (&rois[pair.rois.0], &rois[pair.rois.1]);
            [f64::from(a.plane), a.y, a.x, b.y, b.x]
        };
        self.alike
            .total_cmp(&other.alike)
            .then(other.apart.total_cmp(&self.apart))
            .then_with(|| {
                let (a, b) = (places(self), places(other));
                a.iter()
                    .zip(&b)
                    .map(|(a, b)| a.total_cmp(b))
                    .find(|order| order.is_ne())
                    .unwrap_or(std::cmp::Ordering::Equal)
            })
    }
}

/// Pairs in adjacent planes that are near and alike.
fn candidates(rois: &[Roi<'_>], reach: f64, parameters: &Merge) -> Vec<Pair> {
    let side = reach.max(1.0);
    let key = |roi: &Roi<'_>| {
        let bin = |v: f64| (v / side).floor() as i64;
        (roi.plane, bin(roi.y), bin(roi.x))
    };
    let mut bins: HashMap<(u32, i64, i64), Vec<usize>> = HashMap::new();
    for (index, roi) in rois.iter().enumerate() {
        bins.entry(key(roi)).or_default().push(index);
    }
    rois.par_iter()
        .enumerate()
        .flat_map_iter(|(index, roi)| {
            let (plane, row, column) = key(roi);
            let bins = &bins;
            plane
                .checked_add(1)
                .into_iter()
                .flat_map(move |next| {
                    (row - 1..=row + 1).flat_map(move |r| {
                        (column - 1..=column + 1).filter_map(move |c| bins.get(&(next, r, c)))
                    })
                })
                .flatten()
                .filter_map(move |&other| {
                    let apart = roi.apart(&rois[other]);
                    if apart > reach {
                        return None;
                    }
                    let alike = roi.alike(&rois[other], parameters.significance)?;
                    (alike >= parameters.correlation).then_some(Pair {
                        rois: (index, other),
                        alike,
                        apart,
                    })
                })
        })
        .collect()
}

/// Pairs of which each is the other's best, the best pair first.
fn mutual(rois: &[Roi<'_>], pairs: &[Pair]) -> Vec<Pair> {
    let mut above: Vec<Option<&Pair>> = vec![None; rois.len()];
    let mut below: Vec<Option<&Pair>> = vec![None; rois.len()];
    for pair in pairs {
        for slot in [&mut above[pair.rois.0], &mut below[pair.rois.1]] {
            if slot.is_none_or(|best| pair.better(best, rois).is_gt()) {
                *slot = Some(pair);
            }
        }
    }
    let mut joints: Vec<Pair> = above
        .into_iter()
        .flatten()
        .filter(|pair| below[pair.rois.1].is_some_and(|best| best.rois == pair.rois))
        .copied()
        .collect();
    joints.sort_by(|a, b| b.better(a, rois));
    joints
}

/// Groups of ROIs, planes ascending, in the order of their smallest ROI.
fn chains(rois: &[Roi<'_>], joints: Vec<Pair>, reach: f64, parameters: &Merge) -> Vec<Vec<usize>> {
    // Which chain each ROI is in, and the ROIs of each.
    let mut chain_of: Vec<usize> = (0..rois.len()).collect();
    let mut chains: Vec<Vec<usize>> = (0..rois.len()).map(|roi| vec![roi]).collect();
    for joint in joints {
        let (first, second) = (chain_of[joint.rois.0], chain_of[joint.rois.1]);
        let linked = chains[first].iter().all(|&a| {
            chains[second].iter().all(|&b| {
                (a, b) == joint.rois
                    || rois[a].apart(&rois[b]) <= reach
                        && rois[a]
                            .alike(&rois[b], parameters.significance)
                            .is_some_and(|alike| alike >= parameters.chain)
            })
        });
        if linked {
            let moved = std::mem::take(&mut chains[second]);
            for &roi in &moved {
                chain_of[roi] = first;
            }
            // The second lies in the planes after the first.
            chains[first].extend(moved);
        }
    }
    chains.retain(|chain| !chain.is_empty());
    chains.sort_by_key(|chain| chain.iter().min().copied());
    chains
}

fn cell(rois: &[Roi<'_>], members: Vec<usize>) -> Cell {
    let total: f64 = members.iter().map(|&roi| rois[roi].brightness()).sum();
    let weights: Vec<f64> = members
        .iter()
        .map(|&roi| {
            if total > 0.0 {
                rois[roi].brightness() / total
            } else {
                1.0 / members.len() as f64
            }
        })
        .collect();
    let mut centre = [0.0; 3];
    let mut brightest = 0;
    for (k, &roi) in members.iter().enumerate() {
        let place = [f64::from(rois[roi].plane), rois[roi].y, rois[roi].x];
        for (sum, v) in centre.iter_mut().zip(place) {
            *sum += weights[k] * v;
        }
        if weights[k] > weights[brightest] {
            brightest = k;
        }
    }
    Cell {
        planes: members.iter().map(|&roi| rois[roi].plane).collect(),
        weights: weights.iter().map(|&weight| weight as f32).collect(),
        centre,
        representative: members[brightest],
        rois: members,
    }
}
