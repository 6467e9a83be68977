//! What is read off the patterns of two sessions.
//!
//! All of it is the same after any rotation of the space of activity, so it is
//! computed from inner products of patterns, however many cells there are.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::patterns::PARTS;
use crate::Error;
use crate::similarity::linear::{first_columns, symmetric_eigen};
use crate::similarity::{
    Components, MINIMUM_CONDITIONS, RdmComparison, ShapeAlignment, ShapeScore, alignment_index,
    compare_rdms, euclidean_rdm, linear_cka, principal_components, subspace_overlap,
    unaligned_distance,
};
use crate::table::MetricRow;

/// A measure of two sets of patterns `(condition, coordinate)`.
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) corrected: &'static str,
    of: fn(ArrayView2<'_, f64>, ArrayView2<'_, f64>) -> Result<f64, Error>,
}

pub(super) const MEASURES: [Measure; 7] = [
    Measure {
        name: "rdm_correlation",
        corrected: "rdm_correlation_corrected",
        of: |x, y| {
            let (x, y) = (euclidean_rdm(x)?, euclidean_rdm(y)?);
            compare_rdms(&x, &y, RdmComparison::Spearman, MINIMUM_CONDITIONS)
        },
    },
    Measure {
        name: "cka",
        corrected: "cka_corrected",
        of: linear_cka,
    },
    Measure {
        name: "subspace_overlap",
        corrected: "subspace_overlap_corrected",
        of: |x, y| {
            let (x, y) = (variational(x)?, variational(y)?);
            Ok(subspace_overlap(x.view(), y.view())?.overlap)
        },
    },
    Measure {
        name: "alignment_index",
        corrected: "alignment_index_corrected",
        of: |x, y| {
            let (of_x, of_y) = (variational(x)?, variational(y)?);
            let there = alignment_index(of_x.view(), y)?;
            Ok(f64::midpoint(there, alignment_index(of_y.view(), x)?))
        },
    },
    Measure {
        name: "shape_identity",
        corrected: "shape_identity_corrected",
        of: |x, y| held_out(x, y, &unaligned_distance),
    },
    Measure {
        name: "shape_rotation",
        corrected: "shape_rotation_corrected",
        of: |x, y| {
            held_out(x, y, &|x, y, test_x, test_y| {
                ShapeAlignment::fit(x, y, 1.0, None)?.score(test_x, test_y, ShapeScore::Angular)
            })
        },
    },
    Measure {
        name: "shape_linear",
        corrected: "shape_linear_corrected",
        of: |x, y| {
            held_out(x, y, &|x, y, test_x, test_y| {
                let dimensions = variational(x)?.nrows().max(variational(y)?.nrows());
                let fit = ShapeAlignment::fit(x, y, 0.0, Some(dimensions))?;
                fit.score(test_x, test_y, ShapeScore::Angular)
            })
        },
    },
];

/// Fits on some patterns of both, scores others.
type Scored<'a> = &'a dyn Fn(
    ArrayView2<'_, f64>,
    ArrayView2<'_, f64>,
    ArrayView2<'_, f64>,
    ArrayView2<'_, f64>,
) -> Result<f64, Error>;

/// Cosine after an alignment fitted on every second condition and scored on
/// the others, both ways.
fn held_out(
    x: ArrayView2<'_, f64>,
    y: ArrayView2<'_, f64>,
    scored: Scored<'_>,
) -> Result<f64, Error> {
    if x.nrows() < MINIMUM_CONDITIONS {
        return Err(Error::Undefined(format!(
            "{} conditions are too few to fit an alignment on half of them; {MINIMUM_CONDITIONS} are needed",
            x.nrows()
        )));
    }
    let every_second = |from: usize| (from..x.nrows()).step_by(2).collect::<Vec<usize>>();
    let (even, odd) = (every_second(0), every_second(1));
    let mut sum = 0.0;
    for (fit, test) in [(&even, &odd), (&odd, &even)] {
        let rows = |of: ArrayView2<'_, f64>, at: &[usize]| of.select(Axis(0), at);
        let angle = scored(
            rows(x, fit).view(),
            rows(y, fit).view(),
            rows(x, test).view(),
            rows(y, test).view(),
        )?;
        sum += angle.cos();
    }
    Ok(sum / 2.0)
}

/// The first principal components, as many as the participation ratio says.
fn variational(x: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
    Ok(principal_components(x, Components::ParticipationRatio)?.directions)
}

/// A value with the interval of a jackknife, or why there is none.
pub(super) struct Estimate {
    value: f64,
    lo: f64,
    hi: f64,
    reason: String,
}

impl Estimate {
    pub(super) fn fill(self, row: &mut MetricRow) {
        (row.value, row.lo, row.hi) = (self.value, self.lo, self.hi);
        row.reason = self.reason;
    }

    fn none(reason: String) -> Self {
        Self {
            value: f64::NAN,
            lo: f64::NAN,
            hi: f64::NAN,
            reason,
        }
    }
}

/// One measure between sessions and within each, from one set of cells.
#[derive(Clone, Copy, Debug, Default)]
struct Values {
    between: f64,
    within_first: f64,
    within_second: f64,
}

impl Values {
    fn corrected(&self) -> f64 {
        self.between / (self.within_first * self.within_second).sqrt()
    }
}

/// All measures of a pair, with all cells and with each part of them left out.
pub(super) struct Measured {
    all: Vec<Result<Values, String>>,
    left_out: Vec<Vec<Values>>,
    pub(super) overlap_chance: f64,
}

impl Measured {
    pub(super) fn new(
        products: &[Array2<f64>],
        conditions: usize,
        cells: usize,
        one_session: bool,
    ) -> Result<Self, String> {
        let mut sum = Array2::zeros(products.first().map_or((0, 0), Array2::dim));
        for part in products {
            sum += part;
        }
        let coordinates = coordinates(&sum).map_err(|e| e.to_string())?;
        let all = MEASURES
            .iter()
            .map(|m| values(m, &coordinates, conditions, one_session).map_err(|e| e.to_string()))
            .collect();
        let left_out = products
            .iter()
            .map(|part| {
                let fewer = self::coordinates(&(&sum - part));
                MEASURES
                    .iter()
                    .map(|measure| {
                        let fewer = fewer.as_ref().ok();
                        fewer
                            .and_then(|c| values(measure, c, conditions, one_session).ok())
                            .unwrap_or(Values {
                                between: f64::NAN,
                                within_first: f64::NAN,
                                within_second: f64::NAN,
                            })
                    })
                    .collect()
            })
            .collect();
        let last = coordinates.nrows() / conditions.max(1);
        let dimensions = |k: usize| variational(block(&coordinates, conditions, k));
        let widest = (0..last)
            .filter_map(|k| dimensions(k).ok())
            .map(|d| d.nrows())
            .max();
        Ok(Self {
            all,
            left_out,
            overlap_chance: widest.map_or(f64::NAN, |d| d as f64 / cells as f64),
        })
    }

    pub(super) fn plain(&self, measure: usize, confidence: f64) -> Estimate {
        match &self.all[measure] {
            Err(reason) => Estimate::none(reason.clone()),
            Ok(all) => self.jackknifed(measure, all.between, |v| v.between, confidence),
        }
    }

    /// Divided by the root of what the sessions reach with themselves, unless
    /// that is not clearly above 0.
    pub(super) fn corrected(&self, measure: usize, confidence: f64) -> Estimate {
        let all = match &self.all[measure] {
            Err(reason) => return Estimate::none(reason.clone()),
            Ok(all) => all,
        };
        let within: [fn(&Values) -> f64; 2] = [|v| v.within_first, |v| v.within_second];
        for read in within {
            let own = self.jackknifed(measure, read(all), read, 0.95);
            // An interval that is not a number is not above 0 either.
            if own.lo.is_nan() || own.lo <= 0.0 {
                return Estimate::none(
                    "two halves of a session are not reliably alike, so there is nothing to divide by".into(),
                );
            }
        }
        self.jackknifed(measure, all.corrected(), Values::corrected, confidence)
    }

    /// Delete-a-group jackknife over cells (Kott 2001, J Off Stat 17:521).
    fn jackknifed(
        &self,
        measure: usize,
        value: f64,
        read: impl Fn(&Values) -> f64,
        confidence: f64,
    ) -> Estimate {
        let left: Array1<f64> = self.left_out.iter().map(|v| read(&v[measure])).collect();
        let middle = left.mean().unwrap_or(f64::NAN);
        let squares: f64 = left.iter().map(|v| (v - middle).powi(2)).sum();
        let parts = PARTS as f64;
        let error = (squares * (parts - 1.0) / parts).sqrt();
        let wide = StudentsT::new(0.0, 1.0, parts - 1.0)
            .map_or(f64::NAN, |t| t.inverse_cdf(f64::midpoint(1.0, confidence)));
        Estimate {
            value,
            lo: value - wide * error,
            hi: value + wide * error,
            reason: if value.is_finite() {
                String::new()
            } else {
                "the measure has no value on these patterns".into()
            },
        }
    }
}

/// Between halves of two sessions (all four pairs of halves), or between the
/// halves of one, and within each.
fn values(
    measure: &Measure,
    coordinates: &Array2<f64>,
    conditions: usize,
    one_session: bool,
) -> Result<Values, Error> {
    let of = |a: usize, b: usize| {
        (measure.of)(
            block(coordinates, conditions, a),
            block(coordinates, conditions, b),
        )
    };
    let within_first = of(0, 1)?;
    if one_session {
        return Ok(Values {
            between: within_first,
            within_first,
            within_second: within_first,
        });
    }
    Ok(Values {
        between: (of(0, 2)? + of(0, 3)? + of(1, 2)? + of(1, 3)?) / 4.0,
        within_first,
        within_second: of(2, 3)?,
    })
}

/// The patterns of half `k`.
fn block(coordinates: &Array2<f64>, conditions: usize, k: usize) -> ArrayView2<'_, f64> {
    let (_, from) = coordinates.view().split_at(Axis(0), k * conditions);
    from.split_at(Axis(0), conditions).0
}

/// Coordinates of patterns with these inner products: an isometry.
fn coordinates(products: &Array2<f64>) -> Result<Array2<f64>, Error> {
    let (values, vectors) = symmetric_eigen(products.view())?;
    let largest = values.first().copied().unwrap_or(0.0);
    let kept = values
        .iter()
        .take_while(|&&v| v > 1e-13 * largest && v > 0.0)
        .count();
    let lengths: Array1<f64> = values[..kept].iter().map(|v| v.sqrt()).collect();
    Ok(first_columns(&vectors, kept) * &lengths)
}
