use std::error::Error as StdError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why a run, or a command beside it, stopped.
///
/// Every message names the file, the field or the frame, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request contradicts itself or the state of the output folder.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error("{}: {message}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// The key and the rule it breaks.
        message: String,
    },
    /// Input data break a rule.
    #[error("{}: {message}", path.display())]
    BadData {
        /// The file.
        path: PathBuf,
        /// The row, frame or field and the rule it breaks.
        message: String,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A stage failed.
    #[error("{place}: {source}")]
    Stage {
        /// Session and stage, or the file worked on.
        place: String,
        /// The stage's own error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The run was stopped on request; what is finished stays, `--resume` goes on.
    #[error("stopped; run again with --resume to go on from here")]
    Stopped,
}

impl Error {
    pub(crate) fn config(path: &Path, message: impl Into<String>) -> Self {
        Self::Config {
            path: path.to_path_buf(),
            message: message.into(),
        }
    }

    pub(crate) fn bad_data(path: &Path, message: impl Into<String>) -> Self {
        Self::BadData {
            path: path.to_path_buf(),
            message: message.into(),
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    /// Says which session, counted from 0, an error is about.
    pub(crate) fn in_session(self, index: usize) -> Self {
        match self {
            Self::Stage { place, source } => Self::Stage {
                place: format!("session {}, {place}", index + 1),
                source,
            },
            other => other,
        }
    }

    /// The program's exit code for this error: 2 for bad usage or
    /// configuration, 3 for bad input data, 1 for anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config { .. } => 2,
            Self::BadData { .. } => 3,
            Self::Io { source, .. } => io_code(source),
            Self::Stage { source, .. } => {
                let mut link: Option<&(dyn StdError + 'static)> = Some(&**source);
                while let Some(error) = link {
                    if let Some(io) = error.downcast_ref::<std::io::Error>() {
                        return io_code(io);
                    }
                    link = error.source();
                }
                3
            }
            Self::Stopped => 1,
        }
    }
}

/// Missing or truncated inputs are bad data; a refusing disk is not.
fn io_code(error: &std::io::Error) -> u8 {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidData => 3,
        _ => 1,
    }
}

/// Says at which place an error of a lower crate arose.
pub(crate) trait Context<T> {
    fn at(self, place: impl std::fmt::Display) -> Result<T, Error>;
}

impl<T, E: StdError + Send + Sync + 'static> Context<T> for Result<T, E> {
    fn at(self, place: impl std::fmt::Display) -> Result<T, Error> {
        self.map_err(|source| Error::Stage {
            place: place.to_string(),
            source: Box::new(source),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_cause() {
        let full = std::io::Error::from(ErrorKind::StorageFull);
        let movie = fluorspar_movie::Error::io("out", full);
        assert_eq!(
            Err::<(), _>(movie).at("session 1").unwrap_err().exit_code(),
            1
        );
        let bad = fluorspar_movie::Error::bad_data("frame 3", "is NaN");
        assert_eq!(
            Err::<(), _>(bad).at("session 1").unwrap_err().exit_code(),
            3
        );
        assert_eq!(Error::Usage(String::new()).exit_code(), 2);
        assert_eq!(Error::config(Path::new("x"), "y").exit_code(), 2);
    }
}
