//! Pictures of trials, against what was planted in them.

use fluorspar_drift::Error;
use fluorspar_drift::projection::{NeighbourOptions, demixed, neighbours, principal};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn normal(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move || StandardNormal.sample(&mut rng)
}

/// Three clouds of 30 trials in 200 cells.
fn clouds() -> Array2<f64> {
    let mut draw = normal(1);
    let centres = Array2::from_shape_simple_fn((3, 200), &mut draw);
    Array2::from_shape_fn((90, 200), |(t, n)| 3.0 * centres[[t / 30, n]] + draw())
}

#[test]
fn components_keep_the_distances_they_explain() {
    let x = clouds();
    let all = principal(x.dot(&x.t()).view(), 1000).unwrap();
    assert!((all.explained.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    for (i, j) in [(0, 1), (3, 70), (40, 89)] {
        let apart = |m: &Array2<f64>| {
            m.row(i)
                .iter()
                .zip(m.row(j))
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f64>()
        };
        assert!((apart(&x) - apart(&all.scores)).abs() < 1e-6 * apart(&x));
    }
    let two = principal(x.dot(&x.t()).view(), 2).unwrap();
    assert!(
        two.explained[0] + two.explained[1] > 0.7,
        "{:?}",
        two.explained
    );
}

#[test]
fn clouds_stay_together_among_neighbours() {
    let x = clouds();
    let gram = x.dot(&x.t());
    let options = NeighbourOptions {
        perplexity: 10.0,
        steps: 500,
    };
    let flat = neighbours(gram.view(), options).unwrap();
    assert_eq!(
        flat,
        neighbours(gram.view(), options).unwrap(),
        "no seed, one picture"
    );
    let apart = |i: usize, j: usize| {
        (flat[[i, 0]] - flat[[j, 0]]).powi(2) + (flat[[i, 1]] - flat[[j, 1]]).powi(2)
    };
    for i in 0..90 {
        let nearest = (0..90)
            .filter(|&j| j != i)
            .min_by(|&a, &b| apart(i, a).total_cmp(&apart(i, b)))
            .unwrap();
        assert_eq!(nearest / 30, i / 30);
    }
}

#[test]
fn time_and_label_are_told_apart() {
    let mut draw = normal(2);
    let (cells, times) = (150, 20);
    let axes = Array2::from_shape_simple_fn((2, cells), &mut draw);
    let course = |t: usize| (t as f64 / 3.0).sin() * 2.0;
    let x = Array2::from_shape_fn((2 * times, cells), |(p, n)| {
        let sign = if p < times { 1.0 } else { -1.0 };
        course(p % times) * axes[[0, n]] + sign * axes[[1, n]] + 0.05 * draw()
    });
    let parts = demixed(x.dot(&x.t()).view(), 2, 1, 1e-3).unwrap();
    let [time, label] = &parts[..] else {
        panic!("two parts")
    };
    assert!((time.share + label.share - 1.0).abs() < 1e-9);
    let correlation = |scores: &Array2<f64>, expected: &dyn Fn(usize) -> f64| {
        let values: Vec<f64> = scores.column(0).to_vec();
        let wanted: Vec<f64> = (0..values.len()).map(expected).collect();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (a, b) = (mean(&values), mean(&wanted));
        let sum = |f: &dyn Fn(f64, f64) -> f64| {
            values
                .iter()
                .zip(&wanted)
                .map(|(&v, &w)| f(v - a, w - b))
                .sum::<f64>()
        };
        (sum(&|v, w| v * w) / (sum(&|v, _| v * v) * sum(&|_, w| w * w)).sqrt()).abs()
    };
    assert!(correlation(&time.scores, &|p| course(p % times)) > 0.99);
    assert!(correlation(&label.scores, &|p| if p < times { 1.0 } else { -1.0 }) > 0.99);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let same = Array2::from_elem((10, 10), 2.0);
    assert!(matches!(
        principal(same.view(), 2),
        Err(Error::Undefined(_))
    ));
    assert!(matches!(
        demixed(same.view(), 2, 1, 0.1),
        Err(Error::Undefined(_))
    ));
    assert!(matches!(
        demixed(same.view(), 3, 1, 0.1),
        Err(Error::Shape(_))
    ));
    let wide = Array2::<f64>::zeros((3, 4));
    assert!(matches!(principal(wide.view(), 2), Err(Error::Shape(_))));
    let mut bad = Array2::<f64>::eye(5);
    bad[[1, 2]] = f64::NAN;
    assert!(matches!(principal(bad.view(), 2), Err(Error::NotFinite(_))));
    let options = NeighbourOptions {
        perplexity: 0.5,
        steps: 1,
    };
    assert!(matches!(
        neighbours(bad.view(), options),
        Err(Error::Parameter { .. })
    ));
    let few = Array2::<f64>::eye(3);
    assert!(matches!(
        neighbours(few.view(), NeighbourOptions::default()),
        Err(Error::Undefined(_))
    ));
    assert!(principal(Array2::<f64>::zeros((0, 0)).view(), 2).is_err());
}
