//! Training on 40 trials with a Gram matrix.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, criterion_group, criterion_main};
use fluorspar_decode::{Decoder, LinearSvm, linear_gram};
use ndarray::Array2;

fn svm(c: &mut Criterion) {
    let labels: Vec<i64> = (0..40).map(|t| t % 2).collect();
    let x = Array2::from_shape_fn((40, 300), |(t, k)| {
        ((t * 7919 + k * 104_729) % 1009) as f64 / 1009.0 + 0.05 * labels[t] as f64
    });
    let gram = linear_gram(x.view());
    let all: Vec<usize> = (0..40).collect();
    c.bench_function("svm_train_40", |b| {
        b.iter(|| LinearSvm::default().train(gram.view(), &labels, &all));
    });
}

criterion_group!(benches, svm);
criterion_main!(benches);
