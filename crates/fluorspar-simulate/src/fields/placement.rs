use rand::RngExt;

use super::FieldsPlan;
use crate::random::{Domain, normal, stream};

/// How a session's field lies on the tissue, whose coordinates are those of
/// the first session's field.
///
/// With the field's centre `c`, a place `p` of the tissue is seen at
/// `c + scale · R (p − c) + shift + warp(p)`, where `R` turns the x axis
/// towards the y axis by `rotation_deg`.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Shift `(dy, dx)` (pixels).
    pub shift: (f64, f64),
    /// Turn about the field's centre (degrees).
    pub rotation_deg: f64,
    /// Growth about the field's centre, 1 for none.
    pub scale: f64,
    /// Plane `p` of this session is plane `p + axial` of the first one.
    pub axial: i32,
    /// Centre of the field `(y, x)`.
    centre: (f64, f64),
    /// A sum of waves is the smooth deformation.
    waves: Vec<Wave>,
}

/// One wave of the deformation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wave {
    /// Radians per pixel along y and x.
    k: (f64, f64),
    /// Sine and cosine part of the displacement along y (pixels).
    y: (f64, f64),
    /// The same along x.
    x: (f64, f64),
}

/// Waves of a deformation: enough to look like a Gaussian field.
const WAVES: usize = 24;

impl Placement {
    /// The placement of `session`; that of the first is the identity.
    pub(crate) fn draw(plan: &FieldsPlan, session: usize) -> Self {
        let centre = (
            (plan.height as f64 - 1.0) / 2.0,
            (plan.width as f64 - 1.0) / 2.0,
        );
        let mut placement = Self {
            shift: (0.0, 0.0),
            rotation_deg: 0.0,
            scale: 1.0,
            axial: 0,
            centre,
            waves: Vec::new(),
        };
        if session == 0 {
            return placement;
        }
        let mut rng = stream(plan.seed, Domain::Placements, session, 0);
        let mut even = |limit: f64| limit * (2.0 * rng.random::<f64>() - 1.0);
        placement.shift = (even(plan.shift_px), even(plan.shift_px));
        placement.rotation_deg = even(plan.rotation_deg);
        placement.scale = 1.0 + even(plan.scale);
        placement.axial = rng.random_range(-plan.axial_planes..=plan.axial_planes);
        if plan.warp_px > 0.0 {
            // Wave numbers of a normal distribution make a correlation that
            // falls off as a Gaussian.
            let mut number = || normal(&mut rng) / plan.warp_length_px;
            let numbers: Vec<_> = (0..WAVES).map(|_| (number(), number())).collect();
            let mut pair = || (normal(&mut rng), normal(&mut rng));
            placement.waves = numbers
                .into_iter()
                .map(|k| Wave {
                    k,
                    y: pair(),
                    x: pair(),
                })
                .collect();
            placement.normalise(plan);
        }
        placement
    }

    /// Gives the deformation the root mean square over the field that is
    /// planned. Where the field happens to lie in a calm of the waves, it
    /// stays below, lest its slopes fold the tissue.
    fn normalise(&mut self, plan: &FieldsPlan) {
        const STEPS: usize = 16;
        let at = |step: usize, length: usize| (step as f64 + 0.5) / STEPS as f64 * length as f64;
        let mut total = 0.0;
        for y in 0..STEPS {
            for x in 0..STEPS {
                let (dy, dx) = self.warp((at(y, plan.height), at(x, plan.width)));
                total += dy * dy + dx * dx;
            }
        }
        let rms = (total / (2 * STEPS * STEPS) as f64).sqrt();
        // What the waves have on average.
        let usual = (WAVES as f64).sqrt();
        let factor = plan.warp_px / rms.max(0.5 * usual);
        for wave in &mut self.waves {
            for part in [&mut wave.y, &mut wave.x] {
                *part = (part.0 * factor, part.1 * factor);
            }
        }
    }

    /// The smooth deformation `(dy, dx)` at a place of the tissue (pixels).
    pub fn warp(&self, (y, x): (f64, f64)) -> (f64, f64) {
        let mut all = (0.0, 0.0);
        for wave in &self.waves {
            let (sin, cos) = (wave.k.0 * y + wave.k.1 * x).sin_cos();
            all.0 += wave.y.0 * sin + wave.y.1 * cos;
            all.1 += wave.x.0 * sin + wave.x.1 * cos;
        }
        all
    }

    /// Where a place `(y, x)` of the tissue is seen in this session (pixels).
    pub fn to_session(&self, (y, x): (f64, f64)) -> (f64, f64) {
        let (sin, cos) = self.rotation_deg.to_radians().sin_cos();
        let (v, u) = (y - self.centre.0, x - self.centre.1);
        let warp = self.warp((y, x));
        (
            self.centre.0 + self.scale * (cos * v + sin * u) + self.shift.0 + warp.0,
            self.centre.1 + self.scale * (cos * u - sin * v) + self.shift.1 + warp.1,
        )
    }

    /// Which place of the tissue is seen at `(y, x)` of this session: the
    /// inverse of [`Placement::to_session`], to a ten-thousandth of a pixel.
    pub fn to_tissue(&self, (y, x): (f64, f64)) -> (f64, f64) {
        let (sin, cos) = self.rotation_deg.to_radians().sin_cos();
        let back = |warp: (f64, f64)| {
            let v = (y - self.centre.0 - self.shift.0 - warp.0) / self.scale;
            let u = (x - self.centre.1 - self.shift.1 - warp.1) / self.scale;
            (
                self.centre.0 + cos * v - sin * u,
                self.centre.1 + cos * u + sin * v,
            )
        };
        let mut place = back((0.0, 0.0));
        if self.waves.is_empty() {
            return place;
        }
        // The deformation is gentle, so that each round comes nearer.
        for _ in 0..60 {
            let next = back(self.warp(place));
            let moved = (next.0 - place.0).hypot(next.1 - place.1);
            place = next;
            if moved < 1e-5 {
                break;
            }
        }
        place
    }
}
