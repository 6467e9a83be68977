use std::path::{Path, PathBuf};

/// What went wrong, sorted by whom to ask: the caller, the data, this
/// library's abilities or the disk. Every message names the file or folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call itself is wrong: a shape without pixels, frames out of place, a name used twice.
    #[error("{}: {reason}", path.display())]
    Misuse {
        /// The array or group that was to be written or read.
        path: PathBuf,
        /// What to do instead.
        reason: String,
    },
    /// There is no Zarr array or group here.
    #[error(
        "{}: no zarr array or group (neither zarr.json nor .zarray nor .zgroup)",
        path.display()
    )]
    NotZarr {
        /// The folder that was asked for.
        path: PathBuf,
    },
    /// The metadata break a rule of the format.
    #[error("{}: {reason}", path.display())]
    Metadata {
        /// The metadata file.
        path: PathBuf,
        /// Which rule is broken.
        reason: String,
    },
    /// Valid Zarr, but not something this crate reads.
    #[error("{}: unsupported: {reason}", path.display())]
    Unsupported {
        /// The metadata file or folder.
        path: PathBuf,
        /// What is not supported.
        reason: String,
    },
    /// The metadata ask for more than [`Limits`](crate::Limits) allow.
    #[error("{}: {what} is {asked} bytes, over the limit of {limit}", path.display())]
    Limit {
        /// The metadata or chunk file.
        path: PathBuf,
        /// Which size.
        what: &'static str,
        /// Bytes asked for.
        asked: u128,
        /// Bytes allowed.
        limit: u64,
    },
    /// The array has no pixels: an axis of length zero.
    #[error("{}: the movie is empty, its shape is {shape:?}", path.display())]
    Empty {
        /// The array.
        path: PathBuf,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A chunk that should be there is not.
    #[error(
        "{}: chunk {chunk:?} is missing (a writer that leaves out empty chunks? \
         then open with MissingChunks::Fill)",
        path.display()
    )]
    MissingChunk {
        /// The chunk or shard file.
        path: PathBuf,
        /// Index of the chunk (inside a shard: of the inner chunk) along each axis.
        chunk: Vec<usize>,
    },
    /// A chunk is truncated, fails its checksum or does not decode.
    #[error("{}: chunk {chunk:?} is damaged: {reason}", path.display())]
    CorruptChunk {
        /// The chunk or shard file.
        path: PathBuf,
        /// Index of the chunk (inside a shard: of the inner chunk) along each axis.
        chunk: Vec<usize>,
        /// What did not fit.
        reason: String,
    },
    /// The stored elements are of another type than the one asked for.
    #[error("{}: the elements are {found}, not {asked}", path.display())]
    ElementType {
        /// The array.
        path: PathBuf,
        /// Type asked for.
        asked: crate::ElementType,
        /// Type stored.
        found: crate::ElementType,
    },
    /// A chunk could not be encoded.
    #[error("{}: cannot encode: {reason}", path.display())]
    Encode {
        /// The array.
        path: PathBuf,
        /// What the codec said.
        reason: String,
    },
    /// The array has several channels and none was chosen, or one that is not there.
    #[error(
        "{}: {count} channels; choose one of 0 to {} (OpenOptions::channel)",
        path.display(), count.saturating_sub(1)
    )]
    Channel {
        /// The array.
        path: PathBuf,
        /// Channels it has.
        count: usize,
    },
    /// There is no unfinished movie to go on with.
    #[error("{}: nothing to resume", path.display())]
    NothingToResume {
        /// Where the movie was to appear.
        path: PathBuf,
    },
    /// The unfinished movie on disk is another one.
    #[error("{}: the unfinished movie has {field} {stored}, not {asked}", path.display())]
    Different {
        /// The hidden folder of the unfinished movie.
        path: PathBuf,
        /// What differs, as a path in its `zarr.json`.
        field: String,
        /// What is on disk.
        stored: String,
        /// What was asked for.
        asked: String,
    },
    /// Another writer, perhaps in another process, holds the unfinished movie.
    #[error("{}: another writer is at work here", path.display())]
    Busy {
        /// The hidden folder of the unfinished movie.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A range outside the movie or a buffer of the wrong length.
    #[error(transparent)]
    Movie(#[from] fluorspar_movie::Error),
}

impl Error {
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_path_buf(),
            source,
        }
    }

    pub(crate) fn misuse(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Misuse {
            path: path.as_ref().to_path_buf(),
            reason: reason.into(),
        }
    }

    pub(crate) fn metadata(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Metadata {
            path: path.as_ref().to_path_buf(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.as_ref().to_path_buf(),
            reason: reason.into(),
        }
    }

    pub(crate) fn corrupt(
        path: impl AsRef<Path>,
        chunk: &[usize],
        reason: impl Into<String>,
    ) -> Self {
        Self::CorruptChunk {
            path: path.as_ref().to_path_buf(),
            chunk: chunk.to_vec(),
            reason: reason.into(),
        }
    }

    /// A chunk whose bytes could not be read: damage if the store says they are not as promised.
    pub(crate) fn chunk_io(path: impl AsRef<Path>, chunk: &[usize], error: std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            InvalidData | InvalidInput | UnexpectedEof => {
                Self::corrupt(path, chunk, error.to_string())
            }
            _ => Self::io(path, error),
        }
    }

    /// The file or folder at fault, if the error is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Misuse { path, .. }
            | Self::NotZarr { path }
            | Self::Metadata { path, .. }
            | Self::Unsupported { path, .. }
            | Self::Limit { path, .. }
            | Self::Empty { path, .. }
            | Self::MissingChunk { path, .. }
            | Self::CorruptChunk { path, .. }
            | Self::ElementType { path, .. }
            | Self::Encode { path, .. }
            | Self::Channel { path, .. }
            | Self::NothingToResume { path }
            | Self::Different { path, .. }
            | Self::Busy { path }
            | Self::Io { path, .. } => Some(path),
            Self::Movie(_) => None,
        }
    }
}

impl From<Error> for fluorspar_movie::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Movie(inner) => inner,
            Error::Io { path, source } => Self::Io { path, source },
            Error::Misuse { .. } => Self::Misuse(error.to_string()),
            other => {
                let path = other.path().map(Path::to_path_buf).unwrap_or_default();
                Self::format(path, other)
            }
        }
    }
}
