mod drift;
mod plan;
mod track;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use fluorspar_pipeline::DenoiseOptions;

pub(crate) use drift::Drift;
pub(crate) use plan::{Plan, Task, Verify};
pub(crate) use track::Track;

/// From raw two-photon calcium movies to an answer about representational drift.
///
/// Point `run` at an experiment.toml that lists your sessions, or try `demo` first: it simulates an
/// experiment with known truth, analyses it and compares.
#[derive(Debug, Parser)]
#[command(name = "fluorspar", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print results as JSON on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Worker threads [default: all cores]. Results do not depend on it.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Memory to stay within, such as 4GiB or 800MB [default: three quarters of what the machine, or
    /// the container or cluster job, has].
    #[arg(long, global = true, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) memory: Option<String>,

    /// Progress on stderr: bars or lines of text, or one JSON object per line (docs/logs.md).
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Log::Text)]
    pub(crate) log: Log,

    /// No progress; warnings and errors remain.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// How progress is told on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate an experiment, analyse it, and compare with what was planted
    Demo(Demo),
    /// Analyse an experiment: raw movies to cells, traces, drift tables and report.html
    Run(Run),
    /// Cut an experiment into tasks that a cluster can do: plan.json
    ///
    /// Everything that `run` would do, as tasks with what each needs, makes, holds in memory and takes
    /// in time. Any workflow engine that knows how to start `fluorspar task PLAN ID` once the tasks
    /// named in `after` are done can do them; docs/scale.md has workflows for Snakemake and Slurm.
    /// `run` does the same tasks one after the other, and takes over what others have done.
    Plan(Plan),
    /// Do one task of a plan, unless it is done
    ///
    /// Any number of processes on machines that share the folders may do tasks of one plan at the same
    /// time. A task that was killed goes on where it was. Exit code 0 says that all the task makes is on disk.
    Task(Task),
    /// Check every file of a run against the digest it had when it was finished
    Verify(Verify),
    /// Show shape, type, codec and frame rate of movies
    Info {
        /// TIFF files, folders of TIFF files, or Zarr folders
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write any movie as .zarr or .tif (several TIFF files become one movie)
    Convert(Convert),
    /// Correct the motion of one movie, straight from its raw files
    ///
    /// Planes recorded together, such as those of light beads microscopy, are registered together:
    /// each as a whole, dim ones helped by bright ones. For TIFF files of several planes say
    /// --channel, so that images that follow each other become volumes.
    ///
    /// Pages of several regions (ScanImage's mROI: the strips of a mesoscope, one below the other)
    /// are put together as they are read, the odd lines of each strip moved by its own offset;
    /// strips.json says how. Regions that do not touch are fields of their own and go to OUT/field-1,
    /// OUT/field-2, …; --reference and --motion then take the folder of an earlier registration.
    Register(Register),
    /// Split one movie into a few components and noise: lowrank.zarr, 10 to 100 times smaller
    ///
    /// The movie, registered before (or not moving), becomes U V + mean: in overlapping blocks of
    /// pixels the components whose time courses are smoother than noise could be are kept, the rest
    /// is thrown away. OUT is the NAME.zarr to write, or a folder that gets lowrank.zarr.
    ///
    /// Look at NAME.html beside it. Its first sentence says whether what was removed is noise: noise
    /// says nothing about the next frame, so where the residual does, signal was thrown away, and
    /// the map shows where. If cells stand out there, raise --max-rank or --false-acceptance, or
    /// register better: motion that is left needs many components. If nothing stands out but the
    /// movie hardly shrinks, lower them. NAME.json has the numbers for programs.
    ///
    /// NAME.zarr is itself a movie: `fluorspar info` describes it and `fluorspar convert` writes its
    /// frames out. docs/formats.md rebuilds them in six lines of Python.
    Denoise(Denoise),
    /// Find the cells of one registered movie: rois.zarr with footprints, traces, ΔF/F and events
    ///
    /// IN is a registered movie (or one that stands still), or a lowrank.zarr. OUT is a folder that
    /// gets rois.zarr, rois.csv with one row of numbers per ROI, and rois.html; and lowrank.zarr, if
    /// the movie was not denoised before (--lowrank).
    ///
    /// Every ROI that was found is kept and judged: `is_cell` marks those more probably cells in
    /// focus than not, and rois.csv says what speaks for and against each. Look at rois.html: if
    /// cells are red, the diameter may be wrong (--diameter); if fragments are green, raise it.
    ///
    /// F and Fneu are those a Suite2p user knows: weighted means over the footprint's own pixels and
    /// over the ring around it, in the movie as it is. ΔF/F and events are made in the denoised movie
    /// with overlaps taken apart (--source, --overlaps, --neuropil and --baseline change that).
    Segment(Segment),
    /// Deconvolve ΔF/F traces to events
    ///
    /// TRACES is a rois.zarr, or a .npy file of ΔF/F with axes (roi, frame). OUT is a NAME.zarr with
    /// events and the kernel, noise and resting level of each trace, or a NAME.npy with events alone.
    ///
    /// The decay and rise times of the indicator are learnt from the most active traces unless
    /// --tau gives the decay. Events are in units of ΔF/F: the height that calcium would reach after
    /// each alone.
    Deconvolve(Deconvolve),
    /// The same cells across sessions: tracks.zarr with identities and how sure they are
    ///
    /// Each ROIS is one session, in order of time: a rois.zarr or the folder that holds one (its
    /// cells; the mean image is taken from motion.zarr or lowrank.zarr in the same folder), the folder
    /// of a plane of Suite2p (stat.npy, iscell.npy, ops.npy), a .npz with indptr, indices, weights and
    /// shape (and plane and mean_image, if known), or an image of labels (0: none, one page per
    /// plane). OUT is a folder that gets tracks.zarr, tracks.html and tables as CSV.
    ///
    /// Fields are aligned first: they may be shifted, turned, stretched and bent. Look at
    /// tracks.html: where sessions are aligned, outlines of a cell lie on each other. A session that
    /// cannot be aligned is named there, on stderr and in alignment.csv; its cells stand alone.
    ///
    /// Then ROIs near each other get a probability to be one cell (pairs.csv), and are joined as far
    /// as --precision of the joins are expected to be right. Raise it if wrong joins cost more than
    /// missed ones. tracks.csv says of every cell and session which ROI it is, and if none, why:
    /// `undetected` (its place was seen), `absent` (outside the field) or `unknown` (not aligned).
    ///
    /// Cells, sessions and ROIs are counted from 0 in all tables, as arrays are; ROIs among all of
    /// their file, cells or not. For example, with the output folders of `fluorspar segment`:
    ///
    /// `fluorspar track day1 day2 day3 across --transfer`
    Track(Track),
    /// Write a simulated experiment as raw files with its truth
    Simulate(Simulate),
    /// How the code drifts over days: tables and report, from anyone's cells
    ///
    /// INPUT is one of
    ///
    /// - an experiment.toml, as for `run`, whose sessions name what was found in them instead of a
    ///   movie: `rois` (rois.zarr), `suite2p` (the folder of a plane, or the one with plane0, plane1,
    ///   …), `nwb` (an HDF5 file) or `tensor` (session-NN.npz). Which ROI is which cell is told by
    ///   `tracks` in [experiment]: tracks.zarr or tracks.csv of `fluorspar track`, or the result of
    ///   CellReg, ROICaT or Track2p; NWB files and tensors may say it themselves;
    ///
    /// - the output folder of `fluorspar run`;
    ///
    /// - a folder with session-01.npz, session-02.npz, …: trials cut out elsewhere.
    ///
    /// With several inputs, one per animal, each gets a folder in OUT, and study.csv holds the
    /// tests of crystallization over animals.
    ///
    /// For example, cells of Suite2p followed by CellReg:
    ///
    /// ```text
    /// [experiment]
    /// name = "m12"
    /// tracks = "cellRegistered.mat"
    ///
    /// [[session]]
    /// day = 1
    /// suite2p = "day01/suite2p/plane0"
    /// trials = "day01/trials.csv"      # onset_s, odour1, …
    ///
    /// [epochs]                         # seconds from onset_s
    /// late_delay = [3.5, 6.0]
    /// ```
    ///
    /// docs/formats.md lists every key and array. What is given here replaces what the
    /// experiment.toml says.
    #[command(verbatim_doc_comment)]
    Drift(Drift),
}

impl Command {
    /// Whether finished work is kept and the same command goes on from there,
    /// so that Ctrl-C may wait for the block in work. Others end at once.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Task(_))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Output folder
    #[arg(long, value_name = "DIR", default_value = "fluorspar-demo")]
    pub(crate) out: PathBuf,
    /// Recording days to simulate
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=60))]
    pub(crate) sessions: u16,
    /// Seed of the simulation and of every random draw
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The experiment: sessions, epochs and settings (see docs/formats.md)
    pub(crate) experiment: PathBuf,
    /// Output folder [default: the experiment's name beside experiment.toml]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with an earlier run and replace what is damaged or whose inputs or settings changed
    ///
    /// Without it a run that was stopped goes on too, but nothing that is finished is replaced.
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Do everything anew
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// Movies, then the output: IN... OUT
    #[arg(required = true, num_args = 2.., value_name = "IN... OUT")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only frames FIRST..END (END excluded)
    #[arg(long, value_name = "FIRST..END", value_parser = range)]
    pub(crate) frames: Option<[usize; 2]>,
    /// Only this channel (from 0), its planes put together into volumes
    #[arg(long, value_name = "N")]
    pub(crate) channel: Option<usize>,
    /// Keep the whole frames of TIFF files that break off, instead of refusing them
    #[arg(long)]
    pub(crate) salvage: bool,
    /// Frame rate in Hz to write, instead of what the files say
    #[arg(long, value_name = "HZ", value_parser = positive)]
    pub(crate) frame_rate: Option<f64>,
    /// Side of a pixel in µm to write
    #[arg(long, value_name = "UM", value_parser = positive)]
    pub(crate) pixel_size: Option<f64>,
    /// none, deflate, lzw or zstd for .tif; none, blosc, zstd or gzip for .zarr
    /// [default: none for .tif, blosc for .zarr]
    #[arg(long, value_name = "NAME")]
    pub(crate) compression: Option<String>,
    /// imagej, ome, scanimage or plain for .tif; plain or ome for .zarr
    /// [default: imagej for .tif, plain for .zarr]
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: Option<String>,
    /// Keep an unfinished .zarr and go on with one
    #[arg(long)]
    pub(crate) resume: bool,
    /// Do not read the output back to compare it with the input
    #[arg(long)]
    pub(crate) no_verify: bool,
}

// What is taken of one movie's files; no doc comment, which would become the commands' help.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Take pages as they are, even if the file names several regions
    #[arg(long)]
    pub(crate) whole_pages: bool,
    /// Only frames FIRST..END (END excluded)
    #[arg(long, value_name = "FIRST..END", value_parser = range)]
    pub(crate) frames: Option<[usize; 2]>,
    /// Only this channel (from 0), its planes put together into volumes
    #[arg(long, value_name = "N")]
    pub(crate) channel: Option<usize>,
    /// Frame rate in Hz to write, instead of what the files say
    #[arg(long, value_name = "HZ", value_parser = positive)]
    pub(crate) frame_rate: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Register {
    /// Movies (several TIFF files become one), then the output folder: IN... OUT
    #[arg(required = true, num_args = 2.., value_name = "IN... OUT")]
    pub(crate) paths: Vec<PathBuf>,
    /// Move frames as a whole only, not their parts beside it; movies of several planes always are
    #[arg(long)]
    pub(crate) rigid: bool,
    /// Largest shift, as a fraction of the shorter side
    #[arg(long, value_name = "FRACTION", default_value_t = 0.1)]
    pub(crate) max_shift: f64,
    /// Offset of odd lines in pixels, for frames scanned back and forth [default: found out]
    #[arg(long, value_name = "PX", allow_negative_numbers = true)]
    pub(crate) line_offset: Option<f32>,
    /// Register to this image, to the mean of this movie or to the reference in this motion.zarr,
    /// of as many planes as the movie has [default: built from the movie]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) reference: Option<PathBuf>,
    /// Move frames as this motion.zarr says, such as a second channel as the first
    #[arg(long, value_name = "MOTION.zarr")]
    pub(crate) motion: Option<PathBuf>,
    /// Write registered.tif rather than registered.zarr
    #[arg(long)]
    pub(crate) tiff: bool,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Distance between planes in µm, for the depth over time [default: what the files say]
    #[arg(long, value_name = "UM", value_parser = positive)]
    pub(crate) plane_spacing: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Denoise {
    /// Movies (several TIFF files become one), then the output, NAME.zarr or a folder: IN... OUT
    #[arg(required = true, num_args = 2.., value_name = "IN... OUT")]
    pub(crate) paths: Vec<PathBuf>,
    /// Side of a block, about; blocks overlap by half. A few cells wide is right
    #[arg(long, value_name = "PIXELS", default_value_t = DenoiseOptions::default().block)]
    pub(crate) block: usize,
    /// Planes of a block: 1 treats planes one by one, more finds cells that reach through several
    #[arg(long, value_name = "N", default_value_t = DenoiseOptions::default().block_planes)]
    pub(crate) block_planes: usize,
    /// Chance that a block of pure noise keeps a component: higher keeps fainter signals, and more
    /// noise
    #[arg(long, value_name = "LEVEL", default_value_t = DenoiseOptions::default().false_acceptance)]
    pub(crate) false_acceptance: f64,
    /// Most components of one block
    #[arg(long, value_name = "N", default_value_t = DenoiseOptions::default().max_rank)]
    pub(crate) max_rank: usize,
    /// Time courses are smoothed as far as they are noise, but so that signals lose at most this
    /// share of their variance; 0 leaves them as they are
    #[arg(long, value_name = "SHARE", default_value_t = DenoiseOptions::default().smoothing_loss)]
    pub(crate) smoothing_loss: f64,
    /// Seed of every random draw
    #[arg(long, value_name = "SEED", default_value_t = DenoiseOptions::default().seed)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct Segment {
    /// The registered movie (several TIFF files become one), then the output folder: IN... OUT
    #[arg(required = true, num_args = 2.., value_name = "IN... OUT")]
    pub(crate) paths: Vec<PathBuf>,
    /// Diameter of a cell [default: measured in the movie]
    #[arg(long, value_name = "PIXELS", value_parser = positive)]
    pub(crate) diameter: Option<f64>,
    /// Cell bodies, or boutons and pieces of dendrites of any shape
    #[arg(long, value_name = "CLASS", default_value = "soma", value_parser = ["soma", "process"])]
    pub(crate) class: String,
    /// How often the movie is looked through for cells: more than once for those that stronger ones
    /// hid
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub(crate) passes: u8,
    /// The movie's lowrank.zarr, if it was denoised before
    #[arg(long, value_name = "LOWRANK.zarr")]
    pub(crate) lowrank: Option<PathBuf>,
    /// Cells that are known: an image of labels (0: none), one page per plane; or footprints, such as
    /// the session-NN-undetected.npz of `fluorspar track --transfer` or another rois.zarr. They come
    /// first and are always kept; others are looked for beside them
    #[arg(long, value_name = "IMAGE|FOOTPRINTS")]
    pub(crate) masks: Option<PathBuf>,
    /// Take cells that stand out of the mean image as known, active or not
    #[arg(long)]
    pub(crate) anatomy: bool,
    /// What ΔF/F and events are made of
    #[arg(long, value_name = "MOVIE", default_value = "denoised", value_parser = ["denoised", "registered"])]
    pub(crate) source: String,
    /// Overlapping ROIs are taken apart by least squares, or their shared pixels left out
    #[arg(long, value_name = "HOW", default_value = "demix", value_parser = ["demix", "leave-out"])]
    pub(crate) overlaps: String,
    /// Share of the neuropil that is subtracted, 0 to 1 [default: measured for each cell]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) neuropil: Option<f64>,
    /// F0: the level at rest, a running percentile, or Suite2p's maximin
    #[arg(long, value_name = "KIND", default_value = "rest", value_parser = ["rest", "percentile", "maximin"])]
    pub(crate) baseline: String,
    /// Window of a running baseline; `rest` half follows drifts of twice this period
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = positive)]
    pub(crate) baseline_window: f64,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
    /// Side of a pixel in µm, for cells that reach through several planes
    #[arg(long, value_name = "UM", value_parser = positive)]
    pub(crate) pixel_size: Option<f64>,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

// The indicator's response; no doc comment, which would become the commands' help.
#[derive(Debug, Args)]
pub(crate) struct Kernel {
    /// Decay time of the indicator [default: learnt from the traces]
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) tau: Option<f64>,
    /// Rise time of the indicator [default: learnt, or 0 if --tau is given]
    #[arg(long, value_name = "SECONDS", requires = "tau", value_parser = positive)]
    pub(crate) rise: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Deconvolve {
    /// A rois.zarr, or a .npy file of ΔF/F (roi, frame)
    pub(crate) traces: PathBuf,
    /// NAME.zarr or NAME.npy to write
    pub(crate) out: PathBuf,
    /// Frames per second, if the file does not say
    #[arg(long, value_name = "HZ", value_parser = positive)]
    pub(crate) frame_rate: Option<f64>,
    #[command(flatten)]
    pub(crate) kernel: Kernel,
    /// Cost of events, in standard deviations of the noise [default: none but not being negative]
    #[arg(long, value_name = "LAMBDA", conflicts_with_all = ["smallest", "noise_constraint"])]
    pub(crate) penalty: Option<f64>,
    /// No event smaller than this, in standard deviations of the noise
    #[arg(long, value_name = "SIZE", conflicts_with = "noise_constraint")]
    pub(crate) smallest: Option<f64>,
    /// As few events as leave no more than the noise unexplained
    #[arg(long)]
    pub(crate) noise_constraint: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// What to simulate: a TOML file with any of the sections experiment, task, code, activity,
    /// field, motion and optics; an empty file gives the demo's experiment
    pub(crate) spec: PathBuf,
    /// Output folder
    pub(crate) out: PathBuf,
}

/// `[first, end]` from `0..1000`.
fn range(text: &str) -> Result<[usize; 2], String> {
    let wrong = || format!("{text:?} is not a range of frames; write 0..1000");
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    Ok([
        first.trim().parse().map_err(|_| wrong())?,
        end.trim().parse().map_err(|_| wrong())?,
    ])
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|v: &f64| v.is_finite() && *v > 0.0)
        .ok_or_else(|| format!("{text:?} is not a positive number"))
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|v| (0.0..=1.0).contains(v))
        .ok_or_else(|| format!("{text:?} is not a number from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn frame_ranges_are_read() {
        assert_eq!(range("5..10"), Ok([5, 10]));
        assert!(range("5-10").is_err());
    }
}
