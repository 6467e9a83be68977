//! Zarr v2: `.zarray`, `.zattrs`, `.zmetadata`.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use zarrs::array::{Array, ArrayMetadata, ArrayMetadataV2};

use super::check::{check_chunk, check_limit, extents};
use super::{attributes_of, names_of};
use crate::array::{ArrayFile, Parts};
use crate::codec::{Decoder, Step};
use crate::source::Source;
use crate::{ElementType, Error, Limits, OpenOptions};

/// The files that consolidated metadata hold, by path.
pub(super) fn consolidated(file: &Path, value: Value) -> Result<Map<String, Value>, Error> {
    match value {
        Value::Object(mut all) => match all.remove("metadata") {
            Some(Value::Object(files)) => Ok(files),
            _ => Err(Error::metadata(file, "metadata must be a JSON object")),
        },
        _ => Err(Error::metadata(file, "not a JSON object")),
    }
}

pub(super) fn attributes(source: &Source, limits: &Limits) -> Result<Map<String, Value>, Error> {
    let value = source.json(".zattrs", limits)?;
    attributes_of(&source.file(".zattrs"), value.as_ref())
}

pub(super) fn array(
    source: Source,
    value: Value,
    options: &OpenOptions,
) -> Result<ArrayFile, Error> {
    let attributes = attributes(&source, &options.limits)?;
    let file = &source.file(".zarray");
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
        let ids: Vec<String> = filters
            .iter()
            .map(|filter| filter.get("id").unwrap_or(filter).to_string())
            .collect();
        return Err(no(format!("the filters {}", ids.join(", "))));
    }
    let mut steps = Vec::new();
    if let Some(compressor) = value.get("compressor").filter(|c| !c.is_null()) {
        let id = compressor
            .get("id")
            .and_then(Value::as_str)
            .ok_or_else(|| bad("the compressor has no id"))?;
        steps.push(match id {
            "blosc" => Step::Blosc,
            "zstd" => Step::Zstd,
            "gzip" => Step::Gzip,
            "zlib" => Step::Zlib,
            _ => return Err(no(format!("the compressor {id:?}"))),
        });
    }
    check_limit(
        file,
        "a decoded chunk",
        &chunk,
        element,
        options.limits.chunk_bytes,
    )?;
    let fortran = match value.get("order").and_then(Value::as_str) {
        Some("C") => false,
        Some("F") => true,
        _ => return Err(bad("order must be \"C\" or \"F\"")),
    };
    let axes = shape.len();
    let decoder = Decoder {
        order: (fortran && axes > 1).then(|| (0..axes).rev().collect()),
        swap: element.bytes() > 1 && code.starts_with('>') != cfg!(target_endian = "big"),
        steps,
    };
    let names = attributes.get("_ARRAY_DIMENSIONS").and_then(names_of);
    let metadata: ArrayMetadataV2 = serde_json::from_value(value)
        .map_err(|e| Error::metadata(file, format!("invalid array metadata: {e}")))?;
    let keys = Array::new_with_metadata(Arc::new(()), "/", ArrayMetadata::V2(metadata))
        .map_err(|e| Error::metadata(file, e.to_string()))?;
    Ok(ArrayFile::new(Parts {
        source,
        keys,
        element,
        cells_per_file: vec![1; shape.len()],
        shape,
        cell: chunk,
        index: None,
        decoder,
        attributes,
        names,
        options: *options,
    }))
}
