//! Registration of 512 × 512 int16 frames on one core, per frame: one forward
//! Fourier transform, which is the limit; the estimate online, whole and in
//! parts; and a movie in memory from end to end, images included.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_movie::{ArrayMovie, Budget, silent};
use fluorspar_register::{Mode, Parameters, Reference, Registrar, register};
use ndarray::{Array2, Array3};
use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;
use rustfft::FftPlanner;

const SIDE: usize = 512;
const FRAMES: usize = 128;

/// Spots and noise that move, a little differently from part to part.
fn movie() -> ArrayMovie<i16> {
    let spots: Vec<(f64, f64)> = (0..400_u32)
        .map(|k| (f64::from(k * 97 % 521), f64::from(k * 211 % 523)))
        .collect();
    let mut still = Array2::<f64>::zeros((540, 540));
    for &(cy, cx) in &spots {
        for dy in -12_i32..=12 {
            for dx in -12_i32..=12 {
                let (y, x) = (cy as i32 + dy, cx as i32 + dx);
                if (0..540).contains(&y) && (0..540).contains(&x) {
                    let square = f64::from(dy * dy + dx * dx);
                    still[[y as usize, x as usize]] += 400.0 * (-square / 20.0).exp();
                }
            }
        }
    }
    ArrayMovie::new(Array3::from_shape_fn((FRAMES, SIDE, SIDE), |(t, y, x)| {
        let noise = (t * 31 + y).wrapping_mul(7919) ^ x.wrapping_mul(104_729);
        still[[y + t % 5, x + t % 7]] as i16 + (noise % 97) as i16
    }))
}

fn fourier(c: &mut Criterion) {
    let row = RealFftPlanner::<f32>::new().plan_fft_forward(SIDE);
    let column = FftPlanner::<f32>::new().plan_fft_forward(SIDE);
    let half = SIDE / 2 + 1;
    // Without a transpose, which an image would need: less than it can take.
    let mut pixels = vec![1.0_f32; SIDE * SIDE];
    let mut spectrum = vec![Complex32::default(); SIDE * half];
    let mut scratch = vec![Complex32::default(); SIDE];
    c.benchmark_group("limit_512")
        .throughput(Throughput::Elements(1))
        .bench_function("forward_transform", |b| {
            b.iter(|| {
                let rows = pixels.chunks_exact_mut(SIDE);
                for (line, out) in rows.zip(spectrum.chunks_exact_mut(half)) {
                    let _ = row.process_with_scratch(line, out, &mut scratch);
                }
                for line in spectrum.chunks_exact_mut(SIDE) {
                    column.process_with_scratch(line, &mut scratch);
                }
            });
        });
}

fn frames(c: &mut Criterion) {
    let movie = movie();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let Ok(pool) = pool else { return };
    let mut group = c.benchmark_group("register_512");
    group.sample_size(10);
    for (name, mode) in [("rigid", Mode::Rigid), ("piecewise", Mode::Piecewise)] {
        let parameters = Parameters {
            mode,
            reference_frames: 64,
            ..Parameters::default()
        };
        let Ok(reference) = Reference::build(&movie, &parameters) else {
            return;
        };
        let Ok(registrar) = Registrar::new(&reference, &parameters) else {
            return;
        };
        let mut scratch = registrar.scratch();
        let (rows, columns) = registrar
            .grid()
            .map_or((0, 0), fluorspar_register::Grid::dim);
        let mut nodes = vec![0.0; 2 * rows * columns];
        let frame = registrar.reference().to_owned();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("estimate", name), |b| {
            b.iter(|| registrar.estimate_field(frame.view(), &mut scratch, &mut nodes));
        });
        group.throughput(Throughput::Elements(FRAMES as u64));
        group.bench_function(BenchmarkId::new("movie", name), |b| {
            b.iter(|| {
                pool.install(|| register(&movie, &registrar, None, Budget::default(), &silent))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fourier, frames);
criterion_main!(benches);
