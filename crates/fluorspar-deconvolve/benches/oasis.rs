//! One pass over a trace, and a whole deconvolution with its search for λ.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_deconvolve::{Oasis, Parameters, oasis_ar1};

fn oasis(c: &mut Criterion) {
    let trace: Vec<f64> = (0..100_000_u64)
        .map(|t| ((t * 7919) % 1009) as f64 / 1009.0 + (-((t % 90) as f64) / 20.0).exp())
        .collect();
    let single: Vec<f32> = trace.iter().map(|&v| v as f32).collect();
    let mut group = c.benchmark_group("oasis");
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("ar1_pass", |b| b.iter(|| oasis_ar1(&trace, 0.95, 0.1)));
    group.sample_size(10);
    if let Ok(oasis) = Oasis::new(Parameters::default()) {
        group.bench_function("deconvolve", |b| b.iter(|| oasis.deconvolve(&single)));
    }
    group.finish();
}

criterion_group!(benches, oasis);
criterion_main!(benches);
