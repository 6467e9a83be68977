use fluorspar_movie::vectorised;

/// Added to the diagonal of matrices of unit diagonal: two footprints that are
/// the same share their light equally instead of being insoluble.
const RIDGE: f64 = 1e-6;

/// Cholesky factor of a sparse symmetric matrix, kept from each row's first
/// entry to the diagonal (George & Liu, Computer Solution of Large Sparse
/// Positive Definite Systems, 1981): in the order of [`narrow`] ROIs in an
/// image fill little of it.
#[derive(Debug)]
pub(crate) struct Envelope {
    first: Vec<usize>,
    rows: Vec<Vec<f64>>,
}

vectorised! {
    /// `to -= factor · from`.
    fn subtract<'a>(to: &'a mut [f64], factor: f64, from: &'a [f64]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to -= factor * from;
        }
    }
}

fn divide(values: &mut [f64], by: f64) {
    for value in values {
        *value /= by;
    }
}

impl Envelope {
    /// Factors the matrix with unit diagonal plus ridge whose entries left of
    /// the diagonal are `lower[row]`, ascending.
    pub(crate) fn factor(lower: &[Vec<(usize, f64)>]) -> Self {
        // What is alone needs no help and gets no error.
        let ridge = if lower.len() > 1 { RIDGE } else { 0.0 };
        let mut first = Vec::with_capacity(lower.len());
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(lower.len());
        for (i, entries) in lower.iter().enumerate() {
            let start = entries.first().map_or(i, |&(j, _)| j);
            let mut row = vec![0.0; i - start + 1];
            for &(j, value) in entries {
                row[j - start] = value;
            }
            row[i - start] = 1.0 + ridge;
            for j in start..=i {
                let from = start.max(if j == i { start } else { first[j] });
                let mut sum = row[j - start];
                if j == i {
                    for value in &row[..i - start] {
                        sum -= value * value;
                    }
                    // Rounding could take the ridge away, not more.
                    row[i - start] = sum.max(RIDGE).sqrt();
                } else {
                    let other = &rows[j];
                    for k in from..j {
                        sum -= row[k - start] * other[k - first[j]];
                    }
                    row[j - start] = sum / other[j - first[j]];
                }
            }
            first.push(start);
            rows.push(row);
        }
        Self { first, rows }
    }

    /// Solves for all columns of `values`, axes `(row, column)` with `columns`
    /// columns, in place. Each column is treated alike, whatever the others.
    pub(crate) fn solve(&self, values: &mut [f64], columns: usize) {
        for (i, row) in self.rows.iter().enumerate() {
            let (before, rest) = values.split_at_mut(i * columns);
            let own = &mut rest[..columns];
            for (k, &factor) in row[..row.len() - 1].iter().enumerate() {
                if factor != 0.0 {
                    let j = self.first[i] + k;
                    subtract(own, factor, &before[j * columns..(j + 1) * columns]);
                }
            }
            let diagonal = row[row.len() - 1];
            divide(own, diagonal);
        }
        for (i, row) in self.rows.iter().enumerate().rev() {
            let (before, rest) = values.split_at_mut(i * columns);
            let own = &mut rest[..columns];
            let diagonal = row[row.len() - 1];
            divide(own, diagonal);
            for (k, &factor) in row[..row.len() - 1].iter().enumerate() {
                if factor != 0.0 {
                    let j = self.first[i] + k;
                    subtract(&mut before[j * columns..(j + 1) * columns], factor, own);
                }
            }
        }
    }
}

/// An order of the nodes of a connected graph in which neighbours are close:
/// breadth first from a node of fewest neighbours, those of few first,
/// reversed (Cuthill & McKee 1969; George 1971).
pub(crate) fn narrow(neighbours: &[Vec<(usize, f64)>]) -> Vec<usize> {
    let degree = |node: usize| neighbours[node].len();
    let Some(start) = (0..neighbours.len()).min_by_key(|&node| degree(node)) else {
        return Vec::new();
    };
    let mut seen = vec![false; neighbours.len()];
    seen[start] = true;
    let mut order = vec![start];
    let mut at = 0;
    while at < order.len() {
        let from = order.len();
        for &(node, _) in &neighbours[order[at]] {
            if !seen[node] {
                seen[node] = true;
                order.push(node);
            }
        }
        order[from..].sort_by_key(|&node| (degree(node), node));
        at += 1;
    }
    order.reverse();
    order
}
