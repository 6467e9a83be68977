//! A movie far larger than the budget. A test of its own, since resident
//! memory belongs to the whole process.
#![cfg(target_os = "linux")]

use std::ops::Range;

use fluorspar_denoise::{Denoiser, Parameters};
use fluorspar_movie::{Budget, Error, Movie, MovieShape, PixelType, silent};

const SHAPE: MovieShape = MovieShape::new(1000, 1, 256, 384);

/// Made up where it is read; it holds nothing.
struct Cells;

impl Movie for Cells {
    fn shape(&self) -> MovieShape {
        SHAPE
    }

    fn pixel_type(&self) -> PixelType {
        PixelType::I16
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        for (frame, pixels) in frames.zip(into.chunks_exact_mut(SHAPE.frame_len())) {
            // Noise by a generator of its own for every frame.
            let mut state = (frame as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            for (at, value) in pixels.iter_mut().enumerate() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let bytes = (state >> 16).to_le_bytes();
                let noise: u32 = bytes.iter().take(6).map(|&b| u32::from(b)).sum();
                let (y, x) = (at / SHAPE.width / 20, at % SHAPE.width / 20);
                let wave = (frame as f32 / (11.0 + y as f32) + x as f32).sin();
                *value = 300.0 + noise as f32 / 8.0 + 12.0 * wave;
            }
        }
        Ok(())
    }

    fn read_native(&self, frames: Range<usize>, into: &mut [u8]) -> Result<(), Error> {
        let mut values = vec![0.0; into.len() / 2];
        self.read(frames, &mut values)?;
        for (slot, value) in into.chunks_exact_mut(2).zip(values) {
            slot.copy_from_slice(&(value as i16).to_ne_bytes());
        }
        Ok(())
    }
}

/// The most memory that this process has held, bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    1024 * line
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
}

#[test]
fn memory_stays_below_the_workspace() {
    let denoiser = Denoiser::new(Parameters::default()).unwrap();
    let before = peak();
    // The movie would take 393 MB as f32, its average over a few frames 20 MB.
    let budget = Budget { bytes: 12 << 20 };
    let lowrank = denoiser.fit(&Cells, budget, &silent).unwrap();
    let used = peak() - before;
    let threads = rayon::current_num_threads();
    let workspace = denoiser.workspace(SHAPE, budget, lowrank.rank(), threads);
    assert!(lowrank.rank() > 100);
    assert!(used < workspace, "{used} of {workspace}");
    assert!(workspace < 300 << 20, "{workspace}");
}
