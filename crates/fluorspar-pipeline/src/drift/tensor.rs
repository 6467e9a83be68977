//! Trials cut out elsewhere: one `.npz` file per session.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use fluorspar_drift::Session;
use ndarray::Array3;
use zip::ZipArchive;

use crate::Error;
use crate::numpy::Header;

/// Whole numbers beyond this are not exact as they are read.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// The `session-NN.npz` of a folder, in natural order.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("session-") && name.ends_with(".npz") {
            paths.push(path);
        }
    }
    fluorspar_tiff::natural_order(&mut paths);
    Ok(paths)
}

/// Reads one session: `activity (trial, cell, time)`, `cell (cell)`,
/// `time_s (time)`, `day`, and any of `label_NAME (trial)`, `behaviour_NAME
/// (trial)`, `p_same (cell)`, `present (cell)`, `group (cell)`, `place_um
/// (cell, 3)`, `practice` and `covariate_NAME`. Labels and groups are numbers
/// or texts; the text of each label is given beside the session.
pub(crate) fn read(path: &Path) -> Result<(Session, BTreeMap<String, Vec<String>>), Error> {
    if !path.is_file() {
        return Err(Error::bad_data(path, "no such file"));
    }
    let mut file = Npz::open(path)?;
    let names = file.names.clone();
    let (shape, activity) = file.required("activity", |v| v as f32)?;
    let &[trials, cells, bins] = shape.as_slice() else {
        return Err(wrong_shape(path, &shape));
    };
    let activity = Array3::from_shape_vec((trials, cells, bins), activity)
        .map_err(|e| Error::bad_data(path, format!("activity: {e}")))?;
    let mut session = Session {
        activity,
        cell: file.whole("cell", cells)?,
        time_s: file.along("time_s", bins, "time bin")?,
        day: file.single("day")?,
        ..Session::default()
    };
    let mut labels = BTreeMap::new();
    for name in &names {
        if let Some(variable) = name.strip_prefix("label_") {
            let texts = file.texts(name)?;
            file.count(name, texts.len(), trials, "trial")?;
            labels.insert(variable.to_owned(), texts);
        } else if let Some(variable) = name.strip_prefix("behaviour_") {
            let values = file.along(name, trials, "trial")?;
            session.behaviour.insert(variable.to_owned(), values);
        } else if let Some(variable) = name.strip_prefix("covariate_") {
            let value = file.single(name)?;
            session.covariates.insert(variable.to_owned(), value);
        } else {
            match name.as_str() {
                "p_same" => {
                    let p = file.along(name, cells, "cell")?;
                    session.p_same = Some(p.iter().map(|&v| v as f32).collect());
                }
                "present" => {
                    let present = file.along(name, cells, "cell")?;
                    session.present = Some(present.iter().map(|&v| v != 0.0).collect());
                }
                "group" => {
                    let groups = file.texts(name)?;
                    file.count(name, groups.len(), cells, "cell")?;
                    session.group = Some(groups);
                }
                "place_um" => {
                    let (shape, values) = file.required(name, |v| v)?;
                    if shape != [cells, 3] {
                        let message =
                            format!("place_um must be ({cells}, 3), but has the shape {shape:?}");
                        return Err(Error::bad_data(path, message));
                    }
                    let places = values.chunks_exact(3).map(|p| [p[0], p[1], p[2]]);
                    session.place_um = Some(places.collect());
                }
                "practice" => session.practice = Some(file.practice()?),
                _ => {}
            }
        }
    }
    Ok((session, labels))
}

/// Trials, cells and time bins of a session, from the head of its file.
pub(crate) fn size(path: &Path) -> Result<(usize, usize, usize), Error> {
    if !path.is_file() {
        return Err(Error::bad_data(path, "no such file"));
    }
    let mut file = Npz::open(path)?;
    let shape = file.shape("activity")?;
    match shape[..] {
        [trials, cells, bins] => Ok((trials, cells, bins)),
        _ => Err(wrong_shape(path, &shape)),
    }
}

fn wrong_shape(path: &Path, shape: &[usize]) -> Error {
    let message = format!("activity must be (trial, cell, time), but has the shape {shape:?}");
    Error::bad_data(path, message)
}

/// The day of a session.
pub(crate) fn day(path: &Path) -> Result<f64, Error> {
    let mut file = Npz::open(path)?;
    let day = file.single("day")?;
    if day.is_finite() {
        return Ok(day);
    }
    Err(file.bad("day", &format!("is {day}, not a number of days")))
}

/// The arrays of a `.npz` file.
struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    /// Names without `.npy`, sorted.
    names: Vec<String>,
}

impl Npz {
    fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let archive = ZipArchive::new(BufReader::new(file))
            .map_err(|e| Error::bad_data(path, format!("is not a .npz file: {e}")))?;
        let mut names: Vec<String> = archive
            .file_names()
            .map(|name| name.trim_end_matches(".npy").to_owned())
            .collect();
        names.sort_unstable();
        let twice = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b);
        if let Some((twice, _)) = twice {
            let message = format!("holds the array {twice:?} twice");
            return Err(Error::bad_data(path, message));
        }
        Ok(Self {
            path: path.to_path_buf(),
            archive,
            names,
        })
    }

    fn bad(&self, name: &str, reason: &str) -> Error {
        Error::bad_data(&self.path, format!("the array {name:?} {reason}"))
    }

    fn read<T>(
        &mut self,
        name: &str,
        then: impl FnOnce(Header, &mut zip::read::ZipFile<'_, BufReader<File>>) -> Result<T, String>,
    ) -> Result<T, Error> {
        let found = match self.archive.by_name(&format!("{name}.npy")) {
            Err(error) => Err(unreadable(&error)),
            Ok(mut member) => Header::read(&mut member).and_then(|header| {
                let found = then(header, &mut member)?;
                // The checksum is only compared at the end.
                match std::io::copy(&mut member, &mut std::io::sink()) {
                    Ok(_) => Ok(found),
                    Err(error) => Err(format!("is damaged: {error}")),
                }
            }),
        };
        found.map_err(|reason: String| self.bad(name, &reason))
    }

    /// Extents of an array, of which nothing more is read.
    fn shape(&mut self, name: &str) -> Result<Vec<usize>, Error> {
        let found = match self.archive.by_name(&format!("{name}.npy")) {
            Err(error) => Err(unreadable(&error)),
            Ok(mut member) => Header::read(&mut member).map(|header| header.shape),
        };
        found.map_err(|reason| self.bad(name, &reason))
    }

    /// Shape and values of an array of numbers.
    fn required<T: Copy>(
        &mut self,
        name: &str,
        to: impl Fn(f64) -> T,
    ) -> Result<(Vec<usize>, Vec<T>), Error> {
        self.read(name, |header, member| {
            let values = header.numbers(member, to)?;
            Ok((header.shape, values))
        })
    }

    /// Numbers, one for each of `count`.
    fn along(&mut self, name: &str, count: usize, of: &str) -> Result<Vec<f64>, Error> {
        let (shape, values) = self.required(name, |v| v)?;
        if shape.len() != 1 {
            return Err(self.bad(
                name,
                &format!("must have one axis, not the shape {shape:?}"),
            ));
        }
        self.count(name, values.len(), count, of)?;
        Ok(values)
    }

    fn count(&self, name: &str, found: usize, count: usize, of: &str) -> Result<(), Error> {
        if found == count {
            return Ok(());
        }
        let reason = format!("holds {found} values, but activity has {count} ({of} each)");
        Err(self.bad(name, &reason))
    }

    fn single(&mut self, name: &str) -> Result<f64, Error> {
        let (_, values) = self.required(name, |v| v)?;
        match values.as_slice() {
            [one] => Ok(*one),
            _ => Err(self.bad(
                name,
                &format!("must be a single number, not {}", values.len()),
            )),
        }
    }

    fn whole(&mut self, name: &str, count: usize) -> Result<Vec<i64>, Error> {
        let values = self.along(name, count, "cell")?;
        let odd = |v: &&f64| v.fract() != 0.0 || v.abs() >= MOST_EXACT;
        match values.iter().find(odd) {
            Some(odd) => Err(self.bad(name, &format!("holds {odd}; it must hold whole numbers"))),
            None => Ok(values.iter().map(|&v| v as i64).collect()),
        }
    }

    fn practice(&mut self) -> Result<usize, Error> {
        let number = self.single("practice")?;
        if number >= 1.0 && number.fract() == 0.0 && number < MOST_EXACT {
            return Ok(number as usize);
        }
        Err(self.bad(
            "practice",
            &format!("is {number}; sessions are counted from 1"),
        ))
    }

    /// Texts along one axis; whole numbers as they are written.
    fn texts(&mut self, name: &str) -> Result<Vec<String>, Error> {
        let path = self.path.clone();
        let (shape, texts) = self.read(name, |header, member| {
            let plain = header.kind.trim_start_matches(['|', '<', '>', '=']);
            let texts = if plain.starts_with(['U', 'S']) {
                header.texts(member)?
            } else {
                let numbers = header.numbers(member, |v| v)?;
                if let Some(odd) = numbers.iter().find(|v| !v.is_finite()) {
                    return Err(format!("holds {odd}, which is no label"));
                }
                numbers.iter().map(ToString::to_string).collect()
            };
            Ok((header.shape, texts))
        })?;
        if shape.len() == 1 {
            return Ok(texts);
        }
        let message = format!("the array {name:?} must have one axis, not the shape {shape:?}");
        Err(Error::bad_data(&path, message))
    }
}

fn unreadable(error: &zip::result::ZipError) -> String {
    match error {
        zip::result::ZipError::FileNotFound => {
            "is missing; a session needs activity, cell, time_s and day (see docs/formats.md)"
                .into()
        }
        error => format!("cannot be read: {error}"),
    }
}
