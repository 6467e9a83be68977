//! `fluorspar segment` and `fluorspar deconvolve` as their users meet them.

mod common;

use std::fs;
use std::path::Path;

use common::{fluorspar, json, refused};
use fluorspar_movie::{MovieShape, MovieSink, PixelType};
use fluorspar_zarr::{GroupReader, MovieWriter};
use ndarray::{Array2, Ix1, Ix2};
use ndarray_npy::{read_npy, write_npy};

const SHAPE: MovieShape = MovieShape::new(400, 1, 48, 64);
const RATE: f64 = 10.0;
/// Row and column of the two cells.
const CELLS: [(f32, f32); 2] = [(14.0, 18.0), (32.0, 45.0)];

/// A number between 0 and 1 that is the same in every run.
fn uniform(index: usize) -> f32 {
    let mut hash = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash ^ (hash >> 31)) >> 40) as f32 / (1 << 24) as f32
}

/// How high the calcium of a cell stands.
fn calcium(cell: usize) -> Vec<f32> {
    let mut height = 0.0;
    (0..SHAPE.frames)
        .map(|t| {
            height *= (-1.0 / (0.8 * RATE)).exp() as f32;
            height += f32::from(u8::from(uniform(7 + t + cell * 1000) < 0.03));
            height
        })
        .collect()
}

/// A registered movie of two discs of 11 pixels.
fn movie(path: &Path, frame_rate: Option<f64>) {
    let activity = [calcium(0), calcium(1)];
    let mut pixels = vec![0.0_f32; SHAPE.frames * SHAPE.frame_len()];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let (t, place) = (index / SHAPE.frame_len(), index % SHAPE.frame_len());
        let (y, x) = ((place / SHAPE.width) as f32, (place % SHAPE.width) as f32);
        let noise: f32 = (0..4).map(|k| uniform(index * 4 + k) - 0.5).sum();
        *pixel = 300.0 + 20.0 * noise;
        for (&(cy, cx), activity) in CELLS.iter().zip(&activity) {
            if (y - cy).hypot(x - cx) < 5.5 {
                *pixel += 100.0 + 60.0 * activity[t];
            }
        }
    }
    write(path, SHAPE, frame_rate, &pixels);
}

fn write(path: &Path, shape: MovieShape, rate: Option<f64>, pixels: &[f32]) {
    let mut writer = MovieWriter::create(path, shape, PixelType::F32, rate).unwrap();
    writer.write(0, pixels).unwrap();
    writer.finish().unwrap();
}

fn vector(group: &GroupReader, name: &str) -> Vec<f32> {
    let array = group.array::<f32>(name).unwrap();
    array.into_dimensionality::<Ix1>().unwrap().to_vec()
}

fn matrix(group: &GroupReader, name: &str) -> Array2<f32> {
    let array = group.array::<f32>(name).unwrap();
    array.into_dimensionality::<Ix2>().unwrap()
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean = |v: &[f32]| v.iter().map(|&v| f64::from(v)).sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[f32], mx: f64, y: &[f32], my: f64| -> f64 {
        let pairs = x.iter().zip(y);
        pairs
            .map(|(&x, &y)| (f64::from(x) - mx) * (f64::from(y) - my))
            .sum()
    };
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

#[test]
fn cells_are_found_measured_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    movie(&here.join("m.zarr"), Some(RATE));
    let done = json(&fluorspar(&["segment", "m.zarr", "out", "--json"], here));
    assert_eq!(done["cells"], 2, "{done}");
    let group = GroupReader::open(here.join("out/rois.zarr")).unwrap();
    let is_cell = group.array::<u8>("is_cell").unwrap();
    let (y, x) = (vector(&group, "y"), vector(&group, "x"));
    let (dff, events) = (matrix(&group, "dff"), matrix(&group, "events"));
    let (f, around) = (matrix(&group, "F"), matrix(&group, "Fneu"));
    for (k, &(cy, cx)) in CELLS.iter().enumerate() {
        let roi = (0..y.len())
            .find(|&roi| is_cell[[roi]] == 1 && (y[roi] - cy).hypot(x[roi] - cx) < 1.0)
            .unwrap();
        let truth = calcium(k);
        assert!(correlation(&dff.row(roi).to_vec(), &truth) > 0.95);
        assert!(correlation(&events.row(roi).to_vec(), &truth) > 0.3);
        // 400 counts at rest in the cell, 300 around it.
        let low = f.row(roi).iter().copied().fold(f32::INFINITY, f32::min);
        assert!((low - 400.0).abs() < 15.0, "{low}");
        assert!((around.row(roi).mean().unwrap() - 300.0).abs() < 3.0);
    }
    // One row per ROI, every number of it also an array.
    let table = fs::read_to_string(here.join("out/rois.csv")).unwrap();
    assert_eq!(table.lines().count(), y.len() + 1);
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    for name in ["probability", "snr", "neuropil_coefficient", "detectable"] {
        assert!(header.contains(&name) && !vector(&group, name).is_empty());
    }
    let page = fs::read_to_string(here.join("out/rois.html")).unwrap();
    assert!(page.contains("2 ROIs count as cells"));

    // The same bytes at one thread, from the denoised movie that was left.
    let lowrank = ["--lowrank", "out/lowrank.zarr", "--threads", "1"];
    let arguments = [&["segment", "m.zarr", "again"][..], &lowrank].concat();
    json(&fluorspar(&[&arguments[..], &["--json"]].concat(), here));
    let again = GroupReader::open(here.join("again/rois.zarr")).unwrap();
    assert_eq!(matrix(&again, "dff"), dff);
    assert_eq!(matrix(&again, "events"), events);
    assert_eq!(
        fs::read_to_string(here.join("again/rois.csv")).unwrap(),
        table
    );
}

#[test]
fn known_cells_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    movie(&here.join("m.zarr"), Some(RATE));
    // The second cell, drawn by hand, and a corner that never does anything.
    let mut labels = vec![0.0_f32; SHAPE.frame_len()];
    for (pixel, label) in labels.iter_mut().enumerate() {
        let (y, x) = ((pixel / SHAPE.width) as f32, (pixel % SHAPE.width) as f32);
        if (y - CELLS[1].0).hypot(x - CELLS[1].1) < 5.5 {
            *label = 1.0;
        } else if y < 4.0 && x > 58.0 {
            *label = 2.0;
        }
    }
    let one = MovieShape::new(1, 1, SHAPE.height, SHAPE.width);
    write(&here.join("masks.zarr"), one, None, &labels);
    let arguments = [
        "segment",
        "m.zarr",
        "out",
        "--masks",
        "masks.zarr",
        "--json",
    ];
    let done = json(&fluorspar(&arguments, here));
    assert_eq!(
        (&done["given"], &done["cells"]),
        (&2.into(), &3.into()),
        "{done}"
    );
    let group = GroupReader::open(here.join("out/rois.zarr")).unwrap();
    let active = vector(&group, "active");
    assert_eq!(active[..2], [1.0, 0.0]);
    let table = fs::read_to_string(here.join("out/rois.csv")).unwrap();
    assert!(table.lines().nth(2).unwrap().contains("silent"));
    // Footprints found before are known just so.
    let known = [
        "segment",
        "m.zarr",
        "again",
        "--masks",
        "out/rois.zarr",
        "--json",
    ];
    let again = json(&fluorspar(&known, here));
    assert_eq!(again["given"], done["cells"], "{again}");
    let small = here.join("small.npz");
    let mut file = ndarray_npy::NpzWriter::new(fs::File::create(&small).unwrap());
    file.add_array("indptr", &ndarray::arr1(&[0_i64, 2]))
        .unwrap();
    file.add_array("indices", &ndarray::arr1(&[3_i64, 4]))
        .unwrap();
    file.add_array("weights", &ndarray::arr1(&[1.0_f32, 0.5]))
        .unwrap();
    file.add_array("shape", &ndarray::arr1(&[8_i64, 8]))
        .unwrap();
    file.finish().unwrap();
    for (name, says) in [
        ("m.zarr", "labels are whole numbers"),
        ("small.npz", "the movie has"),
        ("none.tif", "no such"),
    ] {
        // Before anything is denoised.
        let arguments = ["segment", "m.zarr", "bad", "--masks", name];
        refused(here, &arguments, 3, &[name, says]);
        assert!(!here.join("bad").exists());
    }
}

#[test]
fn what_cannot_be_segmented_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    movie(&here.join("m.zarr"), None);
    refused(here, &["segment", "m.zarr", "out"], 2, &["--frame-rate"]);
    refused(here, &["segment", "none.zarr", "out"], 3, &["none.zarr"]);
    refused(
        here,
        &["segment", "m.zarr", "out", "--diameter", "0"],
        2,
        &["positive"],
    );
    fs::create_dir_all(here.join("taken/rois.zarr")).unwrap();
    let arguments = ["segment", "m.zarr", "taken", "--frame-rate", "10"];
    refused(here, &arguments, 2, &["exists already"]);
    let arguments = [
        "segment",
        "m.zarr",
        "out",
        "--frame-rate",
        "10",
        "--lowrank",
        "m.zarr",
    ];
    refused(here, &arguments, 3, &["m.zarr"]);
    assert!(!here.join("out").exists());
}

#[test]
fn traces_become_events() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let traces = Array2::from_shape_fn((3, SHAPE.frames), |(roi, t)| match roi {
        2 => 0.25,
        _ => calcium(roi)[t] + 0.1 * (uniform(t * 3 + roi) - 0.5),
    });
    write_npy(here.join("dff.npy"), &traces).unwrap();
    let rate = ["--frame-rate", "10"];
    let run = |out: &str, more: &[&str]| {
        let arguments = [&["deconvolve", "dff.npy", out, "--json"][..], &rate, more].concat();
        json(&fluorspar(&arguments, here))
    };
    let done = run("events.npy", &[]);
    assert_eq!(
        (&done["traces"], &done["without_events"]),
        (&3.into(), &1.into())
    );
    let events: Array2<f32> = read_npy(here.join("events.npy")).unwrap();
    assert!(events.iter().all(|&v| v >= 0.0) && events.row(2).iter().all(|&v| v == 0.0));
    let spikes: Vec<f32> = (0..SHAPE.frames)
        .map(|t| f32::from(u8::from(uniform(7 + t) < 0.03)))
        .collect();
    assert!(correlation(&events.row(0).to_vec(), &spikes) > 0.9);

    let done = run("events.zarr", &["--tau", "0.8"]);
    assert!((done["median_decay_s"].as_f64().unwrap() - 0.8).abs() < 1e-4);
    let group = GroupReader::open(here.join("events.zarr")).unwrap();
    assert_eq!(matrix(&group, "events").dim(), (3, SHAPE.frames));
    // Twice the traces as f64 give twice the events.
    write_npy(here.join("dff.npy"), &traces.mapv(|v| 2.0 * f64::from(v))).unwrap();
    run("twice.npy", &[]);
    let twice: Array2<f32> = read_npy(here.join("twice.npy")).unwrap();
    for (&a, &b) in twice.iter().zip(&events) {
        assert!((a - 2.0 * b).abs() < 1e-3, "{a} {b}");
    }

    refused(
        here,
        &["deconvolve", "dff.npy", "x.npy"],
        2,
        &["--frame-rate"],
    );
    refused(here, &["deconvolve", "none.npy", "x.npy"], 3, &["none.npy"]);
    let long = [
        &["deconvolve", "dff.npy", "x.npy", "--tau", "1000"][..],
        &rate,
    ]
    .concat();
    refused(here, &long, 3, &["dff.npy"]);
    let short = [
        &["deconvolve", "dff.npy", "x.npy", "--tau", "0.0001"][..],
        &rate,
    ]
    .concat();
    refused(here, &short, 2, &["tau_s"]);
    fs::write(here.join("broken.npy"), b"\x93NUMPY\x01\x00oops").unwrap();
    let broken = [&["deconvolve", "broken.npy", "x.npy"][..], &rate].concat();
    refused(here, &broken, 3, &["broken.npy"]);
    let again = [&["deconvolve", "dff.npy", "events.npy"][..], &rate].concat();
    refused(here, &again, 2, &["exists already"]);
    assert!(!here.join("x.npy").exists());
}
