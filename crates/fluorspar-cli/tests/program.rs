//! The program as its users meet it: exit codes, messages, whole artefacts.

mod common;

use std::fs;
use std::path::Path;

use common::{fluorspar, json, refused, said, small};
use fluorspar_movie::{Movie as _, MovieExt, MovieShape, MovieSink, PixelType};
use fluorspar_tiff::{Dialect, Writer, WriterOptions};

#[test]
fn bad_input_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let config = fs::read_to_string(folder.join("raw/experiment.toml")).unwrap();
    let trials = fs::read_to_string(folder.join("raw/session-02/trials.csv")).unwrap();
    let movie = folder.join("raw/session-02/movie.tif");
    let bytes = fs::read(&movie).unwrap();
    let run = ["run", "raw/experiment.toml", "--out", "out"];
    let second = "session-02";

    fs::write(&movie, &bytes[..bytes.len() / 2]).unwrap();
    refused(
        folder,
        &run,
        3,
        &["movie.tif", "truncated", "can be salvaged"],
    );
    let salvage = [
        "convert",
        "-q",
        "--salvage",
        "raw/session-02/movie.tif",
        "half.zarr",
    ];
    assert!(fluorspar(&salvage, folder).status.success());
    let info = json(&fluorspar(
        &["info", "--json", "half.zarr", "raw/session-01/movie.tif"],
        folder,
    ));
    let (half, whole) = (&info[0]["frames"], &info[1]["frames"]);
    assert!(
        half.as_u64() > Some(0) && half.as_u64() < whole.as_u64(),
        "{half} of {whole}"
    );
    fs::write(&movie, b"").unwrap();
    refused(folder, &run, 3, &["movie.tif", "too few"]);
    fs::write(&movie, b"this is not a movie, it is text").unwrap();
    refused(folder, &run, 3, &["movie.tif", "not a TIFF"]);
    fs::write(&movie, &bytes).unwrap();

    let table = folder.join("raw/session-02/trials.csv");
    fs::write(&table, trials.replace("onset_s", "onset")).unwrap();
    refused(folder, &run, 3, &[second, "onset_s"]);
    fs::write(&table, format!("{trials}99999,A,C,lick,1,hit\n")).unwrap();
    refused(
        folder,
        &run,
        3,
        &[second, "past the recording's end", "99999"],
    );
    fs::write(&table, trials.replace("odour1", "odor1")).unwrap();
    refused(folder, &run, 3, &[second, "odour1"]);
    fs::write(&table, &trials).unwrap();

    let toml = folder.join("raw/experiment.toml");
    fs::write(&toml, format!("{config}\n[segmnt]\n")).unwrap();
    refused(
        folder,
        &run,
        2,
        &["experiment.toml", "segmnt", "did you mean `segment`"],
    );
    fs::write(
        &toml,
        config.replace("session-02/movie.tif", "nowhere/*.tif"),
    )
    .unwrap();
    refused(folder, &run, 3, &["nowhere", "matches nothing"]);
    fs::write(&toml, &config).unwrap();
    assert!(
        !folder.join("out").exists(),
        "checks come before the first artefact"
    );

    fs::write(folder.join("occupied"), "a file").unwrap();
    let output = fluorspar(
        &["run", "raw/experiment.toml", "--out", "occupied/out"],
        folder,
    );
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("occupied"));
    refused(folder, &["run", "missing.toml"], 2, &["missing.toml"]);
    refused(folder, &["info", "missing.tif"], 3, &["missing.tif"]);
    refused(folder, &["frobnicate"], 2, &["frobnicate"]);
}

#[test]
fn movies_are_described_and_converted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let output = fluorspar(&["info", "--json", "raw/session-01/movie.tif"], folder);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let info: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(info[0]["height"], 64);
    assert_eq!(info[0]["pixel_type"], "int16");
    assert_eq!(info[0]["frame_rate"], 10.0);
    assert_eq!(info[0]["dialect"], "ScanImage");
    let both = [
        "convert",
        "-q",
        "raw/session-01/movie.tif",
        "raw/session-02/movie.tif",
        "both.zarr",
    ];
    assert!(fluorspar(&both, folder).status.success());
    let part = [
        "convert",
        "-q",
        "--frames",
        "0..10",
        "both.zarr",
        "part.tif",
    ];
    assert!(fluorspar(&part, folder).status.success());
    let output = fluorspar(&["info", "--json", "both.zarr", "part.tif"], folder);
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(info[1]["frames"], 10);
    assert_eq!(info[0]["frame_rate"], 10.0);
    refused(folder, &both, 2, &["exists already"]);
    refused(
        folder,
        &["convert", "part.tif", "x.avi"],
        2,
        &[".zarr or .tif"],
    );
}

/// Replaces a movie by what `change(frame, pixel, value)` makes of it.
fn rewrite(path: &Path, stored: PixelType, change: impl Fn(usize, usize, f32) -> f32) {
    let movie = fluorspar_tiff::Movie::open(path).unwrap();
    let shape = movie.shape();
    let frame_rate = movie.frame_rate();
    let mut pixels = movie.read_array(0..shape.frames).unwrap();
    for (frame, mut image) in pixels.outer_iter_mut().enumerate() {
        for (pixel, value) in image.iter_mut().enumerate() {
            *value = change(frame, pixel, *value);
        }
    }
    drop(movie);
    write(path, shape, stored, frame_rate, pixels.as_slice().unwrap());
}

fn write(path: &Path, shape: MovieShape, stored: PixelType, rate: Option<f64>, pixels: &[f32]) {
    let options = WriterOptions {
        frame_rate: rate,
        ..WriterOptions::default()
    };
    let mut writer = Writer::create(path, shape, stored, &options).unwrap();
    writer.write(0, pixels).unwrap();
    Box::new(writer).finish().unwrap();
}

#[test]
fn odd_recordings_give_a_report_with_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let movies = [1, 2].map(|k| folder.join(format!("raw/session-0{k}/movie.tif")));
    let sound = movies.each_ref().map(|path| fs::read(path).unwrap());
    let run = [
        "run",
        "raw/experiment.toml",
        "--out",
        "out",
        "--overwrite",
        "-q",
    ];
    let finishes = |what: &str| {
        let output = fluorspar(&run, folder);
        let message = said(&output);
        assert!(output.status.success(), "{what}: {message}");
        assert!(!message.contains("panicked"), "{what}: {message}");
        let report = fs::read_to_string(folder.join("out/report.html")).unwrap();
        let motion = fs::read_to_string(folder.join("out/session-02/motion.csv")).unwrap();
        assert!(!motion.contains("NaN") && !motion.contains("inf"), "{what}");
        (message, report)
    };

    rewrite(&movies[1], PixelType::I16, |_, _, _| 100.0);
    let (message, _) = finishes("a constant movie");
    assert!(message.contains("could not be registered"), "{message}");
    fs::write(&movies[1], &sound[1]).unwrap();

    // One frame is lost, one pixel is dead, a few values are not numbers.
    rewrite(&movies[1], PixelType::F32, |frame, pixel, value| {
        if frame == 40 || pixel == 77 || (frame * 4096 + pixel) % 9973 == 0 {
            f32::NAN
        } else {
            value
        }
    });
    finishes("NaN");
    fs::write(&movies[1], &sound[1]).unwrap();

    rewrite(&movies[1], PixelType::I16, |_, _, value| {
        value.max(300.0) * 200.0
    });
    finishes("saturated");
}

#[test]
fn movies_that_do_not_fit_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let run = ["run", "raw/experiment.toml", "--out", "out"];
    let toml = folder.join("raw/experiment.toml");
    let config = fs::read_to_string(&toml).unwrap();
    let odd = folder.join("raw/session-02/odd.tif");
    write(
        &odd,
        MovieShape::new(9, 1, 48, 64),
        PixelType::I16,
        Some(10.0),
        &vec![1.0; 9 * 48 * 64],
    );

    // Within a session.
    fs::write(
        &toml,
        config.replace("session-02/movie.tif", "session-02/*.tif"),
    )
    .unwrap();
    refused(folder, &run, 3, &["odd.tif", "48", "64"]);
    // Between sessions.
    fs::write(
        &toml,
        config.replace("session-02/movie.tif", "session-02/odd.tif"),
    )
    .unwrap();
    refused(
        folder,
        &run,
        3,
        &["odd.tif", "48 × 64", "session 1 is 64 × 64"],
    );
    // A session without frames, one without trials, one without files.
    let none = [
        "convert",
        "-q",
        "--frames",
        "0..0",
        "raw/session-02/movie.tif",
        "none.zarr",
    ];
    refused(folder, &none, 2, &["0..0"]);
    fs::write(&toml, &config).unwrap();
    let table = folder.join("raw/session-02/trials.csv");
    let trials = fs::read_to_string(&table).unwrap();
    fs::write(&table, trials.lines().next().unwrap()).unwrap();
    refused(folder, &run, 3, &["session-02", "trials.csv", "no trials"]);
    fs::write(&table, &trials).unwrap();
    fs::create_dir(folder.join("raw/session-03")).unwrap();
    fs::write(&toml, config.replace("session-02/movie.tif", "session-03")).unwrap();
    refused(folder, &run, 3, &["session-03", "matches nothing"]);
    assert!(!folder.join("out").exists());
}

/// Through every format and back: the same digest, and the same words about it.
#[test]
fn a_movie_is_the_same_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let digest = |from: &str, to: &str, more: &[&str]| {
        let mut arguments = vec!["convert", "-q", "--json", from, to];
        arguments.extend(more);
        let converted = json(&fluorspar(&arguments, folder));
        assert_eq!(converted["verified"], true);
        converted["blake3"].as_str().unwrap().to_owned()
    };
    let first = digest(
        "raw/session-01/movie.tif",
        "a.zarr",
        &["--pixel-size", "1.5"],
    );
    let chain = [
        (
            "a.zarr",
            "b.tif",
            ["--compression", "deflate", "--dialect", "ome"],
        ),
        (
            "b.tif",
            "c.zarr",
            ["--compression", "zstd", "--dialect", "ome"],
        ),
        (
            "c.zarr",
            "d.tif",
            ["--compression", "lzw", "--dialect", "imagej"],
        ),
        (
            "d.tif",
            "e.tif",
            ["--compression", "none", "--dialect", "scanimage"],
        ),
    ];
    for (from, to, more) in chain {
        assert_eq!(digest(from, to, &more), first, "{to}");
    }
    let info = json(&fluorspar(
        &["info", "--json", "a.zarr", "b.tif", "e.tif"],
        folder,
    ));
    assert_eq!(info[0]["pixel_size_um"], 1.5);
    assert_eq!(
        (&info[1]["codec"], &info[1]["dialect"]),
        (&"deflate".into(), &"Ome".into())
    );
    assert_eq!(info[2]["pages"], "equal distances");
    assert_eq!(info[2]["frame_rate"], 10.0);
    for arguments in [
        ["convert", "a.zarr", "x.tif", "--compression", "blosc"],
        ["convert", "a.zarr", "x.zarr", "--dialect", "scanimage"],
    ] {
        refused(
            folder,
            &arguments,
            2,
            &["does not go with this output", "use "],
        );
    }
    let resume = ["convert", "a.zarr", "x.tif", "--resume"];
    refused(folder, &resume, 2, &["only a Zarr output"]);
    // A damaged output is no output.
    assert!(!folder.join("x.tif").exists() && !folder.join("x.zarr").exists());
}

#[test]
fn channels_and_planes_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Three planes; frame t, plane z has the value 10 t + z.
    let shape = MovieShape::new(4, 3, 8, 8);
    let pixels: Vec<f32> = (0..12)
        .flat_map(|image| [(10 * (image / 3) + image % 3) as f32; 64])
        .collect();
    for (name, dialect) in [
        ("i.tif", Dialect::ImageJ),
        ("o.tif", Dialect::Ome),
        ("s.tif", Dialect::ScanImage),
    ] {
        let options = WriterOptions {
            frame_rate: Some(5.0),
            dialect,
            ..WriterOptions::default()
        };
        let mut writer =
            Writer::create(&folder.join(name), shape, PixelType::I16, &options).unwrap();
        writer.write(0, &pixels).unwrap();
        Box::new(writer).finish().unwrap();
        let info = json(&fluorspar(&["info", "--json", name], folder));
        assert_eq!(
            (&info[0]["frames"], &info[0]["frame_rate"]),
            (&12.into(), &5.0.into()),
            "{name}"
        );
        assert_eq!(info[0]["interleaved"]["planes"], 3, "{name}");
        let out = format!("{name}.zarr");
        json(&fluorspar(
            &["convert", "-q", "--json", "--channel", "0", name, &out],
            folder,
        ));
        let info = json(&fluorspar(&["info", "--json", &out], folder));
        assert_eq!(
            (&info[0]["frames"], &info[0]["planes"]),
            (&4.into(), &3.into()),
            "{name}"
        );
        refused(
            folder,
            &["convert", "--channel", "1", name, "x.zarr"],
            3,
            &["channel 1"],
        );
    }
    // Volumes go back into any dialect.
    json(&fluorspar(
        &[
            "convert",
            "-q",
            "--json",
            "s.tif.zarr",
            "back.tif",
            "--dialect",
            "ome",
        ],
        folder,
    ));
    let info = json(&fluorspar(&["info", "--json", "back.tif"], folder));
    assert_eq!(info[0]["interleaved"]["planes"], 3);
}
