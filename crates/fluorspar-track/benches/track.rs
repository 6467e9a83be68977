//! Matching five sessions of 400 cells.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, criterion_group, criterion_main};
use fluorspar_movie::Footprints;
use fluorspar_track::{Parameters, SessionRois, track};
use ndarray::Array2;

fn bench(c: &mut Criterion) {
    let mut all = Footprints::new(512, 512);
    for k in 0..400_usize {
        let (y, x) = (10 + 24 * (k / 20), 10 + 24 * (k % 20) + (k * 7) % 5);
        let pixels: Vec<u32> = (0..9)
            .flat_map(|i| (0..9).map(move |j| ((y + i) * 512 + x + j) as u32))
            .collect();
        if all.push(&pixels, &[1.0; 81], 0).is_err() {
            return;
        }
    }
    let image = Array2::from_shape_fn((512, 512), |(y, x)| {
        ((y * 7919) ^ (x * 104_729)) as f32 % 97.0
    });
    let sessions = vec![
        SessionRois {
            footprints: &all,
            mean_image: image.view(),
        };
        5
    ];
    c.bench_function("track_5x400", |b| {
        b.iter(|| track(&sessions, &Parameters::default()));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
