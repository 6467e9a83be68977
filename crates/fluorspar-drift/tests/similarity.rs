//! Similarity of codes against closed forms and statements of the papers.

use fluorspar_drift::similarity::{
    CellMatching, Components, MINIMUM_CONDITIONS, NoisePrecision, RdmComparison, ShapeAlignment,
    ShapeScore, align_latents, alignment_index, biased_linear_cka, canonical_correlations,
    chance_cosine_sd, compare_rdms, crossnobis_rdm, euclidean_rdm, linear_cka, mahalanobis_rdm,
    noise_ceiling, principal_angles, principal_components, shape_ladder, shuffled_correlations,
    stochastic_shape_distance, subspace_overlap, vector_angle,
};
use ndarray::{Array1, Array2, Array3, Axis, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn normal(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Orthonormal columns, by Gram and Schmidt.
fn orthonormal(mut a: Array2<f64>) -> Array2<f64> {
    for j in 0..a.ncols() {
        for i in 0..j {
            let along = a.column(i).dot(&a.column(j));
            let other = a.column(i).to_owned();
            a.column_mut(j).scaled_add(-along, &other);
        }
        let length = a.column(j).dot(&a.column(j)).sqrt();
        a.column_mut(j).mapv_inplace(|v| v / length);
    }
    a
}

fn centred(a: Array2<f64>) -> Array2<f64> {
    let middle = a.mean_axis(Axis(0)).unwrap();
    a - &middle
}

fn angle(x: &Array2<f64>, y: &Array2<f64>, alpha: f64) -> f64 {
    let fit = ShapeAlignment::fit(x.view(), y.view(), alpha, None).unwrap();
    fit.score(x.view(), y.view(), ShapeScore::Angular).unwrap()
}

#[test]
fn cka_of_independent_data() {
    // Biased: n/(n + m) for m samples of n cells; debiased: 0.
    for (m, n, repeats) in [(50, 1000, 4), (50, 10, 40)] {
        let pairs: Vec<(Array2<f64>, Array2<f64>)> = (0..repeats)
            .map(|k| (normal(m, n, 2 * k + 1), normal(m, n, 2 * k + 2)))
            .collect();
        let of = |f: &dyn Fn(&Array2<f64>, &Array2<f64>) -> f64| {
            mean(&pairs.iter().map(|(x, y)| f(x, y)).collect::<Vec<_>>())
        };
        let biased = of(&|x, y| biased_linear_cka(x.view(), y.view()).unwrap());
        let expected = n as f64 / (n + m) as f64;
        assert!((biased - expected).abs() < 0.015, "{biased} {expected}");
        let debiased = of(&|x, y| linear_cka(x.view(), y.view()).unwrap());
        assert!(debiased.abs() < 0.03, "{debiased}");
    }
}

#[test]
fn debiased_cka_is_the_published_ratio() {
    // Song et al. 2012, eq. 5, written out.
    let (x, y) = (normal(12, 5, 1), normal(12, 7, 2));
    let hsic = |k: &Array2<f64>, l: &Array2<f64>| {
        let n = k.nrows() as f64;
        let hollow = |a: &Array2<f64>| a - &Array2::from_diag(&a.diag());
        let (k, l) = (hollow(k), hollow(l));
        let trace = k.dot(&l).diag().sum();
        let whole = k.sum() * l.sum() / ((n - 1.0) * (n - 2.0));
        (trace + whole - 2.0 / (n - 2.0) * k.dot(&l).sum()) / (n * (n - 3.0))
    };
    let (k, l) = (x.dot(&x.t()), y.dot(&y.t()));
    let expected = hsic(&k, &l) / (hsic(&k, &k) * hsic(&l, &l)).sqrt();
    assert!((linear_cka(x.view(), y.view()).unwrap() - expected).abs() < 1e-10);
}

#[test]
fn whitened_cosine_is_linear_cka_and_the_whitened_one() {
    let (x, y) = (normal(12, 5, 3), normal(12, 7, 4));
    let (a, b) = (
        euclidean_rdm(x.view()).unwrap(),
        euclidean_rdm(y.view()).unwrap(),
    );
    let found = compare_rdms(&a, &b, RdmComparison::WhitenedCosine, MINIMUM_CONDITIONS).unwrap();
    assert!((found - biased_linear_cka(x.view(), y.view()).unwrap()).abs() < 1e-12);
    // Whitened outright: V = (C Cᵀ)∘(C Cᵀ) of the contrasts C, aᵀV⁻¹b by conjugate gradients.
    let pairs: Vec<(usize, usize)> = (0..12)
        .flat_map(|i| (i + 1..12).map(move |j| (i, j)))
        .collect();
    let contrast = Array2::from_shape_fn((pairs.len(), 12), |(p, c)| {
        f64::from(i8::from(c == pairs[p].0) - i8::from(c == pairs[p].1))
    });
    let v = contrast.dot(&contrast.t()).mapv(|e| e * e);
    let solve = |b: &Array1<f64>| {
        let (mut x, mut r) = (Array1::zeros(b.len()), b.clone());
        let mut p = r.clone();
        for _ in 0..200 {
            let old = r.dot(&r);
            if old < 1e-26 {
                break;
            }
            let vp = v.dot(&p);
            let step = old / p.dot(&vp);
            x.scaled_add(step, &p);
            r.scaled_add(-step, &vp);
            p = &r + &(&p * (r.dot(&r) / old));
        }
        x
    };
    let a = Array1::from(a.dissimilarities().to_vec());
    let b = Array1::from(b.dissimilarities().to_vec());
    let (va, vb) = (solve(&a), solve(&b));
    let expected = a.dot(&vb) / (a.dot(&va) * b.dot(&vb)).sqrt();
    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
}

#[test]
fn crossnobis_has_no_noise_share() {
    // Conditions 0 and 1 are the same, 2 is one unit away in each cell; noise sd 1 per fold.
    let (folds, cells) = (4, 4000);
    let noise = normal(folds * 3, cells, 5);
    let data = Array3::from_shape_fn((folds, 3, cells), |(m, c, n)| {
        noise[[m * 3 + c, n]] + f64::from(u8::from(c == 2))
    });
    let crossed = crossnobis_rdm(data.view(), None).unwrap();
    let plain = euclidean_rdm(data.mean_axis(Axis(0)).unwrap().view()).unwrap();
    for ((crossed, plain), truth) in crossed
        .dissimilarities()
        .iter()
        .zip(plain.dissimilarities())
        .zip([0.0, 1.0, 1.0])
    {
        assert!((crossed - truth).abs() < 0.06, "{crossed}");
        // 2σ²/folds.
        assert!((plain - truth - 0.5).abs() < 0.06, "{plain}");
    }
}

#[test]
fn the_dual_of_a_shrunk_covariance_is_its_inverse() {
    // Schäfer and Strimmer's estimate written out over all pairs of cells.
    let (trials, cells) = (9, 14);
    let scales = Array1::linspace(0.5, 2.0, cells);
    let shared = normal(trials, 1, 7);
    let e = centred((normal(trials, cells, 6) + &shared) * &scales);
    let freedom = (trials - 1) as f64;
    let n = trials as f64;
    let sd = e.map_axis(Axis(0), |c| (c.dot(&c) / freedom).sqrt());
    let z = &e / &sd;
    let [mut error, mut square] = [0.0; 2];
    for i in 0..cells {
        for j in 0..cells {
            if i == j {
                continue;
            }
            let w: Vec<f64> = (0..trials).map(|t| z[[t, i]] * z[[t, j]]).collect();
            let middle = mean(&w);
            square += (w.iter().sum::<f64>() / freedom).powi(2);
            error += n / freedom.powi(3) * w.iter().map(|w| (w - middle).powi(2)).sum::<f64>();
        }
    }
    let shrinkage = (error / square).min(1.0);
    assert!(shrinkage < 1.0);
    let mut covariance = e.t().dot(&e) / freedom * (1.0 - shrinkage);
    for i in 0..cells {
        covariance[[i, i]] = sd[i] * sd[i];
    }
    let noise = NoisePrecision::shrunk_to_diagonal(e.view(), freedom).unwrap();
    // x = Σ, so x Σ⁻¹ xᵀ is Σ again.
    let again = noise.inner_products(covariance.view()).unwrap();
    let worst = (&again - &covariance)
        .iter()
        .fold(0.0_f64, |m, v| m.max(v.abs()));
    assert!(worst < 1e-10, "{worst}");
    assert!(mahalanobis_rdm(e.view(), &noise).is_ok());
}

#[test]
fn noise_ceilings_enclose_equal_sessions() {
    let truth = normal(12, 30, 8);
    let session = |seed| euclidean_rdm((&truth + &(normal(12, 30, seed) * 0.5)).view()).unwrap();
    let sessions: Vec<_> = (20..26).map(session).collect();
    for how in [
        RdmComparison::Pearson,
        RdmComparison::Spearman,
        RdmComparison::WhitenedCosine,
    ] {
        let found = noise_ceiling(&sessions, how, MINIMUM_CONDITIONS).unwrap();
        assert!(found.lower < found.upper && found.upper <= 1.0);
        let same = vec![sessions[0].clone(); 3];
        let found = noise_ceiling(&same, how, MINIMUM_CONDITIONS).unwrap();
        assert!((found.lower - 1.0).abs() < 1e-12 && (found.upper - 1.0).abs() < 1e-12);
    }
}

#[test]
fn chance_of_subspaces_and_vectors() {
    let overlaps: Vec<f64> = (0..40)
        .map(|k| {
            let (a, b) = (normal(3, 80, 2 * k + 100), normal(10, 80, 2 * k + 101));
            let found = subspace_overlap(a.view(), b.view()).unwrap();
            assert_eq!(found.chance, 0.125);
            found.overlap
        })
        .collect();
    assert!((mean(&overlaps) - 0.125).abs() < 0.02);
    for cells in [10, 100, 1000] {
        let squares: Vec<f64> = (0..300)
            .map(|k| {
                let pair = normal(2, cells, 1000 + k);
                vector_angle(pair.row(0), pair.row(1))
                    .unwrap()
                    .cos()
                    .powi(2)
            })
            .collect();
        let sd = mean(&squares).sqrt();
        assert!(
            (sd / chance_cosine_sd(cells) - 1.0).abs() < 0.15,
            "{cells} {sd}"
        );
    }
}

#[test]
fn a_space_is_aligned_with_itself() {
    let x = normal(30, 12, 9);
    let own = principal_components(x.view(), Components::Count(4)).unwrap();
    assert!((alignment_index(own.directions.view(), x.view()).unwrap() - 1.0).abs() < 1e-10);
    let last = principal_components(x.view(), Components::All).unwrap();
    let rest = last.directions.slice(s![4.., ..]);
    let angles = principal_angles(own.directions.view(), rest).unwrap();
    assert!(
        angles
            .iter()
            .all(|a| (a - std::f64::consts::FRAC_PI_2).abs() < 1e-7)
    );
}

#[test]
fn canonical_correlations_of_independent_latents() {
    for (samples, expected) in [(40, 0.81), (400, 0.28)] {
        let top: Vec<f64> = (0..30)
            .map(|k| {
                let (a, b) = (normal(samples, 10, 2 * k), normal(samples, 10, 2 * k + 1));
                canonical_correlations(a.view(), b.view()).unwrap()[0]
            })
            .collect();
        assert!(
            (mean(&top) - expected).abs() < 0.02,
            "{samples} {}",
            mean(&top)
        );
        let (a, b) = (normal(samples, 10, 901), normal(samples, 10, 902));
        let null = shuffled_correlations(a.view(), b.view(), 30, 1).unwrap();
        assert!((null.column(0).mean().unwrap() - expected).abs() < 0.02);
    }
}

#[test]
fn shared_latents_with_noise_correlate_by_their_share() {
    let shared = normal(6000, 3, 11);
    let seen = |seed, mixing: &Array2<f64>| (&shared + &(normal(6000, 3, seed) * 0.5)).dot(mixing);
    let (mix_a, mix_b) = (
        orthonormal(normal(20, 3, 14)),
        orthonormal(normal(25, 3, 15)),
    );
    let a = seen(12, &mix_a.reversed_axes());
    let b = seen(13, &mix_b.reversed_axes());
    let fit = align_latents(a.view(), b.view(), 3).unwrap();
    for c in &fit.correlations {
        assert!((c - 0.8).abs() < 0.03, "{c}");
    }
    let held_out = fit
        .score(a.slice(s![..900, ..]), b.slice(s![..900, ..]))
        .unwrap();
    assert!(
        held_out.iter().all(|c| (c - 0.8).abs() < 0.06),
        "{held_out:?}"
    );
}

#[test]
fn shape_distances_forget_what_they_should() {
    let x = normal(31, 10, 16);
    let turn = orthonormal(normal(10, 10, 17));
    assert!(angle(&x, &x.dot(&turn), 1.0) < 1e-6);
    assert!(angle(&x, &(x.dot(&turn) * 3.0 + 7.0), 1.0) < 1e-6);
    let bent = x.dot(&normal(10, 10, 18));
    assert!(angle(&x, &bent, 0.0) < 1e-6);
    assert!(angle(&x, &bent, 1.0) > 0.05);
    // More cells than patterns, and other cells in the other session.
    let wide = normal(8, 40, 19);
    let far = wide.dot(&orthonormal(normal(60, 40, 20)).reversed_axes());
    assert!(angle(&wide, &far, 1.0) < 1e-6);
}

#[test]
fn orthonormal_patterns_are_apart_by_their_principal_angles() {
    let x = orthonormal(centred(normal(30, 4, 21)));
    let y = orthonormal(centred(normal(30, 4, 22)));
    let angles = principal_angles(x.t(), y.t()).unwrap();
    let cosine = mean(&angles.iter().map(|a| a.cos()).collect::<Vec<_>>());
    assert!((angle(&x, &y, 1.0) - cosine.acos()).abs() < 1e-10);
}

#[test]
fn a_matching_finds_shuffled_cells() {
    let x = normal(25, 40, 23);
    let order: Vec<usize> = (0..40).map(|k| (k * 7 + 3) % 40).collect();
    let y = x.select(Axis(1), &order);
    let fit = CellMatching::fit(x.view(), y.view()).unwrap();
    assert!((0..40).all(|cell| order[fit.partner[cell]] == cell));
    assert!(fit.score(x.view(), y.view(), ShapeScore::Angular).unwrap() < 1e-7);
}

#[test]
fn the_ladder_tells_a_rotation_from_noise() {
    let x = normal(60, 8, 24);
    let y = x.dot(&orthonormal(normal(8, 8, 25)));
    let ladder = |y: &Array2<f64>| {
        let (fit, test) = (s![..30, ..], s![30.., ..]);
        shape_ladder(
            x.slice(fit),
            y.slice(fit),
            x.slice(test),
            y.slice(test),
            None,
        )
        .unwrap()
    };
    let turned = ladder(&y);
    assert!(turned.identity.held_out > 0.8 && turned.permutation.held_out > 0.3);
    assert!(turned.rotation.held_out < 1e-6 && turned.linear.held_out < 1e-6);
    // Unrelated patterns: the fit gets closer, those held out do not.
    let noise = ladder(&normal(60, 8, 26));
    assert!(noise.rotation.fitted < noise.identity.fitted - 0.2);
    assert!(noise.rotation.held_out > 1.2, "{noise:?}");
}

#[test]
fn clouds_that_turn_with_their_means_are_the_same() {
    let turn = orthonormal(normal(30, 30, 27));
    let x: Vec<Array2<f64>> = (0..6)
        .map(|c| normal(8, 30, 40 + c) + &(normal(1, 30, 60 + c) * 3.0))
        .collect();
    let y: Vec<Array2<f64>> = x.iter().map(|x| x.dot(&turn)).collect();
    let x: Vec<_> = x.iter().map(|x| x.view()).collect();
    let y: Vec<_> = y.iter().map(|y| y.view()).collect();
    let plain = stochastic_shape_distance(&x, &y, false).unwrap();
    let turned = stochastic_shape_distance(&x, &y, true).unwrap();
    assert!(plain > 10.0 && turned < 0.6 * plain, "{plain} {turned}");
    assert!(stochastic_shape_distance(&x, &x, true).unwrap() < 1e-5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn shape_distances_are_metrics(seed in 0_u64..1000, alpha in prop::sample::select(vec![0.0, 0.5, 1.0])) {
        let [x, y, z] = [0, 1, 2].map(|k| normal(31, 30, 3 * seed + k));
        let (xy, yz, xz) = (angle(&x, &y, alpha), angle(&y, &z, alpha), angle(&x, &z, alpha));
        prop_assert!(xz <= xy + yz + 1e-9);
        prop_assert!((xy - angle(&y, &x, alpha)).abs() < 1e-9);
        prop_assert!(angle(&x, &x, alpha) < 1e-6);
    }

    #[test]
    fn comparisons_are_symmetric_and_bounded(seed in 0_u64..1000, cells in 1_usize..20) {
        let (a, b) = (normal(11, cells, 2 * seed), normal(11, cells, 2 * seed + 1));
        let (a, b) = (euclidean_rdm(a.view()).unwrap(), euclidean_rdm(b.view()).unwrap());
        for how in [
            RdmComparison::Pearson,
            RdmComparison::Spearman,
            RdmComparison::Cosine,
            RdmComparison::RhoA,
            RdmComparison::KendallTauA,
            RdmComparison::WhitenedCosine,
        ] {
            let of = |a, b| compare_rdms(a, b, how, MINIMUM_CONDITIONS).unwrap();
            prop_assert!((of(&a, &b) - of(&b, &a)).abs() < 1e-12);
            prop_assert!(of(&a, &b).abs() <= 1.0 + 1e-12);
            prop_assert!((of(&a, &a) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn no_input_panics(
        rows in 0_usize..6,
        columns in 0_usize..6,
        others in 0_usize..6,
        values in prop::collection::vec(prop::sample::select(vec![
            0.0, 1.0, -1.0, 0.3, f64::NAN, f64::INFINITY, 1e300, -1e-300,
        ]), 72),
    ) {
        let a = Array2::from_shape_fn((rows, columns), |(i, j)| values[i * 6 + j]);
        let b = Array2::from_shape_fn((others, columns), |(i, j)| values[36 + i * 6 + j]);
        let folds = Array3::from_shape_fn((others, rows, columns), |(m, i, j)| values[(m * 12 + i * 6 + j) % 72]);
        let (a, b) = (a.view(), b.view());
        let _ = (linear_cka(a, b), biased_linear_cka(a, b), linear_cka(a, a));
        let _ = (euclidean_rdm(a), fluorspar_drift::similarity::correlation_rdm(a));
        let _ = crossnobis_rdm(folds.view(), None);
        for noise in [
            NoisePrecision::shrunk_to_identity(b, rows as f64),
            NoisePrecision::shrunk_to_diagonal(b, rows as f64),
            NoisePrecision::given(b),
        ].into_iter().flatten() {
            let _ = mahalanobis_rdm(a, &noise);
        }
        let _ = (principal_angles(a, b), subspace_overlap(a, b), alignment_index(a, b));
        let _ = principal_components(a, Components::ParticipationRatio);
        let _ = (canonical_correlations(a, b), align_latents(a, a, others), shuffled_correlations(a, b, 2, 1));
        for alpha in [0.0, 0.5, 1.0] {
            if let Ok(fit) = ShapeAlignment::fit(a, b, alpha, None) {
                let _ = fit.score(a, b, ShapeScore::Angular);
            }
        }
        let _ = shape_ladder(a, b, a, b, Some(others));
        let _ = stochastic_shape_distance(&[a, b], &[b, a], true);
    }
}
