use std::path::PathBuf;

use clap::Args;
use fluorspar_pipeline::TrackParameters;

use super::positive;

#[derive(Debug, Args)]
pub(crate) struct Track {
    /// The ROIs of each session, in order of time, then the output folder: ROIS... OUT
    #[arg(required = true, num_args = 2.., value_name = "ROIS... OUT")]
    pub(crate) paths: Vec<PathBuf>,
    /// Largest distance between the centres of one cell in two aligned sessions, in pixels of the
    /// reference session: about the diameter of a cell
    #[arg(long, value_name = "PX", default_value_t = TrackParameters::default().max_distance, value_parser = positive)]
    pub(crate) max_distance: f64,
    /// Side of a pixel in µm: one for all sessions or one for each, separated by commas
    /// [default: the same in all]
    #[arg(long, value_name = "UM,...", value_delimiter = ',', value_parser = positive)]
    pub(crate) pixel_size: Vec<f64>,
    /// The session that the others are aligned to, counted from 0 [default: the middle one]
    #[arg(long, value_name = "N")]
    pub(crate) reference: Option<usize>,
    /// Largest rotation between sessions, up to 45 degrees
    #[arg(long, value_name = "DEGREES", default_value_t = TrackParameters::default().max_rotation)]
    pub(crate) max_rotation: f64,
    /// Largest shift between sessions, as a fraction of the field's sides
    #[arg(long, value_name = "FRACTION", default_value_t = TrackParameters::default().max_shift_fraction)]
    pub(crate) max_shift: f64,
    /// Fields are shifted, turned and stretched only, not bent
    #[arg(long)]
    pub(crate) rigid: bool,
    /// Planes by which ROIs of one cell may be apart after alignment
    #[arg(long, value_name = "N", default_value_t = TrackParameters::default().plane_tolerance)]
    pub(crate) planes_apart: u32,
    /// Planes by which whole stacks may be displaced, either way
    #[arg(long, value_name = "N", default_value_t = TrackParameters::default().max_plane_offset)]
    pub(crate) max_plane_offset: u32,
    /// Share of the joined pairs that is expected to be right, below 1: higher joins less
    #[arg(long, value_name = "SHARE", default_value_t = TrackParameters::default().target_precision)]
    pub(crate) precision: f64,
    /// Follow ROIs that do not count as cells too
    #[arg(long)]
    pub(crate) all_rois: bool,
    /// Write OUT/session-NN-undetected.npz for each session (NN from 00): footprints of cells that
    /// were not detected there, moved from the nearest session that has them
    #[arg(long)]
    pub(crate) transfer: bool,
    /// Take identities from FILE instead of matching, all of them as certain; what --compare reads
    #[arg(long, value_name = "FILE")]
    pub(crate) identities: Option<PathBuf>,
    /// Compare with the identities in FILE (agreement.csv): cellRegistered.mat of CellReg,
    /// results_clusters.json of ROICaT, the folder or .npy of Track2p, a folder with tracks.csv, or a
    /// CSV table with the columns cell, session and roi, all counted from 0
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
}
