//! The last pixels of an alignment, from the centres of ROIs.
//!
//! Nearest neighbours both ways are taken for the same cell; most are. What
//! they still are apart is fitted robustly by an affine map and by local
//! means, whose reach is chosen by how well a centre is foretold by the
//! others.

use ndarray::{Array2, Array3};

use crate::hash::{Place, Squares};
use crate::transform::Transform;

/// How far centres may be apart, as factors of the largest distance of one cell.
const REACH: [f64; 10] = [1.5, 1.3, 1.1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
/// Fewest pairs for a shift, and for an affine map.
const FEWEST: (usize, usize) = (3, 12);
/// Tukey's constant: outliers beyond so many standard deviations do not count.
const TUKEY: f64 = 4.685;
/// Nodes of the field along the longer side.
const NODES: f64 = 40.0;
/// A local mean must foretell centres better than none by this factor.
const GAIN: f64 = 0.99;

/// A pair of centres taken for one cell: the place in the reference session,
/// and by how much the other lies beside where it should, in its session.
struct Residual {
    place: Place,
    miss: (f64, f64),
    weight: f64,
}

/// Improves `transform` so that the centres `moving` of a session, in its own
/// pixels, lie on those of the reference session, `fixed`. `size` is that of
/// the reference session's field; `farthest` the largest distance of one cell.
pub(super) fn refine(
    transform: &mut Transform,
    fixed: &[Place],
    moving: &[Place],
    size: (usize, usize),
    farthest: f64,
    bend: bool,
) {
    for reach in REACH {
        let mut pairs = mutual(transform, fixed, moving, reach * farthest);
        if pairs.len() < FEWEST.0 {
            return;
        }
        weigh(&mut pairs, transform.scale());
        let turned = turn(transform, &mut pairs);
        shift_planes(transform, &mut pairs);
        let bent = if bend {
            bend_field(transform, &pairs, size)
        } else {
            0.0
        };
        if turned.max(bent) < 0.01 {
            return;
        }
    }
}

/// Pairs that are each other's nearest neighbours, within `reach`.
fn mutual(transform: &Transform, fixed: &[Place], moving: &[Place], reach: f64) -> Vec<Residual> {
    let moved: Vec<Place> = moving
        .iter()
        .map(|place| place.to_reference(transform))
        .collect();
    let (of_fixed, of_moved) = (Squares::new(fixed, reach), Squares::new(&moved, reach));
    let mut out = Vec::new();
    for (index, place) in fixed.iter().enumerate() {
        let Some(partner) = of_moved.nearest(&moved, place) else {
            continue;
        };
        if of_fixed.nearest(fixed, &moved[partner]) == Some(index) {
            let (y, x) = transform.to_session_in(i64::from(place.plane), (place.y, place.x));
            out.push(Residual {
                place: *place,
                miss: (moving[partner].y - y, moving[partner].x - x),
                weight: 1.0,
            });
        }
    }
    out
}

/// Tukey's weights about the median miss.
fn weigh(pairs: &mut [Residual], scale: f64) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (y, x) = (
        median(pairs.iter().map(|p| p.miss.0).collect()),
        median(pairs.iter().map(|p| p.miss.1).collect()),
    );
    let distances: Vec<f64> = pairs
        .iter()
        .map(|p| (p.miss.0 - y).hypot(p.miss.1 - x))
        .collect();
    // The median of a Rayleigh distribution is 1.177 of its parameter.
    let cut = TUKEY * (median(distances.clone()) / 1.177).max(0.2 * scale);
    for (pair, distance) in pairs.iter_mut().zip(distances) {
        let share = distance / cut;
        pair.weight = if share < 1.0 {
            (1.0 - share * share).powi(2)
        } else {
            0.0
        };
    }
}

/// Takes the affine part out of the misses; returns how far it moves the
/// farthest of the places.
fn turn(transform: &mut Transform, pairs: &mut [Residual]) -> f64 {
    let centre = transform.centre;
    let affine = pairs.len() >= FEWEST.1;
    // Normal equations of weight · (1, y, x), in units of the field's size.
    let unit = pairs
        .iter()
        .map(|p| {
            (p.place.y - centre.0)
                .abs()
                .max((p.place.x - centre.1).abs())
        })
        .fold(1.0, f64::max);
    let basis = |place: &Place| {
        [
            1.0,
            (place.y - centre.0) / unit,
            (place.x - centre.1) / unit,
        ]
    };
    let terms = if affine { 3 } else { 1 };
    let mut normal = [[0.0; 3]; 3];
    let mut right = [[0.0; 3]; 2];
    for pair in pairs.iter() {
        let b = basis(&pair.place);
        for i in 0..terms {
            for j in 0..terms {
                normal[i][j] += pair.weight * b[i] * b[j];
            }
            right[0][i] += pair.weight * b[i] * pair.miss.0;
            right[1][i] += pair.weight * b[i] * pair.miss.1;
        }
    }
    let mut most = 0.0_f64;
    let solved = right.map(|right| solve(normal, right, terms));
    let [Some(y), Some(x)] = solved else {
        return 0.0;
    };
    transform.offset.0 += y[0];
    transform.offset.1 += x[0];
    transform.matrix[0][0] += y[1] / unit;
    transform.matrix[0][1] += y[2] / unit;
    transform.matrix[1][0] += x[1] / unit;
    transform.matrix[1][1] += x[2] / unit;
    for pair in pairs {
        let b = basis(&pair.place);
        let along = |c: &[f64; 3]| c[0] * b[0] + c[1] * b[1] + c[2] * b[2];
        let (dy, dx) = (along(&y), along(&x));
        pair.miss.0 -= dy;
        pair.miss.1 -= dx;
        most = most.max(dy.hypot(dx));
    }
    most
}

/// Solves `terms` symmetric equations by elimination; ridged a little, so that
/// places on one line do not blow up.
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3], terms: usize) -> Option<[f64; 3]> {
    let ridge = 1e-3 * a[0][0] + 1e-12;
    for (i, row) in a.iter_mut().enumerate().take(terms).skip(1) {
        row[i] += ridge;
    }
    for i in 0..terms {
        if a[i][i].abs() < 1e-12 {
            return None;
        }
        for j in i + 1..terms {
            let factor = a[j][i] / a[i][i];
            for k in i..terms {
                a[j][k] -= factor * a[i][k];
            }
            b[j] -= factor * b[i];
        }
    }
    let mut out = [0.0; 3];
    for i in (0..terms).rev() {
        let rest: f64 = (i + 1..terms).map(|k| a[i][k] * out[k]).sum();
        out[i] = (b[i] - rest) / a[i][i];
    }
    Some(out)
}

/// Planes of a stack that shifted beside the others; a plane of few pairs
/// stays with the stack.
fn shift_planes(transform: &mut Transform, pairs: &mut [Residual]) {
    let planes = transform.plane_shift.len();
    if planes < 2 {
        return;
    }
    let mut sums = vec![(0.0, 0.0, 0.0); planes];
    let of = |place: &Place| (place.plane.max(0) as usize).min(planes - 1);
    for pair in pairs.iter() {
        let sum = &mut sums[of(&pair.place)];
        sum.0 += pair.weight;
        sum.1 += pair.weight * pair.miss.0;
        sum.2 += pair.weight * pair.miss.1;
    }
    let shifts: Vec<(f64, f64)> = sums
        .iter()
        .map(|&(w, y, x)| (y / (w + PLANE_PRIOR), x / (w + PLANE_PRIOR)))
        .collect();
    for pair in pairs {
        let (dy, dx) = shifts[of(&pair.place)];
        pair.miss = (pair.miss.0 - dy, pair.miss.1 - dx);
    }
    for (slot, (dy, dx)) in transform.plane_shift.iter_mut().zip(shifts) {
        slot.0 += dy;
        slot.1 += dx;
    }
}

/// Pairs that say a plane has not moved beside the others.
const PLANE_PRIOR: f64 = 5.0;

/// A grid over the field, as far as `NODES` and the size of cells ask.
pub(super) fn grid(transform: &mut Transform, size: (usize, usize), farthest: f64) {
    let longest = size.0.max(size.1) as f64;
    let spacing = (longest / NODES).max(farthest);
    let nodes = |length: usize| (length as f64 / spacing).ceil() as usize + 1;
    transform.spacing = spacing;
    transform.origin = (0.0, 0.0);
    transform.field = Array3::zeros((2, nodes(size.0), nodes(size.1)));
}

/// Adds the local means of the misses to the field; returns the largest step.
fn bend_field(transform: &mut Transform, pairs: &[Residual], size: (usize, usize)) -> f64 {
    let (_, rows, columns) = transform.field.dim();
    if rows == 0 || columns == 0 {
        return 0.0;
    }
    let node = |at: f64, origin: f64, nodes: usize| {
        (((at - origin) / transform.spacing).round().max(0.0) as usize).min(nodes - 1)
    };
    let mut sums = [(); 3].map(|()| Array2::<f64>::zeros((rows, columns)));
    let bins: Vec<(usize, usize)> = pairs
        .iter()
        .map(|pair| {
            (
                node(pair.place.y, transform.origin.0, rows),
                node(pair.place.x, transform.origin.1, columns),
            )
        })
        .collect();
    for (pair, &bin) in pairs.iter().zip(&bins) {
        sums[0][bin] += pair.weight;
        sums[1][bin] += pair.weight * pair.miss.0;
        sums[2][bin] += pair.weight * pair.miss.1;
    }
    let plain: f64 = pairs
        .iter()
        .map(|p| p.weight * (p.miss.0.powi(2) + p.miss.1.powi(2)))
        .sum();
    let mut best: Option<(f64, [Array2<f64>; 3])> = None;
    let longest = size.0.max(size.1) as f64 / transform.spacing;
    let mut sigma = 1.2;
    while sigma < longest {
        let smooth = sums.each_ref().map(|sum| smoothed(sum, sigma));
        // What the others foretell of each pair. A pair weighs 1 in its own
        // bin; a pair that says nothing moved stands beside them.
        let error: f64 = pairs
            .iter()
            .zip(&bins)
            .map(|(pair, &bin)| {
                let w = smooth[0][bin] - pair.weight + 1.0;
                let y = (smooth[1][bin] - pair.weight * pair.miss.0) / w;
                let x = (smooth[2][bin] - pair.weight * pair.miss.1) / w;
                pair.weight * ((pair.miss.0 - y).powi(2) + (pair.miss.1 - x).powi(2))
            })
            .sum();
        if best.as_ref().is_none_or(|(least, _)| error < *least) {
            best = Some((error, smooth));
        }
        sigma *= 1.6;
    }
    let Some((_, [w, y, x])) = best.filter(|(error, _)| *error < GAIN * plain) else {
        return 0.0;
    };
    let mut most = 0.0_f64;
    for ((row, column), &w) in w.indexed_iter() {
        let (dy, dx) = (y[[row, column]] / (w + 1.0), x[[row, column]] / (w + 1.0));
        transform.field[[0, row, column]] += dy;
        transform.field[[1, row, column]] += dx;
        most = most.max(dy.hypot(dx));
    }
    most
}

/// Sums under a Gaussian of height 1.
fn smoothed(values: &Array2<f64>, sigma: f64) -> Array2<f64> {
    let reach = (3.0 * sigma).ceil() as isize;
    let kernel: Vec<f64> = (-reach..=reach)
        .map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp())
        .collect();
    let (rows, columns) = values.dim();
    let pass = |from: &Array2<f64>, down: bool| {
        Array2::from_shape_fn((rows, columns), |(y, x)| {
            let mut sum = 0.0;
            for (weight, k) in kernel.iter().zip(-reach..) {
                let (v, u) = if down {
                    (y as isize + k, x as isize)
                } else {
                    (y as isize, x as isize + k)
                };
                if v >= 0 && u >= 0 && (v as usize) < rows && (u as usize) < columns {
                    sum += weight * from[[v as usize, u as usize]];
                }
            }
            sum
        })
    };
    pass(&pass(values, true), false)
}
