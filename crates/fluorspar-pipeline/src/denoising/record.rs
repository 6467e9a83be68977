//! The numbers of one denoised movie, for programs.

use fluorspar_denoise::Residual;
use serde_json::{Value, json};

use super::Denoised;
use crate::artefact::Provenance;

/// The record beside the artefact: the same at every run, so without times.
pub(super) fn summary(done: &Denoised, left: &Residual, provenance: &Provenance<'_>) -> Value {
    let whole = left.whole;
    let lags: Vec<Value> = left
        .autocorrelation
        .iter()
        .map(|lag| json!({ "frames": lag.frames, "value": lag.value, "error": lag.error }))
        .collect();
    let mut out = json!({
        "verdict": done.verdict,
        "frames": done.frames,
        "planes": done.planes,
        "height": done.height,
        "width": done.width,
        "components": done.components,
        "blocks_with_components": done.blocks,
        "median_components_per_block": done.components_per_block,
        "input_bytes": done.input_bytes,
        "lowrank_bytes": done.lowrank_bytes,
        "median_noise": done.median_noise,
        "residual": {
            "frames": left.frames,
            "pairs": left.pairs,
            "tiles": left.tiles(),
            "tiles_beyond": left.beyond(),
            "tiles_beyond_by_chance": left.tiles() as f64 * Residual::beyond_by_chance(),
            "strongest_tile": left.strongest(),
            "ratio": whole.ratio,
            "temporal": whole.temporal,
            "temporal_z": whole.temporal_z,
            "shared": whole.shared,
            "shared_z": whole.shared_z,
            "spatial": whole.spatial,
            "noise_spatial": whole.noise_spatial,
            "lost": whole.lost,
            "lost_error": whole.lost_error,
            "autocorrelation": lags,
        },
    });
    for (name, value) in provenance.attributes() {
        out[name] = value;
    }
    out
}
