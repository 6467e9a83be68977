use std::ops::Range;
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use fluorspar_movie::{Movie, MovieShape, PixelType, Sample, check_read};
use serde_json::{Map, Value};

use crate::array::ArrayFile;
use crate::metadata::{self, Node, check_limit};
use crate::{Error, OpenOptions};

/// A movie in a Zarr array, v2 or v3, axes `(t, y, x)` or `(t, z, y, x)`.
///
/// Channel axes of length 1 are ignored. Frames are decoded on the caller's
/// rayon pool, one chunk per thread at a time. The handle holds no file open.
#[derive(Debug)]
pub struct MovieReader {
    array: ArrayFile,
    shape: MovieShape,
    pixel_type: PixelType,
    frame_rate: Option<f64>,
}

impl MovieReader {
    /// Opens the array at `path`; of a group, level 0 of its OME-Zarr
    /// multiscales, or its only array.
    ///
    /// The frame rate (Hz) is the attribute `frame_rate` of the array or its
    /// group, else follows from the time axis of OME-Zarr.
    ///
    /// # Errors
    /// [`Error::Io`] if nothing can be read there, [`Error::NotZarr`],
    /// [`Error::Metadata`] for broken rules, [`Error::Unsupported`] for other
    /// axes, types and codecs, [`Error::Limit`] for absurd sizes,
    /// [`Error::Empty`] for an axis of length 0.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// As [`MovieReader::open`], with limits and the meaning of missing chunks.
    ///
    /// # Errors
    /// As [`MovieReader::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        match metadata::open(path, options)? {
            Node::Array(array) => Self::new(*array, None, None),
            Node::Group(attributes) => {
                let image = Multiscale::of(&attributes);
                let name = match &image {
                    Some(image) => image.level_0.clone().ok_or_else(|| {
                        Error::metadata(path, "the multiscales attribute names no dataset path")
                    })?,
                    None => sole_array(path, options)?,
                };
                let folder = metadata::inside(path, &name).ok_or_else(|| {
                    Error::metadata(path, format!("the dataset path {name:?} leaves the group"))
                })?;
                match metadata::open(&folder, options)? {
                    Node::Array(array) => Self::new(*array, image.as_ref(), Some(&attributes)),
                    Node::Group(_) => Err(Error::metadata(&folder, "a group, not an array")),
                }
            }
        }
    }

    fn new(
        array: ArrayFile,
        image: Option<&Multiscale>,
        group: Option<&Map<String, Value>>,
    ) -> Result<Self, Error> {
        let path = array.folder().to_path_buf();
        let extents = array.shape();
        let names: Option<Vec<String>> = match array.dimension_names() {
            Some(names) => names.iter().cloned().collect(),
            None => image.and_then(|image| image.axes.clone()),
        };
        let (frames, planes, height, width) = axes(&path, extents, names.as_deref())?;
        if extents.contains(&0) {
            return Err(Error::Empty {
                shape: extents.to_vec(),
                path,
            });
        }
        let element = array.element();
        let pixel_type = element.pixel_type().ok_or_else(|| {
            Error::unsupported(
                &path,
                format!("pixels of type {element}, which f32 cannot hold"),
            )
        })?;
        let limit = array.limits().frame_bytes;
        check_limit(&path, "one frame", &extents[1..], element, limit)?;
        let mut frame_rate = stated_rate(&path, array.attributes())?;
        if let (None, Some(attributes)) = (frame_rate, group) {
            frame_rate = stated_rate(&path, attributes)?;
        }
        Ok(Self {
            shape: MovieShape::new(frames, planes, height, width),
            pixel_type,
            frame_rate: frame_rate.or_else(|| image.and_then(|image| image.frame_rate)),
            array,
        })
    }

    /// The array's folder.
    pub fn path(&self) -> &Path {
        self.array.folder()
    }

    /// The array's attributes.
    pub fn attributes(&self) -> &Map<String, Value> {
        self.array.attributes()
    }

    /// Frames that are decoded together: reads aligned to it waste nothing.
    pub fn chunk_frames(&self) -> usize {
        self.array.cell()[0]
    }

    fn region(&self, frames: Range<usize>) -> Vec<Range<usize>> {
        let others = self.array.shape()[1..].iter().map(|&extent| 0..extent);
        std::iter::once(frames).chain(others).collect()
    }

    fn read_as<T: Sample>(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        self.array
            .read_region(&self.region(frames), 1, into, &|bytes, out| {
                to_f32::<T>(bytes, out);
            })
    }
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
        match self.pixel_type {
            PixelType::U8 => self.read_as::<u8>(frames, into),
            PixelType::I8 => self.read_as::<i8>(frames, into),
            PixelType::U16 => self.read_as::<u16>(frames, into),
            PixelType::I16 => self.read_as::<i16>(frames, into),
            PixelType::U32 => self.read_as::<u32>(frames, into),
            PixelType::I32 => self.read_as::<i32>(frames, into),
            PixelType::F32 => self.read_as::<f32>(frames, into),
            PixelType::F64 => self.read_as::<f64>(frames, into),
            other => Err(Error::unsupported(
                self.path(),
                format!("pixels of type {other}"),
            )),
        }
        .map_err(Into::into)
    }

    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let bytes = self.pixel_type.bytes();
        if !into.len().is_multiple_of(bytes) {
            return Err(fluorspar_movie::Error::misuse(format!(
                "a buffer of {} bytes does not hold whole {} samples",
                into.len(),
                self.pixel_type
            )));
        }
        check_read(self.shape, &frames, into.len() / bytes)?;
        self.array
            .read_region(&self.region(frames), bytes, into, &|run, out: &mut [u8]| {
                out.copy_from_slice(run);
            })
            .map_err(Into::into)
    }
}

fn to_f32<T: Sample + Pod>(bytes: &[u8], out: &mut [f32]) {
    if let Ok(samples) = bytemuck::try_cast_slice::<u8, T>(bytes) {
        for (target, &sample) in out.iter_mut().zip(samples) {
            *target = sample.to_f32();
        }
    } else {
        for (target, sample) in out.iter_mut().zip(bytes.chunks_exact(size_of::<T>())) {
            *target = bytemuck::pod_read_unaligned::<T>(sample).to_f32();
        }
    }
}

/// What an axis name stands for: `t`, `c`, `z`, `y`, `x`, or `None` if unknown.
fn role(name: &str) -> Option<char> {
    Some(match name.to_ascii_lowercase().as_str() {
        "t" | "time" | "frame" | "frames" => 't',
        "c" | "channel" | "channels" => 'c',
        "z" | "plane" | "planes" | "depth" => 'z',
        "y" | "height" | "row" | "rows" => 'y',
        "x" | "width" | "column" | "columns" => 'x',
        _ => return None,
    })
}

/// `(frames, planes, height, width)` from the array's axes.
fn axes(
    path: &Path,
    shape: &[usize],
    names: Option<&[String]>,
) -> Result<(usize, usize, usize, usize), Error> {
    let roles: Option<Vec<char>> = names
        .filter(|names| names.len() == shape.len())
        .and_then(|names| names.iter().map(|name| role(name)).collect());
    let Some(roles) = roles else {
        return match *shape {
            [t, y, x] => Ok((t, 1, y, x)),
            [t, z, y, x] => Ok((t, z, y, x)),
            _ => Err(Error::unsupported(
                path,
                format!(
                    "{} axes; a movie has (t, y, x) or (t, z, y, x)",
                    shape.len()
                ),
            )),
        };
    };
    let spelled: String = roles.iter().collect();
    let kept: Vec<(char, usize)> = roles
        .into_iter()
        .zip(shape.iter().copied())
        .filter(|&(role, extent)| !(role == 'c' && extent == 1))
        .collect();
    match *kept.as_slice() {
        [('t', t), ('y', y), ('x', x)] => Ok((t, 1, y, x)),
        [('t', t), ('z', z), ('y', y), ('x', x)] => Ok((t, z, y, x)),
        _ => Err(Error::unsupported(
            path,
            format!(
                "axes {spelled} of lengths {shape:?}; a movie has (t, y, x) or (t, z, y, x) \
                 and one channel"
            ),
        )),
    }
}

fn stated_rate(path: &Path, attributes: &Map<String, Value>) -> Result<Option<f64>, Error> {
    match attributes.get("frame_rate") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(rate) if rate.is_finite() && rate > 0.0 => Ok(Some(rate)),
            _ => Err(Error::metadata(
                path,
                format!("the attribute frame_rate is {value}, not a positive number of Hz"),
            )),
        },
    }
}

fn sole_array(path: &Path, options: &OpenOptions) -> Result<String, Error> {
    let mut arrays = Vec::new();
    for name in metadata::children(path)? {
        let folder: PathBuf = path.join(&name);
        if matches!(metadata::open(&folder, options)?, Node::Array(_)) {
            arrays.push(name);
        }
    }
    match arrays.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::unsupported(
            path,
            "a group without an array or a multiscales attribute",
        )),
        several => Err(Error::unsupported(
            path,
            format!(
                "a group of several arrays; name one of {}",
                several.join(", ")
            ),
        )),
    }
}

/// What OME-Zarr (0.4 and 0.5) says about an image.
struct Multiscale {
    level_0: Option<String>,
    axes: Option<Vec<String>>,
    frame_rate: Option<f64>,
}

impl Multiscale {
    fn of(attributes: &Map<String, Value>) -> Option<Self> {
        let image = attributes
            .get("ome")
            .and_then(|ome| ome.get("multiscales"))
            .or_else(|| attributes.get("multiscales"))?
            .get(0)?;
        let level = image.get("datasets").and_then(|levels| levels.get(0));
        let axes = image.get("axes").and_then(Value::as_array);
        // Version 0.3 lists names, later ones objects.
        let name = |axis: &Value| {
            let name = axis.as_str().or_else(|| axis.get("name")?.as_str());
            name.map(str::to_owned)
        };
        let time = axes.and_then(|axes| {
            axes.iter()
                .position(|axis| name(axis).is_some_and(|name| role(&name) == Some('t')))
        });
        let frame_rate = time.and_then(|time| {
            let seconds = match axes?.get(time)?.get("unit")?.as_str()? {
                "second" => 1.0,
                "millisecond" => 1e-3,
                "microsecond" => 1e-6,
                _ => return None,
            };
            let scales = [level, Some(image)].map(|node| scale(node, time));
            let interval = match scales {
                [None, None] => return None,
                [a, b] => a.unwrap_or(1.0) * b.unwrap_or(1.0) * seconds,
            };
            let rate = 1.0 / interval;
            (rate.is_finite() && rate > 0.0).then_some(rate)
        });
        Some(Self {
            level_0: level
                .and_then(|level| level.get("path")?.as_str())
                .map(str::to_owned),
            axes: axes.and_then(|axes| axes.iter().map(name).collect()),
            frame_rate,
        })
    }
}

fn scale(node: Option<&Value>, axis: usize) -> Option<f64> {
    node?
        .get("coordinateTransformations")?
        .as_array()?
        .iter()
        .find_map(|transformation| transformation.get("scale"))?
        .get(axis)?
        .as_f64()
}
