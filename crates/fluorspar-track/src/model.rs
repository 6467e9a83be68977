/// How probable it is that two ROIs with a given score are the same cell.
///
/// Scores of pairs within a session are those of different cells. Scaled to
/// the number of ROIs compared, they say how many different pairs to expect
/// at each score across sessions; the excess are the same cells. The
/// probability is made to rise with the score (pool adjacent violators).
#[derive(Clone, Debug, PartialEq)]
pub struct MatchModel {
    /// Probability in equal bins of the score from 0 to 1.
    probability: Vec<f64>,
}

/// Bins of the score.
const BINS: usize = 25;
/// Fewest pairs across sessions that a model is fitted to.
const FEWEST: usize = 100;
/// No match is held to be surer than this by counting alone.
const SUREST: f64 = 0.99;

impl MatchModel {
    /// Fits the model to scores of neighbouring pairs across sessions, and
    /// within sessions multiplied by `ratio`, the number of comparisons
    /// across for each one within.
    ///
    /// With fewer than 100 pairs across, a fixed logistic curve takes its
    /// place, which is even at a score of 0.4.
    pub fn fit(across: &[f64], within: &[f64], ratio: f64) -> Self {
        if across.len() < FEWEST {
            return Self {
                probability: (0..BINS)
                    .map(|bin| {
                        let score = (bin as f64 + 0.5) / BINS as f64;
                        SUREST / (1.0 + (-(score - 0.4) * 20.0).exp())
                    })
                    .collect(),
            };
        }
        let count = |scores: &[f64]| {
            let mut bins = vec![0.0; BINS];
            for &score in scores {
                bins[bin_of(score)] += 1.0;
            }
            bins
        };
        let (all, different) = (count(across), count(within));
        let weighted: Vec<(f64, f64)> = all
            .iter()
            .zip(&different)
            .map(|(&n, &d)| {
                let same = (n - ratio * d).max(0.0);
                (if n > 0.0 { same / n } else { 0.0 }, n)
            })
            .collect();
        let probability = rising(&weighted)
            .into_iter()
            .map(|p| p.min(SUREST))
            .collect();
        Self { probability }
    }

    /// Probability that a pair with this score (0 to 1) is one cell.
    pub fn p_same(&self, score: f64) -> f64 {
        self.probability[bin_of(score)]
    }
}

fn bin_of(score: f64) -> usize {
    ((score.clamp(0.0, 1.0) * BINS as f64) as usize).min(BINS - 1)
}

/// The rising sequence nearest to `(value, weight)` in weighted least squares.
fn rising(values: &[(f64, f64)]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for &(value, weight) in values {
        let mut pool = (value, weight.max(1e-9), 1);
        while let Some(&(before, heavy, count)) = pools.last() {
            if before <= pool.0 {
                break;
            }
            let total = heavy + pool.1;
            pool = (
                (before * heavy + pool.0 * pool.1) / total,
                total,
                count + pool.2,
            );
            pools.pop();
        }
        pools.push(pool);
    }
    pools
        .into_iter()
        .flat_map(|(value, _, count)| std::iter::repeat_n(value, count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_probability_rises(across in prop::collection::vec(0.0_f64..1.0, 0..400), within in prop::collection::vec(0.0_f64..1.0, 0..400), ratio in 0.0_f64..3.0) {
            let model = MatchModel::fit(&across, &within, ratio);
            let p: Vec<f64> = (0..50).map(|k| model.p_same(f64::from(k) / 50.0)).collect();
            prop_assert!(p.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    #[test]
    fn the_mixture_is_told_apart() {
        // 300 same pairs near 0.85, 600 different ones spread below 0.4.
        let same = (0..300).map(|k| 0.75 + 0.2 * f64::from(k) / 300.0);
        let spread = |n: u32| (0..n).map(move |k| 0.4 * f64::from(k) / f64::from(n));
        let across: Vec<f64> = same.chain(spread(600)).collect();
        let within: Vec<f64> = spread(300).collect();
        let model = MatchModel::fit(&across, &within, 2.0);
        assert!(model.p_same(0.2) < 0.1);
        assert!(model.p_same(0.85) > 0.95);
    }
}
