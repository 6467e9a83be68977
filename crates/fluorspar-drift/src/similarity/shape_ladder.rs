//! What kind of change: none, other cells in the same roles, a rotation, or a linear map.

use ndarray::{Array1, ArrayView2, Axis};

use super::assignment::best_assignment;
use super::linear::{centred, product};
use super::shape::{ShapeAlignment, ShapeScore, same_patterns, unaligned};
use super::subspace::same_cells;
use crate::Error;

/// Most cells that are matched one to one: the work grows with their cube.
pub const MAXIMUM_MATCHED_CELLS: usize = 2000;

/// Cells of two sessions matched one to one so that their patterns agree best.
#[derive(Clone, Debug)]
pub struct CellMatching {
    /// For each cell of the first session the cell of the second in its role.
    pub partner: Vec<usize>,
    mean_x: Array1<f64>,
    mean_y: Array1<f64>,
}

impl CellMatching {
    /// Fits to `x (pattern, cell)` and `y (pattern, cell)`, exactly.
    ///
    /// # Errors
    /// If the shapes differ, a value is not finite, or there are more than
    /// [`MAXIMUM_MATCHED_CELLS`] cells.
    pub fn fit(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> Result<Self, Error> {
        same_patterns(x, y)?;
        same_cells(x.ncols(), y.ncols())?;
        if x.ncols() > MAXIMUM_MATCHED_CELLS {
            return Err(Error::Undefined(format!(
                "{} cells are more than the {MAXIMUM_MATCHED_CELLS} that are matched one to one",
                x.ncols()
            )));
        }
        let (mean_x, around_x) = centred(x);
        let (mean_y, around_y) = centred(y);
        let agreement = product(around_x.t(), around_y.view());
        Ok(Self {
            partner: best_assignment(agreement.view()),
            mean_x,
            mean_y,
        })
    }

    /// Distance of other patterns, or those it was fitted to, after the matching.
    ///
    /// # Errors
    /// As [`ShapeAlignment::score`].
    pub fn score(
        &self,
        x: ArrayView2<'_, f64>,
        y: ArrayView2<'_, f64>,
        score: ShapeScore,
    ) -> Result<f64, Error> {
        same_patterns(x, y)?;
        same_cells(x.ncols(), self.partner.len())?;
        same_cells(y.ncols(), self.partner.len())?;
        let matched = y.select(Axis(1), &self.partner);
        let mean = self.mean_y.select(Axis(0), &self.partner);
        unaligned(x, matched.view(), self.mean_x.view(), mean.view(), score)
    }
}

/// One family of alignments on the ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct LadderRung {
    /// Angle on the patterns it was fitted to, in radians.
    pub fitted: f64,
    /// Angle on patterns held out, in radians.
    pub held_out: f64,
    /// Why both are NaN, or empty.
    pub reason: String,
}

/// Angular distance after alignments of growing freedom, fitted to some
/// patterns and scored on others. On the fitted patterns the distance falls from the
/// first to the third rung whatever the data; what falls on those held out is real. The
/// last leaves out axes it has not seen, so compare it with the third only if
/// cells are fewer than patterns, or with `dimensions`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeLadder {
    /// No alignment: the same cells in the same roles.
    pub identity: LadderRung,
    /// Cells matched one to one.
    pub permutation: LadderRung,
    /// A rotation of the space of activity.
    pub rotation: LadderRung,
    /// Any invertible linear map.
    pub linear: LadderRung,
}

/// Fits the ladder of Williams et al. (2021, Adv Neural Inf Process Syst
/// 34:4738) to `fit_x`, `fit_y (pattern, cell)` and scores it on `test_x`,
/// `test_y (pattern, cell)`: other conditions, or the same conditions from
/// other trials. Patterns lie in one order in x and y; cells are shared.
/// `dimensions` limits the linear map to so many principal components.
///
/// A rung that cannot be had holds NaN and the reason.
///
/// # Errors
/// If shapes do not fit or a value is not finite.
pub fn shape_ladder(
    fit_x: ArrayView2<'_, f64>,
    fit_y: ArrayView2<'_, f64>,
    test_x: ArrayView2<'_, f64>,
    test_y: ArrayView2<'_, f64>,
    dimensions: Option<usize>,
) -> Result<ShapeLadder, Error> {
    same_patterns(fit_x, fit_y)?;
    same_patterns(test_x, test_y)?;
    for other in [fit_y, test_x, test_y] {
        same_cells(fit_x.ncols(), other.ncols())?;
    }
    let (mean_x, mean_y) = (centred(fit_x).0, centred(fit_y).0);
    let rung = |fitted: Result<f64, Error>, held_out: Result<f64, Error>| match (fitted, held_out) {
        (Ok(fitted), Ok(held_out)) => LadderRung {
            fitted,
            held_out,
            reason: String::new(),
        },
        (Err(error), _) | (_, Err(error)) => refused(&error),
    };
    let angular = ShapeScore::Angular;
    let plain = |x, y| unaligned(x, y, mean_x.view(), mean_y.view(), angular);
    let aligned = |alpha: f64, dimensions: Option<usize>| match ShapeAlignment::fit(
        fit_x, fit_y, alpha, dimensions,
    ) {
        Ok(fit) => rung(
            fit.score(fit_x, fit_y, angular),
            fit.score(test_x, test_y, angular),
        ),
        Err(error) => refused(&error),
    };
    Ok(ShapeLadder {
        identity: rung(plain(fit_x, fit_y), plain(test_x, test_y)),
        permutation: match CellMatching::fit(fit_x, fit_y) {
            Ok(fit) => rung(
                fit.score(fit_x, fit_y, angular),
                fit.score(test_x, test_y, angular),
            ),
            Err(error) => refused(&error),
        },
        rotation: aligned(1.0, None),
        linear: aligned(0.0, dimensions),
    })
}

fn refused(error: &Error) -> LadderRung {
    LadderRung {
        fitted: f64::NAN,
        held_out: f64::NAN,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn exchanged_cells_are_found_on_the_second_rung() {
        let x = Array2::from_shape_fn((12, 6), |(i, j)| {
            ((i * 37 + j * 101 + i * i * j * 13) % 64) as f64
        });
        let y = x.select(Axis(1), &[3, 0, 5, 1, 2, 4]);
        let (fit_x, test_x) = x.view().split_at(Axis(0), 8);
        let (fit_y, test_y) = y.view().split_at(Axis(0), 8);
        let ladder = shape_ladder(fit_x, fit_y, test_x, test_y, None).unwrap();
        assert!(ladder.identity.held_out > 0.3);
        for rung in [ladder.permutation, ladder.rotation, ladder.linear] {
            assert!(rung.fitted < 1e-6 && rung.held_out < 1e-6, "{rung:?}");
        }
    }

    #[test]
    fn too_many_cells_are_refused_with_the_reason() {
        let x = Array2::from_shape_fn((3, MAXIMUM_MATCHED_CELLS + 1), |(i, j)| {
            ((i * j) % 7) as f64
        });
        assert!(CellMatching::fit(x.view(), x.view()).is_err());
        let flat = Array2::from_elem((3, 2), 0.1);
        let ladder =
            shape_ladder(flat.view(), flat.view(), flat.view(), flat.view(), None).unwrap();
        assert!(ladder.rotation.held_out.is_nan() && !ladder.rotation.reason.is_empty());
    }
}
