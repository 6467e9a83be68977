use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use fluorspar_movie::{Movie, MovieShape, PixelType, Sample, check_read};
use rayon::prelude::*;
use zarrs::array::{ArraySubset, ElementOwned};

use crate::Error;
use crate::store::{Stored, check_metadata, open_array, open_store, options, pixel_type};

/// A movie in a Zarr folder (v2 or v3): an array `(t, y, x)` or
/// `(t, z, y, x)`, or a group that holds one, such as OME-Zarr, whose finest
/// resolution is taken.
///
/// The frame rate (Hz) is the array's or group's attribute `frame_rate`.
pub struct MovieReader {
    path: PathBuf,
    array: Stored,
    shape: MovieShape,
    pixel_type: PixelType,
    frame_rate: Option<f64>,
    /// Axes of length one between time and the rest (OME channels), dropped.
    singles: usize,
    chunk_frames: usize,
}

impl fmt::Debug for MovieReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MovieReader")
            .field("path", &self.path)
            .field("shape", &self.shape)
            .field("pixel_type", &self.pixel_type)
            .field("frame_rate", &self.frame_rate)
            .finish_non_exhaustive()
    }
}

impl MovieReader {
    /// Opens a Zarr folder.
    ///
    /// # Errors
    /// [`Error::Bad`] if there is no such folder, it is not Zarr, its
    /// metadata is broken or absurd, the array has not three or four axes, or
    /// its type is not a plain number.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let store = open_store(path)?;
        check_metadata(path)?;
        let mut attributes = group_attributes(path);
        let (name, array) = match sole_array(path, &attributes)? {
            None => (String::new(), open_array(&store, path, "")?),
            Some(name) => {
                let array = open_array(&store, path, &name)?;
                (name, array)
            }
        };
        for (key, value) in array.attributes() {
            attributes.insert(key.clone(), value.clone());
        }
        let place = path.join(&name);
        let pixel_type = pixel_type(&array, &place)?;
        let (shape, singles) = movie_shape(array.shape(), &place)?;
        let chunk_frames = if shape.frames == 0 {
            1
        } else {
            let zero = vec![0; array.shape().len()];
            let chunk = array
                .chunk_shape(&zero)
                .map_err(|e| Error::bad(&place, e))?;
            chunk.first().map_or(1, |n| n.get() as usize)
        };
        let frame_rate = attributes
            .get("frame_rate")
            .and_then(serde_json::Value::as_f64)
            .filter(|rate| rate.is_finite() && *rate > 0.0);
        Ok(Self {
            path: place,
            array,
            shape,
            pixel_type,
            frame_rate,
            singles,
            chunk_frames,
        })
    }

    /// Reads `frames` as `T`, shard by shard in parallel, and hands each
    /// piece with its first frame to `take`.
    fn pieces<T, O>(
        &self,
        frames: &Range<usize>,
        into: &mut [O],
        take: impl Fn(&[T], &mut [O]) + Sync,
    ) -> Result<(), Error>
    where
        T: ElementOwned + Send + Sync,
        O: Send,
    {
        let per_frame = into.len() / frames.len().max(1);
        let mut cuts = vec![frames.start];
        let mut at = frames.start;
        while at < frames.end {
            at = ((at / self.chunk_frames + 1) * self.chunk_frames).min(frames.end);
            cuts.push(at);
        }
        let mut rest = into;
        let mut jobs = Vec::new();
        for pair in cuts.windows(2) {
            let (head, tail) = rest.split_at_mut((pair[1] - pair[0]) * per_frame);
            rest = tail;
            jobs.push((pair[0]..pair[1], head));
        }
        jobs.into_par_iter().try_for_each(|(range, out)| {
            let mut subset = vec![range.start as u64..range.end as u64];
            subset.extend(self.array.shape()[1..].iter().map(|&n| 0..n));
            let values: Vec<T> = self
                .array
                .retrieve_array_subset_opt(&ArraySubset::new_with_ranges(&subset), &options())
                .map_err(|e| {
                    Error::bad(
                        &self.path,
                        format!("frames {}..{} cannot be read: {e}", range.start, range.end),
                    )
                })?;
            take(&values, out);
            Ok(())
        })
    }

    fn read_as<T: Sample + ElementOwned>(
        &self,
        frames: &Range<usize>,
        into: &mut [f32],
    ) -> Result<(), Error> {
        self.pieces::<T, f32>(frames, into, |values, out| {
            for (slot, value) in out.iter_mut().zip(values) {
                *slot = value.to_f32();
            }
        })
    }

    fn read_native_as<T: Sample + ElementOwned>(
        &self,
        frames: &Range<usize>,
        into: &mut [u8],
    ) -> Result<(), Error> {
        self.pieces::<T, u8>(frames, into, |values, out| {
            out.copy_from_slice(bytemuck::cast_slice(values));
        })
    }

    /// Axes of length one that were dropped between time and the image.
    pub fn dropped_axes(&self) -> usize {
        self.singles
    }
}

macro_rules! by_type {
    ($self:ident, $method:ident, $($argument:expr),*) => {
        match $self.pixel_type {
            PixelType::U8 => $self.$method::<u8>($($argument),*),
            PixelType::I8 => $self.$method::<i8>($($argument),*),
            PixelType::U16 => $self.$method::<u16>($($argument),*),
            PixelType::I16 => $self.$method::<i16>($($argument),*),
            PixelType::U32 => $self.$method::<u32>($($argument),*),
            PixelType::I32 => $self.$method::<i32>($($argument),*),
            PixelType::F32 => $self.$method::<f32>($($argument),*),
            _ => $self.$method::<f64>($($argument),*),
        }
    };
}

impl Movie for MovieReader {
    fn shape(&self) -> MovieShape {
        self.shape
    }

    fn pixel_type(&self) -> PixelType {
        self.pixel_type
    }

    fn frame_rate(&self) -> Option<f64> {
        self.frame_rate
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        check_read(self.shape, &frames, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        by_type!(self, read_as, &frames, into)?;
        Ok(())
    }

    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let size = self.pixel_type.bytes();
        if !into.len().is_multiple_of(size) {
            return Err(fluorspar_movie::Error::misuse(format!(
                "a buffer of {} bytes does not hold whole {} samples",
                into.len(),
                self.pixel_type
            )));
        }
        check_read(self.shape, &frames, into.len() / size)?;
        if into.is_empty() {
            return Ok(());
        }
        by_type!(self, read_native_as, &frames, into)?;
        Ok(())
    }
}

fn read_json(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Attributes of a group or array, v3 or v2; none if there are none.
pub(crate) fn group_attributes(path: &Path) -> serde_json::Map<String, serde_json::Value> {
    let v3 = read_json(&path.join("zarr.json")).and_then(|mut v| v.get_mut("attributes").map(serde_json::Value::take));
    let value = v3.or_else(|| read_json(&path.join(".zattrs")));
    match value {
        Some(serde_json::Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    }
}

/// Whether `path` is an array (`None`), or which array of a group is the movie.
fn sole_array(
    path: &Path,
    attributes: &serde_json::Map<String, serde_json::Value>,
) -> Result<Option<String>, Error> {
    let is_array = |folder: &Path| {
        folder.join(".zarray").is_file()
            || read_json(&folder.join("zarr.json"))
                .is_some_and(|v| v.get("node_type").and_then(|n| n.as_str()) == Some("array"))
    };
    if is_array(path) {
        return Ok(None);
    }
    if !path.join("zarr.json").is_file() && !path.join(".zgroup").is_file() {
        return Err(Error::bad(
            path,
            "has neither zarr.json nor .zarray nor .zgroup; it is not a Zarr folder",
        ));
    }
    let ome = attributes.get("ome").unwrap_or(&serde_json::Value::Null);
    let scales = ome.get("multiscales").or_else(|| attributes.get("multiscales"));
    let level = scales
        .and_then(|v| v.pointer("/0/datasets/0/path"))
        .and_then(serde_json::Value::as_str);
    if let Some(level) = level {
        if level.split('/').any(|part| part == ".." || part.is_empty()) || level.contains('\\') {
            return Err(Error::bad(path, format!("the level {level:?} is not a name")));
        }
        return Ok(Some(level.to_owned()));
    }
    let mut names: Vec<String> = std::fs::read_dir(path)
        .map_err(|e| Error::io(path, e))?
        .filter_map(Result::ok)
        .filter(|entry| is_array(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    match names.len() {
        1 => Ok(names.pop()),
        0 => Err(Error::bad(path, "is a group without an array")),
        _ => Err(Error::bad(
            path,
            format!("is a group of several arrays ({}); name one of them", names.join(", ")),
        )),
    }
}

fn movie_shape(shape: &[u64], path: &Path) -> Result<(MovieShape, usize), Error> {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (planes, height, width, singles) = match *shape {
        [_, y, x] => (1, y, x, 0),
        [_, z, y, x] => (z, y, x, 0),
        [_, 1, z, y, x] => (z, y, x, 1),
        _ => {
            return Err(Error::bad(
                path,
                format!("has shape {shape:?}; a movie is (t, y, x) or (t, z, y, x)"),
            ));
        }
    };
    if planes == 0 || height == 0 || width == 0 {
        return Err(Error::bad(path, format!("has no pixels (shape {shape:?})")));
    }
    Ok((
        MovieShape::new(size(shape[0]), size(planes), size(height), size(width)),
        singles,
    ))
}
