//! Tables about single cells: what each is selective for, which of them join
//! and leave, whether they keep their order, their tuning and their selectivity.

mod cells;
mod information;
mod places;
mod quarters;
mod sequences;
mod stability;
mod survival;
mod tested;
mod turnover;

use rayon::prelude::*;

use super::context::{Context, Window};
use crate::table::{Table, Tabular};
use cells::{Columns, FractionRow, SetRow};
use information::InformationRow;
use places::Places;
use quarters::Quarters;
use sequences::SequenceRow;
use stability::StabilityRow;
use survival::SurvivalRow;
use tested::{Halves, Tested};
use turnover::TurnoverRow;

/// Tables about single cells, filled epoch by epoch.
#[derive(Debug)]
pub(crate) struct SingleCells {
    places: Places,
    cells: Columns,
    fractions: Vec<FractionRow>,
    sets: Vec<SetRow>,
    information: Vec<InformationRow>,
    turnover: Vec<TurnoverRow>,
    survival: Vec<SurvivalRow>,
    sequences: Vec<SequenceRow>,
    stability: Vec<StabilityRow>,
}

impl SingleCells {
    pub(crate) fn new(context: &Context<'_>) -> Self {
        Self {
            places: Places::new(context),
            cells: Columns::default(),
            fractions: Vec::new(),
            sets: Vec::new(),
            information: Vec::new(),
            turnover: Vec::new(),
            survival: Vec::new(),
            sequences: Vec::new(),
            stability: Vec::new(),
        }
    }

    /// Adds one epoch.
    pub(crate) fn add(&mut self, context: &Context<'_>, window: &Window<'_>) {
        let sessions = context.sessions.len();
        let whole = quarters(context, window, &self.places, "");
        let rows = sequences::rows(context, window, &self.places, "", &whole);
        self.sequences.extend(rows);
        let rows = stability::rows(context, window, &self.places, "", &whole);
        self.stability.extend(rows);
        let mut tested: Vec<Vec<Result<Tested, String>>> = Vec::new();
        let mut halves: Vec<Halves> = Vec::new();
        for variable in &context.parameters.variables {
            let places = &self.places;
            let of_variable: Vec<Result<Tested, String>> = (0..sessions)
                .map(|s| tested::test(context, window, places, s, variable))
                .collect();
            let split = Halves::new(context, window, places, variable);
            let rows = turnover::rows(context, window, places, variable, &split);
            self.turnover.extend(rows);
            let rows = survival::rows(context, window, places, variable, &of_variable);
            self.survival.extend(rows);
            let rows = information::rows(context, window, places, variable);
            self.information.extend(rows);
            let labelled = quarters(context, window, places, variable);
            let rows = sequences::rows(context, window, places, variable, &labelled);
            self.sequences.extend(rows);
            let rows = stability::rows(context, window, places, variable, &labelled);
            self.stability.extend(rows);
            tested.push(of_variable);
            halves.push(split);
        }
        for session in 0..sessions {
            let of_session: Vec<&Result<Tested, String>> =
                tested.iter().map(|of| &of[session]).collect();
            let classes = cells::classes(context, &of_session);
            self.fractions.extend(cells::fractions(
                context,
                window,
                session,
                &of_session,
                &halves,
                classes.as_ref(),
            ));
            self.sets
                .extend(cells::sets(context, window, session, classes.as_ref()));
            self.cells.add(
                context,
                window,
                &self.places,
                session,
                &of_session,
                whole[session].as_ref().ok(),
                classes.as_ref(),
            );
        }
    }

    /// All tables.
    pub(crate) fn tables(self, context: &Context<'_>) -> Vec<Table> {
        vec![
            FractionRow::table(&self.fractions),
            SetRow::table(&self.sets),
            TurnoverRow::table(&self.turnover),
            SurvivalRow::table(&self.survival),
            SequenceRow::table(&self.sequences),
            StabilityRow::table(&self.stability),
            InformationRow::table(&self.information),
            self.cells.table(context),
        ]
    }
}

/// Mean maps of every session, with the labels of `variable` side by side.
fn quarters(
    context: &Context<'_>,
    window: &Window<'_>,
    places: &Places,
    variable: &str,
) -> Vec<Result<Quarters, String>> {
    (0..context.sessions.len())
        .into_par_iter()
        .map(|s| Quarters::new(context, window, places, s, variable))
        .collect()
}
