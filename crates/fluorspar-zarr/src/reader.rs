use std::ops::Range;
use std::path::Path;

use fluorspar_movie::{Movie, MovieShape, PixelType, check_read, check_read_plane, from_native};
use serde_json::{Map, Value};

use crate::array::{ArrayFile, Place};
use crate::axes::Axes;
use crate::metadata::{self, Group, Node, check_limit};
use crate::ome::Multiscale;
use crate::source::Source;
use crate::{Error, OpenOptions, PixelSize};

/// A movie in a Zarr array, v2 or v3.
///
/// Axes are told apart by their names (`t`, `c`, `z`, `y`, `x` or their usual
/// long forms) and may come in any order and number, as long as there are `y`
/// and `x`; unnamed ones are `(t, y, x)` or `(t, z, y, x)`. Without `t` the
/// movie has one frame. Frames are decoded on the caller's rayon pool, one
/// chunk per thread at a time. The handle holds no file open.
#[derive(Debug)]
pub struct MovieReader {
    array: ArrayFile,
    axes: Axes,
    pixel_type: PixelType,
    frame_rate: Option<f64>,
    pixel_size: Option<PixelSize>,
}

impl MovieReader {
    /// Opens the array at `path`; of a group, the full resolution of its
    /// OME-Zarr multiscales (0.4 or 0.5), or its only array. `path` may lie in,
    /// or be, a zip archive.
    ///
    /// The frame rate (Hz) is the attribute `frame_rate` of the array or its
    /// group, else follows from the time axis of OME-Zarr; the pixel size is
    /// the attribute `pixel_size_um` (`[y, x]` or `[z, y, x]`), or from OME-Zarr.
    ///
    /// # Errors
    /// [`Error::Io`] if nothing can be read there, [`Error::NotZarr`],
    /// [`Error::Metadata`] for broken rules, [`Error::Unsupported`] for other
    /// axes, types and codecs, [`Error::Channel`] for several channels,
    /// [`Error::Limit`] for absurd sizes, [`Error::Empty`] for an axis of length 0.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// As [`MovieReader::open`], with limits, the meaning of missing chunks,
    /// and the channel.
    ///
    /// # Errors
    /// As [`MovieReader::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let source = Source::open(path.as_ref(), &options.limits)?;
        match metadata::open(source, options)? {
            Node::Array(array) => Self::new(*array, None, None, options),
            Node::Group(group) => {
                let image = Multiscale::of(&group.attributes);
                match image {
                    Some(image) => Self::of_image(&group, &image, options),
                    None => Self::of_sole_member(&group, options),
                }
            }
        }
    }

    fn of_image(group: &Group, image: &Multiscale, options: &OpenOptions) -> Result<Self, Error> {
        let path = group.source.path();
        let name = image.dataset.as_deref().ok_or_else(|| {
            Error::metadata(&path, "the multiscales attribute names no dataset path")
        })?;
        let source = group.source.child(name).ok_or_else(|| {
            Error::metadata(&path, format!("the dataset path {name:?} leaves the group"))
        })?;
        match metadata::open(source, options)? {
            Node::Array(array) => Self::new(*array, Some(image), Some(&group.attributes), options),
            Node::Group(inner) => {
                let reason = "a group, not an array";
                Err(Error::metadata(inner.source.path(), reason))
            }
        }
    }

    /// The one array or image directly below a group.
    fn of_sole_member(group: &Group, options: &OpenOptions) -> Result<Self, Error> {
        let path = group.source.path();
        let mut found = Vec::new();
        for name in group.source.children()? {
            let Some(source) = group.source.child(&name) else {
                continue;
            };
            match metadata::open(source, options)? {
                Node::Group(inner) if Multiscale::of(&inner.attributes).is_none() => {}
                node => found.push((name, node)),
            }
        }
        if found.len() > 1 {
            let names: Vec<String> = found.into_iter().map(|(name, _)| name).collect();
            let reason = format!(
                "a group of several arrays; name one of {}",
                names.join(", ")
            );
            return Err(Error::unsupported(path, reason));
        }
        match found.pop() {
            Some((_, Node::Array(array))) => {
                Self::new(*array, None, Some(&group.attributes), options)
            }
            Some((_, Node::Group(inner))) => {
                let image = Multiscale::of(&inner.attributes);
                let missing = || Error::unsupported(&path, "a group without an image");
                Self::of_image(&inner, &image.ok_or_else(missing)?, options)
            }
            None => Err(Error::unsupported(
                path,
                "a group without an array or a multiscales attribute",
            )),
        }
    }

    fn new(
        array: ArrayFile,
        image: Option<&Multiscale>,
        group: Option<&Map<String, Value>>,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let path = array.folder().to_path_buf();
        let names = image.and_then(|image| image.axes.as_deref());
        let names = names.or(array.dimension_names());
        let axes = Axes::new(&path, array.shape(), names, options.channel)?;
        let shape = axes.shape();
        if array.shape().contains(&0) {
            return Err(Error::Empty {
                shape: array.shape().to_vec(),
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
        let frame = [shape.planes, shape.height, shape.width];
        let limit = array.limits().frame_bytes;
        check_limit(&path, "one frame", &frame, element, limit)?;
        let mut frame_rate = stated_rate(&path, array.attributes())?;
        let mut pixel_size = stated_size(&path, array.attributes())?;
        if let Some(attributes) = group {
            frame_rate = frame_rate.or(stated_rate(&path, attributes)?);
            pixel_size = pixel_size.or(stated_size(&path, attributes)?);
        }
        if let Some(image) = image {
            let [time, space @ ..] = [0, 1, 2, 3].map(|role| axes.position(role));
            frame_rate = frame_rate.or_else(|| image.frame_rate(time));
            pixel_size = pixel_size.or_else(|| image.pixel_size(space));
        }
        Ok(Self {
            array,
            axes,
            pixel_type,
            frame_rate,
            pixel_size,
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

    /// Physical pixel size, if stated.
    pub fn pixel_size(&self) -> Option<PixelSize> {
        self.pixel_size
    }

    /// Frames that are decoded together: reads aligned to it waste nothing.
    pub fn chunk_frames(&self) -> usize {
        self.axes
            .position(0)
            .map_or(1, |time| self.array.cell()[time])
    }

    /// Reads `frames` of the pixels `rows` × `columns`, all planes, converted
    /// to `f32`, axes `(frame, plane, y, x)`, decoding only the chunks they lie in.
    ///
    /// # Errors
    /// As [`Movie::read`], and [`Error::Misuse`] for pixels outside the frame.
    pub fn read_window(
        &self,
        frames: Range<usize>,
        rows: Range<usize>,
        columns: Range<usize>,
        into: &mut [f32],
    ) -> Result<(), Error> {
        let shape = self.axes.shape();
        if rows.start > rows.end
            || columns.start > columns.end
            || rows.end > shape.height
            || columns.end > shape.width
        {
            let reason = format!(
                "rows {rows:?} and columns {columns:?} do not lie in frames of {} × {}",
                shape.height, shape.width
            );
            return Err(Error::misuse(self.path(), reason));
        }
        let window = MovieShape::new(shape.frames, shape.planes, rows.len(), columns.len());
        check_read(window, &frames, into.len())?;
        self.read_f32([&frames, &(0..shape.planes), &rows, &columns], into)
    }

    /// Reads a window of frames, planes, rows and columns.
    fn read_f32(&self, window: [&Range<usize>; 4], into: &mut [f32]) -> Result<(), Error> {
        let put = |bytes: &[u8], out: &mut [f32]| from_native(self.pixel_type, bytes, out);
        let region = self.axes.region(window, self.array.shape());
        if self.axes.in_order() {
            let place = Place {
                unit: 1,
                put: &put,
                plain: self.pixel_type == PixelType::F32,
            };
            return self.array.read_region(&region, into, &place);
        }
        let mut native = vec![0; into.len() * self.pixel_type.bytes()];
        self.read_reordered(&region, &mut native)?;
        put(&native, into);
        Ok(())
    }

    fn read_bytes(&self, region: &[Range<usize>], into: &mut [u8]) -> Result<(), Error> {
        let place = Place {
            unit: self.pixel_type.bytes(),
            put: &|run: &[u8], out: &mut [u8]| out.copy_from_slice(run),
            plain: true,
        };
        self.array.read_region(region, into, &place)
    }

    /// The same in the stored type.
    fn read_stored(&self, window: [&Range<usize>; 4], into: &mut [u8]) -> Result<(), Error> {
        let region = self.axes.region(window, self.array.shape());
        if self.axes.in_order() {
            self.read_bytes(&region, into)
        } else {
            self.read_reordered(&region, into)
        }
    }

    /// Whole samples in a buffer of so many bytes.
    fn samples(&self, bytes: usize) -> Result<usize, fluorspar_movie::Error> {
        let size = self.pixel_type.bytes();
        if bytes.is_multiple_of(size) {
            return Ok(bytes / size);
        }
        Err(fluorspar_movie::Error::misuse(format!(
            "a buffer of {bytes} bytes does not hold whole {} samples",
            self.pixel_type
        )))
    }

    fn read_reordered(&self, region: &[Range<usize>], into: &mut [u8]) -> Result<(), Error> {
        let mut stored = vec![0; into.len()];
        self.read_bytes(region, &mut stored)?;
        self.axes
            .reorder(&stored, region, self.pixel_type.bytes(), into);
        Ok(())
    }
}

impl Movie for MovieReader {
    fn shape(&self) -> MovieShape {
        self.axes.shape()
    }

    fn pixel_type(&self) -> PixelType {
        self.pixel_type
    }

    fn frame_rate(&self) -> Option<f64> {
        self.frame_rate
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        let shape = self.axes.shape();
        check_read(shape, &frames, into.len())?;
        let [planes, rows, columns] = whole(shape);
        self.read_f32([&frames, &planes, &rows, &columns], into)
            .map_err(Into::into)
    }

    fn reads_single_frames(&self) -> bool {
        self.chunk_frames() == 1
    }

    fn read_native(
        &self,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let shape = self.axes.shape();
        check_read(shape, &frames, self.samples(into.len())?)?;
        let [planes, rows, columns] = whole(shape);
        self.read_stored([&frames, &planes, &rows, &columns], into)
            .map_err(Into::into)
    }

    /// Decodes only the chunks that the plane lies in.
    fn read_plane(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [f32],
    ) -> Result<(), fluorspar_movie::Error> {
        let shape = self.axes.shape();
        check_read_plane(shape, plane, &frames, into.len())?;
        let [_, rows, columns] = whole(shape);
        self.read_f32([&frames, &(plane..plane + 1), &rows, &columns], into)
            .map_err(Into::into)
    }

    /// Decodes only the chunks that the plane lies in.
    fn read_plane_native(
        &self,
        plane: usize,
        frames: Range<usize>,
        into: &mut [u8],
    ) -> Result<(), fluorspar_movie::Error> {
        let shape = self.axes.shape();
        check_read_plane(shape, plane, &frames, self.samples(into.len())?)?;
        let [_, rows, columns] = whole(shape);
        self.read_stored([&frames, &(plane..plane + 1), &rows, &columns], into)
            .map_err(Into::into)
    }
}

/// All planes, rows and columns.
fn whole(shape: MovieShape) -> [Range<usize>; 3] {
    [0..shape.planes, 0..shape.height, 0..shape.width]
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

fn stated_size(path: &Path, attributes: &Map<String, Value>) -> Result<Option<PixelSize>, Error> {
    let value = match attributes.get("pixel_size_um") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let list: Option<Vec<f64>> = value
        .as_array()
        .and_then(|list| list.iter().map(Value::as_f64).collect());
    let list = list.filter(|list| list.iter().all(|&step| step.is_finite() && step > 0.0));
    match list.as_deref() {
        Some(&[y, x]) => Ok(Some(PixelSize { y, x, z: None })),
        Some(&[z, y, x]) => Ok(Some(PixelSize { y, x, z: Some(z) })),
        _ => Err(Error::metadata(
            path,
            format!("the attribute pixel_size_um is {value}, not [y, x] or [z, y, x] in µm"),
        )),
    }
}
