//! The three correlations of Geva, Deitch et al. 2023 (Neuron 111:2357) as
//! they are published, raw, for agreement with an independent program.

use std::collections::BTreeMap;

use ndarray::{Array2, Axis};

use crate::track::Track;

/// Means over the pairs of sessions so many days apart.
pub(crate) struct Row {
    pub(crate) days: f64,
    pub(crate) pv: f64,
    pub(crate) tuning: f64,
    pub(crate) rate: f64,
    pub(crate) pairs: usize,
}

/// Over cells tracked and active in both sessions.
pub(crate) fn by_days(sessions: &[Track], direction: usize) -> Vec<Row> {
    let maps: Vec<Array2<f64>> = sessions
        .iter()
        .map(|s| {
            let activity = s.runs[direction].activity.mapv(f64::from);
            activity.mean_axis(Axis(0)).unwrap_or_default()
        })
        .collect();
    let mut rows: BTreeMap<i64, Vec<[f64; 3]>> = BTreeMap::new();
    for i in 0..sessions.len() {
        for j in i + 1..sessions.len() {
            let mut cells = Vec::new();
            for (a, id) in sessions[i].cell.iter().enumerate() {
                if let Some(b) = sessions[j].cell.iter().position(|other| other == id)
                    && maps[i].row(a).sum() > 0.0
                    && maps[j].row(b).sum() > 0.0
                {
                    cells.push((a, b));
                }
            }
            let days = (sessions[j].day - sessions[i].day) as i64;
            rows.entry(days)
                .or_default()
                .push(trio(&maps[i], &maps[j], &cells));
        }
    }
    rows.into_iter()
        .map(|(days, rows)| {
            let mean = |k: usize| rows.iter().map(|r| r[k]).sum::<f64>() / rows.len() as f64;
            Row {
                days: days as f64,
                pv: mean(0),
                tuning: mean(1),
                rate: mean(2),
                pairs: rows.len(),
            }
        })
        .collect()
}

fn trio(a: &Array2<f64>, b: &Array2<f64>, cells: &[(usize, usize)]) -> [f64; 3] {
    let places = a.ncols();
    let by_place =
        (0..places).map(|k| correlation(cells.iter().map(|&(i, j)| (a[[i, k]], b[[j, k]]))));
    let by_cell = cells
        .iter()
        .map(|&(i, j)| correlation((0..places).map(|k| (a[[i, k]], b[[j, k]]))));
    let rate = correlation(cells.iter().map(|&(i, j)| (a.row(i).sum(), b.row(j).sum())));
    [mean(by_place), mean(by_cell), rate]
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let finite: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    finite.iter().sum::<f64>() / finite.len() as f64
}

fn correlation(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let pairs: Vec<(f64, f64)> = pairs.collect();
    let n = pairs.len() as f64;
    let (x, y) = pairs
        .iter()
        .fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
    let [mut xy, mut xx, mut yy] = [0.0; 3];
    for (p, q) in pairs {
        xy += (p - x) * (q - y);
        xx += (p - x) * (p - x);
        yy += (q - y) * (q - y);
    }
    xy / (xx * yy).sqrt()
}
