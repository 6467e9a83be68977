use fluorspar_movie::{Footprints, MovieShape};
use ndarray::ArrayView3;

use crate::Error;

/// Where a session's movie shows tissue, axes `(plane, y, x)`; everywhere by
/// default.
///
/// Registration moves the field's edges in; footprints taken over from another
/// session may lie beyond them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Valid<'a> {
    mask: Option<ArrayView3<'a, bool>>,
}

impl<'a> Valid<'a> {
    /// All pixels of all planes.
    pub fn everywhere() -> Self {
        Self { mask: None }
    }

    /// The pixels that are `true` in `mask`, axes `(plane, y, x)`.
    pub fn mask(mask: ArrayView3<'a, bool>) -> Self {
        Self { mask: Some(mask) }
    }

    pub(crate) fn at(&self, plane: u32, index: u32) -> bool {
        self.mask.is_none_or(|mask| {
            let width = mask.dim().2;
            mask[[
                plane as usize,
                index as usize / width,
                index as usize % width,
            ]]
        })
    }

    /// Whether every footprint can be looked up, and the movie's frames match.
    pub(crate) fn check(
        &self,
        footprints: &Footprints,
        movie: Option<MovieShape>,
    ) -> Result<(), Error> {
        let Some((planes, height, width)) = self.mask.map(|mask| mask.dim()) else {
            return Ok(());
        };
        let least = footprints.planes().iter().max().map_or(0, |&p| p + 1) as usize;
        let wanted = movie.map_or(
            (least.max(planes), footprints.height(), footprints.width()),
            |shape| (shape.planes, shape.height, shape.width),
        );
        if wanted != (planes, height, width) {
            return Err(Error::Shape {
                what: "the mask of valid pixels",
                found: format!("{planes} × {height} × {width}"),
                against: "the field",
                expected: format!("{} × {} × {}", wanted.0, wanted.1, wanted.2),
            });
        }
        Ok(())
    }
}
