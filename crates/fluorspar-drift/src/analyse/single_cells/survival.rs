//! How long cells stay selective.

use ndarray::Array2;

use super::super::context::{Context, Window};
use super::places::Places;
use super::tested::Tested;
use crate::single_cell::{Spell, kaplan_meier, spells};
use crate::table::row;

row! {
    /// A step of a Kaplan-Meier curve; a row of `survival.csv`. What ends a
    /// spell is a session in which the cell was seen and not selective, be it
    /// by drift or because it lies near the threshold: compare `survival` with
    /// `recurrence_floor` of the turnover table.
    SurvivalRow in "survival" {
        /// Epoch of the trial.
        epoch: String,
        /// Label.
        variable: String,
        /// `all`, or `start seen`: spells whose cell was seen unselective in
        /// the session before, so that their age is known.
        spells: &'static str,
        /// Days since a spell began.
        time_days: f64,
        /// Spells followed until then.
        at_risk: usize,
        /// Spells that ended then.
        ended: usize,
        /// Share that lasts longer.
        survival: f64,
        /// Greenwood's standard error.
        standard_error: f64,
        /// Lower end of the interval.
        lo: f64,
        /// Upper end of the interval.
        hi: f64,
        /// `ended / at_risk`.
        hazard: f64,
        /// Spells in all.
        n_spells: usize,
        /// Spells whose end was not seen.
        n_censored: usize,
        /// Why there is no curve, or empty.
        reason: String,
    }
}

pub(super) fn rows(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    variable: &str,
    tested: &[Result<Tested, String>],
) -> Vec<SurvivalRow> {
    let shape = (context.roster.cells, tested.len());
    let mut present = Array2::from_elem(shape, false);
    let mut on = Array2::from_elem(shape, false);
    for (session, tested) in tested.iter().enumerate() {
        let Ok(tested) = tested else { continue };
        for (member, &q) in places.members(session).iter().zip(&tested.q) {
            present[[member.global, session]] = true;
            on[[member.global, session]] = q <= context.parameters.false_discovery;
        }
    }
    let days: Vec<f64> = context.sessions.iter().map(|s| s.day).collect();
    let all = spells(on.view(), present.view(), &days);
    let mut out = Vec::new();
    for (kind, keep) in [
        ("all", (|_| true) as fn(&Spell) -> bool),
        ("start seen", |spell| !spell.start_missed),
    ] {
        // A spell of one session that nothing follows says nothing of how long spells last.
        let followed = |spell: &&Spell| keep(spell) && spell.days > 0.0;
        let blank = SurvivalRow {
            epoch: window.epoch.name.clone(),
            variable: variable.into(),
            spells: kind,
            time_days: f64::NAN,
            at_risk: 0,
            ended: 0,
            survival: f64::NAN,
            standard_error: f64::NAN,
            lo: f64::NAN,
            hi: f64::NAN,
            hazard: f64::NAN,
            n_spells: 0,
            n_censored: 0,
            reason: String::new(),
        };
        let curve = all.as_ref().map_err(ToString::to_string).and_then(|all| {
            let used: Vec<&Spell> = all.iter().filter(followed).collect();
            if used.is_empty() {
                return Err("no selective cell was followed into another session".into());
            }
            let duration: Vec<f64> = used.iter().map(|s| s.days).collect();
            let ended: Vec<bool> = used.iter().map(|s| s.ended).collect();
            let censored = ended.iter().filter(|&&e| !e).count();
            kaplan_meier(&duration, &ended, context.parameters.confidence)
                .map(|curve| (curve, used.len(), censored))
                .map_err(|e| e.to_string())
        });
        match curve {
            Err(reason) => out.push(SurvivalRow { reason, ..blank }),
            Ok((curve, n_spells, n_censored)) => {
                // Where every curve begins.
                out.push(SurvivalRow {
                    time_days: 0.0,
                    at_risk: n_spells,
                    survival: 1.0,
                    n_spells,
                    n_censored,
                    ..blank.clone()
                });
                out.extend((0..curve.time.len()).map(|k| SurvivalRow {
                    time_days: curve.time[k],
                    at_risk: curve.at_risk[k],
                    ended: curve.ended[k],
                    survival: curve.survival[k],
                    standard_error: curve.standard_error[k],
                    lo: curve.lo[k],
                    hi: curve.hi[k],
                    hazard: curve.hazard[k],
                    n_spells,
                    n_censored,
                    ..blank.clone()
                }));
            }
        }
    }
    out
}
