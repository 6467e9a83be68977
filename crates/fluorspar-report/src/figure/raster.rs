//! Many values as one small PNG inside a figure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ndarray::{Array2, ArrayView2};

use super::colour::{MISSING, Scale};
use super::drawing;
use crate::Error;

/// Colours of a scale in a raster; fewer compress better, more are not seen.
const LEVELS: u8 = 96;

/// An image as a `data:` address, one byte per pixel: grey, or an index into
/// the palette of red, green, blue.
pub(super) fn data_address(
    size: (usize, usize),
    bytes: &[u8],
    palette: Option<Vec<u8>>,
    figure: &'static str,
) -> Result<String, Error> {
    let side = |n: usize| u32::try_from(n).map_err(|e| drawing(figure)(&e));
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side(size.1)?, side(size.0)?);
    match palette {
        Some(colours) => {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(colours);
        }
        None => encoder.set_color(png::ColorType::Grayscale),
    }
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(bytes))
        .map_err(|e| drawing(figure)(&e))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(&out)))
}

/// Values `(y, x)` in the colours of a scale, as a `data:` address.
pub(super) fn coloured(
    values: ArrayView2<'_, f32>,
    scale: &Scale,
    figure: &'static str,
) -> Result<String, Error> {
    let last = f64::from(LEVELS - 1);
    let level = |value: f32| {
        let share = scale.share(f64::from(value));
        share.map_or(LEVELS, |share| (share * last).round() as u8)
    };
    let indices: Vec<u8> = values.iter().map(|&value| level(value)).collect();
    let mut palette = Vec::new();
    for index in 0..LEVELS {
        let (r, g, b) = scale.at(f64::from(index) / last);
        palette.extend([r, g, b]);
    }
    palette.extend([MISSING.0, MISSING.1, MISSING.2]);
    data_address(values.dim(), &indices, Some(palette), figure)
}

/// Values `(row, column)` averaged down to at most `rows` by `columns`; the
/// rows are taken in `order`. A mean is over the finite values, NaN without any.
pub(super) fn averaged(
    values: ArrayView2<'_, f32>,
    order: &[usize],
    (rows, columns): (usize, usize),
) -> Array2<f32> {
    let (rows, columns) = (rows.min(order.len()), columns.min(values.ncols()));
    let mut sums = Array2::<f64>::zeros((rows, columns));
    let mut counts = Array2::<u32>::zeros((rows, columns));
    for (position, &row) in order.iter().enumerate() {
        let to_row = position * rows / order.len();
        for (column, &value) in values.row(row).iter().enumerate() {
            if value.is_finite() {
                let to = (to_row, column * columns / values.ncols());
                sums[to] += f64::from(value);
                counts[to] += 1;
            }
        }
    }
    // Without any value the quotient is 0 / 0, NaN.
    ndarray::Zip::from(&sums)
        .and(&counts)
        .map_collect(|sum, &count| (sum / f64::from(count)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn means_are_over_what_is_there() {
        let values = array![
            [1.0, 3.0],
            [5.0, f32::NAN],
            [f32::NAN, f32::NAN],
            [f32::NAN, f32::NAN]
        ];
        let mean = averaged(values.view(), &[0, 1, 2, 3], (2, 9));
        assert_eq!(mean.dim(), (2, 2));
        assert_eq!(mean.row(0).to_vec(), [3.0, 3.0]);
        assert!(mean.row(1).iter().all(|v| v.is_nan()));
        let turned = averaged(values.view(), &[3, 2, 1, 0], (4, 1));
        assert_eq!(turned[[3, 0]], 2.0);
    }
}
