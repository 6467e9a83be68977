//! How long it will take.

use fluorspar_pipeline::Step;

/// How much the plan's own expectation counts at the beginning, as a share of
/// its length: the first seconds say little about hours.
const TRUST: f64 = 0.05;

/// The same within a step whose progress can be seen.
const TRUST_IN_STEP: f64 = 0.1;

/// A step that is overdue takes at least this share of what it took already.
const OVERDUE: f64 = 0.1;

/// What is known of the step in work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Current<'a> {
    pub(super) name: &'a str,
    /// Seconds since it began.
    pub(super) seconds: f64,
    /// Share that is done, 0 to 1, if it can be told.
    pub(super) share: Option<f64>,
    /// Seconds since, and share done when, its progress was first seen: what
    /// goes before that, such as a reference being built, has no progress.
    pub(super) since_first: f64,
    pub(super) first_share: f64,
}

#[derive(Clone, Debug)]
struct Planned {
    name: String,
    expected: f64,
    /// Seconds that it took, once it is done.
    took: Option<f64>,
}

/// Steps to come and steps done.
///
/// The time left is what the plan expects for the rest, times how much longer
/// the work so far took than expected: that of steps of the same kind (the
/// name after the last `/`) where there are any, else that of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimate {
    steps: Vec<Planned>,
}

impl Estimate {
    pub(super) fn plan(&mut self, steps: &[Step]) {
        let planned = |step: &Step| Planned {
            name: step.name.clone(),
            // What is no time is taken for hardly any.
            expected: if step.seconds.is_finite() {
                step.seconds.max(1e-3)
            } else {
                1e-3
            },
            took: None,
        };
        self.steps = steps.iter().map(planned).collect();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn finish(&mut self, name: &str, seconds: f64) {
        if let Some(step) = self.waiting(name) {
            step.took = Some(seconds);
        }
    }

    /// Takes a step out of the plan.
    pub(super) fn skip(&mut self, name: &str) {
        self.steps
            .retain(|step| step.name != name || step.took.is_some());
    }

    fn waiting(&mut self, name: &str) -> Option<&mut Planned> {
        let mut steps = self.steps.iter_mut();
        steps.find(|step| step.name == name && step.took.is_none())
    }

    /// Share of the expected time that is done, 0 to 1.
    pub(super) fn share(&self, current: &Current<'_>) -> f64 {
        let total: f64 = self.steps.iter().map(|step| step.expected).sum();
        let done: f64 = self
            .steps
            .iter()
            .map(|step| match step.took {
                Some(_) => step.expected,
                None if step.name == current.name => {
                    let overdue = current.seconds / (current.seconds + step.expected);
                    step.expected * current.share.unwrap_or(overdue)
                }
                None => 0.0,
            })
            .sum();
        if total > 0.0 {
            (done / total).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// Seconds left; `None` if nothing tells.
    pub(super) fn left(&self, current: &Current<'_>) -> Option<f64> {
        let Some(step) = self.steps.iter().find(|s| s.name == current.name) else {
            // Not planned: its own progress is all there is.
            let (done, share) = (current.share? - current.first_share, current.share?);
            return (done > 0.0).then(|| current.since_first * (1.0 - share) / done);
        };
        let expected = step.expected * self.factor(step, None);
        let known = self.done_of_kind(&step.name);
        let in_step = left_in_step(expected, known, current);
        let running = match current.share {
            Some(share) if share > current.first_share => {
                let done = step.expected * (share - current.first_share);
                Some((step.name.as_str(), done, current.since_first))
            }
            _ => None,
        };
        let waiting = self
            .steps
            .iter()
            .filter(|s| s.took.is_none() && s.name != current.name);
        let later: f64 = waiting.map(|s| s.expected * self.factor(s, running)).sum();
        Some(in_step + later)
    }

    /// Whether a step of the same kind is done.
    fn done_of_kind(&self, name: &str) -> bool {
        let mut done = self.steps.iter().filter(|step| step.took.is_some());
        done.any(|step| kind(&step.name) == kind(name))
    }

    /// How much longer a step will take than expected, from those that are
    /// done and the one that is `running` (name, expected for what is done of
    /// it, seconds that took).
    fn factor(&self, step: &Planned, running: Option<(&str, f64, f64)>) -> f64 {
        let done = self
            .steps
            .iter()
            .filter_map(|s| Some((s.name.as_str(), s.expected, s.took?)));
        let done = || done.clone().chain(running);
        let sums = |of: &dyn Fn(&str) -> bool| {
            done()
                .filter(|(name, ..)| of(name))
                .fold((0.0, 0.0), |(e, t), (_, expected, took)| {
                    (e + expected, t + took)
                })
        };
        let total: f64 = self.steps.iter().map(|s| s.expected).sum();
        let prior = TRUST * total;
        let (expected, took) = sums(&|_| true);
        let all = (prior + took) / (prior + expected);
        // Those of its kind say more, as far as they reach.
        let (expected, took) = sums(&|name| kind(name) == kind(&step.name));
        let weight = TRUST_IN_STEP * step.expected;
        (weight * all + took) / (weight + expected)
    }
}

/// `register` of `session-01/register`.
fn kind(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Seconds left of the step in work, of which `expected` were foreseen, from
/// steps of its kind if these are `known`.
fn left_in_step(expected: f64, known: bool, current: &Current<'_>) -> f64 {
    let overdue = OVERDUE * current.seconds;
    let foreseen = (expected - current.seconds).max(0.0);
    match current.share {
        Some(share) if share > 0.0 => {
            let done = (share - current.first_share).max(0.0);
            let whole = (TRUST_IN_STEP * expected + current.since_first) / (TRUST_IN_STEP + done);
            let left = (1.0 - share).max(0.0) * whole;
            // What comes after the last frame shows in no progress; only steps
            // of the same kind tell of it.
            match (known, share < 1.0) {
                (true, _) => left.max(foreseen),
                (false, true) => left,
                (false, false) => overdue,
            }
        }
        _ => foreseen.max(overdue),
    }
}

/// `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`: no finer than it is known.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    let (minutes, hours) = ((seconds + 30) / 60, (seconds + 1800) / 3600);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3570 => format!("{minutes} min"),
        3570..84_600 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, seconds: f64) -> Step {
        Step {
            name: name.into(),
            units: 100,
            seconds,
            bytes_per_unit: 0,
        }
    }

    fn at(name: &str, seconds: f64, share: f64) -> Current<'_> {
        Current {
            name,
            seconds,
            share: Some(share),
            since_first: seconds,
            first_share: 0.0,
        }
    }

    fn planned() -> Estimate {
        let mut estimate = Estimate::default();
        estimate.plan(&[
            step("session-01/register", 100.0),
            step("session-01/denoise", 300.0),
            step("session-02/register", 100.0),
            step("session-02/denoise", 300.0),
            step("drift", 200.0),
        ]);
        estimate
    }

    #[test]
    fn at_first_the_plan_is_believed() {
        let left = planned()
            .left(&at("session-01/register", 0.0, 0.0))
            .unwrap();
        assert!((left - 1000.0).abs() < 1e-9, "{left}");
    }

    /// If everything takes `factor` times what was expected, so does the rest.
    #[test]
    fn a_common_factor_is_learnt() {
        for factor in [0.1, 1.0, 7.0] {
            let mut estimate = planned();
            let names = ["session-01/register", "session-01/denoise"];
            for (name, expected) in names.iter().zip([100.0, 300.0]) {
                estimate.finish(name, factor * expected);
            }
            let current = at("session-02/register", factor * 50.0, 0.5);
            let left = estimate.left(&current).unwrap();
            let truth = factor * (50.0 + 300.0 + 200.0);
            // Steps of kinds not seen yet still believe the plan a little.
            assert!((left / truth - 1.0).abs() < if factor == 1.0 { 1e-9 } else { 0.4 });
            assert!((estimate.share(&current) - 0.45).abs() < 1e-12);
        }
    }

    #[test]
    fn steps_of_one_kind_say_most_about_each_other() {
        let mut estimate = planned();
        estimate.skip("drift");
        estimate.finish("session-01/register", 1000.0);
        estimate.finish("session-01/denoise", 300.0);
        let left = estimate
            .left(&at("session-02/register", 500.0, 0.5))
            .unwrap();
        let truth = 500.0 + 300.0;
        assert!((left / truth - 1.0).abs() < 0.1, "{left}");
    }

    #[test]
    fn what_is_skipped_does_not_count() {
        let mut estimate = planned();
        for name in ["session-01/register", "session-01/denoise"] {
            estimate.skip(name);
        }
        let current = at("session-02/register", 0.0, 0.0);
        assert!((estimate.left(&current).unwrap() - 600.0).abs() < 1e-9);
        assert_eq!(estimate.share(&current), 0.0);
        // What is done stays done.
        estimate.finish("session-02/register", 100.0);
        estimate.skip("session-02/register");
        assert!(estimate.share(&at("session-02/denoise", 0.0, 0.0)) > 0.0);
    }

    /// A movie of constant speed after a reference of any length.
    #[test]
    fn time_before_the_first_frame_is_no_speed() {
        let mut estimate = Estimate::default();
        estimate.plan(&[step("register", 100.0)]);
        let before = Current {
            name: "register",
            seconds: 20.0,
            share: Some(0.0),
            ..Current::default()
        };
        assert!((estimate.left(&before).unwrap() - 80.0).abs() < 1e-9);
        let after = Current {
            name: "register",
            seconds: 21.0,
            share: Some(0.01),
            since_first: 0.0,
            first_share: 0.01,
        };
        assert!((estimate.left(&after).unwrap() - 99.0).abs() < 1e-9);
        let half = Current {
            seconds: 20.0 + 49.0,
            share: Some(0.5),
            since_first: 49.0,
            ..after
        };
        assert!((estimate.left(&half).unwrap() - 50.0).abs() < 1.0);
    }

    /// Frames take the first half of a step, sums over them the second.
    #[test]
    fn work_after_the_last_frame_is_learnt_from_steps_of_the_kind() {
        let mut estimate = planned();
        estimate.finish("session-01/register", 100.0);
        for name in ["session-01/denoise", "session-02/denoise", "drift"] {
            estimate.skip(name);
        }
        for (seconds, share) in [(25.0, 0.5), (50.0, 1.0), (80.0, 1.0)] {
            let left = estimate
                .left(&at("session-02/register", seconds, share))
                .unwrap();
            assert!((left - (100.0 - seconds)).abs() < 1e-9, "{seconds}: {left}");
        }
        // Twice as slow as the first: its own frames say so.
        let left = estimate
            .left(&at("session-02/register", 150.0, 0.75))
            .unwrap();
        assert!(left > 40.0, "{left}");
    }

    #[test]
    fn an_overdue_step_is_never_done_at_once() {
        let mut estimate = Estimate::default();
        estimate.plan(&[step("track", 10.0)]);
        let mut shares = Vec::new();
        for seconds in [0.0, 5.0, 10.0, 50.0, 500.0] {
            let current = Current {
                name: "track",
                seconds,
                ..Current::default()
            };
            assert!(estimate.left(&current).unwrap() >= 0.1 * seconds);
            shares.push(estimate.share(&current));
        }
        assert!(shares.is_sorted() && shares[4] < 1.0, "{shares:?}");
    }

    #[test]
    fn without_a_plan_progress_is_all_there_is() {
        let none = Estimate::default();
        assert!(none.is_empty());
        assert_eq!(none.left(&Current::default()), None);
        assert_eq!(none.left(&at("registering", 30.0, 0.25)), Some(90.0));
    }

    #[test]
    fn durations_are_no_finer_than_they_are_known() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (59.4, "59 s"),
            (60.0, "1 min"),
            (3569.0, "59 min"),
            (3600.0, "1 h 0 min"),
            (12_000.0, "3 h 20 min"),
            (84_599.0, "23 h 30 min"),
            (86_400.0, "1 d 0 h"),
            (187_200.0, "2 d 4 h"),
            (f64::NAN, "0 s"),
            (-5.0, "0 s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
