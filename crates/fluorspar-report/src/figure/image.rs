//! Images with outlines.

use std::fmt::Write as _;

use ndarray::ArrayView2;

use super::colour::{PALETTE, Rgb};
use super::{Figure, quantile, raster};
use crate::Error;

/// An image `(y, x)` in grey, its 1st to 99.7th percentile stretched, with
/// outlines drawn over it in changing colours.
///
/// Each outline is a list of line segments `((y, x), (y, x))` on pixel
/// corners, as [`outline`] makes them.
///
/// # Errors
/// [`Error::Shape`] for an image without pixels, [`Error::Drawing`] if it
/// cannot be encoded.
pub fn image(pixels: ArrayView2<'_, f32>, outlines: &[Vec<Segment>]) -> Result<Figure, Error> {
    let coloured = outlines
        .iter()
        .enumerate()
        .map(|(index, segments)| (segments.as_slice(), PALETTE[index % 6]));
    overlay(pixels, coloured)
}

/// Like [`image`], each outline in a colour that says how probable something
/// is: red at 0, yellow at ½, green at 1.
///
/// # Errors
/// As [`image`].
pub fn image_of_probabilities(
    pixels: ArrayView2<'_, f32>,
    outlines: &[(Vec<Segment>, f32)],
) -> Result<Figure, Error> {
    let coloured = outlines.iter().map(|(segments, probability)| {
        let p = probability.clamp(0.0, 1.0);
        let share = |v: f32| (v.clamp(0.0, 1.0) * 230.0).round() as u8;
        let colour = (share(2.0 - 2.0 * p), share(2.0 * p), 60);
        (segments.as_slice(), colour)
    });
    overlay(pixels, coloured)
}

fn overlay<'a>(
    pixels: ArrayView2<'_, f32>,
    outlines: impl Iterator<Item = (&'a [Segment], Rgb)>,
) -> Result<Figure, Error> {
    const NAME: &str = "image";
    let (height, width) = pixels.dim();
    if height == 0 || width == 0 {
        return Err(Error::Shape {
            figure: NAME,
            reason: "the image has no pixels".into(),
        });
    }
    let low = quantile(pixels.iter().copied().collect(), 0.01);
    let high = quantile(pixels.iter().copied().collect(), 0.997);
    let range = if high > low { high - low } else { 1.0 };
    let grey: Vec<u8> = pixels
        .iter()
        .map(|&v| (((v - low) / range).clamp(0.0, 1.0) * 255.0).round() as u8)
        .collect();
    let address = raster::data_address((height, width), &grey, None, NAME)?;
    let scale = (360.0 / width as f64).clamp(0.5, 4.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{:.0}\" height=\"{:.0}\"><image width=\"{width}\" height=\"{height}\" \
         style=\"image-rendering:pixelated\" href=\"{address}\"/>",
        width as f64 * scale,
        height as f64 * scale,
    );
    for (segments, (r, g, b)) in outlines {
        let mut path = String::new();
        for &((y0, x0), (y1, x1)) in segments {
            // Writing to a String does not fail.
            let _ = write!(path, "M{x0} {y0}L{x1} {y1}");
        }
        let _ = write!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"rgb({r},{g},{b})\" \
             stroke-width=\"{:.2}\" stroke-linecap=\"round\"/>",
            (1.3 / scale).max(0.3)
        );
    }
    svg.push_str("</svg>");
    Ok(Figure::new(svg))
}

/// A straight piece of an outline, `((y, x), (y, x))` in pixel corners.
pub type Segment = ((usize, usize), (usize, usize));

/// The border between the pixels of `indices` (flat `y · width + x`,
/// ascending) and all others.
pub fn outline(indices: &[u32], width: usize) -> Vec<Segment> {
    let inside = |y: isize, x: isize| {
        y >= 0
            && x >= 0
            && (x as usize) < width
            && u32::try_from(y as usize * width + x as usize)
                .is_ok_and(|index| indices.binary_search(&index).is_ok())
    };
    let mut segments = Vec::new();
    for &index in indices {
        let (y, x) = (index as usize / width.max(1), index as usize % width.max(1));
        let (sy, sx) = (y as isize, x as isize);
        for (outside, segment) in [
            (!inside(sy - 1, sx), ((y, x), (y, x + 1))),
            (!inside(sy + 1, sx), ((y + 1, x), (y + 1, x + 1))),
            (!inside(sy, sx - 1), ((y, x), (y + 1, x))),
            (!inside(sy, sx + 1), ((y, x + 1), (y + 1, x + 1))),
        ] {
            if outside {
                segments.push(segment);
            }
        }
    }
    segments
}
