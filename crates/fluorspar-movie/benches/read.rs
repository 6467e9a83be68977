//! Conversion of in-memory `i16` frames to `f32`, against the memory's copy speed.
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_movie::{ArrayMovie, Movie};
use ndarray::Array3;

fn read(c: &mut Criterion) {
    let movie = ArrayMovie::new(Array3::<i16>::from_elem((32, 512, 512), 7));
    let mut into = vec![0.0; 32 * 512 * 512];
    let mut group = c.benchmark_group("array_movie");
    group.throughput(Throughput::Bytes(2 * into.len() as u64));
    group.bench_function("read_f32", |b| {
        b.iter(|| movie.read(0..32, black_box(&mut into)));
    });
    let mut bytes = vec![0; 2 * into.len()];
    group.bench_function("read_native", |b| {
        b.iter(|| movie.read_native(0..32, black_box(&mut bytes)));
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
