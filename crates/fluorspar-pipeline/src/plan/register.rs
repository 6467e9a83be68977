//! Registering a session piece by piece.

use std::ops::Range;
use std::path::{Path, PathBuf};

use fluorspar_movie::Budget;
use fluorspar_register::{Part, Quality, Reference, Registrar, Registration, register_part};
use fluorspar_zarr::{BlockWriter, Error as ZarrError};
use rayon::prelude::*;

use super::Input;
use crate::artefact::write_motion;
use crate::config::ExperimentConfig;
use crate::error::Context;
use crate::pieces::Pieces;
use crate::seal::{SealedFile, name_below};
use crate::stage::{piece_frames, registered_options, stored_type};
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
type Piece = (Part, Vec<SealedFile>);

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
        let reference = Reference::build(movie, &parameters).at(place)?;
        self.create()?;
        pieces.put("reference", &reference)
    }

    fn registrar(&self) -> Result<Registrar, Error> {
        let reference: Option<Reference> = self.pieces().get("reference")?;
        let Some(reference) = reference else {
            return Err(Error::Usage(format!(
                "{}: there is no reference to register to; do the task that makes it first",
                self.folder.display()
            )));
        };
        Registrar::new(&reference, &self.config.register.parameters()).at("registration")
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
        registrar: &Registrar,
        writer: &mut BlockWriter,
        frames: Range<usize>,
    ) -> Result<(), Error> {
        let movie = &*self.input.movie;
        let pieces = self.pieces();
        let length = piece_frames(movie.shape(), movie.pixel_type());
        let missing = writer.missing();
        for first in frames.clone().step_by(length) {
            let piece = first..(first + length).min(frames.end);
            let written = |part: &Range<usize>| part.start < piece.end && piece.start < part.end;
            let known: Option<Piece> = pieces.get(&short_name(first))?;
            if known.is_some() && !missing.iter().any(written) {
                self.observer.advance(piece.len() as u64);
                continue;
            }
            writer.take_back(piece.clone());
            let progress = |frames| self.observer.advance(frames);
            let part = register_part(
                movie,
                registrar,
                piece.clone(),
                Some(writer),
                self.budget,
                &progress,
            )
            .at("registration")?;
            let files: Vec<SealedFile> = writer
                .shard_files(piece)
                .into_par_iter()
                .map(|(path, name)| SealedFile::of(&path, name_below(Path::new(""), &name)))
                .collect::<Result<_, Error>>()?;
            pieces.put(&short_name(first), &(part, files))?;
        }
        Ok(())
    }

    /// Registers what is left and puts all together: the registered movie,
    /// `motion.csv`, `motion.zarr` and `quality.json`. Returns what the files
    /// of the registered movie are like.
    pub(super) fn finish(&self) -> Result<Vec<SealedFile>, Error> {
        let place = "registration";
        let movie = &*self.input.movie;
        let shape = movie.shape();
        let parameters = self.config.register.parameters();
        let pieces = self.pieces();
        let registrar = self.registrar()?;
        let length = piece_frames(shape, movie.pixel_type());
        let target = self.target();
        // The power may fail just after the movie got its name.
        let unfinished = self.folder.join(".registered.zarr.partial").exists();
        let named = pieces.get::<()>(FINISHING)?.is_some() && !unfinished && target.exists();
        if named {
            self.observer.advance(shape.frames as u64);
        } else {
            let mut writer = self.writer()?;
            self.work(&registrar, &mut writer, 0..shape.frames)?;
            pieces.put(FINISHING, &())?;
            writer.finish().at(target.display())?;
        }
        let mut sealed = Vec::new();
        let parts = (0..shape.frames).step_by(length).map(|first| {
            let piece: Option<Piece> = pieces.get(&short_name(first))?;
            let (part, files) = piece.ok_or_else(|| {
                let path = pieces.path(&short_name(first));
                Error::bad_data(&path, "is gone or damaged; run again to make it anew")
            })?;
            sealed.extend(files);
            Ok::<Part, Error>(part)
        });
        let registration = Registration::from_parts(&registrar, parts)?;
        let written = source::open_movie(std::slice::from_ref(&target))?;
        let quality = Quality::assess(&*written, &registration, &parameters).at(place)?;
        let untrusted = &registration.motion.untrusted;
        let count = untrusted.iter().filter(|&&u| u).count();
        if count > 0 {
            self.observer.warn(&format!(
                "{count} of {} frames could not be registered with confidence (see motion.csv)",
                untrusted.len()
            ));
        }
        write_motion(self.folder, &registration, &quality, parameters.tile)?;
        Ok(sealed)
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
