//! Frames per second of extraction, samples per second of demixing and of
//! baselines.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_movie::{ArrayMovie, Budget, Footprints, silent};
use fluorspar_trace::{
    Baseline, BaselineParameters, Coefficient, NeuropilParameters, Overlaps, Valid, delta_f_over_f,
    demix, extract, neuropil_coefficients,
};
use ndarray::{Array2, Array3};

/// Squares of 12 × 12 pixels on a grid of `step` pixels.
fn squares(step: usize) -> Footprints {
    let mut rois = Footprints::new(512, 512);
    for y in (2..500).step_by(step) {
        for x in (2..500).step_by(step) {
            let pixels: Vec<u32> = (0..144)
                .map(|k| ((y + k / 12) * 512 + x + k % 12) as u32)
                .collect();
            rois.push(&pixels, &[1.0; 144], 0).expect("sound footprint");
        }
    }
    rois
}

fn extraction(c: &mut Criterion) {
    let rois = squares(20);
    let movie = ArrayMovie::new(Array3::<i16>::from_elem((64, 512, 512), 300));
    let parameters = NeuropilParameters::default();
    let valid = Valid::everywhere();
    let mut group = c.benchmark_group("trace");
    group.sample_size(10);
    group.throughput(Throughput::Elements(64));
    group.bench_function("extract 625 ROIs, frames of 512 × 512", |b| {
        b.iter(|| {
            extract(
                &movie,
                &rois,
                &valid,
                &parameters,
                Budget::default(),
                &silent,
            )
        });
    });
    group.finish();
}

/// About a thousand ROIs that all hang together, an eleventh of each beside
/// its neighbours.
fn demixing(c: &mut Criterion) {
    let rois = squares(16);
    let rois = {
        let mut wide = Footprints::new(512, 512);
        for footprint in rois.iter().take(1000) {
            // One more row and column on every side, faint.
            let (y, x) = (footprint.indices[0] / 512, footprint.indices[0] % 512);
            let pixels: Vec<u32> = (0..289)
                .map(|k| (y + k / 17) * 512 + x + k % 17)
                .filter(|&i| i < 512 * 512)
                .collect();
            let weights: Vec<f32> = (0..pixels.len())
                .map(|k| if k % 17 > 11 || k / 17 > 11 { 0.2 } else { 1.0 })
                .collect();
            wide.push(&pixels, &weights, 0).expect("sound footprint");
        }
        wide
    };
    let overlaps = Overlaps::new(&rois);
    let frames = 5000;
    let hash = |roi: usize, t: usize| ((roi * 7919 + t * 104_729) % 1013) as f32 / 1013.0;
    let neuropil = Array2::from_elem((rois.len(), frames), 50.0);
    let bright = Array2::from_shape_fn((rois.len(), frames), |(roi, t)| {
        (150.0 + 40.0 * hash(roi, t)) * overlaps.sums()[roi] as f32
    });
    // A tenth of the ROIs go dark in a twentieth of the frames, each in its own.
    let dark = Array2::from_shape_fn((rois.len(), frames), |(roi, t)| {
        let dark = roi % 10 == 0 && hash(roi + 1, t) < 0.05;
        let level = if dark { 35.0 } else { 150.0 };
        (level + 40.0 * hash(roi, t)) * overlaps.sums()[roi] as f32
    });
    let coefficients = vec![0.7; rois.len()];
    let mut group = c.benchmark_group("trace");
    group.sample_size(10);
    group.throughput(Throughput::Elements(bright.len() as u64));
    for (name, projections) in [("no", &bright), ("some", &dark)] {
        let name = format!("demix 1,000 ROIs × 5,000 frames, {name} bounds active");
        group.bench_function(name, |b| {
            b.iter(|| {
                demix(
                    projections.view(),
                    neuropil.view(),
                    &coefficients,
                    &overlaps,
                )
            });
        });
    }
    group.finish();
}

fn baselines(c: &mut Criterion) {
    let f = Array2::from_shape_fn((100, 18_000), |(roi, t)| {
        100.0 + (roi * 31 + t * 7919 % 1013) as f32 * 0.01
    });
    let mut group = c.benchmark_group("trace");
    group.sample_size(10);
    group.throughput(Throughput::Elements(f.len() as u64));
    for (name, baseline) in [
        ("rest", Baseline::default()),
        ("percentile", Baseline::percentile()),
        ("maximin", Baseline::maximin()),
    ] {
        let parameters = BaselineParameters {
            baseline,
            ..BaselineParameters::default()
        };
        group.bench_function(format!("ΔF/F, {name}, 10 min at 30 Hz"), |b| {
            b.iter(|| delta_f_over_f(f.view(), f.view(), &parameters, 30.0));
        });
    }
    // The limit: reading two arrays and writing two.
    group.bench_function("copies of two arrays", |b| {
        b.iter(|| (f.clone(), f.clone()));
    });
    let neuropil = Array2::from_shape_fn(f.dim(), |(roi, t)| {
        50.0 + 5.0 * ((t + 17 * roi) as f32 / 40.0).sin()
    });
    group.bench_function("neuropil coefficients, 10 min at 30 Hz", |b| {
        b.iter(|| neuropil_coefficients(f.view(), neuropil.view(), &Coefficient::per_cell(), 30.0));
    });
    group.finish();
}

criterion_group!(benches, extraction, demixing, baselines);
criterion_main!(benches);
