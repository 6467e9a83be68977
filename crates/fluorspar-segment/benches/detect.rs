//! Finding 16 cells in 600 frames of 96 × 96 pixels.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, criterion_group, criterion_main};
use fluorspar_denoise::Denoiser;
use fluorspar_movie::{ArrayMovie, Budget, silent};
use fluorspar_segment::{Detector, Parameters};
use ndarray::Array3;

fn detect(c: &mut Criterion) {
    let movie = ArrayMovie::new(Array3::from_shape_fn((600, 96, 96), |(t, y, x)| {
        let (row, column) = (y / 24, x / 24);
        let inside = (y as f32 - 24.0 * row as f32 - 12.0)
            .hypot(x as f32 - 24.0 * column as f32 - 12.0)
            < 5.0;
        let since = (t + 37 * row + 61 * column) % 90;
        let noise = ((t * 7919 + y * 104_729 + x * 1_299_709) % 1009) as f32 / 50.0;
        100.0
            + noise
            + if inside {
                60.0 * (-(since as f32) / 9.0).exp()
            } else {
                0.0
            }
    }));
    let prepared = Denoiser::new(fluorspar_denoise::Parameters::default())
        .and_then(|denoiser| denoiser.fit(&movie, Budget::default(), &silent));
    let (Ok(lowrank), Ok(detector)) = (prepared, Detector::new(Parameters::default())) else {
        return;
    };
    let mut group = c.benchmark_group("segment_600x96x96");
    group.sample_size(10);
    group.bench_function("detect", |b| {
        b.iter(|| detector.detect(&lowrank, 15.0, Budget::default(), &silent));
    });
    group.finish();
}

criterion_group!(benches, detect);
criterion_main!(benches);
