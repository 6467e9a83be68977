//! Permutation tests, Mantel tests, resampling of nested data, false discovery rate.
//!
//! | question | call |
//! |---|---|
//! | does a session × session table follow elapsed days? | [`mantel`], [`mantel_partial`] |
//! | do two conditions differ, animal by animal? | [`paired`], [`sign_flip`] |
//! | is a number the same in all sessions? | [`anova`], [`anova_within`] |
//! | an interval for nested data (animals, sessions, trials) | [`hierarchical`], [`hierarchical_difference`] |
//! | what do unsure identities do to a result? | [`propagate_identity`], [`expected_similarity`] |
//! | many tests at once | [`false_discovery`] |

mod difference;
mod hierarchical;
mod mantel;
mod multiple;
mod tracks;

pub use difference::{Test, anova, anova_within, paired, sign_flip};
pub use hierarchical::{
    Bootstrap, Design, DrawnAnimal, DrawnSession, hierarchical, hierarchical_difference,
};
pub use mantel::{Mantel, mantel, mantel_partial};
pub use multiple::{add_one_p, false_discovery};
pub use tracks::{draw_identity, expected_similarity, propagate_identity, wrong_share};

/// Which values count as more extreme than the observed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alternative {
    /// Farther from 0 on either side.
    #[default]
    TwoSided,
    /// Smaller.
    Less,
    /// Greater.
    Greater,
}

impl Alternative {
    /// Whether `value` is at least as extreme as `observed`. What rounding
    /// may have parted counts as equal, and a value that is not a number as
    /// extreme, so that neither makes a p value too small.
    pub(crate) fn reaches(self, value: f64, observed: f64) -> bool {
        let slack = 1e-9 * (1e-12 + observed.abs());
        match self {
            _ if value.is_nan() => true,
            Self::TwoSided => value.abs() >= observed.abs() - slack,
            Self::Less => value <= observed + slack,
            Self::Greater => value >= observed - slack,
        }
    }
}

/// The next order in lexicographic sequence; false after the last.
pub(crate) fn next_order(order: &mut [usize]) -> bool {
    let Some(pivot) = (1..order.len()).rev().find(|&k| order[k - 1] < order[k]) else {
        return false;
    };
    let pivot = pivot - 1;
    let swap = (pivot + 1..order.len())
        .rev()
        .find(|&k| order[k] > order[pivot])
        .unwrap_or(pivot);
    order.swap(pivot, swap);
    order[pivot + 1..].reverse();
    true
}

/// `n!` if it is at most `limit`.
pub(crate) fn factorial_within(n: usize, limit: usize) -> Option<usize> {
    (1..=n).try_fold(1_usize, |product, k| {
        product.checked_mul(k).filter(|&p| p <= limit)
    })
}
