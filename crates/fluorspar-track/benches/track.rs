//! How the time grows with the number of cells.
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_simulate::{Fields, FieldsPlan};
use fluorspar_track::{Parameters, SessionRois, track};

/// So many sessions, cells and pixels along a side, one cell to about 200 pixels.
fn plan(sessions: usize, cells: usize, side: usize) -> FieldsPlan {
    FieldsPlan {
        sessions,
        cells,
        height: side,
        width: side,
        warp_length_px: 100.0_f64.max(side as f64 / 5.0),
        ..FieldsPlan::default()
    }
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("track");
    group.sample_size(10);
    for (sessions, cells, side) in [
        (5, 400, 296),
        (14, 2_500, 740),
        (14, 5_000, 1_046),
        (14, 10_000, 1_480),
    ] {
        let Ok(fields) = Fields::build(&plan(sessions, cells, side)) else {
            return;
        };
        let all: Vec<SessionRois<'_>> = fields
            .sessions
            .iter()
            .map(|session| {
                let rois = SessionRois::new(&session.footprints);
                match &session.mean_image {
                    Some(image) => rois.with_mean_image(image.view()),
                    None => rois,
                }
            })
            .collect();
        let number: usize = fields.sessions.iter().map(|s| s.footprints.len()).sum();
        group.throughput(Throughput::Elements(number as u64));
        group.warm_up_time(Duration::from_millis(if sessions > 5 { 1 } else { 1_000 }));
        let name = BenchmarkId::from_parameter(format!("{sessions}x{cells}"));
        group.bench_with_input(name, &all, |b, all| {
            b.iter(|| track(black_box(all), &Parameters::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
