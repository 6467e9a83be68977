//! Whether the unfinished movie on disk is the one that is asked for.

use std::path::Path;

use serde_json::Value;

use crate::source::Source;
use crate::{Error, OpenOptions};

/// Whether a folder's `zarr.json` says what is planned; `None` if there is none.
pub(crate) fn same(folder: &Path, planned: &Value) -> Result<Option<()>, Error> {
    let limits = OpenOptions::default().limits;
    let Some(stored) = Source::folder(folder).json("zarr.json", &limits)? else {
        return Ok(None);
    };
    // Through text, as what is on disk went, so that numbers round alike.
    let asked: Value = serde_json::from_str(&planned.to_string())
        .map_err(|e| Error::metadata(folder, e.to_string()))?;
    match difference(&stored, &asked, String::new()) {
        None => Ok(Some(())),
        Some((field, stored, asked)) => Err(Error::Different {
            path: folder.into(),
            field,
            stored,
            asked,
        }),
    }
}

/// The first place where two documents differ.
fn difference(stored: &Value, asked: &Value, at: String) -> Option<(String, String, String)> {
    let (Value::Object(a), Value::Object(b)) = (stored, asked) else {
        return (stored != asked).then(|| (at, stored.to_string(), asked.to_string()));
    };
    a.keys().chain(b.keys()).find_map(|key| {
        let [a, b] = [a, b].map(|map| map.get(key).unwrap_or(&Value::Null));
        let at = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        difference(a, b, at)
    })
}
