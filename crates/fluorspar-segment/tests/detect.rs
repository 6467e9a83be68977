//! Cells that are known.

mod common;

use common::{Scene, score};
use fluorspar_denoise::{Denoiser, LowRank};
use fluorspar_movie::{ArrayMovie, Budget, Footprints, silent};
use fluorspar_segment::{Detector, Error, Parameters, Segmentation};
use ndarray::Array3;

fn denoised(movie: Array3<f32>) -> LowRank {
    Denoiser::new(fluorspar_denoise::Parameters::default())
        .unwrap()
        .fit(&ArrayMovie::new(movie), Budget::default(), &silent)
        .unwrap()
}

fn detect(lowrank: &LowRank, diameter: f64, bytes: usize) -> Segmentation {
    let parameters = Parameters {
        diameter,
        ..Parameters::default()
    };
    Detector::new(parameters)
        .unwrap()
        .detect(lowrank, 15.0, Budget { bytes }, &silent)
        .unwrap()
}

/// The footprints that count as cells.
fn cells(found: &Segmentation) -> Footprints {
    let kept: Vec<usize> = (0..found.evidence.len())
        .filter(|&k| found.evidence[k].is_cell())
        .collect();
    found.footprints.select(&kept)
}

#[test]
fn planted_cells_are_found() {
    for (seed, diameter) in [(1, 11.0), (2, 8.0)] {
        let truth = Scene {
            diameter,
            seed,
            ..Scene::default()
        }
        .draw();
        let found = detect(&denoised(truth.movie.clone()), diameter, 1 << 30);
        let cells = cells(&found);
        let (precision, recall) = score(&truth.footprints, &truth.active, &cells);
        assert!(
            precision >= 0.8 && recall >= 0.8,
            "{diameter}: {precision} {recall}"
        );
        let snr: Vec<f32> = found.evidence.iter().map(|e| e.snr).collect();
        assert!(snr.windows(2).all(|pair| pair[0] >= pair[1]));
    }
}

#[test]
fn a_scene_without_spikes_has_next_to_no_cells() {
    let truth = Scene {
        rate: 0.0,
        ..Scene::default()
    }
    .draw();
    let found = detect(&denoised(truth.movie), 11.0, 1 << 30);
    assert!(cells(&found).len() <= 4, "{}", cells(&found).len());
}

#[test]
fn threads_and_memory_change_nothing() {
    let truth = Scene {
        frames: 300,
        ..Scene::default()
    }
    .draw();
    let lowrank = denoised(truth.movie);
    let run = |threads: usize, bytes: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let found = pool.install(|| detect(&lowrank, 11.0, bytes));
        (found.footprints, found.evidence, found.activity_image)
    };
    let one = run(1, 1 << 30);
    assert!(one == run(3, 1 << 30));
    assert!(one == run(2, 1 << 20));
}

#[test]
fn movies_without_activity_have_no_cells() {
    let found = detect(
        &denoised(Array3::from_elem((50, 40, 40), 3.0)),
        11.0,
        1 << 30,
    );
    assert!(found.footprints.is_empty());
    assert_eq!(found.activity_image.dim(), (1, 40, 40));
}

#[test]
fn wrong_parameters_are_refused() {
    for diameter in [0.0, -3.0, f64::NAN, f64::INFINITY] {
        let parameters = Parameters {
            diameter,
            ..Parameters::default()
        };
        assert!(matches!(
            Detector::new(parameters),
            Err(Error::Parameter { .. })
        ));
    }
}
