use fluorspar_movie::Footprints;
use ndarray::{ArrayView3, Axis};

use crate::Error;

/// More planes than any stack has: a number above is no plane.
const MOST_PLANES: u32 = 100_000;

/// What is known of one session: its ROIs, and what its field looked like.
///
/// Sessions may differ in the size of their images and pixels. The mean image
/// helps the alignment and is all there is to align a session without ROIs;
/// footprints alone will do.
#[derive(Clone, Copy, Debug)]
pub struct SessionRois<'a> {
    pub(crate) footprints: &'a Footprints,
    pub(crate) mean_image: Option<ArrayView3<'a, f32>>,
    pub(crate) pixel_size: f64,
}

impl<'a> SessionRois<'a> {
    /// A session of which only the ROIs are known.
    pub fn new(footprints: &'a Footprints) -> Self {
        Self {
            footprints,
            mean_image: None,
            pixel_size: 1.0,
        }
    }

    /// Adds the mean of the motion-corrected frames, `(plane, y, x)`, of the
    /// footprints' height and width. Pixels that were never seen are NaN.
    #[must_use]
    pub fn with_mean_image(mut self, image: ArrayView3<'a, f32>) -> Self {
        self.mean_image = Some(image);
        self
    }

    /// Sets the side of a pixel in µm, or in any unit that is the same for all
    /// sessions; 1 if not said.
    #[must_use]
    pub fn with_pixel_size(mut self, size: f64) -> Self {
        self.pixel_size = size;
        self
    }

    /// Number of planes: those of the image, else one more than the highest of a ROI.
    pub(crate) fn planes(&self) -> usize {
        self.mean_image.map_or_else(
            || {
                let highest = self.footprints.planes().iter().max();
                highest.map_or(1, |&plane| plane as usize + 1)
            },
            |image| image.len_of(Axis(0)),
        )
    }

    /// Height and width, pixels.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.footprints.height(), self.footprints.width())
    }

    pub(crate) fn check(&self, session: usize) -> Result<(), Error> {
        let bad = |reason: String| Err(Error::Session { session, reason });
        let (height, width) = self.size();
        if height == 0 || width == 0 {
            return bad(format!("its field is of {height} x {width} pixels"));
        }
        if !(self.pixel_size.is_finite() && self.pixel_size > 0.0) {
            return bad(format!(
                "its pixels are said to have a side of {}; it must be positive",
                self.pixel_size
            ));
        }
        if let Some(&plane) = self.footprints.planes().iter().max()
            && plane >= MOST_PLANES
        {
            return bad(format!(
                "a ROI lies in plane {plane}; stacks have at most {MOST_PLANES}"
            ));
        }
        let Some(image) = self.mean_image else {
            return Ok(());
        };
        let (planes, rows, columns) = image.dim();
        if (rows, columns) != (height, width) || planes == 0 {
            return bad(format!(
                "its mean image has {planes} planes of {rows} x {columns} pixels, its \
                 footprints lie on {height} x {width}"
            ));
        }
        if let Some(&plane) = self.footprints.planes().iter().max()
            && plane as usize >= planes
        {
            return bad(format!(
                "a ROI lies in plane {plane}, but the mean image has {planes}"
            ));
        }
        if image.iter().any(|value| value.is_infinite()) {
            return bad("its mean image has infinite pixels".into());
        }
        Ok(())
    }
}
