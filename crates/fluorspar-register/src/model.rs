use fluorspar_movie::Workspaces;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::correlate::Scratch;
use crate::field::{Warp, WarpScratch};
use crate::piecewise::Piecewise;
use crate::stiffness::{bending, most_probable};
use crate::{Error, Grid, Parameters, Registrar, Shift, apply};

/// Most frames that the model is learnt from.
pub(crate) const FRAMES: usize = 48;
/// Rounds of learning stiffness.
const ROUNDS: usize = 2;
/// Stiffness before anything is known: neighbouring second differences of 0.2 px.
const FIRST_STIFFNESS: f64 = 30.0;
/// Frequencies on each side whose noise is averaged.
const SMOOTH: usize = 3;

/// What a movie's frames are like beside its reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    /// Power of what a frame has beyond the reference, per frequency.
    noise: Vec<f32>,
    /// Reciprocal of the mean squared second difference of the displacement
    /// between neighbouring nodes, px⁻².
    stiffness: f64,
    grid: Grid,
}

impl Model {
    /// From frames with their shifts. What is known of a reference much like
    /// `image` saves a round.
    pub(crate) fn learn(
        frames: &[ArrayView2<'_, f32>],
        shifts: &[Shift],
        image: ArrayView2<'_, f32>,
        known: Option<&Self>,
        parameters: &Parameters,
    ) -> Result<Self, Error> {
        let (height, width) = image.dim();
        let grid = Grid::new(height, width, parameters.tile);
        let registrar = Registrar::rigid(image, parameters)?;
        let mut model = known.cloned().unwrap_or_else(|| {
            let still = vec![vec![0.0; 2 * grid.len()]; frames.len()];
            Self {
                noise: noise(frames, shifts, &still, &grid, &registrar),
                stiffness: FIRST_STIFFNESS,
                grid,
            }
        });
        let energy = bending(&model.grid);
        let rounds = if known.is_some() { 1 } else { ROUNDS };
        for round in 0..rounds {
            let piecewise = model.piecewise(&registrar, parameters)?;
            let information = piecewise.information().to_vec();
            let mut registrar = registrar.clone();
            registrar.set_piecewise(piecewise);
            let spaces = Workspaces::new(|| registrar.scratch());
            let fields: Vec<Vec<f32>> = frames
                .par_iter()
                .map_init(
                    || spaces.lend(),
                    |scratch, frame| {
                        let mut nodes = vec![0.0; 2 * model.grid.len()];
                        registrar.estimate_field(frame.view(), scratch, &mut nodes);
                        nodes
                    },
                )
                .collect();
            if let Some(found) = most_probable(&fields, &information, &energy, model.stiffness) {
                model.stiffness = found;
            }
            if round == 0 {
                model.noise = noise(frames, shifts, &fields, &model.grid, &registrar);
            }
        }
        Ok(model)
    }

    pub(crate) fn piecewise(
        &self,
        registrar: &Registrar,
        parameters: &Parameters,
    ) -> Result<Piecewise, Error> {
        let (height, width) = registrar.reference().dim();
        if self.grid != Grid::new(height, width, parameters.tile) {
            return Err(Error::Image(
                "the reference has learnt with tiles of another size".into(),
            ));
        }
        let spectrum = registrar.spectrum_of(registrar.reference(), &mut registrar.scratch());
        Piecewise::new(
            registrar.fourier(),
            &spectrum,
            &self.noise,
            &bending(&self.grid),
            self.stiffness,
            &self.grid,
            parameters.max_deviation,
        )
        .ok_or_else(|| Error::Image("the reference has no structure".into()))
    }
}

/// Mean power of what registered frames have beyond the reference, per
/// frequency, averaged with neighbouring frequencies.
fn noise(
    frames: &[ArrayView2<'_, f32>],
    shifts: &[Shift],
    fields: &[Vec<f32>],
    grid: &Grid,
    registrar: &Registrar,
) -> Vec<f32> {
    let reference = registrar.spectrum_of(registrar.reference(), &mut registrar.scratch());
    let reference = reference.padded();
    let power: f64 = reference.iter().map(|v| f64::from(v.norm_sqr())).sum();
    let warp = Warp::new(grid);
    let residual =
        |k: usize, scratch: &mut Scratch, moved: &mut Array2<f32>, lines: &mut WarpScratch| {
            let shift = (shifts[k].dy, shifts[k].dx);
            if fields[k].iter().all(|&d| d == 0.0) {
                apply(frames[k], shift, moved.view_mut());
            } else {
                warp.apply(frames[k], shift, &fields[k], moved.view_mut(), lines);
            }
            let spectrum = registrar.spectrum_of(moved.view(), scratch);
            let common: f64 = spectrum
                .padded()
                .iter()
                .zip(reference)
                .map(|(a, b)| f64::from(a.re * b.re + a.im * b.im))
                .sum();
            let bright = (common / power.max(f64::MIN_POSITIVE)) as f32;
            spectrum
                .padded()
                .iter()
                .zip(reference)
                .map(|(a, b)| (*a - *b * bright).norm_sqr())
                .collect::<Vec<f32>>()
        };
    let mut sum = vec![0.0_f64; reference.len()];
    let spaces = Workspaces::new(|| {
        let moved = Array2::zeros(registrar.reference().dim());
        (registrar.scratch(), moved, WarpScratch::default())
    });
    // A few at a time: each is as large as a frame.
    for start in (0..frames.len()).step_by(8) {
        let parts: Vec<Vec<f32>> = (start..(start + 8).min(frames.len()))
            .into_par_iter()
            .map_init(
                || spaces.lend(),
                |space, k| {
                    let (scratch, moved, lines) = &mut **space;
                    residual(k, scratch, moved, lines)
                },
            )
            .collect();
        for part in &parts {
            for (s, &p) in sum.iter_mut().zip(part) {
                *s += f64::from(p);
            }
        }
    }
    let (height, width) = registrar.reference().dim();
    smooth(&sum, frames.len(), height, width / 2 + 1, power)
}

/// Averages over neighbouring frequencies; no frequency is left without noise.
fn smooth(sum: &[f64], frames: usize, height: usize, half: usize, power: f64) -> Vec<f32> {
    let stride = sum.len() / half;
    let reach = SMOOTH.min((height - 1) / 2) as isize;
    let along: Vec<f64> = (0..half)
        .into_par_iter()
        .flat_map_iter(|kx| {
            let row = &sum[kx * stride..kx * stride + height];
            (0..stride).map(move |ky| {
                if ky >= height {
                    return 0.0;
                }
                let at = |k: isize| row[(ky as isize + k).rem_euclid(height as isize) as usize];
                (-reach..=reach).map(at).sum::<f64>() / (2 * reach + 1) as f64
            })
        })
        .collect();
    let count = frames.max(1) as f64;
    let mean = along.iter().sum::<f64>() / count / (half * height) as f64;
    // Of noise-free movies the reference's own power is what is left.
    let least = (1e-4 * mean).max(1e-8 * power / (half * height) as f64);
    (0..half)
        .into_par_iter()
        .flat_map_iter(|kx| {
            let first = kx.saturating_sub(SMOOTH);
            let last = (kx + SMOOTH).min(half - 1);
            let along = &along;
            (0..stride).map(move |ky| {
                let total: f64 = (first..=last).map(|k| along[k * stride + ky]).sum();
                let mean = total / count / (last - first + 1) as f64;
                if ky < height {
                    mean.max(least) as f32
                } else {
                    1.0
                }
            })
        })
        .collect()
}
