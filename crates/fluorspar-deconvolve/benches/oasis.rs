//! OASIS per sample, and whole deconvolutions of blocks of traces.
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_deconvolve::{
    Ar1, Baseline, Kernel, Oasis, Parameters, Sparsity, exact, nonnegative_ar1,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const FRAMES: usize = 10_000;

/// Spikes in 2 % of frames, a decay of 20 frames, noise of 0.3 spikes.
fn traces(rois: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut out = Array2::zeros((rois, FRAMES));
    for mut row in out.rows_mut() {
        let mut c = 0.0;
        for slot in &mut row {
            c = 0.95 * c + f64::from(u8::from(rng.random::<f64>() < 0.02));
            let noise: f64 = StandardNormal.sample(&mut rng);
            *slot = (c + 0.3 * noise) as f32;
        }
    }
    out
}

fn oasis(c: &mut Criterion) {
    let traces = traces(64);
    let mut events = Array2::zeros(traces.dim());
    let mut group = c.benchmark_group("oasis");
    group.sample_size(10);
    group.throughput(Throughput::Elements(FRAMES as u64));
    let one = traces.row(0).to_vec();
    let long: Vec<f64> = one.iter().map(|&v| f64::from(v)).collect();
    if let Ok(mut solver) = Ar1::solve(&one, 0.0, 0.95, 0.0, 0.0) {
        group.bench_function("ar1, one trace", |b| {
            b.iter(|| black_box(solver.again(&one, 0.0, 0.95, 0.0, 0.0)));
        });
    }
    if let Ok(kernel) = Kernel::new(0.95, 0.6) {
        group.bench_function("ar2, one trace, exact", |b| {
            b.iter(|| black_box(exact(&long, kernel, 0.0)));
        });
    }
    group.throughput(Throughput::Elements(traces.len() as u64));
    group.bench_function("ar1, 64 traces, nothing else", |b| {
        b.iter(|| nonnegative_ar1(traces.view(), 0.95, events.view_mut()));
    });
    let ar1 = Kernel::new(0.95, 0.0).ok();
    let ar2 = Kernel::new(0.95, 0.6).ok();
    for (name, kernel, sparsity) in [
        (
            "ar1, 64 traces with level and noise",
            ar1,
            Sparsity::NonNegative,
        ),
        ("ar1, 64 traces, noise constraint", ar1, Sparsity::Noise),
        (
            "ar2, 64 traces with level and noise",
            ar2,
            Sparsity::NonNegative,
        ),
    ] {
        let oasis = Oasis::new(Parameters {
            kernel,
            sparsity,
            baseline: Baseline::Quantiles,
            ..Parameters::default()
        });
        if let (Ok(oasis), Some(kernel)) = (oasis, kernel) {
            group.bench_function(name, |b| {
                b.iter(|| oasis.deconvolve_block(traces.view(), &[kernel], events.view_mut()));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, oasis);
criterion_main!(benches);
