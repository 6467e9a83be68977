//! Cells that are known.

mod common;

use common::{Scene, score};
use fluorspar_denoise::{Denoiser, LowRank};
use fluorspar_movie::{ArrayMovie, Budget, Footprints, silent};
use fluorspar_segment::{Class, Detector, Error, Evidence, Parameters, Segmentation};
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
fn a_dendrite_is_a_process_and_no_cell_body() {
    // Four pixels wide, forty long, with a bend.
    let on = |y: f32, x: f32| {
        let middle = 24.0 + 0.02 * (x - 32.0).powi(2);
        (y - middle).abs() < 2.0 && (12.0..52.0).contains(&x)
    };
    let movie = Array3::from_shape_fn((600, 64, 64), |(t, y, x)| {
        let noise = ((t * 7919 + y * 104_729 + x * 1_299_709) % 1009) as f32 / 50.0;
        let calcium = (-((t % 75) as f32) / 10.0).exp();
        let bright = if on(y as f32, x as f32) { 1.0 } else { 0.0 };
        100.0 + noise + bright * (20.0 + 60.0 * calcium)
    });
    let lowrank = denoised(movie);
    let run = |parameters| {
        Detector::new(parameters)
            .unwrap()
            .detect(&lowrank, 15.0, Budget::default(), &silent)
            .unwrap()
    };
    let found = run(Parameters::of(Class::Process, 4.0));
    let covered: usize = (0..found.footprints.len())
        .filter(|&roi| found.evidence[roi].is_cell())
        .flat_map(|roi| found.footprints.get(roi).indices.to_vec())
        .filter(|&p| on((p / 64) as f32, (p % 64) as f32))
        .count();
    assert!(covered >= 100, "{covered} of 160 pixels");
    assert!(cells(&run(Parameters::of(Class::Soma, 11.0))).is_empty());
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

#[test]
fn given_footprints_come_first_and_stay() {
    let truth = Scene {
        frames: 400,
        ..Scene::default()
    }
    .draw();
    let lowrank = denoised(truth.movie);
    let detector = Detector::new(Parameters::default()).unwrap();
    let run = |given: &Footprints| {
        detector
            .detect_beside(&lowrank, given, 15.0, Budget::default(), &silent)
            .unwrap()
    };
    // A true cell, and a square where nothing is.
    let mut given = Footprints::new(96, 96);
    let cell = truth.footprints.get(3);
    given.push(cell.indices, cell.weights, 0).unwrap();
    given.push(&[0, 1, 96, 97], &[1.0; 4], 0).unwrap();
    let found = run(&given);
    assert!(found.evidence[0].given && found.evidence[1].given);
    assert!(found.evidence[..2].iter().all(Evidence::is_cell));
    assert!(found.evidence[2..].iter().all(|e| !e.given));
    assert_eq!(found.footprints.get(0).indices, cell.indices);
    assert_eq!(found.footprints.get(1).indices, [0, 1, 96, 97]);
    // The cell is not found a second time.
    for roi in 2..found.footprints.len() {
        let overlap = fluorspar_movie::iou(found.footprints.get(roi), found.footprints.get(0));
        assert!(overlap < 0.3, "{roi}: {overlap}");
    }
    // Their order is the caller's.
    let swapped = run(&given.select(&[1, 0]));
    assert_eq!(swapped.footprints.get(1).indices, cell.indices);
    // In a movie without activity nothing is lost either.
    let still = denoised(Array3::from_elem((50, 96, 96), 3.0));
    let kept = detector
        .detect_beside(&still, &given, 15.0, Budget::default(), &silent)
        .unwrap();
    assert_eq!(kept.footprints, given);
    for wrong in [Footprints::new(96, 95), {
        let mut other = Footprints::new(96, 96);
        other.push(&[5], &[1.0], 1).unwrap();
        other
    }] {
        let error = detector.detect_beside(&lowrank, &wrong, 15.0, Budget::default(), &silent);
        assert!(matches!(error, Err(Error::Given(_))));
    }
}

#[test]
fn planes_are_looked_at_one_by_one() {
    let truth = Scene {
        frames: 300,
        height: 64,
        width: 64,
        cells: 12,
        ..Scene::default()
    }
    .draw();
    let (frames, height, width) = truth.movie.dim();
    // The same plane, below one without anything.
    let volume = ndarray::Array4::from_shape_fn((frames, 2, height, width), |(t, z, y, x)| {
        let noise = ((t * 7919 + y * 104_729 + x * 1_299_709) % 1009) as f32 / 100.0;
        if z == 1 {
            truth.movie[[t, y, x]]
        } else {
            50.0 + noise
        }
    });
    let shape = fluorspar_movie::MovieShape::new(frames, 2, height, width);
    let movie = Volume { volume, shape };
    let lowrank = Denoiser::new(fluorspar_denoise::Parameters::default())
        .unwrap()
        .fit(&movie, Budget::default(), &silent)
        .unwrap();
    let found = detect(&lowrank, 11.0, 1 << 30);
    assert!(found.footprints.len() > 4);
    assert!(found.footprints.planes().iter().all(|&plane| plane == 1));
    assert_eq!(found.activity_image.dim(), (2, height, width));
    let alone = detect(&denoised(truth.movie), 11.0, 1 << 30);
    let (one, other) = (cells(&found).len() as i64, cells(&alone).len() as i64);
    assert!((one - other).abs() <= 1, "{one} and {other}");
}

/// A movie of several planes, from memory.
struct Volume {
    volume: ndarray::Array4<f32>,
    shape: fluorspar_movie::MovieShape,
}

impl fluorspar_movie::Movie for Volume {
    fn shape(&self) -> fluorspar_movie::MovieShape {
        self.shape
    }
    fn pixel_type(&self) -> fluorspar_movie::PixelType {
        fluorspar_movie::PixelType::F32
    }
    fn read(
        &self,
        frames: std::ops::Range<usize>,
        into: &mut [f32],
    ) -> Result<(), fluorspar_movie::Error> {
        let part = self.volume.slice_axis(ndarray::Axis(0), frames.into());
        for (slot, &value) in into.iter_mut().zip(part) {
            *slot = value;
        }
        Ok(())
    }
    fn read_native(
        &self,
        frames: std::ops::Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let part = self.volume.slice_axis(ndarray::Axis(0), frames.into());
        for (slot, &value) in into.chunks_exact_mut(4).zip(part) {
            slot.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(())
    }
}

#[test]
fn one_giant_cell_and_dead_pixels_are_survived() {
    // Half the field blinks as one; a stripe is dead, a corner not a number.
    let movie = Array3::from_shape_fn((300, 48, 48), |(t, y, x)| {
        let noise = ((t * 7919 + y * 104_729 + x * 1_299_709) % 1009) as f32 / 100.0;
        let blink = if t % 50 < 10 && y < 24 { 60.0 } else { 0.0 };
        match (y, x) {
            (30..33, _) => 7.0,
            (40.., 40..) => f32::NAN,
            _ => 100.0 + noise + blink,
        }
    });
    let found = detect(&denoised(movie), 11.0, 1 << 30);
    for (footprint, evidence) in found.footprints.iter().zip(&found.evidence) {
        assert!(footprint.weights.iter().all(|w| w.is_finite() && *w > 0.0));
        assert!(evidence.probability.is_finite());
    }
    // Its border may look like a few; the inside is background.
    assert!(found.footprints.len() <= 8, "{}", found.footprints.len());
}

#[test]
fn what_is_out_of_focus_is_not_called_a_cell() {
    let scene = Scene {
        cells: 8,
        spacing: 2.5,
        ..Scene::default()
    };
    let truth = scene.draw();
    let mut movie = truth.movie.clone();
    // Light of two cells from above and below, one and a half times as wide.
    let blobs = [(16.0_f32, 80.0_f32, 0_usize), (80.0, 16.0, 37)];
    for &(cy, cx, shift) in &blobs {
        for (t, mut frame) in movie.outer_iter_mut().enumerate() {
            let height = 25.0 * (-(((t + shift) % 75) as f32) / 12.0).exp();
            for ((y, x), value) in frame.indexed_iter_mut() {
                let square = (y as f32 - cy).powi(2) + (x as f32 - cx).powi(2);
                *value += height * (-square / (2.0 * 49.0)).exp();
            }
        }
    }
    let found = detect(&denoised(movie), 11.0, 1 << 30);
    let cells = cells(&found);
    for &(cy, cx, _) in &blobs {
        for roi in 0..cells.len() {
            let (y, x) = cells.centroid(roi);
            let away = (y - f64::from(cy)).hypot(x - f64::from(cx));
            let best = truth
                .footprints
                .iter()
                .map(|t| fluorspar_movie::iou(t, cells.get(roi)));
            let best = best.fold(0.0, f64::max);
            assert!(away > 8.0 || best > 0.5, "{away} {best}");
        }
    }
    let (precision, recall) = score(&truth.footprints, &truth.active, &cells);
    assert!(precision >= 0.8 && recall >= 0.8, "{precision} {recall}");
}
