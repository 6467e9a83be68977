//! Decomposing 1,000 frames of 128 × 128 pixels.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_denoise::{Denoiser, Parameters};
use fluorspar_movie::{ArrayMovie, Budget, silent};
use ndarray::Array3;

fn fit(c: &mut Criterion) {
    let movie = ArrayMovie::new(Array3::from_shape_fn((1000, 128, 128), |(t, y, x)| {
        let noise = (t * 7919 + y * 104_729 + x * 1_299_709) % 1009;
        noise as f32 / 50.0 + ((t / 7 + y / 9) as f32).sin() * (x as f32 / 11.0).cos()
    }));
    let Ok(denoiser) = Denoiser::new(Parameters::default()) else {
        return;
    };
    let mut group = c.benchmark_group("denoise_1000x128x128");
    group.sample_size(10);
    group.throughput(Throughput::Elements(1000));
    group.bench_function("fit", |b| {
        b.iter(|| denoiser.fit(&movie, Budget::default(), &silent));
    });
    group.finish();
}

criterion_group!(benches, fit);
criterion_main!(benches);
