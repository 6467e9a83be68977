//! `fluorspar track`: what it takes for sessions, and what it refuses.

mod common;
#[path = "common/sessions.rs"]
mod sessions;

use std::fs;

use common::{fluorspar, json, refused, said};
use fluorspar_movie::{MovieShape, MovieSink, PixelType};
use fluorspar_zarr::{GroupWriter, MovieWriter};
use ndarray::{Array1, Array2, Array3, Axis};
use ndarray_npy::NpzWriter;
use sessions::{SIDE, THREE, disc, moved, rois, three_sessions};

#[test]
fn labels_and_folders_are_sessions_too() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    let mut labels = Array2::<u16>::zeros((SIDE, SIDE));
    for (k, &cell) in moved((2, 2)).iter().enumerate() {
        for pixel in disc(cell) {
            labels[[pixel / SIDE, pixel % SIDE]] = k as u16 + 1;
        }
    }
    let image = labels.mapv(f32::from);
    let shape = MovieShape::new(1, 1, SIDE, SIDE);
    let path = here.join("labels.zarr");
    let mut writer = MovieWriter::create(path, shape, PixelType::F32, None).unwrap();
    writer.write(0, image.as_slice().unwrap()).unwrap();
    writer.finish().unwrap();
    assert!(
        fluorspar(&["convert", "labels.zarr", "labels.tif"], here)
            .status
            .success()
    );
    for name in ["labels.tif", "labels.zarr"] {
        let out = format!("out-{name}");
        let done = json(&fluorspar(&["track", "a.npz", name, &out, "--json"], here));
        assert_eq!(done["sessions"][1]["rois"], 40, "{done}");
        assert_eq!(done["sessions"][1]["mean_image"], false);
    }
}

#[test]
fn folders_of_the_program_itself_are_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let image = |path: &str, name: &str, planes: bool| {
        let mut group = GroupWriter::create(here.join(path)).unwrap();
        let image = Array2::<f32>::ones((SIDE, SIDE));
        if planes {
            let image = image.insert_axis(Axis(0));
            group.array(name, &image, &["plane", "y", "x"]).unwrap();
        } else {
            group.array(name, &image, &["y", "x"]).unwrap();
        }
        group.finish().unwrap();
    };
    for day in ["1", "2", "3"] {
        fs::create_dir(here.join(day)).unwrap();
        rois(&here.join(day).join("rois.zarr"), &moved((1, 2)));
    }
    image("1/motion.zarr", "mean_image", false);
    image("2/lowrank.zarr", "mean", true);
    let run = [
        "track",
        "1",
        "2/rois.zarr",
        "3",
        "out",
        "--json",
        "--pixel-size=1,1.5,2",
    ];
    let done = json(&fluorspar(&run, here));
    let sessions = &done["sessions"];
    for (session, seen) in [true, true, false].into_iter().enumerate() {
        let session = &sessions[session];
        assert_eq!(
            (&session["rois"], &session["all_rois"]),
            (&39.into(), &40.into())
        );
        assert_eq!(session["mean_image"], seen, "{done}");
    }
    let all = json(&fluorspar(
        &["track", "1", "3", "all", "--json", "--all-rois"],
        here,
    ));
    assert_eq!(all["sessions"][0]["rois"], 40);
    // A damaged array is named.
    fs::write(here.join("2/rois.zarr/is_cell/c/0"), "damage").unwrap();
    refused(here, &["track", "1", "2", "bad"], 3, &["2/rois.zarr"]);
    assert!(!here.join("bad").exists());
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    let bad = |name: &str, says: &[&str]| {
        refused(
            here,
            &["track", "a.npz", name, "bad"],
            3,
            &[&[name][..], says].concat(),
        );
        assert!(!here.join("bad").exists());
    };
    bad("none.npz", &["no such file"]);
    fs::create_dir(here.join("empty")).unwrap();
    bad("empty", &["holds no ROIs"]);
    let whole = fs::read(here.join("b.npz")).unwrap();
    for (name, bytes) in [
        ("cut.npz", whole[..whole.len() / 2].to_vec()),
        ("zero.npz", Vec::new()),
        (
            "random.npz",
            (0..4000_u32)
                .map(|k| (k.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect(),
        ),
        (
            "random.tif",
            (0..4000_u32)
                .map(|k| (k.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect(),
        ),
    ] {
        fs::write(here.join(name), bytes).unwrap();
        bad(name, &[]);
    }
    fs::write(here.join("words.txt"), "no image").unwrap();
    bad("words.txt", &[]);
    let write = |name: &str, indptr: Vec<i64>, indices: Vec<i64>, image: Option<Array3<f32>>| {
        let mut out = NpzWriter::new(fs::File::create(here.join(name)).unwrap());
        out.add_array("indptr", &Array1::from(indptr)).unwrap();
        out.add_array("weights", &Array1::<f32>::ones(indices.len()))
            .unwrap();
        out.add_array("indices", &Array1::from(indices)).unwrap();
        out.add_array("shape", &Array1::from(vec![8_i64, 8]))
            .unwrap();
        if let Some(image) = image {
            out.add_array("mean_image", &image).unwrap();
        }
        out.finish().unwrap();
    };
    write("far.npz", vec![0, 2], vec![3, 64], None);
    bad("far.npz", &["ROI 0", "outside the image"]);
    write("order.npz", vec![0, 2, 1], vec![3, 4], None);
    bad("order.npz", &["indptr"]);
    write("negative.npz", vec![0, 1], vec![-1], None);
    bad("negative.npz", &["indices holds -1"]);
    write(
        "image.npz",
        vec![0, 1],
        vec![5],
        Some(Array3::zeros((1, 8, 9))),
    );
    bad("image.npz", &["mean image", "8"]);
    fs::create_dir(here.join("plane0")).unwrap();
    fs::write(here.join("plane0/stat.npy"), b"\x93NUMPY\x01\x00oops").unwrap();
    bad("plane0", &["stat.npy"]);

    for (option, value) in [
        ("--precision", "1.5"),
        ("--reference", "3"),
        ("--max-rotation", "90"),
        ("--max-shift", "0"),
        ("--max-distance", "-1"),
        ("--pixel-size", "1,2"),
        ("--pixel-size", "zero"),
    ] {
        let value = format!("{option}={value}");
        let output = fluorspar(&[&THREE[..4], &["bad", &value]].concat(), here);
        assert_eq!(output.status.code(), Some(2), "{value}: {}", said(&output));
        assert!(!here.join("bad").exists());
    }
    refused(here, &["track", "a.npz"], 2, &[]);
    // A folder that was there stays, without anything in it.
    refused(
        here,
        &["track", "a.npz", "far.npz", "empty"],
        3,
        &["far.npz"],
    );
    assert_eq!(fs::read_dir(here.join("empty")).unwrap().count(), 0);
}

/// A limit on the size of files stands for a full disk.
#[cfg(unix)]
#[test]
fn a_failed_write_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_fluorspar"))
        .args(THREE)
        .current_dir(here)
        .output()
        .unwrap();
    let message = said(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("large"), "{message}");
    assert!(!here.join("out").exists());
}
