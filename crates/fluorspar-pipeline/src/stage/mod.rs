//! The stages of a run, each from artefact to artefact.

mod cells;
mod denoise;
mod register;
mod track;

pub(crate) use cells::find_cells;
pub(crate) use denoise::denoise;
pub(crate) use register::{
    assess, assess_volumes, piece_frames, register, register_volumes, registered_options,
    registered_sink, stored_type,
};
pub(crate) use track::track;
