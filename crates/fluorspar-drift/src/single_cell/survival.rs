use ndarray::ArrayView2;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::Error;

/// One stretch of sessions in which a cell was on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spell {
    /// The cell.
    pub cell: usize,
    /// Session in which it was first on.
    pub start: usize,
    /// Days until it was first seen off or, if it never was, until it was last seen on.
    pub days: f64,
    /// Whether it was seen to end. If not, the recording ended or the cell was
    /// not seen: the spell is censored.
    pub ended: bool,
    /// Whether its start was missed: the cell was not seen off in the session
    /// before, so the spell may be older than `days` says.
    pub start_missed: bool,
}

/// Every spell of every cell.
///
/// `on` and `present` are `(cell, session)`, `days` the elapsed days of the
/// sessions. What `on` says of a cell that was not present is ignored. A cell
/// that was not seen for a session is censored where it was last seen on; if
/// it is on when it reappears, that is a new spell whose start was missed.
///
/// An end falls between two sessions and is dated to the later one.
///
/// # Errors
/// [`Error::Shape`] if shapes differ, [`Error::Undefined`] if the days do not increase.
pub fn spells(
    on: ArrayView2<'_, bool>,
    present: ArrayView2<'_, bool>,
    days: &[f64],
) -> Result<Vec<Spell>, Error> {
    check(on, present, days.len())?;
    if !days.windows(2).all(|d| d[0] < d[1]) || days.iter().any(|d| !d.is_finite()) {
        return Err(Error::Undefined(
            "sessions must come in the order of days".into(),
        ));
    }
    let mut out = Vec::new();
    for (cell, (on, present)) in on.rows().into_iter().zip(present.rows()).enumerate() {
        let mut open: Option<Spell> = None;
        let mut seen_off = false;
        for session in 0..days.len() {
            match (present[session], on[session], &mut open) {
                (true, true, Some(spell)) => spell.days = days[session] - days[spell.start],
                (true, true, None) => {
                    open = Some(Spell {
                        cell,
                        start: session,
                        days: 0.0,
                        ended: false,
                        start_missed: !seen_off,
                    });
                }
                (true, false, Some(spell)) => {
                    spell.days = days[session] - days[spell.start];
                    spell.ended = true;
                    out.extend(open.take());
                }
                (false, _, Some(_)) => out.extend(open.take()),
                (_, _, None) => {}
            }
            seen_off = present[session] && !on[session];
        }
        out.extend(open);
    }
    Ok(out)
}

/// A Kaplan-Meier curve: one entry per time at which something ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survival {
    /// Times, ascending.
    pub time: Vec<f64>,
    /// Spells still followed just before.
    pub at_risk: Vec<usize>,
    /// Spells that ended then.
    pub ended: Vec<usize>,
    /// Share that lasts longer.
    pub survival: Vec<f64>,
    /// Greenwood's standard error; NaN once none is left.
    pub standard_error: Vec<f64>,
    /// Lower end of the interval `survival ± z · standard error`, cut to 0 and 1.
    pub lo: Vec<f64>,
    /// Upper end.
    pub hi: Vec<f64>,
    /// `ended / at_risk`: the probability of ending there, given that it lasted until then.
    pub hazard: Vec<f64>,
}

/// Kaplan and Meier 1958 (J Am Stat Assoc 53:457) with Greenwood's variance
/// `S² Σ d / (n (n − d))`.
///
/// `duration` and whether its end was seen (`false`: censored; it counts as
/// at risk up to and at its duration). Censoring must have nothing to do with
/// ending: a cell that detection drops *because* it falls silent breaks this.
/// **Left truncation**: spells under way when the recording began are more
/// often long ones, so that a curve from all spells is too high; leave those
/// with `start_missed` out where enough others remain.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, [`Error::Undefined`] for a
/// duration that is negative or not finite, [`Error::Parameter`] for a
/// confidence outside 0 to 1, [`Error::Nothing`] without durations.
pub fn kaplan_meier(duration: &[f64], ended: &[bool], confidence: f64) -> Result<Survival, Error> {
    if duration.len() != ended.len() {
        return Err(Error::Shape(format!(
            "{} durations, {} ends",
            duration.len(),
            ended.len()
        )));
    }
    if duration.is_empty() {
        return Err(Error::Nothing("durations"));
    }
    if !duration.iter().all(|d| d.is_finite() && *d >= 0.0) {
        return Err(Error::Undefined(
            "a duration is negative or not finite".into(),
        ));
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::Parameter {
            name: "confidence",
            value: confidence,
            rule: "must lie between 0 and 1",
        });
    }
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence));
    let mut order: Vec<usize> = (0..duration.len()).collect();
    order.sort_by(|&a, &b| duration[a].total_cmp(&duration[b]));
    let mut out = Survival::default();
    let (mut survival, mut greenwood) = (1.0, 0.0);
    let mut from = 0;
    while from < order.len() {
        let time = duration[order[from]];
        let same = order[from..].partition_point(|&k| duration[k] <= time);
        let events = order[from..from + same]
            .iter()
            .filter(|&&k| ended[k])
            .count();
        let at_risk = order.len() - from;
        if events > 0 {
            let (d, n) = (events as f64, at_risk as f64);
            survival *= 1.0 - d / n;
            greenwood += d / (n * (n - d));
            let error = if events == at_risk {
                f64::NAN
            } else {
                survival * greenwood.sqrt()
            };
            out.time.push(time);
            out.at_risk.push(at_risk);
            out.ended.push(events);
            out.survival.push(survival);
            out.standard_error.push(error);
            out.lo.push((survival - z * error).max(0.0).min(survival));
            out.hi.push((survival + z * error).min(1.0).max(survival));
            out.hazard.push(d / n);
            if events == at_risk {
                // Greenwood's formula says nothing of a curve that has come to 0.
                for end in [&mut out.lo, &mut out.hi] {
                    if let Some(last) = end.last_mut() {
                        *last = f64::NAN;
                    }
                }
            }
        }
        from += same;
    }
    Ok(out)
}

/// `on` and `present` must be `(cell, session)` of the same cells.
pub(super) fn check(
    on: ArrayView2<'_, bool>,
    present: ArrayView2<'_, bool>,
    sessions: usize,
) -> Result<(), Error> {
    if on.dim() != present.dim() || on.ncols() != sessions {
        return Err(Error::Shape(format!(
            "on is {:?}, present {:?}, sessions {sessions}",
            on.dim(),
            present.dim()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Remission times of 21 patients under 6-mercaptopurine (Freireich et al.
    /// 1963, Blood 21:699), the worked example of survival textbooks; negative
    /// means censored.
    const REMISSION: [i32; 21] = [
        6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35,
    ];

    #[test]
    fn remission_times_give_the_textbook_curve() {
        let duration: Vec<f64> = REMISSION.iter().map(|t| f64::from(t.abs())).collect();
        let ended: Vec<bool> = REMISSION.iter().map(|&t| t > 0).collect();
        let found = kaplan_meier(&duration, &ended, 0.95).unwrap();
        assert_eq!(found.time, [6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0]);
        assert_eq!(found.at_risk, [21, 17, 15, 12, 11, 7, 6]);
        assert_eq!(found.ended, [3, 1, 1, 1, 1, 1, 1]);
        let survival = [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482];
        let error = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346];
        for k in 0..7 {
            assert!((found.survival[k] - survival[k]).abs() < 5e-5);
            assert!((found.standard_error[k] - error[k]).abs() < 5e-5);
        }
        assert!((found.lo[0] - (0.8571 - 1.96 * 0.0764)).abs() < 2e-4);
        assert_eq!(found.hazard[0], 3.0 / 21.0);
    }

    #[test]
    fn a_cell_that_is_not_seen_is_censored() {
        let read = |rows: [&str; 4], yes: &str| {
            Array2::from_shape_fn((4, 4), |(cell, session)| {
                yes.contains(rows[cell].as_bytes()[session] as char)
            })
        };
        // 1 on, 0 off, - not seen.
        let rows = ["0110", "11-1", "0001", "1000"];
        let found = spells(
            read(rows, "1").view(),
            read(rows, "01").view(),
            &[1.0, 2.0, 4.0, 7.0],
        )
        .unwrap();
        let plain: Vec<_> = found
            .iter()
            .map(|s| (s.cell, s.start, s.days, s.ended, s.start_missed))
            .collect();
        assert_eq!(
            plain,
            [
                (0, 1, 5.0, true, false),
                (1, 0, 1.0, false, true),
                (1, 3, 0.0, false, true),
                (2, 3, 0.0, false, false),
                (3, 0, 1.0, true, true),
            ]
        );
        let empty = Array2::from_elem((0, 0), true);
        assert!(spells(empty.view(), empty.view(), &[]).unwrap().is_empty());
        assert!(spells(empty.view(), empty.view(), &[1.0]).is_err());
        let one = Array2::from_elem((1, 2), true);
        assert!(spells(one.view(), one.view(), &[2.0, 1.0]).is_err());
    }

    #[test]
    fn a_curve_that_comes_to_nothing_has_no_interval() {
        let found = kaplan_meier(&[1.0, 2.0], &[true, true], 0.9).unwrap();
        assert_eq!(found.survival, [0.5, 0.0]);
        assert!(found.lo[1].is_nan() && found.hi[1].is_nan());
        let never = kaplan_meier(&[1.0], &[false], 0.9).unwrap();
        assert!(never.time.is_empty());
        assert!(kaplan_meier(&[], &[], 0.9).is_err());
        assert!(kaplan_meier(&[-1.0], &[true], 0.9).is_err());
        assert!(kaplan_meier(&[1.0], &[true], 1.0).is_err());
    }
}
