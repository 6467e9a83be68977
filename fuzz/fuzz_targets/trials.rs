//! `trials.csv`: any bytes are parsed or refused, and what is parsed is whole.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(trials) = fluorspar_pipeline::Trials::parse(bytes, Path::new("fuzz.csv")) {
        assert!(!trials.is_empty());
        assert!(trials.onset_s.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(trials.columns.values().all(|column| column.len() == trials.len()));
    }
});
