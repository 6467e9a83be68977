//! `fluorspar denoise` as its users meet it.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{files, fluorspar, json, refused, said};
use fluorspar_movie::{MovieExt, MovieShape, MovieSink, PixelType};
use fluorspar_zarr::{GroupReader, MovieReader, MovieWriter};

const SHAPE: MovieShape = MovieShape::new(300, 1, 48, 64);
const NOISE: f32 = 10.0;

/// A number between 0 and 1 that is the same in every run.
fn uniform(index: usize) -> f32 {
    let mut hash = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash ^ (hash >> 31)) >> 40) as f32 / (1 << 24) as f32
}

/// What the pixels show without noise: two cells that rise and decay.
fn clean() -> Vec<f32> {
    let mut out = vec![500.0; SHAPE.frames * SHAPE.frame_len()];
    for (k, &(cy, cx)) in [(14.0_f32, 18.0_f32), (30.0, 45.0)].iter().enumerate() {
        let mut activity = 0.0;
        for t in 0..SHAPE.frames {
            activity *= 0.93;
            if uniform(7 + t + k * 1000) < 0.05 {
                activity += 1.0;
            }
            for pixel in 0..SHAPE.frame_len() {
                let (y, x) = ((pixel / SHAPE.width) as f32, (pixel % SHAPE.width) as f32);
                let square = (y - cy).powi(2) + (x - cx).powi(2);
                out[t * SHAPE.frame_len() + pixel] += 80.0 * activity * (-square / 18.0).exp();
            }
        }
    }
    out
}

/// The same with noise of standard deviation [`NOISE`], rounded as stored.
fn noisy() -> Vec<f32> {
    let mut out = clean();
    for (index, value) in out.iter_mut().enumerate() {
        // Six uniform numbers are nearly normal, of variance one half.
        let sum: f32 = (0..6).map(|k| uniform(6 * index + k + 9999)).sum();
        *value = (*value + NOISE * (sum - 3.0) * 2.0_f32.sqrt()).round();
    }
    out
}

fn write(folder: &Path, name: &str, shape: MovieShape, rate: Option<f64>, pixels: &[f32]) {
    let mut writer = MovieWriter::create(folder.join(name), shape, PixelType::I16, rate).unwrap();
    writer.write(0, pixels).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_movie_becomes_a_smaller_one_with_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "movie.zarr", SHAPE, Some(10.0), &noisy());
    let mut arguments = vec!["denoise", "-q", "--json", "movie.zarr", "one"];
    let said = json(&fluorspar(&arguments, folder));
    assert_eq!(said["lowrank"], "one/lowrank.zarr");
    assert_eq!((&said["frames"], &said["planes"]), (&300.into(), &1.into()));
    assert!(said["components"].as_u64().unwrap() >= 2, "{said}");
    assert_eq!(said["input_bytes"], 300 * 48 * 64 * 2);
    assert!(said["compression"].as_f64().unwrap() > 2.0, "{said}");
    let noise = said["median_noise"].as_f64().unwrap() / f64::from(NOISE);
    assert!((noise - 1.0).abs() < 0.1, "{said}");
    assert!(
        said["verdict"].as_str().unwrap().contains("is noise"),
        "{said}"
    );
    assert!(said["frames_per_second"].as_f64().unwrap() > 0.0);

    // The record says the same, and whence it comes; the page shows it.
    let record = fs::read_to_string(folder.join("one/lowrank.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["verdict"], said["verdict"]);
    assert_eq!(record["input"]["files"][0], "movie.zarr");
    assert_eq!(record["parameters"]["block_planes"], 1);
    assert_eq!(record["fluorspar"], env!("CARGO_PKG_VERSION"));
    let ratio = record["residual"]["ratio"].as_f64().unwrap();
    assert!((0.9..1.05).contains(&ratio), "{record}");
    assert_eq!(record["residual"]["tiles"], 12);
    let page = fs::read_to_string(folder.join("one/lowrank.html")).unwrap();
    for words in [
        "Autocorrelation of what is left",
        "Correlation from frame to frame",
        "Noise",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let group = GroupReader::open(folder.join("one/lowrank.zarr")).unwrap();
    assert_eq!(group.attribute("input"), Some(record["input"].clone()));
    assert_eq!(group.attribute("frame_rate"), Some(10.0.into()));
    let map = group.array::<f32>("residual_temporal_z").unwrap();
    assert_eq!(map.shape(), [1, 3, 4]);

    // The same bytes at any thread count; into a file of one's own name.
    arguments = vec![
        "denoise",
        "-q",
        "movie.zarr",
        "two/lowrank.zarr",
        "--threads",
        "1",
    ];
    let output = fluorspar(&arguments, folder);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", crate::said(&output));
    for words in [
        "What was removed is noise",
        "times smaller",
        "frames/s",
        "median",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    assert_eq!(text.matches("two/lowrank.").count(), 3, "{text}");
    assert!(
        files(&folder.join("one")) == files(&folder.join("two")),
        "threads change bytes"
    );

    // It is a movie, close to the truth.
    let info = json(&fluorspar(&["info", "--json", "one/lowrank.zarr"], folder));
    assert_eq!(info[0]["format"], "low-rank movie (Zarr)");
    assert_eq!(info[0]["rank"], said["components"]);
    assert_eq!(
        (&info[0]["frames"], &info[0]["width"]),
        (&300.into(), &64.into())
    );
    let convert = ["convert", "-q", "one/lowrank.zarr", "clean.zarr"];
    assert!(fluorspar(&convert, folder).status.success());
    let made = MovieReader::open(folder.join("clean.zarr")).unwrap();
    let made = made.read_array(0..SHAPE.frames).unwrap();
    let truth = clean();
    let squares = made
        .iter()
        .zip(&truth)
        .map(|(a, b)| f64::from(a - b).powi(2));
    let error = (squares.sum::<f64>() / truth.len() as f64).sqrt();
    assert!(error < 0.35 * f64::from(NOISE), "{error}");

    refused(
        folder,
        &["denoise", "movie.zarr", "one"],
        2,
        &["one/lowrank.zarr", "exists already"],
    );
}

#[test]
fn what_is_asked_for_reaches_the_artefact() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "movie.zarr", SHAPE, None, &noisy());
    let arguments = [
        "denoise",
        "-q",
        "--json",
        "movie.zarr",
        "out.zarr",
        "--block",
        "16",
        "--max-rank",
        "1",
        "--false-acceptance",
        "0.01",
        "--seed",
        "5",
        "--frames",
        "20..120",
        "--memory",
        "100MB",
    ];
    let said = json(&fluorspar(&arguments, folder));
    assert_eq!(
        (&said["lowrank"], &said["frames"]),
        (&"out.zarr".into(), &100.into())
    );
    assert_eq!(said["components_per_block"], 1);
    let group = GroupReader::open(folder.join("out.zarr")).unwrap();
    let parameters = group.attribute("parameters").unwrap();
    assert_eq!(parameters["block_side"], 16);
    assert_eq!(parameters["max_rank"], 1);
    assert_eq!(parameters["false_acceptance"], 0.01);
    assert_eq!(parameters["seed"], 5);
    assert_eq!(group.attribute("input").unwrap()["frames"][1], 120);
    assert_eq!(group.attribute("frame_rate"), None);
    assert!(folder.join("out.json").is_file() && folder.join("out.html").is_file());
    let help = fluorspar(&["denoise", "--help"], folder);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for words in [
        "signal was thrown away",
        "--block-planes",
        "--false-acceptance",
        "default: 32",
    ] {
        assert!(help.contains(words), "{words:?} is not in {help}");
    }
}

#[test]
fn planes_are_denoised_together() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The two halves of the movie's time as two planes.
    let shape = MovieShape::new(150, 2, SHAPE.height, SHAPE.width);
    let (pixels, half) = (noisy(), 150 * SHAPE.frame_len());
    let mut volumes = Vec::new();
    for (first, second) in pixels[..half]
        .chunks_exact(SHAPE.frame_len())
        .zip(pixels[half..].chunks_exact(SHAPE.frame_len()))
    {
        volumes.extend_from_slice(first);
        volumes.extend_from_slice(second);
    }
    write(folder, "v.zarr", shape, Some(5.0), &volumes);
    for planes in ["1", "2"] {
        let out = format!("out-{planes}");
        let arguments = [
            "denoise",
            "-q",
            "--json",
            "v.zarr",
            &out,
            "--block-planes",
            planes,
        ];
        let said = json(&fluorspar(&arguments, folder));
        assert_eq!((&said["frames"], &said["planes"]), (&150.into(), &2.into()));
        assert!(
            said["verdict"].as_str().unwrap().contains("is noise"),
            "{said}"
        );
        let page = fs::read_to_string(folder.join(out).join("lowrank.html")).unwrap();
        assert!(page.contains("Plane 1, noise"));
    }
    let info = json(&fluorspar(
        &["info", "--json", "out-2/lowrank.zarr"],
        folder,
    ));
    assert_eq!(info[0]["planes"], 2);
}

#[test]
fn what_cannot_be_denoised_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let frames = |n: usize| MovieShape { frames: n, ..SHAPE };
    let few = vec![3.0; 4 * SHAPE.frame_len()];
    write(folder, "few.zarr", frames(4), None, &few);
    write(
        folder,
        "movie.zarr",
        frames(20),
        None,
        &noisy()[..20 * SHAPE.frame_len()],
    );
    fs::write(folder.join("text.tif"), "this is not a movie").unwrap();
    let before = fs::read_dir(folder).unwrap().count();
    refused(
        folder,
        &["denoise", "none.tif", "out"],
        3,
        &["none.tif", "no such movie"],
    );
    refused(
        folder,
        &["denoise", "text.tif", "out"],
        3,
        &["text.tif", "not a TIFF"],
    );
    refused(
        folder,
        &["denoise", "few.zarr", "out"],
        3,
        &["few.zarr", "too few"],
    );
    refused(
        folder,
        &["denoise", "few.zarr", "out/l.zarr"],
        3,
        &["few.zarr", "too few"],
    );
    for (option, value, words) in [
        ("--block", "2", "between 4 and 512"),
        ("--false-acceptance", "0.9", "between 0 and 0.5"),
        ("--frames", "10..900", "900"),
    ] {
        refused(
            folder,
            &["denoise", "movie.zarr", "out", option, value],
            2,
            &[words],
        );
    }
    refused(folder, &["denoise", "movie.zarr"], 2, &["OUT"]);
    assert_eq!(fs::read_dir(folder).unwrap().count(), before);

    // A damaged movie: its chunks are gone.
    for (path, _) in files(&folder.join("movie.zarr")) {
        if !path.ends_with("zarr.json") {
            fs::write(folder.join("movie.zarr").join(path), "no chunk").unwrap();
        }
    }
    refused(
        folder,
        &["denoise", "movie.zarr", "out"],
        3,
        &["movie.zarr"],
    );
    assert_eq!(fs::read_dir(folder).unwrap().count(), before);
}

/// A limit on the size of files stands for a full disk.
#[cfg(unix)]
#[test]
fn a_failed_write_leaves_no_half_artefact() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "movie.zarr", SHAPE, None, &noisy());
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_fluorspar"))
        .args(["denoise", "-q", "movie.zarr", "out"])
        .current_dir(folder)
        .output()
        .unwrap();
    let message = said(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("lowrank.zarr"), "{message}");
    assert!(!folder.join("out").exists(), "{message}");
}
