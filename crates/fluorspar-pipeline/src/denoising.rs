//! One movie, denoised on its own.

mod page;
mod record;

use std::path::{Path, PathBuf};
use std::time::Instant;

use fluorspar_denoise::{Blocks, Denoiser, LowRank, Parameters, Residual, residual};
use fluorspar_movie::{Budget, Movie};
use serde::Serialize;
use serde_json::{Value, json};

use crate::artefact::{Provenance, write_lowrank};
use crate::error::Context;
use crate::{Error, Observer, disk, source, strips};

/// How to denoise one movie.
#[derive(Clone, Debug, PartialEq)]
pub struct DenoiseOptions {
    /// Side of a block in pixels, about; blocks overlap by half.
    pub block: usize,
    /// Planes of a block; 1 treats planes one by one.
    pub block_planes: usize,
    /// Chance that a block of pure noise keeps a component.
    pub false_acceptance: f64,
    /// Most components kept in one block.
    pub max_rank: usize,
    /// Share of their signals' variance that smoothing may cost time courses;
    /// 0 leaves them as they are.
    pub smoothing_loss: f64,
    /// Seed of every random draw.
    pub seed: u64,
    /// `[first, end)` of the frames; all if not said.
    pub frames: Option<[usize; 2]>,
    /// Only this channel, counted from 0.
    pub channel: Option<usize>,
    /// Frame rate in Hz to write instead of what the files say.
    pub frame_rate: Option<f64>,
    /// Take pages as they are, even if the settings name several regions.
    pub whole_pages: bool,
}

impl Default for DenoiseOptions {
    fn default() -> Self {
        let parameters = Parameters::default();
        Self {
            block: parameters.blocks.side,
            block_planes: parameters.blocks.planes,
            false_acceptance: parameters.significance,
            max_rank: parameters.max_rank,
            smoothing_loss: parameters.smoothing_loss,
            seed: parameters.seed,
            frames: None,
            channel: None,
            frame_rate: None,
            whole_pages: false,
        }
    }
}

impl DenoiseOptions {
    /// `base`, changed as these options say.
    fn parameters(&self, mut base: Parameters) -> Parameters {
        base.blocks = Blocks {
            planes: self.block_planes,
            side: self.block,
        };
        base.significance = self.false_acceptance;
        base.max_rank = self.max_rank;
        base.smoothing_loss = self.smoothing_loss;
        base.seed = self.seed;
        base
    }
}

/// What was denoised.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Denoised {
    /// The low-rank movie.
    pub lowrank: PathBuf,
    /// These numbers and more as JSON; `None` for several fields.
    pub record: Option<PathBuf>,
    /// The page with pictures; `None` for several fields.
    pub report: Option<PathBuf>,
    /// One sentence on whether only noise was removed.
    pub verdict: String,
    /// Its frames.
    pub frames: usize,
    /// Its planes.
    pub planes: usize,
    /// Rows of an image, pixels.
    pub height: usize,
    /// Columns of an image, pixels.
    pub width: usize,
    /// Components in all.
    pub components: usize,
    /// Blocks that have any.
    pub blocks: usize,
    /// Median number of components of those blocks.
    pub components_per_block: usize,
    /// Bytes of the input's pixels, as stored but without compression.
    pub input_bytes: u64,
    /// Bytes of the low-rank movie on disk.
    pub lowrank_bytes: u64,
    /// The first divided by the second.
    pub compression: f64,
    /// Median of the usable pixels' noise, in the movie's units.
    pub median_noise: f64,
    /// Wall time of the decomposition in seconds, reading included.
    pub fit_seconds: f64,
    /// Frames decomposed in a second of it.
    pub frames_per_second: f64,
    /// Wall time of everything in seconds.
    pub seconds: f64,
    /// How pages of several strips were understood, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub understood: Option<String>,
    /// The fields of a recording that has several, each in a folder of its
    /// own; `lowrank` is then the folder of them all, the verdict the first's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Denoised>,
}

/// Denoises one movie: registered, or raw if it does not move.
///
/// `out` is the `NAME.zarr` to write, or a folder that gets `lowrank.zarr`;
/// beside it come `NAME.json` with numbers and `NAME.html` with pictures.
/// Pages that hold several regions as strips are put together as for
/// [`register`](crate::register).
///
/// # Errors
/// [`Error::Usage`] if the output is there already or options are out of
/// range; otherwise [`Error::Stage`] or [`Error::BadData`] naming the file.
pub fn denoise(
    inputs: &[PathBuf],
    out: &Path,
    options: &DenoiseOptions,
    budget: Budget,
    observer: &dyn Observer,
) -> Result<Denoised, Error> {
    let parameters = options.parameters(Parameters::default());
    parameters
        .validate()
        .map_err(|error| Error::Usage(error.to_string()))?;
    let selection = source::Selection {
        frames: options.frames,
        channel: options.channel,
        whole_pages: options.whole_pages,
    };
    let (movie, layout) = source::open_selection(inputs, selection)?;
    let task = Task {
        inputs,
        options,
        parameters: &parameters,
        budget,
        observer,
    };
    let Some(layout) = layout else {
        return task.run(&*movie, &target_of(out), None);
    };
    let fields = strips::fields(movie, &layout, None, &[])?;
    if fields.len() > 1 && is_named(out) {
        return Err(Error::Usage(format!(
            "the recording has {} fields; give a folder instead of {}, or --whole-pages",
            fields.len(),
            out.display()
        )));
    }
    let several = fields.len() > 1;
    let mut done = Vec::new();
    for (k, field) in fields.into_iter().enumerate() {
        let target = if several {
            out.join(format!("field-{}/lowrank.zarr", k + 1))
        } else {
            target_of(out)
        };
        done.push(task.run(&*field.movie, &target, Some(&field.account))?);
    }
    match <[Denoised; 1]>::try_from(done) {
        Ok([one]) => Ok(one),
        Err(fields) => Ok(Denoised {
            lowrank: out.to_path_buf(),
            record: None,
            report: None,
            seconds: fields.iter().map(|field| field.seconds).sum(),
            fields: fields.clone(),
            ..fields.into_iter().next().unwrap_or_default()
        }),
    }
}

/// Whether `out` names the artefact itself rather than a folder for it.
fn is_named(out: &Path) -> bool {
    out.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("zarr"))
}

fn target_of(out: &Path) -> PathBuf {
    if is_named(out) {
        out.to_path_buf()
    } else {
        out.join("lowrank.zarr")
    }
}

/// What all fields of a recording share.
struct Task<'a> {
    inputs: &'a [PathBuf],
    options: &'a DenoiseOptions,
    parameters: &'a Parameters,
    budget: Budget,
    observer: &'a dyn Observer,
}

impl Task<'_> {
    /// Denoises one movie into `target` and the files beside it; a folder that
    /// was made for nothing goes again.
    fn run(
        &self,
        movie: &dyn Movie,
        target: &Path,
        account: Option<&strips::Account>,
    ) -> Result<Denoised, Error> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let made = !folder.exists();
        let done = self.run_in(folder, movie, target, account);
        if made && done.is_err() {
            // Fails, as it should, if something is in there.
            let _ = std::fs::remove_dir(folder);
        }
        done
    }

    fn run_in(
        &self,
        folder: &Path,
        movie: &dyn Movie,
        target: &Path,
        account: Option<&strips::Account>,
    ) -> Result<Denoised, Error> {
        let begun = Instant::now();
        let (record, report) = (target.with_extension("json"), target.with_extension("html"));
        for path in [target, &record, &report] {
            if path.exists() {
                return Err(Error::Usage(format!(
                    "{} exists already; remove it or choose another output",
                    path.display()
                )));
            }
        }
        disk::check_writable(folder)?;
        let place = self.inputs.first().map(|path| path.display().to_string());
        let place = place.unwrap_or_default();
        let shape = movie.shape();
        let observer = self.observer;
        let advance = |frames| observer.advance(frames);
        observer.start("denoising", shape.frames as u64);
        let mut lowrank = Denoiser::new(self.parameters.clone())
            .at(&place)?
            .fit(movie, self.budget, &advance)
            .at(&place)?;
        if let Some(rate) = self.options.frame_rate {
            lowrank = lowrank.with_frame_rate(rate);
        }
        let fit_seconds = begun.elapsed().as_secs_f64();
        observer.finish("denoising", fit_seconds);

        let step = "looking at what is left";
        observer.start(step, Residual::sampled(shape) as u64);
        let left = residual(movie, &lowrank, self.budget, &advance).at(&place);
        observer.finish(step, begun.elapsed().as_secs_f64() - fit_seconds);
        let provenance = Provenance {
            parameters: self.parameters,
            input: self.input(movie),
        };
        // Hours of work are kept even if the movie could not be read again.
        write_lowrank(target, &lowrank, &provenance, left.as_ref().ok())?;
        let left = left?;

        let input_bytes = (shape.frames * shape.frame_len() * movie.pixel_type().bytes()) as u64;
        let lowrank_bytes = disk::size(target)?;
        let per_block = components_per_block(&lowrank);
        let mut done = Denoised {
            lowrank: target.to_path_buf(),
            record: Some(record.clone()),
            report: Some(report.clone()),
            verdict: left.verdict(),
            frames: shape.frames,
            planes: shape.planes,
            height: shape.height,
            width: shape.width,
            components: lowrank.rank(),
            blocks: per_block.len(),
            components_per_block: per_block.get(per_block.len() / 2).copied().unwrap_or(0),
            input_bytes,
            lowrank_bytes,
            compression: input_bytes as f64 / lowrank_bytes.max(1) as f64,
            median_noise: median_noise(&lowrank),
            fit_seconds,
            frames_per_second: shape.frames as f64 / fit_seconds.max(1e-9),
            seconds: 0.0,
            understood: account.map(|account| account.understood.clone()),
            fields: Vec::new(),
        };
        let html = page::page(&done, &lowrank, &left)?;
        disk::write(&report, html.as_bytes())?;
        if let Some(account) = account {
            account.write(folder)?;
        }
        let text = format!("{:#}\n", record::summary(&done, &left, &provenance));
        disk::write(&record, text.as_bytes())?;
        done.seconds = begun.elapsed().as_secs_f64();
        Ok(done)
    }

    /// What is said of the input: names without folders, so that results do
    /// not depend on where they were made.
    fn input(&self, movie: &dyn Movie) -> Value {
        let name = |path: &PathBuf| {
            let name = path.file_name().unwrap_or(path.as_os_str());
            name.to_string_lossy().into_owned()
        };
        let files: Vec<String> = self.inputs.iter().map(name).collect();
        json!({
            "files": files,
            "frames": self.options.frames,
            "channel": self.options.channel,
            "pixel_type": movie.pixel_type().to_string(),
        })
    }
}

/// Numbers of components of the blocks that have any, ascending.
fn components_per_block(lowrank: &LowRank) -> Vec<usize> {
    let blocks = &lowrank.parts().component_block;
    let mut counts = std::collections::BTreeMap::<u32, usize>::new();
    for &block in blocks {
        *counts.entry(block).or_default() += 1;
    }
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_unstable();
    counts
}

/// Median of the usable pixels' noise, 0 if there are none.
fn median_noise(lowrank: &LowRank) -> f64 {
    let noise = lowrank.noise();
    let mut usable: Vec<f32> = noise.iter().copied().filter(|&v| v > 0.0).collect();
    usable.sort_unstable_by(f32::total_cmp);
    usable
        .get(usable.len() / 2)
        .map_or(0.0, |&median| f64::from(median))
}
