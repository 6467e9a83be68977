//! Whether cells fire in the same order in two sessions, on held-out trials.

use ndarray::Array2;
use rayon::prelude::*;

use super::super::context::{Context, Window};
use super::super::population::few;
use super::cells::LEAST_RELIABILITY;
use super::places::Places;
use super::quarters::Quarters;
use crate::single_cell::{order_of_counts, peak_shift_chance};
use crate::statistics::pearson;
use crate::table::row;

row! {
    /// Order of peak times in two sessions; a row of `sequences.csv`. Cells
    /// are chosen on two quarters of each session's trials and compared
    /// between the other two, so that neither choosing nor sorting makes an
    /// order; the diagonal compares quarters of one session.
    SequenceRow in "sequences" {
        /// Epoch of the trial.
        epoch: String,
        /// Label, or empty for all trials.
        variable: String,
        /// Which label, or empty for all trials.
        label: String,
        /// First session, from 1.
        session_i: usize,
        /// Second session, from 1.
        session_j: usize,
        /// Elapsed days of the first.
        day_i: f64,
        /// Elapsed days of the second.
        day_j: f64,
        /// Spearman correlation of peak times.
        spearman: f64,
        /// The same between quarters of one session, mean of the two.
        spearman_floor: f64,
        /// Kendall's τ-b of peak times.
        kendall: f64,
        /// The same between quarters of one session, mean of the two.
        kendall_floor: f64,
        /// Mean shift of peaks, seconds.
        peak_shift_s: f64,
        /// The same between quarters of one session, mean of the two.
        peak_shift_floor_s: f64,
        /// The same for peaks anywhere at random.
        peak_shift_chance_s: f64,
        /// Activity of one session at the other's peaks over activity elsewhere.
        ridge_to_background: f64,
        /// Cells with a reliable time course in both.
        n_cells: usize,
        /// Trials in a quarter, of the session with fewer.
        quarter_trials: usize,
        /// Time bins.
        n_bins: usize,
        /// Least correlation of a cell's first two quarters.
        least_reliability: f64,
        /// Why there is no value, or empty.
        reason: String,
    }
}

/// Cells of one session for one label.
struct Order {
    /// By member: peak bins in the third and fourth quarter if the first two agree.
    peaks: Vec<Option<[u16; 2]>>,
}

pub(super) fn rows(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    variable: &str,
    quarters: &[Result<Quarters, String>],
) -> Vec<SequenceRow> {
    let classes = context.classes(variable);
    let labels = if variable.is_empty() {
        1
    } else {
        classes.len()
    };
    let mut out = Vec::new();
    for label in 0..labels {
        let orders: Vec<Option<Order>> = quarters
            .par_iter()
            .map(|q| Some(Order::new(q.as_ref().ok()?, label)))
            .collect();
        let pairs = context.pairs(true);
        let mut rows: Vec<SequenceRow> = pairs
            .par_iter()
            .map(|&(i, j)| {
                let mut row = SequenceRow {
                    epoch: window.epoch.name.clone(),
                    variable: variable.into(),
                    label: if variable.is_empty() {
                        String::new()
                    } else {
                        classes[label].to_string()
                    },
                    session_i: i + 1,
                    session_j: j + 1,
                    day_i: context.sessions[i].day,
                    day_j: context.sessions[j].day,
                    spearman: f64::NAN,
                    spearman_floor: f64::NAN,
                    kendall: f64::NAN,
                    kendall_floor: f64::NAN,
                    peak_shift_s: f64::NAN,
                    peak_shift_floor_s: f64::NAN,
                    peak_shift_chance_s: f64::NAN,
                    ridge_to_background: f64::NAN,
                    n_cells: 0,
                    quarter_trials: 0,
                    n_bins: 0,
                    least_reliability: LEAST_RELIABILITY,
                    reason: String::new(),
                };
                if let Err(reason) = fill(&mut row, context, places, quarters, &orders, label) {
                    row.reason = reason;
                }
                row
            })
            .collect();
        let of_diagonal = |read: fn(&SequenceRow) -> f64| -> Vec<f64> {
            rows.iter()
                .filter(|row| row.session_i == row.session_j)
                .map(read)
                .collect()
        };
        let spearman = of_diagonal(|row| row.spearman);
        let kendall = of_diagonal(|row| row.kendall);
        let shift = of_diagonal(|row| row.peak_shift_s);
        for (row, &(i, j)) in rows.iter_mut().zip(&pairs) {
            row.spearman_floor = f64::midpoint(spearman[i], spearman[j]);
            row.kendall_floor = f64::midpoint(kendall[i], kendall[j]);
            row.peak_shift_floor_s = f64::midpoint(shift[i], shift[j]);
        }
        out.extend(rows);
    }
    out
}

impl Order {
    fn new(quarters: &Quarters, label: usize) -> Self {
        let peaks = (0..quarters.means[0].nrows())
            .map(|member| {
                let [a, b, c, d] = [0, 1, 2, 3].map(|q| quarters.course(q, member, label));
                let reliable = pearson(&a, &b) >= LEAST_RELIABILITY;
                let (c, d) = (peak(&c)?, peak(&d)?);
                reliable.then_some([c, d])
            })
            .collect();
        Self { peaks }
    }
}

/// The first greatest bin; none if the course does not vary.
fn peak(course: &[f64]) -> Option<u16> {
    let mut best = 0;
    for (bin, &value) in course.iter().enumerate() {
        if value > course[best] {
            best = bin;
        }
    }
    course
        .iter()
        .any(|&v| v < course[best])
        .then_some(best as u16)
}

fn fill(
    row: &mut SequenceRow,
    context: &Context<'_>,
    places: &Places,
    quarters: &[Result<Quarters, String>],
    orders: &[Option<Order>],
    label: usize,
) -> Result<(), String> {
    let (i, j) = (row.session_i - 1, row.session_j - 1);
    let first = quarters[i].as_ref().map_err(Clone::clone)?;
    let second = quarters[j].as_ref().map_err(Clone::clone)?;
    let (Some(one), Some(two)) = (&orders[i], &orders[j]) else {
        return Ok(());
    };
    let bins = first.bins;
    row.n_bins = bins;
    row.quarter_trials = first.trials.min(second.trials);
    if second.bins != bins || bins < 3 {
        return Err(format!(
            "an order needs as many time bins in both sessions, at least 3; there are {bins} and {}",
            second.bins
        ));
    }
    let chosen: Vec<(usize, usize, [u16; 2], [u16; 2])> = places
        .shared(i, j)
        .filter_map(|(a, b)| Some((a, b, one.peaks[a]?, two.peaks[b]?)))
        .collect();
    row.n_cells = chosen.len();
    let least = context.parameters.min_cells;
    if chosen.len() < least {
        return Err(few(chosen.len(), least));
    }
    let width = (first.time_s[bins - 1] - first.time_s[0]) / (bins - 1) as f64;
    let (mut shift, mut ridge, mut elsewhere) = (0.0, [0.0; 2], [0.0; 2]);
    let mut correlations = [0.0; 2];
    for crossing in [[0, 1], [1, 0]] {
        let mut counts = Array2::<u64>::zeros((bins, bins));
        for &(_, b, peaks_i, peaks_j) in &chosen {
            let at = usize::from(peaks_i[crossing[0]]);
            let shown = usize::from(peaks_j[crossing[1]]);
            counts[[at, shown]] += 1;
            shift += at.abs_diff(shown) as f64;
            let map = &second.means[2 + crossing[1]];
            for bin in 0..bins {
                let value = f64::from(map[[b, label * bins + bin]]);
                let part = if bin.abs_diff(at) <= RIDGE {
                    &mut ridge
                } else {
                    &mut elsewhere
                };
                part[0] += value;
                part[1] += 1.0;
            }
        }
        for (sum, value) in correlations.iter_mut().zip(order_of_counts(counts.view())) {
            *sum += value / 2.0;
        }
    }
    [row.kendall, row.spearman] = correlations;
    row.peak_shift_s = shift / (2 * chosen.len()) as f64 * width;
    row.peak_shift_chance_s = peak_shift_chance(bins, false) * width;
    let background = elsewhere[0] / elsewhere[1];
    if background > 0.0 {
        row.ridge_to_background = ridge[0] / ridge[1] / background;
    }
    if row.spearman.is_nan() {
        return Err("all cells peak in the same time bin".into());
    }
    Ok(())
}

/// Bins on either side of a peak that belong to it.
const RIDGE: usize = 1;
