//! Frames rendered per second.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_movie::Movie;
use fluorspar_simulate::{Experiment, Plan};

fn frames(criterion: &mut Criterion) {
    let plan = Plan {
        sessions: 1,
        ..Plan::default()
    };
    let experiment = Experiment::build(&plan).expect("the default plan is sound");
    let movie = experiment.session(0);
    let mut buffer = vec![0_u8; 100 * movie.shape().frame_len() * 2];
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(10);
    group.throughput(Throughput::Elements((buffer.len() / 2) as u64));
    group.bench_function("100 frames of 128 × 160", |bench| {
        bench.iter(|| {
            movie
                .read_native(0..100, &mut buffer)
                .expect("frames exist");
        });
    });
    group.finish();
    criterion.bench_function("build one session", |bench| {
        bench.iter(|| Experiment::build(&plan).expect("the default plan is sound"));
    });
}

criterion_group!(benches, frames);
criterion_main!(benches);
