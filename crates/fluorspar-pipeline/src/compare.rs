//! A run on a simulated experiment beside what was planted.

use std::path::Path;

use fluorspar_movie::{Footprints, iou};
use fluorspar_simulate::{Epoch, Experiment, SessionTruth};
use serde::Serialize;

use crate::artefact::{MotionTable, RoiTraces, Rois, TrackTable};
use crate::{Error, figures};

/// What a run found, beside what was planted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Median distance between estimated and planted motion, in pixels, after
    /// taking off each session's constant offset (which is the choice of its
    /// reference and not an error).
    pub registration_median_error_px: f64,
    /// Share of found ROIs that lie on a planted cell (overlap of at least
    /// one half, one to one).
    pub roi_precision: f64,
    /// Share of planted active cells that were found.
    pub roi_recall: f64,
    /// Median correlation of ΔF/F with the planted one, over found cells.
    pub dff_correlation: f64,
    /// Share of matches across sessions that join the same planted cell,
    /// among pairs of ROIs that lie on planted cells.
    pub match_precision: f64,
    /// Share of planted pairs, found in both sessions, that were matched.
    pub match_recall: f64,
    /// How much the code changed its stability, per epoch.
    pub epochs: Vec<EpochChange>,
}

/// The change of stability of one epoch's code between early and late practice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochChange {
    /// Epoch of the task.
    pub epoch: String,
    /// Label that the code is for.
    pub variable: String,
    /// Whether crystallization was planted here.
    pub planted: bool,
    /// Late minus early similarity of neighbouring sessions.
    pub change: Option<f64>,
    /// Lower end of its interval, wide enough that those of all epochs hold
    /// together with 95 %.
    pub lo: Option<f64>,
    /// Upper end of it.
    pub hi: Option<f64>,
}

/// Three intervals are judged at once. Each must then hold with 98.3 %
/// (Bonferroni), which widens normal intervals of 95 % by 2.394 / 1.960.
const TOGETHER: f64 = 2.394 / 1.960;

impl EpochChange {
    /// Whether the interval lies above 0 where crystallization was planted,
    /// and includes 0 where it was not.
    pub fn agrees(&self) -> bool {
        match (self.lo, self.hi) {
            (Some(lo), Some(hi)) if self.planted => lo > 0.0 && hi > lo,
            (Some(lo), Some(hi)) => lo <= 0.0 && hi >= 0.0,
            _ => false,
        }
    }
}

/// One line of the printed comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What is measured.
    pub what: String,
    /// What came out.
    pub found: String,
    /// What is asked for.
    pub asked: String,
    /// Whether it is reached.
    pub reached: bool,
}

impl Comparison {
    /// The comparison as lines, each with the bar it must clear.
    pub fn checks(&self) -> Vec<Check> {
        let at_least = |what: &str, value: f64, bar: f64| Check {
            what: what.into(),
            found: format!("{value:.3}"),
            asked: format!("≥ {bar}"),
            reached: value >= bar,
        };
        let mut out = vec![
            Check {
                what: "registration: median error".into(),
                found: format!("{:.3} px", self.registration_median_error_px),
                asked: "≤ 0.2 px".into(),
                reached: self.registration_median_error_px <= 0.2,
            },
            at_least("ROIs: precision at IoU 0.5", self.roi_precision, 0.8),
            at_least("ROIs: recall of active cells", self.roi_recall, 0.8),
            at_least("ΔF/F: median correlation", self.dff_correlation, 0.8),
            at_least("matched cells: precision", self.match_precision, 0.9),
            at_least("matched cells: recall", self.match_recall, 0.8),
        ];
        for epoch in &self.epochs {
            let show = |v: Option<f64>| v.map_or_else(|| "–".into(), |v| format!("{v:+.2}"));
            out.push(Check {
                what: format!("{}: change of the code", epoch.epoch.replace('_', " ")),
                found: format!(
                    "{} [{}, {}]",
                    show(epoch.change),
                    show(epoch.lo),
                    show(epoch.hi)
                ),
                asked: if epoch.planted {
                    "interval above 0 (planted)".into()
                } else {
                    "interval includes 0 (none planted)".into()
                },
                reached: epoch.agrees(),
            });
        }
        out
    }
}

/// Compares the run in `out` with the experiment it was made from.
///
/// # Errors
/// [`Error::Stage`] or [`Error::BadData`] naming the artefact that cannot be read.
pub fn compare(experiment: &Experiment, out: &Path) -> Result<Comparison, Error> {
    let truth = experiment.truth();
    let tracks = TrackTable::read(&out.join("tracks.zarr"))?;
    let mut errors = Vec::new();
    let (mut found, mut hits, mut active, mut recalled) = (0, 0, 0, 0);
    let mut correlations = Vec::new();
    // For each session: the planted cell under each found ROI.
    let mut cells: Vec<Vec<Option<i64>>> = Vec::new();
    for (index, planted) in truth.sessions.iter().enumerate() {
        let folder = out.join(format!("session-{:02}", index + 1));
        let motion = MotionTable::read(&folder.join("motion.zarr"))?;
        let stored = folder.join("rois.zarr");
        let rois = Rois::read(&stored)?;
        let dff = RoiTraces::open(&stored)?.all("dff")?;
        let (oy, ox) = offset(&motion, planted);
        for (frame, &(dy, dx)) in planted.motion.iter().enumerate() {
            let ey = f64::from(motion.dy[frame] - dy) - oy;
            let ex = f64::from(motion.dx[frame] - dx) - ox;
            errors.push(ey.hypot(ex));
        }
        let moved = shifted(&planted.footprints, -oy.round() as i64, -ox.round() as i64);
        let counted = rois.cells();
        let pairs: Vec<(usize, usize)> = one_to_one(&rois.footprints.select(&counted), &moved)
            .into_iter()
            .map(|(cell, target)| (counted[cell], target))
            .collect();
        found += counted.len();
        hits += pairs.len();
        active += planted.active.iter().filter(|&&a| a).count();
        recalled += pairs.iter().filter(|&&(_, t)| planted.active[t]).count();
        let mut here = vec![None; rois.footprints.len()];
        for &(roi, target) in &pairs {
            here[roi] = Some(planted.cell[target]);
            if planted.active[target] {
                let dff = dff.row(roi);
                let expected = planted.dff.row(planted.cell[target] as usize);
                correlations.push(correlation(
                    &dff.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(),
                    &expected.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(),
                ));
            }
        }
        cells.push(here);
    }
    let (match_precision, match_recall) = matching(&tracks, &cells);
    Ok(Comparison {
        registration_median_error_px: median(&mut errors),
        roi_precision: share(hits, found),
        roi_recall: share(recalled, active),
        dff_correlation: median(&mut correlations),
        match_precision,
        match_recall,
        epochs: epoch_changes(out)?,
    })
}

/// The constant by which a session's estimated shifts differ from the planted ones.
fn offset(motion: &MotionTable, planted: &SessionTruth) -> (f64, f64) {
    let mut ys: Vec<f64> = Vec::new();
    let mut xs: Vec<f64> = Vec::new();
    for (frame, &(dy, dx)) in planted.motion.iter().enumerate() {
        ys.push(f64::from(motion.dy[frame] - dy));
        xs.push(f64::from(motion.dx[frame] - dx));
    }
    (median(&mut ys), median(&mut xs))
}

/// Footprints moved by whole pixels; what leaves the image is cut, and a
/// footprint that leaves it altogether keeps one pixel in a corner, where
/// nothing can match it.
fn shifted(footprints: &Footprints, dy: i64, dx: i64) -> Footprints {
    let (height, width) = (footprints.height() as i64, footprints.width() as i64);
    let mut out = Footprints::new(footprints.height(), footprints.width());
    for footprint in footprints.iter() {
        let mut indices = Vec::new();
        let mut weights = Vec::new();
        for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
            let (y, x) = (i64::from(index) / width + dy, i64::from(index) % width + dx);
            if (0..height).contains(&y) && (0..width).contains(&x) {
                indices.push((y * width + x) as u32);
                weights.push(weight);
            }
        }
        if out.push(&indices, &weights, footprint.plane).is_err() {
            // An empty footprint: stand in with a plane that no ROI is in.
            let _ = out.push(&[0], &[1.0], u32::MAX);
        }
    }
    out
}

/// Pairs `(found, planted)` with an overlap of at least one half, best first.
fn one_to_one(found: &Footprints, planted: &Footprints) -> Vec<(usize, usize)> {
    let mut candidates = Vec::new();
    for (i, a) in found.iter().enumerate() {
        for (j, b) in planted.iter().enumerate() {
            let overlap = iou(a, b);
            if overlap >= 0.5 {
                candidates.push((overlap, i, j));
            }
        }
    }
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut used = (vec![false; found.len()], vec![false; planted.len()]);
    let mut out = Vec::new();
    for (_, i, j) in candidates {
        if !used.0[i] && !used.1[j] {
            used.0[i] = true;
            used.1[j] = true;
            out.push((i, j));
        }
    }
    out
}

fn matching(tracks: &TrackTable, cells: &[Vec<Option<i64>>]) -> (f64, f64) {
    let sessions = cells.len();
    let (mut right, mut judged, mut possible) = (0, 0, 0);
    for i in 0..sessions {
        for j in i + 1..sessions {
            for row in tracks.roi_index.rows() {
                if row[i] < 0 || row[j] < 0 {
                    continue;
                }
                let pair = (cells[i][row[i] as usize], cells[j][row[j] as usize]);
                if let (Some(a), Some(b)) = pair {
                    judged += 1;
                    right += usize::from(a == b);
                }
            }
            let there = |cell: &&Option<i64>| cell.is_some() && cells[j].contains(cell);
            possible += cells[i].iter().filter(there).count();
        }
    }
    (share(right, judged), share(right, possible))
}

fn epoch_changes(out: &Path) -> Result<Vec<EpochChange>, Error> {
    let rows = figures::crystallization(&out.join("drift"))?;
    let wanted = [
        (Epoch::Odour1, "odour1"),
        (Epoch::LateDelay, "odour1"),
        (Epoch::Choice, "choice"),
    ];
    Ok(wanted
        .iter()
        .map(|&(epoch, variable)| {
            let row = rows
                .iter()
                .find(|row| row.epoch == epoch.name() && row.variable == variable);
            let change = row.and_then(|row| row.statistic);
            let widened = |end: Option<f64>| {
                let (end, change) = (end?, change?);
                Some(change + TOGETHER * (end - change))
            };
            EpochChange {
                epoch: epoch.name().into(),
                variable: variable.into(),
                planted: epoch == Epoch::LateDelay,
                change,
                lo: widened(row.and_then(|row| row.lo)),
                hi: widened(row.and_then(|row| row.hi)),
            }
        })
        .collect())
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        f64::NAN
    } else {
        part as f64 / whole as f64
    }
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len()) as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    ab / (aa * bb).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluorspar_track::{Presence, Transform};
    use ndarray::array;

    #[test]
    fn overlapping_cells_are_paired_once() {
        let mut found = Footprints::new(2, 10);
        found.push(&[0, 1, 2, 3], &[1.0; 4], 0).unwrap();
        found.push(&[0, 1, 2], &[1.0; 3], 0).unwrap();
        let mut planted = Footprints::new(2, 10);
        planted.push(&[1, 2, 3, 4], &[1.0; 4], 0).unwrap();
        planted.push(&[15, 16], &[1.0; 2], 0).unwrap();
        let moved = shifted(&planted, 0, -1);
        assert_eq!(one_to_one(&found, &moved), [(0, 0)]);
        assert_eq!(shifted(&planted, 5, 0).get(1).plane, u32::MAX);
    }

    #[test]
    fn a_wrong_match_costs_precision() {
        let tracks = TrackTable {
            roi_index: array![[0, 0], [1, 2], [2, -1]],
            p_same: array![[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]],
            presence: array![
                [Presence::Matched, Presence::Matched],
                [Presence::Matched, Presence::Matched],
                [Presence::Matched, Presence::Undetected]
            ],
            confidence: vec![1.0; 3],
            verdicts: vec!["aligned".into(); 2],
            transforms: vec![Transform::identity(); 2],
            reference: 0,
        };
        let cells = vec![
            vec![Some(5), Some(6), Some(7)],
            vec![Some(5), Some(6), Some(9)],
        ];
        let (precision, recall) = matching(&tracks, &cells);
        assert_eq!(precision, 0.5);
        assert_eq!(recall, 0.5);
    }
}
