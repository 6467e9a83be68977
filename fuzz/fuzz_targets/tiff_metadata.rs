//! Any text as what a TIFF says of itself: settings, JSON and XML.
#![no_main]

use fluorspar_tiff::{Movie, MroiLayout, OpenOptions, ScanImage};
use libfuzzer_sys::fuzz_target;

/// A TIFF of one page, all of whose texts are `text`.
fn page(text: &[u8]) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let mut out = Vec::new();
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value.to_le_bytes());
        out
    };
    let texts = 8 + 2 + 9 * 12 + 4;
    let length = text.len() as u32;
    let mut out = b"II\x2a\0\x08\0\0\0\x09\0".to_vec();
    for (tag, kind, count, value) in [
        (256, 4, 1, 1),
        (257, 4, 1, 1),
        (258, 3, 1, 8),
        (270, 2, length, texts),
        (273, 4, 1, 0),
        (279, 4, 1, 1),
        (305, 2, length, texts),
        (315, 2, length, texts),
        (51123, 2, length, texts),
    ] {
        out.extend(entry(tag, kind, count, value));
    }
    out.extend([0; 4]);
    out.extend(text);
    out
}

fuzz_target!(|text: &[u8]| {
    if let Ok(movie) = Movie::from_bytes(page(text), &OpenOptions::default()) {
        let _ = movie.times_s();
        let metadata = movie.metadata().clone();
        if let Some(settings) = &metadata.scanimage {
            let _ = MroiLayout::new(settings, 0.0, [64, 64]);
        }
        if let Some(found) = metadata.interleaving {
            assert!(found.image(found.frames, 0, 0).is_none());
        }
        let _ = movie.volumes(0);
    }
    let settings = ScanImage {
        roi_groups: Some(String::from_utf8_lossy(text).into_owned()),
        ..ScanImage::default()
    };
    if let Ok(layout) = MroiLayout::new(&settings, 0.0, [64, 64]) {
        assert!(layout.strips.iter().all(|strip| strip.rows.end <= 64));
    }
});
