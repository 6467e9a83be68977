//! Effect sizes of one cell; `codes` holds the class of each trial, `counts`
//! the trials of each class.

use super::Statistic;
use super::integers::Integers;

/// The statistic as observed; NaN if it does not exist or nothing varies.
pub(super) fn effect(row: &[f64], codes: &[u8], counts: &[usize], statistic: Statistic) -> f64 {
    if row.iter().any(|v| !v.is_finite()) || row.iter().all(|&v| v == row[0]) {
        return f64::NAN;
    }
    match statistic {
        Statistic::Index => {
            if row.iter().any(|&v| v < 0.0) {
                return f64::NAN;
            }
            let (a, b) = (mean(row, codes, 0, counts), mean(row, codes, 1, counts));
            (a - b) / (a + b)
        }
        Statistic::DPrime => {
            let [a, b] = [0, 1].map(|class| mean(row, codes, class, counts));
            if a == b {
                return 0.0;
            }
            let variances = f64::midpoint(
                squares(row, codes, 0, a) / (counts[0] - 1) as f64,
                squares(row, codes, 1, b) / (counts[1] - 1) as f64,
            );
            (a - b) / variances.sqrt()
        }
        Statistic::AuRoc => {
            Integers::of_ranks(row).map_or(f64::NAN, |ranks| au_roc(ranks.sum(codes, 0), counts))
        }
        Statistic::EtaSquared => {
            let middle = row.iter().sum::<f64>() / row.len() as f64;
            let whole: f64 = row.iter().map(|v| (v - middle).powi(2)).sum();
            let between: f64 = (0..counts.len())
                .map(|class| {
                    let from_middle = mean(row, codes, class, counts) - middle;
                    counts[class] as f64 * from_middle * from_middle
                })
                .sum();
            (between / whole).min(1.0)
        }
    }
}

fn mean(row: &[f64], codes: &[u8], class: usize, counts: &[usize]) -> f64 {
    let of_class = |(v, &code): (&f64, &u8)| if usize::from(code) == class { *v } else { 0.0 };
    row.iter().zip(codes).map(of_class).sum::<f64>() / counts[class] as f64
}

/// Sum of squares of a class about `middle`.
fn squares(row: &[f64], codes: &[u8], class: usize, middle: f64) -> f64 {
    row.iter()
        .zip(codes)
        .filter(|&(_, &code)| usize::from(code) == class)
        .map(|(v, _)| (v - middle) * (v - middle))
        .sum()
}

/// `2 AUC − 1` from the sum over A of twice the centred ranks, which is
/// `2 U − n_A n_B`.
pub(super) fn au_roc(centred: f64, counts: &[usize]) -> f64 {
    centred / (counts[0] as f64 * counts[1] as f64)
}
