//! Several animals of one study together.

use std::collections::BTreeSet;

use super::crystallization::row;
use super::trend::options;
use crate::inference::{Alternative, sign_flip};
use crate::law::{Finding, Table, conclude, likelihood_test, rate_slope};
use crate::table::{CrystallizationRow, Drift, Similarity};
use crate::{Error, Parameters};

/// Whether drift slows in several animals, each analysed with
/// [`crate::analyse()`] under the same `parameters`: rows like those of one animal, with the
/// animal as the unit.
///
/// Laws are fitted to each animal and their likelihood ratios added; slopes
/// are averaged and animals drawn before cells; the contrast of late and early
/// sessions, one number per animal, is compared with the same under random
/// signs. An epoch and label that an animal does not have, or cannot be tested
/// in, counts without that animal: `n_animals` says how many were left.
///
/// # Errors
/// [`Error::Nothing`] below two animals, [`Error::Parameter`].
pub fn study(animals: &[Drift], parameters: &Parameters) -> Result<Vec<CrystallizationRow>, Error> {
    parameters.validate()?;
    if animals.len() < 2 {
        return Err(Error::Nothing("second animals"));
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for asked in animals.iter().flat_map(|drift| &drift.similarities) {
        if seen.insert((asked.metric, &asked.epoch, &asked.variable)) {
            rows(animals, parameters, asked, &mut out);
        }
    }
    Ok(out)
}

fn rows(
    animals: &[Drift],
    parameters: &Parameters,
    asked: &Similarity,
    out: &mut Vec<CrystallizationRow>,
) {
    let same = |other: &&Similarity| {
        (other.metric, &other.epoch, &other.variable)
            == (asked.metric, &asked.epoch, &asked.variable)
    };
    let tables: Vec<Table> = animals
        .iter()
        .filter_map(|drift| drift.similarities.iter().find(same))
        .map(|similarity| similarity.table.clone())
        .collect();
    let options = options(parameters);
    let (confidence, seed) = (options.confidence, options.seed);
    let likelihood = likelihood_test(&tables, &options);
    let slope = rate_slope(&tables, &options);
    for finding in [
        conclude(&likelihood, &slope, confidence, seed),
        Finding::of_likelihood(&likelihood, confidence, seed),
        Finding::of_slope(&slope, false, confidence, seed),
    ] {
        out.push(row(parameters, asked, finding, ""));
    }
    out.push(contrast(animals, parameters, asked));
}

/// The contrast of late and early sessions over animals.
fn contrast(animals: &[Drift], parameters: &Parameters, asked: &Similarity) -> CrystallizationRow {
    const TEST: &str = "late_minus_early_similarity";
    let each: Vec<&CrystallizationRow> = animals
        .iter()
        .flat_map(|drift| &drift.crystallization)
        .filter(|row| {
            row.test == TEST
                && (row.metric, &row.epoch, &row.variable)
                    == (asked.metric, &asked.epoch, &asked.variable)
                && row.statistic.is_finite()
        })
        .collect();
    let values: Vec<f64> = each.iter().map(|row| row.statistic).collect();
    let arrangements = parameters.permutations.max(1);
    let found = sign_flip(
        &values,
        Alternative::TwoSided,
        arrangements,
        parameters.seed,
    );
    let mut row = CrystallizationRow {
        metric: asked.metric,
        epoch: asked.epoch.clone(),
        variable: asked.variable.clone(),
        group: parameters.group.clone().unwrap_or_default(),
        test: TEST,
        statistic: f64::NAN,
        lo: f64::NAN,
        hi: f64::NAN,
        p: f64::NAN,
        null: "late and early similarities of an animal may be exchanged".into(),
        unit: "animals",
        n_sessions: each.iter().map(|row| row.n_sessions).sum(),
        n_cells: each.iter().map(|row| row.n_cells).sum(),
        n_animals: each.len(),
        seed: parameters.seed,
        inclusion: parameters.inclusion.name(),
        verdict: String::new(),
        sentence: String::new(),
    };
    match found {
        Ok(test) => {
            (row.statistic, row.p) = (test.statistic, test.p);
            row.verdict = if test.p > 1.0 - parameters.confidence {
                format!("no change shown in {} animals", test.n)
            } else if test.statistic > 0.0 {
                "more alike late than early; steady drift may do this too".into()
            } else {
                "less alike late than early".into()
            };
        }
        Err(error) => row.verdict = format!("undetermined: {error}"),
    }
    row
}
