//! Frames per second of extraction, samples per second of ΔF/F.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_movie::{ArrayMovie, Budget, Footprints, silent};
use fluorspar_trace::{BaselineParameters, NeuropilParameters, delta_f_over_f, extract};
use ndarray::{Array2, Array3};

fn bench(c: &mut Criterion) {
    let mut rois = Footprints::new(512, 512);
    for y in (10..500).step_by(20) {
        for x in (10..500).step_by(20) {
            let pixels: Vec<u32> = (0..100)
                .map(|k| ((y + k / 10) * 512 + x + k % 10) as u32)
                .collect();
            rois.push(&pixels, &[1.0; 100], 0).expect("sound footprint");
        }
    }
    let movie = ArrayMovie::new(Array3::<i16>::from_elem((64, 512, 512), 300));
    let parameters = NeuropilParameters::default();
    let mut group = c.benchmark_group("trace");
    group.sample_size(10);
    group.throughput(Throughput::Elements(64));
    group.bench_function("extract 625 ROIs, frames of 512 × 512", |b| {
        b.iter(|| extract(&movie, &rois, &parameters, Budget::default(), &silent));
    });
    let f = Array2::from_shape_fn((100, 18_000), |(roi, t)| {
        100.0 + (roi * 31 + t * 7919 % 1013) as f32 * 0.01
    });
    let neuropil = Array2::from_elem((100, 18_000), 50.0);
    let baseline = BaselineParameters::default();
    group.throughput(Throughput::Elements(f.len() as u64));
    group.bench_function("delta_f_over_f, 10 min at 30 Hz", |b| {
        b.iter(|| delta_f_over_f(f.view(), neuropil.view(), &baseline, 30.0));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
