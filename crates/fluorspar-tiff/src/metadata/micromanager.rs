//! Micro-Manager's JSON of a page (tag 51123).

use serde_json::Value;

use super::{Dialect, Metadata};

/// Adds what Micro-Manager says to what the description said, which is often
/// in the words of OME or ImageJ.
pub(super) fn add(metadata: &mut Metadata, json: &str) {
    let Ok(page) = serde_json::from_str::<Value>(json) else {
        return;
    };
    metadata.dialect = Dialect::MicroManager;
    let size = number(&page, "PixelSizeUm").filter(|v| *v > 0.0);
    metadata.pixel_size_um = metadata.pixel_size_um.or(size);
    let summary = page.get("Summary").unwrap_or(&page);
    let interval = number(summary, "Interval_ms").filter(|v| *v > 0.0);
    metadata.frame_rate = metadata.frame_rate.or(interval.map(|ms| 1000.0 / ms));
}

/// Seconds since the start of the acquisition.
pub(super) fn time(json: &str) -> Option<f64> {
    let page: Value = serde_json::from_str(json).ok()?;
    Some(number(&page, "ElapsedTime-ms")? / 1000.0)
}

/// Versions differ in whether numbers are texts.
fn number(json: &Value, name: &str) -> Option<f64> {
    let value = json.get(name)?;
    let number = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())?;
    Some(number).filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_texts() {
        let mut metadata = Metadata::default();
        add(
            &mut metadata,
            r#"{"PixelSizeUm": "0.5", "Summary": {"Interval_ms": 50}}"#,
        );
        assert_eq!(metadata.dialect, Dialect::MicroManager);
        assert_eq!(
            (metadata.pixel_size_um, metadata.frame_rate),
            (Some(0.5), Some(20.0))
        );
        assert_eq!(time(r#"{"ElapsedTime-ms": 1250.0}"#), Some(1.25));
        assert_eq!(time("{"), None);
    }
}
