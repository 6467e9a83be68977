//! Which tasks an experiment consists of.

use std::path::{Path, PathBuf};

use fluorspar_movie::MovieShape;
use serde_json::json;

use super::estimate::{
    BASE, Cost, cells, denoise, drift, least_register, reference, register, report, track,
};
use super::{Input, Output, PlanOptions, Task, Work, has_trials, input, session_folder};
use crate::Error;
use crate::config::ExperimentConfig;
use crate::disk::Fingerprint;
use crate::stage;

/// Bytes of raw frames in a task of registration: about a minute's work.
const TASK: usize = 32 << 30;

/// The tasks of an experiment, each after those that it needs.
pub(super) fn tasks(
    config: &ExperimentConfig,
    config_path: &Path,
    inputs: &[Input],
    options: &PlanOptions,
) -> Result<Vec<Task>, Error> {
    let mut graph = Graph {
        tasks: Vec::new(),
        memory: options.memory,
    };
    let mut cells = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        check_memory(input, options.memory).map_err(|error| error.in_session(index))?;
        cells.push(graph.session(config, index, input, options.frames_per_task));
    }
    let shape = inputs.first().map(|input| input.movie.shape());
    let shape = shape.unwrap_or(MovieShape::new(0, 1, 0, 0));
    let sessions = inputs.len();

    let folder = ExperimentConfig::folder(config_path);
    let tracked = graph.add(
        "track",
        Work::Track,
        &cells,
        &["tracks.zarr"],
        track(shape, sessions),
        json!({
            // Tracks of the first format say nothing of presence.
            "format": 2,
            "track": config.track,
            "pixel_size_um": config.experiment.pixel_size_um,
        }),
    );
    let mut before = tracked;
    if has_trials(config) {
        let (trials, questions) = input::trials_of(config, config_path, inputs)?;
        let sessions_settings: Vec<_> = config
            .sessions
            .iter()
            .map(|session| json!([session.day, session.practice, session.video_rate]))
            .collect();
        before = graph.add(
            "drift",
            Work::Drift,
            &[before],
            &["drift"],
            drift(shape, &trials, questions),
            json!({
                "trials": config.trials,
                "epochs": config.epochs,
                "decode": config.decode,
                "drift": config.drift,
                "experiment": config.experiment,
                "session": sessions_settings,
            }),
        );
        let tables = input::tables(config, &folder);
        let fingerprint = input::fingerprint_tables(config, config_path)?;
        graph.reads(tables, fingerprint);
    }
    graph.add(
        "report",
        Work::Report,
        &[before],
        &["report.html", "methods.txt"],
        report(shape, sessions),
        // The methods tell of everything.
        serde_json::to_value(config).unwrap_or_default(),
    );
    graph.seal();
    Ok(graph.tasks)
}

/// Refuses a budget that a session's planes cannot be registered in.
fn check_memory(input: &Input, memory: usize) -> Result<(), Error> {
    let shape = input.movie.shape();
    let held = least_register(shape);
    let least = BASE + held;
    // What is less than the program itself is no matter.
    if held < BASE || memory >= least {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "registering {} planes of {} × {} px together holds {} MiB whatever the budget; give \
         --memory {}MiB or more",
        shape.planes,
        shape.height,
        shape.width,
        least >> 20,
        least.div_ceil(1 << 20)
    )))
}

struct Graph {
    tasks: Vec<Task>,
    memory: usize,
}

impl Graph {
    /// Adds the tasks of one session; returns the last.
    fn session(
        &mut self,
        config: &ExperimentConfig,
        index: usize,
        input: &Input,
        frames_per_task: Option<usize>,
    ) -> String {
        let folder = session_folder(index);
        let name = folder.display().to_string();
        let at = |file: &str| format!("{name}/{file}");
        let shape = input.movie.shape();
        let pixel_type = input.movie.pixel_type();
        let session = index;

        let settings = json!({
            "mode": config.register.mode,
            "max_shift_fraction": config.register.max_shift_fraction,
            "line_offset": config.register.line_offset,
        });
        let movie: Vec<PathBuf> = config.sessions[index]
            .movie
            .iter()
            .map(Into::into)
            .collect();
        let registration = [&at("motion.csv"), &at("motion.zarr"), &at("quality.json")];
        let registration = registration.map(String::as_str);
        let parts = self.registration(session, &name, input, movie, settings, frames_per_task);
        let left = if parts.len() > 1 { 0 } else { shape.frames };
        let cost = register(shape, pixel_type, left, self.memory).of(shape, pixel_type);
        let work = Work::Register { session };
        let id = at("register");
        let registered = self.add(&id, work, &parts, &registration, cost, json!({}));
        self.makes(&at("registered.zarr"), !config.register.keep);

        let denoised = self.add(
            &at("denoise"),
            Work::Denoise { session },
            &[registered],
            &[&at("lowrank.zarr")],
            denoise(config, shape, self.memory).of(shape, pixel_type),
            json!({"denoise": config.denoise, "seed": config.experiment.seed}),
        );
        self.add(
            &at("cells"),
            Work::Cells { session },
            &[denoised],
            &[&at("rois.zarr"), &at("rois.csv")],
            cells(config, shape, self.memory).of(shape, pixel_type),
            json!({
                "segment": config.segment,
                "trace": config.trace,
                "deconvolve": config.deconvolve,
                "pixel_size_um": config.experiment.pixel_size_um,
            }),
        )
    }

    /// Adds the tasks that a session's registration is put together from: the
    /// reference and, of a long movie, runs of frames.
    fn registration(
        &mut self,
        session: usize,
        name: &str,
        input: &Input,
        movie: Vec<PathBuf>,
        settings: serde_json::Value,
        frames_per_task: Option<usize>,
    ) -> Vec<String> {
        let at = |file: &str| format!("{name}/{file}");
        let (shape, pixel_type) = (input.movie.shape(), input.movie.pixel_type());
        let cost = reference(shape, pixel_type);
        let work = Work::Reference { session };
        let reference = self.add(&at("reference"), work, &[], &[], cost, settings);
        self.reads(movie, input.fingerprint.clone());
        self.makes(&at(super::register::REFERENCE), true);

        let piece = stage::piece_frames(shape, pixel_type);
        let frame_bytes = (shape.frame_len() * pixel_type.bytes()).max(1);
        let length = frames_per_task.unwrap_or(TASK / frame_bytes);
        let length = length.div_ceil(piece).max(1) * piece;
        let mut parts = vec![reference];
        // What is one task anyway is done where it is put together.
        if shape.frames > length {
            for first in (0..shape.frames).step_by(length) {
                let frames = [first, (first + length).min(shape.frames)];
                let id = at(&format!("register-{:04}", first / length));
                let work = Work::RegisterFrames { session, frames };
                let cost = register(shape, pixel_type, frames[1] - first, self.memory);
                let cost = cost.of(shape, pixel_type);
                let settings = json!({"frames": frames});
                self.add(&id, work, &parts[..1], &[], cost, settings);
                for first in (first..frames[1]).step_by(piece) {
                    self.makes(&at(&super::register::piece_name(first)), true);
                }
                parts.push(id);
            }
        }
        parts
    }

    fn add(
        &mut self,
        id: &str,
        work: Work,
        after: &[String],
        outputs: &[&str],
        cost: Cost,
        settings: serde_json::Value,
    ) -> String {
        self.tasks.push(Task {
            id: id.into(),
            work,
            after: after.to_vec(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            frames: cost.frames as u64,
            frame_bytes: cost.frame_bytes as u64,
            memory_bytes: cost.memory as u64,
            seconds: cost.seconds,
            input_fingerprint: String::new(),
            settings,
            fingerprint: String::new(),
        });
        for output in outputs {
            self.makes(output, false);
        }
        id.into()
    }

    /// Says what the task added last reads.
    fn reads(&mut self, inputs: Vec<PathBuf>, fingerprint: String) {
        if let Some(task) = self.tasks.last_mut() {
            task.inputs = inputs;
            task.input_fingerprint = fingerprint;
        }
    }

    /// Says what the task added last makes.
    fn makes(&mut self, path: &str, transient: bool) {
        if let Some(task) = self.tasks.last_mut() {
            task.outputs.push(Output {
                path: path.into(),
                transient,
            });
        }
    }

    /// Gives every task the fingerprint of all that it depends on.
    fn seal(&mut self) {
        let mut known = std::collections::BTreeMap::new();
        for task in &mut self.tasks {
            // Which tasks prepare the work does not matter to its result.
            let mut key = Fingerprint::new(&task.id);
            key.add(task.input_fingerprint.as_bytes());
            key.add_config(&task.settings);
            for before in &task.after {
                let prepares = before.contains("/register-");
                if !prepares && let Some(fingerprint) = known.get(before) {
                    key.add(std::string::String::as_bytes(fingerprint));
                }
            }
            task.fingerprint = key.finish();
            known.insert(task.id.clone(), task.fingerprint.clone());
        }
    }
}
