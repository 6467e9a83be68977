//! Opening what lies on disk, and the rules that its metadata must keep.

use std::path::Path;
use std::sync::Arc;

use fluorspar_movie::PixelType;
use zarrs::array::{Array, CodecOptions};
use zarrs::filesystem::FilesystemStore;

use crate::Error;

/// Longest metadata document that is read.
const METADATA: u64 = 16 << 20;
/// Largest chunk, uncompressed, that is decoded.
const CHUNK: u64 = 1 << 31;
/// Most elements of one array.
const ELEMENTS: u64 = 1 << 48;

pub(crate) type Stored = Array<FilesystemStore>;

pub(crate) fn open_store(path: &Path) -> Result<Arc<FilesystemStore>, Error> {
    if !path.is_dir() {
        let what = if path.exists() {
            "is not a Zarr folder"
        } else {
            "no such folder"
        };
        return Err(Error::bad(path, what));
    }
    FilesystemStore::new(path)
        .map(Arc::new)
        .map_err(|e| Error::bad(path, e))
}

/// Opens the array `name` (`""` for the folder itself) and checks its sizes.
pub(crate) fn open_array(
    store: &Arc<FilesystemStore>,
    path: &Path,
    name: &str,
) -> Result<Stored, Error> {
    let folder = if name.is_empty() {
        path.to_path_buf()
    } else {
        path.join(name)
    };
    check_metadata(&folder)?;
    let array =
        Array::open(store.clone(), &format!("/{name}")).map_err(|e| Error::bad(&folder, e))?;
    let elements = array
        .shape()
        .iter()
        .try_fold(1_u64, |all, &n| all.checked_mul(n.max(1)))
        .filter(|&all| all <= ELEMENTS);
    if elements.is_none() {
        return Err(Error::bad(
            &folder,
            format!("a shape of {:?} is absurd", array.shape()),
        ));
    }
    if !array.shape().contains(&0) {
        let chunk = array
            .chunk_shape(&vec![0; array.shape().len()])
            .map_err(|e| Error::bad(&folder, e))?;
        let bytes = chunk
            .iter()
            .try_fold(8_u64, |all, n| all.checked_mul(n.get()))
            .filter(|&bytes| bytes / 8 <= CHUNK);
        if bytes.is_none() {
            return Err(Error::bad(
                &folder,
                format!("chunks of {chunk:?} elements are too large to decode"),
            ));
        }
    }
    Ok(array)
}

/// Refuses metadata documents that are too long to be honest.
pub(crate) fn check_metadata(folder: &Path) -> Result<(), Error> {
    for name in ["zarr.json", ".zarray", ".zgroup", ".zattrs"] {
        let file = folder.join(name);
        if let Ok(metadata) = file.metadata()
            && metadata.len() > METADATA
        {
            return Err(Error::bad(
                &file,
                format!("{} bytes of metadata are too many", metadata.len()),
            ));
        }
    }
    Ok(())
}

/// The pixel type of a stored array.
pub(crate) fn pixel_type(array: &Stored, path: &Path) -> Result<PixelType, Error> {
    use zarrs::array::data_type as zarr;
    let stored = array.data_type();
    [
        (zarr::uint8(), PixelType::U8),
        (zarr::int8(), PixelType::I8),
        (zarr::uint16(), PixelType::U16),
        (zarr::int16(), PixelType::I16),
        (zarr::uint32(), PixelType::U32),
        (zarr::int32(), PixelType::I32),
        (zarr::float32(), PixelType::F32),
        (zarr::float64(), PixelType::F64),
    ]
    .into_iter()
    .find(|(candidate, _)| candidate == stored)
    .map(|(_, pixel_type)| pixel_type)
    .ok_or_else(|| {
        Error::bad(
            path,
            format!("pixels of type {stored:?} are not supported; use an integer of up to 32 bits or a float"),
        )
    })
}

/// Checksums on, chunks of one value written like any other so that a missing one is an error.
pub(crate) fn options() -> CodecOptions {
    CodecOptions::default()
        .with_validate_checksums(true)
        .with_store_empty_chunks(true)
}
