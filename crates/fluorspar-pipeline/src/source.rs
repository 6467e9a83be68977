//! From names in a configuration or on a command line to a movie.

use std::path::{Path, PathBuf};

use fluorspar_movie::{FrameRange, Movie};
use fluorspar_tiff::MroiLayout;

use crate::artefact::{is_lowrank, read_lowrank};
use crate::error::Context;
use crate::{Error, strips};

/// Whether `path` names a Zarr folder (by its extension or its metadata).
pub(crate) fn is_zarr(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("zarr"))
        || ["zarr.json", ".zarray", ".zgroup"]
            .iter()
            .any(|name| path.join(name).is_file())
}

fn is_tiff(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("tif") || e.eq_ignore_ascii_case("tiff"))
}

/// The files that `pattern` names, relative to `folder`: one Zarr folder, one
/// file, all TIFF files of a folder, or all matches of a pattern with `*`, in
/// natural order.
///
/// # Errors
/// [`Error::Usage`] for a broken pattern, [`Error::BadData`] if nothing matches.
pub fn find_files(pattern: &str, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let full = folder.join(pattern);
    let plain = full.exists();
    let mut found = if plain && full.is_dir() && !is_zarr(&full) {
        let entries = std::fs::read_dir(&full).map_err(|e| Error::io(&full, e))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| Error::io(&full, e))?.path();
            if is_tiff(&path) {
                files.push(path);
            }
        }
        files
    } else if plain {
        vec![full.clone()]
    } else {
        let text = full.to_string_lossy();
        glob::glob(&text)
            .map_err(|e| Error::Usage(format!("{text}: not a file and not a pattern ({e})")))?
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::io(&full, e.into()))?
    };
    if found.is_empty() {
        return Err(Error::bad_data(
            &full,
            "no such movie file; the pattern matches nothing",
        ));
    }
    fluorspar_tiff::natural_order(&mut found);
    Ok(found)
}

/// Opens files as one movie: one Zarr folder, or TIFF files in the order given.
///
/// # Errors
/// [`Error::BadData`] or [`Error::Stage`] naming the file that cannot be read
/// or does not fit the others.
pub fn open_movie(paths: &[PathBuf]) -> Result<Box<dyn Movie>, Error> {
    open_part(paths, Part::default())
}

/// What to take of files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    /// Of movies with channels or planes one after the other, the volumes of
    /// this channel, counted from 0.
    pub(crate) channel: Option<usize>,
    /// The whole pages of TIFF files that break off.
    pub(crate) salvage: bool,
    /// Through reads rather than a mapping: what was read does not count as
    /// memory held, and a file that is cut off meanwhile is an error, not the
    /// end of the process.
    pub(crate) read: bool,
}

/// As [`open_movie`], in part.
pub(crate) fn open_part(paths: &[PathBuf], part: Part) -> Result<Box<dyn Movie>, Error> {
    let Some(first) = paths.first() else {
        return Err(Error::Usage("no movie given".into()));
    };
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        return Err(Error::bad_data(missing, "no such file"));
    }
    if is_zarr(first) {
        if paths.len() > 1 {
            return Err(Error::bad_data(
                &paths[1],
                "a Zarr movie is one folder; it cannot be joined with other files",
            ));
        }
        if is_lowrank(first) {
            return Ok(Box::new(read_lowrank(first)?));
        }
        let options = fluorspar_zarr::OpenOptions {
            channel: part.channel,
            ..fluorspar_zarr::OpenOptions::default()
        };
        let movie = fluorspar_zarr::MovieReader::open_with(first, &options);
        return Ok(Box::new(movie.at("cannot open the movie")?));
    }
    let movie = open_tiff(paths, part)?;
    match part.channel {
        None => Ok(Box::new(movie)),
        Some(channel) => Ok(Box::new(
            movie.volumes(channel).at("cannot open the movie")?,
        )),
    }
}

/// What to take of the files named on a command line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Selection {
    /// `[first, end)` of the frames; all if not said.
    pub(crate) frames: Option<[usize; 2]>,
    /// As [`Part::channel`].
    pub(crate) channel: Option<usize>,
    /// Pages as they are, even if the settings name several regions.
    pub(crate) whole_pages: bool,
}

/// The movie that `inputs` (files, folders, patterns) make, and how its pages
/// are made up of strips if they are.
pub(crate) fn open_selection(
    inputs: &[PathBuf],
    selection: Selection,
) -> Result<(Box<dyn Movie>, Option<MroiLayout>), Error> {
    let mut files = Vec::new();
    for input in inputs {
        files.extend(find_files(&input.to_string_lossy(), Path::new(""))?);
    }
    let part = Part {
        channel: selection.channel,
        ..Part::default()
    };
    let movie = open_part(&files, part)?;
    let layout = if selection.whole_pages {
        None
    } else {
        let shape = movie.shape();
        settings(&files)?
            .map(|settings| strips::layout(&settings, [shape.height, shape.width], &files[0]))
            .transpose()?
            .flatten()
    };
    let Some([first, end]) = selection.frames else {
        return Ok((movie, layout));
    };
    let length = movie.shape().frames;
    if first >= end || end > length {
        return Err(Error::Usage(format!(
            "frames {first}..{end} are not part of a movie of {length} frames"
        )));
    }
    let movie = FrameRange::new(movie, first..end).at("the movie")?;
    Ok((Box::new(movie), layout))
}

/// ScanImage's settings in the first of the files, if it wrote them.
pub(crate) fn settings(paths: &[PathBuf]) -> Result<Option<fluorspar_tiff::ScanImage>, Error> {
    match paths.first() {
        Some(first) if !is_zarr(first) => {
            let movie = open_tiff(&paths[..1], Part::default())?;
            Ok(movie.metadata().scanimage.clone())
        }
        _ => Ok(None),
    }
}

/// The distance between planes in µm, where a Zarr movie says it.
pub(crate) fn plane_spacing(paths: &[PathBuf]) -> Option<f64> {
    let [path] = paths else {
        return None;
    };
    if !is_zarr(path) {
        return None;
    }
    let movie = fluorspar_zarr::MovieReader::open(path).ok()?;
    movie.pixel_size().and_then(|size| size.z)
}

/// TIFF files in the order given; a single file with the rest of its OME set.
pub(crate) fn open_tiff(paths: &[PathBuf], part: Part) -> Result<fluorspar_tiff::Movie, Error> {
    let options = fluorspar_tiff::OpenOptions {
        salvage: part.salvage,
        backend: if part.read {
            fluorspar_tiff::Backend::Positioned
        } else {
            fluorspar_tiff::Backend::Mapped
        },
        ..fluorspar_tiff::OpenOptions::default()
    };
    match paths {
        [one] => fluorspar_tiff::Movie::open_set(one, &options),
        several => fluorspar_tiff::Movie::open_with(several, &options),
    }
    .at("cannot open the movie")
}

/// Opens one session's movie of so many `planes`, cut to `frames`. Images of a
/// TIFF file that belong to planes become volumes.
pub(crate) fn open_session(
    paths: &[PathBuf],
    frames: Option<[usize; 2]>,
    planes: usize,
) -> Result<Box<dyn Movie>, Error> {
    let part = Part {
        channel: (planes > 1).then_some(0),
        read: true,
        ..Part::default()
    };
    let mut movie = open_part(paths, part)?;
    let name = &paths[0];
    if let Some([first, end]) = frames {
        let length = movie.shape().frames;
        if end > length {
            return Err(Error::bad_data(
                name,
                format!("frames = [{first}, {end}] leaves the movie of {length} frames"),
            ));
        }
        movie = Box::new(FrameRange::new(movie, first..end).at(name.display())?);
    }
    let shape = movie.shape();
    if shape.planes != planes {
        return Err(Error::bad_data(
            name,
            format!(
                "has {} planes, experiment.planes says {planes}; set it to {}",
                shape.planes, shape.planes
            ),
        ));
    }
    Ok(movie)
}
