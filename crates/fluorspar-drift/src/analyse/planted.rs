//! The analysis on drift that was planted.

use std::collections::BTreeSet;

use ndarray::{Array3, Axis};
use rand::seq::SliceRandom;

use super::cells::Pair;
use super::code::Codes;
use super::context::{Context, Topic};
use super::crystallization;
use super::trend;
use crate::law::{Law, Options, Table, Verdict, conclude, fit, likelihood_test, rate_slope};
use crate::planted::{Answer, Plan, PlantedRow, Planting, Template, replicate_several};
use crate::random::{Domain, stream};
use crate::statistics::mean;
use crate::table::Similarity;
use crate::{Epoch, Error, Inclusion, Parameters, Session};

/// What this analysis would say if the code of these sessions drifted as
/// planned: bias of the similarity of neighbouring sessions and of the rate of
/// decay, and how often the tests of crystallization reject.
///
/// For each epoch, variable and plan, experiments are drawn that have the
/// sessions' trials, noise, masks and identities ([`Template`]), and analysed
/// with the same code similarity and the same test as [`crate::analyse()`]
/// uses. Four rows each: `similarity_of_neighbours`, `rate_per_day`
/// (exponential), the contrast `late_minus_early_similarity`, and `crystallization`, the
/// answer itself ([`crate::law::conclude`]; its estimate is the change of the loss per day
/// with each practice session). The planted value of a row
/// is what the same formula makes of the law itself. Inclusion rules that ask
/// for selective cells take active ones instead.
///
/// # Errors
/// As [`crate::analyse()`], [`Planting::validate`]. An epoch whose code is not
/// above its noise is a row with a reason.
pub fn planted_drift(
    sessions: &[Session],
    epochs: &[Epoch],
    parameters: &Parameters,
    planting: &Planting,
) -> Result<Vec<PlantedRow>, Error> {
    super::check(sessions, epochs, parameters)?;
    planting.validate()?;
    let group = parameters.group.as_ref();
    let some = thinned(sessions, group, planting.max_cells, parameters.seed);
    let core = Parameters {
        variables: Vec::new(),
        bootstrap: planting.bootstrap,
        inclusion: match parameters.inclusion {
            Inclusion::InformativeInBoth => Inclusion::ActiveInBoth,
            Inclusion::InformativeInEither => Inclusion::ActiveInEither,
            rule => rule,
        },
        // Planted sessions hold only cells of the group.
        group: None,
        ..parameters.clone()
    };
    let mut out = Vec::new();
    for epoch in epochs {
        for variable in &parameters.variables {
            let task = Task {
                epoch,
                variable,
                parameters: &core,
                n_cells: some.iter().map(|s| s.cell.len()).max().unwrap_or(0),
            };
            match Template::of(&some, epoch, variable) {
                Ok(template) => {
                    for plan in &planting.plans {
                        out.extend(task.run(&template, plan, planting.repetitions)?);
                    }
                }
                Err(why) => out.extend(
                    planting
                        .plans
                        .iter()
                        .map(|plan| task.row("", plan, why.to_string())),
                ),
            }
        }
    }
    Ok(out)
}

/// The sessions with the cells that are analysed, at most `most` of them, chosen at random.
fn thinned(sessions: &[Session], group: Option<&String>, most: usize, seed: u64) -> Vec<Session> {
    let member = |session: &Session, k: usize| {
        group.is_none_or(|wanted| session.group.as_ref().is_some_and(|g| g[k] == *wanted))
    };
    let ids: BTreeSet<i64> = sessions
        .iter()
        .flat_map(|s| {
            (0..s.cell.len())
                .filter(|&k| member(s, k))
                .map(|k| s.cell[k])
        })
        .collect();
    let mut ids: Vec<i64> = ids.into_iter().collect();
    if ids.len() > most {
        ids.shuffle(&mut stream(seed, Domain::Planted, 1 << 40));
        ids.truncate(most);
    }
    let kept: BTreeSet<i64> = ids.into_iter().collect();
    sessions
        .iter()
        .map(|session| {
            let places: Vec<usize> = (0..session.cell.len())
                .filter(|&k| member(session, k) && kept.contains(&session.cell[k]))
                .collect();
            Session {
                activity: session.activity.select(Axis(1), &places),
                cell: some(&session.cell, &places),
                time_s: session.time_s.clone(),
                day: session.day,
                labels: session.labels.clone(),
                p_same: session.p_same.as_ref().map(|v| some(v, &places)),
                present: session.present.as_ref().map(|v| some(v, &places)),
                practice: session.practice,
                ..Session::default()
            }
        })
        .collect()
}

fn some<T: Clone>(values: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|&k| values[k].clone()).collect()
}

/// One epoch and variable.
struct Task<'a> {
    epoch: &'a Epoch,
    variable: &'a str,
    parameters: &'a Parameters,
    n_cells: usize,
}

/// What is asked of every experiment, in this order.
const QUANTITIES: [&str; 4] = [
    "similarity_of_neighbours",
    "rate_per_day",
    "late_minus_early_similarity",
    "crystallization",
];

/// Simulations and orders behind each p value: enough to tell 0.05 from less,
/// and experiments are many.
const DRAWN: usize = 99;

impl Task<'_> {
    fn run(
        &self,
        template: &Template,
        plan: &Plan,
        repetitions: usize,
    ) -> Result<Vec<PlantedRow>, Error> {
        let seed = self.parameters.seed;
        // Days alone: the law needs no activity.
        let days = template.days();
        let calendar: Vec<Session> = days
            .iter()
            .map(|&day| Session {
                day,
                ..Session::default()
            })
            .collect();
        let mut law = Vec::new();
        for i in 0..days.len() {
            for j in i + 1..days.len() {
                let mut pair = Pair::undefined(i, j, 0, String::new());
                pair.value = plan.law.similarity(days[i], days[j]);
                law.push(pair);
            }
        }
        let planted = self.answers(&law, &Context::new(&calendar, self.parameters, Vec::new()));
        let found = replicate_several(template, plan, repetitions, seed, |sessions| {
            let context = Context::new(sessions, self.parameters, Vec::new());
            let codes = Codes::new(&context, &context.window(self.epoch), self.variable);
            self.answers(&codes.similarity(&context), &context)
        })?;
        Ok(QUANTITIES
            .into_iter()
            .zip(planted)
            .zip(found)
            .map(|((quantity, planted), found)| {
                let mut row = self.row(quantity, plan, String::new());
                row.planted = planted.estimate;
                row.mean = found.mean;
                row.sd = found.sd;
                row.bias = found.mean - planted.estimate;
                row.bias_lo = found.mean_interval.0 - planted.estimate;
                row.bias_hi = found.mean_interval.1 - planted.estimate;
                row.rejected = found.rejection;
                (row.rejected_lo, row.rejected_hi) = found.rejection_interval;
                row.n_tested = found.tested;
                row.n_refused = found.refused;
                row.n_experiments = repetitions;
                if found.mean.is_nan() {
                    row.reason = "the analysis gave no number for any experiment".into();
                }
                row
            })
            .collect())
    }

    /// The quantities from the similarity of all pairs.
    fn answers(&self, pairs: &[Pair], context: &Context<'_>) -> [Answer; 4] {
        let neighbours: Vec<f64> = pairs
            .iter()
            .filter(|pair| pair.j == pair.i + 1 && pair.value.is_finite())
            .map(|pair| pair.value)
            .collect();
        let followed = Similarity::new(
            context,
            Topic {
                metric: "code_similarity",
                epoch: &self.epoch.name,
                variable: self.variable,
            },
            pairs,
            &vec![1.0; context.sessions.len()],
        );
        // The rate's own interval is not asked for, so resamples are not needed.
        let plain = Table {
            resampled: Array3::zeros((0, 0, 0)),
            reliability: None,
            ..followed.table.clone()
        };
        let rate = fit(
            &plain,
            Law::Exponential,
            &trend::options(context.parameters),
        )
        .map_or(f64::NAN, |fit| fit.parameters[1]);
        let test = crystallization::late_minus_early(context, &followed, pairs);
        // The law itself has no noise to be judged by: its slope is all there is.
        let noisy = pairs.iter().any(|pair| !pair.resampled.is_empty());
        let options = Options {
            simulations: DRAWN,
            permutations: DRAWN,
            ..trend::options(context.parameters)
        };
        let table = if noisy { &followed.table } else { &plain };
        let tables = std::slice::from_ref(table);
        let slope = rate_slope(tables, &options);
        let joint = if noisy && slope.is_ok() {
            let likelihood = likelihood_test(tables, &options);
            let finding = conclude(&likelihood, &slope, options.confidence, options.seed);
            (finding.verdict != Verdict::Undetermined).then_some(finding.verdict == Verdict::Shown)
        } else {
            None
        };
        let untested = |estimate| Answer {
            estimate,
            rejected: None,
        };
        [
            untested(mean(&neighbours)),
            untested(rate),
            Answer {
                estimate: test.statistic,
                rejected: test
                    .lo
                    .is_finite()
                    .then_some(test.lo > 0.0 || test.hi < 0.0),
            },
            Answer {
                estimate: slope.map_or(f64::NAN, |slope| slope.slope),
                rejected: joint,
            },
        ]
    }

    /// A row without numbers yet.
    fn row(&self, quantity: &'static str, plan: &Plan, reason: String) -> PlantedRow {
        PlantedRow {
            epoch: self.epoch.name.clone(),
            variable: self.variable.to_owned(),
            law: plan.law.name(),
            plan: plan.to_string(),
            quantity,
            planted: f64::NAN,
            mean: f64::NAN,
            sd: f64::NAN,
            bias: f64::NAN,
            bias_lo: f64::NAN,
            bias_hi: f64::NAN,
            rejected: f64::NAN,
            rejected_lo: f64::NAN,
            rejected_hi: f64::NAN,
            n_tested: 0,
            n_refused: 0,
            n_experiments: 0,
            n_cells: self.n_cells,
            seed: self.parameters.seed,
            reason,
        }
    }
}
