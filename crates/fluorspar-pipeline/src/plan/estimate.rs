//! What tasks are expected to cost; for workflow engines, and for progress.
//!
//! Rates are those of two cores (Xeon, AVX-512), measured on simulated movies
//! with `benches/peers/pipeline.py`; machines differ, and so do recordings.

use fluorspar_denoise::{Blocks, Denoiser, Parameters};
use fluorspar_movie::{Budget, MovieShape, PixelType};

use crate::cells::{CellsSize, cells_workspace};
use crate::config::ExperimentConfig;
use crate::drift::{Questions, SessionSize, workspace};

/// What a task holds at least: the program, its libraries and threads' stacks.
pub(super) const BASE: usize = 128 << 20;
/// Raw pixels registered in a second, parts of frames included.
const REGISTERED: f64 = 130e6;
/// Pixels denoised in a second.
const DENOISED: f64 = 120e6;
/// Pixels of the movie that cells are found and measured in, per second.
const MEASURED: f64 = 100e6;

/// Frames gone through, memory in bytes and wall time in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) frames: usize,
    /// Of a frame, where there are any.
    pub(super) frame_bytes: usize,
    pub(super) memory: usize,
    pub(super) seconds: f64,
}

fn cost(frames: usize, memory: usize, seconds: f64) -> Cost {
    Cost {
        frames,
        frame_bytes: 0,
        memory: BASE + memory,
        // To a tenth: nobody knows better.
        seconds: (10.0 * seconds.max(0.1)).round() / 10.0,
    }
}

impl Cost {
    /// Says how large the raw frames are that are gone through.
    pub(super) fn of(self, shape: MovieShape, pixel_type: PixelType) -> Self {
        let frame_bytes = shape.frame_len() * pixel_type.bytes();
        Self {
            frame_bytes: if self.frames > 0 { frame_bytes } else { 0 },
            ..self
        }
    }
}

fn pixels(shape: MovieShape, frames: usize) -> f64 {
    frames as f64 * shape.frame_len() as f64
}

pub(super) fn reference(shape: MovieShape, pixel_type: PixelType) -> Cost {
    // Four hundred frames in their own type, some of them as f32, spectra.
    let held = 400.min(shape.frames) * shape.frame_len() * pixel_type.bytes();
    let seconds = 2.0 * pixels(shape, 400.min(shape.frames)) / REGISTERED;
    cost(0, held.min(512 << 20) + 256 * shape.frame_len(), seconds)
}

pub(super) fn register(
    shape: MovieShape,
    pixel_type: PixelType,
    frames: usize,
    memory: usize,
) -> Cost {
    let block = shape.frame_len() * pixel_type.bytes() * 64 * 3;
    let held = (256 << 20) + 512 * shape.frame_len() + block;
    let held = held.min(memory).max(least_register(shape));
    let checked = 200.min(shape.frames);
    let seconds = pixels(shape, frames) / REGISTERED + 2.0 * pixels(shape, checked) / REGISTERED;
    cost(frames, held, seconds)
}

/// What registering volumes holds whatever the budget: of every pixel of all
/// planes the sums that images are made of, and what each plane is registered
/// to; little for single planes.
pub(super) fn least_register(shape: MovieShape) -> usize {
    if shape.planes == 1 {
        return 0;
    }
    160 * shape.frame_len()
}

pub(super) fn denoise(config: &ExperimentConfig, shape: MovieShape, memory: usize) -> Cost {
    let parameters = Parameters {
        blocks: Blocks {
            planes: 1,
            side: config.denoise.block,
        },
        ..Parameters::default()
    };
    let budget = Budget { bytes: memory / 4 };
    let held = Denoiser::new(parameters).map_or(memory, |denoiser| {
        denoiser.workspace(shape, budget, rank(shape), 2)
    });
    cost(shape.frames, held, pixels(shape, shape.frames) / DENOISED)
}

pub(super) fn cells(config: &ExperimentConfig, shape: MovieShape, memory: usize) -> Cost {
    let usual = fluorspar_segment::Parameters::default().diameter;
    let diameter_um = config.segment.diameter_um.number();
    let size = CellsSize {
        rois: rois(shape),
        frames: shape.frames,
        planes: shape.planes,
        image: (shape.height, shape.width),
        diameter: diameter_um.map_or(usual, |um| um / config.experiment.pixel_size_um),
        rank: rank(shape),
    };
    let budget = Budget { bytes: memory / 4 };
    let held = cells_workspace(&size, 2, budget);
    cost(shape.frames, held, pixels(shape, shape.frames) / MEASURED)
}

/// Components of a denoised movie: one for every 250 pixels is much.
fn rank(shape: MovieShape) -> usize {
    shape.frame_len() / 250 + 1
}

/// Cells of a session, about: one for every 900 pixels.
fn rois(shape: MovieShape) -> usize {
    shape.frame_len() / 900 + 1
}

pub(super) fn track(shape: MovieShape, sessions: usize) -> Cost {
    let rois = rois(shape) * sessions;
    // Footprints, what they look like, mean images, and pairs with all other sessions.
    let images = 4 * shape.frame_len() * sessions;
    let pairs = rois * sessions.saturating_sub(1) / 2;
    let held = images + 1_500 * rois + 220 * pairs;
    cost(0, held, pairs as f64 / 20_000.0)
}

/// `trials` gives trials and time bins of each session.
pub(super) fn drift(shape: MovieShape, trials: &[(usize, usize)], questions: Questions) -> Cost {
    let cells = rois(shape);
    let sessions: Vec<SessionSize> = trials
        .iter()
        .map(|&(trials, bins)| SessionSize {
            trials,
            cells,
            bins,
            frame_rate: None,
        })
        .collect();
    let values: usize = trials.iter().map(|(trials, _)| trials * cells).sum();
    let seconds = 3e-6 * (values * questions.epochs) as f64;
    cost(0, workspace(&sessions, questions), seconds)
}

pub(super) fn report(shape: MovieShape, sessions: usize) -> Cost {
    let rois = rois(shape) * sessions;
    cost(
        0,
        4 * 6 * rois * shape.frames.min(20_000),
        0.2 * sessions as f64,
    )
}
