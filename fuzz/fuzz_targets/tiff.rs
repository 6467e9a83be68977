//! Any bytes as a TIFF: an answer or an error, in bounded time and memory,
//! the same whether pages are predicted or walked to.
#![no_main]

use fluorspar_movie::Movie as _;
use fluorspar_tiff::{Movie, OpenOptions, Search};
use libfuzzer_sys::fuzz_target;

fn read(movie: &Movie, frame: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; movie.shape().frame_len() * movie.pixel_type().bytes()];
    movie.read_native(frame..frame + 1, &mut out).ok()?;
    Some(out)
}

fuzz_target!(|bytes: &[u8]| {
    let options = OpenOptions {
        pages: 10_000,
        page_bytes: 1 << 22,
        ..OpenOptions::default()
    };
    let walking = OpenOptions {
        search: Search::Walk,
        ..options
    };
    let Ok(movie) = Movie::from_bytes(bytes.to_vec(), &options) else {
        return;
    };
    let frames = movie.shape().frames;
    let walked = Movie::from_bytes(bytes.to_vec(), &walking)
        .ok()
        .filter(|walked| walked.shape() == movie.shape());
    for frame in [0, 1, frames / 2, frames.saturating_sub(1)] {
        if frame >= frames {
            continue;
        }
        let found = read(&movie, frame);
        if let (Some(found), Some(walked)) = (found, &walked) {
            assert_eq!(Some(found), read(walked, frame));
        }
        let _ = movie.view_bytes(frame..frame + 1);
    }
});
