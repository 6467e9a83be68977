use std::path::{Path, PathBuf};

use fluorspar_movie::Movie;
use serde::Serialize;

use crate::error::Context;
use crate::{Error, source};

/// What a movie file says about itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MovieInfo {
    /// The file or folder.
    pub path: PathBuf,
    /// `"TIFF"` or `"Zarr"`.
    pub format: String,
    /// Frames (t).
    pub frames: usize,
    /// Planes (z).
    pub planes: usize,
    /// Rows (y) in pixels.
    pub height: usize,
    /// Columns (x) in pixels.
    pub width: usize,
    /// Stored type of a pixel.
    pub pixel_type: String,
    /// Frames per second (Hz), if the file says.
    pub frame_rate: Option<f64>,
    /// Compression of a TIFF's pages.
    pub codec: Option<String>,
    /// Dialect of a TIFF: who wrote it.
    pub dialect: Option<String>,
    /// Whether frames are lent from the file without a copy.
    pub zero_copy: bool,
    /// Size of the pixels when uncompressed, in bytes.
    pub bytes: u64,
}

/// Describes one movie: a TIFF file, a folder of them, or a Zarr folder.
///
/// # Errors
/// [`Error::Stage`] or [`Error::BadData`] naming the file and what is wrong with it.
pub fn info(path: &Path) -> Result<MovieInfo, Error> {
    let describe = |movie: &dyn Movie, format: &str| {
        let shape = movie.shape();
        MovieInfo {
            path: path.to_path_buf(),
            format: format.into(),
            frames: shape.frames,
            planes: shape.planes,
            height: shape.height,
            width: shape.width,
            pixel_type: movie.pixel_type().to_string(),
            frame_rate: movie.frame_rate(),
            codec: None,
            dialect: None,
            zero_copy: false,
            bytes: (shape.frames * shape.frame_len() * movie.pixel_type().bytes()) as u64,
        }
    };
    let files = source::find_files(&path.to_string_lossy(), Path::new(""))?;
    if source::is_zarr(&files[0]) {
        return Ok(describe(&*source::open_movie(&files)?, "Zarr"));
    }
    let movie = fluorspar_tiff::Movie::open_many(&files).at("cannot open the movie")?;
    let metadata = movie.metadata();
    Ok(MovieInfo {
        codec: Some(movie.codec().to_owned()),
        dialect: Some(format!("{:?}", metadata.dialect)),
        zero_copy: movie.is_zero_copy(),
        ..describe(&movie, "TIFF")
    })
}
