//! A decoder turned at random, as a control for drift of the code it reads.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand_distr::{ChiSquared, Distribution, StandardNormal};

use crate::Error;
use crate::random::{Domain, stream};
use crate::similarity::linear::{centred, finite, gram, product, square_norm, symmetric_eigen};

/// Balanced accuracies of a linear decoder after its axis was turned by
/// `angle` in `draws` random directions (a control of Aitken et al. 2022, PLoS
/// Comput Biol 18:e1010716): if the decoder of another session, that far
/// turned, reads no worse, its drift is as harmful as any.
///
/// A trial of `trials (trial, cell)` is read as class `true` if
/// `weights · (trial − centre) + offset > 0`, with `centre` the mean of the
/// trials, so that a turn does not shift the threshold. With isotropic noise the
/// expectation is `Φ((d′/2) cos angle)`.
///
/// # Errors
/// If lengths differ, a value is not finite, a class has no trials, the
/// weights are zero, there is one cell only, or the angle is not from 0 to π.
pub fn rotated_decoder_accuracies(
    trials: ArrayView2<'_, f64>,
    class: &[bool],
    weights: ArrayView1<'_, f64>,
    offset: f64,
    angle: f64,
    draws: usize,
    seed: u64,
) -> Result<Vec<f64>, Error> {
    finite(trials, "the trials")?;
    finite(weights, "the weights")?;
    let (count, cells) = trials.dim();
    if class.len() != count || weights.len() != cells {
        return Err(Error::Shape(format!(
            "{count} trials of {cells} cells beside {} classes and {} weights",
            class.len(),
            weights.len()
        )));
    }
    if !(0.0..=std::f64::consts::PI).contains(&angle) {
        return Err(Error::Parameter {
            name: "angle",
            value: angle,
            rule: "must be from 0 to pi",
        });
    }
    let length = square_norm(weights).sqrt();
    if !(length > 0.0 && length.is_finite() && offset.is_finite()) {
        return Err(Error::Undefined("the decoder has no finite axis".into()));
    }
    if cells < 2 {
        return Err(Error::Undefined(
            "the axis of one cell cannot be turned".into(),
        ));
    }
    if !class.contains(&true) || !class.contains(&false) {
        return Err(Error::Undefined("a class has no trials".into()));
    }
    let (_, around) = centred(trials);
    let along = around.dot(&weights) / length;
    let (spread, rank) = beside(&around, &along, &(&weights / length))?;
    let others = ChiSquared::new((cells - 1 - rank) as f64).ok();
    Ok((0..draws)
        .map(|draw| {
            let mut rng = stream(seed, Domain::Cells, draw as u64);
            let mut reading = Array1::<f64>::zeros(count);
            let mut square = 0.0;
            for k in 0..rank {
                let part: f64 = StandardNormal.sample(&mut rng);
                reading.scaled_add(part, &spread.column(k));
                square += part * part;
            }
            square += others.as_ref().map_or(0.0, |o| o.sample(&mut rng));
            let sideways = if square > 0.0 {
                angle.sin() / square.sqrt()
            } else {
                0.0
            };
            let turned = &along * angle.cos() + &(reading * sideways);
            balanced_accuracy(turned.iter().map(|r| r * length + offset > 0.0), class)
        })
        .collect())
}

/// What trials read along directions at right angles to the axis, `(trial, k)`,
/// and how many such directions they vary along: Gaussian sums of its columns are
/// distributed as readings of Gaussian directions, which thus need not be
/// drawn cell by cell.
fn beside(
    around: &Array2<f64>,
    along: &Array1<f64>,
    axis: &Array1<f64>,
) -> Result<(Array2<f64>, usize), Error> {
    let (count, cells) = around.dim();
    let mut rest = around.clone();
    for (mut row, along) in rest.rows_mut().into_iter().zip(along) {
        row.scaled_add(-along, axis);
    }
    let few_trials = count <= cells;
    let small = if few_trials { rest.view() } else { rest.t() };
    let (values, vectors) = symmetric_eigen(gram(small).view())?;
    let least = 1e-12 * square_norm(around);
    let rank = values
        .iter()
        .take_while(|&&v| v > least)
        .count()
        .min(cells - 1);
    let spread = if few_trials {
        let lengths: Array1<f64> = values.iter().map(|v| v.max(0.0).sqrt()).collect();
        vectors * &lengths
    } else {
        product(rest.view(), vectors.view())
    };
    Ok((spread, rank))
}

fn balanced_accuracy(read: impl Iterator<Item = bool>, class: &[bool]) -> f64 {
    let [mut right_true, mut right_false] = [0.0; 2];
    for (read, &truth) in read.zip(class) {
        if read == truth {
            *(if truth {
                &mut right_true
            } else {
                &mut right_false
            }) += 1.0;
        }
    }
    let trues = class.iter().filter(|&&c| c).count() as f64;
    f64::midpoint(
        right_true / trues,
        right_false / (class.len() as f64 - trues),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn no_turn_reads_as_before_and_half_a_turn_the_opposite() {
        let x = array![
            [1.0, 0.2, 0.0],
            [2.0, -0.1, 0.3],
            [-1.0, 0.0, 0.1],
            [-2.0, 0.1, 0.0]
        ];
        let class = [true, true, false, false];
        let at = |angle| {
            rotated_decoder_accuracies(
                x.view(),
                &class,
                array![3.0, 0.0, 0.0].view(),
                0.0,
                angle,
                3,
                1,
            )
            .unwrap()
        };
        assert_eq!(at(0.0), [1.0; 3]);
        assert_eq!(at(std::f64::consts::PI), [0.0; 3]);
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        let x = Array2::from_shape_fn((4, 3), |(i, j)| (i * j) as f64);
        let w = array![1.0, 0.0, 0.0];
        let run = |class: &[bool], w: ArrayView1<'_, f64>, angle| {
            rotated_decoder_accuracies(x.view(), class, w, 0.0, angle, 3, 1)
        };
        assert!(run(&[true; 4], w.view(), 0.5).is_err());
        assert!(run(&[true, false], w.view(), 0.5).is_err());
        assert!(run(&[true, false, true, false], Array1::zeros(3).view(), 0.5).is_err());
        assert!(run(&[true, false, true, false], w.view(), f64::NAN).is_err());
    }
}
