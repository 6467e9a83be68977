//! Reading an uncompressed int16 stack, against copying the same bytes.
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fluorspar_movie::{Movie as _, MovieShape, MovieSink, PixelType};
use fluorspar_tiff::{Movie, Writer, WriterOptions};

fn read(c: &mut Criterion) {
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let path = folder.path().join("movie.tif");
    let shape = MovieShape::new(100, 1, 512, 512);
    let write = || -> Result<Movie, Box<dyn std::error::Error>> {
        let mut writer = Writer::create(&path, shape, PixelType::I16, &WriterOptions::default())?;
        writer.write(0, &vec![7.0; 100 * 512 * 512])?;
        Box::new(writer).finish()?;
        Ok(Movie::open(&path)?)
    };
    let Ok(movie) = write() else {
        return;
    };
    let bytes = 2 * 100 * 512 * 512;
    let mut native = vec![0_u8; bytes];
    let source = vec![1_u8; bytes];
    let mut single = vec![0.0_f32; bytes / 2];
    let mut group = c.benchmark_group("tiff_100x512x512");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("copy", |b| {
        b.iter(|| black_box(&mut native).copy_from_slice(&source));
    });
    group.bench_function("read_native", |b| {
        b.iter(|| movie.read_native(0..100, black_box(&mut native)));
    });
    group.bench_function("read_f32", |b| {
        b.iter(|| movie.read(0..100, black_box(&mut single)));
    });
    group.bench_function("open", |b| b.iter(|| Movie::open(&path)));
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
