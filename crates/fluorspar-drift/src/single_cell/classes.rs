use std::collections::BTreeMap;

use ndarray::ArrayView2;

use crate::Error;

/// How many things a cell is selective for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// No condition could be tested in this cell.
    Untested,
    /// Significant for nothing.
    Unselective,
    /// Significant for one condition only.
    Pure,
    /// Significant for two or more.
    Mixed,
}

impl Class {
    /// The word that tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Untested => "untested",
            Self::Unselective => "unselective",
            Self::Pure => "pure",
            Self::Mixed => "mixed",
        }
    }
}

/// What [`classify`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Class of each cell.
    pub class: Vec<Class>,
    /// Conditions a cell is significant for, bit `k` for condition `k`.
    pub significant: Vec<u64>,
    /// Cells by set of conditions: the numbers in a Venn diagram. Untested
    /// cells are left out, unselective ones stand under 0.
    pub venn: BTreeMap<u64, usize>,
}

impl Classes {
    /// Cells of a class.
    pub fn count(&self, class: Class) -> usize {
        self.class.iter().filter(|&&c| c == class).count()
    }

    /// Share of the tested cells; NaN if none could be tested.
    pub fn fraction(&self, class: Class) -> f64 {
        self.share(self.count(class))
    }

    /// Cells significant for `condition`.
    pub fn selective(&self, condition: usize) -> usize {
        self.significant
            .iter()
            .filter(|&&set| condition < 64 && set >> condition & 1 == 1)
            .count()
    }

    /// Cells significant for `condition` and no other.
    pub fn pure(&self, condition: usize) -> usize {
        if condition >= 64 {
            return 0;
        }
        self.venn.get(&(1 << condition)).copied().unwrap_or(0)
    }

    /// `count` as a share of the tested cells; NaN if none could be tested.
    pub fn share(&self, count: usize) -> f64 {
        let tested: usize = self.venn.values().sum();
        count as f64 / tested as f64
    }
}

/// Sorts cells into pure and mixed selectivity.
///
/// `q` is `(condition, cell)`: a false discovery rate for every variable (and
/// epoch). A cell is significant for a condition at `q ≤ level`. Which
/// conditions are put together decides what *mixed* means: variables of one
/// epoch, or epochs of one variable. NaN is not significant; a cell that is
/// NaN in all conditions is untested and counts in no share.
///
/// Correlated variables (odour and a choice that follows it) make cells mixed
/// that are not; test each with the other as stratum.
///
/// # Errors
/// [`Error::Nothing`] without conditions, [`Error::Shape`] for more than 64,
/// [`Error::Parameter`] for a level outside 0 to 1.
pub fn classify(q: ArrayView2<'_, f64>, level: f64) -> Result<Classes, Error> {
    let (conditions, cells) = q.dim();
    if conditions == 0 {
        return Err(Error::Nothing("conditions"));
    }
    if conditions > 64 {
        return Err(Error::Shape(format!(
            "{conditions} conditions are more than 64"
        )));
    }
    if !(level > 0.0 && level <= 1.0) {
        return Err(Error::Parameter {
            name: "level",
            value: level,
            rule: "must lie between 0 and 1",
        });
    }
    let mut out = Classes {
        class: Vec::with_capacity(cells),
        significant: Vec::with_capacity(cells),
        venn: BTreeMap::new(),
    };
    for column in q.columns() {
        let set = column
            .iter()
            .enumerate()
            .filter(|&(_, &q)| q <= level)
            .fold(0_u64, |set, (condition, _)| set | 1 << condition);
        let tested = column.iter().any(|q| !q.is_nan());
        out.class.push(match set.count_ones() {
            _ if !tested => Class::Untested,
            0 => Class::Unselective,
            1 => Class::Pure,
            _ => Class::Mixed,
        });
        out.significant.push(set);
        if tested {
            *out.venn.entry(set).or_insert(0) += 1;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::Class::{Mixed, Pure, Unselective, Untested};
    use super::*;
    use ndarray::{Array2, arr2};

    #[test]
    fn cells_fall_into_the_right_part_of_the_diagram() {
        let n = f64::NAN;
        let q = arr2(&[[0.01, 0.01, 0.2, n, 0.9], [0.5, 0.02, 0.03, n, n]]);
        let found = classify(q.view(), 0.05).unwrap();
        assert_eq!(found.class, [Pure, Mixed, Pure, Untested, Unselective]);
        assert_eq!(found.venn, BTreeMap::from([(0, 1), (1, 1), (2, 1), (3, 1)]));
        assert_eq!(found.fraction(Mixed), 0.25);
        assert_eq!((found.selective(0), found.pure(0)), (2, 1));
        assert_eq!((found.selective(99), found.pure(99)), (0, 0));
    }

    #[test]
    fn nothing_tested_has_no_share() {
        let found = classify(Array2::from_elem((1, 2), f64::NAN).view(), 0.05).unwrap();
        assert!(found.fraction(Class::Pure).is_nan());
        assert!(classify(Array2::zeros((0, 2)).view(), 0.05).is_err());
        assert!(classify(Array2::zeros((65, 2)).view(), 0.05).is_err());
        assert!(classify(Array2::zeros((1, 2)).view(), f64::NAN).is_err());
    }
}
