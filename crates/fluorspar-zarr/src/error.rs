use std::path::{Path, PathBuf};

/// Why a Zarr movie or group could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder is not what it should be, or its metadata or chunks are broken.
    #[error("{}: {reason}", path.display())]
    Bad {
        /// The Zarr folder.
        path: PathBuf,
        /// Which rule is broken.
        reason: String,
    },
    /// The call itself is wrong.
    #[error("{}: {reason}", path.display())]
    Misuse {
        /// The Zarr folder.
        path: PathBuf,
        /// What was asked.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn bad(path: &Path, reason: impl ToString) -> Self {
        Self::Bad {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn misuse(path: &Path, reason: impl ToString) -> Self {
        Self::Misuse {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }
}

impl From<Error> for fluorspar_movie::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { path, source } => Self::io(path, source),
            Error::Misuse { .. } => Self::misuse(error.to_string()),
            Error::Bad { ref path, .. } => Self::format(path.clone(), error),
        }
    }
}
