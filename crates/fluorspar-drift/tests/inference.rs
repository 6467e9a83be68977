//! Tests hold their level on data without an effect.

use fluorspar_drift::inference::{
    Alternative, Design, DrawnAnimal, anova_within, hierarchical, hierarchical_difference, mantel,
    paired,
};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn normals(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move || StandardNormal.sample(&mut rng)
}

/// `[animal][session][trial]`: animals differ with sd 1, sessions with 0.5, trials with 2.
fn nested(normal: &mut impl FnMut() -> f64, animals: usize) -> Vec<Vec<Vec<f64>>> {
    (0..animals)
        .map(|_| {
            let animal = normal();
            (0..4)
                .map(|_| {
                    let session = animal + 0.5 * normal();
                    (0..40).map(|_| session + 2.0 * normal()).collect()
                })
                .collect()
        })
        .collect()
}

fn design(data: &[Vec<Vec<f64>>]) -> Design {
    Design {
        trials: data
            .iter()
            .map(|sessions| sessions.iter().map(Vec::len).collect())
            .collect(),
    }
}

fn grand_mean(data: &[Vec<Vec<f64>>], drawn: &[DrawnAnimal]) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for animal in drawn {
        for session in &animal.sessions {
            for &trial in &session.trials {
                sum += data[animal.animal][session.session][trial];
                n += 1.0;
            }
        }
    }
    sum / n
}

#[test]
fn trials_as_the_unit_find_effects_in_nothing_and_animals_do_not() {
    // Saravanan, Berman and Sober 2020: above 45 % against about the level.
    let experiments = 200;
    let (mut naive, mut nested_level) = (0, 0);
    for seed in 0..experiments {
        let mut normal = normals(seed);
        let (a, b) = (nested(&mut normal, 12), nested(&mut normal, 12));
        let flat =
            |d: &[Vec<Vec<f64>>]| -> Vec<f64> { d.iter().flatten().flatten().copied().collect() };
        let (x, y) = (flat(&a), flat(&b));
        let moments = |v: &[f64]| {
            let mean = v.iter().sum::<f64>() / v.len() as f64;
            let square = v.iter().map(|u| (u - mean).powi(2)).sum::<f64>();
            (mean, square / (v.len() - 1) as f64 / v.len() as f64)
        };
        let ((mx, vx), (my, vy)) = (moments(&x), moments(&y));
        naive += usize::from(((mx - my) / (vx + vy).sqrt()).abs() > 1.96);
        let (da, db) = (design(&a), design(&b));
        let found = hierarchical_difference(
            [&da, &db],
            199,
            0.95,
            seed,
            |drawn| grand_mean(&a, drawn),
            |drawn| grand_mean(&b, drawn),
        )
        .unwrap();
        nested_level += usize::from(found.p <= 0.05);
    }
    assert!(naive > 90, "naive: {naive} of {experiments}");
    // 10 expected; 19 is three standard deviations above.
    assert!(
        nested_level <= 19,
        "hierarchical: {nested_level} of {experiments}"
    );
}

#[test]
fn one_animal_is_resampled_below_and_said_to_be_one() {
    let data = nested(&mut normals(5), 1);
    let found = hierarchical(&design(&data), 200, 0.95, 1, |d| grand_mean(&data, d)).unwrap();
    assert!(found.lo < found.value && found.value < found.hi);
    assert!(found.weakness.starts_with("one animal"));
    let data = nested(&mut normals(5), 4);
    let found = hierarchical(&design(&data), 200, 0.95, 1, |d| grand_mean(&data, d)).unwrap();
    assert!(found.weakness.contains("4 animals"));
    assert!(hierarchical(&Design::default(), 200, 0.95, 1, |_| 0.0).is_err());
    let hole = Design {
        trials: vec![vec![3, 0]],
    };
    assert!(hierarchical(&hole, 200, 0.95, 1, |_| 0.0).is_err());
}

#[test]
fn permutation_tests_hold_their_level() {
    let experiments = 300;
    let [mut tables, mut pairs, mut sessions] = [0; 3];
    for seed in 0..experiments {
        let mut normal = normals(1000 + seed);
        // A table of sessions whose pairs depend on each other but not on days.
        let level: Vec<f64> = (0..8).map(|_| normal()).collect();
        let table = Array2::from_shape_fn((8, 8), |(i, j)| {
            let noise = ((i.min(j) * 8 + i.max(j)) as f64 * 12.9898 + seed as f64).sin();
            level[i] * level[j] + 0.3 * noise
        });
        let days = Array2::from_shape_fn((8, 8), |(i, j)| (i as f64 - j as f64).abs());
        let found = mantel(table.view(), days.view(), Alternative::TwoSided, 199, seed).unwrap();
        tables += usize::from(found.p <= 0.05);
        let animals: Vec<f64> = (0..8).map(|_| normal()).collect();
        let again: Vec<f64> = animals.iter().map(|a| a + normal()).collect();
        let found = paired(&animals, &again, Alternative::TwoSided, 256, seed).unwrap();
        pairs += usize::from(found.p <= 0.05);
        let blocks = Array2::from_shape_fn((5, 6), |(a, _)| 5.0 * animals[a] + normal());
        sessions += usize::from(anova_within(blocks.view(), 199, seed).unwrap().p <= 0.05);
    }
    // 15 expected; 27 is three standard deviations above.
    for (name, wrong) in [("mantel", tables), ("paired", pairs), ("anova", sessions)] {
        assert!(wrong <= 27, "{name}: {wrong} of {experiments}");
    }
}
