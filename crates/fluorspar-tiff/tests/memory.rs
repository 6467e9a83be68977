//! A scan of a file larger than the budget stays inside it. A test of its
//! own, since resident memory belongs to the whole process.
#![cfg(target_os = "linux")]

use fluorspar_movie::{Movie as _, MovieExt, MovieShape, MovieSink, PixelType};
use fluorspar_tiff::{Movie, OpenOptions, Writer, WriterOptions};

/// Resident bytes of mapped files.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("RssFile:")).unwrap();
    1024 * line
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
}

#[test]
fn a_scan_stays_inside_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.tif");
    let (frames, side) = (512, 512);
    let shape = MovieShape::new(frames, 1, side, side);
    let mut writer =
        Writer::create(&path, shape, PixelType::I16, &WriterOptions::default()).unwrap();
    for frame in 0..frames {
        writer.write(frame, &vec![1.0; side * side]).unwrap();
    }
    Box::new(writer).finish().unwrap();
    let budget = 16 << 20;
    let options = OpenOptions {
        resident: budget,
        ..OpenOptions::default()
    };
    let before = resident();
    let movie = Movie::open_with(&[path], &options).unwrap();
    let mut buffer = vec![0.0; side * side];
    let (mut most, mut sum) = (0, 0.0);
    for frame in 0..frames {
        let view = movie.view::<i16>(frame..frame + 1).unwrap();
        sum += view.iter().map(|&v| f64::from(v)).sum::<f64>();
        movie.read(frame..frame + 1, &mut buffer).unwrap();
        sum += buffer.iter().map(|&v| f64::from(v)).sum::<f64>();
        most = most.max(resident() - before);
    }
    assert_eq!(sum, 2.0 * (frames * side * side) as f64);
    // The file has 256 MiB; a frame and the system's reading ahead come on top.
    assert!(most < budget + (8 << 20), "{most} bytes were resident");
}
