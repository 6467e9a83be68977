use std::path::PathBuf;

/// Why a TIFF movie could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file breaks a rule of TIFF.
    #[error("{}: page {page}, byte {offset}: {rule}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Page, counted from 0.
        page: usize,
        /// Byte offset of what is wrong.
        offset: u64,
        /// The rule that is broken.
        rule: String,
    },
    /// The file is sound but holds something that is not read here.
    #[error("{}: page {page}: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Page, counted from 0.
        page: usize,
        /// What it holds.
        what: String,
    },
    /// A header asks for more than [`OpenOptions`](crate::OpenOptions) allows.
    #[error("{}: page {page}: {what}; raise the limit if the file is honest", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// Page, counted from 0.
        page: usize,
        /// What is asked for and what is allowed.
        what: String,
    },
    /// The file changed while it was open.
    #[error("{}: the file changed while it was open: it had {before} bytes and has {now}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length when it was opened.
        before: u64,
        /// Its length now.
        now: u64,
    },
    /// What a file says of its regions does not fit together.
    #[error("{0}")]
    Contradiction(String),
    /// The call itself is wrong.
    #[error("{0}")]
    Misuse(String),
}

impl From<Error> for fluorspar_movie::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { path, source } => Self::io(path, source),
            Error::Misuse(message) | Error::Contradiction(message) => Self::misuse(message),
            Error::Format { ref path, .. }
            | Error::Unsupported { ref path, .. }
            | Error::Limit { ref path, .. }
            | Error::Changed { ref path, .. } => Self::format(path.clone(), error),
        }
    }
}
