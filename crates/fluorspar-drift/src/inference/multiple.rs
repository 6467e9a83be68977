/// The p value of a permutation test in which `reached` of `drawn` values
/// under the null were at least as extreme as the observed one:
/// `(reached + 1) / (drawn + 1)`, never 0 (Phipson and Smyth 2010, Stat Appl
/// Genet Mol Biol 9:39).
pub fn add_one_p(reached: usize, drawn: usize) -> f64 {
    (reached as f64 + 1.0) / (drawn as f64 + 1.0)
}

/// False discovery rate of each of `p` (Benjamini and Hochberg 1995, J R Stat
/// Soc B 57:289): the smallest rate at which that test would be called
/// significant. NaN stays NaN and is not counted as a test.
pub fn false_discovery(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&k| !p[k].is_nan()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let tests = order.len() as f64;
    let mut out = vec![f64::NAN; p.len()];
    let mut least = 1.0_f64;
    for (rank, &k) in order.iter().enumerate().rev() {
        least = least.min(p[k] * tests / (rank + 1) as f64);
        out[k] = least;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p_value_is_never_zero() {
        assert_eq!(add_one_p(0, 999), 0.001);
        assert_eq!(add_one_p(999, 999), 1.0);
    }

    #[test]
    fn rates_follow_the_step_up_rule() {
        let q = false_discovery(&[0.01, f64::NAN, 0.04, 0.03, 0.5]);
        let expected = [0.04, f64::NAN, 0.16 / 3.0, 0.16 / 3.0, 0.5];
        for (q, e) in q.iter().zip(expected) {
            assert!(
                (q - e).abs() < 1e-12 || (q.is_nan() && e.is_nan()),
                "{q} {e}"
            );
        }
    }
}
