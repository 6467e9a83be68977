use std::path::Path;

use fluorspar_denoise::{Blocks, Denoiser, Parameters, residual};
use fluorspar_movie::{Budget, Checkpoints, silent};
use fluorspar_zarr::MovieReader;
use serde_json::json;

use crate::artefact::{Provenance, write_lowrank};
use crate::config;
use crate::error::Context;
use crate::{Error, Observer};

/// `registered.zarr` → `lowrank.zarr`, with maps of what was thrown away.
pub(crate) fn denoise(
    config: &config::Denoise,
    seed: u64,
    frame_rate: f64,
    folder: &Path,
    budget: Budget,
    kept: &dyn Checkpoints,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let registered = folder.join("registered.zarr");
    let movie = MovieReader::open(&registered).at(registered.display())?;
    let parameters = Parameters {
        blocks: Blocks {
            planes: 1,
            side: config.block,
        },
        seed,
        ..Parameters::default()
    };
    let lowrank = Denoiser::new(parameters.clone())
        .at("denoising")?
        .fit_resumable(&movie, budget, kept, &|frames| observer.advance(frames))
        .at("denoising")?
        .with_frame_rate(frame_rate);
    let left = residual(&movie, &lowrank, budget, &silent).at("denoising")?;
    let provenance = Provenance {
        parameters: &parameters,
        input: json!({ "files": ["registered.zarr"] }),
    };
    write_lowrank(
        &folder.join("lowrank.zarr"),
        &lowrank,
        &provenance,
        Some(&left),
    )
}
