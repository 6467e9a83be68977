//! Cells counted twice, and how many independent cells there are.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView1, Axis};

use super::finding::{Finding, Status};
use super::trials::EpochTrials;
use crate::statistics::pearson;
use crate::{Error, Inclusion, Session};

/// Which cells could be one: in different planes, this close, this alike.
const LATERAL_UM: f64 = 10.0;
const AXIAL_UM: f64 = 40.0;
const NOISE_CORRELATION: f64 = 0.5;
const SIGNAL_CORRELATION: f64 = 0.7;

/// Two cells that may be one.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateRow {
    /// Identity of the first.
    pub first: i64,
    /// Identity of the second.
    pub second: i64,
    /// Correlation of their mean responses over labels and time bins.
    pub signal_correlation: f64,
    /// Correlation over trials within a label.
    pub noise_correlation: f64,
}

/// Duplicates in one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicates {
    /// Cells that vary.
    pub cells: usize,
    /// How many independent cells they are worth.
    pub effective: f64,
    /// Pairs that may be one cell; empty without places.
    pub pairs: Vec<DuplicateRow>,
    /// `duplicate_cells`, `independent_cells`.
    pub findings: Vec<Finding>,
}

/// Cells seen in two planes, and the number of independent cells.
///
/// Two cells in different planes, at most 10 µm apart laterally and 40 µm
/// axially, may be one if their mean responses correlate above 0.7 and their
/// trial-to-trial deviations above 0.5.
///
/// The noise of a similarity is a sum over cells of products of two sessions'
/// noise; for two cells these go together by the square of their noise
/// correlation `r`. `N` cells are therefore worth `N²/Σ_nm r_nm²` independent
/// ones (participation ratio of the noise; what `R` trials add to `r²` by
/// chance is taken off), and an interval from resampling cells is too narrow
/// by up to the root of `N` over that.
///
/// `trials` are the epoch of this session ([`EpochTrials::of`]).
///
/// # Errors
/// [`Error::Shape`] if `trials` are not those of the session.
pub fn duplicates(session: &Session, trials: &EpochTrials<'_>) -> Result<Duplicates, Error> {
    EpochTrials::check(std::slice::from_ref(trials), Inclusion::Tracked)?;
    session.check(1, &[])?;
    if session.cell != trials.cell || session.activity.dim().0 != trials.labels.len() {
        return Err(Error::Shape(
            "the trials are not those of the session".into(),
        ));
    }
    let (noise, cells, freedom) = unit_residuals(trials);
    if cells.len() < 2 || freedom < 3 {
        let why = "fewer than two cells vary, or there are too few trials";
        return Ok(Duplicates {
            cells: cells.len(),
            effective: f64::NAN,
            pairs: Vec::new(),
            findings: vec![
                Finding::not_checked("duplicate_cells", why),
                Finding::not_checked("independent_cells", why),
            ],
        });
    }
    let effective = independent(&noise, freedom);
    let pairs = session.place_um.as_ref().map(|places| {
        let candidates = close(places, &cells);
        let mut means = BTreeMap::new();
        let mut pairs = Vec::new();
        for (a, b) in candidates {
            let noise_correlation = noise.column(a).dot(&noise.column(b));
            if noise_correlation <= NOISE_CORRELATION {
                continue;
            }
            for cell in [a, b] {
                means
                    .entry(cell)
                    .or_insert_with(|| mean_response(session, trials, cells[cell]));
            }
            let signal_correlation = pearson(&means[&a], &means[&b]);
            if signal_correlation > SIGNAL_CORRELATION {
                pairs.push(DuplicateRow {
                    first: session.cell[cells[a]],
                    second: session.cell[cells[b]],
                    signal_correlation,
                    noise_correlation,
                });
            }
        }
        pairs
    });
    let findings = vec![
        twice(pairs.as_deref(), cells.len()),
        worth(effective, cells.len()),
    ];
    Ok(Duplicates {
        cells: cells.len(),
        effective,
        pairs: pairs.unwrap_or_default(),
        findings,
    })
}

/// Deviations of trials from the mean of their label, each varying cell of
/// length 1 `(trial, cell)`; which cells those are; degrees of freedom.
fn unit_residuals(trials: &EpochTrials<'_>) -> (Array2<f64>, Vec<usize>, usize) {
    let mut members: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (trial, &label) in trials.labels.iter().enumerate() {
        members.entry(label).or_default().push(trial);
    }
    let freedom = trials.labels.len().saturating_sub(members.len());
    let mut columns = Vec::new();
    let mut cells = Vec::new();
    for cell in (0..trials.cell.len()).filter(|&k| trials.seen[k]) {
        let mut column = trials.activity.row(cell).mapv(f64::from);
        let size = column.dot(&column);
        for trials in members.values() {
            let middle = trials.iter().map(|&t| column[t]).sum::<f64>() / trials.len() as f64;
            for &trial in trials {
                column[trial] -= middle;
            }
        }
        let length = column.dot(&column).sqrt();
        // What rounding leaves of a constant is not noise.
        if length > 1e-9 * size.sqrt() {
            column.mapv_inplace(|v| v / length);
            columns.push(column);
            cells.push(cell);
        }
    }
    let mut out = Array2::zeros((trials.labels.len(), cells.len()));
    for (mut target, column) in out.columns_mut().into_iter().zip(&columns) {
        target.assign(column);
    }
    (out, cells, freedom)
}

/// `N²/Σ r²` without the part of `r²` that is there by chance, 1 to `N`.
fn independent(noise: &Array2<f64>, freedom: usize) -> f64 {
    let n = noise.ncols() as f64;
    // Σ_nm r_nm² is the squared size of the trials' Gram matrix as well.
    let gram = noise.dot(&noise.t());
    let others = gram.iter().map(|v| v * v).sum::<f64>() - n;
    let chance = 1.0 / freedom as f64;
    let excess = (others - n * (n - 1.0) * chance) / (1.0 - chance);
    (n * n / (n + excess.max(0.0))).clamp(1.0, n)
}

/// Pairs of `cells`, by their place in it, that are near enough and in different planes.
fn close(places: &[[f64; 3]], cells: &[usize]) -> Vec<(usize, usize)> {
    let tile = |place: [f64; 3]| {
        [place[1], place[2]].map(|v| (v / LATERAL_UM).floor().clamp(-1e15, 1e15) as i64)
    };
    let finite = |k: usize| places[cells[k]].iter().all(|v| v.is_finite());
    let mut tiles: BTreeMap<[i64; 2], Vec<usize>> = BTreeMap::new();
    for k in (0..cells.len()).filter(|&k| finite(k)) {
        tiles.entry(tile(places[cells[k]])).or_default().push(k);
    }
    let mut out = Vec::new();
    for a in (0..cells.len()).filter(|&k| finite(k)) {
        let here = places[cells[a]];
        let [y, x] = tile(here);
        let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [y + dy, x + dx]));
        for &b in around.filter_map(|key| tiles.get(&key)).flatten() {
            let there = places[cells[b]];
            let depth = (here[0] - there[0]).abs();
            let lateral = (here[1] - there[1]).hypot(here[2] - there[2]);
            if a < b && depth > 0.0 && depth <= AXIAL_UM && lateral <= LATERAL_UM {
                out.push((a, b));
            }
        }
    }
    out.sort_unstable();
    out
}

/// Mean over the trials of each label, label after label, all time bins.
fn mean_response(session: &Session, trials: &EpochTrials<'_>, cell: usize) -> Vec<f64> {
    let mut sums: BTreeMap<i64, (Vec<f64>, f64)> = BTreeMap::new();
    let activity = session.activity.index_axis(Axis(1), cell);
    let add = |sum: &mut Vec<f64>, row: ArrayView1<'_, f32>| {
        sum.resize(row.len(), 0.0);
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    };
    for (row, label) in activity.rows().into_iter().zip(&trials.labels) {
        let (sum, n) = sums.entry(*label).or_default();
        add(sum, row);
        *n += 1.0;
    }
    sums.into_values()
        .flat_map(|(sum, n)| sum.into_iter().map(move |v| v / n))
        .collect()
}

fn twice(pairs: Option<&[DuplicateRow]>, cells: usize) -> Finding {
    const CHECK: &str = "duplicate_cells";
    let Some(pairs) = pairs else {
        return Finding::not_checked(CHECK, "the places of the cells (place_um) are not known");
    };
    let mut copies: Vec<i64> = pairs.iter().map(|pair| pair.second).collect();
    copies.sort_unstable();
    copies.dedup();
    let share = copies.len() as f64 / cells as f64;
    let status = match share {
        s if s < 0.01 => Status::Fine,
        s if s < 0.1 => Status::Look,
        _ => Status::Problem,
    };
    Finding::new(CHECK, share, cells).says(
        status,
        format!(
            "{} of {cells} cells look like copies of a cell in a neighbouring plane.",
            copies.len()
        ),
    )
}

fn worth(effective: f64, cells: usize) -> Finding {
    let share = effective / cells as f64;
    let status = match share {
        s if s > 0.5 => Status::Fine,
        s if s > 0.1 => Status::Look,
        _ => Status::Problem,
    };
    Finding::new("independent_cells", effective, cells).says(
        status,
        format!(
            "Through noise that they share, {cells} cells are worth {effective:.0} independent ones: intervals from resampling cells could be too narrow by a factor of up to {:.1}.",
            share.recip().sqrt()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_equal_noise_count_once() {
        // Four cells of each of three orthogonal noises: 12²/(3 · 16) = 3, chance taken off.
        let noise = Array2::from_shape_fn((8, 12), |(t, n)| {
            let sign = if (t >> (n % 3)) & 1 == 0 { 1.0 } else { -1.0 };
            sign / 8_f64.sqrt()
        });
        let found = independent(&noise, 1_000_000);
        assert!((found - 3.0).abs() < 1e-3, "{found}");
    }

    #[test]
    fn neighbours_are_found_across_tiles() {
        let places = [
            [0.0, 9.9, 0.0],
            [30.0, 10.1, 0.0],
            [0.0, 10.1, 1.0],
            [90.0, 10.0, 0.0],
            [30.0, f64::NAN, 0.0],
            [30.0, f64::MAX, 0.0],
        ];
        assert_eq!(close(&places, &[0, 1, 2, 3, 4, 5]), [(0, 1), (1, 2)]);
    }
}
