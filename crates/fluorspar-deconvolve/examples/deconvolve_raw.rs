//! `deconvolve_raw FRAMES FRAME_RATE IN OUT [--tau S] [--rise S] [--sparsity nonnegative|noise|smallest=K]
//! [--together] [--baseline 0] [--plain G]`: float32 traces (roi, frame) in, events of the same shape out, in the
//! machine's byte order. Each trace has the kernel learnt from it alone, or with `--together` the
//! population's; `--plain` is the bare AR(1) solver with decay G per frame. Prints `tau_s,rise_s,noise,baseline` per ROI and to the error output the seconds taken.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a small tool")]

use std::time::Instant;

use fluorspar_deconvolve::{Baseline, Oasis, Parameters, Sparsity, nonnegative_ar1};
use ndarray::{Array2, Axis};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1)
    };
    let [frames, rate, input, output, ..] = &arguments[..] else {
        return Err("deconvolve_raw FRAMES FRAME_RATE IN OUT".into());
    };
    let (frames, rate): (usize, f64) = (frames.parse()?, rate.parse()?);
    let sparsity = match option("--sparsity").map_or("nonnegative", |s| s.as_str()) {
        "nonnegative" => Sparsity::NonNegative,
        "noise" => Sparsity::Noise,
        other => match other.strip_prefix("smallest=") {
            Some(size) => Sparsity::Smallest {
                s_min: size.parse()?,
            },
            None => return Err(format!("no such sparsity: {other}").into()),
        },
    };
    let oasis = Oasis::new(Parameters {
        frame_rate: Some(rate),
        tau_s: option("--tau").map(|s| s.parse()).transpose()?,
        rise_s: option("--rise").map(|s| s.parse()).transpose()?,
        sparsity,
        baseline: match option("--baseline") {
            Some(level) => Baseline::Given(level.parse()?),
            None => Baseline::default(),
        },
        ..Parameters::default()
    })?;
    let values: Vec<f32> = std::fs::read(input)?
        .chunks_exact(4)
        .map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let traces = Array2::from_shape_vec((values.len() / frames.max(1), frames), values)?;
    // Written to before the clock runs, so that the memory is there.
    let mut events = Array2::from_elem(traces.dim(), 1.0);
    let start = Instant::now();
    let (events, reports) = if let Some(g) = option("--plain") {
        nonnegative_ar1(traces.view(), g.parse()?, events.view_mut())?;
        (events, Vec::new())
    } else if arguments.iter().any(|a| a == "--together") {
        let found = oasis.deconvolve_all(traces.view())?;
        (found.events, found.reports)
    } else {
        let mut reports = Vec::new();
        for (trace, mut out) in traces.axis_iter(Axis(0)).zip(events.rows_mut()) {
            let found = oasis.deconvolve(&trace.to_vec())?;
            out.assign(&ndarray::aview1(&found.events));
            reports.push(found.report);
        }
        (events, reports)
    };
    eprintln!("{}", start.elapsed().as_secs_f64());
    for report in reports {
        let kernel = report.kernel;
        println!(
            "{},{},{},{}",
            kernel.decay_samples() / rate,
            kernel.rise_samples() / rate,
            report.noise,
            report.baseline
        );
    }
    let bytes: Vec<u8> = events.iter().flat_map(|v| v.to_ne_bytes()).collect();
    std::fs::write(output, bytes)?;
    Ok(())
}
