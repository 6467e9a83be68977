//! Gram matrices against plain double-precision sums.

use fluorspar_decode::{
    Error, Features, Scaling, cross_gram, gram, gram_of_some, read_out, weights,
};
use ndarray::{Array2, Axis, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn activity(trials: usize, cells: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((trials, cells), || {
        let value: f32 = StandardNormal.sample(&mut rng);
        value + 3.0
    })
}

fn plain(a: &Array2<f64>, b: &Array2<f64>) -> Array2<f64> {
    a.dot(&b.t())
}

fn standardised(x: &Array2<f64>, by: &Array2<f64>) -> Array2<f64> {
    (x - &by.mean_axis(Axis(0)).unwrap()) / by.std_axis(Axis(0), 0.0)
}

fn close(a: &Array2<f64>, b: &Array2<f64>, cells: usize) {
    let worst = (a - b).iter().fold(0.0_f64, |w, d| w.max(d.abs()));
    assert!(worst < 1e-5 * (cells as f64), "{worst}");
}

#[test]
fn blocks_add_up() {
    // More than one block, the last one not full; both orders in memory.
    for cells in [1, 7, 4096, 9001] {
        let (a, b) = (activity(13, cells, 1), activity(9, cells, 2));
        let (wide_a, wide_b) = (a.mapv(f64::from), b.mapv(f64::from));
        let scaling = Scaling::standardise(&Features::new(a.view())).unwrap();
        let turned = a.t().as_standard_layout().to_owned();
        for view in [a.view(), turned.t()] {
            let features = Features::new(view).scaled(&scaling).unwrap();
            let own = gram(&features).unwrap();
            close(
                &own,
                &plain(
                    &standardised(&wide_a, &wide_a),
                    &standardised(&wide_a, &wide_a),
                ),
                cells,
            );
            assert_eq!(own, own.t());
            let other = Features::new(b.view()).scaled(&scaling).unwrap();
            let cross = cross_gram(&other, &features).unwrap();
            close(
                &cross,
                &plain(
                    &standardised(&wide_b, &wide_a),
                    &standardised(&wide_a, &wide_a),
                ),
                cells,
            );
        }
        close(
            &gram(&Features::new(a.view())).unwrap(),
            &plain(&wide_a, &wide_a),
            10 * cells,
        );
    }
}

#[test]
fn some_cells_in_any_order() {
    let x = activity(11, 500, 3);
    let scaling = Scaling::standardise(&Features::new(x.view())).unwrap();
    let all = Features::new(x.view()).scaled(&scaling).unwrap();
    let full = gram(&all).unwrap();
    for kept in [
        vec![3, 499, 0],
        (0..480).rev().collect::<Vec<_>>(),
        (0..500).collect(),
    ] {
        let features = Features::new(x.view()).of_cells(&kept).unwrap();
        let own = Scaling::standardise(&features).unwrap();
        let direct = gram(&features.scaled(&own).unwrap()).unwrap();
        close(
            &gram_of_some(full.view(), &all, &kept).unwrap(),
            &direct,
            500,
        );
    }
    assert!(gram_of_some(full.view(), &all, &[]).is_err());
    assert!(gram_of_some(full.view(), &all, &[1, 1]).is_err());
    assert!(gram_of_some(full.view(), &all, &[500]).is_err());
    assert!(gram_of_some(full.slice(s![..3, ..3]), &all, &[1]).is_err());
}

#[test]
fn population_means_are_those_of_the_scaled_cells() {
    let x = activity(5, 5000, 4);
    let scaling = Scaling::standardise(&Features::new(x.view())).unwrap();
    let features = Features::new(x.view()).scaled(&scaling).unwrap();
    let array = features.to_array();
    for (mean, row) in features.population_means().iter().zip(array.rows()) {
        let plain = row.iter().map(|&v| f64::from(v)).sum::<f64>() / 5000.0;
        assert!((mean - plain).abs() < 1e-12);
    }
}

#[test]
fn a_silent_cell_has_no_weight_and_a_baseline_does_not_drown_a_signal() {
    let mut x = activity(20, 3, 5);
    x.column_mut(1).fill(2.5);
    for (t, value) in x.column_mut(2).iter_mut().enumerate() {
        *value = 10_000.0 + (t % 2) as f32;
    }
    let scaling = Scaling::standardise(&Features::new(x.view())).unwrap();
    assert_eq!(scaling.weight[1], 0.0);
    assert_eq!(scaling.cells(), 2);
    assert!(
        (scaling.weight[2] - 2.0).abs() < 1e-5,
        "{}",
        scaling.weight[2]
    );
}

#[test]
fn threads_do_not_change_a_bit() {
    let x = activity(40, 6000, 6);
    let compute = || gram(&Features::new(x.view())).unwrap();
    let alone = compute();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    let others: Vec<Array2<f64>> = pool.install(|| {
        use rayon::prelude::*;
        (0..6).into_par_iter().map(|_| compute()).collect()
    });
    assert!(others.iter().all(|other| *other == alone));
}

#[test]
fn wrong_input_is_refused() {
    let mut x = activity(4, 6, 7);
    let features = Features::new(x.view());
    assert!(features.of_cells(&[6]).is_err());
    let short = Scaling {
        centre: vec![0.0],
        weight: vec![1.0],
    };
    assert!(Features::new(x.view()).scaled(&short).is_err());
    let other = activity(4, 5, 8);
    assert!(matches!(
        cross_gram(&features, &Features::new(other.view())),
        Err(Error::Shape(_))
    ));
    let empty = Array2::<f32>::zeros((0, 6));
    assert_eq!(gram(&Features::new(empty.view())), Err(Error::Empty));
    assert_eq!(
        Scaling::standardise(&Features::new(empty.view())),
        Err(Error::Empty)
    );
    assert_eq!(gram(&features.of_cells(&[]).unwrap()), Err(Error::Empty));
    x[[2, 3]] = f32::NAN;
    let features = Features::new(x.view());
    assert!(matches!(gram(&features), Err(Error::NotFinite { .. })));
    assert_eq!(
        Scaling::standardise(&features),
        Err(Error::NotFinite { row: 2, column: 3 })
    );
}

#[test]
fn weights_read_what_inner_products_read() {
    let (a, b) = (activity(12, 5000, 9), activity(8, 5000, 10));
    let scaling = Scaling::standardise(&Features::new(a.view())).unwrap();
    let coefficients = Array2::from_shape_fn((12, 3), |(t, k)| ((t * 5 + k) % 7) as f64 - 3.0);
    let turned = b.t().as_standard_layout().to_owned();
    let train = Features::new(a.view()).scaled(&scaling).unwrap();
    let w = weights(&train, coefficients.view()).unwrap();
    for view in [b.view(), turned.t()] {
        let test = Features::new(view).scaled(&scaling).unwrap();
        let direct = cross_gram(&test, &train).unwrap().dot(&coefficients);
        let through = read_out(&test, w.view()).unwrap();
        let worst = (direct - through)
            .iter()
            .fold(0.0_f64, |w, d| w.max(d.abs()));
        assert!(worst < 0.05, "{worst}");
    }
    assert!(weights(&train, coefficients.slice(s![..3, ..])).is_err());
    assert!(read_out(&train, w.slice(s![..3, ..])).is_err());
    let empty = Array2::<f32>::zeros((0, 5000));
    let empty = Features::new(empty.view());
    assert_eq!(read_out(&empty, w.view()), Err(Error::Empty));
    assert_eq!(
        weights(&empty, coefficients.slice(s![..0, ..])),
        Err(Error::Empty)
    );
}
