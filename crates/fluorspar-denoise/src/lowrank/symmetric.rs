use rayon::prelude::*;

/// A sparse symmetric matrix over components `(component, component)` in
/// compressed rows; both triangles are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Symmetric {
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f64>,
}

impl Symmetric {
    /// From the entries on and right of the diagonal, row by row, ascending.
    pub(super) fn from_upper(upper: &[Vec<(u32, f64)>]) -> Self {
        let mut indptr = vec![0; upper.len() + 1];
        for (i, row) in upper.iter().enumerate() {
            indptr[i + 1] += row.len();
            for &(j, _) in row.iter().filter(|entry| entry.0 as usize != i) {
                indptr[j as usize + 1] += 1;
            }
        }
        for i in 0..upper.len() {
            indptr[i + 1] += indptr[i];
        }
        let entries = indptr[upper.len()];
        let (mut indices, mut values) = (vec![0; entries], vec![0.0; entries]);
        // Where the next entry of each row goes. Rows above give the part
        // left of the diagonal, in order, before the row's own turn comes.
        let mut next = indptr.clone();
        let mut put = |i: usize, j: u32, value: f64| {
            indices[next[i]] = j;
            values[next[i]] = value;
            next[i] += 1;
        };
        for (i, row) in upper.iter().enumerate() {
            for &(j, value) in row {
                put(i, j, value);
                if j as usize != i {
                    put(j as usize, i as u32, value);
                }
            }
        }
        Self {
            indptr,
            indices,
            values,
        }
    }

    /// Number of rows.
    pub fn size(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of stored entries, both triangles.
    pub fn entries(&self) -> usize {
        self.values.len()
    }

    /// Columns, ascending, and values of the stored entries of one row.
    ///
    /// # Panics
    /// If `row >= size()`, like indexing a slice.
    pub fn row(&self, row: usize) -> (&[u32], &[f64]) {
        let range = self.indptr[row]..self.indptr[row + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// One entry; zero if it is not stored.
    ///
    /// # Panics
    /// If `row >= size()`, like indexing a slice.
    pub fn get(&self, row: usize, column: usize) -> f64 {
        let (columns, values) = self.row(row);
        columns
            .binary_search(&(column as u32))
            .map_or(0.0, |at| values[at])
    }

    /// The dense part `(row, column)` at some rows and ascending columns.
    pub(super) fn part(&self, rows: &[u32], columns: &[u32]) -> Vec<f64> {
        let mut part = vec![0.0; rows.len() * columns.len()];
        if columns.is_empty() {
            return part;
        }
        for (&row, part) in rows.iter().zip(part.chunks_exact_mut(columns.len())) {
            let (stored, values) = self.row(row as usize);
            let mut from = 0;
            for (&column, slot) in columns.iter().zip(part) {
                from += stored[from..].partition_point(|&k| k < column);
                if stored.get(from) == Some(&column) {
                    *slot = values[from];
                }
            }
        }
        part
    }

    /// This times a dense `(component, column)` of `width` columns, row-major.
    pub(super) fn product(&self, dense: &[f64], width: usize) -> Vec<f64> {
        let mut out = vec![0.0; self.size() * width];
        if width == 0 {
            return out;
        }
        out.par_chunks_mut(width).enumerate().for_each(|(i, out)| {
            let (columns, values) = self.row(i);
            for (&j, &value) in columns.iter().zip(values) {
                add(out, value, &dense[j as usize * width..][..width]);
            }
        });
        out
    }
}

fluorspar_movie::vectorised! {
    /// `sums += weight · values`.
    pub(super) fn add<'a>(sums: &'a mut [f64], weight: f64, values: &'a [f64]) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += weight * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_triangles_are_stored_in_order() {
        let upper = vec![
            vec![(0, 1.0), (2, 2.0), (3, 3.0)],
            vec![],
            vec![(2, 4.0), (3, 5.0)],
            vec![(3, 6.0)],
        ];
        let matrix = Symmetric::from_upper(&upper);
        assert_eq!(matrix.size(), 4);
        assert_eq!(matrix.entries(), 9);
        assert_eq!(matrix.row(3), (&[0, 2, 3][..], &[3.0, 5.0, 6.0][..]));
        assert_eq!(matrix.get(2, 0), 2.0);
        assert_eq!(matrix.get(1, 1), 0.0);
        assert_eq!(matrix.part(&[3, 0], &[1, 2]), [0.0, 5.0, 0.0, 2.0]);
        assert_eq!(
            matrix.product(&[1.0, 7.0, 1.0, 1.0], 1),
            [6.0, 0.0, 11.0, 14.0]
        );
    }
}
