//! Finding cells takes what it says it takes, and far less than its result.

mod counting;

use std::path::Path;
use std::sync::atomic::Ordering;

use counting::{NOW, PEAK};
use fluorspar_movie::{Budget, MovieShape, MovieSink, PixelType};
use fluorspar_pipeline::{
    CellsSize, RoiTraces, SegmentOptions, cells_workspace, read_lowrank, segment,
};
use fluorspar_zarr::MovieWriter;

const FRAMES: usize = 40_000;
const SIDE: usize = 16;
/// Side of the squares that are given as ROIs.
const SQUARE: usize = 2;

fn write(path: &Path, frames: usize, value: impl Fn(usize, usize) -> f32) {
    let shape = MovieShape::new(frames, 1, SIDE, SIDE);
    let mut writer = MovieWriter::create(path, shape, PixelType::U16, Some(30.0)).unwrap();
    for start in (0..frames).step_by(1024) {
        let stop = (start + 1024).min(frames);
        let values: Vec<f32> = (start..stop)
            .flat_map(|t| (0..SIDE * SIDE).map(move |pixel| (t, pixel)))
            .map(|(t, pixel)| value(t, pixel))
            .collect();
        writer.write(start, &values).unwrap();
    }
    writer.finish().unwrap();
}

/// The most that is held at once while `work` runs, beside what was held before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let done = work();
    (done, PEAK.load(Ordering::Relaxed) - before)
}

#[test]
fn the_workspace_is_enough_and_the_result_need_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("movie.zarr"), FRAMES, |t, pixel| {
        let calcium = |cell: usize| (-((t * (cell + 2) % 1201) as f32) / 30.0).exp();
        let noise = (t * 7919 + pixel * 104_729) % 1013;
        300.0 + 0.2 * noise as f32 + 200.0 * calcium(pixel / 64)
    });
    let per_row = SIDE / SQUARE;
    write(&at("labels.zarr"), 1, |_, pixel| {
        let (y, x) = (pixel / SIDE / SQUARE, pixel % SIDE / SQUARE);
        (1 + y * per_row + x) as f32
    });
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .unwrap();
    let mut lowrank = None;
    for bytes in [1 << 20, 1 << 30] {
        let budget = Budget { bytes };
        let options = SegmentOptions {
            diameter_px: Some(4.0),
            masks: Some(at("labels.zarr")),
            lowrank: lowrank.clone(),
            ..SegmentOptions::default()
        };
        let out = at(&format!("out-{bytes}"));
        let inputs = [at("movie.zarr")];
        let find = || segment(&inputs, &out, &options, budget, &());
        if lowrank.is_none() {
            pool.install(find).unwrap();
            lowrank = Some(at("lowrank.zarr"));
            std::fs::rename(out.join("lowrank.zarr"), at("lowrank.zarr")).unwrap();
            std::fs::remove_dir_all(&out).unwrap();
        }
        let options = SegmentOptions {
            lowrank: lowrank.clone(),
            ..options.clone()
        };
        let find = || segment(&inputs, &out, &options, budget, &());
        let (done, peak) = peak_of(|| pool.install(find));
        done.unwrap();
        let traces = RoiTraces::open(&out.join("rois.zarr")).unwrap();
        assert!(traces.rois() >= per_row * per_row);
        let size = CellsSize {
            rois: traces.rois(),
            frames: FRAMES,
            planes: 1,
            image: (SIDE, SIDE),
            diameter: 4.0,
            rank: read_lowrank(&at("lowrank.zarr")).unwrap().rank(),
        };
        let result = 6 * 4 * traces.rois() * FRAMES;
        let enough = cells_workspace(&size, 2, budget);
        // What opens the movie and draws the page is not part of it.
        assert!(peak <= enough + (16 << 20), "{peak} {enough}");
        if bytes == 1 << 20 {
            // Six arrays of traces are stored.
            assert!(peak < result, "{peak} {result}");
        }
    }
}
