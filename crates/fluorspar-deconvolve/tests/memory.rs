//! Memory beside the arrays does not grow with the number of traces.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use fluorspar_deconvolve::{Kernel, Oasis, Parameters, Report, Sparsity};
use ndarray::Array2;

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

#[test]
fn a_block_takes_the_workspace_and_no_more() {
    const FRAMES: usize = 5000;
    let threads = 3;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    for rois in [16, 400] {
        let traces = Array2::from_shape_fn((rois, FRAMES), |(roi, t)| {
            ((roi * 31 + t * 7919) % 1009) as f32 / 1009.0 + (-((t % 90) as f32) / 20.0).exp()
        });
        let mut events = Array2::zeros(traces.dim());
        for (rise, sparsity) in [
            (0.0, Sparsity::NonNegative),
            (0.0, Sparsity::Noise),
            (0.6, Sparsity::NonNegative),
        ] {
            let kernel = Kernel::new(0.95, rise).unwrap();
            let oasis = Oasis::new(Parameters {
                kernel: Some(kernel),
                sparsity,
                ..Parameters::default()
            })
            .unwrap();
            let before = NOW.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            let reports = pool
                .install(|| oasis.deconvolve_block(traces.view(), &[kernel], events.view_mut()))
                .unwrap();
            assert_eq!(reports.len(), rois);
            let used = PEAK.load(Ordering::Relaxed) - before;
            let bound = Oasis::workspace(FRAMES, threads) + 4 * rois * size_of::<Report>();
            assert!(
                used <= bound,
                "{rois}, {rise}, {sparsity:?}: {used} of {bound}"
            );
        }
    }
}
