//! What stands at a path: metadata files read, limited and checked before
//! `zarrs` sees them.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::num::NonZeroU64;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use zarrs::array::{Array, ArrayMetadata, ArrayMetadataV2, ArrayMetadataV3, CodecChain};
use zarrs::metadata::v3::MetadataV3;

use crate::array::{ArrayFile, ShardIndex};
use crate::{ElementType, Error, Limits, OpenOptions};

/// Names of the metadata files.
const V3: &str = "zarr.json";
const V2_ARRAY: &str = ".zarray";
const V2_GROUP: &str = ".zgroup";
const V2_ATTRIBUTES: &str = ".zattrs";

/// Axes beyond this are refused; nothing in this field has so many.
const MAX_AXES: usize = 8;

pub(crate) enum Node {
    Array(Box<ArrayFile>),
    Group(Map<String, Value>),
}

/// Whether a folder is Zarr, or empty, and so may be replaced and deleted.
pub(crate) fn is_zarr_or_empty(path: &Path) -> bool {
    [V3, V2_ARRAY, V2_GROUP]
        .iter()
        .any(|name| path.join(name).is_file())
        || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Reads the array or group at `folder`.
pub(crate) fn open(folder: &Path, options: &OpenOptions) -> Result<Node, Error> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return Err(Error::NotZarr {
                path: folder.into(),
            });
        }
        Err(error) => return Err(Error::io(folder, error)),
    }
    let file = folder.join(V3);
    if let Some(value) = read_json(&file, &options.limits)? {
        return open_v3(folder, &file, value, options);
    }
    let file = folder.join(V2_ARRAY);
    if let Some(value) = read_json(&file, &options.limits)? {
        let attributes = v2_attributes(folder, &options.limits)?;
        return array_v2(folder, &file, value, attributes, options)
            .map(|array| Node::Array(Box::new(array)));
    }
    let file = folder.join(V2_GROUP);
    if let Some(value) = read_json(&file, &options.limits)? {
        if value.get("zarr_format").and_then(Value::as_u64) != Some(2) {
            return Err(Error::metadata(&file, "zarr_format must be 2"));
        }
        return v2_attributes(folder, &options.limits).map(Node::Group);
    }
    Err(Error::NotZarr {
        path: folder.into(),
    })
}

/// The folders below a group that hold a node, by name, sorted.
pub(crate) fn children(folder: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if [V3, V2_ARRAY, V2_GROUP]
            .iter()
            .any(|file| path.join(file).is_file())
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Joins a path found in metadata, or given as a node's name, to `folder`;
/// `None` if it would leave it.
pub(crate) fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let relative = Path::new(name);
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    (plain && !name.is_empty() && !name.contains(['\0', '\\'])).then(|| folder.join(relative))
}

fn read_json(file: &Path, limits: &Limits) -> Result<Option<Value>, Error> {
    let handle = match File::open(file) {
        Ok(handle) => handle,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(file, error)),
    };
    let mut bytes = Vec::new();
    handle
        .take(limits.metadata_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io(file, e))?;
    if bytes.len() as u64 > limits.metadata_bytes {
        return Err(Error::Limit {
            path: file.into(),
            what: "the metadata file",
            asked: bytes.len() as u128,
            limit: limits.metadata_bytes,
        });
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Error::metadata(file, format!("not valid JSON: {e}")))
}

fn v2_attributes(folder: &Path, limits: &Limits) -> Result<Map<String, Value>, Error> {
    let file = folder.join(V2_ATTRIBUTES);
    match read_json(&file, limits)? {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(Error::metadata(
            &file,
            "the attributes must be a JSON object",
        )),
    }
}

fn open_v3(folder: &Path, file: &Path, value: Value, options: &OpenOptions) -> Result<Node, Error> {
    if value.get("zarr_format").and_then(Value::as_u64) != Some(3) {
        return Err(Error::metadata(file, "zarr_format must be 3"));
    }
    match value.get("node_type").and_then(Value::as_str) {
        Some("array") => array_v3(folder, file, value, options).map(|a| Node::Array(Box::new(a))),
        Some("group") => match value.get("attributes") {
            None | Some(Value::Null) => Ok(Node::Group(Map::new())),
            Some(Value::Object(map)) => Ok(Node::Group(map.clone())),
            Some(_) => Err(Error::metadata(
                file,
                "the attributes must be a JSON object",
            )),
        },
        _ => Err(Error::metadata(
            file,
            "node_type must be \"array\" or \"group\"",
        )),
    }
}

/// Parses and checks v3 array metadata.
pub(crate) fn array_v3(
    folder: &Path,
    file: &Path,
    value: Value,
    options: &OpenOptions,
) -> Result<ArrayFile, Error> {
    const KNOWN: [&str; 11] = [
        "zarr_format",
        "node_type",
        "shape",
        "data_type",
        "chunk_grid",
        "chunk_key_encoding",
        "fill_value",
        "codecs",
        "attributes",
        "storage_transformers",
        "dimension_names",
    ];
    let bad = |reason: &str| Error::metadata(file, reason);
    let no = |reason: String| Error::unsupported(file, reason);
    for (key, extra) in value.as_object().into_iter().flatten() {
        let optional = extra.get("must_understand") == Some(&Value::Bool(false));
        // zarr-python writes this one in groups and, long ago, in arrays.
        if !KNOWN.contains(&key.as_str()) && !optional && key != "consolidated_metadata" {
            return Err(no(format!("the metadata field {key:?}")));
        }
    }
    let shape = extents(file, value.get("shape"), "shape")?;
    let (name, _) = extension(value.get("data_type"))
        .ok_or_else(|| bad("data_type must be a name or an object with a name"))?;
    let element =
        ElementType::from_v3(name).ok_or_else(|| no(format!("the data type {name:?}")))?;
    let (grid, settings) = extension(value.get("chunk_grid"))
        .ok_or_else(|| bad("chunk_grid must be an object with a name"))?;
    if grid != "regular" {
        return Err(no(format!("the chunk grid {grid:?}")));
    }
    let chunk = extents(
        file,
        settings.and_then(|s| s.get("chunk_shape")),
        "chunk_shape",
    )?;
    check_chunk(file, &shape, &chunk, "chunk_shape")?;
    if let Some(list) = value.get("storage_transformers")
        && list.as_array().is_none_or(|list| !list.is_empty())
    {
        return Err(no("storage transformers".into()));
    }
    let codecs = value
        .get("codecs")
        .and_then(Value::as_array)
        .ok_or_else(|| bad("codecs must be a list"))?;
    let sharding = match codecs.as_slice() {
        [only] if extension(Some(only)).is_some_and(|(name, _)| name == "sharding_indexed") => {
            let settings = extension(Some(only)).and_then(|(_, settings)| settings);
            Some(settings.ok_or_else(|| bad("sharding_indexed needs a configuration"))?)
        }
        _ => None,
    };
    let (cell, shard) = match sharding {
        None => {
            check_codecs(file, codecs, shape.len())?;
            (chunk.clone(), None)
        }
        Some(settings) => {
            let cell = extents(file, settings.get("chunk_shape"), "the inner chunk_shape")?;
            check_chunk(file, &shape, &cell, "the inner chunk_shape")?;
            if chunk
                .iter()
                .zip(&cell)
                .any(|(outer, inner)| outer % inner != 0)
            {
                return Err(bad(
                    "the shard shape must be a multiple of its inner chunk_shape",
                ));
            }
            let inner = settings
                .get("codecs")
                .and_then(Value::as_array)
                .ok_or_else(|| bad("sharding_indexed needs a list of codecs"))?;
            check_codecs(file, inner, shape.len())?;
            (cell, Some((settings, inner)))
        }
    };
    check_sizes(file, &cell, element, &options.limits)?;
    let attributes = match value.get("attributes") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(_) => return Err(bad("the attributes must be a JSON object")),
    };
    let names = value.get("dimension_names").and_then(names_of);
    let mut index = None;
    let mut cells_per_file = vec![1; shape.len()];
    let mut chain = None;
    if let Some((settings, inner)) = shard {
        for ((count, &outer), &inner) in cells_per_file.iter_mut().zip(&chunk).zip(&cell) {
            *count = outer / inner;
        }
        index = Some(shard_index(
            file,
            settings,
            &cells_per_file,
            &options.limits,
        )?);
        chain = Some(codec_chain(file, inner)?);
    }
    let metadata: ArrayMetadataV3 = serde_json::from_value(value)
        .map_err(|e| Error::metadata(file, format!("invalid array metadata: {e}")))?;
    let array = Array::new_with_metadata(Arc::new(()), "/", ArrayMetadata::V3(metadata))
        .map_err(|e| Error::metadata(file, e.to_string()))?;
    let chain = chain.unwrap_or_else(|| array.codecs());
    Ok(ArrayFile::new(
        folder,
        array,
        element,
        shape,
        cell,
        cells_per_file,
        index,
        chain,
        attributes,
        names,
        *options,
    ))
}

fn array_v2(
    folder: &Path,
    file: &Path,
    value: Value,
    attributes: Map<String, Value>,
    options: &OpenOptions,
) -> Result<ArrayFile, Error> {
    let bad = |reason: &str| Error::metadata(file, reason);
    let no = |reason: String| Error::unsupported(file, reason);
    if value.get("zarr_format").and_then(Value::as_u64) != Some(2) {
        return Err(bad("zarr_format must be 2"));
    }
    let shape = extents(file, value.get("shape"), "shape")?;
    let chunk = extents(file, value.get("chunks"), "chunks")?;
    check_chunk(file, &shape, &chunk, "chunks")?;
    let code = value
        .get("dtype")
        .and_then(Value::as_str)
        .ok_or_else(|| no("a dtype that is not a simple number type".into()))?;
    let element = ElementType::from_v2(code).ok_or_else(|| no(format!("the dtype {code:?}")))?;
    if let Some(filters) = value.get("filters").and_then(Value::as_array)
        && !filters.is_empty()
    {
        return Err(no("filters".into()));
    }
    if let Some(compressor) = value.get("compressor").filter(|c| !c.is_null()) {
        let id = compressor
            .get("id")
            .and_then(Value::as_str)
            .ok_or_else(|| bad("the compressor has no id"))?;
        if !["blosc", "zstd", "gzip"].contains(&id) {
            return Err(no(format!("the compressor {id:?}")));
        }
    }
    check_sizes(file, &chunk, element, &options.limits)?;
    let names = attributes.get("_ARRAY_DIMENSIONS").and_then(names_of);
    let metadata: ArrayMetadataV2 = serde_json::from_value(value)
        .map_err(|e| Error::metadata(file, format!("invalid array metadata: {e}")))?;
    let array = Array::new_with_metadata(Arc::new(()), "/", ArrayMetadata::V2(metadata))
        .map_err(|e| Error::metadata(file, e.to_string()))?;
    let chain = array.codecs();
    let cells_per_file = vec![1; shape.len()];
    Ok(ArrayFile::new(
        folder,
        array,
        element,
        shape,
        chunk,
        cells_per_file,
        None,
        chain,
        attributes,
        names,
        *options,
    ))
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

fn extents(file: &Path, value: Option<&Value>, what: &str) -> Result<Vec<usize>, Error> {
    let list = value
        .and_then(Value::as_array)
        .ok_or_else(|| Error::metadata(file, format!("{what} must be a list of whole numbers")))?;
    if list.is_empty() || list.len() > MAX_AXES {
        return Err(Error::unsupported(
            file,
            format!("{what} has {} axes, 1 to {MAX_AXES} are read", list.len()),
        ));
    }
    list.iter()
        .map(|extent| {
            extent
                .as_u64()
                .and_then(|extent| usize::try_from(extent).ok())
                .ok_or_else(|| {
                    Error::metadata(
                        file,
                        format!("{what} contains {extent}, not a whole number"),
                    )
                })
        })
        .collect()
}

/// A chunk shape must have the array's axes and no zero; together with the
/// shape, no arithmetic on positions may overflow.
fn check_chunk(file: &Path, shape: &[usize], chunk: &[usize], what: &str) -> Result<(), Error> {
    if chunk.len() != shape.len() {
        return Err(Error::metadata(
            file,
            format!("{what} has {} axes, shape has {}", chunk.len(), shape.len()),
        ));
    }
    if chunk.contains(&0) {
        return Err(Error::metadata(
            file,
            format!("{what} {chunk:?} contains 0"),
        ));
    }
    // Padded to whole chunks and in the widest element, the array must still be countable.
    let padded = shape
        .iter()
        .zip(chunk)
        .try_fold(16usize, |total, (&s, &c)| {
            total.checked_mul(s.max(1).checked_next_multiple_of(c)?)
        });
    if padded.is_none_or(|total| isize::try_from(total).is_err()) {
        return Err(Error::metadata(
            file,
            format!("shape {shape:?} in chunks {chunk:?} is too large to address"),
        ));
    }
    Ok(())
}

fn check_sizes(
    file: &Path,
    cell: &[usize],
    element: ElementType,
    limits: &Limits,
) -> Result<(), Error> {
    check_limit(file, "a decoded chunk", cell, element, limits.chunk_bytes)
}

/// Whether an array of `shape` stays within `limit` bytes.
pub(crate) fn check_limit(
    file: &Path,
    what: &'static str,
    shape: &[usize],
    element: ElementType,
    limit: u64,
) -> Result<(), Error> {
    let asked = shape
        .iter()
        .fold(element.bytes() as u128, |total, &extent| {
            total.saturating_mul(extent as u128)
        });
    if asked > u128::from(limit) {
        return Err(Error::Limit {
            path: file.into(),
            what,
            asked,
            limit,
        });
    }
    Ok(())
}

fn check_codecs(file: &Path, codecs: &[Value], axes: usize) -> Result<(), Error> {
    for codec in codecs {
        let (name, settings) = extension(Some(codec))
            .ok_or_else(|| Error::metadata(file, "each codec must be an object with a name"))?;
        match name {
            "bytes" | "blosc" | "zstd" | "gzip" | "crc32c" => {}
            "transpose" => {
                let order = extents(
                    file,
                    settings.and_then(|s| s.get("order")),
                    "the order of transpose",
                )?;
                let mut sorted = order.clone();
                sorted.sort_unstable();
                if sorted.len() != axes || sorted.iter().enumerate().any(|(i, &axis)| i != axis) {
                    return Err(Error::metadata(
                        file,
                        format!("transpose order {order:?} is not a permutation of {axes} axes"),
                    ));
                }
            }
            other => return Err(Error::unsupported(file, format!("the codec {other:?}"))),
        }
    }
    Ok(())
}

fn codec_chain(file: &Path, codecs: &[Value]) -> Result<Arc<CodecChain>, Error> {
    let metadata: Vec<MetadataV3> = serde_json::from_value(Value::Array(codecs.to_vec()))
        .map_err(|e| Error::metadata(file, format!("invalid codecs: {e}")))?;
    CodecChain::from_metadata(&metadata)
        .map(Arc::new)
        .map_err(|e| Error::metadata(file, format!("invalid codecs: {e}")))
}

fn shard_index(
    file: &Path,
    settings: &Value,
    cells_per_file: &[usize],
    limits: &Limits,
) -> Result<ShardIndex, Error> {
    let codecs = settings
        .get("index_codecs")
        .and_then(Value::as_array)
        .ok_or_else(|| Error::metadata(file, "sharding_indexed needs a list of index_codecs"))?;
    let names: Vec<&str> = codecs
        .iter()
        .filter_map(|codec| extension(Some(codec)).map(|(name, _)| name))
        .collect();
    let checksum = match names.as_slice() {
        ["bytes"] => 0,
        ["bytes", "crc32c"] => 4,
        _ => {
            return Err(Error::unsupported(
                file,
                "index_codecs other than bytes and crc32c",
            ));
        }
    };
    let at_start = match settings.get("index_location").map(Value::as_str) {
        None | Some(Some("end")) => false,
        Some(Some("start")) => true,
        Some(_) => {
            return Err(Error::metadata(
                file,
                "index_location must be \"start\" or \"end\"",
            ));
        }
    };
    // check_chunk has bounded the padded array; the shard itself may still be larger.
    let cells = cells_per_file
        .iter()
        .try_fold(1u64, |total, &count| total.checked_mul(count as u64));
    let bytes = cells.and_then(|cells| cells.checked_mul(16)?.checked_add(checksum));
    match bytes {
        Some(bytes) if bytes <= limits.index_bytes => {
            let mut shape = Vec::with_capacity(cells_per_file.len() + 1);
            shape.extend(cells_per_file.iter().map(|&count| count as u64));
            shape.push(2);
            Ok(ShardIndex {
                chain: codec_chain(file, codecs)?,
                shape: shape.into_iter().filter_map(NonZeroU64::new).collect(),
                bytes: bytes as usize,
                at_start,
            })
        }
        _ => Err(Error::Limit {
            path: file.into(),
            what: "the index of a shard",
            asked: bytes.map_or(u128::MAX, u128::from),
            limit: limits.index_bytes,
        }),
    }
}
