//! A simulated experiment written as the files that a laboratory would have.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fluorspar_movie::{Budget, Movie, MovieSink as _};
use fluorspar_simulate::{Epoch, Experiment, Plan, SessionTruth};
use fluorspar_tiff::{Dialect, Writer, WriterOptions};
use fluorspar_zarr::GroupWriter;
use ndarray::{Array2, aview1};
use serde::Deserialize;
use serde_json::json;

use crate::copy::copy;
use crate::error::Context;
use crate::{Error, Observer, disk};

/// Declares the mirror of one of the simulator's structs in which every key may be left out.
macro_rules! spec {
    ($name:ident for $plan:ty { $($key:ident: $type:ty),* $(,)? }) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct $name { $($key: Option<$type>),* }
        impl $name {
            fn apply(self, plan: &mut $plan) {
                $(if let Some(value) = self.$key { plan.$key = value; })*
            }
        }
    };
}

spec!(Top for Plan {
    sessions: usize, days: Vec<f64>, trials: usize, cells: usize,
    height: usize, width: usize, frame_rate: f64, seed: u64,
});
spec!(Task for fluorspar_simulate::TaskPlan {
    lead_in_s: f64, period_s: f64, jitter_s: f64, error_fraction: f64,
});
spec!(Code for fluorspar_simulate::CodePlan {
    odour1_fraction: f64, early_delay_fraction: f64, late_delay_fraction: f64,
    odour2_fraction: f64, choice_fraction: f64, drifting_steps: usize, step_correlation: f64,
});
spec!(Activity for fluorspar_simulate::ActivityPlan {
    baseline_hz: f64, reliability: f64, error_reliability: f64, spikes_per_response: f64,
    tau_s: f64, spike_dff: f64, active_spikes: u32,
});
spec!(Field for fluorspar_simulate::FieldPlan {
    diameter_px: f64, spacing: f64, shift_px: f64, jitter_px: f64, absent_fraction: f64,
    undetected_fraction: f64, silent_fraction: f64, undetected_contrast: f64,
});
spec!(Motion for fluorspar_simulate::MotionPlan {
    walk_px: f64, walk_tau_s: f64, jumps_per_minute: f64, jump_px: f64, jump_tau_s: f64,
    limit_px: f64,
});
spec!(Optics for fluorspar_simulate::OpticsPlan {
    soma_photons: f64, neuropil_photons: f64, neuropil_modulation: f64, neuropil_tau_s: f64,
    neuropil_length_px: f64, neuropil_coefficient: f64, vignetting: f64, bleaching: f64,
    brightness_range: f64, counts_per_photon: f64, read_noise_counts: f64, offset_counts: f64,
});

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Spec {
    experiment: Top,
    task: Task,
    code: Code,
    activity: Activity,
    field: Field,
    motion: Motion,
    optics: Optics,
}

/// Parses a simulation's `SPEC.toml`: `[experiment]`, `[task]`, `[code]`,
/// `[activity]`, `[field]`, `[motion]` and `[optics]` with the keys of
/// [`Plan`]; what is left out keeps its default. `path` is for messages.
///
/// # Errors
/// [`Error::Config`] for broken TOML, unknown keys and a plan that cannot be simulated.
pub fn parse_plan(text: &str, path: &Path) -> Result<Plan, Error> {
    let spec: Spec = toml::from_str(text)
        .map_err(|error| Error::config(path, crate::config::explain(text, &error)))?;
    let mut plan = Plan::default();
    spec.experiment.apply(&mut plan);
    spec.task.apply(&mut plan.task);
    spec.code.apply(&mut plan.code);
    spec.activity.apply(&mut plan.activity);
    spec.field.apply(&mut plan.field);
    spec.motion.apply(&mut plan.motion);
    spec.optics.apply(&mut plan.optics);
    plan.validate()
        .map_err(|error| Error::config(path, error.to_string()))?;
    Ok(plan)
}

/// Reads a simulation's `SPEC.toml` and writes the experiment into `out`;
/// returns the path of `experiment.toml`.
///
/// # Errors
/// As [`parse_plan`] and [`write_experiment`]; [`Error::Usage`] if `out` is not empty.
pub fn simulate(spec: &Path, out: &Path, observer: &dyn Observer) -> Result<PathBuf, Error> {
    let plan = parse_plan(&crate::config::read_text(spec)?, spec)?;
    let occupied = out.is_dir()
        && std::fs::read_dir(out)
            .map_err(|e| Error::io(out, e))?
            .next()
            .is_some();
    if occupied {
        return Err(Error::Usage(format!(
            "{} is not empty; choose another output folder",
            out.display()
        )));
    }
    let experiment = Experiment::build(&plan).map_err(|e| Error::config(spec, e.to_string()))?;
    write_experiment(&experiment, "simulated", out, observer)
}

/// Writes an experiment into `folder` as raw data: per session
/// `session-NN/movie.tif` (ScanImage-style int16), `session-NN/trials.csv` and
/// `session-NN/truth.zarr`; `experiment.toml` and the planted code
/// `truth.json` beside them. Returns the path of `experiment.toml`.
///
/// # Errors
/// [`Error::Stage`] or [`Error::Io`] naming the file that cannot be written.
pub fn write_experiment(
    experiment: &Experiment,
    name: &str,
    folder: &Path,
    observer: &dyn Observer,
) -> Result<PathBuf, Error> {
    disk::check_writable(folder)?;
    let truth = experiment.truth();
    for (index, session) in truth.sessions.iter().enumerate() {
        if observer.stop() {
            return Err(Error::Stopped);
        }
        let here = folder.join(format!("session-{:02}", index + 1));
        disk::create_folder(&here)?;
        let movie = experiment.session(index);
        write_tiff(&movie, &here.join("movie.tif"), observer)?;
        let trials = experiment.trials_csv(index);
        disk::write(&here.join("trials.csv"), trials.as_bytes())?;
        write_truth(session, &here.join("truth.zarr"))?;
    }
    let planted = json!({
        "days": truth.days,
        "drifting_steps": truth.drifting_steps,
        "expected_correlation": Epoch::ALL
            .iter()
            .map(|&epoch| (epoch.name().to_owned(), json!(rows(truth.expected_correlation(epoch)))))
            .collect::<serde_json::Map<_, _>>(),
        "roi_index": truth.roi_index().rows().into_iter().map(|row| row.to_vec()).collect::<Vec<_>>(),
    });
    disk::write(
        &folder.join("truth.json"),
        format!("{planted:#}\n").as_bytes(),
    )?;
    let path = folder.join("experiment.toml");
    disk::write(&path, experiment_toml(experiment, name).as_bytes())?;
    Ok(path)
}

fn rows(values: ndarray::ArrayView2<'_, f64>) -> Vec<Vec<f64>> {
    values.rows().into_iter().map(|row| row.to_vec()).collect()
}

fn experiment_toml(experiment: &Experiment, name: &str) -> String {
    let plan = experiment.plan();
    let truth = experiment.truth();
    let mut text = format!(
        "# A simulated odour delayed-association experiment; the truth is in truth.json and\n\
         # session-NN/truth.zarr. Lengths are in pixels (pixel_size_um = 1).\n\
         [experiment]\nname = {}\npixel_size_um = 1.0\nseed = {}\n\n",
        toml::Value::String(name.into()),
        plan.seed
    );
    for (index, day) in truth.days.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "[[session]]\nday = {day:?}\nmovie = \"session-{0:02}/movie.tif\"\n\
             trials = \"session-{0:02}/trials.csv\"\n\n",
            index + 1
        );
    }
    text.push_str("[epochs] # seconds from trial onset\n");
    for epoch in Epoch::ALL {
        let (start, stop) = epoch.window_s();
        let _ = writeln!(text, "{} = [{start:?}, {stop:?}]", epoch.name());
    }
    let _ = write!(
        text,
        "\n[register]\nmode = \"rigid\" # the simulated field moves as a whole\n\n\
         [segment]\ndiameter_um = {:?}\n\n[drift]\nvariables = [\"odour1\", \"choice\"]\n",
        plan.field.diameter_px
    );
    text
}

fn write_tiff(movie: &dyn Movie, path: &Path, observer: &dyn Observer) -> Result<(), Error> {
    let shape = movie.shape();
    let step = format!("writing {}", path.display());
    observer.start(&step, shape.frames as u64);
    let begun = std::time::Instant::now();
    let options = WriterOptions {
        frame_rate: movie.frame_rate(),
        dialect: Dialect::ScanImage,
        ..WriterOptions::default()
    };
    let mut writer = Writer::create(path, shape, movie.pixel_type(), &options).at(path.display())?;
    copy(movie, &mut writer, Budget::default(), observer).at(path.display())?;
    Box::new(writer).finish().at(path.display())?;
    observer.finish(&step, begun.elapsed().as_secs_f64());
    Ok(())
}

fn write_truth(session: &SessionTruth, path: &Path) -> Result<(), Error> {
    let place = path.display();
    let mut group = GroupWriter::create(path).at(&place)?;
    let all = &session.footprints;
    group
        .array("indptr", &aview1(all.indptr()), &["roi_boundary"])
        .at(&place)?;
    group
        .array("indices", &aview1(all.indices()), &["entry"])
        .at(&place)?;
    group
        .array("weights", &aview1(all.weights()), &["entry"])
        .at(&place)?;
    group
        .array("plane", &aview1(all.planes()), &["roi"])
        .at(&place)?;
    group
        .array("cell", &aview1(&session.cell), &["roi"])
        .at(&place)?;
    let active: Vec<u8> = session.active.iter().map(|&a| u8::from(a)).collect();
    group
        .array("active", &aview1(&active), &["roi"])
        .at(&place)?;
    let motion = Array2::from_shape_fn((session.motion.len(), 2), |(frame, axis)| {
        let (dy, dx) = session.motion[frame];
        if axis == 0 { dy } else { dx }
    });
    group
        .array("motion", &motion.view(), &["frame", "dy_dx"])
        .at(&place)?;
    group
        .array("spikes", &session.spikes.view(), &["cell", "frame"])
        .at(&place)?;
    group
        .array("dff", &session.dff.view(), &["cell", "frame"])
        .at(&place)?;
    let (dy, dx) = session.field_shift;
    for (key, value) in [
        ("height", json!(all.height())),
        ("width", json!(all.width())),
        ("field_shift", json!([dy, dx])),
    ] {
        group.attribute(key, value).at(&place)?;
    }
    group.finish().at(&place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_changes_what_it_names() {
        let path = Path::new("spec.toml");
        let plan = parse_plan("[experiment]\ntrials = 8\n[motion]\nwalk_px = 0.5\n", path).unwrap();
        assert_eq!(plan.trials, 8);
        assert_eq!(plan.motion.walk_px, 0.5);
        assert_eq!(plan.cells, Plan::default().cells);
        let error = parse_plan("[motion]\nwalk_pix = 1.0\n", path).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `walk_px`"),
            "{error}"
        );
        assert!(parse_plan("[experiment]\ntrials = 0\n", path).is_err());
    }

    #[test]
    fn the_written_experiment_is_a_valid_configuration() {
        let plan = Plan {
            sessions: 2,
            trials: 4,
            cells: 10,
            height: 64,
            width: 64,
            ..Plan::default()
        };
        let experiment = Experiment::build(&plan).unwrap();
        let text = experiment_toml(&experiment, "a \"quoted\" name");
        let config = crate::ExperimentConfig::parse(&text, Path::new("e.toml")).unwrap();
        assert_eq!(config.sessions.len(), 2);
        assert_eq!(config.epochs["late_delay"], [3.5, 6.0].into());
    }
}
