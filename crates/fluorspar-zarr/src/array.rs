//! One array on disk: which file and bytes hold which elements, and the codecs.
//!
//! `zarrs` supplies the codecs and the metadata rules. Files are read and
//! shards taken apart and put together here, because every length that comes
//! from disk has to be checked before it is used, every error has to name its
//! chunk, and a shard's bytes must not depend on the number of threads: inner
//! chunks lie in C order, as `SubchunkWriteOrder::C` of `zarrs` would place them.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use serde_json::{Map, Value, json};
use zarrs::array::{
    Array, ArrayBytes, ArrayToBytesCodecTraits, CodecChain, CodecOptions, FillValue, data_type,
};

use crate::metadata::array_v3;
use crate::{ElementType, Error, Limits, MissingChunks, OpenOptions};

/// Marks an inner chunk that is not in its shard.
const ABSENT: u64 = u64::MAX;

/// How the index of a shard is stored.
pub(crate) struct ShardIndex {
    pub(crate) chain: Arc<CodecChain>,
    /// Inner chunks along each axis, then 2 (offset and length).
    pub(crate) shape: Vec<NonZeroU64>,
    /// Encoded length.
    pub(crate) bytes: usize,
    pub(crate) at_start: bool,
}

type Entries = Arc<Vec<u64>>;

/// An array's metadata, checked, with its codecs ready.
///
/// A *cell* is what is decoded at once: a chunk, or an inner chunk of a shard.
pub(crate) struct ArrayFile {
    folder: PathBuf,
    keys: Array<()>,
    element: ElementType,
    shape: Vec<usize>,
    cell: Vec<usize>,
    cell_extents: Vec<NonZeroU64>,
    cells_per_file: Vec<usize>,
    index: Option<ShardIndex>,
    chain: Arc<CodecChain>,
    codec_options: CodecOptions,
    attributes: Map<String, Value>,
    names: Option<Vec<Option<String>>>,
    options: OpenOptions,
    last_index: Mutex<Option<(Vec<usize>, Entries)>>,
}

impl fmt::Debug for ArrayFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayFile")
            .field("folder", &self.folder)
            .field("element", &self.element)
            .field("shape", &self.shape)
            .field("cell", &self.cell)
            .field("cells_per_file", &self.cells_per_file)
            .finish_non_exhaustive()
    }
}

impl ArrayFile {
    #[allow(clippy::too_many_arguments, reason = "called by the two parsers only")]
    pub(crate) fn new(
        folder: &Path,
        keys: Array<()>,
        element: ElementType,
        shape: Vec<usize>,
        cell: Vec<usize>,
        cells_per_file: Vec<usize>,
        index: Option<ShardIndex>,
        chain: Arc<CodecChain>,
        attributes: Map<String, Value>,
        names: Option<Vec<Option<String>>>,
        options: OpenOptions,
    ) -> Self {
        let cell_extents = extents(&cell);
        Self {
            folder: folder.to_path_buf(),
            keys,
            element,
            shape,
            cell,
            cell_extents,
            cells_per_file,
            index,
            chain,
            // Parallelism goes over cells, never into a codec.
            codec_options: CodecOptions::default()
                .with_concurrent_target(1)
                .with_validate_checksums(true),
            attributes,
            names,
            options,
            last_index: Mutex::new(None),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn element(&self) -> ElementType {
        self.element
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn cell(&self) -> &[usize] {
        &self.cell
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.options.limits
    }

    pub(crate) fn attributes(&self) -> &Map<String, Value> {
        &self.attributes
    }

    pub(crate) fn dimension_names(&self) -> Option<&[Option<String>]> {
        self.names.as_deref()
    }

    pub(crate) fn cell_bytes(&self) -> usize {
        self.cell.iter().product::<usize>() * self.element.bytes()
    }

    /// The file that holds a chunk or shard.
    pub(crate) fn file(&self, file_index: &[usize]) -> PathBuf {
        let index: Vec<u64> = file_index.iter().map(|&i| i as u64).collect();
        self.folder.join(self.keys.chunk_key(&index).as_str())
    }

    // ---- reading ----

    /// Reads `region` (one range per axis, inside the shape) row-major into
    /// `out`, which holds `unit` values per element; `put` converts a run of
    /// native-endian bytes.
    pub(crate) fn read_region<U: Send>(
        &self,
        region: &[Range<usize>],
        unit: usize,
        out: &mut [U],
        put: &(impl Fn(&[u8], &mut [U]) + Sync),
    ) -> Result<(), Error> {
        if region.iter().any(Range::is_empty) {
            return Ok(());
        }
        let row = region[1..].iter().map(Range::len).product::<usize>() * unit;
        let mut slabs = Vec::new();
        let mut rest = out;
        let mut start = region[0].start;
        while start < region[0].end {
            let index = start / self.cell[0];
            let stop = ((index + 1) * self.cell[0]).min(region[0].end);
            let (slab, tail) = rest.split_at_mut((stop - start) * row);
            slabs.push((index, start..stop, slab));
            rest = tail;
            start = stop;
        }
        let across = cells_across(&region[1..], &self.cell[1..]);
        if across.len() == 1 {
            let results: Vec<Result<(), Error>> = slabs
                .into_par_iter()
                .map(|(index, frames, slab)| {
                    let cell = cell_index(index, &across[0]);
                    let data = self.read_cell(&cell)?;
                    self.place(&cell, &data, &frames, &region[1..], unit, slab, put);
                    Ok(())
                })
                .collect();
            return results.into_iter().collect();
        }
        // Cells beside each other share a slab of the output: decode a few at once, then place.
        let batch = rayon::current_num_threads().max(1);
        for (index, frames, slab) in slabs {
            for some in across.chunks(batch) {
                let decoded: Vec<_> = some
                    .par_iter()
                    .map(|rest| {
                        let cell = cell_index(index, rest);
                        self.read_cell(&cell).map(|data| (cell, data))
                    })
                    .collect();
                for result in decoded {
                    let (cell, data) = result?;
                    self.place(&cell, &data, &frames, &region[1..], unit, slab, put);
                }
            }
        }
        Ok(())
    }

    /// Copies the part of one decoded cell that lies in `first` × `others` into `slab`.
    #[allow(clippy::too_many_arguments, reason = "private, one caller")]
    fn place<U>(
        &self,
        cell: &[usize],
        data: &[u8],
        first: &Range<usize>,
        others: &[Range<usize>],
        unit: usize,
        slab: &mut [U],
        put: &impl Fn(&[u8], &mut [U]),
    ) {
        let axes = cell.len();
        let mut count = vec![0; axes];
        let mut from = vec![0; axes];
        let mut to = vec![0; axes];
        let mut extent = vec![0; axes];
        for axis in 0..axes {
            let asked = if axis == 0 { first } else { &others[axis - 1] };
            let origin = cell[axis] * self.cell[axis];
            let start = asked.start.max(origin);
            let stop = asked.end.min(origin + self.cell[axis]);
            count[axis] = stop - start;
            from[axis] = start - origin;
            to[axis] = start - asked.start;
            extent[axis] = asked.len();
        }
        // Trailing axes that are whole in both the cell and the output form one run.
        let mut split = axes - 1;
        while split > 0 && count[split] == self.cell[split] && count[split] == extent[split] {
            split -= 1;
        }
        let run: usize = count[split..].iter().product();
        let bytes = self.element.bytes();
        let mut at = vec![0; split];
        loop {
            let mut source = 0;
            let mut target = 0;
            for axis in 0..axes {
                let step = at.get(axis).copied().unwrap_or(0);
                source = source * self.cell[axis] + from[axis] + step;
                target = target * extent[axis] + to[axis] + step;
            }
            put(
                &data[source * bytes..(source + run) * bytes],
                &mut slab[target * unit..(target + run) * unit],
            );
            // Count up, last axis fastest.
            let Some(axis) = (0..split).rev().find(|&axis| at[axis] + 1 < count[axis]) else {
                return;
            };
            at[axis] += 1;
            at[axis + 1..].fill(0);
        }
    }

    /// Decodes one cell into native-endian bytes, row-major.
    fn read_cell(&self, cell: &[usize]) -> Result<Vec<u8>, Error> {
        let file_index: Vec<usize> = cell
            .iter()
            .zip(&self.cells_per_file)
            .map(|(&i, &n)| i / n)
            .collect();
        let path = self.file(&file_index);
        let Some(encoded) = self.encoded_cell(cell, &file_index, &path)? else {
            return match self.options.missing_chunks {
                MissingChunks::Refuse => Err(Error::MissingChunk {
                    path,
                    chunk: cell.to_vec(),
                }),
                MissingChunks::Fill => Ok(self.filled()),
            };
        };
        let data = self
            .chain
            .decode(
                Cow::Owned(encoded),
                &self.cell_extents,
                self.keys.data_type(),
                self.keys.fill_value(),
                &self.codec_options,
            )
            .map_err(|e| Error::corrupt(&path, cell, e.to_string()))?
            .into_fixed()
            .map_err(|e| Error::corrupt(&path, cell, e.to_string()))?
            .into_owned();
        if data.len() == self.cell_bytes() {
            Ok(data)
        } else {
            let reason = format!("{} bytes instead of {}", data.len(), self.cell_bytes());
            Err(Error::corrupt(&path, cell, reason))
        }
    }

    fn filled(&self) -> Vec<u8> {
        self.keys
            .fill_value()
            .as_ne_bytes()
            .repeat(self.cell.iter().product())
    }

    fn encoded_cell(
        &self,
        cell: &[usize],
        file_index: &[usize],
        path: &Path,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, error)),
        };
        let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
        let (offset, stored) = match &self.index {
            None => (0, length),
            Some(index) => {
                let entries = self.entries(index, file_index, &mut file, length, path)?;
                let mut position = 0;
                for (&i, &n) in cell.iter().zip(&self.cells_per_file) {
                    position = position * n + i % n;
                }
                let (offset, stored) = (entries[2 * position], entries[2 * position + 1]);
                if offset == ABSENT && stored == ABSENT {
                    return Ok(None);
                }
                (offset, stored)
            }
        };
        if offset.checked_add(stored).is_none_or(|end| end > length) {
            let reason =
                format!("the shard index points to bytes {offset}+{stored} of a file of {length}");
            return Err(Error::corrupt(path, cell, reason));
        }
        // No codec here more than doubles its input.
        let limit = 2 * self.cell_bytes() as u64 + 65_536;
        if stored > limit {
            return Err(Error::Limit {
                path: path.into(),
                what: "an encoded chunk",
                asked: u128::from(stored),
                limit,
            });
        }
        read_at(&mut file, offset, stored as usize)
            .map(Some)
            .map_err(|e| Error::io(path, e))
    }

    /// The decoded index of a shard: offset and length per inner chunk.
    fn entries(
        &self,
        index: &ShardIndex,
        file_index: &[usize],
        file: &mut File,
        length: u64,
        path: &Path,
    ) -> Result<Entries, Error> {
        let mut last = self
            .last_index
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((known, entries)) = &*last
            && known == file_index
        {
            return Ok(Arc::clone(entries));
        }
        let damaged = |reason: String| Error::corrupt(path, file_index, reason);
        let Some(behind) = length.checked_sub(index.bytes as u64) else {
            return Err(damaged(format!(
                "the shard has {length} bytes, its index alone needs {}",
                index.bytes
            )));
        };
        let offset = if index.at_start { 0 } else { behind };
        let encoded = read_at(file, offset, index.bytes).map_err(|e| Error::io(path, e))?;
        let decoded = index
            .chain
            .decode(
                Cow::Owned(encoded),
                &index.shape,
                &data_type::uint64(),
                &FillValue::from(ABSENT),
                &self.codec_options,
            )
            .and_then(|bytes| Ok(bytes.into_fixed()?))
            .map_err(|e| damaged(format!("the shard index: {e}")))?;
        let entries: Entries = Arc::new(
            decoded
                .chunks_exact(8)
                .map(bytemuck::pod_read_unaligned)
                .collect(),
        );
        if entries.len() != 2 * self.cells_per_file.iter().product::<usize>() {
            return Err(damaged("the shard index has the wrong length".into()));
        }
        *last = Some((file_index.to_vec(), Arc::clone(&entries)));
        Ok(entries)
    }

    // ---- writing ----

    /// Encodes one cell of native-endian bytes.
    pub(crate) fn encode_cell(&self, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        self.chain
            .encode(
                ArrayBytes::new_flen(data),
                &self.cell_extents,
                self.keys.data_type(),
                self.keys.fill_value(),
                &self.codec_options,
            )
            .map(Cow::into_owned)
            .map_err(|e| Error::Encode {
                path: self.folder.clone(),
                reason: e.to_string(),
            })
    }

    /// Writes a chunk (one cell) or a shard (its cells in C order, `None` for
    /// those outside the array) as one file.
    pub(crate) fn write_file(
        &self,
        file_index: &[usize],
        cells: &[Option<Vec<u8>>],
    ) -> Result<(), Error> {
        let path = self.file(file_index);
        let mut content = Vec::with_capacity(
            cells.iter().flatten().map(Vec::len).sum::<usize>()
                + self.index.as_ref().map_or(0, |index| index.bytes),
        );
        let mut entries = Vec::with_capacity(2 * cells.len());
        for cell in cells {
            match cell {
                Some(bytes) => {
                    entries.extend([content.len() as u64, bytes.len() as u64]);
                    content.extend_from_slice(bytes);
                }
                None => entries.extend([ABSENT, ABSENT]),
            }
        }
        if let Some(index) = &self.index {
            let encoded = index
                .chain
                .encode(
                    ArrayBytes::new_flen(bytemuck::cast_slice::<u64, u8>(&entries)),
                    &index.shape,
                    &data_type::uint64(),
                    &FillValue::from(ABSENT),
                    &self.codec_options,
                )
                .map_err(|e| Error::Encode {
                    path: path.clone(),
                    reason: e.to_string(),
                })?;
            content.extend_from_slice(&encoded);
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        }
        fs::write(&path, content).map_err(|e| Error::io(&path, e))
    }
}

/// Shape and chunking of an array to be written, always v3.
pub(crate) struct Plan<'a> {
    pub(crate) element: ElementType,
    pub(crate) shape: &'a [usize],
    /// Chunk, or inner chunk of a shard.
    pub(crate) cell: &'a [usize],
    /// Shard, if sharded.
    pub(crate) shard: Option<&'a [usize]>,
    pub(crate) dimension_names: &'a [&'a str],
    pub(crate) attributes: Map<String, Value>,
}

impl Plan<'_> {
    /// Writes `zarr.json` into `folder` and readies the codecs.
    pub(crate) fn create(self, folder: &Path) -> Result<ArrayFile, Error> {
        // Blosc compresses photon noise best as bit planes; the checksum
        // behind it turns silent damage into an error.
        let codecs = json!([
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "blosc", "configuration": {
                "cname": "lz4", "clevel": 5, "shuffle": "bitshuffle",
                "typesize": self.element.bytes(), "blocksize": 0,
            }},
            {"name": "crc32c"},
        ]);
        let codecs = match self.shard {
            None => codecs,
            Some(_) => json!([{"name": "sharding_indexed", "configuration": {
                "chunk_shape": self.cell,
                "codecs": codecs,
                "index_codecs": [
                    {"name": "bytes", "configuration": {"endian": "little"}},
                    {"name": "crc32c"},
                ],
                "index_location": "end",
            }}]),
        };
        let metadata = json!({
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
        });
        let file = folder.join("zarr.json");
        write_json(&file, &metadata)?;
        array_v3(folder, &file, metadata, &OpenOptions::default())
    }
}

/// Writes a metadata file.
pub(crate) fn write_json(file: &Path, value: &Value) -> Result<(), Error> {
    fs::write(file, format!("{value:#}\n")).map_err(|e| Error::io(file, e))
}

fn extents(shape: &[usize]) -> Vec<NonZeroU64> {
    shape
        .iter()
        .filter_map(|&extent| NonZeroU64::new(extent as u64))
        .collect()
}

fn cell_index(first: usize, rest: &[usize]) -> Vec<usize> {
    let mut index = Vec::with_capacity(rest.len() + 1);
    index.push(first);
    index.extend_from_slice(rest);
    index
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

fn read_at(file: &mut File, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
