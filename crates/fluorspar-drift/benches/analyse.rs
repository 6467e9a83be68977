//! Six sessions, 200 cells, one epoch and variable, 200 resamples.
#![allow(missing_docs, reason = "criterion's macros")]

use std::collections::BTreeMap;

use criterion::{Criterion, criterion_group, criterion_main};
use fluorspar_drift::{Epoch, Parameters, Session, analyse};
use ndarray::Array3;

fn bench(c: &mut Criterion) {
    let sessions: Vec<Session> = (0..6)
        .map(|day| Session {
            activity: Array3::from_shape_fn((40, 200, 25), |(t, n, b)| {
                ((t * 7919 + n * 104_729 + b * 31 + day * 17) % 1009) as f32 / 1009.0
                    + if (t + n) % 2 == 0 { 0.3 } else { 0.0 }
            }),
            cell: (0..200).collect(),
            time_s: (0..25).map(f64::from).collect(),
            day: day as f64,
            labels: BTreeMap::from([("odour".to_owned(), (0..40).map(|t| t % 2).collect())]),
            ..Session::default()
        })
        .collect();
    let epochs = [Epoch {
        name: "delay".into(),
        start_s: 0.0,
        stop_s: 25.0,
    }];
    let parameters = Parameters {
        variables: vec!["odour".into()],
        bootstrap: 200,
        permutations: 200,
        ..Parameters::default()
    };
    let mut group = c.benchmark_group("drift");
    group.sample_size(10);
    group.bench_function("analyse_6x200", |b| {
        b.iter(|| analyse(&sessions, &epochs, &parameters, &|_| {}));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
