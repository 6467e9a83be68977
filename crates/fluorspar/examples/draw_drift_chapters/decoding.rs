//! Decoders.

use fluorspar::decode::{
    AxisKind, CrossValidation, Features, Kernel, LinearSvm, MostSelective, Scaling, Template,
    across, axis_angle, balanced_accuracy, cosine_without_drift, cross_gram, gram,
    rotated_accuracy, selectivity,
};
use fluorspar::report::figure::{Curve, CurvesPlot, curves};
use ndarray::Array2;
use rand_chacha::ChaCha8Rng;

use crate::Result;
use crate::picture::{level, picture};
use crate::simulate::{normal, random};

/// A decoder reads a session whose axis has turned.
pub(crate) fn turned_axis() -> Result<String> {
    const D_PRIME: f64 = 3.0;
    let angles: Vec<f64> = (0..=9).map(|step| 10.0 * f64::from(step)).collect();
    let cosine = |degrees: f64| degrees.to_radians().cos();
    let mut rng = random(6);
    let mut measure = |cells: usize, trials: usize| -> Result<Vec<f64>> {
        angles
            .iter()
            .map(|&angle| read_turned(D_PRIME, cosine(angle), cells, trials, &mut rng))
            .collect()
    };
    let (many, few) = (measure(20, 400)?, measure(200, 15)?);
    let fine: Vec<f64> = (0..=90).map(f64::from).collect();
    let ideal = fine
        .iter()
        .map(|&angle| rotated_accuracy(D_PRIME, cosine(angle)))
        .collect();
    let plot = CurvesPlot {
        x_label: "angle between the two sessions' axes (degrees)",
        y_label: "accuracy in the other session",
        y_range: Some(0.45..1.0),
        size: (480, 320),
    };
    let lines = [
        Curve::new("Φ(d′/2 · cos θ), d′ = 3", fine, ideal)
            .in_colour(6)
            .without_points()
            .dashed(),
        Curve::new("20 cells, 400 trials to train on", angles.clone(), many)
            .in_colour(0)
            .as_points(),
        Curve::new("200 cells, 15 trials to train on", angles.clone(), few).in_colour(1),
        level("chance", &angles, 0.5),
    ];
    picture(1, &[curves(&plot, &lines)?])
}

/// Accuracy of a template of one session in another whose classes differ along
/// an axis with this cosine to the first, the same `d_prime` apart.
fn read_turned(
    d_prime: f64,
    cosine: f64,
    cells: usize,
    trials: usize,
    rng: &mut ChaCha8Rng,
) -> Result<f64> {
    const REPEATS: usize = 20;
    let sine = (1.0 - cosine * cosine).max(0.0).sqrt();
    let mut sum = 0.0;
    for _ in 0..REPEATS {
        // Noise is alike in all directions, so two cells can stand for any plane.
        let mut session = |axis: [f64; 2], labels: &[i64]| {
            Array2::from_shape_fn((labels.len(), cells), |(trial, cell)| {
                let along = axis.get(cell).copied().unwrap_or(0.0);
                ((labels[trial] as f64 - 0.5) * d_prime * along + normal(rng)) as f32
            })
        };
        let labels = |n: usize| -> Vec<i64> { (0..n).map(|trial| (trial % 2) as i64).collect() };
        let (seen, unseen) = (labels(trials), labels(400));
        let first = session([1.0, 0.0], &seen);
        let second = session([cosine, sine], &unseen);
        let (first, second) = (Features::new(first.view()), Features::new(second.view()));
        let own = gram(&first)?;
        let cross = cross_gram(&second, &first)?;
        let guesses = across(&Template::Euclidean, own.view(), &seen, cross.view())?;
        sum += balanced_accuracy(&unseen, &guesses)?;
    }
    Ok(sum / REPEATS as f64)
}

/// Pure noise, decoded from its "most selective" cells.
pub(crate) fn selection_on_noise() -> Result<String> {
    const NUMBERS: [usize; 6] = [40, 100, 250, 630, 1600, 4000];
    const REPEATS: usize = 20;
    let mut rng = random(7);
    let labels: Vec<i64> = (0..40).map(|trial| trial % 2).collect();
    let all: Vec<usize> = (0..labels.len()).collect();
    let validation = CrossValidation {
        repeats: 2,
        ..CrossValidation::default()
    };
    let decoder = LinearSvm::default();
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    for cells in NUMBERS {
        let (mut out, mut within) = (0.0, 0.0);
        for _ in 0..REPEATS {
            let noise = Array2::from_shape_simple_fn((40, cells), || normal(&mut rng) as f32);
            let score = selectivity(noise.view(), &labels, &all)?;
            let mut order: Vec<usize> = (0..cells).collect();
            order.sort_by(|&a, &b| score[b].total_cmp(&score[a]));
            let chosen = Features::new(noise.view()).of_cells(&order[..cells / 20])?;
            let scaling = Scaling::standardise(&chosen)?;
            let gram = gram(&chosen.scaled(&scaling)?)?;
            out += validation.score(&decoder, gram.view(), &labels)?.mean / REPEATS as f64;
            let nested = MostSelective {
                counts: vec![cells / 20],
                validation,
            };
            let scores = nested.scores(&decoder, noise.view(), &labels)?;
            within += scores[0].mean / REPEATS as f64;
        }
        outside.push(out);
        inside.push(within);
    }
    let across: Vec<f64> = NUMBERS.iter().map(|&n| (n as f64).log10()).collect();
    let plot = CurvesPlot {
        x_label: "log10 of the number of cells, 40 trials, all noise",
        y_label: "balanced accuracy",
        y_range: Some(0.3..1.03),
        size: (480, 320),
    };
    let lines = [
        Curve::new("top 5 % chosen on all trials", across.clone(), outside).in_colour(1),
        Curve::new("chosen inside the folds", across.clone(), inside).in_colour(0),
        level("truth: chance", &across, 0.5),
    ];
    picture(1, &[curves(&plot, &lines)?])
}

/// Axes of two sessions with the same code.
pub(crate) fn axes_without_drift() -> Result<String> {
    const TRIALS: [usize; 8] = [6, 10, 16, 24, 36, 50, 70, 100];
    const CELLS: usize = 200;
    const EFFECT: f64 = 0.4;
    const REPEATS: usize = 20;
    let mut rng = random(8);
    let [mut raw, mut floor, mut corrected, mut machine] = [const { Vec::new() }; 4];
    for trials in TRIALS {
        let sign: Vec<f64> = (0..CELLS).map(|_| normal(&mut rng).signum()).collect();
        let labels: Vec<i64> = (0..4 * trials).map(|trial| (trial % 2) as i64).collect();
        let (first, second): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|trial| *trial < 2 * trials);
        let mut sums = [0.0; 4];
        for _ in 0..REPEATS {
            let activity = Array2::from_shape_fn((labels.len(), CELLS), |(trial, cell)| {
                (labels[trial] as f64 * EFFECT * sign[cell] + normal(&mut rng)) as f32
            });
            let kernel = Kernel::new(gram(&Features::new(activity.view()))?.view())?;
            let found =
                |kind, splits| axis_angle(kind, &kernel, &labels, &first, &second, splits, 1);
            let means = found(AxisKind::MeanDifference, 20)?;
            let svm = found(AxisKind::Weights(&LinearSvm::default()), 1)?;
            let values = [means.cosine, means.floor, means.corrected, svm.cosine];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value / REPEATS as f64;
            }
        }
        for (curve, value) in [&mut raw, &mut floor, &mut corrected, &mut machine]
            .into_iter()
            .zip(sums)
        {
            curve.push(value);
        }
    }
    let across: Vec<f64> = TRIALS.iter().map(|&n| n as f64).collect();
    let fine: Vec<usize> = (6..=100).collect();
    let closed = fine
        .iter()
        .map(|&n| cosine_without_drift(EFFECT, 1.0, CELLS, n))
        .collect();
    let plot = CurvesPlot {
        x_label: "trials per class and session; the code does not change",
        y_label: "cosine of the two axes",
        y_range: Some(0.0..1.2),
        size: (480, 340),
    };
    let lines = [
        Curve::new("difference of means", across.clone(), raw)
            .in_colour(1)
            .as_points(),
        Curve::new(
            "closed form",
            fine.iter().map(|&n| n as f64).collect(),
            closed,
        )
        .in_colour(1)
        .without_points()
        .dashed(),
        Curve::new("support vector machine", across.clone(), machine).in_colour(4),
        Curve::new("floor from halves", across.clone(), floor)
            .in_colour(2)
            .without_points(),
        Curve::new("corrected", across.clone(), corrected).in_colour(0),
        level("truth", &across, 1.0),
    ];
    picture(1, &[curves(&plot, &lines)?])
}
