//! Write and read of a 64 × 256 × 256 u16 movie with photon-like noise.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_movie::{Movie, MovieShape, MovieSink, PixelType};
use fluorspar_zarr::{MovieReader, MovieWriter};

fn movie() -> (MovieShape, Vec<f32>) {
    let shape = MovieShape::new(64, 1, 256, 256);
    let mut state = 1u32;
    let data = (0..shape.frames * shape.frame_len())
        .map(|_| {
            // Four uniform bytes summed: a bell of width 150 around 500, like shot noise.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
                .to_le_bytes()
                .iter()
                .map(|&b| f32::from(b))
                .sum::<f32>()
        })
        .collect();
    (shape, data)
}

fn bench(c: &mut Criterion) {
    let (shape, data) = movie();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("movie.zarr");
    let write = || {
        let mut writer =
            MovieWriter::create(&path, shape, PixelType::U16, Some(30.0)).expect("a writer");
        writer.write(0, &data).expect("written");
        writer.finish().expect("in place");
    };
    write();
    let reader = MovieReader::open(&path).expect("a movie");
    let mut group = c.benchmark_group("movie_64x256x256_u16");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(
        (shape.frames * shape.frame_len() * 2) as u64,
    ));
    group.bench_function("write", |b| b.iter(write));
    // Conversion, codec and the page cache; the difference to "write" is flushing to disk.
    group.bench_function("write_without_finish", |b| {
        b.iter(|| {
            let mut writer =
                MovieWriter::create(&path, shape, PixelType::U16, Some(30.0)).expect("a writer");
            writer.write(0, &data).expect("written");
        });
    });
    let mut frames = vec![0.0; data.len()];
    group.bench_function("read", |b| {
        b.iter(|| {
            reader.read(0..64, &mut frames).expect("frames");
            black_box(&frames);
        });
    });
    let mut native = vec![0; data.len() * 2];
    group.bench_function("read_native", |b| {
        b.iter(|| {
            reader.read_native(0..64, &mut native).expect("frames");
            black_box(&native);
        });
    });
    group.throughput(Throughput::Bytes((shape.frame_len() * 2) as u64));
    group.bench_function("read_one_frame", |b| {
        b.iter(|| {
            let one = &mut frames[..256 * 256];
            reader.read(33..34, one).expect("a frame");
            black_box(one);
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
