use std::path::Path;

use ndarray::{ArrayBase, ArrayD, ArrayViewD, Axis, Data, Dimension, IxDyn, Slice};
use serde_json::Value;

use crate::array::ArrayFile;
use crate::group::store;
use crate::{Element, Error};

/// Writes an array of a group in blocks of rows, one after the other; made by
/// [`GroupWriter::begin_rows`](crate::GroupWriter::begin_rows).
///
/// Blocks may have any number of rows: what does not fill a row of chunks
/// waits in memory, so at most that much (4 MiB, or one row of the array) is
/// held.
#[derive(Debug)]
pub struct RowWriter<T> {
    name: String,
    array: ArrayFile,
    metadata: Value,
    /// Rows that are on disk.
    stored: usize,
    /// Rows after those, fewer than a chunk has, one after the other.
    waiting: Vec<T>,
}

impl<T: Element> RowWriter<T> {
    pub(crate) fn new(name: &str, array: ArrayFile, metadata: Value) -> Self {
        Self {
            name: name.to_owned(),
            array,
            metadata,
            stored: 0,
            waiting: Vec::new(),
        }
    }

    /// Rows written so far.
    pub fn written(&self) -> usize {
        self.stored + self.waiting.len() / self.row().max(1)
    }

    /// Elements of one row.
    fn row(&self) -> usize {
        self.array.shape()[1..].iter().product()
    }

    /// Writes the next rows; all axes but the first must be the array's.
    ///
    /// # Errors
    /// [`Error::Misuse`] for rows of another shape and for more rows than the
    /// array has; [`Error::Io`] or [`Error::Encode`] if they cannot be stored.
    pub fn write<S, D>(&mut self, rows: &ArrayBase<S, D>) -> Result<(), Error>
    where
        S: Data<Elem = T>,
        D: Dimension,
    {
        let view = rows.view().into_dyn();
        let shape = self.array.shape();
        if view.shape().get(1..) != shape.get(1..) {
            let reason = format!("rows {:?} of an array {shape:?}", view.shape());
            return Err(Error::misuse(self.array.folder(), reason));
        }
        if view.is_empty() {
            return Ok(());
        }
        if self.written() + view.shape()[0] > shape[0] {
            let reason = format!("more rows than the array {shape:?} has");
            return Err(Error::misuse(self.array.folder(), reason));
        }
        let height = self.array.cell()[0];
        let mut at = 0;
        if !self.waiting.is_empty() {
            let missing = height - self.waiting.len() / self.row();
            at = missing.min(view.shape()[0]);
            self.waiting.extend(part(&view, 0, at).iter());
            if at == missing {
                self.flush()?;
            }
        }
        let whole = (view.shape()[0] - at) / height * height;
        if whole > 0 {
            self.store(&part(&view, at, at + whole))?;
        }
        let rest = part(&view, at + whole, view.shape()[0]);
        self.waiting.extend(rest.iter());
        Ok(())
    }

    /// Writes what waits.
    fn flush(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.waiting);
        let mut shape = self.array.shape().to_vec();
        shape[0] = rows.len() / self.row().max(1);
        let folder = self.array.folder().to_path_buf();
        let rows = ArrayD::from_shape_vec(IxDyn(&shape), rows)
            .map_err(|e| Error::misuse(folder, e.to_string()))?;
        self.store(&rows.view())
    }

    fn store(&mut self, rows: &ArrayViewD<'_, T>) -> Result<(), Error> {
        let mut first = vec![0; rows.ndim()];
        first[0] = self.stored / self.array.cell()[0];
        store(&self.array, rows, &first)?;
        self.stored += rows.shape()[0];
        Ok(())
    }

    /// Name and metadata of the array, whole now.
    pub(crate) fn finish(mut self, group: &Path) -> Result<(String, Value), Error> {
        if !self.waiting.is_empty() {
            self.flush()?;
        }
        let shape = self.array.shape();
        if self.stored != shape[0] && shape.iter().all(|&extent| extent > 0) {
            let reason = format!("{} rows written of {}", self.stored, shape[0]);
            return Err(Error::misuse(self.array.folder(), reason));
        }
        if self.array.folder().parent() != Some(group) {
            return Err(Error::misuse(
                self.array.folder(),
                "the array was begun in another group",
            ));
        }
        Ok((self.name, self.metadata))
    }
}

fn part<'a, T>(view: &'a ArrayViewD<'_, T>, from: usize, to: usize) -> ArrayViewD<'a, T> {
    view.slice_axis(Axis(0), Slice::from(from..to))
}
