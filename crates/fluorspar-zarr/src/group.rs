use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayBase, ArrayD, Data, Dimension};
use zarrs::array::codec::ZstdCodec;
use zarrs::array::{ArrayBuilder, DataType, ElementOwned, data_type};
use zarrs::filesystem::FilesystemStore;
use zarrs::group::GroupBuilder;

use crate::Error;
use crate::reader::group_attributes;
use crate::replace::Replacement;
use crate::store::{check_metadata, open_array, open_store, options};

/// Bytes of one chunk of an array in a group.
const CHUNK_BYTES: usize = 4 << 20;

mod sealed {
    pub trait Sealed {}
}

/// A number that arrays of a group may hold.
pub trait Element: sealed::Sealed + ElementOwned + Copy + Send + Sync {
    #[doc(hidden)]
    fn stored() -> DataType;
    #[doc(hidden)]
    const BYTES: usize;
}

macro_rules! element {
    ($($t:ty => $stored:ident),*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            fn stored() -> DataType { data_type::$stored() }
            const BYTES: usize = size_of::<$t>();
        }
    )*};
}
element!(u8 => uint8, i16 => int16, u16 => uint16, i32 => int32, u32 => uint32,
         i64 => int64, u64 => uint64, f32 => float32, f64 => float64);

/// Writes named arrays and attributes as one Zarr v3 group that appears whole.
#[derive(Debug)]
pub struct GroupWriter {
    replacement: Replacement,
    attributes: serde_json::Map<String, serde_json::Value>,
    store: Arc<FilesystemStore>,
}

impl GroupWriter {
    /// Starts a group that will appear at `path`, replacing what is there.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be written.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let replacement = Replacement::begin(path)?;
        let store = FilesystemStore::new(replacement.folder()).map_err(|e| Error::bad(path, e))?;
        Ok(Self {
            replacement,
            attributes: serde_json::Map::new(),
            store: Arc::new(store),
        })
    }

    /// Adds an array of any number of axes, each named.
    ///
    /// # Errors
    /// [`Error::Misuse`] if there are not as many names as axes or the name
    /// is not a plain one; [`Error::Io`] or [`Error::Bad`] if it cannot be stored.
    pub fn array<T, S, D>(
        &mut self,
        name: &str,
        values: &ArrayBase<S, D>,
        dimension_names: &[&str],
    ) -> Result<(), Error>
    where
        T: Element,
        S: Data<Elem = T>,
        D: Dimension,
    {
        let path = self.replacement.target();
        if values.ndim() != dimension_names.len() || values.ndim() == 0 {
            return Err(Error::misuse(
                path,
                format!(
                    "the array {name:?} has {} axes and {} names for them",
                    values.ndim(),
                    dimension_names.len()
                ),
            ));
        }
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::misuse(path, format!("{name:?} is not a name for an array")));
        }
        let shape: Vec<u64> = values.shape().iter().map(|&n| n as u64).collect();
        let mut chunk: Vec<u64> = shape.iter().map(|&n| n.max(1)).collect();
        let row: u64 = chunk[1..].iter().product::<u64>() * T::BYTES as u64;
        chunk[0] = chunk[0].min((CHUNK_BYTES as u64 / row).max(1));
        let bad = |e: &dyn fmt::Display| Error::bad(path, format!("the array {name:?}: {e}"));
        let array = ArrayBuilder::new(
            shape.clone(),
            chunk,
            T::stored(),
            zarrs::array::FillValue::new(vec![0; T::BYTES]),
        )
        .bytes_to_bytes_codecs(vec![Arc::new(ZstdCodec::new(3, false))])
        .dimension_names(Some(dimension_names.to_vec()))
        .build(self.store.clone(), &format!("/{name}"))
        .map_err(|e| bad(&e))?;
        array.store_metadata().map_err(|e| bad(&e))?;
        if !values.is_empty() {
            let owned: ArrayD<T> = values.to_owned().into_dyn();
            let subset = array.subset_all();
            array
                .store_array_subset_opt(&subset, owned, &options())
                .map_err(|e| bad(&e))?;
        }
        Ok(())
    }

    /// Adds an attribute of the group.
    ///
    /// # Errors
    /// [`Error::Misuse`] for an empty key.
    pub fn attribute(&mut self, key: &str, value: serde_json::Value) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::misuse(
                self.replacement.target(),
                "an attribute needs a name",
            ));
        }
        self.attributes.insert(key.into(), value);
        Ok(())
    }

    /// Commits the group.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Bad`] if it cannot be stored.
    pub fn finish(self) -> Result<(), Error> {
        let path = self.replacement.target().to_path_buf();
        let mut builder = GroupBuilder::new();
        builder.attributes(self.attributes);
        builder
            .build(self.store, "/")
            .map_err(|e| Error::bad(&path, e))?
            .store_metadata()
            .map_err(|e| Error::bad(&path, e))?;
        self.replacement.commit()
    }
}

/// Reads named arrays and attributes of a Zarr group (v2 or v3).
#[derive(Debug)]
pub struct GroupReader {
    path: PathBuf,
    store: Arc<FilesystemStore>,
    attributes: serde_json::Map<String, serde_json::Value>,
}

impl GroupReader {
    /// Opens a group.
    ///
    /// # Errors
    /// [`Error::Bad`] if there is no such folder or it is not a Zarr group.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let store = open_store(path)?;
        check_metadata(path)?;
        if !path.join("zarr.json").is_file() && !path.join(".zgroup").is_file() {
            return Err(Error::bad(path, "is not a Zarr group"));
        }
        Ok(Self {
            path: path.to_path_buf(),
            store,
            attributes: group_attributes(path),
        })
    }

    /// Reads an array.
    ///
    /// # Errors
    /// [`Error::Bad`] if there is no such array, it holds another type, or a
    /// chunk is missing or broken.
    pub fn array<T: Element>(&self, name: &str) -> Result<ArrayD<T>, Error> {
        if !self.path.join(name).is_dir() {
            return Err(Error::bad(&self.path, format!("there is no array {name:?}")));
        }
        let array = open_array(&self.store, &self.path, name)?;
        if *array.data_type() != T::stored() {
            return Err(Error::bad(
                &self.path,
                format!(
                    "the array {name:?} holds {:?}, not {:?}",
                    array.data_type(),
                    T::stored()
                ),
            ));
        }
        let bad = |e: &dyn fmt::Display| {
            Error::bad(&self.path, format!("the array {name:?} cannot be read: {e}"))
        };
        if array.shape().contains(&0) {
            let shape: Vec<usize> = array.shape().iter().map(|&n| n as usize).collect();
            return ArrayD::from_shape_vec(shape, Vec::new()).map_err(|e| bad(&e));
        }
        array
            .retrieve_array_subset_opt(&array.subset_all(), &options())
            .map_err(|e| bad(&e))
    }

    /// One attribute of the group.
    pub fn attribute(&self, key: &str) -> Option<serde_json::Value> {
        self.attributes.get(key).cloned()
    }

    /// All attributes of the group.
    pub fn attributes(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.attributes
    }
}
