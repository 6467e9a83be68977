//! How a neural code changes over days, with uncertainty.
//!
//! Input: for each session the trials as `(trial, cell, time)`, the identity
//! of every cell, labels per trial. Output: tidy tables.
//!
//! | question | table, metric | how |
//! |---|---|---|
//! | is population activity alike on two days? | metrics: `pv_correlation`, `pv_correlation_corrected` | correlation over cells per time bin; the diagonal is the split-half floor; corrected by reliability |
//! | do overall rates, or single cells' tuning, change? | metrics: `ensemble_rate_correlation`, `tuning_correlation` | Geva et al. 2023, Neuron 111:2357 |
//! | is the code *for a label* alike? | metrics: `code_similarity` | cosine of the label's coding patterns, corrected for trial noise |
//! | can one day's decoder read another day? | metrics: `decoding`, `decoding_renormalised`, `decoding_relative` | linear SVM, balanced accuracy |
//! | how fast does it drift? | rates, half_lives, mantel | laws of drift, chosen on sessions left out |
//! | does drift stop with practice? | crystallization | against plateau, random walk and steady steps, and without any law |
//!
//! **Noise and trial numbers.** More or cleaner trials raise plain
//! correlations and can fake a code that stabilises. Here every similarity is
//! corrected with the trial-to-trial variance of the same data
//! (disattenuation, Spearman 1904), in closed form: the product of two
//! sessions' mean responses is unbiased because their trials are independent,
//! and the squared length within one session loses its noise by subtracting
//! variance / trials. Plain correlations are given at one matched number of
//! trials for all sessions.
//!
//! **Intervals** come from resampling cells, the same cells in all sessions
//! at once. As trial noise differs from cell to cell it is in the interval;
//! noise that all cells share is not. Decoding intervals resample the test
//! trials. Where a number cannot be had, it is NaN and the row says why.
//!
//! ```
//! use std::collections::BTreeMap;
//! use fluorspar_drift::{Epoch, Parameters, Session, analyse};
//! use ndarray::Array3;
//!
//! let session = |day: f64| Session {
//!     activity: Array3::from_shape_fn((20, 30, 4), |(trial, cell, time)| {
//!         let tuned = if (cell + trial) % 2 == 0 { 1.0 } else { 0.0 };
//!         tuned + ((trial * 31 + cell * 17 + time * 7 + day as usize * 5) % 11) as f32 * 0.05
//!     }),
//!     cell: (0..30).collect(),
//!     time_s: vec![0.0, 0.5, 1.0, 1.5],
//!     day,
//!     labels: BTreeMap::from([("odour".to_owned(), (0..20).map(|t| t % 2).collect())]),
//!     ..Session::default()
//! };
//! let epochs = [Epoch { name: "delay".into(), start_s: 0.0, stop_s: 2.0 }];
//! let parameters = Parameters { variables: vec!["odour".into()], bootstrap: 100, ..Parameters::default() };
//! let drift = analyse(&[session(1.0), session(2.0)], &epochs, &parameters, &|_| {})?;
//! let similar = drift.metrics.iter().find(|m| m.metric == "code_similarity" && m.session_j == 2).unwrap();
//! assert!(similar.value > 0.9);
//! # Ok::<(), fluorspar_drift::Error>(())
//! ```

#![forbid(unsafe_code)]

mod analyse;
mod code;
pub mod confounds;
mod error;
pub mod geometry;
pub mod inference;
pub mod law;
pub mod maps;
mod parameters;
pub mod planted;
pub mod projection;
mod random;
mod session;
pub mod similarity;
pub mod single_cell;
mod statistics;
mod table;

pub use analyse::{analyse, decode, planted_drift, study};
pub use error::Error;
pub use parameters::{Inclusion, Parameters};
pub use session::{Epoch, Session};
pub use table::{
    Column, ConfoundRow, CrystallizationRow, Drift, HalfLifeRow, MantelRow, MetricRow, RateRow,
    Similarity, Table, Tabular, Values,
};
