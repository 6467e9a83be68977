//! TIFF bytes: any file opens or is refused, and what opens can be read.
#![no_main]

use fluorspar_movie::Movie as _;
use fluorspar_tiff::{Limits, Movie};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        pages: 1000,
        frame_bytes: 1 << 20,
        ..Limits::default()
    };
    if let Ok(movie) = Movie::from_bytes(bytes.to_vec(), &limits) {
        let shape = movie.shape();
        let mut frame = vec![0.0; shape.frame_len()];
        for index in [0, shape.frames - 1] {
            let _ = movie.read(index..index + 1, &mut frame);
            let _ = movie.view_bytes(index..index + 1);
        }
        let _ = movie.metadata();
    }
});
