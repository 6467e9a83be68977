//! `experiment.toml`, epochs files and simulation specs: any text is parsed or refused.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let path = Path::new("fuzz.toml");
    if let Ok(config) = fluorspar_pipeline::ExperimentConfig::parse(text, path) {
        assert!(!config.sessions.is_empty());
        assert!(config.epochs.values().all(|epoch| epoch.start_s < epoch.stop_s));
    }
    let _ = fluorspar_pipeline::parse_epochs(text, path);
    let _ = fluorspar_pipeline::parse_plan(text, path);
});
