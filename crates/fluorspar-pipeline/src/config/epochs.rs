use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{explain, read_text};
use crate::Error;

/// A named window of the trial, `[start_s, stop_s)`: written `[0.0, 1.0]`, or
/// `{ event = "odour2_s", start = 0.0, stop = 1.0 }`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(from = "Written", into = "Written")]
pub struct Epoch {
    /// Column of the table of trials with the time that the window is
    /// relative to; the onset if `None`.
    pub event: Option<String>,
    /// Start in seconds from the event.
    pub start_s: f64,
    /// Stop in seconds from the event.
    pub stop_s: f64,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "must be [start, stop] in seconds, or { event = \"COLUMN\", start = …, stop = … }"
)]
enum Written {
    FromOnset([f64; 2]),
    FromEvent(FromEvent),
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FromEvent {
    event: String,
    start: f64,
    stop: f64,
}

impl From<Written> for Epoch {
    fn from(written: Written) -> Self {
        match written {
            Written::FromOnset(window) => window.into(),
            Written::FromEvent(FromEvent { event, start, stop }) => Self {
                event: Some(event),
                start_s: start,
                stop_s: stop,
            },
        }
    }
}

impl From<Epoch> for Written {
    fn from(epoch: Epoch) -> Self {
        match epoch.event {
            None => Self::FromOnset([epoch.start_s, epoch.stop_s]),
            Some(event) => Self::FromEvent(FromEvent {
                event,
                start: epoch.start_s,
                stop: epoch.stop_s,
            }),
        }
    }
}

impl From<[f64; 2]> for Epoch {
    fn from([start_s, stop_s]: [f64; 2]) -> Self {
        Self {
            event: None,
            start_s,
            stop_s,
        }
    }
}

/// Longest window that is taken for one.
const LONGEST_S: f64 = 86_400.0;

/// Checks that every window is one.
pub(super) fn check(epochs: &BTreeMap<String, Epoch>) -> Result<(), String> {
    for (name, epoch) in epochs {
        let (start, stop) = (epoch.start_s, epoch.stop_s);
        let inside = |t: f64| t.abs() <= LONGEST_S;
        if !(inside(start) && inside(stop) && start < stop) {
            return Err(format!(
                "epochs.{name} = [{start}, {stop}]: must be [start, stop] in seconds, start before stop"
            ));
        }
    }
    Ok(())
}

/// Reads an epochs file; see [`parse_epochs`].
///
/// # Errors
/// As [`parse_epochs`], and [`Error::Io`] if it cannot be read.
pub fn read_epochs(path: &Path) -> Result<BTreeMap<String, Epoch>, Error> {
    parse_epochs(&read_text(path)?, path)
}

/// Parses the text of an epochs file: an [`Epoch`] per line, `NAME = [start,
/// stop]`, at the top or under `[epochs]`.
///
/// # Errors
/// [`Error::Config`] for broken TOML and empty windows.
pub fn parse_epochs(text: &str, path: &Path) -> Result<BTreeMap<String, Epoch>, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped {
        epochs: BTreeMap<String, Epoch>,
    }
    let epochs = match toml::from_str::<Wrapped>(text) {
        Ok(wrapped) => wrapped.epochs,
        Err(_) => toml::from_str(text).map_err(|e| Error::config(path, explain(text, &e)))?,
    };
    check(&epochs).map_err(|message| Error::config(path, message))?;
    Ok(epochs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_read_with_or_without_a_heading() {
        let path = Path::new("epochs.toml");
        let bare = parse_epochs("a = [0.0, 1.0]\n", path).unwrap();
        assert_eq!(parse_epochs("[epochs]\na = [0, 1]\n", path).unwrap(), bare);
        assert!(parse_epochs("a = [1, 0]", path).is_err());
        let error = parse_epochs("a = 3", path).unwrap_err().to_string();
        assert!(error.contains("[start, stop]"), "{error}");
    }

    #[test]
    fn an_epoch_may_start_from_an_event() {
        let path = Path::new("epochs.toml");
        let text = "lick = { event = \"lick_s\", start = -0.5, stop = 1 }";
        let epochs = parse_epochs(text, path).unwrap();
        assert_eq!(epochs["lick"].event.as_deref(), Some("lick_s"));
        assert_eq!(epochs["lick"].start_s, -0.5);
        let again = toml::to_string(&epochs).unwrap();
        assert_eq!(parse_epochs(&again, path).unwrap(), epochs);
        assert!(parse_epochs("a = { event = \"x\", begin = 1, stop = 2 }", path).is_err());
    }
}
