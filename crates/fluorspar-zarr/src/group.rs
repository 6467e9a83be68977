use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use ndarray::{ArrayBase, ArrayD, ArrayViewD, Axis, Data, Dimension, IxDyn, Slice};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::array::{ArrayFile, Place, Plan, cells_across, write_json};
use crate::metadata::{self, Group, Node, check_limit};
use crate::rows::RowWriter;
use crate::source::Source;
use crate::staging::Staging;
use crate::{Codec, Element, ElementType, Error, OpenOptions};

/// Decoded size that a chunk of a named array aims at.
const CHUNK_BYTES: usize = 4 << 20;

/// Writes named arrays and attributes as one Zarr v3 group.
///
/// The group appears at its path by [`GroupWriter::finish`], whole, or not at
/// all: it is written to a hidden sibling folder and renamed; a drop before
/// that removes it. Arrays may have axes of length 0. The group's `zarr.json`
/// repeats the metadata of its arrays (consolidated metadata, as zarr-python
/// writes them), so that a reader far away needs one request.
#[derive(Debug)]
pub struct GroupWriter {
    staging: Staging,
    /// Metadata by the name of the array.
    arrays: BTreeMap<String, Value>,
    /// Arrays that are written row by row and not whole yet.
    open: BTreeSet<String>,
    attributes: Map<String, Value>,
}

impl GroupWriter {
    /// Prepares to write a group at `path`. An existing `path` is untouched
    /// until [`GroupWriter::finish`]; if what stands there is not Zarr, it is
    /// then kept as `NAME.replaced-0` beside it.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a path without a file name, [`Error::Io`] if
    /// nothing can be written beside it.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self {
            staging: Staging::create(path.as_ref())?,
            arrays: BTreeMap::new(),
            open: BTreeSet::new(),
            attributes: Map::new(),
        })
    }

    /// Writes one array with one name per axis.
    ///
    /// Chunks are about 4 MiB and follow rows: of a `(roi, frame)` array, a
    /// chunk holds some ROIs at all frames.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a name that is taken or not a plain file name, for
    /// the wrong number of dimension names, and for an array without axes;
    /// [`Error::Io`] or [`Error::Encode`] if it cannot be stored.
    pub fn array<T, S, D>(
        &mut self,
        name: &str,
        data: &ArrayBase<S, D>,
        dimension_names: &[&str],
    ) -> Result<(), Error>
    where
        T: Element,
        S: Data<Elem = T>,
        D: Dimension,
    {
        let chunk = chunk_shape(data.shape(), T::TYPE.bytes());
        self.array_in_chunks(name, data, dimension_names, &chunk)
    }

    /// Writes one array in chunks of a shape of one's own, for arrays that are
    /// read by ranges of any axis. Extents beyond the array's count as the
    /// array's.
    ///
    /// # Errors
    /// As [`GroupWriter::array`], and [`Error::Misuse`] for a chunk of another
    /// number of axes or an extent of 0.
    pub fn array_in_chunks<T, S, D>(
        &mut self,
        name: &str,
        data: &ArrayBase<S, D>,
        dimension_names: &[&str],
        chunk: &[usize],
    ) -> Result<(), Error>
    where
        T: Element,
        S: Data<Elem = T>,
        D: Dimension,
    {
        let view = data.view().into_dyn();
        let (array, metadata) = self.begin(name, T::TYPE, view.shape(), dimension_names, chunk)?;
        store(&array, &view, &vec![0; view.ndim()])?;
        self.arrays.insert(name.to_owned(), metadata);
        Ok(())
    }

    /// Begins an array that does not fit into memory: it is written in blocks
    /// of rows (of its first axis), one after the other, and becomes part of
    /// the group by [`GroupWriter::end`]. What is on disk in the end is, to
    /// the byte, what [`GroupWriter::array`] makes of the whole.
    ///
    /// ```
    /// use fluorspar_zarr::{GroupReader, GroupWriter};
    /// use ndarray::{Array2, array};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("rois.zarr");
    /// let mut group = GroupWriter::create(&path)?;
    /// let mut rows = group.begin_rows::<f32>("dff", &[3, 2], &["roi", "frame"])?;
    /// rows.write(&array![[1.0, 2.0], [3.0, 4.0]])?;
    /// rows.write(&array![[5.0, 6.0]])?;
    /// group.end(rows)?;
    /// group.finish()?;
    /// let group = GroupReader::open(&path)?;
    /// let last: Array2<f32> = group.rows("dff", 2..3)?.into_dimensionality()?;
    /// assert_eq!(last, array![[5.0, 6.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`GroupWriter::array`].
    pub fn begin_rows<T: Element>(
        &mut self,
        name: &str,
        shape: &[usize],
        dimension_names: &[&str],
    ) -> Result<RowWriter<T>, Error> {
        let chunk = chunk_shape(shape, T::TYPE.bytes());
        self.begin_rows_in_chunks(name, shape, dimension_names, &chunk)
    }

    /// As [`GroupWriter::begin_rows`], in chunks of the shape given, as
    /// [`GroupWriter::array_in_chunks`] takes it. A row of chunks is held in memory.
    ///
    /// # Errors
    /// As [`GroupWriter::array_in_chunks`].
    pub fn begin_rows_in_chunks<T: Element>(
        &mut self,
        name: &str,
        shape: &[usize],
        dimension_names: &[&str],
        chunk: &[usize],
    ) -> Result<RowWriter<T>, Error> {
        let (array, metadata) = self.begin(name, T::TYPE, shape, dimension_names, chunk)?;
        self.open.insert(name.to_owned());
        Ok(RowWriter::new(name, array, metadata))
    }

    /// Takes an array that was written row by row into the group.
    ///
    /// # Errors
    /// [`Error::Misuse`] if rows are missing or the array is not of this
    /// group; [`Error::Io`] or [`Error::Encode`] if the last rows cannot be
    /// stored.
    pub fn end<T: Element>(&mut self, rows: RowWriter<T>) -> Result<(), Error> {
        let (name, metadata) = rows.finish(self.staging.folder())?;
        self.open.remove(&name);
        self.arrays.insert(name, metadata);
        Ok(())
    }

    /// Checks an array that is asked for and makes its folder.
    fn begin(
        &mut self,
        name: &str,
        element: ElementType,
        shape: &[usize],
        dimension_names: &[&str],
        chunk: &[usize],
    ) -> Result<(ArrayFile, Value), Error> {
        let target = self.staging.target().join(name);
        if name.starts_with('.')
            || name.starts_with("__")
            || name.contains('/')
            || name == "zarr.json"
        {
            return Err(Error::misuse(target, "not a name for an array"));
        }
        if Source::folder(self.staging.folder()).child(name).is_none() {
            return Err(Error::misuse(target, "not a name for an array"));
        }
        if dimension_names.len() != shape.len() || shape.is_empty() {
            return Err(Error::misuse(
                target,
                format!(
                    "{} dimension names for {} axes (at least 1)",
                    dimension_names.len(),
                    shape.len()
                ),
            ));
        }
        if chunk.len() != shape.len() || chunk.contains(&0) {
            return Err(Error::misuse(
                target,
                format!("chunks of {chunk:?} for {} axes", shape.len()),
            ));
        }
        if self.arrays.contains_key(name) || self.open.contains(name) {
            return Err(Error::misuse(
                target,
                "an array of this name is already there",
            ));
        }
        let extents = chunk.iter().zip(shape);
        let cell: Vec<usize> = extents
            .map(|(&chunk, &extent)| chunk.min(extent.max(1)))
            .collect();
        let folder = self.staging.folder().join(name);
        std::fs::create_dir(&folder).map_err(|e| Error::io(&folder, e))?;
        let plan = Plan {
            element,
            shape,
            cell: &cell,
            shard: None,
            codec: Codec::default(),
            dimension_names,
            attributes: Map::new(),
        };
        let metadata = plan.metadata();
        Ok((plan.create(&folder)?, metadata))
    }

    /// Sets an attribute of the group; a second value for a key replaces the first.
    ///
    /// # Errors
    /// None yet; attributes are written by [`GroupWriter::finish`].
    pub fn attribute(&mut self, key: &str, value: Value) -> Result<(), Error> {
        self.attributes.insert(key.to_owned(), value);
        Ok(())
    }

    /// Commits the group.
    ///
    /// # Errors
    /// [`Error::Misuse`] if an array was begun and not ended; [`Error::Io`] if
    /// it cannot be put in place. The old target, if any, is then as it was.
    pub fn finish(self) -> Result<(), Error> {
        if let Some(name) = self.open.first() {
            let target = self.staging.target().join(name);
            return Err(Error::misuse(target, "the array was begun and not ended"));
        }
        let metadata = group_metadata(&json!(self.attributes), json!(self.arrays));
        write_json(&self.staging.folder().join("zarr.json"), &metadata)?;
        self.staging.commit()
    }
}

/// What the `zarr.json` of a group of these arrays says.
pub(crate) fn group_metadata(attributes: &Value, arrays: Value) -> Value {
    json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes,
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": false,
            "metadata": arrays,
        },
    })
}

/// Encodes and writes the chunks of `view`, whose corner lies at the chunk
/// `first` of the array.
pub(crate) fn store<T: Element>(
    array: &ArrayFile,
    view: &ArrayViewD<'_, T>,
    first: &[usize],
) -> Result<(), Error> {
    if view.is_empty() {
        return Ok(());
    }
    let whole: Vec<Range<usize>> = view.shape().iter().map(|&extent| 0..extent).collect();
    let results: Vec<Result<(), Error>> = cells_across(&whole, array.cell())
        .into_par_iter()
        .map(|index| {
            let part = view.slice_each_axis(|axis| {
                let Axis(i) = axis.axis;
                let start = index[i] * array.cell()[i];
                let stop = (start + array.cell()[i]).min(axis.len);
                Slice::from(start..stop)
            });
            let mut cell = ArrayD::from_elem(IxDyn(array.cell()), T::zeroed());
            cell.slice_each_axis_mut(|axis| Slice::from(0..part.len_of(axis.axis)))
                .assign(&part);
            let bytes = bytemuck::cast_slice(cell.as_slice().unwrap_or_default());
            let encoded = array.encode_cell(Codec::default(), bytes, Vec::new())?;
            let index: Vec<usize> = index
                .iter()
                .zip(first)
                .map(|(i, first)| i + first)
                .collect();
            array.write_file(&index, &[Some(encoded)])?.finish(false)
        })
        .collect();
    results.into_iter().collect()
}

/// Trailing axes whole as long as they fit, the next one cut, the rest 1.
fn chunk_shape(shape: &[usize], element_bytes: usize) -> Vec<usize> {
    let mut room = (CHUNK_BYTES / element_bytes).max(1);
    let mut chunk = vec![1; shape.len()];
    for (extent, cut) in shape.iter().zip(&mut chunk).rev() {
        *cut = (*extent).clamp(1, room);
        room = (room / *cut).max(1);
    }
    chunk
}

/// Reads named arrays and attributes of a Zarr group, v2 or v3.
#[derive(Debug)]
pub struct GroupReader {
    group: Group,
    options: OpenOptions,
}

impl GroupReader {
    /// Opens the group at `path`, which may lie in, or be, a zip archive.
    ///
    /// # Errors
    /// [`Error::Io`] if nothing can be read there, [`Error::NotZarr`],
    /// [`Error::Metadata`] if it is not a group or breaks a rule.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// As [`GroupReader::open`], with limits and the meaning of missing chunks.
    ///
    /// # Errors
    /// As [`GroupReader::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let source = Source::open(path, &options.limits)?;
        match metadata::open(source, options)? {
            Node::Group(group) => Ok(Self {
                group,
                options: *options,
            }),
            Node::Array(_) => Err(Error::metadata(path, "an array, not a group")),
        }
    }

    /// Names of the nodes directly below, sorted.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        self.group.source.children()
    }

    /// Reads a whole array; `name` may be a path (`a/b`) below the group.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::NotZarr`] if there is none of that name,
    /// [`Error::ElementType`] if its elements are not `T` (nothing is
    /// converted), [`Error::Limit`] if it is too large, [`Error::MissingChunk`]
    /// and [`Error::CorruptChunk`] for damage.
    pub fn array<T: Element>(&self, name: &str) -> Result<ArrayD<T>, Error> {
        let array = self.open_array::<T>(name)?;
        let region = array.shape().iter().map(|&extent| 0..extent).collect();
        self.region(&array, region)
    }

    /// Reads some rows of an array: a range of its first axis, all of the others.
    ///
    /// # Errors
    /// As [`GroupReader::array`], and [`Error::Misuse`] if the range leaves
    /// the array.
    pub fn rows<T: Element>(&self, name: &str, rows: Range<usize>) -> Result<ArrayD<T>, Error> {
        let array = self.open_array::<T>(name)?;
        let extent = array.shape().first().copied().unwrap_or(0);
        if rows.start > rows.end || rows.end > extent {
            let reason = format!("rows {rows:?} of an array of {extent}");
            return Err(Error::misuse(array.folder(), reason));
        }
        let mut region: Vec<_> = array.shape().iter().map(|&extent| 0..extent).collect();
        if let Some(first) = region.first_mut() {
            *first = rows;
        }
        self.region(&array, region)
    }

    /// Extents of an array, one per axis.
    ///
    /// # Errors
    /// As [`GroupReader::array`] where it concerns metadata.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>, Error> {
        Ok(self.array_file(name)?.shape().to_vec())
    }

    fn array_file(&self, name: &str) -> Result<ArrayFile, Error> {
        let source = &self.group.source;
        let folder = source.file(name);
        let source = source
            .child(name)
            .ok_or_else(|| Error::misuse(&folder, "not a path below the group"))?;
        match metadata::open(source, &self.options)? {
            Node::Array(array) => Ok(*array),
            Node::Group(_) => Err(Error::metadata(folder, "a group, not an array")),
        }
    }

    fn open_array<T: Element>(&self, name: &str) -> Result<ArrayFile, Error> {
        let array = self.array_file(name)?;
        if array.element() != T::TYPE {
            return Err(Error::ElementType {
                path: self.group.source.file(name),
                asked: T::TYPE,
                found: array.element(),
            });
        }
        Ok(array)
    }

    fn region<T: Element>(
        &self,
        array: &ArrayFile,
        region: Vec<Range<usize>>,
    ) -> Result<ArrayD<T>, Error> {
        let folder = array.folder();
        let shape: Vec<usize> = region.iter().map(Range::len).collect();
        let limit = self.options.limits.array_bytes;
        check_limit(folder, "the array", &shape, T::TYPE, limit)?;
        let count = shape.iter().product();
        let mut data = Vec::new();
        data.try_reserve_exact(count)
            .map_err(|e| Error::io(folder, std::io::Error::other(e)))?;
        data.resize(count, T::zeroed());
        let place = Place {
            unit: size_of::<T>(),
            put: &|run: &[u8], out: &mut [u8]| out.copy_from_slice(run),
            plain: true,
        };
        array.read_region(
            &region,
            bytemuck::cast_slice_mut::<T, u8>(&mut data),
            &place,
        )?;
        ArrayD::from_shape_vec(IxDyn(&shape), data)
            .map_err(|e| Error::metadata(folder, e.to_string()))
    }

    /// One attribute of the group.
    pub fn attribute(&self, key: &str) -> Option<Value> {
        self.group.attributes.get(key).cloned()
    }

    /// All attributes of the group.
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.group.attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_follow_rows_and_are_never_empty() {
        assert_eq!(chunk_shape(&[0], 4), [1]);
        assert_eq!(chunk_shape(&[0, 5000], 4), [1, 5000]);
        assert_eq!(chunk_shape(&[300, 100_000], 4), [10, 100_000]);
        assert_eq!(chunk_shape(&[3, 10_000_000], 4), [1, 1 << 20]);
        assert_eq!(chunk_shape(&[7, 512, 512], 4), [4, 512, 512]);
    }
}
