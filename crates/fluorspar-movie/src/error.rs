use std::path::{Path, PathBuf};

/// What went wrong, sorted by whom to ask: the caller, the data or the disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call itself is wrong: a range outside the movie, a buffer of the wrong length.
    #[error("{0}")]
    Misuse(String),
    /// The data break a rule.
    #[error("{place}: {reason}")]
    BadData {
        /// Where: a file, a frame, a field.
        place: String,
        /// Which rule is broken.
        reason: String,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file format's own error.
    #[error("{source}")]
    Format {
        /// File or folder.
        path: PathBuf,
        /// The format crate's typed error; its message names the file.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The work was asked to stop; what is finished is kept.
    #[error("stopped; what is finished is kept")]
    Stopped,
}

impl Error {
    /// The caller asked for something impossible.
    pub fn misuse(message: impl Into<String>) -> Self {
        Self::Misuse(message.into())
    }

    /// The data at `place` break a rule.
    pub fn bad_data(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::BadData {
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// The file system refused an operation on `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_path_buf(),
            source,
        }
    }

    /// A format crate's error about `path`.
    pub fn format(
        path: impl AsRef<Path>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Format {
            path: path.as_ref().to_path_buf(),
            source: source.into(),
        }
    }

    /// Whether the data (rather than the call or the machine) are at fault.
    pub fn is_bad_data(&self) -> bool {
        match self {
            Self::BadData { .. } | Self::Format { .. } => true,
            Self::Misuse(_) | Self::Stopped => false,
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::UnexpectedEof,
        }
    }
}
