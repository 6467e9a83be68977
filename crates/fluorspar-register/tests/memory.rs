//! Thirty planes stay inside the budget. A test of its own, since resident
//! memory belongs to the whole process.
#![cfg(target_os = "linux")]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use fluorspar_movie::{Budget, Error, Movie, MovieShape, MovieSink, PixelType};
use fluorspar_register::{Parameters, VolumeRegistrar, register_volumes};

const SHAPE: MovieShape = MovieShape::new(96, 30, 160, 160);

/// Made up where it is read; it holds nothing.
struct Texture;

impl Movie for Texture {
    fn shape(&self) -> MovieShape {
        SHAPE
    }

    fn pixel_type(&self) -> PixelType {
        PixelType::I16
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        let images = into.chunks_exact_mut(SHAPE.height * SHAPE.width);
        for (image, pixels) in images.enumerate() {
            let (frame, plane) = (frames.start + image / SHAPE.planes, image % SHAPE.planes);
            for (at, value) in pixels.iter_mut().enumerate() {
                let (y, x) = (at / SHAPE.width + frame % 3, at % SHAPE.width + frame % 2);
                *value = ((y / 3 * 7919 + x / 3 * 104_729 + plane).pow(2) % 1009) as f32;
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

/// Counts what it is given.
struct Nowhere(usize);

impl MovieSink for Nowhere {
    fn write(&mut self, _: usize, frames: &[f32]) -> Result<(), Error> {
        self.0 += 2 * frames.len();
        Ok(())
    }

    fn native_type(&self) -> Option<PixelType> {
        Some(PixelType::I16)
    }

    fn write_native(&mut self, _: usize, frames: &[u8]) -> Result<(), Error> {
        self.0 += frames.len();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
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

#[test]
fn thirty_planes_stay_inside_the_budget() {
    let volume = 4 * SHAPE.planes * SHAPE.height * SHAPE.width;
    let before = resident();
    let registrar = VolumeRegistrar::build(&Texture, &Parameters::default()).unwrap();
    let kept = resident() - before;
    assert!(kept < (256 << 20) + 10 * volume, "{kept} bytes are left");

    let least = registrar.memory(SHAPE.frames, PixelType::I16, 1);
    for more in [0, 30 << 20] {
        let bytes = least + more;
        // The registrar counts, and what building left may be used again.
        let before = resident().saturating_sub(kept);
        let most = AtomicUsize::new(0);
        let progress = |_: u64| {
            most.fetch_max(resident(), Ordering::Relaxed);
        };
        let mut sink = Nowhere(0);
        let budget = Budget { bytes };
        let found =
            register_volumes(&Texture, &registrar, Some(&mut sink), budget, &progress).unwrap();
        let held = most.into_inner() - before;
        // Some may be left with the allocator.
        assert!(held < bytes + (8 << 20), "{held} bytes of {bytes}");
        assert_eq!(sink.0, 2 * SHAPE.frames * volume / 4);
        assert_eq!(found.planes.len(), SHAPE.planes);
    }
}
