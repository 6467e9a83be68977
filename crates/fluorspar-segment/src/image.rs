//! Single images made ready for measurement: which pixels count, and blurs
//! that leave the others out.

use std::ops::Range;

use fluorspar_movie::vectorised;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// An image whose unusable pixels are known, scaled so that no sum of its
/// values can overflow.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Row by row, median 0, within −1 to 1; 0 where unusable.
    pub(crate) values: Vec<f32>,
    /// 1 where usable, 0 elsewhere; none if every pixel is usable.
    pub(crate) mask: Option<Vec<f32>>,
}

impl Image {
    /// Nothing if no two usable pixels differ.
    ///
    /// Unusable are values that are not finite, and rows and columns at the
    /// border that are constant: registration and stitching leave such edges.
    pub(crate) fn new(image: ArrayView2<'_, f32>) -> Option<Self> {
        let (height, width) = image.dim();
        let (rows, columns) = live(image);
        let usable = |y: usize, x: usize, value: f32| {
            rows.contains(&y) && columns.contains(&x) && value.is_finite()
        };
        let mut known: Vec<f32> = image
            .indexed_iter()
            .filter(|&((y, x), &value)| usable(y, x, value))
            .map(|(_, &value)| value)
            .collect();
        if known.is_empty() {
            return None;
        }
        let middle = known.len() / 2;
        let median = f64::from(*known.select_nth_unstable_by(middle, f32::total_cmp).1);
        let range = known
            .iter()
            .map(|&value| (f64::from(value) - median).abs())
            .fold(0.0, f64::max);
        if range == 0.0 {
            return None;
        }
        let mut mask = vec![0.0; height * width];
        let values = image
            .indexed_iter()
            .zip(&mut mask)
            .map(|(((y, x), &value), mask)| {
                if usable(y, x, value) {
                    *mask = 1.0;
                    ((f64::from(value) - median) / range) as f32
                } else {
                    0.0
                }
            })
            .collect();
        Some(Self {
            height,
            width,
            values,
            mask: (known.len() < mask.len()).then_some(mask),
        })
    }

    pub(crate) fn usable(&self, pixel: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask[pixel] > 0.0)
    }

    /// Value at a place between pixels, linear in both axes; nothing outside
    /// the image or where a pixel needed is unusable.
    pub(crate) fn at(&self, y: f64, x: f64) -> Option<f32> {
        let inside = |v: f64, length: usize| v >= 0.0 && v <= (length - 1) as f64;
        if !inside(y, self.height) || !inside(x, self.width) {
            return None;
        }
        let (row, column) = (y as usize, x as usize);
        let (fy, fx) = ((y - row as f64) as f32, (x - column as f64) as f32);
        let mut sum = 0.0;
        for (dy, dx, weight) in [
            (0, 0, (1.0 - fy) * (1.0 - fx)),
            (0, 1, (1.0 - fy) * fx),
            (1, 0, fy * (1.0 - fx)),
            (1, 1, fy * fx),
        ] {
            if weight > 0.0 {
                let pixel = (row + dy) * self.width + column + dx;
                if !self.usable(pixel) {
                    return None;
                }
                sum += weight * self.values[pixel];
            }
        }
        Some(sum)
    }
}

/// Rows and columns between constant borders.
fn live(image: ArrayView2<'_, f32>) -> (Range<usize>, Range<usize>) {
    let (mut rows, mut columns) = (0..image.nrows(), 0..image.ncols());
    let constant = |rows: Range<usize>, columns: Range<usize>| {
        let mut known = rows
            .flat_map(|y| columns.clone().map(move |x| image[[y, x]]))
            .filter(|value| value.is_finite());
        let first = known.next();
        known.all(|value| Some(value) == first)
    };
    // A row may be constant only between the columns that are left.
    while !rows.is_empty() && !columns.is_empty() {
        if constant(rows.start..rows.start + 1, columns.clone()) {
            rows.start += 1;
        } else if constant(rows.end - 1..rows.end, columns.clone()) {
            rows.end -= 1;
        } else if constant(rows.clone(), columns.start..columns.start + 1) {
            columns.start += 1;
        } else if constant(rows.clone(), columns.end - 1..columns.end) {
            columns.end -= 1;
        } else {
            break;
        }
    }
    (rows, columns)
}

/// A blur under way: sums of values and of usable pixels, so that each blurred
/// value is the mean over usable pixels only.
#[derive(Clone)]
pub(crate) struct Blurred {
    height: usize,
    width: usize,
    values: Vec<f32>,
    mask: Option<Vec<f32>>,
}

impl Blurred {
    pub(crate) fn new(image: &Image) -> Self {
        Self {
            height: image.height,
            width: image.width,
            values: image.values.clone(),
            mask: image.mask.clone(),
        }
    }

    /// Blurs once more by a Gaussian of standard deviation `sigma` pixels.
    pub(crate) fn blur(&mut self, sigma: f64) {
        self.values = gaussian(&self.values, self.height, self.width, sigma);
        if let Some(mask) = &mut self.mask {
            *mask = gaussian(mask, self.height, self.width, sigma);
        }
    }

    /// Mean over usable pixels; 0 where none is near.
    pub(crate) fn mean(&self) -> Vec<f32> {
        match &self.mask {
            None => self.values.clone(),
            Some(mask) => self
                .values
                .iter()
                .zip(mask)
                .map(|(&value, &mask)| if mask > 1e-3 { value / mask } else { 0.0 })
                .collect(),
        }
    }
}

/// Gaussian blur of an image given row by row; beyond its edges lies its
/// mirror image.
pub(crate) fn gaussian(image: &[f32], height: usize, width: usize, sigma: f64) -> Vec<f32> {
    if image.is_empty() {
        return Vec::new();
    }
    let reach = (4.0 * sigma).ceil() as usize;
    let mut kernel: Vec<f64> = (0..=2 * reach)
        .map(|k| (-0.5 * ((k as f64 - reach as f64) / sigma).powi(2)).exp())
        .collect();
    let sum: f64 = kernel.iter().sum();
    for weight in &mut kernel {
        *weight /= sum;
    }
    let mut across = vec![0.0_f32; image.len()];
    across
        .par_chunks_mut(width)
        .zip(image.par_chunks(width))
        .for_each_init(
            || vec![0.0_f32; width + 2 * reach],
            |padded, (out, row)| {
                for (k, slot) in padded.iter_mut().enumerate() {
                    *slot = row[mirrored(k as i64 - reach as i64, width)];
                }
                for (k, &weight) in kernel.iter().enumerate() {
                    add(out, weight as f32, &padded[k..k + width]);
                }
            },
        );
    let mut both = vec![0.0_f32; image.len()];
    both.par_chunks_mut(width).enumerate().for_each(|(y, out)| {
        for (k, &weight) in kernel.iter().enumerate() {
            let from = mirrored((y + k) as i64 - reach as i64, height);
            add(out, weight as f32, &across[from * width..][..width]);
        }
    });
    both
}

/// The index that lies at `at` when a line is continued by mirror images.
fn mirrored(at: i64, length: usize) -> usize {
    let length = length as i64;
    let at = at.rem_euclid(2 * length);
    at.min(2 * length - 1 - at) as usize
}

vectorised! {
    /// `sums += weight · values`.
    fn add<'a>(sums: &'a mut [f32], weight: f32, values: &'a [f32]) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += weight * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn a_blur_is_a_gaussian_that_keeps_sums_and_constants() {
        let (height, width, sigma) = (41, 37, 2.0);
        let mut image = vec![0.0; height * width];
        image[20 * width + 18] = 1.0;
        let out = gaussian(&image, height, width, sigma);
        let at = |dy: i32, dx: i32| {
            let r2 = f64::from(dy * dy + dx * dx);
            let norm = 2.0 * std::f64::consts::PI * sigma * sigma;
            (-0.5 * r2 / (sigma * sigma)).exp() / norm
        };
        for (dy, dx) in [(0, 0), (1, 2), (-3, 1)] {
            let got = out[(20 + dy) as usize * width + (18 + dx) as usize];
            assert!((f64::from(got) - at(dy, dx)).abs() < 1e-4);
        }
        let flat = gaussian(&vec![2.5; height * width], height, width, 30.0);
        assert!(flat.iter().all(|v| (v - 2.5).abs() < 1e-4));
    }

    #[test]
    fn dead_borders_and_missing_values_do_not_count() {
        let mut image = Array2::from_shape_fn((20, 30), |(y, x)| ((y * 7 + x * 13) % 17) as f32);
        for ((y, x), value) in image.indexed_iter_mut() {
            if x >= 27 {
                *value = 5.0;
            } else if y < 2 {
                *value = 0.0;
            }
        }
        image[[10, 10]] = f32::NAN;
        let image = Image::new(image.view()).unwrap();
        let usable = (0..600).filter(|&pixel| image.usable(pixel)).count();
        assert_eq!(usable, 18 * 27 - 1);
        let mut blurred = Blurred::new(&image);
        blurred.blur(1.0);
        assert!(blurred.mean()[10 * 30 + 10].abs() <= 1.0);
        assert!(image.at(10.5, 9.5).is_none());
        for constant in [f32::NAN, 0.0, f32::INFINITY] {
            assert!(Image::new(Array2::from_elem((5, 5), constant).view()).is_none());
        }
        assert!(Image::new(Array2::zeros((0, 7)).view()).is_none());
    }
}
