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
    /// The run was stopped on request; what is finished stays.
    #[error("stopped; run the same command again to go on from here")]
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

    /// Whether the work was stopped on request rather than failed, however
    /// deep in a stage: what is finished is kept, and the same request goes on.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped => true,
            Self::Stage { source, .. } => links(&**source).any(was_stopped),
            _ => false,
        }
    }

    /// The program's exit code for this error: 2 for bad usage or
    /// configuration, 3 for bad input data, 130 for work stopped on request, 1
    /// for anything else.
    pub fn exit_code(&self) -> u8 {
        if self.is_stopped() {
            return 130;
        }
        match self {
            Self::Usage(_) | Self::Config { .. } => 2,
            Self::BadData { .. } => 3,
            Self::Io { source, .. } => io_code(source),
            Self::Stage { source, .. } => links(&**source)
                .find_map(|error| error.downcast_ref::<std::io::Error>())
                .map_or(3, io_code),
            Self::Stopped => 130,
        }
    }
}

type Link<'a> = &'a (dyn StdError + 'static);

/// An error and what caused it, link by link.
fn links(error: Link<'_>) -> impl Iterator<Item = Link<'_>> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether this link of the chain says that work was stopped.
fn was_stopped(error: Link<'_>) -> bool {
    // The science crates pass a movie's error on as their own, so that it is
    // no link by itself.
    macro_rules! passed_on {
        ($($room:ident)*) => {
            $(matches!(
                error.downcast_ref(),
                Some($room::Error::Movie(fluorspar_movie::Error::Stopped))
            ))||*
        };
    }
    matches!(error.downcast_ref(), Some(fluorspar_movie::Error::Stopped))
        || matches!(error.downcast_ref(), Some(Error::Stopped))
        || passed_on!(fluorspar_register fluorspar_denoise fluorspar_segment fluorspar_trace fluorspar_zarr)
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
        assert_eq!(Error::Stopped.exit_code(), 130);
    }

    #[test]
    fn a_stop_is_recognised_however_deep() {
        fn check(error: impl StdError + Send + Sync + 'static, stopped: bool) {
            let at = Err::<(), _>(error).at("session 1").unwrap_err();
            assert_eq!(at.is_stopped(), stopped, "{at:?}");
            assert_eq!(at.exit_code() == 130, stopped, "{at:?}");
            // And once more around it.
            let outer = Err::<(), _>(at).at("outer").unwrap_err();
            assert_eq!(outer.is_stopped(), stopped, "{outer:?}");
        }
        let stop = || fluorspar_movie::Error::Stopped;
        check(stop(), true);
        check(Error::Stopped, true);
        check(fluorspar_register::Error::from(stop()), true);
        check(fluorspar_denoise::Error::from(stop()), true);
        check(fluorspar_segment::Error::from(stop()), true);
        check(fluorspar_trace::Error::from(stop()), true);
        check(fluorspar_zarr::Error::from(stop()), true);
        check(fluorspar_movie::Error::format("x", stop()), true);
        let misuse = || fluorspar_movie::Error::misuse("no");
        check(misuse(), false);
        check(fluorspar_denoise::Error::from(misuse()), false);
        check(std::io::Error::other("no"), false);
    }
}
