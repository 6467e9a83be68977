//! Rigid registration of 512 × 512 int16 frames: shift, interpolation and mean,
//! from a movie in memory. Throughput is in frames per second.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_movie::{ArrayMovie, Budget, silent};
use fluorspar_register::{Parameters, Reference, Registrar, register};
use ndarray::Array3;

fn texture(y: usize, x: usize) -> i16 {
    let blob = |cy: f64, cx: f64| {
        let (dy, dx) = (y as f64 - cy, x as f64 - cx);
        (-(dy * dy + dx * dx) / 40.0).exp()
    };
    let mut value = 0.0;
    for k in 0..60_u32 {
        value += blob(f64::from(k * 97 % 509), f64::from(k * 211 % 503));
    }
    let noise = (y.wrapping_mul(7919) ^ x.wrapping_mul(104_729)) % 97;
    (400.0 * value) as i16 + noise as i16
}

fn rigid(c: &mut Criterion) {
    let still = ndarray::Array2::from_shape_fn((540, 540), |(y, x)| texture(y, x));
    let movie = ArrayMovie::new(Array3::from_shape_fn((200, 512, 512), |(t, y, x)| {
        still[[y + t % 5, x + t % 7]]
    }));
    let parameters = Parameters {
        reference_frames: 50,
        ..Parameters::default()
    };
    let Ok(reference) = Reference::build(&movie, &parameters) else {
        return;
    };
    let Ok(registrar) = Registrar::new(&reference, &parameters) else {
        return;
    };
    let mut group = c.benchmark_group("rigid_512");
    group.sample_size(10);
    group.throughput(Throughput::Elements(200));
    group.bench_function("register", |b| {
        b.iter(|| register(&movie, &registrar, None, Budget::default(), &silent));
    });
    group.finish();
}

criterion_group!(benches, rigid);
criterion_main!(benches);
