//! Bits that single cells carry about a label.

use rayon::prelude::*;

use super::super::context::{Context, Window};
use super::places::Places;
use super::tested::means;
use crate::single_cell::{Permutations, doubled_ranks, information_of_counts, skaggs};
use crate::statistics::{mean, quantile};
use crate::table::row;

/// Bins of equal numbers of trials into which a response is sorted.
const RESPONSES: usize = 4;

/// Means over cells are taken over at most this many, spread evenly: more
/// would not move them.
const MOST_CELLS: usize = 10_000;

row! {
    /// Information about a label in the epoch's mean activity; a row of `information.csv`.
    InformationRow in "information" {
        /// Epoch of the trial.
        epoch: String,
        /// Label.
        variable: String,
        /// Session, from 1.
        session: usize,
        /// Elapsed days.
        day: f64,
        /// Cells that vary, of at most 10,000 that are looked at.
        n_cells: usize,
        /// Bins of equal numbers of trials.
        response_bins: usize,
        /// Mutual information from the counts as they are, bits, mean over cells.
        mutual_information_raw: f64,
        /// Bias after Panzeri and Treves 1996.
        mutual_information_bias: f64,
        /// Raw less bias.
        mutual_information: f64,
        /// Median over cells of raw less bias.
        mutual_information_median: f64,
        /// Cells whose mean activity is above 0 for some and below 0 for no label.
        n_skaggs: usize,
        /// Information of Skaggs et al. 1993, bits per event, mean over cells.
        skaggs_raw: f64,
        /// The same with labels exchanged at random.
        skaggs_exchanged: f64,
        /// Raw less exchanged.
        skaggs: f64,
        /// Seed of the exchange.
        seed: u64,
        /// Why there is no value, or empty.
        reason: String,
    }
}

pub(super) fn rows(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    variable: &str,
) -> Vec<InformationRow> {
    (0..context.sessions.len())
        .map(|session| {
            let mut row = InformationRow {
                epoch: window.epoch.name.clone(),
                variable: variable.into(),
                session: session + 1,
                day: context.sessions[session].day,
                n_cells: 0,
                response_bins: RESPONSES,
                mutual_information_raw: f64::NAN,
                mutual_information_bias: f64::NAN,
                mutual_information: f64::NAN,
                mutual_information_median: f64::NAN,
                n_skaggs: 0,
                skaggs_raw: f64::NAN,
                skaggs_exchanged: f64::NAN,
                skaggs: f64::NAN,
                seed: context.parameters.seed,
                reason: String::new(),
            };
            if let Err(reason) = fill(&mut row, context, window, places, session) {
                row.reason = reason;
            }
            row
        })
        .collect()
}

/// What one cell tells.
struct Bits {
    /// Raw information and bias.
    mutual: [f64; 2],
    /// Bits per event with the labels as they are and exchanged.
    events: Option<[f64; 2]>,
}

fn fill(
    row: &mut InformationRow,
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    session: usize,
) -> Result<(), String> {
    let means = means(context, window, places, session, &row.variable)?;
    let labels = context.labels(session, &row.variable);
    let drawn = Permutations::new(labels, None, 1, context.parameters.seed)
        .map_err(|e| format!("session {}: {e}", session + 1))?;
    let looked_at = means.nrows().min(MOST_CELLS);
    let found: Vec<Option<Bits>> = (0..looked_at)
        .into_par_iter()
        .map(|k| {
            let cell = k * means.nrows() / looked_at;
            let activity: Vec<f64> = means.row(cell).iter().map(|&v| f64::from(v)).collect();
            if activity.iter().all(|&v| v == activity[0]) {
                return None;
            }
            let bits = [drawn.observed(), drawn.exchanged(0, 1)]
                .map(|codes| bits_per_event(&activity, codes, drawn.counts()));
            let mutual = mutual(&activity, drawn.observed(), drawn.counts().len());
            let [raw, exchanged] = bits;
            Some(Bits {
                mutual,
                events: raw.zip(exchanged).map(|(a, b)| [a, b]),
            })
        })
        .collect();
    let mutual: Vec<[f64; 2]> = found.iter().flatten().map(|f| f.mutual).collect();
    row.n_cells = mutual.len();
    if mutual.is_empty() {
        return Err("no cell varies".into());
    }
    let of = |read: fn(&[f64; 2]) -> f64, all: &[[f64; 2]]| -> Vec<f64> {
        all.iter().map(read).collect()
    };
    row.mutual_information_raw = mean(&of(|m| m[0], &mutual));
    row.mutual_information_bias = mean(&of(|m| m[1], &mutual));
    row.mutual_information = row.mutual_information_raw - row.mutual_information_bias;
    let mut corrected = of(|m| m[0] - m[1], &mutual);
    corrected.sort_by(f64::total_cmp);
    row.mutual_information_median = quantile(&corrected, 0.5);
    let events: Vec<[f64; 2]> = found.iter().flatten().filter_map(|f| f.events).collect();
    row.n_skaggs = events.len();
    row.skaggs_raw = mean(&of(|m| m[0], &events));
    row.skaggs_exchanged = mean(&of(|m| m[1], &events));
    row.skaggs = row.skaggs_raw - row.skaggs_exchanged;
    Ok(())
}

fn bits_per_event(activity: &[f64], codes: &[u8], counts: &[usize]) -> Option<f64> {
    let mut rate = vec![0.0; counts.len()];
    for (value, &code) in activity.iter().zip(codes) {
        rate[usize::from(code)] += value;
    }
    for (rate, &n) in rate.iter_mut().zip(counts) {
        *rate /= n as f64;
    }
    let occupancy: Vec<f64> = counts.iter().map(|&n| n as f64).collect();
    Some(skaggs(&rate, &occupancy).ok()?.bits_per_event)
}

fn mutual(activity: &[f64], codes: &[u8], labels: usize) -> [f64; 2] {
    let mut counts = vec![0_u32; labels * RESPONSES];
    let n = activity.len() as f32;
    for (rank, &code) in doubled_ranks(activity).iter().zip(codes) {
        let bin = (((rank - 1.0) / (2.0 * n) * RESPONSES as f32) as usize).min(RESPONSES - 1);
        counts[usize::from(code) * RESPONSES + bin] += 1;
    }
    information_of_counts(&counts, RESPONSES)
}
