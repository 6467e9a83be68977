//! Zarr v3: `zarr.json` of arrays and groups.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use zarrs::array::{Array, ArrayMetadata, ArrayMetadataV3};

use super::check::{check_chunk, check_limit, extents};
use super::{Group, Node, attributes_of, extension, names_of};
use crate::array::{ArrayFile, Parts, ShardIndex};
use crate::codec::{Decoder, Step};
use crate::source::Source;
use crate::{ElementType, Error, Limits, OpenOptions};

pub(super) fn open(mut source: Source, value: Value, options: &OpenOptions) -> Result<Node, Error> {
    let file = source.file("zarr.json");
    if value.get("zarr_format").and_then(Value::as_u64) != Some(3) {
        return Err(Error::metadata(&file, "zarr_format must be 3"));
    }
    match value.get("node_type").and_then(Value::as_str) {
        Some("array") => array(source, value, options).map(|a| Node::Array(Box::new(a))),
        Some("group") => {
            let attributes = attributes_of(&file, value.get("attributes"))?;
            let nodes = value.pointer("/consolidated_metadata/metadata");
            if let Some(nodes) = nodes.and_then(Value::as_object) {
                let files = nodes
                    .iter()
                    .map(|(name, node)| (format!("{name}/zarr.json"), node.clone()));
                source.consolidate(files);
            }
            Ok(Node::Group(Group { source, attributes }))
        }
        _ => Err(Error::metadata(
            &file,
            "node_type must be \"array\" or \"group\"",
        )),
    }
}

/// Parses and checks array metadata.
pub(crate) fn array(
    source: Source,
    value: Value,
    options: &OpenOptions,
) -> Result<ArrayFile, Error> {
    let file = &source.file("zarr.json");
    let bad = |reason: &str| Error::metadata(file, reason);
    let no = |reason: String| Error::unsupported(file, reason);
    check_fields(file, &value)?;
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
    let chunk = settings.and_then(|s| s.get("chunk_shape"));
    let chunk = extents(file, chunk, "chunk_shape")?;
    check_chunk(file, &shape, &chunk, "chunk_shape")?;
    let codecs = value
        .get("codecs")
        .and_then(Value::as_array)
        .ok_or_else(|| bad("codecs must be a list"))?;
    let sharding = match codecs.as_slice() {
        [only] => extension(Some(only)).filter(|(name, _)| *name == "sharding_indexed"),
        _ => None,
    };
    let axes = shape.len();
    let (cell, decoder, settings) = match sharding {
        None => (chunk.clone(), decoder(file, codecs, axes, element)?, None),
        Some((_, settings)) => {
            let settings = settings.ok_or_else(|| bad("sharding_indexed needs a configuration"))?;
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
            (cell, decoder(file, inner, axes, element)?, Some(settings))
        }
    };
    let limit = options.limits.chunk_bytes;
    check_limit(file, "a decoded chunk", &cell, element, limit)?;
    let attributes = attributes_of(file, value.get("attributes"))?;
    let names = value.get("dimension_names").and_then(names_of);
    let cells_per_file: Vec<usize> = chunk.iter().zip(&cell).map(|(&c, &i)| c / i).collect();
    let index = settings
        .map(|settings| shard_index(file, settings, &cells_per_file, &options.limits))
        .transpose()?;
    let metadata: ArrayMetadataV3 = serde_json::from_value(value)
        .map_err(|e| Error::metadata(file, format!("invalid array metadata: {e}")))?;
    let keys = Array::new_with_metadata(Arc::new(()), "/", ArrayMetadata::V3(metadata))
        .map_err(|e| Error::metadata(file, e.to_string()))?;
    Ok(ArrayFile::new(Parts {
        source,
        keys,
        element,
        shape,
        cell,
        cells_per_file,
        index,
        decoder,
        attributes,
        names,
        options: *options,
    }))
}

/// Fields that are not known may be ignored only if they say so.
fn check_fields(file: &Path, value: &Value) -> Result<(), Error> {
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
    for (key, extra) in value.as_object().into_iter().flatten() {
        let optional = extra.get("must_understand") == Some(&Value::Bool(false));
        // zarr-python writes this one in groups and, long ago, in arrays.
        if !KNOWN.contains(&key.as_str()) && !optional && key != "consolidated_metadata" {
            return Err(Error::unsupported(
                file,
                format!("the metadata field {key:?}"),
            ));
        }
    }
    match value.get("storage_transformers") {
        Some(list) if list.as_array().is_none_or(|list| !list.is_empty()) => {
            Err(Error::unsupported(file, "storage transformers"))
        }
        _ => Ok(()),
    }
}

/// The steps of a codec list: any one transpose, `bytes`, then bytes to bytes.
fn decoder(
    file: &Path,
    codecs: &[Value],
    axes: usize,
    element: ElementType,
) -> Result<Decoder, Error> {
    let bad = |reason: String| Error::metadata(file, reason);
    let mut decoder = Decoder {
        order: None,
        swap: false,
        steps: Vec::new(),
    };
    let mut to_bytes = false;
    for codec in codecs {
        let (name, settings) = extension(Some(codec))
            .ok_or_else(|| bad("each codec must be an object with a name".into()))?;
        let known = [
            "transpose",
            "bytes",
            "blosc",
            "zstd",
            "gzip",
            "zlib",
            "crc32c",
        ];
        let name = name
            .strip_prefix("numcodecs.")
            .filter(|&n| n == "zlib")
            .unwrap_or(name);
        let Some(which) = known.iter().position(|&known| known == name) else {
            return Err(Error::unsupported(file, format!("the codec {name:?}")));
        };
        if to_bytes == (which < 2) {
            return Err(bad(format!("the codec {name:?} stands in the wrong place")));
        }
        match name {
            "transpose" => {
                let order = settings.and_then(|s| s.get("order"));
                let order = extents(file, order, "the order of transpose")?;
                let mut sorted = order.clone();
                sorted.sort_unstable();
                if !sorted.iter().copied().eq(0..axes) {
                    return Err(bad(format!(
                        "transpose order {order:?} is not a permutation of {axes} axes"
                    )));
                }
                if decoder.order.replace(order).is_some() {
                    return Err(Error::unsupported(file, "two transpose codecs in a row"));
                }
            }
            "bytes" => {
                to_bytes = true;
                let big = match settings.and_then(|s| s.get("endian")).map(Value::as_str) {
                    Some(Some("big")) => true,
                    Some(Some("little")) => false,
                    None if element.bytes() == 1 => cfg!(target_endian = "big"),
                    _ => return Err(bad("bytes needs endian \"little\" or \"big\"".into())),
                };
                decoder.swap = big != cfg!(target_endian = "big");
            }
            "blosc" => decoder.steps.push(Step::Blosc),
            "zstd" => decoder.steps.push(Step::Zstd),
            "gzip" => decoder.steps.push(Step::Gzip),
            "zlib" => decoder.steps.push(Step::Zlib),
            _ => decoder.steps.push(Step::Crc32c),
        }
    }
    if to_bytes {
        Ok(decoder)
    } else {
        Err(bad("the list of codecs lacks \"bytes\"".into()))
    }
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
    let decoder = decoder(file, codecs, cells_per_file.len() + 1, ElementType::U64)?;
    let checksum = match decoder.steps.as_slice() {
        [] => 0,
        [Step::Crc32c] => 4,
        _ => {
            let reason = "index_codecs other than bytes and crc32c";
            return Err(Error::unsupported(file, reason));
        }
    };
    if decoder.order.is_some() {
        return Err(Error::unsupported(file, "a transposed shard index"));
    }
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
        Some(bytes) if bytes <= limits.index_bytes => Ok(ShardIndex {
            decoder,
            bytes: bytes as usize,
            at_start,
        }),
        _ => Err(Error::Limit {
            path: file.into(),
            what: "the index of a shard",
            asked: bytes.map_or(u128::MAX, u128::from),
            limit: limits.index_bytes,
        }),
    }
}
