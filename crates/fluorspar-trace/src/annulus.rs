use fluorspar_movie::Footprints;
use rayon::prelude::*;

use crate::Error;

/// How the ring around each ROI is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct NeuropilParameters {
    /// Distance kept from every ROI's pixels, its own included (pixels).
    pub gap_px: usize,
    /// The ring grows until it holds this many pixels.
    pub min_pixels: usize,
    /// The ring never reaches further than this from the ROI (pixels).
    pub max_radius_px: usize,
}

impl Default for NeuropilParameters {
    fn default() -> Self {
        Self {
            gap_px: 2,
            min_pixels: 350,
            max_radius_px: 50,
        }
    }
}

impl NeuropilParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the field that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        if self.min_pixels == 0 {
            return Err(Error::Parameter {
                name: "min_pixels",
                value: "0".into(),
                rule: "at least 1",
            });
        }
        if self.max_radius_px <= self.gap_px || self.max_radius_px > 10_000 {
            return Err(Error::Parameter {
                name: "max_radius_px",
                value: self.max_radius_px.to_string(),
                rule: "larger than `gap_px` and at most 10000",
            });
        }
        Ok(())
    }
}

/// The pixels that stand for the neuropil around one ROI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annulus {
    /// Flat pixel indices `y · width + x` in the ROI's plane, ascending.
    pub indices: Vec<u32>,
}

/// Draws the ring around every ROI.
///
/// Starting from the ROI's pixels the ring grows by one pixel at a time
/// (four and eight neighbours in turn, so that it stays nearly round) and
/// takes all pixels farther than the gap from every ROI of the same plane,
/// until it holds enough of them or reaches its largest radius. A ROI so
/// crowded that nothing is left takes all pixels within the largest radius
/// that belong to no ROI, then all that are not its own. Only a ROI that
/// fills the image is left with an empty ring.
///
/// # Errors
/// [`Error::Parameter`] for parameters out of range.
pub fn annuli(
    footprints: &Footprints,
    parameters: &NeuropilParameters,
) -> Result<Vec<Annulus>, Error> {
    parameters.validate()?;
    let (height, width) = (footprints.height(), footprints.width());
    let planes = footprints.planes().iter().map(|&p| p as usize + 1).max();
    // Per plane: which pixels are cells, and which are too close to one.
    let mut cells = vec![vec![false; height * width]; planes.unwrap_or(0)];
    for footprint in footprints.iter() {
        for &index in footprint.indices {
            cells[footprint.plane as usize][index as usize] = true;
        }
    }
    let near: Vec<Vec<bool>> = cells
        .par_iter()
        .map(|mask| dilated(mask, width, parameters.gap_px))
        .collect();
    Ok((0..footprints.len())
        .into_par_iter()
        .map(|roi| {
            let footprint = footprints.get(roi);
            let plane = footprint.plane as usize;
            let mut window = Window::around(footprint.indices, height, width, parameters);
            let mut indices = window.grow(footprint.indices, parameters, |i| !near[plane][i]);
            if indices.is_empty() {
                indices = window.grow(footprint.indices, parameters, |i| !cells[plane][i]);
            }
            if indices.is_empty() {
                indices = window.grow(footprint.indices, parameters, |_| true);
            }
            indices.sort_unstable();
            Annulus { indices }
        })
        .collect())
}

/// All pixels within `gap` of a set pixel.
fn dilated(mask: &[bool], width: usize, gap: usize) -> Vec<bool> {
    let height = mask.len() / width.max(1);
    let mut out = mask.to_vec();
    let reach = gap as i64;
    for (index, _) in mask.iter().enumerate().filter(|(_, set)| **set) {
        let (y, x) = ((index / width) as i64, (index % width) as i64);
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let (v, u) = (y + dy, x + dx);
                if dy * dy + dx * dx <= reach * reach
                    && (0..height as i64).contains(&v)
                    && (0..width as i64).contains(&u)
                {
                    out[v as usize * width + u as usize] = true;
                }
            }
        }
    }
    out
}

/// The part of the image that one ring can reach.
struct Window {
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
    width: usize,
    seen: Vec<bool>,
}

impl Window {
    fn around(
        indices: &[u32],
        height: usize,
        width: usize,
        parameters: &NeuropilParameters,
    ) -> Self {
        let reach = parameters.max_radius_px;
        let (mut top, mut bottom, mut left, mut right) = (height, 0, width, 0);
        for &index in indices {
            let (y, x) = (index as usize / width, index as usize % width);
            (top, bottom) = (top.min(y), bottom.max(y));
            (left, right) = (left.min(x), right.max(x));
        }
        let (top, left) = (top.saturating_sub(reach), left.saturating_sub(reach));
        let (rows, columns) = (
            (bottom + reach + 1).min(height) - top,
            (right + reach + 1).min(width) - left,
        );
        Self {
            top,
            left,
            rows,
            columns,
            width,
            seen: vec![false; rows * columns],
        }
    }

    /// Takes whole steps of growth, so that the ring has no preferred side.
    fn grow(
        &mut self,
        from: &[u32],
        parameters: &NeuropilParameters,
        allowed: impl Fn(usize) -> bool,
    ) -> Vec<u32> {
        self.seen.fill(false);
        let mut front: Vec<(usize, usize)> = from
            .iter()
            .map(|&i| {
                (
                    i as usize / self.width - self.top,
                    i as usize % self.width - self.left,
                )
            })
            .collect();
        for &(y, x) in &front {
            self.seen[y * self.columns + x] = true;
        }
        let mut taken = Vec::new();
        for step in 0..parameters.max_radius_px {
            let mut next = Vec::new();
            for &(y, x) in &front {
                for (dy, dx) in [
                    (0, 1),
                    (1, 0),
                    (1, 2),
                    (2, 1),
                    (0, 0),
                    (0, 2),
                    (2, 0),
                    (2, 2),
                ]
                .into_iter()
                .take(if step % 2 == 0 { 4 } else { 8 })
                {
                    // One is added to every offset to stay unsigned.
                    let (v, u) = (y + dy, x + dx);
                    if v == 0 || u == 0 || v > self.rows || u > self.columns {
                        continue;
                    }
                    let (v, u) = (v - 1, u - 1);
                    let seen = &mut self.seen[v * self.columns + u];
                    if !*seen {
                        *seen = true;
                        next.push((v, u));
                        let index = (v + self.top) * self.width + u + self.left;
                        if allowed(index) {
                            taken.push(index as u32);
                        }
                    }
                }
            }
            if taken.len() >= parameters.min_pixels || next.is_empty() {
                break;
            }
            front = next;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(all: &mut Footprints, y: u32, x: u32, side: u32) {
        let width = all.width() as u32;
        let pixels: Vec<u32> = (y..y + side)
            .flat_map(|v| (x..x + side).map(move |u| v * width + u))
            .collect();
        all.push(&pixels, &vec![1.0; pixels.len()], 0).unwrap();
    }

    #[test]
    fn a_ring_keeps_its_distance_from_all_rois() {
        let mut all = Footprints::new(64, 64);
        square(&mut all, 20, 20, 9);
        square(&mut all, 20, 31, 9);
        square(&mut all, 2, 2, 5);
        let parameters = NeuropilParameters::default();
        for ring in annuli(&all, &parameters).unwrap() {
            assert!(ring.indices.len() >= 350);
            assert!(ring.indices.len() < 700, "{}", ring.indices.len());
            for &index in &ring.indices {
                let (y, x) = (i64::from(index) / 64, i64::from(index) % 64);
                for roi in all.iter() {
                    for &other in roi.indices {
                        let (v, u) = (i64::from(other) / 64, i64::from(other) % 64);
                        assert!((y - v).pow(2) + (x - u).pow(2) > 4);
                    }
                }
            }
        }
    }

    #[test]
    fn a_ring_of_a_lone_roi_is_round() {
        let mut all = Footprints::new(101, 101);
        square(&mut all, 50, 50, 1);
        let ring = &annuli(&all, &NeuropilParameters::default()).unwrap()[0];
        let radius =
            |i: u32| ((f64::from(i) / 101.0).floor() - 50.0).hypot(f64::from(i % 101) - 50.0);
        let far = ring.indices.iter().map(|&i| radius(i)).fold(0.0, f64::max);
        let area = ring.indices.len() as f64 + 13.0;
        // A disc of that area would reach as far to within 15 %.
        assert!(far < 1.15 * (area / std::f64::consts::PI).sqrt());
    }

    #[test]
    fn crowded_rois_fall_back() {
        let parameters = NeuropilParameters::default();
        // Few pixels are farther than the gap from the ROI, then none.
        let mut all = Footprints::new(8, 8);
        square(&mut all, 0, 0, 6);
        let ring = &annuli(&all, &parameters).unwrap()[0];
        assert_eq!(ring.indices, [55, 62, 63]);
        let mut all = Footprints::new(8, 8);
        square(&mut all, 0, 0, 7);
        assert_eq!(annuli(&all, &parameters).unwrap()[0].indices.len(), 15);
        // Nothing is free: the neighbour's pixels.
        let mut all = Footprints::new(4, 4);
        all.push(&[0, 1, 2, 3, 4, 5, 6, 7], &[1.0; 8], 0).unwrap();
        all.push(&[8, 9, 10, 11, 12, 13, 14, 15], &[1.0; 8], 0)
            .unwrap();
        let rings = annuli(&all, &parameters).unwrap();
        assert_eq!(rings[0].indices, [8, 9, 10, 11, 12, 13, 14, 15]);
        // The whole image.
        let mut all = Footprints::new(4, 4);
        square(&mut all, 0, 0, 4);
        assert!(annuli(&all, &parameters).unwrap()[0].indices.is_empty());
    }

    #[test]
    fn parameters_are_checked() {
        let all = Footprints::new(4, 4);
        let none = NeuropilParameters {
            min_pixels: 0,
            ..NeuropilParameters::default()
        };
        assert!(annuli(&all, &none).is_err());
        let narrow = NeuropilParameters {
            max_radius_px: 2,
            ..NeuropilParameters::default()
        };
        assert!(annuli(&all, &narrow).is_err());
        assert!(
            annuli(&all, &NeuropilParameters::default())
                .unwrap()
                .is_empty()
        );
    }
}
