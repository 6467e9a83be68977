//! Metadata, chunks and shards of an array that is being written, always v3.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::ArrayFile;
use super::shard::ABSENT;
use crate::codec::{BLOSC_LEVEL, swap_bytes};
use crate::metadata::array_v3;
use crate::source::Source;
use crate::{Codec, ElementType, Error, OpenOptions};

/// Ends the name of a file that is not yet whole.
pub(crate) const UNFINISHED: &str = ".unfinished";

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Shape, chunking and codec of an array to be written.
pub(crate) struct Plan<'a> {
    pub(crate) element: ElementType,
    pub(crate) shape: &'a [usize],
    /// Chunk, or inner chunk of a shard.
    pub(crate) cell: &'a [usize],
    /// Shard, if sharded.
    pub(crate) shard: Option<&'a [usize]>,
    pub(crate) codec: Codec,
    pub(crate) dimension_names: &'a [&'a str],
    pub(crate) attributes: Map<String, Value>,
}

impl Plan<'_> {
    /// What `zarr.json` will say.
    pub(crate) fn metadata(&self) -> Value {
        let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
        // The checksum behind the compressor turns silent damage into an error.
        let checksum = json!({"name": "crc32c"});
        let codecs = match self.codec {
            Codec::None => json!([bytes, checksum]),
            // Blosc compresses photon noise best as bit planes.
            Codec::Blosc => json!([bytes, {"name": "blosc", "configuration": {
                "cname": "lz4", "clevel": BLOSC_LEVEL, "shuffle": "bitshuffle",
                "typesize": self.element.bytes(), "blocksize": 0,
            }}, checksum]),
            Codec::Zstd { level } => json!([bytes, {"name": "zstd", "configuration": {
                "level": level, "checksum": false,
            }}, checksum]),
            Codec::Gzip { level } => json!([bytes, {"name": "gzip", "configuration": {
                "level": level.min(9),
            }}, checksum]),
        };
        let codecs = match self.shard {
            None => codecs,
            Some(_) => json!([{"name": "sharding_indexed", "configuration": {
                "chunk_shape": self.cell,
                "codecs": codecs,
                "index_codecs": [bytes, checksum],
                "index_location": "end",
            }}]),
        };
        json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": self.element.name(),
            "chunk_grid": {"name": "regular", "configuration": {
                "chunk_shape": self.shard.unwrap_or(self.cell),
            }},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": match self.element {
                ElementType::F32 | ElementType::F64 => json!(0.0),
                _ => json!(0),
            },
            "codecs": codecs,
            "attributes": self.attributes,
            "dimension_names": self.dimension_names,
        })
    }

    /// Writes `zarr.json` into `folder`.
    pub(crate) fn create(self, folder: &Path) -> Result<ArrayFile, Error> {
        let metadata = self.metadata();
        // Refused before anything is written, if our own reader would refuse it.
        let array = array_v3(
            Source::folder(folder),
            metadata.clone(),
            &OpenOptions::default(),
        )?;
        write_json(&folder.join("zarr.json"), &metadata)?;
        Ok(array)
    }
}

impl ArrayFile {
    /// Encodes one cell of native-endian bytes, in the memory of `spare`.
    pub(crate) fn encode_cell(
        &self,
        codec: Codec,
        native: &[u8],
        spare: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        codec
            .encode(native, self.element().bytes(), spare)
            .map_err(|reason| Error::Encode {
                path: self.folder.clone(),
                reason,
            })
    }

    /// Where the file of a chunk or a shard lies.
    pub(crate) fn file_of(&self, file_index: &[usize]) -> PathBuf {
        self.folder.join(self.key(file_index))
    }

    /// Writes a chunk (one cell) or a shard (its cells in C order, `None` for
    /// those outside the array) as one file under a temporary name.
    pub(crate) fn write_file(
        &self,
        file_index: &[usize],
        cells: &[Option<Vec<u8>>],
    ) -> Result<Unfinished, Error> {
        let path = self.file_of(file_index);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        }
        let index = self.parts.index.as_ref().map(|_| shard_index(cells));
        let parts = cells.iter().flatten().chain(&index).map(Vec::as_slice);
        Unfinished::write(path, parts)
    }
}

/// The encoded index of a shard whose cells lie one behind the other.
fn shard_index(cells: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut entries = Vec::with_capacity(2 * cells.len());
    let mut offset = 0;
    for cell in cells {
        match cell {
            Some(bytes) => {
                entries.extend([offset, bytes.len() as u64]);
                offset += bytes.len() as u64;
            }
            None => entries.extend([ABSENT, ABSENT]),
        }
    }
    let mut encoded = bytemuck::cast_slice::<u64, u8>(&entries).to_vec();
    if cfg!(target_endian = "big") {
        swap_bytes(&mut encoded, 8);
    }
    let checksum = crc32c::crc32c(&encoded);
    encoded.extend_from_slice(&checksum.to_le_bytes());
    encoded
}

/// Writes a metadata file.
pub(crate) fn write_json(file: &Path, value: &Value) -> Result<(), Error> {
    let text = format!("{value:#}\n");
    Unfinished::write(file.into(), [text.as_bytes()].into_iter())?.finish(false)
}

/// A file written under a temporary name; dropped, it goes.
#[derive(Debug)]
pub(crate) struct Unfinished {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    fn write<'a>(path: PathBuf, parts: impl Iterator<Item = &'a [u8]>) -> Result<Self, Error> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}-{n}{UNFINISHED}", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create_new(&temporary).map_err(|e| Error::io(&temporary, e))?;
        let mut unfinished = Self {
            file,
            temporary,
            path,
        };
        for part in parts {
            let written = unfinished.file.write_all(part);
            written.map_err(|e| Error::io(&unfinished.path, e))?;
        }
        Ok(unfinished)
    }

    /// Another handle to the file.
    pub(crate) fn file(&self) -> Option<File> {
        self.file.try_clone().ok()
    }

    /// Gives the file its name. If `durable`, it is there after a power failure too.
    pub(crate) fn finish(self, durable: bool) -> Result<(), Error> {
        if durable {
            let flushed = self.file.sync_data();
            flushed.map_err(|e| Error::io(&self.path, e))?;
        }
        fs::rename(&self.temporary, &self.path).map_err(|e| Error::io(&self.path, e))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing under this name; other errors have been reported.
        let _ = fs::remove_file(&self.temporary);
    }
}
