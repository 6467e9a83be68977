use ndarray::{ArrayView2, Axis};

/// Columns on each side of a seam that are compared.
const NEAR: usize = 20;
/// Columns on each side that tell how alike columns are at a distance.
const USUAL: usize = 48;
/// Largest displacement looked for, pixels.
const REACH: f64 = 16.0;
/// Steps of the search per pixel.
const FINE: f64 = 20.0;
/// Rows are compared beside the mean of so many around them.
const SMOOTH: usize = 33;
/// Bands of rows that are left out in turn, for the error.
const BANDS: usize = 8;
/// Fewest rows and columns that a seam is judged by.
const FEWEST: usize = 32;
/// A displacement is clear beyond so many standard errors, and half a pixel.
const CLEAR: f32 = 4.0;

/// How far two images that should touch really are from one another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seam {
    /// Columns missing between them, pixels; below 0 if they show the same
    /// columns twice.
    pub gap: f32,
    /// Standard error of it, pixels.
    pub error: f32,
    /// Correlation of the two columns at the seam.
    pub correlation: f32,
}

impl Seam {
    /// Whether columns are missing or shown twice beyond doubt: by half a
    /// pixel at least and four standard errors, and by less than the largest
    /// gap looked for, where images end up that have nothing in common.
    pub fn is_clear(&self) -> bool {
        let size = self.gap.abs();
        size > (CLEAR * self.error).max(0.5) && size < REACH as f32 - 1.0
    }
}

/// Compares the right border of `left` with the left border of `right`, both
/// `(y, x)` with the same rows; for mean images of neighbouring strips. `None`
/// for images of other sizes, with fewer than 32 rows or columns, or without
/// structure.
///
/// Columns are the less alike the further apart they lie. How alike at which
/// distance is seen within the images; how alike across the seam tells how
/// far apart they are there, up to 16 pixels, whether columns are shown twice
/// (then two of them are nearly the same) or are missing. Suite3D's fuse
/// shift (Haydaroglu et al. 2025, bioRxiv) looks for columns that are shown
/// twice only. The error comes from leaving out an eighth of the rows in turn;
/// where cells are few, it is of the size of a cell.
///
/// ```
/// use fluorspar_register::seam;
/// use ndarray::{Array2, s};
///
/// let spot = |y: i64, x: i64| ((y * 7919 + x * 104_729).pow(2) % 1009) as f32;
/// let scene = Array2::from_shape_fn((200, 124), |(y, x)| {
///     (0..5).map(|k| spot(y as i64, x as i64 + k)).sum::<f32>()
/// });
/// // Four columns are in both strips.
/// let found = seam(scene.slice(s![.., ..64]), scene.slice(s![.., 60..])).unwrap();
/// assert!(found.is_clear() && (found.gap + 4.0).abs() < 0.5, "{found:?}");
/// ```
pub fn seam(left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) -> Option<Seam> {
    let rows = left.nrows();
    if rows != right.nrows() || rows < FEWEST || left.ncols().min(right.ncols()) < FEWEST {
        return None;
    }
    // Columns by their distance from the seam.
    let left: Vec<Vec<f64>> = (left.axis_iter(Axis(1)).rev().take(USUAL))
        .map(|column| beside_neighbours(column.iter()))
        .collect();
    let right: Vec<Vec<f64>> = (right.axis_iter(Axis(1)).take(USUAL))
        .map(|column| beside_neighbours(column.iter()))
        .collect();
    let all = place(&left, &right, None)?;
    let some: Vec<f64> = (0..BANDS)
        .map(|band| {
            let out = band * rows / BANDS..(band + 1) * rows / BANDS;
            place(&left, &right, Some(out)).map_or(f64::NAN, |found| found.0)
        })
        .collect();
    let mean = some.iter().sum::<f64>() / BANDS as f64;
    let spread: f64 = some.iter().map(|gap| (gap - mean).powi(2)).sum();
    let error = (spread * (BANDS - 1) as f64 / BANDS as f64).sqrt();
    error.is_finite().then_some(Seam {
        gap: all.0 as f32,
        error: error as f32,
        correlation: all.1 as f32,
    })
}

/// A column beside the running mean along it.
fn beside_neighbours<'a>(column: impl Iterator<Item = &'a f32>) -> Vec<f64> {
    let values: Vec<f64> = column
        .map(|&v| if v.is_finite() { f64::from(v) } else { 0.0 })
        .collect();
    (0..values.len())
        .map(|y| {
            let around = y.saturating_sub(SMOOTH / 2)..(y + SMOOTH / 2 + 1).min(values.len());
            let count = around.len() as f64;
            values[y] - values[around].iter().sum::<f64>() / count
        })
        .collect()
}

/// Correlation of two columns without the rows `out`.
fn alike(a: &[f64], b: &[f64], out: Option<&std::ops::Range<usize>>) -> f64 {
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (y, (a, b)) in a.iter().zip(b).enumerate() {
        if out.is_none_or(|out| !out.contains(&y)) {
            aa += a * a;
            bb += b * b;
            ab += a * b;
        }
    }
    let scale = (aa * bb).sqrt();
    if scale > 0.0 { ab / scale } else { f64::NAN }
}

/// The gap that explains best how alike the columns are across the seam, and
/// how alike the two at the seam are.
fn place(
    left: &[Vec<f64>],
    right: &[Vec<f64>],
    out: Option<std::ops::Range<usize>>,
) -> Option<(f64, f64)> {
    let out = out.as_ref();
    let mean_of = |pairs: &mut dyn Iterator<Item = f64>| {
        let (mut sum, mut count) = (0.0, 0.0);
        for value in pairs.filter(|v| v.is_finite()) {
            sum += value;
            count += 1.0;
        }
        (sum / count, count)
    };
    let furthest = 2 * NEAR + REACH as usize;
    let mut usual = vec![1.0; furthest + 1];
    for (distance, usual) in usual.iter_mut().enumerate().skip(1) {
        let within = |side: &'_ [Vec<f64>]| -> Vec<f64> {
            let pairs = side.iter().zip(side.iter().skip(distance));
            pairs.map(|(a, b)| alike(a, b, out)).collect()
        };
        let (mean, count) = mean_of(&mut within(left).into_iter().chain(within(right)));
        // Columns too far apart to be compared are strangers.
        *usual = if count > 0.0 { mean } else { 0.0 };
    }
    // What a column shares with itself at another time, noise aside.
    usual[0] = (4.0 * usual[1] - usual[2]) / 3.0;
    let across: Vec<(f64, f64)> = (0..NEAR)
        .map(|sum| {
            let pairs = (0..=sum).filter(|&i| i < left.len() && sum - i < right.len());
            mean_of(&mut pairs.map(|i| alike(&left[i], &right[sum - i], out)))
        })
        .collect();
    if !across[0].0.is_finite() || !usual[1].is_finite() {
        return None;
    }
    let misfit = |gap: f64| -> f64 {
        let terms = across.iter().enumerate();
        terms
            .filter(|(_, (value, _))| value.is_finite())
            .map(|(sum, &(value, count))| {
                let distance = (sum as f64 + 1.0 + gap).abs();
                let whole = distance.floor();
                let at = |k: f64| usual.get(k as usize).copied().unwrap_or(0.0);
                let expected = at(whole) + (distance - whole) * (at(whole + 1.0) - at(whole));
                count * (value - expected).powi(2)
            })
            .sum()
    };
    let steps = (REACH * FINE) as i32;
    let best = (-steps..=steps)
        .map(|k| f64::from(k) / FINE)
        .map(|gap| (misfit(gap), gap))
        .fold((f64::INFINITY, 0.0), |a, b| if b.0 < a.0 { b } else { a });
    Some((best.1, across[0].0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal, Uniform};

    /// Cells on a ground, and noise that is new in every image.
    fn scene(seed: u64) -> impl Fn(usize, f64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let place = Uniform::new(0.0, 300.0).unwrap();
        let cells: Vec<(f64, f64)> = (0..500)
            .map(|_| (place.sample(&mut rng), place.sample(&mut rng)))
            .collect();
        move |first, noise| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed + 1 + first as u64);
            let normal = Normal::new(0.0, noise).unwrap();
            Array2::from_shape_fn((300, 64), |(y, x)| {
                let (y, x) = (y as f64, (x + first) as f64);
                let square = |c: &(f64, f64)| (y - c.0).powi(2) + (x - c.1).powi(2);
                let light: f64 = cells.iter().map(|c| (-square(c) / 18.0).exp()).sum();
                (10.0 * light + normal.sample(&mut rng)) as f32
            })
        }
    }

    #[test]
    fn columns_shown_twice_are_counted() {
        for (gap, clear) in [(-10_i32, 5), (-6, 4), (0, 0), (3, 0)] {
            let mut counted = 0;
            for seed in 0..6 {
                let strip = scene(seed);
                let right = (64 + gap) as usize;
                let found = seam(strip(0, 0.7).view(), strip(right, 0.7).view()).unwrap();
                if found.is_clear() {
                    counted += 1;
                    let off = (found.gap - gap as f32).abs();
                    assert!(off < (4.0 * found.error).max(0.7), "{gap}: {found:?}");
                }
            }
            assert!(counted >= clear, "{gap}: only {counted} of 6");
            assert!(
                gap != 0 || counted == 0,
                "{counted} of 6 where nothing is wrong"
            );
        }
    }

    #[test]
    fn strangers_have_no_seam_to_speak_of() {
        for seed in 0..6 {
            let (one, other) = (scene(seed), scene(seed + 20));
            let found = seam(one(0, 0.7).view(), other(64, 0.7).view()).unwrap();
            assert!(!found.is_clear(), "{found:?}");
            assert!(found.correlation.abs() < 0.3, "{found:?}");
        }
        let blank = Array2::<f32>::zeros((300, 64));
        assert_eq!(seam(blank.view(), blank.view()), None);
        let image = scene(1)(0, 0.7);
        let (shorter, narrow) = (
            image.slice_axis(Axis(0), (1..).into()),
            image.slice_axis(Axis(1), (..20).into()),
        );
        assert_eq!(seam(image.view(), shorter), None);
        assert_eq!(seam(narrow, image.view()), None);
        let gaps = image.mapv(|v| if v > 5.0 { f32::NAN } else { v });
        assert!(seam(gaps.view(), gaps.view()).is_some());
    }
}
