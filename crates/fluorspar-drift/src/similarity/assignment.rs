//! The best one-to-one assignment.

use ndarray::ArrayView2;

/// For every row the column it is given, such that the sum of `gain (row,
/// column)`, square, is the largest: shortest augmenting paths in n³ steps
/// (Kuhn 1955, Nav Res Logist Q 2:83; Jonker and Volgenant 1987, Computing
/// 38:325). Of equal solutions the same one is always returned.
pub(super) fn best_assignment(gain: ArrayView2<'_, f64>) -> Vec<usize> {
    let n = gain.nrows().min(gain.ncols());
    // Potentials, and the row of each column; index 0 stands for "none yet".
    let (mut row_price, mut column_price) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let mut row_of = vec![0; n + 1];
    for row in 1..=n {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; n + 1];
        let mut came_from = vec![0; n + 1];
        let mut done = vec![false; n + 1];
        // Until a free column is reached.
        loop {
            done[column] = true;
            let from = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for other in 1..=n {
                if done[other] {
                    continue;
                }
                let cost = -gain[[from - 1, other - 1]] - row_price[from] - column_price[other];
                if cost < least[other] {
                    least[other] = cost;
                    came_from[other] = column;
                }
                if least[other] < step {
                    step = least[other];
                    next = other;
                }
            }
            for other in 0..=n {
                if done[other] {
                    row_price[row_of[other]] += step;
                    column_price[other] -= step;
                } else {
                    least[other] -= step;
                }
            }
            column = next;
            if row_of[column] == 0 {
                break;
            }
        }
        while column != 0 {
            row_of[column] = row_of[came_from[column]];
            column = came_from[column];
        }
    }
    let mut column_of = vec![0; n];
    for column in 1..=n {
        column_of[row_of[column] - 1] = column - 1;
    }
    column_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn greed_is_not_best() {
        let gain = array![[10.0, 9.0], [9.0, 0.0]];
        assert_eq!(best_assignment(gain.view()), [1, 0]);
        assert!(best_assignment(Array2::zeros((0, 0)).view()).is_empty());
        assert_eq!(best_assignment(Array2::zeros((3, 3)).view()).len(), 3);
    }

    #[test]
    fn no_permutation_of_five_is_better() {
        let gain =
            Array2::from_shape_fn((5, 5), |(i, j)| ((i * 7 + j * 11 + i * j * 3) % 13) as f64);
        let found: f64 = best_assignment(gain.view())
            .iter()
            .enumerate()
            .map(|(i, &j)| gain[[i, j]])
            .sum();
        let mut best = f64::NEG_INFINITY;
        for code in 0..5_usize.pow(5) {
            let columns: Vec<usize> = (0..5).map(|k| code / 5_usize.pow(k) % 5).collect();
            if (0..5).all(|j| columns.contains(&j)) {
                best = best.max(columns.iter().enumerate().map(|(i, &j)| gain[[i, j]]).sum());
            }
        }
        assert_eq!(found, best);
    }
}
