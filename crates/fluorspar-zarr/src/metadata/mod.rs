//! What stands at a path: metadata files read, limited and checked before
//! `zarrs` sees them.

mod check;
mod v2;
mod v3;

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::array::ArrayFile;
use crate::source::{NODE_FILES, Source};
use crate::{Error, OpenOptions};

pub(crate) use check::check_limit;
pub(crate) use v3::array as array_v3;

pub(crate) enum Node {
    Array(Box<ArrayFile>),
    Group(Group),
}

/// A group and where it lies.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) source: Source,
    pub(crate) attributes: Map<String, Value>,
}

/// Whether a folder is Zarr, or empty, and so may be replaced and deleted.
pub(crate) fn is_zarr_or_empty(path: &Path) -> bool {
    NODE_FILES.iter().any(|name| path.join(name).is_file())
        || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Reads the array or group at `source`.
pub(crate) fn open(mut source: Source, options: &OpenOptions) -> Result<Node, Error> {
    let limits = &options.limits;
    if let Some(value) = source.json("zarr.json", limits)? {
        return v3::open(source, value, options);
    }
    if let Some(value) = source.json(".zmetadata", limits)? {
        let files = v2::consolidated(&source.file(".zmetadata"), value)?;
        source.consolidate(files);
    }
    if let Some(value) = source.json(".zarray", limits)? {
        return v2::array(source, value, options).map(|array| Node::Array(Box::new(array)));
    }
    if let Some(value) = source.json(".zgroup", limits)? {
        if value.get("zarr_format").and_then(Value::as_u64) != Some(2) {
            let file = source.file(".zgroup");
            return Err(Error::metadata(file, "zarr_format must be 2"));
        }
        let attributes = v2::attributes(&source, limits)?;
        return Ok(Node::Group(Group { source, attributes }));
    }
    Err(source.nothing_here())
}

/// Name and configuration of an extension point, in either spelling.
fn extension(value: Option<&Value>) -> Option<(&str, Option<&Value>)> {
    match value? {
        Value::String(name) => Some((name, None)),
        object => Some((object.get("name")?.as_str()?, object.get("configuration"))),
    }
}

fn names_of(value: &Value) -> Option<Vec<Option<String>>> {
    let names = value.as_array()?;
    Some(
        names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect(),
    )
}

fn attributes_of(file: &Path, value: Option<&Value>) -> Result<Map<String, Value>, Error> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(_) => Err(Error::metadata(
            file,
            "the attributes must be a JSON object",
        )),
    }
}
