//! One function per command; each prints its result and leaves the work to the pipeline.

mod drift;
mod plan;
mod track;

use std::path::{Path, PathBuf};

use fluorspar_movie::Budget;
use fluorspar_pipeline as pipeline;
use fluorspar_pipeline::{
    AvailableMemory, Error, Existing, ExperimentConfig, Observer, RunOptions, RunSummary,
};
use serde::Serialize;

use crate::arguments::{
    Arguments, Command, Convert, Deconvolve, Demo, Denoise, Register, Run, Segment, Simulate,
};
use crate::progress::Progress;
use crate::stop::Stop;

/// Runs the command on a pool of the asked size.
pub(crate) fn execute(arguments: Arguments) -> Result<(), Error> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads.map_or(0, usize::from))
        .build()
        .map_err(|e| Error::Usage(format!("cannot start worker threads: {e}")))?;
    let available = AvailableMemory::of_system();
    let budget = pipeline::memory_budget(arguments.memory.as_deref(), &available)?;
    let stop = if arguments.command.goes_on() {
        Stop::listen()?
    } else {
        Stop::default()
    };
    let progress = Progress::new(arguments.log, arguments.quiet, budget.bytes, stop);
    if let Some(warning) = &budget.warning {
        progress.warn(warning);
    }
    pool.install(|| dispatch(&arguments, budget.bytes, &progress))
}

fn dispatch(arguments: &Arguments, memory: usize, observer: &dyn Observer) -> Result<(), Error> {
    let json = arguments.json;
    match &arguments.command {
        Command::Demo(command) => demo(command, memory, json, observer),
        Command::Run(command) => run(command, memory, json, observer),
        Command::Plan(command) => plan::plan(command, memory, json, observer),
        Command::Task(command) => plan::task(command, memory, json, observer),
        Command::Verify(command) => plan::verify(command, json, observer),
        Command::Info { files } => info(files, json),
        Command::Convert(command) => convert(command, memory, json, observer),
        Command::Register(command) => register(command, memory, json, observer),
        Command::Denoise(command) => denoise(command, memory, json, observer),
        Command::Segment(command) => segment(command, memory, json, observer),
        Command::Deconvolve(command) => deconvolve(command, json, observer),
        Command::Track(command) => track::track(command, json, observer),
        Command::Simulate(command) => simulate(command, json, observer),
        Command::Drift(command) => drift::drift(command, memory, json, observer),
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::Usage(format!("the result cannot be written as JSON: {e}")))?;
    println!("{text}");
    Ok(())
}

fn demo(command: &Demo, memory: usize, json: bool, observer: &dyn Observer) -> Result<(), Error> {
    let plan = pipeline::demo_plan(usize::from(command.sessions), command.seed);
    let summary = pipeline::demo(&plan, &command.out, memory, observer)?;
    if json {
        return print_json(&summary);
    }
    println!("\nFound, beside what was planted:");
    let checks = summary.comparison.checks();
    for check in &checks {
        let mark = if check.reached { "✓" } else { "✗" };
        println!(
            "  {mark} {:32} {:24} {}",
            check.what, check.found, check.asked
        );
    }
    print_summary(&summary.run);
    Ok(())
}

fn run(command: &Run, memory: usize, json: bool, observer: &dyn Observer) -> Result<(), Error> {
    let config = ExperimentConfig::read(&command.experiment)?;
    let out = command
        .out
        .clone()
        .unwrap_or_else(|| default_out(&command.experiment, &config));
    let options = RunOptions {
        out,
        existing: if command.resume {
            Existing::Resume
        } else if command.overwrite {
            Existing::Overwrite
        } else {
            Existing::Continue
        },
        memory,
    };
    let summary = pipeline::run(&config, &command.experiment, &options, observer)?;
    if json {
        return print_json(&summary);
    }
    print_summary(&summary);
    Ok(())
}

/// Where a run goes that is not told: beside its experiment, by its name.
fn default_out(experiment: &Path, config: &ExperimentConfig) -> PathBuf {
    let folder = experiment.parent().unwrap_or(Path::new(""));
    folder.join(format!("{}-run", config.experiment.name))
}

fn print_summary(summary: &RunSummary) {
    let rois: Vec<String> = summary.rois.iter().map(ToString::to_string).collect();
    println!("\nROIs per session   {}", rois.join(" "));
    println!(
        "cells              {} ({} seen in two sessions or more)",
        summary.cells, summary.matched_cells
    );
    println!("time               {:.1} s", summary.seconds);
    if let Some(bytes) = summary.peak_memory_bytes {
        println!(
            "peak memory        {:.2} GiB",
            bytes as f64 / f64::from(1 << 30)
        );
    }
    println!("report             {}", summary.report.display());
}

fn info(files: &[PathBuf], json: bool) -> Result<(), Error> {
    let all = files
        .iter()
        .map(|path| pipeline::info(path))
        .collect::<Result<Vec<_>, _>>()?;
    if json {
        return print_json(&all);
    }
    for (index, movie) in all.iter().enumerate() {
        if index > 0 {
            println!();
        }
        println!("{}", movie.path.display());
        println!("  format      {}", movie.format);
        let planes = if movie.planes > 1 {
            format!(" × {} planes", movie.planes)
        } else {
            String::new()
        };
        println!(
            "  shape       {} frames{planes} × {} × {} px",
            movie.frames, movie.height, movie.width
        );
        println!("  pixels      {}", movie.pixel_type);
        let line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                println!("  {name:<11} {value}");
            }
        };
        line(
            "frame rate",
            movie.frame_rate.map(|rate| format!("{rate} Hz")),
        );
        line(
            "pixel size",
            movie.pixel_size_um.map(|size| format!("{size:.4} µm")),
        );
        line("codec", movie.codec.clone());
        line("dialect", movie.dialect.clone());
        line("pages", movie.pages.clone());
        line("components", movie.rank.map(|rank| rank.to_string()));
        line(
            "strips",
            movie.strips.as_ref().map(|strips| {
                let sizes: Vec<String> = strips
                    .fields
                    .iter()
                    .map(|[height, width]| format!("{height} × {width} px"))
                    .collect();
                format!("{} → {}", strips.count, sizes.join(", "))
            }),
        );
        let copy = if movie.zero_copy { "yes" } else { "no" };
        line("zero-copy", Some(copy.into()));
        line("size", Some(format!("{:.1} MB", movie.bytes as f64 / 1e6)));
        for advice in &movie.advice {
            println!("  note        {advice}");
        }
    }
    Ok(())
}

/// IN... and OUT of a command's paths.
fn inputs_and_output(paths: &[PathBuf]) -> Result<(&[PathBuf], &Path), Error> {
    match paths.split_last() {
        Some((output, inputs)) if !inputs.is_empty() => Ok((inputs, output)),
        _ => Err(Error::Usage("give at least one input and an output".into())),
    }
}

fn convert(
    command: &Convert,
    memory: usize,
    json: bool,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let (inputs, output) = inputs_and_output(&command.paths)?;
    let budget = Budget { bytes: memory / 4 };
    let options = pipeline::ConvertOptions {
        frames: command.frames,
        frame_rate: command.frame_rate,
        pixel_size_um: command.pixel_size,
        channel: command.channel,
        salvage: command.salvage,
        compression: command.compression.clone(),
        dialect: command.dialect.clone(),
        resume: command.resume,
        unverified: command.no_verify,
    };
    let converted = pipeline::convert(inputs, output, &options, budget, observer)?;
    if json {
        return print_json(&converted);
    }
    println!("{}", output.display());
    println!("{} frames, BLAKE3 {}", converted.frames, converted.blake3);
    Ok(())
}

fn register(
    command: &Register,
    memory: usize,
    json: bool,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let (inputs, output) = inputs_and_output(&command.paths)?;
    let options = pipeline::RegisterOptions {
        register: pipeline::config::Register {
            mode: if command.rigid { "rigid" } else { "nonrigid" }.into(),
            max_shift_fraction: command.max_shift,
            line_offset: command.line_offset,
            keep: true,
        },
        frames: command.selection.frames,
        channel: command.selection.channel,
        frame_rate: command.selection.frame_rate,
        reference: command.reference.clone(),
        motion: command.motion.clone(),
        plane_spacing_um: command.plane_spacing,
        tiff: command.tiff,
        whole_pages: command.selection.whole_pages,
    };
    let budget = Budget { bytes: memory / 4 };
    let registered = pipeline::register(inputs, output, &options, budget, observer)?;
    if json {
        return print_json(&registered);
    }
    let one = std::slice::from_ref(&registered);
    let fields = if registered.fields.is_empty() {
        one
    } else {
        &registered.fields
    };
    for field in fields {
        if let Some(understood) = &field.understood {
            println!("Strips: {understood}.");
        }
        if let Some(verdict) = &field.verdict {
            println!("{verdict}");
        }
        println!("{}", field.movie.display());
        if let Some(report) = &field.report {
            println!("{}", report.display());
        }
    }
    Ok(())
}

fn denoise(
    command: &Denoise,
    memory: usize,
    json: bool,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let (inputs, output) = inputs_and_output(&command.paths)?;
    let options = pipeline::DenoiseOptions {
        block: command.block,
        block_planes: command.block_planes,
        false_acceptance: command.false_acceptance,
        max_rank: command.max_rank,
        smoothing_loss: command.smoothing_loss,
        seed: command.seed,
        frames: command.selection.frames,
        channel: command.selection.channel,
        frame_rate: command.selection.frame_rate,
        whole_pages: command.selection.whole_pages,
    };
    let budget = Budget { bytes: memory / 4 };
    let denoised = pipeline::denoise(inputs, output, &options, budget, observer)?;
    if json {
        return print_json(&denoised);
    }
    let one = std::slice::from_ref(&denoised);
    let fields = if denoised.fields.is_empty() {
        one
    } else {
        &denoised.fields
    };
    for field in fields {
        print_denoised(field);
    }
    Ok(())
}

fn print_denoised(field: &pipeline::Denoised) {
    if let Some(understood) = &field.understood {
        println!("Strips: {understood}.");
    }
    println!("{}", field.verdict);
    let planes = if field.planes > 1 {
        format!(" × {} planes", field.planes)
    } else {
        String::new()
    };
    let line = |name: &str, value: String| println!("  {name:<12} {value}");
    line(
        "movie",
        format!(
            "{} frames{planes} × {} × {} px",
            field.frames, field.height, field.width
        ),
    );
    line(
        "components",
        format!(
            "{}, median {} in each of {} blocks that have any",
            field.components, field.components_per_block, field.blocks
        ),
    );
    line(
        "size",
        format!(
            "{:.1} MB of pixels in {:.1} MB, {:.1} times smaller",
            field.input_bytes as f64 / 1e6,
            field.lowrank_bytes as f64 / 1e6,
            field.compression
        ),
    );
    line("noise", format!("{:.3} (median)", field.median_noise));
    line(
        "time",
        format!(
            "{:.1} s, {:.0} frames/s in the decomposition",
            field.seconds, field.frames_per_second
        ),
    );
    println!("{}", field.lowrank.display());
    for path in [&field.record, &field.report].into_iter().flatten() {
        println!("{}", path.display());
    }
}

fn segment(
    command: &Segment,
    memory: usize,
    json: bool,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let (inputs, output) = inputs_and_output(&command.paths)?;
    let trace = pipeline::config::Trace::default();
    let options = pipeline::SegmentOptions {
        diameter_px: command.diameter,
        class: command.class.clone(),
        passes: usize::from(command.passes),
        trace: pipeline::config::Trace {
            source: command.source.clone(),
            overlaps: command.overlaps.clone(),
            neuropil_coefficient: command
                .neuropil
                .map_or(trace.neuropil_coefficient, pipeline::config::Choice::Number),
            baseline: command.baseline.clone(),
            baseline_window_s: command.baseline_window,
        },
        deconvolve: pipeline::config::Deconvolve {
            tau_s: command.kernel.tau,
            rise_s: command.kernel.rise,
        },
        pixel_size_um: command.pixel_size,
        lowrank: command.lowrank.clone(),
        masks: command.masks.clone(),
        anatomy: command.anatomy,
        frames: command.selection.frames,
        channel: command.selection.channel,
        frame_rate: command.selection.frame_rate,
        whole_pages: command.selection.whole_pages,
    };
    let budget = Budget { bytes: memory / 4 };
    let found = pipeline::segment(inputs, output, &options, budget, observer)?;
    if json {
        return print_json(&found);
    }
    if found.cells == 0 {
        println!("No ROI counts as a cell ({} do not).", found.others);
    } else {
        println!(
            "{} ROIs count as cells (median SNR {:.1}), {} do not.",
            found.cells, found.median_snr, found.others
        );
    }
    if found.bodies < found.cells {
        println!("They are {} cell bodies.", found.bodies);
    }
    if found.median_decay_s.is_finite() {
        println!("Decay of the indicator: {:.2} s", found.median_decay_s);
    }
    for path in [&found.rois, &found.table, &found.report] {
        println!("{}", path.display());
    }
    Ok(())
}

fn deconvolve(command: &Deconvolve, json: bool, observer: &dyn Observer) -> Result<(), Error> {
    let sparsity = match (command.penalty, command.smallest, command.noise_constraint) {
        (Some(lambda), _, _) => pipeline::Sparsity::Penalty { lambda },
        (None, Some(s_min), _) => pipeline::Sparsity::Smallest { s_min },
        (None, None, true) => pipeline::Sparsity::Noise,
        (None, None, false) => pipeline::Sparsity::default(),
    };
    let options = pipeline::DeconvolveOptions {
        frame_rate: command.frame_rate,
        tau_s: command.kernel.tau,
        rise_s: command.kernel.rise,
        sparsity,
    };
    let done = pipeline::deconvolve(&command.traces, &command.out, &options, observer)?;
    if json {
        return print_json(&done);
    }
    println!(
        "{} traces of {} frames; decay {:.2} s, rise {:.2} s (medians)",
        done.traces, done.frames, done.median_decay_s, done.median_rise_s
    );
    if done.without_events > 0 {
        println!(
            "{} traces are constant or have too few samples: their events are zero",
            done.without_events
        );
    }
    println!("{}", done.events.display());
    Ok(())
}

fn simulate(command: &Simulate, json: bool, observer: &dyn Observer) -> Result<(), Error> {
    let experiment = pipeline::simulate(&command.spec, &command.out, observer)?;
    if json {
        return print_json(&serde_json::json!({ "experiment": experiment }));
    }
    println!("{}", experiment.display());
    Ok(())
}
