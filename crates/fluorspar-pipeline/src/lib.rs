//! From raw sessions to a drift report.
//!
//! This crate joins the rooms below it: it reads `experiment.toml`
//! ([`ExperimentConfig`]), runs every stage from raw movie to drift
//! ([`run()`]), keeps a ledger so that a stopped run goes on where it was, and
//! draws the report. Every arrow of the chain is a file that other programs
//! can read:
//!
//! ```text
//! raw TIFF / Zarr ─ register ─ registered.zarr, motion.csv
//!                   denoise ── lowrank.zarr
//!                   cells ──── rois.zarr (footprints, F, Fneu, dff, events)
//! all sessions ──── track ──── tracks.zarr
//! + trials.csv ──── drift ──── drift/*.csv
//!                   report ─── report.html
//! ```
//!
//! | to | use |
//! |---|---|
//! | run an experiment | [`ExperimentConfig::read`], [`run()`] |
//! | analyse drift of anyone's ROIs, or of your own tensors | [`drift()`] |
//! | register one movie | [`register`] |
//! | denoise one movie | [`denoise`] |
//! | follow cells through sessions | [`track`] |
//! | compare with CellReg, ROICaT, Track2p | [`read_identities`], [`compare_identities`] |
//! | open any movie | [`find_files`], [`open_movie`] |
//! | read a run's artefacts | [`Rois::read`], [`TrackTable::read`], [`MotionTable::read`] |
//! | follow a run, or stop it | [`Observer`] |
//! | decide what memory it may have | [`memory_budget`] |
//! | write the methods section of a paper | [`methods()`] |
//! | simulate an experiment | [`parse_plan`], [`write_experiment`] |
//!
//! ```
//! use fluorspar_pipeline::ExperimentConfig;
//! use std::path::Path;
//!
//! let text = r#"
//!     [experiment]
//!     name = "m12"
//!     frame_rate = 30.0
//!
//!     [[session]]
//!     day = 1
//!     movie = "day01/*.tif"
//! "#;
//! let config = ExperimentConfig::parse(text, Path::new("experiment.toml"))?;
//! assert_eq!(config.register.mode, "nonrigid");
//! # Ok::<(), fluorspar_pipeline::Error>(())
//! ```

#![forbid(unsafe_code)]

mod artefact;
mod cells;
mod compare;
/// What `experiment.toml` may say.
pub mod config;
mod convert;
mod copy;
mod deconvolution;
mod demo;
mod denoising;
mod disk;
mod drift;
mod error;
mod figures;
mod info;
mod memory;
mod methods;
mod numpy;
mod observer;
mod pieces;
mod plan;
mod registration;
mod run;
mod seal;
mod segmentation;
mod simulation;
mod source;
mod stage;
mod strips;
mod tracking;
mod trials;

pub use artefact::{MotionTable, Quality, RoiTraces, Rois, TrackTable, read_lowrank};
pub use cells::{CellsSize, cells_workspace};
pub use compare::{Check, Comparison, EpochChange, compare};
pub use config::{ExperimentConfig, parse_epochs, read_epochs};
pub use convert::{ConvertOptions, Converted, convert};
pub use deconvolution::{DeconvolveOptions, DeconvolvedTraces, deconvolve};
pub use demo::{DemoSummary, demo, demo_plan};
pub use denoising::{DenoiseOptions, Denoised, denoise};
pub use drift::{DriftOptions, DriftSummary, SessionSummary, drift, drift_study};
pub use error::Error;
pub use fluorspar_deconvolve::Sparsity;
pub use fluorspar_track::Parameters as TrackParameters;
pub use info::{Interleaved, MovieInfo, Strips, info};
pub use memory::{
    AvailableMemory, LEAST_MEMORY, MemoryBudget, memory_budget, peak_memory, resident_memory,
};
pub use methods::methods;
pub use observer::{Observer, Step};
pub use plan::{Output, Plan, PlanOptions, Task, TaskSummary, Verified, Work, task, verify};
pub use registration::{RegisterOptions, Registered, register};
pub use run::{Existing, RunOptions, RunSummary, run};
pub use segmentation::{SegmentOptions, Segmented, segment};
pub use simulation::{parse_plan, simulate, write_experiment};
pub use source::{find_files, open_movie};
pub use tracking::{
    Agreement, AgreementTotals, CellAgreement, Counted, Identities, PairAgreement, TrackOptions,
    Tracked, TrackedSession, compare_identities, read_identities, track,
};
pub use trials::Trials;
