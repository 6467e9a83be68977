use rand::RngExt;
use rand::seq::SliceRandom;

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
    /// Third harmonic of the outline: amplitude and phase.
    lobes: (f64, f64),
    /// Relative brightness at rest.
    pub(crate) brightness: f64,
}

/// How far beyond its outline a cell's weight is followed (pixels).
const HALO: f64 = 2.0;
/// Softness of the outline (pixels).
const SOFTNESS: f64 = 0.5;
/// Weight at which a cell's footprint ends.
pub(crate) const OUTLINE: f32 = 0.5;

impl Cell {
    /// Weight at `(y, x)` from the centre: 1 inside, 0.5 on the outline,
    /// falling off over half a pixel, with a dimmer nucleus.
    fn weight(&self, y: f64, x: f64) -> f32 {
        let (sin, cos) = self.angle.sin_cos();
        let (u, v) = (cos * x + sin * y, cos * y - sin * x);
        let (a, b) = self.radii;
        let rho = ((u / a).powi(2) + (v / b).powi(2)).sqrt();
        let theta = v.atan2(u);
        let edge = 1.0 + self.lobes.0 * (3.0 * theta + self.lobes.1).cos();
        let outside = (rho - edge) * (a * b).sqrt();
        let disc = 1.0 / (1.0 + (outside / SOFTNESS).exp());
        let nucleus = 0.3 * (-(rho / 0.45).powi(2)).exp();
        (disc * (1.0 - nucleus)) as f32
    }

    /// All pixels `(y, x, weight)` that the cell touches with its centre at
    /// `(cy, cx)`, in row-major order; coordinates may lie outside the field.
    pub(crate) fn pixels(&self, cy: f64, cx: f64) -> Vec<(i64, i64, f32)> {
        let reach = self.radii.0.max(self.radii.1) * (1.0 + self.lobes.0) + HALO;
        let mut all = Vec::new();
        for y in (cy - reach).ceil() as i64..=(cy + reach).floor() as i64 {
            for x in (cx - reach).ceil() as i64..=(cx + reach).floor() as i64 {
                let weight = self.weight(y as f64 - cy, x as f64 - cx);
                if weight > 0.02 {
                    all.push((y, x, weight));
                }
            }
        }
        all
    }
}

/// Puts the cells down one after another, each where it first fits.
pub(crate) fn place(plan: &Plan) -> Result<Vec<Cell>, Error> {
    let field = &plan.field;
    let rim = field.shift_px;
    let (height, width) = (plan.height as f64, plan.width as f64);
    let apart = field.spacing * field.diameter_px;
    // Centres in boxes no smaller than the distance: only neighbours matter.
    let side = apart.max(4.0);
    let columns = ((width + 2.0 * rim) / side) as usize + 1;
    let rows = ((height + 2.0 * rim) / side) as usize + 1;
    let mut boxes: Vec<Vec<(f64, f64)>> = vec![Vec::new(); rows * columns];
    let mut rng = stream(plan.seed, Domain::Places, 0, 0);
    let mut cells = Vec::with_capacity(plan.cells);
    for index in 0..plan.cells {
        let mut found = None;
        for _ in 0..5_000 {
            let y = rng.random::<f64>() * (height - 1.0 + 2.0 * rim);
            let x = rng.random::<f64>() * (width - 1.0 + 2.0 * rim);
            let (row, column) = ((y / side) as usize, (x / side) as usize);
            let free = (row.saturating_sub(1)..=(row + 1).min(rows - 1)).all(|r| {
                (column.saturating_sub(1)..=(column + 1).min(columns - 1)).all(|c| {
                    boxes[r * columns + c]
                        .iter()
                        .all(|&(v, u)| (v - y).hypot(u - x) >= apart)
                })
            });
            if free {
                boxes[row * columns + column].push((y, x));
                found = Some((y - rim, x - rim));
                break;
            }
        }
        let Some((y, x)) = found else {
            return Err(Error::Crowded {
                placed: index,
                asked: plan.cells,
                diameter_px: field.diameter_px,
            });
        };
        let mut rng = stream(plan.seed, Domain::Shapes, 0, index);
        let radius = field.diameter_px / 2.0 * rng.random_range(0.92..1.08);
        let stretch = rng.random_range(1.0..1.12);
        cells.push(Cell {
            y,
            x,
            radii: (radius * stretch, radius / stretch),
            angle: rng.random_range(0.0..std::f64::consts::PI),
            lobes: (
                rng.random_range(0.0..0.06),
                rng.random_range(0.0..std::f64::consts::TAU),
            ),
            brightness: (0.2 * normal(&mut rng)).exp(),
        });
    }
    Ok(cells)
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
