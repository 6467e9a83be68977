//! What an NWB file holds, by path.

use std::path::Path;

use hdf5_pure::{Dataset, Datatype, File, Group};

use crate::Error;

/// Deepest group that is looked into.
const DEEPEST: usize = 6;
/// Most groups that are looked into.
const MOST_GROUPS: usize = 10_000;
/// Most rows of a table of trials or ROIs.
const MOST_ROWS: u64 = 10_000_000;
/// What deflate can make of a byte at most, and a little: an array larger than
/// this many times its file was not stored in it.
const MOST_EXPANSION: u64 = 1100;

/// What responses of ROIs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    DeltaF,
    Fluorescence,
    Neuropil,
}

/// A `RoiResponseSeries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) path: String,
    pub(super) kind: Kind,
}

/// A file and the groups in it that have a type.
pub(super) struct Tree {
    file: File,
    /// Path and `neurodata_type` of each group.
    typed: Vec<(String, String)>,
    most_bytes: u64,
}

impl Tree {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::metadata(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                Error::bad_data(path, "no such file")
            } else {
                Error::io(path, source)
            }
        })?;
        let bad = |error: hdf5_pure::Error| {
            let message = format!("is not an NWB file that can be read (HDF5): {error}");
            Error::bad_data(path, message)
        };
        if bytes.is_dir() {
            let message = "is a folder; NWB is read from HDF5 files, not from Zarr";
            return Err(Error::bad_data(path, message));
        }
        let file = File::open_streaming(path).map_err(bad)?;
        let (mut typed, mut left) = (Vec::new(), MOST_GROUPS);
        for top in ["processing", "acquisition", "analysis"] {
            if let Ok(group) = file.group(top) {
                walk(&group, top, 0, &mut typed, &mut left);
            }
        }
        Ok(Self {
            file,
            typed,
            most_bytes: bytes.len().saturating_mul(MOST_EXPANSION),
        })
    }

    /// All responses of ROIs.
    pub(super) fn series(&self) -> Vec<Series> {
        let of_type = |path: &str| {
            let found = self.typed.iter().find(|(known, _)| known == path);
            found.map(|(_, kind)| kind.as_str())
        };
        self.typed
            .iter()
            .filter(|(_, kind)| kind == "RoiResponseSeries")
            .map(|(path, _)| {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                Series {
                    path: path.clone(),
                    kind: kind(path, of_type(parent) == Some("DfOverF")),
                }
            })
            .collect()
    }

    /// The neuropil that belongs to a series: the only one, or the one of the
    /// same name.
    pub(super) fn neuropil_of(&self, series: &Series) -> Option<Series> {
        let leaf = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut all = self.series();
        all.retain(|other| other.kind == Kind::Neuropil);
        let same = all.iter().position(|o| leaf(&o.path) == leaf(&series.path));
        match (all.len(), same) {
            (_, Some(at)) => Some(all.swap_remove(at)),
            (1, None) => all.pop(),
            _ => None,
        }
    }

    /// The table of ROIs: the one named, or the only one.
    pub(super) fn segmentation(&self, named: Option<&str>) -> Result<Option<String>, String> {
        if let Some(name) = named {
            let name = name.trim_matches('/');
            return match self.file.group(name) {
                Ok(_) => Ok(Some(name.to_owned())),
                Err(_) => Err(format!(
                    "holds no group {name:?}, named in nwb.segmentation"
                )),
            };
        }
        let all: Vec<&str> = self
            .typed
            .iter()
            .filter(|(_, kind)| kind == "PlaneSegmentation")
            .map(|(path, _)| path.as_str())
            .collect();
        match all.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).to_owned())),
            several => Err(format!(
                "holds several tables of ROIs; name one with [nwb] segmentation (there are: {})",
                several.join(", ")
            )),
        }
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.file.dataset(path).is_ok()
    }

    /// The first of these columns that a table has.
    pub(super) fn first<'a>(&self, table: &str, names: &[&'a str]) -> Option<&'a str> {
        let has = |name: &&&str| self.has(&format!("{table}/{name}"));
        names.iter().find(has).copied()
    }

    /// Names of the arrays of a group, sorted; none if there is no such group.
    pub(super) fn datasets(&self, group: &str) -> Vec<String> {
        let names = self.file.group(group).and_then(|group| group.datasets());
        let mut names = names.unwrap_or_default();
        names.sort_unstable();
        names
    }

    pub(super) fn kind(&self, path: &str) -> Option<Datatype> {
        self.file.dataset(path).and_then(|d| d.datatype()).ok()
    }

    /// Length of an array with one axis.
    pub(super) fn length(&self, path: &str) -> Result<u64, String> {
        let shape = self.dataset(path)?.shape().map_err(|e| said(path, &e))?;
        match shape[..] {
            [length] if length <= MOST_ROWS => Ok(length),
            _ => Err(format!(
                "{path} must have one axis, not the shape {shape:?}"
            )),
        }
    }

    /// Shape and values of an array of numbers.
    pub(super) fn numbers(&self, path: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        let (dataset, shape) = self.sized(path)?;
        let values = dataset.read_f32().map_err(|e| said(path, &e))?;
        complete(path, &shape, values.len())?;
        Ok((shape, values))
    }

    /// Values of an array of times.
    pub(super) fn times(&self, path: &str) -> Result<Vec<f64>, String> {
        let (dataset, shape) = self.sized(path)?;
        let values = dataset.read_f64().map_err(|e| said(path, &e))?;
        complete(path, &shape, values.len())?;
        Ok(values)
    }

    /// Values of an array of whole numbers.
    pub(super) fn whole(&self, path: &str) -> Result<Vec<i64>, String> {
        let (dataset, shape) = self.sized(path)?;
        if !matches!(dataset.datatype(), Ok(Datatype::FixedPoint { .. })) {
            return Err(format!("{path} does not hold whole numbers"));
        }
        let values = dataset.read_i64().map_err(|e| said(path, &e))?;
        complete(path, &shape, values.len())?;
        Ok(values)
    }

    /// A single number.
    pub(super) fn number(&self, path: &str) -> Option<f64> {
        self.times(path).ok().filter(|v| v.len() == 1).map(|v| v[0])
    }

    /// Values of an array with one axis as texts; numbers as short as they can
    /// be read back, nothing where there is none.
    pub(super) fn texts(&self, path: &str) -> Result<Vec<String>, String> {
        let length = self.length(path)?;
        let (dataset, _) = self.sized(path)?;
        let fail = |e: hdf5_pure::Error| said(path, &e);
        let number = |v: f64| {
            if v.is_finite() {
                v.to_string()
            } else {
                String::new()
            }
        };
        let texts: Vec<String> = match dataset.datatype().map_err(fail)? {
            Datatype::String { .. } | Datatype::VariableLength { .. } => {
                let texts = dataset.read_string().map_err(fail)?;
                texts.iter().map(|text| text.trim().to_owned()).collect()
            }
            Datatype::FixedPoint { .. } => {
                let values = dataset.read_i64().map_err(fail)?;
                values.iter().map(ToString::to_string).collect()
            }
            Datatype::FloatingPoint { .. } => dataset
                .read_f64()
                .map_err(fail)?
                .into_iter()
                .map(number)
                .collect(),
            // Truth values are an enumeration of one byte.
            Datatype::Enumeration { size: 1, .. } => {
                let raw = dataset.read_raw().map_err(fail)?;
                raw.iter().map(ToString::to_string).collect()
            }
            other => {
                return Err(format!(
                    "{path} holds values that are not read here: {other:?}"
                ));
            }
        };
        complete(path, &[length as usize], texts.len())?;
        Ok(texts)
    }

    /// A number among the attributes of an array.
    pub(super) fn attribute(&self, path: &str, name: &str) -> Option<f64> {
        let attributes = self.file.dataset(path).ok()?.attrs().ok()?;
        let value = attributes.get(name)?.as_f64()?;
        value.is_finite().then_some(value)
    }

    fn dataset(&self, path: &str) -> Result<Dataset, String> {
        self.file.dataset(path).map_err(|error| said(path, &error))
    }

    /// An array whose values its file can hold: what is asked for is what is
    /// allocated, so it is checked before it is.
    fn sized(&self, path: &str) -> Result<(Dataset, Vec<usize>), String> {
        let dataset = self.dataset(path)?;
        let shape = dataset.shape().map_err(|e| said(path, &e))?;
        let size = dataset.element_size().map_err(|e| said(path, &e))?;
        let mut sides = shape.iter();
        let bytes = sides.try_fold(size.max(1), |n, &side| n.checked_mul(side));
        if bytes.is_none_or(|bytes| bytes > self.most_bytes) {
            return Err(format!(
                "{path} of {shape:?} values is not in a file this small"
            ));
        }
        Ok((dataset, shape.iter().map(|&side| side as usize).collect()))
    }
}

/// An array must have as many values as its shape says.
fn complete(path: &str, shape: &[usize], found: usize) -> Result<(), String> {
    let count: usize = shape.iter().product();
    if found == count {
        return Ok(());
    }
    Err(format!("{path} breaks off after {found} of {count} values"))
}

fn said(path: &str, error: &hdf5_pure::Error) -> String {
    format!("{path} cannot be read: {error}")
}

/// What a series holds, by the names that Suite2p, CaImAn and their converters use.
fn kind(path: &str, in_delta: bool) -> Kind {
    let name = path.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["neuropil", "fneu", "background"]) {
        Kind::Neuropil
    } else if has(&["deconv", "event", "spike", "spks"]) {
        Kind::Events
    } else if in_delta || has(&["dff", "df_f", "dfoverf", "df_over_f", "deltaf", "delta_f"]) {
        Kind::DeltaF
    } else {
        Kind::Fluorescence
    }
}

/// Notes all groups below that have a type; looks into at most `left`, since
/// links may make a few groups look like many.
fn walk(
    group: &Group,
    path: &str,
    depth: usize,
    typed: &mut Vec<(String, String)>,
    left: &mut usize,
) {
    if depth > DEEPEST {
        return;
    }
    let mut names = group.groups().unwrap_or_default();
    names.sort_unstable();
    for name in names {
        let Some(fewer) = left.checked_sub(1) else {
            return;
        };
        *left = fewer;
        let Ok(inner) = group.group(&name) else {
            continue;
        };
        let path = format!("{path}/{name}");
        let kind = inner.attrs().ok().and_then(|attributes| {
            let kind = attributes.get("neurodata_type")?;
            kind.as_str().map(str::to_owned)
        });
        if let Some(kind) = kind {
            typed.push((path.clone(), kind));
        }
        walk(&inner, &path, depth + 1, typed, left);
    }
}
