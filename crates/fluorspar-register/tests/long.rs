//! Memory does not grow with a movie's length, and large fields stay inside
//! what their size asks for. A test of its own, since resident memory belongs
//! to the whole process.
#![cfg(target_os = "linux")]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use fluorspar_movie::{Budget, Error, Movie, MovieShape, PixelType};
use fluorspar_register::{Mode, Parameters, Reference, Registrar, register};

/// Any number of frames that wander over one texture; it holds no frame.
struct Wandering {
    shape: MovieShape,
    texture: Vec<i16>,
}

/// How far frames wander, pixels.
const REACH: usize = 4;

impl Wandering {
    fn new(frames: usize, side: usize) -> Self {
        let wide = side + REACH;
        let spot = |v: usize| (v % 11).abs_diff(5) as i16;
        let texture = (0..wide * wide)
            .map(|at| {
                let (y, x) = (at / wide, at % wide);
                let order = (y / 11 * 7919 + x / 11 * 104_729).pow(2) % 1009;
                (order as i16) * (10 - spot(y) - spot(x)) + (at * 31 % 97) as i16
            })
            .collect();
        Self {
            shape: MovieShape::new(frames, 1, side, side),
            texture,
        }
    }
}

impl Movie for Wandering {
    fn shape(&self) -> MovieShape {
        self.shape
    }

    fn pixel_type(&self) -> PixelType {
        PixelType::I16
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        let mut bytes = vec![0; 2 * into.len()];
        self.read_native(frames, &mut bytes)?;
        for (value, pair) in into.iter_mut().zip(bytes.chunks_exact(2)) {
            *value = f32::from(i16::from_ne_bytes([pair[0], pair[1]]));
        }
        Ok(())
    }

    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        let side = self.shape.width;
        let wide = side + REACH;
        for (frame, image) in frames.zip(into.chunks_exact_mut(2 * side * side)) {
            let (dy, dx) = (frame % REACH, frame / 3 % REACH);
            for (y, row) in image.chunks_exact_mut(2 * side).enumerate() {
                let from = (y + dy) * wide + dx;
                for (slot, value) in row.chunks_exact_mut(2).zip(&self.texture[from..]) {
                    slot.copy_from_slice(&value.to_ne_bytes());
                }
            }
        }
        Ok(())
    }
}

/// Resident bytes that are the process's own.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    1024 * kib
}

/// The most that is resident while a movie is registered, reference included.
fn peak(frames: usize, side: usize, mode: Mode) -> usize {
    let movie = Wandering::new(frames, side);
    let parameters = Parameters {
        mode,
        ..Parameters::default()
    };
    let reference = Reference::build(&movie, &parameters).unwrap();
    let most = AtomicUsize::new(resident());
    let progress = |_: u64| {
        most.fetch_max(resident(), Ordering::Relaxed);
    };
    let registrar = Registrar::new(&reference, &parameters).unwrap();
    let budget = Budget { bytes: 256 << 20 };
    let found = register(&movie, &registrar, None, budget, &progress).unwrap();
    assert!(found.motion.untrusted.iter().all(|u| !u));
    most.into_inner()
}

#[test]
fn memory_follows_the_size_of_a_frame_and_not_their_number() {
    let short = peak(400, 512, Mode::Piecewise);
    let long = peak(1600, 512, Mode::Piecewise);
    // A shift, a field and a flag per frame are kept: 2 KiB.
    assert!(long < short + (16 << 20), "{short} {long}");
    assert!(long < 1536 << 20, "{long}");
    let large = peak(24, 2048, Mode::Rigid);
    assert!(large < 1536 << 20, "{large}");
}
