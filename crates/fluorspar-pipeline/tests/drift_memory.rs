//! A drift analysis takes what a refusal says it takes, and not much less.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use fluorspar_pipeline::{DriftOptions, drift};

#[path = "../examples/write_traces/experiment.rs"]
mod experiment;

use experiment::{Size, write};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as of the trait; the layout is handed on as it came.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise is the system's.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as of the trait; pointer and layout are handed on as they came.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Writes `experiment.toml` anew, with identities that are known and changes.
fn configure(out: &Path, changes: &[(&str, &str)]) {
    let path = out.join("experiment.toml");
    let mut text = std::fs::read_to_string(out.join("original.toml")).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn what_a_refusal_asks_for_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let size = Size {
        cells: 4_000,
        sessions: 4,
        trials: 60,
        frame_rate: 4.0,
        seed: 2,
    };
    write(out, &size).unwrap();
    let given = ("tracks/tracks.zarr", "identities.csv");
    std::fs::rename(out.join("experiment.toml"), out.join("original.toml")).unwrap();
    let options = DriftOptions {
        bootstrap: Some(20),
        permutations: Some(20),
        ..DriftOptions::default()
    };
    let of_two = ("[\"odour1\"]", "[\"odour1\", \"outcome\"]");
    let whole = (
        "odour1 = [0.0, 1.0]",
        "odour1 = [0.0, 1.0]\nwhole = [0.0, 10.0]",
    );
    for changes in [
        vec![given],
        vec![given, ("bin_s = 0.5", "")],
        vec![given, of_two, whole],
    ] {
        configure(out, &changes);
        let input = out.join("experiment.toml");
        let asked = |memory: usize| DriftOptions {
            memory: Some(memory),
            ..options.clone()
        };
        let refusal = drift(&input, &out.join("none"), &asked(1 << 20), &()).unwrap_err();
        let refusal = refusal.to_string();
        let (_, rest) = refusal.split_once("--memory ").unwrap();
        let mebibytes: usize = rest.split_once("MiB").unwrap().0.parse().unwrap();

        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        drift(&input, &out.join("drift"), &asked(mebibytes << 20), &()).unwrap();
        let held = PEAK.load(Ordering::Relaxed) - before;
        assert!(
            held <= mebibytes << 20,
            "{changes:?}: {} of {mebibytes} MiB",
            held >> 20
        );
        assert!(
            held >= (mebibytes << 20) / 2,
            "{changes:?}: {} of {mebibytes} MiB",
            held >> 20
        );
        std::fs::remove_dir_all(out.join("drift")).unwrap();
    }
}
