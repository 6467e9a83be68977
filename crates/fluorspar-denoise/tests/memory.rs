//! What a fit takes is not more than it says. A test of its own, since the
//! allocator belongs to the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use fluorspar_denoise::{BlockSearch, Blocks, Denoiser, LowRank, Parameters};
use fluorspar_movie::{Budget, Error, Movie, MovieShape, PixelType, silent};
use ndarray::Array2;
use rayon::{ThreadPool, ThreadPoolBuilder};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as of the trait; the layout is handed on as it came.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise is the system's.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as of the trait; pointer and layout are handed on as they came.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Cells in noise, made up where they are read; it holds nothing.
struct Cells {
    shape: MovieShape,
    pixel_type: PixelType,
    /// Frames in which a cell's phase advances by one radian, in the first line of cells.
    slow: f32,
}

impl Movie for Cells {
    fn shape(&self) -> MovieShape {
        self.shape
    }

    fn pixel_type(&self) -> PixelType {
        self.pixel_type
    }

    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), Error> {
        let width = self.shape.width;
        for (frame, pixels) in frames.zip(into.chunks_exact_mut(self.shape.frame_len())) {
            // Noise by a generator of its own for every frame.
            let mut state = (frame as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            for (row, line) in pixels.chunks_exact_mut(width).enumerate() {
                let slow = self.slow * (1.0 + (row / 20) as f32 / 10.0);
                for (cell, part) in line.chunks_mut(20).enumerate() {
                    let wave = 12.0 * (frame as f32 / slow + cell as f32).sin();
                    for value in part {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                        let bytes = state.to_le_bytes();
                        let noise: u32 = bytes[2..].iter().map(|&b| u32::from(b)).sum();
                        *value = 300.0 + noise as f32 / 8.0 + wave;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_native(&self, _: Range<usize>, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::misuse("not asked for here"))
    }
}

/// A pool whose threads have made room for products, which they keep.
fn warm(threads: usize) -> ThreadPool {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let block = Array2::from_shape_fn((64, 64), |(p, t)| (p * 31 % 17 * t % 13) as f32);
    pool.broadcast(|_| {
        let search = BlockSearch::new([1, 8, 8], 64, &Parameters::default()).unwrap();
        search.components(block.view(), [1, 8, 8]).unwrap();
    });
    pool
}

/// The result, and the most bytes that were held at a time.
fn measured(
    denoiser: &Denoiser,
    movie: &Cells,
    budget: Budget,
    pool: &ThreadPool,
) -> (LowRank, usize) {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let lowrank = pool
        .install(|| denoiser.fit(movie, budget, &silent))
        .unwrap();
    (lowrank, PEAK.load(Ordering::Relaxed) - before)
}

#[test]
fn memory_stays_below_the_workspace() {
    let whole = |frames, planes, height, width| MovieShape::new(frames, planes, height, width);
    let pools = [warm(1), warm(2)];
    let blocks = |planes, side| Blocks { planes, side };
    for (shape, blocks, pixel_type, slow) in [
        // Many frames, many pixels, volumes plane by plane and in one.
        (whole(800, 1, 48, 64), blocks(1, 32), PixelType::I16, 11.0),
        (whole(800, 1, 48, 64), blocks(1, 32), PixelType::I16, 1.0),
        (whole(160, 1, 128, 160), blocks(1, 32), PixelType::F32, 1.0),
        (whole(160, 4, 60, 50), blocks(1, 16), PixelType::I16, 1.0),
        (whole(240, 6, 36, 40), blocks(4, 24), PixelType::F32, 1.0),
        (whole(32, 1, 300, 200), blocks(1, 8), PixelType::I16, 1.0),
        (whole(16, 2, 9, 7), blocks(1, 32), PixelType::F32, 1.0),
    ] {
        let parameters = Parameters {
            blocks,
            ..Parameters::default()
        };
        let denoiser = Denoiser::new(parameters).unwrap();
        let movie = Cells {
            shape,
            pixel_type,
            slow,
        };
        for pool in &pools {
            let threads = pool.current_num_threads();
            let (lowrank, all) = measured(&denoiser, &movie, Budget::default(), pool);
            let rank = lowrank.rank();
            drop(lowrank);
            let least = denoiser.least_budget(shape, rank, threads).bytes;
            let most = denoiser.workspace(shape, Budget::default(), rank, threads);
            assert!(all <= most, "{shape}, {threads} threads: {all} of {most}");
            for bytes in [0, least, usize::midpoint(least, most)] {
                let budget = Budget { bytes };
                let (lowrank, used) = measured(&denoiser, &movie, budget, pool);
                assert_eq!(lowrank.rank(), rank);
                let workspace = denoiser.workspace(shape, budget, rank, threads);
                assert!(workspace <= bytes.max(least));
                assert!(
                    used <= workspace,
                    "{shape}, {bytes} bytes, {threads} threads: {used} of {workspace}"
                );
            }
        }
    }
}
