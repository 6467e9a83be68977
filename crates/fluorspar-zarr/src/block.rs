use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use fluorspar_movie::{Lost, MovieShape, MovieSink, PixelType};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::array::{ArrayFile, Unfinished, write_json};
use crate::flush::Flusher;
use crate::group::group_metadata;
use crate::layout::{Frames, Layout};
use crate::metadata::array_v3;
use crate::source::Source;
use crate::staging::Staging;
use crate::unfinished::same;
use crate::{Error, OpenOptions, WriteOptions, ome};

/// Shards that may wait to be flushed, each an open file.
const PENDING: usize = 16;

/// Writes a movie in blocks, in any order and from any number of threads, and
/// goes on after an interruption.
///
/// The unit is the shard of [`BlockWriter::shard_frames`] frames. A shard is
/// written under a temporary name, flushed and renamed, so each is there whole
/// or not at all, after a crash too. Until [`BlockWriter::finish`] the movie
/// lies in the hidden folder `.NAME.partial` beside its target; a drop leaves
/// it there for [`BlockWriter::resume`]. Several processes may resume the same
/// movie at once and share its shards out among them; the last one finishes.
///
/// The bytes on disk depend on the data and the options only, not on order,
/// threads or interruptions. Integer types take the nearest value, halves to
/// even; what does not fit saturates and is counted, NaN becomes 0 and is
/// counted. Encoding runs on the caller's rayon pool; one more thread waits
/// for the disk, so blocks of several shards keep both busy.
///
/// ```
/// use fluorspar_movie::{MovieShape, PixelType};
/// use fluorspar_zarr::{BlockWriter, MovieReader, WriteOptions};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("movie.zarr");
/// let shape = MovieShape::new(100, 1, 16, 16);
/// let options = WriteOptions { frame_rate: Some(30.0), ..WriteOptions::default() };
/// let writer = BlockWriter::create(&path, shape, PixelType::U16, &options)?;
/// writer.write(64, &vec![2.0; 36 * 256])?;
/// drop(writer); // the machine fails
///
/// let writer = BlockWriter::resume(&path, shape, PixelType::U16, &options)?;
/// assert_eq!(writer.done(), [64..100]);
/// for frames in writer.missing() {
///     writer.write(frames.start, &vec![1.0; frames.len() * 256])?;
/// }
/// writer.finish()?;
/// assert!(MovieReader::open(&path).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BlockWriter {
    staging: Staging,
    array: ArrayFile,
    layout: Layout,
    /// Only what outlives the process has to outlive a power failure at once.
    durable: bool,
    /// Flushes the files of what is not durable at once, while others are made.
    flusher: Option<Flusher>,
    states: Mutex<Vec<State>>,
    saturated: AtomicU64,
    nan: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Missing,
    Claimed,
    Whole,
}

impl BlockWriter {
    /// Starts a movie of `shape` at `path`. An unfinished one there is thrown away.
    ///
    /// An existing `path` is untouched until [`BlockWriter::finish`]. If what
    /// stands there is not Zarr, it is then kept as `NAME.replaced-0` beside it.
    ///
    /// # Errors
    /// [`Error::Empty`] for a shape with a zero, [`Error::Limit`] for frames or
    /// chunks over 1 GiB, [`Error::Misuse`] for options that make no sense,
    /// [`Error::Busy`] if another writer is at work on it, [`Error::Io`] if
    /// nothing can be written beside `path`.
    pub fn create(
        path: impl AsRef<Path>,
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriteOptions,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let layout = Layout::new(path, shape, pixel_type, options)?;
        Self::start(Staging::create_shared(path)?, layout, true)
    }

    /// A writer whose unfinished movie is its own, and goes with it.
    pub(crate) fn create_private(
        path: &Path,
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriteOptions,
    ) -> Result<Self, Error> {
        let layout = Layout::new(path, shape, pixel_type, options)?;
        Self::start(Staging::create(path)?, layout, false)
    }

    fn start(staging: Staging, layout: Layout, durable: bool) -> Result<Self, Error> {
        let folder = array_folder(&staging, layout.options.ome);
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        if let Some(group) = group_of(&layout) {
            write_json(&staging.folder().join("zarr.json"), &group)?;
        }
        let array = layout.plan(|plan| plan.create(&folder))?;
        let states = vec![State::Missing; layout.shards()];
        Ok(Self::new(staging, array, layout, durable, states))
    }

    /// Goes on with the unfinished movie that [`BlockWriter::create`] began at
    /// `path`; the parameters must be the same.
    ///
    /// # Errors
    /// [`Error::NothingToResume`] if none was begun, [`Error::Different`] if
    /// it was begun with other parameters (both name what is on disk), else as
    /// [`BlockWriter::create`].
    pub fn resume(
        path: impl AsRef<Path>,
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriteOptions,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let layout = Layout::new(path, shape, pixel_type, options)?;
        let nothing = || Error::NothingToResume { path: path.into() };
        let staging = Staging::resume_shared(path)?.ok_or_else(nothing)?;
        let folder = array_folder(&staging, options.ome);
        let planned = layout.plan(|plan| plan.metadata());
        same(&folder, &planned)?.ok_or_else(nothing)?;
        if let Some(group) = group_of(&layout) {
            same(staging.folder(), &group)?.ok_or_else(nothing)?;
        }
        let array = array_v3(Source::folder(&folder), planned, &OpenOptions::default())?;
        let states: Result<Vec<State>, Error> = (0..layout.shards())
            .into_par_iter()
            .map(|shard| {
                let whole = array.is_whole(&layout.index(shard))?;
                Ok(if whole { State::Whole } else { State::Missing })
            })
            .collect();
        Ok(Self::new(staging, array, layout, true, states?))
    }

    /// [`BlockWriter::resume`], or [`BlockWriter::create`] if there is nothing to resume.
    ///
    /// # Errors
    /// As those two.
    pub fn resume_or_create(
        path: impl AsRef<Path>,
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriteOptions,
    ) -> Result<Self, Error> {
        match Self::resume(&path, shape, pixel_type, options) {
            Err(Error::NothingToResume { .. }) => Self::create(path, shape, pixel_type, options),
            other => other,
        }
    }

    fn new(
        staging: Staging,
        array: ArrayFile,
        layout: Layout,
        durable: bool,
        states: Vec<State>,
    ) -> Self {
        Self {
            staging,
            array,
            layout,
            durable,
            flusher: (!durable).then(Flusher::new),
            states: Mutex::new(states),
            saturated: AtomicU64::new(0),
            nan: AtomicU64::new(0),
        }
    }

    /// Frames in a shard. Blocks start at a multiple of it and are a multiple
    /// of it long, except the one that ends the movie.
    pub fn shard_frames(&self) -> usize {
        self.layout.shard
    }

    /// What [`BlockWriter::shard_frames`] of such a movie will be.
    ///
    /// # Errors
    /// As [`BlockWriter::create`], but nothing is touched.
    pub fn planned_shard_frames(
        shape: MovieShape,
        pixel_type: PixelType,
        options: &WriteOptions,
    ) -> Result<usize, Error> {
        Layout::new(Path::new("movie"), shape, pixel_type, options).map(|layout| layout.shard)
    }

    /// The files of the shards that `frames` lie in: where they are now, and
    /// their names below the finished movie.
    pub fn shard_files(&self, frames: Range<usize>) -> Vec<(PathBuf, PathBuf)> {
        let shard = self.layout.shard;
        let shards = frames.start / shard..frames.end.div_ceil(shard).min(self.layout.shards());
        let root = self.staging.folder();
        shards
            .map(|shard| {
                let path = self.array.file_of(&self.layout.index(shard));
                let name = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
                (path, name)
            })
            .collect()
    }

    /// Frame ranges of the shards that are whole, joined where they touch.
    pub fn done(&self) -> Vec<Range<usize>> {
        self.frames_in(|state| state == State::Whole)
    }

    /// Frame ranges of the shards that nobody here has written or is writing.
    pub fn missing(&self) -> Vec<Range<usize>> {
        self.frames_in(|state| state == State::Missing)
    }

    fn frames_in(&self, wanted: impl Fn(State) -> bool) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (shard, _) in self
            .states()
            .iter()
            .enumerate()
            .filter(|(_, s)| wanted(**s))
        {
            let frames = self.layout.frames(shard..shard + 1);
            match ranges.last_mut() {
                Some(last) if last.end == frames.start => last.end = frames.end,
                _ => ranges.push(frames),
            }
        }
        ranges
    }

    /// Takes back the shards that `frames` lie in: they may be written again,
    /// as by someone who knows of something else that was not finished with them.
    /// What is on disk stays until then.
    pub fn take_back(&self, frames: Range<usize>) {
        let shard = self.layout.shard;
        let mut states = self.states();
        let shards = frames.start / shard..frames.end.div_ceil(shard).min(states.len());
        for state in states.get_mut(shards).unwrap_or_default() {
            if *state == State::Whole {
                *state = State::Missing;
            }
        }
    }

    /// Samples that this writer was given and that did not fit the pixel type;
    /// they took its nearest end.
    pub fn saturated(&self) -> u64 {
        self.saturated.load(Ordering::Relaxed)
    }

    /// NaN samples that this writer was given and that an integer type stored as 0.
    pub fn nan(&self) -> u64 {
        self.nan.load(Ordering::Relaxed)
    }

    /// Writes whole shards from `first_frame` on, axes `(frame, plane, y, x)`.
    ///
    /// # Errors
    /// [`Error::Misuse`] for frames outside the movie, not cut at shards, or
    /// there already; [`Error::Encode`] and [`Error::Io`] if a shard cannot be
    /// stored. Shards of the block that failed may be written again.
    pub fn write(&self, first_frame: usize, frames: &[f32]) -> Result<(), Error> {
        self.store(first_frame, frames.len(), Frames::F32(frames))
    }

    /// As [`BlockWriter::write`], from native-endian samples of the movie's
    /// pixel type, without conversion.
    ///
    /// # Errors
    /// As [`BlockWriter::write`].
    pub fn write_native(&self, first_frame: usize, frames: &[u8]) -> Result<(), Error> {
        let bytes = self.layout.pixel_type.bytes();
        if !frames.len().is_multiple_of(bytes) {
            let reason = format!("{} bytes are not whole samples of {bytes}", frames.len());
            return Err(Error::misuse(self.staging.target(), reason));
        }
        self.store(first_frame, frames.len() / bytes, Frames::Native(frames))
    }

    fn store(&self, first: usize, samples: usize, frames: Frames<'_>) -> Result<(), Error> {
        let shards = self.shards_of(first, samples)?;
        self.claim(&shards)?;
        let length = self.layout.shape.frame_len();
        let part = |shard: usize| {
            let part = self.layout.frames(shard..shard + 1);
            let part = (part.start - first) * length..(part.end - first) * length;
            match frames {
                Frames::F32(all) => Frames::F32(&all[part]),
                Frames::Native(all) => {
                    let bytes = self.layout.pixel_type.bytes();
                    Frames::Native(&all[part.start * bytes..part.end * bytes])
                }
            }
        };
        // One thread waits for the disk, so that the pool can go on encoding.
        thread::scope(|scope| {
            let (sender, written) = mpsc::sync_channel::<(usize, Unfinished, Lost)>(PENDING);
            let disk = scope.spawn(move || {
                let finish = |(shard, file, lost): (usize, Unfinished, Lost)| {
                    let written = file.file();
                    file.finish(self.durable)?;
                    if let (Some(flusher), Some(file)) = (&self.flusher, written) {
                        flusher.add(file);
                    }
                    self.states()[shard] = State::Whole;
                    self.saturated.fetch_add(lost.saturated, Ordering::Relaxed);
                    self.nan.fetch_add(lost.nan, Ordering::Relaxed);
                    Ok(())
                };
                written.into_iter().map(finish).collect::<Vec<_>>()
            });
            let encode = |shard| {
                let (file, lost) = self.layout.store(&self.array, shard, part(shard))?;
                let gone = |_| Error::misuse(self.staging.target(), "the disk thread is gone");
                sender.send((shard, file, lost)).map_err(gone)
            };
            let encoded: Vec<Result<(), Error>> =
                shards.clone().into_par_iter().map(encode).collect();
            drop(sender);
            let finished = disk.join().unwrap_or_default();
            for state in &mut self.states()[shards] {
                if *state == State::Claimed {
                    *state = State::Missing;
                }
            }
            encoded.into_iter().chain(finished).collect()
        })
    }

    /// The shards that a block fills.
    fn shards_of(&self, first: usize, samples: usize) -> Result<Range<usize>, Error> {
        let wrong = |reason: String| Err(Error::misuse(self.staging.target(), reason));
        let (shape, shard) = (self.layout.shape, self.layout.shard);
        let length = shape.frame_len();
        if !samples.is_multiple_of(length) {
            return wrong(format!(
                "{samples} samples are not whole frames of {length}"
            ));
        }
        let count = samples / length;
        let stop = first.checked_add(count);
        let Some(stop) = stop.filter(|&stop| stop <= shape.frames) else {
            return wrong(format!(
                "{count} frames at {first} do not fit a movie of {} frames",
                shape.frames
            ));
        };
        let aligned = count.is_multiple_of(shard) || stop == shape.frames;
        if count > 0 && !(first.is_multiple_of(shard) && aligned) {
            return wrong(format!(
                "frames {first}..{stop} are not cut at multiples of {shard}"
            ));
        }
        Ok(first / shard..if count == 0 {
            first / shard
        } else {
            stop.div_ceil(shard)
        })
    }

    fn claim(&self, shards: &Range<usize>) -> Result<(), Error> {
        let mut states = self.states();
        let mut wanted = shards.clone();
        if let Some(twice) = wanted.find(|&shard| states[shard] != State::Missing) {
            let reason = format!("frame {} is written twice", twice * self.layout.shard);
            return Err(Error::misuse(self.staging.target(), reason));
        }
        states[shards.clone()].fill(State::Claimed);
        Ok(())
    }

    fn states(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the movie appear at its path.
    ///
    /// # Errors
    /// [`Error::Misuse`] naming the first frame that is missing, counting
    /// what other processes have written; [`Error::Busy`] if one of them is
    /// still at work; [`Error::Io`] if the movie cannot be put in place. The
    /// old target, if any, is then as it was, and the unfinished movie can be resumed.
    pub fn finish(self) -> Result<(), Error> {
        let missing: Vec<usize> = {
            let states = self.states();
            let shards = 0..states.len();
            shards
                .filter(|&shard| states[shard] != State::Whole)
                .collect()
        };
        for shard in missing {
            if !self.array.is_whole(&self.layout.index(shard))? {
                return Err(Error::misuse(
                    self.staging.target(),
                    format!("frame {} was never written", shard * self.layout.shard),
                ));
            }
        }
        drop(self.flusher);
        self.staging.close_shared()?;
        self.staging.commit()
    }

    /// Throws the unfinished movie away.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process is at work on it, [`Error::Io`] if
    /// it cannot be removed.
    pub fn discard(self) -> Result<(), Error> {
        self.staging.discard()
    }
}

impl MovieSink for BlockWriter {
    fn write(&mut self, first_frame: usize, frames: &[f32]) -> Result<(), fluorspar_movie::Error> {
        BlockWriter::write(self, first_frame, frames).map_err(Into::into)
    }

    fn native_type(&self) -> Option<PixelType> {
        Some(self.layout.pixel_type)
    }

    fn write_native(
        &mut self,
        first_frame: usize,
        frames: &[u8],
    ) -> Result<(), fluorspar_movie::Error> {
        BlockWriter::write_native(self, first_frame, frames).map_err(Into::into)
    }

    fn finish(self: Box<Self>) -> Result<(), fluorspar_movie::Error> {
        BlockWriter::finish(*self).map_err(Into::into)
    }

    fn align(&self) -> usize {
        self.layout.shard
    }
}

fn array_folder(staging: &Staging, ome: bool) -> std::path::PathBuf {
    if ome {
        staging.folder().join("0")
    } else {
        staging.folder().to_path_buf()
    }
}

/// The metadata of the group around the array, if there is one.
fn group_of(layout: &Layout) -> Option<Value> {
    layout.options.ome.then(|| {
        let array = layout.plan(|plan| plan.metadata());
        let attributes = ome::attributes(layout.names(), &layout.options);
        group_metadata(&attributes, json!({"0": array}))
    })
}
