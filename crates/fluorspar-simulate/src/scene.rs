use ndarray::Array2;
use rand::RngExt;

use crate::Plan;
use crate::cells::Cell;
use crate::random::{Domain, normal, stream};
use crate::texture::Texture;
use crate::truth::CellState;

/// What lies under the objective in one session: images in photons, on a grid
/// that reaches beyond the field by as much as motion can bring into view.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Pixels added on each side of the field.
    pub(crate) margin: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Neuropil as it reaches the detector, dimmed where a cell lies over it.
    neuropil: Vec<f32>,
    /// All cells at rest.
    rest: Vec<f32>,
    /// Start of each cell's entries, and the end.
    starts: Vec<usize>,
    /// Pixel on the grid and photons per unit of ΔF/F.
    entries: Vec<(u32, f32)>,
    background: Background,
}

/// Changes of the neuropil in time: soft patches on a grid, each with its own
/// walk, and one walk shared by all.
#[derive(Clone, Debug)]
struct Background {
    rows: usize,
    columns: usize,
    /// `(patch row, y)`.
    along_y: Vec<f32>,
    /// `(patch column, x)`.
    along_x: Vec<f32>,
    /// `(frame, shared then patches)`.
    walks: Vec<f32>,
}

/// Weights of the Catmull-Rom interpolation at fraction `f` between the
/// second and third of four samples.
pub(crate) fn catmull_rom(f: f32) -> [f32; 4] {
    let (f2, f3) = (f * f, f * f * f);
    [
        -0.5 * f + f2 - 0.5 * f3,
        1.0 - 2.5 * f2 + 1.5 * f3,
        0.5 * f + 2.0 * f2 - 1.5 * f3,
        -0.5 * f2 + 0.5 * f3,
    ]
}

/// Reads `image` (rows of `width`) at integer steps from `(top, left)`, which
/// may be fractional, into `out` of `rows × columns` pixels.
pub(crate) fn resample(
    image: &[f32],
    width: usize,
    (top, left): (f32, f32),
    (rows, columns): (usize, usize),
    line: &mut Vec<f32>,
    out: &mut [f32],
) {
    let (iy, ix) = (top.floor(), left.floor());
    let (wy, wx) = (catmull_rom(top - iy), catmull_rom(left - ix));
    let (iy, ix) = (iy as usize - 1, ix as usize - 1);
    line.resize(columns + 3, 0.0);
    for (y, out) in out.chunks_exact_mut(columns).take(rows).enumerate() {
        let row = |k: usize| &image[(iy + y + k) * width + ix..][..columns + 3];
        let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3));
        for (x, value) in line.iter_mut().enumerate() {
            *value = wy[0] * r0[x] + wy[1] * r1[x] + wy[2] * r2[x] + wy[3] * r3[x];
        }
        for (x, value) in out.iter_mut().enumerate() {
            *value =
                wx[0] * line[x] + wx[1] * line[x + 1] + wx[2] * line[x + 2] + wx[3] * line[x + 3];
        }
    }
}

/// The tissue of an experiment, as far beyond the first session's field as any
/// session reaches.
pub(crate) fn texture(plan: &Plan) -> Texture {
    let margin = margin(plan) + plan.field.shift_px.ceil() as usize + 3;
    Texture::new(plan.seed, 0, margin, plan.height, plan.width)
}

/// Pixels that a session's grid reaches beyond the field.
fn margin(plan: &Plan) -> usize {
    plan.motion.limit_px.ceil() as usize + 3
}

impl Scene {
    /// `centres` are the cells' places in this session's reference frame.
    pub(crate) fn new(
        plan: &Plan,
        session: usize,
        texture: &Texture,
        field_shift: (f64, f64),
        cells: &[Cell],
        centres: &[(f64, f64)],
        states: &[CellState],
    ) -> Self {
        let margin = margin(plan);
        let (height, width) = (plan.height + 2 * margin, plan.width + 2 * margin);
        let optics = &plan.optics;
        let mut rng = stream(plan.seed, Domain::Field, session, 1);
        let gain = 1.0 + optics.brightness_range * (2.0 * rng.random::<f64>() - 1.0);

        let mut neuropil = vec![0.0; height * width];
        let outer = (texture.margin - margin) as f64;
        resample(
            &texture.image,
            texture.width,
            (
                (outer - field_shift.0) as f32,
                (outer - field_shift.1) as f32,
            ),
            (height, width),
            &mut Vec::new(),
            &mut neuropil,
        );

        let mut cover = vec![0.0_f32; height * width];
        let mut rest = vec![0.0_f32; height * width];
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for ((cell, &(cy, cx)), state) in cells.iter().zip(centres).zip(states) {
            let contrast = match state {
                CellState::Active | CellState::Silent => 1.0,
                CellState::Undetected => plan.field.undetected_contrast,
                CellState::Absent => 0.0,
            };
            let photons = (optics.soma_photons * gain * cell.brightness * contrast) as f32;
            for (y, x, weight) in cell.pixels(cy, cx) {
                let (y, x) = (y + margin as i64, x + margin as i64);
                if contrast > 0.0
                    && (0..height as i64).contains(&y)
                    && (0..width as i64).contains(&x)
                {
                    let pixel = y as usize * width + x as usize;
                    cover[pixel] += weight * contrast as f32;
                    rest[pixel] += weight * photons;
                    entries.push((pixel as u32, weight * photons));
                }
            }
            starts.push(entries.len());
        }
        let kept = optics.neuropil_coefficient as f32;
        let photons = (optics.neuropil_photons * gain) as f32;
        for (value, cover) in neuropil.iter_mut().zip(&cover) {
            *value *= photons * (1.0 - (1.0 - kept) * cover.min(1.0));
        }
        Self {
            margin,
            height,
            width,
            neuropil,
            rest,
            starts,
            entries,
            background: Background::new(plan, session, height, width),
        }
    }

    /// Photons per pixel of the grid at `frame`, before bleaching and vignetting.
    pub(crate) fn render(&self, frame: usize, dff: &Array2<f32>, out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.height * self.width, 0.0);
        self.background.render(frame, self.width, out);
        for ((out, &neuropil), &rest) in out.iter_mut().zip(&self.neuropil).zip(&self.rest) {
            *out = neuropil * out.max(-0.9) + neuropil + rest;
        }
        for (range, &level) in self.starts.windows(2).zip(dff.column(frame)) {
            if level > 1e-4 {
                for &(pixel, photons) in &self.entries[range[0]..range[1]] {
                    out[pixel as usize] += photons * level;
                }
            }
        }
    }
}

impl Background {
    fn new(plan: &Plan, session: usize, height: usize, width: usize) -> Self {
        let spacing = plan.optics.neuropil_length_px;
        let patches = |length: usize| (length as f64 / spacing).ceil() as usize + 2;
        let (rows, columns) = (patches(height), patches(width));
        let sigma = 0.7 * spacing;
        // Squares of the bumps add up to about this along one axis.
        let scale = (sigma * std::f64::consts::PI.sqrt() / spacing).sqrt();
        let bumps = |count: usize, length: usize| -> Vec<f32> {
            (0..count)
                .flat_map(|k| {
                    (0..length).map(move |p| {
                        let off = (p as f64 - (k as f64 - 0.5) * spacing) / sigma;
                        ((-0.5 * off * off).exp() / scale) as f32
                    })
                })
                .collect()
        };
        let count = rows * columns + 1;
        let a = (-1.0 / (plan.optics.neuropil_tau_s * plan.frame_rate)).exp();
        let kick = (1.0 - a * a).sqrt();
        let mut rng = stream(plan.seed, Domain::Neuropil, session, 0);
        let mut now: Vec<f64> = (0..count).map(|_| normal(&mut rng)).collect();
        let mut walks = Vec::with_capacity(plan.frames() * count);
        for _ in 0..plan.frames() {
            for (index, value) in now.iter_mut().enumerate() {
                *value = a * *value + kick * normal(&mut rng);
                let share: f64 = if index == 0 { 0.3 } else { 0.7 };
                walks.push((*value * plan.optics.neuropil_modulation * share.sqrt()) as f32);
            }
        }
        Self {
            rows,
            columns,
            along_y: bumps(rows, height),
            along_x: bumps(columns, width),
            walks,
        }
    }

    /// Relative change of the neuropil at `frame`, added to `out`.
    fn render(&self, frame: usize, width: usize, out: &mut [f32]) {
        let count = self.rows * self.columns + 1;
        let walks = &self.walks[frame * count..(frame + 1) * count];
        let height = out.len() / width;
        let mut lines = vec![0.0_f32; self.rows * width];
        for (line, walks) in lines
            .chunks_exact_mut(width)
            .zip(walks[1..].chunks_exact(self.columns))
        {
            for (bump, &walk) in self.along_x.chunks_exact(width).zip(walks) {
                for (value, &bump) in line.iter_mut().zip(bump) {
                    *value += walk * bump;
                }
            }
        }
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            out.fill(walks[0]);
            for (row, line) in lines.chunks_exact(width).enumerate() {
                let weight = self.along_y[row * height + y];
                if weight > 1e-3 {
                    for (value, &line) in out.iter_mut().zip(line) {
                        *value += weight * line;
                    }
                }
            }
        }
    }
}
