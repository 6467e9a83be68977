//! Registering a session piece by piece.

use std::ops::Range;
use std::path::{Path, PathBuf};

use fluorspar_movie::Budget;
use fluorspar_register::{
    Mode, Parameters, Reference, Registrar, Registration, VolumeReference, VolumeRegistrar,
    VolumeRegistration, register_part, register_volumes_part,
};
use fluorspar_zarr::{BlockWriter, Error as ZarrError};
use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Input;
use crate::config::ExperimentConfig;
use crate::error::Context;
use crate::pieces::Pieces;
use crate::seal::{SealedFile, name_below};
use crate::stage::{assess, assess_volumes, piece_frames, registered_options, stored_type};
use crate::{Error, Observer, source};

/// Where the pieces of a registration lie, below the session's folder.
const FOLDER: &str = ".work/register";
/// The reference among them.
pub(super) const REFERENCE: &str = ".work/register/reference";
/// That the registered movie gets its name next.
const FINISHING: &str = "finishing";

/// The piece that begins at frame `first`, below the session's folder.
pub(super) fn piece_name(first: usize) -> String {
    format!("{FOLDER}/{}", short_name(first))
}

fn short_name(first: usize) -> String {
    format!("frames-{first:09}")
}

/// What is kept of a run of frames: its part of the registration and what its
/// shards are like.
type Piece<P> = (P, Vec<SealedFile>);

/// A piece that is registered and not kept yet.
struct Done<P> {
    first: usize,
    part: P,
    /// Its shards, and their names within the movie.
    files: Vec<(PathBuf, PathBuf)>,
}

impl<P: Serialize + Sync> Done<P> {
    fn keep(self, pieces: &Pieces<'_>) -> Result<(), Error> {
        let sealed: Vec<SealedFile> = self
            .files
            .into_par_iter()
            .map(|(path, name)| SealedFile::of(&path, name_below(Path::new(""), &name)))
            .collect::<Result<_, Error>>()?;
        pieces.put(&short_name(self.first), &(&self.part, sealed))
    }
}

/// What frames are registered to.
enum Target {
    Frames(Box<Registrar>),
    Volumes(Box<VolumeRegistrar>),
}

/// The registration of one session.
pub(super) struct Session<'a> {
    pub(super) config: &'a ExperimentConfig,
    pub(super) input: &'a Input,
    pub(super) folder: &'a Path,
    /// Of the task that made the reference; pieces of others do not count.
    pub(super) fingerprint: &'a str,
    pub(super) budget: Budget,
    pub(super) observer: &'a dyn Observer,
}

impl Session<'_> {
    fn pieces(&self) -> Pieces<'_> {
        Pieces::new(self.folder.join(FOLDER), self.fingerprint, self.observer)
    }

    fn target(&self) -> PathBuf {
        self.folder.join("registered.zarr")
    }

    /// Builds the reference and lays out the registered movie.
    pub(super) fn reference(&self) -> Result<(), Error> {
        let place = "registration";
        let pieces = self.pieces();
        pieces.clear()?;
        let parameters = self.config.register.parameters();
        let movie = &*self.input.movie;
        if movie.shape().planes > 1 {
            let registrar = VolumeRegistrar::build(movie, &rigid(&parameters)).at(place)?;
            self.create()?;
            return pieces.put("reference", &registrar.reference());
        }
        let reference = Reference::build(movie, &parameters).at(place)?;
        self.create()?;
        pieces.put("reference", &reference)
    }

    /// What the frames are registered to, as the task for it has left it.
    fn registrar(&self) -> Result<Target, Error> {
        let place = "registration";
        let parameters = self.config.register.parameters();
        let missing = || {
            Error::Usage(format!(
                "{}: there is no reference to register to; do the task that makes it first",
                self.folder.display()
            ))
        };
        let pieces = self.pieces();
        if self.input.movie.shape().planes > 1 {
            let reference: Option<VolumeReference> = pieces.get("reference")?;
            let reference = reference.ok_or_else(missing)?;
            let registrar = VolumeRegistrar::from_reference(&reference, &rigid(&parameters));
            return registrar
                .map(|registrar| Target::Volumes(Box::new(registrar)))
                .at(place);
        }
        let reference: Option<Reference> = pieces.get("reference")?;
        let reference = reference.ok_or_else(missing)?;
        let registrar = Registrar::new(&reference, &parameters);
        registrar
            .map(|registrar| Target::Frames(Box::new(registrar)))
            .at(place)
    }

    fn create(&self) -> Result<BlockWriter, Error> {
        let target = self.target();
        let movie = &*self.input.movie;
        let pixel_type = stored_type(movie.pixel_type());
        let options = registered_options(movie.shape(), pixel_type, Some(self.input.frame_rate));
        BlockWriter::create(&target, movie.shape(), pixel_type, &options).at(target.display())
    }

    /// The unfinished movie as others have left it, or a new one.
    fn writer(&self) -> Result<BlockWriter, Error> {
        let target = self.target();
        let movie = &*self.input.movie;
        let pixel_type = stored_type(movie.pixel_type());
        let options = registered_options(movie.shape(), pixel_type, Some(self.input.frame_rate));
        match BlockWriter::resume(&target, movie.shape(), pixel_type, &options) {
            Err(ZarrError::NothingToResume { .. } | ZarrError::Different { .. }) => self.create(),
            other => other.at(target.display()),
        }
    }

    /// Registers those of `frames` that are not registered yet. Frames begin
    /// and end where pieces do.
    pub(super) fn frames(&self, frames: Range<usize>) -> Result<(), Error> {
        let registrar = self.registrar()?;
        let mut writer = self.writer()?;
        self.work(&registrar, &mut writer, frames)
    }

    fn work(
        &self,
        registrar: &Target,
        writer: &mut BlockWriter,
        frames: Range<usize>,
    ) -> Result<(), Error> {
        let movie = &*self.input.movie;
        let budget = self.budget;
        let progress = |frames| self.observer.advance(frames);
        match registrar {
            Target::Frames(registrar) => self.pieces_of(writer, frames, |piece, sink| {
                register_part(movie, registrar, piece, Some(sink), budget, &progress)
            }),
            Target::Volumes(registrar) => self.pieces_of(writer, frames, |piece, sink| {
                register_volumes_part(movie, registrar, piece, Some(sink), budget, &progress)
            }),
        }
    }

    /// Goes through the pieces of `frames`, and has those done that are missing.
    /// Each is kept while the next is worked on, but for volumes.
    fn pieces_of<P: Serialize + DeserializeOwned + Send + Sync>(
        &self,
        writer: &mut BlockWriter,
        frames: Range<usize>,
        register: impl Fn(Range<usize>, &mut BlockWriter) -> Result<P, fluorspar_register::Error> + Sync,
    ) -> Result<(), Error> {
        let movie = &*self.input.movie;
        let pieces = self.pieces();
        let length = piece_frames(movie.shape(), movie.pixel_type());
        let missing = writer.missing();
        let mut done: Option<Done<P>> = None;
        for first in frames.clone().step_by(length) {
            let piece = first..(first + length).min(frames.end);
            let touches = |part: &Range<usize>| part.start < piece.end && piece.start < part.end;
            let known: Option<Piece<P>> = pieces.get(&short_name(first))?;
            if known.is_some() && !missing.iter().any(touches) {
                self.observer.advance(piece.len() as u64);
                continue;
            }
            if self.observer.stop() {
                break;
            }
            writer.take_back(piece.clone());
            let work = || register(piece.clone(), writer).at("registration");
            let keep = || done.take().map_or(Ok(()), |done| done.keep(&pieces));
            let (part, kept) = rayon::join(work, keep);
            done = part.map(|part| {
                Some(Done {
                    first,
                    part,
                    files: writer.shard_files(piece),
                })
            })?;
            if let Err(error) = kept {
                if matches!(error, Error::Stopped) {
                    break;
                }
                return Err(error);
            }
            // There need not be room for the sums of many planes twice.
            if movie.shape().planes > 1
                && let Some(done) = done.take()
            {
                done.keep(&pieces)?;
            }
        }
        done.map_or(Ok(()), |done| done.keep(&pieces))?;
        if self.observer.stop() {
            return Err(Error::Stopped);
        }
        Ok(())
    }

    /// The parts that were kept, in order; what their shards are like goes to `sealed`.
    fn parts<'a, P: DeserializeOwned>(
        &'a self,
        pieces: &'a Pieces<'_>,
        sealed: &'a mut Vec<SealedFile>,
    ) -> impl Iterator<Item = Result<P, Error>> + 'a {
        let movie = &*self.input.movie;
        let length = piece_frames(movie.shape(), movie.pixel_type());
        let firsts = (0..movie.shape().frames).step_by(length);
        firsts.map(move |first| {
            let piece: Option<Piece<P>> = pieces.get(&short_name(first))?;
            let (part, files) = piece.ok_or_else(|| {
                let path = pieces.path(&short_name(first));
                Error::bad_data(&path, "is gone or damaged; run again to make it anew")
            })?;
            sealed.extend(files);
            Ok(part)
        })
    }

    /// Registers what is left and puts all together: the registered movie,
    /// `motion.csv`, `motion.zarr` and `quality.json`. Returns what the files
    /// of the registered movie are like.
    pub(super) fn finish(&self) -> Result<Vec<SealedFile>, Error> {
        let frames = self.input.movie.shape().frames;
        let parameters = self.config.register.parameters();
        let pieces = self.pieces();
        let registrar = self.registrar()?;
        let target = self.target();
        // The power may have failed just after the movie got its name.
        let unfinished = self.folder.join(".registered.zarr.partial").exists();
        let named = pieces.is_marked(FINISHING)? && !unfinished && target.exists();
        if named {
            self.observer.advance(frames as u64);
        } else {
            let mut writer = self.writer()?;
            self.work(&registrar, &mut writer, 0..frames)?;
            pieces.mark(FINISHING)?;
            writer.finish().at(target.display())?;
        }
        let mut sealed = Vec::new();
        let place = (self.folder, target.as_path());
        match registrar {
            Target::Frames(registrar) => {
                let parts = self.parts(&pieces, &mut sealed);
                let registration = Registration::from_parts(&registrar, parts)?;
                assess(&registration, &parameters, place, self.observer)?;
            }
            Target::Volumes(registrar) => {
                let parts = self.parts(&pieces, &mut sealed);
                let registration = VolumeRegistration::from_parts(&registrar, parts)?;
                let spacing = self.config.experiment.plane_spacing_um;
                let spacing = spacing.or_else(|| source::plane_spacing(&self.input.paths));
                let found = (registration, &*registrar);
                assess_volumes(found, &rigid(&parameters), spacing, place, self.observer)?;
            }
        }
        Ok(sealed)
    }
}

/// Planes recorded together are registered as wholes.
fn rigid(parameters: &Parameters) -> Parameters {
    Parameters {
        mode: Mode::Rigid,
        ..parameters.clone()
    }
}

impl From<fluorspar_register::Error> for Error {
    fn from(error: fluorspar_register::Error) -> Self {
        Self::Stage {
            place: "registration".into(),
            source: Box::new(error),
        }
    }
}
