//! One array on disk: which file and bytes hold which elements.
//!
//! `zarrs` supplies the metadata rules, the chunk keys and the codecs. Files
//! are read and shards taken apart and put together here, because every length
//! that comes from disk has to be checked before it is used, every error has to
//! name its chunk, and a shard's bytes must not depend on the number of
//! threads: inner chunks lie in C order.

mod read;
mod shard;
mod write;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fluorspar_movie::Workspaces;
use serde_json::{Map, Value};
use zarrs::array::Array;

use crate::codec::Decoder;
use crate::source::Source;
use crate::{ElementType, Limits, OpenOptions};

pub(crate) use read::Place;
pub(crate) use shard::ShardIndex;
pub(crate) use write::{Plan, UNFINISHED, Unfinished, write_json};

/// What an array's metadata say, checked.
///
/// A *cell* is what is decoded at once: a chunk, or an inner chunk of a shard.
pub(crate) struct Parts {
    pub(crate) source: Source,
    pub(crate) keys: Array<()>,
    pub(crate) element: ElementType,
    pub(crate) shape: Vec<usize>,
    pub(crate) cell: Vec<usize>,
    pub(crate) cells_per_file: Vec<usize>,
    pub(crate) index: Option<ShardIndex>,
    pub(crate) decoder: Decoder,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) names: Option<Vec<Option<String>>>,
    pub(crate) options: OpenOptions,
}

/// An array that can be read.
pub(crate) struct ArrayFile {
    parts: Parts,
    folder: PathBuf,
    indexes: Mutex<shard::Recent>,
    spaces: Workspaces<'static, read::Scratch>,
}

impl fmt::Debug for ArrayFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayFile")
            .field("folder", &self.folder)
            .field("element", &self.parts.element)
            .field("shape", &self.parts.shape)
            .field("cell", &self.parts.cell)
            .field("cells_per_file", &self.parts.cells_per_file)
            .finish_non_exhaustive()
    }
}

impl ArrayFile {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            folder: parts.source.path(),
            parts,
            indexes: Mutex::default(),
            spaces: Workspaces::new(read::Scratch::default),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn element(&self) -> ElementType {
        self.parts.element
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.parts.shape
    }

    pub(crate) fn cell(&self) -> &[usize] {
        &self.parts.cell
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.parts.options.limits
    }

    pub(crate) fn attributes(&self) -> &Map<String, Value> {
        &self.parts.attributes
    }

    pub(crate) fn dimension_names(&self) -> Option<&[Option<String>]> {
        self.parts.names.as_deref()
    }

    fn cell_bytes(&self) -> usize {
        self.parts.cell.iter().product::<usize>() * self.parts.element.bytes()
    }

    /// The file that holds a chunk or shard, below the array's folder.
    pub(crate) fn key(&self, file_index: &[usize]) -> String {
        let index: Vec<u64> = file_index.iter().map(|&i| i as u64).collect();
        let key = self.parts.keys.chunk_key(&index);
        key.as_str().to_owned()
    }
}

/// All cells that `region` touches, as indices, last axis fastest.
pub(crate) fn cells_across(region: &[Range<usize>], cell: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for (range, &extent) in region.iter().zip(cell) {
        let along = range.start / extent..range.end.div_ceil(extent);
        all = all
            .into_iter()
            .flat_map(|head| {
                along.clone().map(move |index| {
                    let mut cell = head.clone();
                    cell.push(index);
                    cell
                })
            })
            .collect();
    }
    all
}
