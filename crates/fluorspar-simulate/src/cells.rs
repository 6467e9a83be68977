use std::f64::consts::{PI, TAU};

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use crate::random::{Domain, normal, stream};
use crate::truth::CellState;
use crate::{Error, Plan};

/// A cell's place in the first session's reference frame, its shape and brightness.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) y: f64,
    pub(crate) x: f64,
    /// Semi-axes in pixels.
    radii: (f64, f64),
    /// Direction of the first semi-axis.
    angle: f64,
    /// Second to fifth harmonic of the outline: amplitude, relative to the
    /// radius, and phase.
    lobes: [(f64, f64); 4],
    /// Relative brightness at rest.
    pub(crate) brightness: f64,
}

/// How far beyond its outline a cell's weight is followed (pixels).
const HALO: f64 = 2.0;
/// Softness of the outline (pixels).
const SOFTNESS: f64 = 0.5;
/// Weight at which a cell's footprint ends.
pub(crate) const OUTLINE: f32 = 0.5;

/// No lobe cuts deeper than to this share of the radius.
const NARROWEST: f64 = 0.35;

impl Cell {
    /// A cell at `(y, x)` of about `diameter` pixels, nearly round.
    pub(crate) fn draw<R: Rng>(rng: &mut R, (y, x): (f64, f64), diameter: f64) -> Self {
        let radius = diameter / 2.0 * rng.random_range(0.92..1.08);
        let stretch = rng.random_range(1.0..1.12);
        let mut lobes = [(0.0, 0.0); 4];
        let angle = rng.random_range(0.0..PI);
        lobes[1] = (rng.random_range(0.0..0.06), rng.random_range(0.0..TAU));
        Self {
            y,
            x,
            radii: (radius * stretch, radius / stretch),
            angle,
            lobes,
            brightness: (0.2 * normal(rng)).exp(),
        }
    }

    /// Mean radius (pixels).
    pub(crate) fn radius(&self) -> f64 {
        (self.radii.0 * self.radii.1).sqrt()
    }

    /// The cell in a field turned by `angle` (radians) and grown by `scale`.
    #[must_use]
    pub(crate) fn turned(&self, angle: f64, scale: f64) -> Self {
        Self {
            angle: self.angle + angle,
            radii: (self.radii.0 * scale, self.radii.1 * scale),
            ..self.clone()
        }
    }

    /// The cell as segmentation outlines it: of another size, with other lobes.
    /// At `noise` 1 the radius varies by a quarter, and so does the outline
    /// about it.
    #[must_use]
    pub(crate) fn reshaped<R: Rng>(&self, rng: &mut R, noise: f64) -> Self {
        let grown = (0.25 * noise * normal(rng)).exp();
        let mut lobes = self.lobes;
        for ((amplitude, phase), spread) in lobes.iter_mut().zip([0.18, 0.14, 0.1, 0.08]) {
            let (sin, cos) = phase.sin_cos();
            let real = *amplitude * cos + noise * spread * normal(rng);
            let imaginary = *amplitude * sin + noise * spread * normal(rng);
            (*amplitude, *phase) = (real.hypot(imaginary), imaginary.atan2(real));
        }
        Self {
            radii: (self.radii.0 * grown, self.radii.1 * grown),
            lobes,
            ..self.clone()
        }
    }

    /// Weight at `(y, x)` from the centre: 1 inside, 0.5 on the outline,
    /// falling off over half a pixel, with a dimmer nucleus. The cell's angle
    /// is given as sine and cosine, `lobes` is how far lobes reach at most.
    fn weight(&self, (sin, cos): (f64, f64), y: f64, x: f64, lobes: f64) -> f32 {
        let (u, v) = (cos * x + sin * y, cos * y - sin * x);
        let (a, b) = self.radii;
        let rho = ((u / a).powi(2) + (v / b).powi(2)).sqrt();
        if (rho - 1.0 - lobes) * self.radius() > HALO {
            return 0.0; // beyond every lobe
        }
        let theta = v.atan2(u);
        let mut edge = 1.0;
        for (&(amplitude, phase), order) in self.lobes.iter().zip([2.0, 3.0, 4.0, 5.0]) {
            if amplitude > 0.0 {
                edge += amplitude * (order * theta + phase).cos();
            }
        }
        let edge = f64::max(edge, NARROWEST);
        let outside = (rho - edge) * self.radius();
        let disc = 1.0 / (1.0 + (outside / SOFTNESS).exp());
        let nucleus = 0.3 * (-(rho / 0.45).powi(2)).exp();
        (disc * (1.0 - nucleus)) as f32
    }

    /// All pixels `(y, x, weight)` that the cell touches with its centre at
    /// `(cy, cx)`, in row-major order; coordinates may lie outside the field.
    pub(crate) fn pixels(&self, cy: f64, cx: f64) -> Vec<(i64, i64, f32)> {
        let lobes: f64 = self.lobes.iter().map(|lobe| lobe.0).sum();
        let direction = self.angle.sin_cos();
        let reach = self.radii.0.max(self.radii.1) * (1.0 + lobes) + HALO;
        let mut all = Vec::new();
        for y in (cy - reach).ceil() as i64..=(cy + reach).floor() as i64 {
            for x in (cx - reach).ceil() as i64..=(cx + reach).floor() as i64 {
                let weight = self.weight(direction, y as f64 - cy, x as f64 - cx, lobes);
                if weight > 0.02 {
                    all.push((y, x, weight));
                }
            }
        }
        all
    }
}

/// Puts points down one after another at random in `height × width`, each where
/// it lies at least `apart` from those before. Where one finds no place, the
/// number of those that did is the error.
pub(crate) fn scatter<R: Rng>(
    rng: &mut R,
    count: usize,
    (height, width): (f64, f64),
    apart: f64,
) -> Result<Vec<(f64, f64)>, usize> {
    // Points in boxes no smaller than the distance: only neighbours matter.
    let side = apart.max(4.0);
    let columns = (width / side) as usize + 1;
    let rows = (height / side) as usize + 1;
    let mut boxes: Vec<Vec<(f64, f64)>> = vec![Vec::new(); rows * columns];
    let mut points = Vec::with_capacity(count);
    for index in 0..count {
        let found = (0..5_000).find_map(|_| {
            let (y, x) = (rng.random::<f64>() * height, rng.random::<f64>() * width);
            let (row, column) = ((y / side) as usize, (x / side) as usize);
            let free = (row.saturating_sub(1)..=(row + 1).min(rows - 1)).all(|r| {
                (column.saturating_sub(1)..=(column + 1).min(columns - 1)).all(|c| {
                    boxes[r * columns + c]
                        .iter()
                        .all(|&(v, u)| (v - y).hypot(u - x) >= apart)
                })
            });
            free.then(|| {
                boxes[row * columns + column].push((y, x));
                (y, x)
            })
        });
        points.push(found.ok_or(index)?);
    }
    Ok(points)
}

/// The cells of an experiment, in the field and the rim around it.
pub(crate) fn place(plan: &Plan) -> Result<Vec<Cell>, Error> {
    let field = &plan.field;
    let rim = field.shift_px;
    let area = (
        plan.height as f64 - 1.0 + 2.0 * rim,
        plan.width as f64 - 1.0 + 2.0 * rim,
    );
    let apart = field.spacing * field.diameter_px;
    let mut rng = stream(plan.seed, Domain::Places, 0, 0);
    let places = scatter(&mut rng, plan.cells, area, apart).map_err(|placed| Error::Crowded {
        placed,
        asked: plan.cells,
        diameter_px: field.diameter_px,
    })?;
    Ok(places
        .into_iter()
        .enumerate()
        .map(|(index, (y, x))| {
            let mut rng = stream(plan.seed, Domain::Shapes, 0, index);
            Cell::draw(&mut rng, (y - rim, x - rim), field.diameter_px)
        })
        .collect())
}

/// The planted state of every cell in one session, before the field's edge is considered.
pub(crate) fn states(plan: &Plan, session: usize) -> Vec<CellState> {
    let mut order: Vec<usize> = (0..plan.cells).collect();
    order.shuffle(&mut stream(plan.seed, Domain::States, session, 0));
    let count = |fraction: f64| (fraction * plan.cells as f64).round() as usize;
    let mut states = vec![CellState::Active; plan.cells];
    let mut rest = order.into_iter();
    for (state, fraction) in [
        (CellState::Absent, plan.field.absent_fraction),
        (CellState::Undetected, plan.field.undetected_fraction),
        (CellState::Silent, plan.field.silent_fraction),
    ] {
        for cell in rest.by_ref().take(count(fraction)) {
            states[cell] = state;
        }
    }
    states
}
