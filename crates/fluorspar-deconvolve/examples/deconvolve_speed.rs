//! `deconvolve_speed ROIS FRAMES FRAME_RATE TAU_S RISE_S [ONLY]`: simulated traces in blocks of 1,024, of which
//! only one is in memory, deconvolved with everything learnt from the first. Prints the kernel, seconds (without
//! those of the simulation), nanoseconds per sample, and the greatest memory in use (Linux). ONLY: `plain` for
//! the bare AR(1) solver.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::time::{Duration, Instant};

use fluorspar_deconvolve::{Kernel, Oasis, Parameters, nonnegative_ar1};
use ndarray::{Array2, Axis, Slice};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const BLOCK: usize = 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rois, frames, rate, tau, rise, only @ ..] = &arguments[..] else {
        return Err("deconvolve_speed ROIS FRAMES FRAME_RATE TAU_S RISE_S [plain]".into());
    };
    let (rois, frames): (usize, usize) = (rois.parse()?, frames.parse()?);
    let rate: f64 = rate.parse()?;
    let kernel = Kernel::from_seconds(tau.parse()?, rise.parse()?, rate)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (g1, g2) = kernel.coefficients();
    let mut traces = Array2::<f32>::zeros((BLOCK.min(rois), frames));
    for mut row in traces.rows_mut() {
        let (mut c, mut before) = (0.0, 0.0);
        for slot in &mut row {
            let spike = f64::from(u8::from(rng.random::<f64>() < 0.5 / rate));
            (c, before) = (g1 * c + g2 * before + spike / kernel.peak(), c);
            let noise: f64 = StandardNormal.sample(&mut rng);
            *slot = (c + 0.3 * noise) as f32;
        }
    }
    let oasis = Oasis::new(Parameters {
        frame_rate: Some(rate),
        ..Parameters::default()
    })?;
    let mut events = Array2::zeros(traces.dim());
    let mut taken = Duration::ZERO;
    let start = Instant::now();
    let learned = oasis.learn(traces.view())?;
    taken += start.elapsed();
    println!(
        "learnt in {:.2} s: decay {:.2} s, rise {:.3} s",
        taken.as_secs_f64(),
        learned.kernel.decay_samples() / rate,
        learned.kernel.rise_samples() / rate
    );
    let mut done = 0;
    while done < rois {
        let part = Slice::from(..BLOCK.min(rois - done));
        let block = traces.slice_axis(Axis(0), part);
        let out = events.slice_axis_mut(Axis(0), part);
        let count = block.nrows();
        let start = Instant::now();
        if only.first().is_some_and(|only| only == "plain") {
            nonnegative_ar1(block, kernel.decay(), out)?;
        } else {
            oasis.deconvolve_block(block, &[learned.kernel], out)?;
        }
        taken += start.elapsed();
        done += count;
        // Other traces: each a little later.
        for mut row in traces.rows_mut() {
            if let Some(row) = row.as_slice_mut() {
                row.rotate_left(17);
            }
        }
    }
    let samples = rois as f64 * frames as f64;
    println!(
        "{rois} x {frames}: {:.1} s, {:.1} ns per sample",
        taken.as_secs_f64(),
        taken.as_secs_f64() / samples * 1e9
    );
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
            println!("{line}");
        }
    }
    Ok(())
}
