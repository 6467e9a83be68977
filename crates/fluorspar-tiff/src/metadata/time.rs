//! When a page was recorded.

use super::{micromanager, scanimage};

/// Seconds since the start of the recording, from a page's own texts.
pub(crate) fn page_time(description: &str, micromanager: Option<&str>) -> Option<f64> {
    micromanager
        .and_then(micromanager::time)
        .or_else(|| scanimage::time(description))
}
