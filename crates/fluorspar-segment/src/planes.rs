use std::collections::{HashMap, HashSet};

use fluorspar_movie::Footprints;
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::Error;
use crate::signal::{PairSums, Signal};

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
    if traces.nrows() != footprints.len() {
        return Err(misuse(format!(
            "{} traces for {} footprints",
            traces.nrows(),
            footprints.len()
        )));
    }
    let traces = traces.as_standard_layout();
    let signals: Vec<Signal> = (0..traces.nrows())
        .into_par_iter()
        .map(|roi| Signal::of(traces.row(roi).as_slice().unwrap_or_default()))
        .collect();
    let covariances = |pairs: &[(usize, usize)]| {
        let mut sums = PairSums::new(pairs, &signals);
        sums.add(traces.view())?;
        Ok(sums.finish())
    };
    merge_planes_by(
        footprints,
        &signals,
        traces.ncols(),
        covariances,
        parameters,
    )
}

/// [`merge_planes`] for traces that do not fit into memory: of each trace its
/// [`Signal`] must be known, and `covariances` is asked for the covariances of
/// some pairs of ROIs, twice: of neighbours in adjacent planes, then of what
/// may be far ends of one cell ([`PairSums`] computes them).
/// `samples` is the length of the traces.
///
/// # Errors
/// As [`merge_planes`], and whatever `covariances` reports.
pub fn merge_planes_by<E: From<Error>>(
    footprints: &Footprints,
    signals: &[Signal],
    samples: usize,
    mut covariances: impl FnMut(&[(usize, usize)]) -> Result<Vec<f64>, E>,
    parameters: &Merge,
) -> Result<Vec<Cell>, E> {
    parameters.validate()?;
    if signals.len() != footprints.len() {
        return Err(misuse(format!(
            "{} signals for {} footprints",
            signals.len(),
            footprints.len()
        ))
        .into());
    }
    let planes = footprints.planes();
    let last = planes.iter().max().map_or(0, |&plane| plane as usize + 1);
    if !parameters.offsets.is_empty() && parameters.offsets.len() < last {
        return Err(misuse(format!(
            "offsets of {} planes for footprints in {last}",
            parameters.offsets.len()
        ))
        .into());
    }
    let rois: Vec<Roi> = (0..footprints.len())
        .map(|roi| {
            let plane = planes[roi];
            let (dy, dx) = parameters
                .offsets
                .get(plane as usize)
                .copied()
                .unwrap_or_default();
            let (y, x) = footprints.centroid(roi);
            Roi {
                plane,
                y: y - dy,
                x: x - dx,
                signal: signals[roi],
            }
        })
        .collect();
    let reach = parameters.distance_um / parameters.pixel_um;
    let mut alike = Likeness {
        rois: &rois,
        samples,
        significance: parameters.significance,
        known: HashMap::new(),
    };
    let near = near(&rois, reach);
    alike.learn(&near, covariances(&near)?);
    let pairs: Vec<Pair> = near
        .into_iter()
        .filter_map(|(a, b)| {
            let value = alike.of(a, b)?;
            (value >= parameters.correlation).then(|| Pair {
                rois: (a, b),
                alike: value,
                apart: rois[a].apart(&rois[b]),
            })
        })
        .collect();
    let joints = mutual(&rois, &pairs);
    let ends = ends(&rois, &joints, reach, &alike);
    alike.learn(&ends, covariances(&ends)?);
    Ok(chains(&alike, joints, reach, parameters)
        .into_iter()
        .map(|members| cell(&rois, members))
        .collect())
}

fn misuse(message: String) -> Error {
    Error::Movie(fluorspar_movie::Error::misuse(message))
}

struct Roi {
    plane: u32,
    y: f64,
    x: f64,
    signal: Signal,
}

impl Roi {
    fn apart(&self, other: &Self) -> f64 {
        (self.y - other.y).hypot(self.x - other.x)
    }
}

/// How alike the ROIs of pairs are whose covariance is known.
struct Likeness<'a> {
    rois: &'a [Roi],
    samples: usize,
    significance: f64,
    /// Covariances; the smaller index first.
    known: HashMap<(usize, usize), f64>,
}

impl Likeness<'_> {
    fn learn(&mut self, pairs: &[(usize, usize)], covariances: Vec<f64>) {
        let keys = pairs.iter().map(|&(a, b)| (a.min(b), a.max(b)));
        self.known.extend(keys.zip(covariances));
    }

    fn knows(&self, a: usize, b: usize) -> bool {
        self.known.contains_key(&(a.min(b), a.max(b)))
    }

    fn of(&self, a: usize, b: usize) -> Option<f64> {
        let &covariance = self.known.get(&(a.min(b), a.max(b)))?;
        let (a, b) = (&self.rois[a].signal, &self.rois[b].signal);
        a.alike(b, covariance, self.samples, self.significance)
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
    fn better(&self, other: &Self, rois: &[Roi]) -> std::cmp::Ordering {
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

/// Pairs in adjacent planes that are near each other and can be compared.
fn near(rois: &[Roi], reach: f64) -> Vec<(usize, usize)> {
    let side = reach.max(1.0);
    let key = |roi: &Roi| {
        let bin = |v: f64| (v / side).floor() as i64;
        (roi.plane, bin(roi.y), bin(roi.x))
    };
    let mut bins: HashMap<(u32, i64, i64), Vec<usize>> = HashMap::new();
    for (index, roi) in rois.iter().enumerate() {
        if roi.signal.variance > 0.0 {
            bins.entry(key(roi)).or_default().push(index);
        }
    }
    let mut pairs = Vec::new();
    for (index, roi) in rois.iter().enumerate() {
        let (plane, row, column) = key(roi);
        let Some(next) = plane.checked_add(1).filter(|_| roi.signal.variance > 0.0) else {
            continue;
        };
        let around =
            (row - 1..=row + 1).flat_map(|r| (column - 1..=column + 1).map(move |c| (r, c)));
        let others = around
            .filter_map(|(r, c)| bins.get(&(next, r, c)))
            .flatten();
        pairs.extend(
            others
                .filter(|&&other| roi.apart(&rois[other]) <= reach)
                .map(|&other| (index, other)),
        );
    }
    pairs
}

/// Pairs of ROIs that joints could bring into one chain, near enough for
/// that, whose likeness is not known yet.
fn ends(rois: &[Roi], joints: &[Pair], reach: f64, alike: &Likeness<'_>) -> Vec<(usize, usize)> {
    // A ROI has at most one joint to either side: joints make paths.
    let next: HashMap<usize, usize> = joints.iter().map(|pair| pair.rois).collect();
    let mut firsts: Vec<usize> = {
        let reached: HashSet<usize> = next.values().copied().collect();
        next.keys()
            .copied()
            .filter(|roi| !reached.contains(roi))
            .collect()
    };
    firsts.sort_unstable();
    let mut pairs = Vec::new();
    for first in firsts {
        let path: Vec<usize> =
            std::iter::successors(Some(first), |at| next.get(at).copied()).collect();
        for (k, &a) in path.iter().enumerate() {
            for &b in &path[k + 1..] {
                if rois[a].apart(&rois[b]) <= reach && !alike.knows(a, b) {
                    pairs.push((a, b));
                }
            }
        }
    }
    pairs
}

/// Pairs of which each is the other's best, the best pair first.
fn mutual(rois: &[Roi], pairs: &[Pair]) -> Vec<Pair> {
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
fn chains(
    alike: &Likeness<'_>,
    joints: Vec<Pair>,
    reach: f64,
    parameters: &Merge,
) -> Vec<Vec<usize>> {
    let rois = alike.rois;
    // Which chain each ROI is in, and the ROIs of each.
    let mut chain_of: Vec<usize> = (0..rois.len()).collect();
    let mut chains: Vec<Vec<usize>> = (0..rois.len()).map(|roi| vec![roi]).collect();
    for joint in joints {
        let (first, second) = (chain_of[joint.rois.0], chain_of[joint.rois.1]);
        let linked = chains[first].iter().all(|&a| {
            chains[second].iter().all(|&b| {
                (a, b) == joint.rois
                    || rois[a].apart(&rois[b]) <= reach
                        && alike
                            .of(a, b)
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

fn cell(rois: &[Roi], members: Vec<usize>) -> Cell {
    let total: f64 = members
        .iter()
        .map(|&roi| rois[roi].signal.brightness())
        .sum();
    let weights: Vec<f64> = members
        .iter()
        .map(|&roi| {
            if total > 0.0 {
                rois[roi].signal.brightness() / total
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
