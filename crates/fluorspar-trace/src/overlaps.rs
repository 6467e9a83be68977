use std::collections::BTreeMap;

use fluorspar_movie::Footprints;

use crate::Error;
use crate::valid::Valid;

/// Which footprints share pixels, and how much: the sparse matrix `AᵀA` of
/// all footprints with each other, and what each weighs.
///
/// With `a_i(p)` the weight of ROI `i` in pixel `p` (largest weight 1), entry
/// `(i, j)` is `Σ_p a_i(p) a_j(p)`; entries of ROIs in different planes are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlaps {
    diagonal: Vec<f64>,
    sums: Vec<f64>,
    /// Per ROI, ascending: neighbours and the entry with them.
    neighbours: Vec<Vec<(usize, f64)>>,
}

impl Overlaps {
    /// Overlaps of all footprints.
    pub fn new(footprints: &Footprints) -> Self {
        Self::build(footprints, &Valid::everywhere())
    }

    /// As [`Overlaps::new`], of what lies within the valid field.
    ///
    /// # Errors
    /// [`Error::Shape`] if the mask has other images than the footprints.
    pub fn within(footprints: &Footprints, valid: &Valid<'_>) -> Result<Self, Error> {
        valid.check(footprints, None)?;
        Ok(Self::build(footprints, valid))
    }

    fn build(footprints: &Footprints, valid: &Valid<'_>) -> Self {
        let rois = footprints.len();
        let (mut diagonal, mut sums) = (vec![0.0; rois], vec![0.0; rois]);
        let mut owners = Vec::with_capacity(footprints.indices().len());
        for (roi, footprint) in footprints.iter().enumerate() {
            for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
                if valid.at(footprint.plane, index) {
                    let weight = f64::from(weight);
                    diagonal[roi] += weight * weight;
                    sums[roi] += weight;
                    owners.push((footprint.plane, index, roi, weight));
                }
            }
        }
        owners.sort_unstable_by_key(|&(plane, index, roi, _)| (plane, index, roi));
        let mut pairs: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for pixel in owners.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            for (k, first) in pixel.iter().enumerate() {
                for second in &pixel[k + 1..] {
                    *pairs.entry((first.2, second.2)).or_default() += first.3 * second.3;
                }
            }
        }
        let mut neighbours = vec![Vec::new(); rois];
        for ((first, second), entry) in pairs {
            neighbours[first].push((second, entry));
            neighbours[second].push((first, entry));
        }
        for row in &mut neighbours {
            row.sort_unstable_by_key(|&(roi, _)| roi);
        }
        Self {
            diagonal,
            sums,
            neighbours,
        }
    }

    /// Overlaps known already: the sum of each ROI's weights `(roi)`, the
    /// diagonal of `AᵀA` `(roi)`, and its entries above the diagonal as
    /// `(row, column, value)`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the two lists differ in length,
    /// [`Error::Overlap`] for a negative or non-finite number, an entry
    /// outside the matrix, on or below its diagonal or given twice, or one
    /// that is larger than two footprints allow
    /// (Cauchy and Schwarz: its square is at most the product of the two
    /// diagonal entries).
    pub fn from_entries(
        sums: Vec<f64>,
        diagonal: Vec<f64>,
        entries: &[(usize, usize, f64)],
    ) -> Result<Self, Error> {
        if sums.len() != diagonal.len() {
            return Err(Error::Shape {
                what: "the list of weight sums",
                found: format!("{} long", sums.len()),
                against: "the diagonal",
                expected: format!("{} long", diagonal.len()),
            });
        }
        for (roi, &value) in sums.iter().chain(&diagonal).enumerate() {
            if !(value.is_finite() && value >= 0.0) {
                let roi = roi % diagonal.len();
                return Err(Error::Overlap {
                    row: roi,
                    column: roi,
                    value,
                });
            }
        }
        let mut neighbours = vec![Vec::new(); diagonal.len()];
        let mut seen = std::collections::BTreeSet::new();
        for &(row, column, value) in entries {
            let sound = row < column
                && column < diagonal.len()
                && value >= 0.0
                // Sums in another order may round beyond the limit.
                && value * value <= diagonal[row] * diagonal[column] * (1.0 + 1e-6)
                && seen.insert((row, column));
            if !sound {
                return Err(Error::Overlap { row, column, value });
            }
            if value > 0.0 {
                neighbours[row].push((column, value));
                neighbours[column].push((row, value));
            }
        }
        for row in &mut neighbours {
            row.sort_unstable_by_key(|&(roi, _)| roi);
        }
        Ok(Self {
            diagonal,
            sums,
            neighbours,
        })
    }

    /// Number of ROIs.
    pub fn len(&self) -> usize {
        self.diagonal.len()
    }

    /// Whether there are no ROIs.
    pub fn is_empty(&self) -> bool {
        self.diagonal.is_empty()
    }

    /// `Σ_p a(p)²` of every ROI; 0 where nothing of it is valid.
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    /// `Σ_p a(p)` of every ROI; 0 where nothing of it is valid.
    pub fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// The ROIs that share pixels with `roi`, ascending, and the entry of
    /// `AᵀA` with each.
    ///
    /// # Panics
    /// If `roi >= len()`, like indexing a slice.
    pub fn neighbours(&self, roi: usize) -> &[(usize, f64)] {
        &self.neighbours[roi]
    }

    /// The ROIs that hang together by shared pixels, lone ROIs as groups of
    /// one: every ROI once, groups and members ascending.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut taken = vec![false; self.len()];
        let mut groups = Vec::new();
        for start in 0..self.len() {
            if taken[start] {
                continue;
            }
            taken[start] = true;
            let mut group = vec![start];
            let mut at = 0;
            while at < group.len() {
                for &(roi, _) in &self.neighbours[group[at]] {
                    if !taken[roi] {
                        taken[roi] = true;
                        group.push(roi);
                    }
                }
                at += 1;
            }
            group.sort_unstable();
            groups.push(group);
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Footprints {
        let mut all = Footprints::new(4, 8);
        all.push(&[0, 1, 2], &[1.0, 0.5, 1.0], 0).unwrap();
        all.push(&[20], &[1.0], 0).unwrap();
        all.push(&[2, 3], &[0.25, 1.0], 0).unwrap();
        all.push(&[3, 4], &[1.0, 1.0], 0).unwrap();
        all.push(&[3, 4], &[1.0, 1.0], 1).unwrap();
        all
    }

    #[test]
    fn entries_are_products_and_planes_stay_apart() {
        let overlaps = Overlaps::new(&chain());
        assert_eq!(overlaps.diagonal(), [2.25, 1.0, 1.0625, 2.0, 2.0]);
        assert_eq!(overlaps.sums(), [2.5, 1.0, 1.25, 2.0, 2.0]);
        assert_eq!(overlaps.neighbours(2), [(0, 0.25), (3, 1.0)]);
        assert_eq!(overlaps.groups(), [vec![0, 2, 3], vec![1], vec![4]]);
        let again = Overlaps::from_entries(
            overlaps.sums().to_vec(),
            overlaps.diagonal().to_vec(),
            &[(2, 3, 1.0), (0, 2, 0.25)],
        )
        .unwrap();
        assert_eq!(again, overlaps);
    }

    #[test]
    fn impossible_entries_are_refused() {
        for entry in [
            (0, 1, 1.1),
            (1, 0, 0.5),
            (0, 2, 0.5),
            (0, 0, 0.5),
            (0, 1, f64::NAN),
        ] {
            let made = Overlaps::from_entries(vec![1.0, 1.0], vec![1.0, 1.0], &[entry]);
            assert!(matches!(made, Err(Error::Overlap { .. })), "{entry:?}");
        }
        let twice = [(0, 1, 0.5), (0, 1, 0.5)];
        assert!(Overlaps::from_entries(vec![1.0; 2], vec![1.0; 2], &twice).is_err());
        assert!(Overlaps::from_entries(vec![1.0], vec![1.0; 2], &[]).is_err());
        assert!(Overlaps::from_entries(vec![1.0], vec![-1.0], &[]).is_err());
    }
}
