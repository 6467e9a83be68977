//! The frame that all sessions of a browser are shown in.

use fluorspar_report::{Outline, polygons};
use fluorspar_track::Transform;
use ndarray::{Array2, ArrayView2};

/// How far a frame reaches beyond the reference session's field, as a share of
/// it: what other sessions saw there is shown, an alignment gone astray does
/// not make a frame of nothing.
const BEYOND: f64 = 0.5;
/// Longest straight run of an outline, pixels: what is longer is divided, for
/// a bent alignment bends it.
const RUN: f32 = 6.0;
/// Samples along one side of a pixel, at most, where images are made smaller.
const MOST_SAMPLES: usize = 8;

/// A part of the plane around the reference session's field, made smaller if
/// need be. Its places are corners `(y, x)`: pixel `(0, 0)` spans 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    /// Where its upper left corner lies in the reference session, in corners.
    pub(super) top: f64,
    pub(super) left: f64,
    /// Its pixels per pixel of the reference session, at most 1.
    pub(super) scale: f64,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Frame {
    /// A frame of at most `longest` pixels along a side that holds the
    /// `reference` session's field (height, width) and those of others.
    pub(super) fn around<'a>(
        reference: (usize, usize),
        others: impl Iterator<Item = (&'a Transform, (usize, usize))>,
        longest: usize,
    ) -> Self {
        let size = [reference.0 as f64, reference.1 as f64];
        let (mut low, mut high) = ([0.0_f64; 2], size);
        for (transform, (rows, columns)) in others {
            for along in [0.0, 0.5, 1.0] {
                for across in [0.0, 0.5, 1.0] {
                    let corner = (along * rows as f64, across * columns as f64);
                    let (y, x) = to_reference(transform, None, corner);
                    for (axis, v) in [y, x].into_iter().enumerate() {
                        if v.is_finite() {
                            low[axis] = low[axis].min(v);
                            high[axis] = high[axis].max(v);
                        }
                    }
                }
            }
        }
        // Whole pixels, so that at full size the reference session's are its own.
        let start = [0, 1].map(|axis| low[axis].max(-BEYOND * size[axis]).floor());
        let end = [0, 1].map(|axis: usize| high[axis].min((1.0 + BEYOND) * size[axis]).ceil());
        let length = [0, 1].map(|axis: usize| (end[axis] - start[axis]).max(1.0));
        let scale = (longest as f64 / length[0].max(length[1])).min(1.0);
        let pixels = |length: f64| ((length * scale).ceil() as usize).max(1);
        Self {
            top: start[0],
            left: start[1],
            scale,
            height: pixels(length[0]),
            width: pixels(length[1]),
        }
    }

    /// An image of a session, as plane `level` of the reference session shows
    /// it: NaN where the session saw nothing.
    pub(super) fn resampled(
        &self,
        image: ArrayView2<'_, f32>,
        transform: &Transform,
        level: i64,
    ) -> Array2<f32> {
        let samples = ((1.0 / self.scale).ceil() as usize).clamp(1, MOST_SAMPLES);
        let step = 1.0 / samples as f64;
        Array2::from_shape_fn((self.height, self.width), |(row, column)| {
            let (mut sum, mut count) = (0.0, 0);
            for sample in 0..samples * samples {
                let (along, across) = (sample / samples, sample % samples);
                let corner = (
                    row as f64 + (along as f64 + 0.5) * step,
                    column as f64 + (across as f64 + 0.5) * step,
                );
                // Transforms go from pixel centre to pixel centre.
                let place = (
                    self.top + corner.0 / self.scale - 0.5,
                    self.left + corner.1 / self.scale - 0.5,
                );
                let value = bilinear(image, transform.to_session_in(level, place));
                if value.is_finite() {
                    sum += value;
                    count += 1;
                }
            }
            if count == 0 {
                f32::NAN
            } else {
                sum / count as f32
            }
        })
    }

    /// Where a corner `(y, x)` in a plane of a session lies.
    pub(super) fn place(
        &self,
        transform: &Transform,
        plane: i64,
        corner: (f64, f64),
    ) -> (f64, f64) {
        let (y, x) = to_reference(transform, Some(plane), corner);
        (self.scale * (y - self.top), self.scale * (x - self.left))
    }

    /// The outline of the pixels `indices` in a plane of a session whose
    /// images are `columns` wide.
    pub(super) fn outline(
        &self,
        transform: &Transform,
        plane: i64,
        indices: &[u32],
        columns: usize,
    ) -> Outline {
        let moved = |(y, x): (f32, f32)| {
            let (y, x) = self.place(transform, plane, (f64::from(y), f64::from(x)));
            (y as f32, x as f32)
        };
        let all = polygons(indices, columns);
        all.iter()
            .map(|polygon| divided(polygon).into_iter().map(moved).collect())
            .collect()
    }
}

/// Where a corner of a session lies in the reference session.
fn to_reference(transform: &Transform, plane: Option<i64>, corner: (f64, f64)) -> (f64, f64) {
    let centre = (corner.0 - 0.5, corner.1 - 0.5);
    let (y, x) = match plane {
        Some(plane) => transform.to_reference_from(plane, centre),
        None => transform.to_reference(centre),
    };
    (y + 0.5, x + 0.5)
}

/// A closed polygon with corners added along its straight runs.
fn divided(polygon: &[(f32, f32)]) -> Vec<(f32, f32)> {
    let next = polygon.iter().cycle().skip(1);
    let mut out = Vec::with_capacity(polygon.len());
    for (&(y, x), &(to_y, to_x)) in polygon.iter().zip(next) {
        let parts = ((to_y - y).hypot(to_x - x) / RUN).ceil().max(1.0);
        for part in 0..parts as usize {
            let share = part as f32 / parts;
            out.push((y + share * (to_y - y), x + share * (to_x - x)));
        }
    }
    out
}

/// The value at a place, pixel centres whole numbers; NaN beyond the pixels.
fn bilinear(image: ArrayView2<'_, f32>, (y, x): (f64, f64)) -> f32 {
    let (rows, columns) = image.dim();
    let along = |at: f64, length: usize| {
        if !(at >= -0.5 && at < length as f64 - 0.5) {
            return None;
        }
        let at = at.clamp(0.0, length as f64 - 1.0);
        let low = at as usize;
        Some((low, (low + 1).min(length - 1), (at - low as f64) as f32))
    };
    let (Some((y0, y1, fy)), Some((x0, x1, fx))) = (along(y, rows), along(x, columns)) else {
        return f32::NAN;
    };
    // A neighbour that does not count may be NaN.
    let mix = |a: f32, b: f32, share: f32| {
        if share == 0.0 { a } else { a + share * (b - a) }
    };
    mix(
        mix(image[[y0, x0]], image[[y0, x1]], fx),
        mix(image[[y1, x0]], image[[y1, x1]], fx),
        fy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    /// Turned, stretched, shifted and bent; its second plane shifts more.
    fn bent() -> Transform {
        let (sin, cos) = 12_f64.to_radians().sin_cos();
        Transform {
            matrix: [[1.2 * cos, -1.2 * sin], [1.2 * sin, 1.2 * cos]],
            centre: (30.0, 30.0),
            offset: (33.0, 26.0),
            field: Array3::from_shape_fn((2, 3, 3), |(axis, r, c)| {
                0.7 * (axis as f64 - 0.5) + 0.6 * r as f64 - 0.4 * c as f64
            }),
            origin: (0.0, 0.0),
            spacing: 30.0,
            plane_offset: 1,
            plane_shift: vec![(0.0, 0.0), (1.5, -2.0)],
        }
    }

    #[test]
    fn an_outline_goes_there_and_back() {
        let transform = bent();
        let frame = Frame {
            top: -4.0,
            left: 3.0,
            scale: 0.5,
            height: 40,
            width: 40,
        };
        // 20 × 2 pixels of a session 64 wide, in its plane 2: plane 1 of the
        // reference session.
        let pixels: Vec<u32> = (0..20)
            .flat_map(|x| [30 * 64 + 20 + x, 31 * 64 + 20 + x])
            .collect();
        let outline = frame.outline(&transform, 2, &pixels, 64);
        assert_eq!(outline.len(), 1);
        // Both long sides are divided by four, the short ones are not.
        assert_eq!(outline[0].len(), 10);
        for &(y, x) in &outline[0] {
            let place = (
                f64::from(y) / 0.5 - 4.0 - 0.5,
                f64::from(x) / 0.5 + 3.0 - 0.5,
            );
            let (y, x) = transform.to_session_in(1, place);
            let (y, x) = (y + 0.5, x + 0.5);
            let on_side = (y - 30.0).abs() < 0.01 || (y - 32.0).abs() < 0.01;
            assert!(on_side && (19.99..40.01).contains(&x), "{y} {x}");
        }
    }

    #[test]
    fn an_image_lies_where_its_outlines_do() {
        // A bright block; its outline in the frame holds what is bright there.
        let mut image = Array2::zeros((64, 64));
        let pixels: Vec<u32> = (20..30)
            .flat_map(|y| (24..36).map(move |x| y * 64 + x))
            .collect();
        for &pixel in &pixels {
            image[[pixel as usize / 64, pixel as usize % 64]] = 1.0;
        }
        let transform = bent();
        for longest in [200, 30] {
            let fields = [(&transform, (64, 64))];
            let frame = Frame::around((60, 60), fields.into_iter(), longest);
            assert!(frame.height.max(frame.width) <= longest);
            let moved = frame.resampled(image.view(), &transform, 1);
            let sums = moved.indexed_iter().filter(|(_, v)| v.is_finite());
            let (sum, y, x) = sums.fold((0.0, 0.0, 0.0), |(sum, y, x), ((r, c), &v)| {
                (sum + v, y + v * (r as f32 + 0.5), x + v * (c as f32 + 0.5))
            });
            let (y, x) = (f64::from(y / sum), f64::from(x / sum));
            let wanted = frame.place(&transform, 2, (25.0, 30.0));
            assert!(
                (y - wanted.0).hypot(x - wanted.1) < 0.1,
                "{y} {x} {wanted:?}"
            );
        }
    }

    #[test]
    fn a_frame_keeps_the_reference_as_it_is() {
        let still = Transform::identity();
        let aside = Transform {
            offset: (-2.0, 3.5),
            ..Transform::identity()
        };
        let far = Transform {
            offset: (1e6, 0.0),
            ..Transform::identity()
        };
        let nowhere = Transform {
            offset: (f64::NAN, 0.0),
            ..Transform::identity()
        };
        let fields = [&still, &aside, &far, &nowhere].map(|t| (t, (3, 4)));
        let frame = Frame::around((3, 4), fields.into_iter(), 100);
        assert_eq!((frame.top, frame.left), (-2.0, -2.0));
        assert_eq!((frame.height, frame.width), (7, 6));
        let image = array![[1.0, 2.0, f32::NAN, 4.0], [5.0; 4], [6.0; 4]];
        let moved = frame.resampled(image.view(), &still, 0);
        assert!(moved[[1, 2]].is_nan() && moved[[2, 1]].is_nan() && moved[[2, 4]].is_nan());
        assert_eq!(
            (moved[[2, 2]], moved[[2, 3]], moved[[3, 5]]),
            (1.0, 2.0, 5.0)
        );
        let moved = frame.resampled(image.view(), &far, 0);
        assert!(moved.iter().all(|v| v.is_nan()));
    }
}
