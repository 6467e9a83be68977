//! Drawing an image with outlines and a hundred thousand samples of traces.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, criterion_group, criterion_main};
use fluorspar_report::figure;
use ndarray::Array2;

fn render(c: &mut Criterion) {
    let image = Array2::from_shape_fn((512, 512), |(y, x)| (y ^ x) as f32);
    c.bench_function("image_512", |b| b.iter(|| figure::image(image.view(), &[])));
    let traces = Array2::from_shape_fn((10, 10_000), |(r, t)| ((t + r) as f32 * 0.01).sin());
    c.bench_function("traces_10x10000", |b| {
        b.iter(|| figure::traces(traces.view(), None, 30.0, &[]));
    });
}

criterion_group!(benches, render);
criterion_main!(benches);
