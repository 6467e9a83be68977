//! The checks as tables.

use crate::table::row;

row! {
    /// What one check found; a row of `confound_checks.csv`.
    ConfoundCheckRow in "confound_checks" {
        /// Which check.
        check: &'static str,
        /// What it was done on, such as the name of a covariate; or empty.
        about: String,
        /// Epoch of the trial, or empty where it does not matter.
        epoch: String,
        /// Label, or empty where it does not matter.
        variable: String,
        /// `fine`, `look`, `problem` or `not checked`.
        status: &'static str,
        /// The number it rests on.
        statistic: f64,
        /// Lower end of its interval.
        lo: f64,
        /// Upper end of its interval.
        hi: f64,
        /// Probability of as extreme a number under `null`.
        p: f64,
        /// The null hypothesis, or empty.
        null: &'static str,
        /// Sessions, pairs, trials or cells it rests on.
        n: usize,
        /// Seed of permutations and draws.
        seed: u64,
        /// What it means, in one sentence.
        sentence: String,
    }
}

row! {
    /// A number of one session that could explain a change; a row of `confound_numbers.csv`.
    ConfoundNumberRow in "confound_numbers" {
        /// Name of the number.
        name: String,
        /// Epoch of the trial, or empty where it does not matter.
        epoch: String,
        /// Label, or empty where it does not matter.
        variable: String,
        /// Session, from 1.
        session: usize,
        /// Elapsed days.
        day: f64,
        /// The number, or NaN.
        value: f64,
    }
}

row! {
    /// Two sessions and the matches between them; a row of `wrong_matches.csv`.
    WrongMatchesRow in "wrong_matches" {
        /// Epoch of the trial.
        epoch: String,
        /// Label.
        variable: String,
        /// First session, from 1.
        session_i: usize,
        /// Second session, from 1.
        session_j: usize,
        /// Days between them.
        days: f64,
        /// Expected share of wrong matches.
        wrong: f64,
        /// Similarity of a code that never changed, with these wrong matches.
        expected: f64,
        /// Similarity found.
        similarity: f64,
        /// Similarity found, divided by `expected`.
        without_wrong: f64,
        /// Distance between the behaviour of the two, or NaN.
        behaviour_distance: f64,
        /// Cells compared.
        n_cells: usize,
    }
}

row! {
    /// What a stricter threshold of identities does; a row of `identity_sweep.csv`.
    IdentitySweepRow in "identity_sweep" {
        /// Epoch of the trial.
        epoch: String,
        /// Label.
        variable: String,
        /// Least probability of a cell's identity in both sessions.
        p_same: f64,
        /// Mean similarity over pairs.
        similarity: f64,
        /// Change of similarity per day between sessions.
        per_day: f64,
        /// Mean expected share of wrong matches.
        wrong: f64,
        /// Mean number of cells of a pair.
        n_cells: f64,
        /// Pairs with a value.
        n_pairs: usize,
    }
}
