//! The best division of traversals into two sets.

use ndarray::Array2;

/// Starting points tried, of either kind.
const STARTS: usize = 16;
/// Rounds of moving traversals; they settle in a few.
const ROUNDS: usize = 20;

/// A division of traversals in two.
#[derive(Clone, Debug)]
pub(super) struct Division {
    /// The set of each traversal, 0 or 1.
    pub(super) label: Vec<usize>,
    /// How far the similarity between the sets falls short of what it would be
    /// in one map, times the root of the product of their sizes.
    pub(super) statistic: f64,
    /// The similarity between the sets as a share of that.
    pub(super) similarity: f64,
}

/// The division with the largest statistic, each set of `least` traversals or
/// more; `None` if no two sets have anything in common within themselves.
/// Undefined similarities count as none.
pub(super) fn best_division(similarity: &Array2<f64>, least: usize) -> Option<Division> {
    let n = similarity.nrows();
    let mut filled = similarity.mapv(|v| if v.is_finite() { v } else { 0.0 });
    for a in 0..n {
        filled[[a, a]] = 0.0;
    }
    let mut best: Option<Division> = None;
    let mut seen: Vec<Vec<usize>> = Vec::new();
    for start in starts(&filled) {
        let Some(label) = settle(&filled, start, 2) else {
            continue;
        };
        if seen.contains(&label) {
            continue;
        }
        if let Some(found) = contrast(&filled, &label, least)
            && best.as_ref().is_none_or(|b| found.statistic > b.statistic)
        {
            best = Some(found);
        }
        seen.push(label);
    }
    best
}

/// Divisions into early and late, and into like and unlike one traversal.
fn starts(similarity: &Array2<f64>) -> Vec<Vec<usize>> {
    let n = similarity.nrows();
    let every = n.div_ceil(STARTS).max(1);
    let row: Vec<f64> = similarity.rows().into_iter().map(|r| r.sum()).collect();
    let whole: f64 = row.iter().sum();
    let mut out: Vec<Vec<usize>> = (2..n.saturating_sub(1))
        .step_by(every)
        .map(|from| (0..n).map(|a| usize::from(a >= from)).collect())
        .collect();
    if whole > 0.0 {
        // In one map a pair is as similar as the reliabilities of both allow.
        out.extend((0..n).step_by(every).map(|seed| {
            (0..n)
                .map(|a| {
                    let unlike = similarity[[seed, a]] < row[seed] * row[a] / whole;
                    usize::from(a != seed && unlike)
                })
                .collect()
        }));
    }
    out
}

/// Moves each traversal to the set it is most like until none moves; `None`
/// if a set runs empty. `similarity` has a diagonal of zeros.
pub(super) fn settle(
    similarity: &Array2<f64>,
    mut label: Vec<usize>,
    sets: usize,
) -> Option<Vec<usize>> {
    for _ in 0..ROUNDS {
        let likeness = likeness(similarity, &label, sets)?;
        let next: Vec<usize> = likeness
            .rows()
            .into_iter()
            .map(|row| (1..sets).fold(0, |best, k| if row[k] > row[best] { k } else { best }))
            .collect();
        if next == label {
            break;
        }
        label = next;
    }
    Some(label)
}

/// How like each set each traversal is `(traversal, set)`: its mean similarity
/// to the others in the set, divided by the root of that within the set, so
/// that a set of noisy traversals does not lose its own. `None` if a set has
/// fewer than two. `similarity` has a diagonal of zeros.
pub(super) fn likeness(
    similarity: &Array2<f64>,
    label: &[usize],
    sets: usize,
) -> Option<Array2<f64>> {
    let n = label.len();
    let mut size = vec![0.0; sets];
    for &k in label {
        size[k] += 1.0;
    }
    if size.iter().any(|&s| s < 2.0) {
        return None;
    }
    let mut sum = Array2::<f64>::zeros((n, sets));
    for a in 0..n {
        for b in 0..n {
            sum[[a, label[b]]] += similarity[[a, b]];
        }
    }
    let mut within = vec![0.0; sets];
    for a in 0..n {
        within[label[a]] += sum[[a, label[a]]];
    }
    for k in 0..sets {
        within[k] /= size[k] * (size[k] - 1.0);
    }
    Some(Array2::from_shape_fn((n, sets), |(a, k)| {
        let others = size[k] - f64::from(u8::from(label[a] == k));
        sum[[a, k]] / others / within[k].max(1e-6).sqrt()
    }))
}

/// Compares a division with one map.
///
/// In one map that drifts, two traversals `d` apart in sets of reliability
/// `w₁` and `w₂` are expected to have similarity `√(w₁w₂)·ρ(d)`; `ρ(d)` comes
/// from the pairs within the sets. Distances that occur only between the sets
/// are left out.
fn contrast(similarity: &Array2<f64>, label: &[usize], least: usize) -> Option<Division> {
    let n = label.len();
    let sizes = [0, 1].map(|k| label.iter().filter(|l| **l == k).count());
    if sizes.iter().any(|&s| s < least.max(2)) {
        return None;
    }
    let mut within = [0.0; 2];
    for a in 0..n {
        for b in 0..n {
            if label[a] == label[b] {
                within[label[a]] += similarity[[a, b]];
            }
        }
    }
    for (w, &size) in within.iter_mut().zip(&sizes) {
        *w /= (size * (size - 1)) as f64;
    }
    if within.iter().any(|&w| w <= 0.0) {
        return None;
    }
    // By distance: similarity and reliability of pairs within, of pairs between.
    let mut by_distance = vec![[0.0; 5]; n];
    for a in 0..n {
        for b in a + 1..n {
            let reliability = (within[label[a]] * within[label[b]]).sqrt();
            let sums = &mut by_distance[b - a];
            if label[a] == label[b] {
                sums[0] += similarity[[a, b]];
                sums[1] += reliability;
            } else {
                sums[2] += similarity[[a, b]];
                sums[3] += reliability;
                sums[4] += 1.0;
            }
        }
    }
    let [mut expected, mut observed, mut pairs] = [0.0; 3];
    for [like, like_reliability, between, reliability, count] in by_distance {
        if like_reliability > 0.0 && count > 0.0 {
            expected += reliability * like / like_reliability;
            observed += between;
            pairs += count;
        }
    }
    (expected > 0.0).then(|| Division {
        label: label.to_vec(),
        statistic: ((sizes[0] * sizes[1]) as f64).sqrt() * (expected - observed) / pairs,
        similarity: observed / expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reliabilities `r`, maps `label`, similarity `c` between maps, drift per step `rho`.
    fn planted(r: &[f64], label: &[usize], c: f64, rho: f64) -> Array2<f64> {
        Array2::from_shape_fn((r.len(), r.len()), |(a, b)| {
            if a == b {
                return f64::NAN;
            }
            let maps = if label[a] == label[b] { 1.0 } else { c };
            r[a] * r[b] * maps * rho.powi(a.abs_diff(b) as i32)
        })
    }

    #[test]
    fn two_maps_are_told_apart_and_their_likeness_is_exact() {
        let label = [0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0];
        let found = best_division(&planted(&[0.5; 12], &label, 0.25, 1.0), 3).unwrap();
        assert_eq!(found.label, label);
        assert!((found.similarity - 0.25).abs() < 1e-12);
        // √(5·7) · (0.25 − 0.0625)
        assert!((found.statistic - 35.0_f64.sqrt() * 0.1875).abs() < 1e-12);
    }

    #[test]
    fn noisy_traversals_are_not_a_map() {
        // Every third traversal is a third as reliable.
        let r: Vec<f64> = (0..15)
            .map(|a| if a % 3 == 0 { 0.2 } else { 0.6 })
            .collect();
        let similarity = planted(&r, &[0; 15], 1.0, 1.0);
        let noisy: Vec<usize> = (0..15).map(|a| usize::from(a % 3 == 0)).collect();
        let filled = similarity.mapv(|v: f64| if v.is_finite() { v } else { 0.0 });
        let found = contrast(&filled, &noisy, 3).unwrap();
        assert!((found.similarity - 1.0).abs() < 1e-12);
        assert!(found.statistic.abs() < 1e-12);
    }

    #[test]
    fn steady_drift_is_not_a_switch() {
        let similarity = planted(&[0.6; 20], &[0; 20], 1.0, 0.9);
        let filled = similarity.mapv(|v: f64| if v.is_finite() { v } else { 0.0 });
        for from in [5, 10, 15] {
            let late: Vec<usize> = (0..20).map(|a| usize::from(a >= from)).collect();
            let found = contrast(&filled, &late, 3).unwrap();
            // The shorter set looks the more reliable, as its traversals lie closer.
            assert!(
                (found.similarity - 1.0).abs() < 0.2,
                "{from}: {}",
                found.similarity
            );
        }
    }

    #[test]
    fn without_anything_in_common_there_is_no_division() {
        assert!(best_division(&Array2::from_elem((10, 10), f64::NAN), 3).is_none());
        assert!(best_division(&Array2::from_elem((10, 10), -0.1), 3).is_none());
        assert!(best_division(&Array2::zeros((0, 0)), 3).is_none());
        assert!(best_division(&Array2::from_elem((3, 3), 0.5), 3).is_none());
    }
}
