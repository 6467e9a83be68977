//! Time or practice?

use ndarray::Array2;

use super::finding::{Finding, Status};
use super::trend::{FEWEST, table_of};
use crate::inference::{Alternative, mantel_partial};
use crate::statistics::pearson;
use crate::{Error, Parameters};

/// Beyond this correlation, the two cannot be told apart: each one's variance
/// given the other is below a tenth.
const COLLINEAR: f64 = 0.95;

/// What goes with elapsed days and what with practice.
#[derive(Clone, Debug, PartialEq)]
pub struct Experience {
    /// Correlation, over session pairs, of the days between two sessions with
    /// the practice sessions between them.
    pub collinearity: f64,
    /// Partial correlation of similarity with days, practice held, or NaN.
    pub days: f64,
    /// Its two-sided p, sessions permuted.
    pub days_p: f64,
    /// Partial correlation of similarity with practice, days held, or NaN.
    pub practice: f64,
    /// Its two-sided p, sessions permuted.
    pub practice_p: f64,
    /// `time_or_practice`.
    pub finding: Finding,
}

/// Elapsed days against practice. `pairs` holds `(i, j, similarity)`,
/// `practice` the practice session each recording is. Partial correlations and
/// their p values are those of [`mantel_partial`].
///
/// # Errors
/// [`Error::Shape`] if sizes disagree or a pair names no session,
/// [`Error::NotFinite`], [`Error::Parameter`] without permutations.
pub fn experience(
    pairs: &[(usize, usize, f64)],
    days: &[f64],
    practice: &[usize],
    parameters: &Parameters,
) -> Result<Experience, Error> {
    let n = days.len();
    if practice.len() != n {
        return Err(Error::Shape(
            "days and practice are of other sessions".into(),
        ));
    }
    if days.iter().any(|day| !day.is_finite()) {
        return Err(Error::NotFinite("a day"));
    }
    let table = table_of(pairs, n)?;
    let apart = |f: &dyn Fn(usize, usize) -> f64| Array2::from_shape_fn((n, n), |(i, j)| f(i, j));
    let elapsed = apart(&|i, j| (days[i] - days[j]).abs());
    let practised = apart(&|i, j| practice[i].abs_diff(practice[j]) as f64);
    let known: Vec<_> = pairs.iter().filter(|pair| pair.2.is_finite()).collect();
    let (d, e): (Vec<f64>, Vec<f64>) = known
        .iter()
        .map(|&&(i, j, _)| (elapsed[[i, j]], practised[[i, j]]))
        .unzip();
    let mut out = Experience {
        collinearity: pearson(&d, &e),
        days: f64::NAN,
        days_p: f64::NAN,
        practice: f64::NAN,
        practice_p: f64::NAN,
        finding: Finding::not_checked("time_or_practice", ""),
    };
    let refuse = |why: String| Finding::not_checked("time_or_practice", why);
    let used = (0..n)
        .filter(|&i| table.row(i).iter().any(|v| v.is_finite()))
        .count();
    if used < FEWEST {
        out.finding = refuse(format!(
            "with {used} sessions no order of them is rarer than 1 in 20"
        ));
        return Ok(out);
    }
    if out.collinearity.is_nan() {
        out.finding = refuse("days or practice are the same for all pairs".into());
        return Ok(out);
    }
    if out.collinearity.abs() > COLLINEAR {
        out.finding = refuse(format!(
            "days and practice cannot be separated, they go together over all pairs of sessions (r = {:.2})",
            out.collinearity
        ));
        out.finding.statistic = out.collinearity;
        return Ok(out);
    }
    let given = |distance: &Array2<f64>, control: &Array2<f64>| {
        mantel_partial(
            table.view(),
            distance.view(),
            &[control.view()],
            Alternative::TwoSided,
            parameters.permutations,
            parameters.seed,
        )
    };
    match (given(&elapsed, &practised), given(&practised, &elapsed)) {
        (Ok(by_days), Ok(by_practice)) => {
            (out.days, out.days_p) = (by_days.r, by_days.p);
            (out.practice, out.practice_p) = (by_practice.r, by_practice.p);
            out.finding = judge(&out, known.len());
        }
        (Err(why @ Error::Parameter { .. }), _) => return Err(why),
        (Err(why), _) | (_, Err(why)) => out.finding = refuse(why.to_string()),
    }
    Ok(out)
}

fn judge(found: &Experience, pairs: usize) -> Finding {
    let with = |p: f64| p < 0.05;
    let (status, says) = match (with(found.days_p), with(found.practice_p)) {
        (true, false) => (
            Status::Fine,
            "similarity goes with elapsed days, not with practice",
        ),
        (false, true) => (
            Status::Look,
            "similarity goes with practice, not with elapsed days: rates per day mislead",
        ),
        (true, true) => (
            Status::Look,
            "similarity goes with both elapsed days and practice",
        ),
        (false, false) => (Status::Look, "neither is shown to matter beyond the other"),
    };
    Finding::new("time_or_practice", found.practice, pairs)
        .tested(found.practice_p, "similarity does not depend on practice beyond days")
        .says(
            status,
            format!(
                "Each with the other held, {says} (partial r {:+.2} with days, {:+.2} with practice).",
                found.days, found.practice
            ),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Similarity that falls with the lags given, over irregular days.
    fn run(by_practice: bool, practice: &[usize]) -> Experience {
        let days = [1.0, 2.0, 9.0, 10.0, 11.0, 25.0, 26.0, 40.0];
        let pairs: Vec<_> = (0..8)
            .flat_map(|i| (i + 1..8).map(move |j| (i, j)))
            .map(|(i, j)| {
                let lag = if by_practice {
                    practice[i].abs_diff(practice[j]) as f64 / 10.0
                } else {
                    (days[j] - days[i]) / 40.0
                };
                (i, j, 1.0 - lag + 0.01 * ((i * 5 + j * 3) % 7) as f64)
            })
            .collect();
        let parameters = Parameters {
            permutations: 999,
            ..Parameters::default()
        };
        experience(&pairs, &days, practice, &parameters).unwrap()
    }

    #[test]
    fn what_differs_can_be_separated() {
        let practice = [1, 5, 6, 7, 12, 13, 18, 19];
        let time = run(false, &practice);
        assert!(
            time.days < -0.9 && time.days_p < 0.05 && time.practice_p > 0.05,
            "{time:?}"
        );
        let practised = run(true, &practice);
        assert!(
            practised.practice < -0.9 && practised.practice_p < 0.05 && practised.days_p > 0.05
        );
    }

    #[test]
    fn what_goes_together_cannot() {
        let found = run(false, &[1, 2, 9, 10, 11, 25, 26, 40]);
        assert_eq!(found.finding.status, Status::NotChecked);
        assert!(found.finding.sentence.contains("cannot be separated"));
        let parameters = Parameters::default();
        let few = experience(&[(0, 1, 0.5)], &[1.0, 2.0], &[1, 2], &parameters).unwrap();
        assert_eq!(few.finding.status, Status::NotChecked);
        assert!(experience(&[(0, 2, 0.5)], &[1.0, 2.0], &[1, 2], &parameters).is_err());
        assert!(experience(&[], &[], &[], &parameters).is_ok());
    }
}
