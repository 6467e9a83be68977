//! Planes recorded together, from raw volumes to the report.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{files, fluorspar, json, refused, said};
use fluorspar_movie::{Movie, MovieShape};
use fluorspar_zarr::{MovieReader, MovieWriter};

const PLANES: usize = 3;

/// Two sessions of three planes, each plane a simulated field of its own, all with the trials of
/// the first.
fn volumes(folder: &Path) {
    for plane in 0..PLANES {
        let spec = format!(
            "[experiment]\nsessions = 2\ntrials = 8\ncells = 25\nheight = 64\nwidth = 64\nseed = {}\n",
            plane + 1
        );
        fs::write(folder.join("spec.toml"), spec).unwrap();
        let out = format!("plane-{plane}");
        let output = fluorspar(&["simulate", "spec.toml", &out, "-q"], folder);
        assert!(output.status.success(), "{}", said(&output));
    }
    fs::create_dir(folder.join("raw")).unwrap();
    let config = fs::read_to_string(folder.join("plane-0/experiment.toml")).unwrap();
    let config = config.replace("movie.tif", "movie.zarr");
    let config = config.replace(
        "[experiment]\n",
        "[experiment]\nplanes = 3\nframe_rate = 10\n",
    );
    fs::write(folder.join("raw/experiment.toml"), config).unwrap();
    for session in ["session-01", "session-02"] {
        let movies: Vec<fluorspar_tiff::Movie> = (0..PLANES)
            .map(|plane| {
                let path = folder.join(format!("plane-{plane}/{session}/movie.tif"));
                fluorspar_tiff::Movie::open(&path).unwrap()
            })
            .collect();
        let frames = movies
            .iter()
            .map(|movie| movie.shape().frames)
            .min()
            .unwrap();
        let one = movies[0].shape();
        let shape = MovieShape::new(frames, PLANES, one.height, one.width);
        let target = folder.join("raw").join(session);
        fs::create_dir(&target).unwrap();
        fs::copy(
            folder.join(format!("plane-0/{session}/trials.csv")),
            target.join("trials.csv"),
        )
        .unwrap();
        let path = target.join("movie.zarr");
        let pixel_type = movies[0].pixel_type();
        let mut writer = MovieWriter::create(&path, shape, pixel_type, None).unwrap();
        let mut all = vec![0.0; frames * shape.frame_len()];
        let pixels = one.height * one.width;
        let mut image = vec![0.0; pixels];
        for (k, slot) in all.chunks_exact_mut(pixels).enumerate() {
            let (frame, plane) = (k / PLANES, k % PLANES);
            movies[plane].read(frame..frame + 1, &mut image).unwrap();
            slot.copy_from_slice(&image);
        }
        fluorspar_movie::MovieSink::write(&mut writer, 0, &all).unwrap();
        writer.finish().unwrap();
    }
}

#[test]
fn volumes_go_through_the_whole_pipeline() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    volumes(folder);
    for (out, threads) in [("one", "1"), ("two", "2")] {
        let run = [
            "run",
            "raw/experiment.toml",
            "--out",
            out,
            "--threads",
            threads,
            "-q",
            "--json",
        ];
        let summary = json(&fluorspar(&run, folder));
        let rois: Vec<u64> = summary["rois"]
            .as_array()
            .unwrap()
            .iter()
            .map(|count| count.as_u64().unwrap())
            .collect();
        // About seventeen cells of a plane stand out in so short a movie.
        assert!(rois.iter().all(|&count| count > 25), "{rois:?}");
        assert!(summary["matched_cells"].as_u64().unwrap() > 15, "{summary}");
    }
    let one = files(&folder.join("one"));
    assert!(one == files(&folder.join("two")), "threads change bytes");
    // In tasks, one of them killed on its way.
    let plan = [
        "plan",
        "raw/experiment.toml",
        "--out",
        "tasks",
        "--frames-per-task",
        "500",
        "--json",
    ];
    let plan = json(&fluorspar(&plan, folder));
    let mut killed = false;
    for task in plan["tasks"].as_array().unwrap() {
        let task = [
            "task",
            "tasks/plan.json",
            task["id"].as_str().unwrap(),
            "-q",
        ];
        if task[2].ends_with("register-0001") && !killed {
            let mut child = Command::new(env!("CARGO_BIN_EXE_fluorspar"))
                .args(task)
                .current_dir(folder)
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(100));
            child.kill().unwrap();
            child.wait().unwrap();
            killed = true;
        }
        let output = fluorspar(&task, folder);
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(killed);
    assert!(one == files(&folder.join("tasks")), "tasks change bytes");
    let registered = MovieReader::open(folder.join("one/session-01/registered.zarr")).unwrap();
    assert_eq!(registered.shape().planes, PLANES);
    for name in ["drift/metrics.csv", "report.html", "tracks.zarr"] {
        assert!(folder.join("one").join(name).exists(), "{name}");
    }
    // Cells of every plane are found, and a plane's alone.
    let table = fs::read_to_string(folder.join("one/session-01/rois.csv")).unwrap();
    let column = table
        .lines()
        .next()
        .unwrap()
        .split(',')
        .position(|name| name == "plane");
    for plane in 0..PLANES {
        let here = table
            .lines()
            .skip(1)
            .filter(|line| line.split(',').nth(column.unwrap()).unwrap() == plane.to_string());
        assert!(here.count() > 5, "plane {plane}");
    }

    let toml = folder.join("raw/experiment.toml");
    let config = fs::read_to_string(&toml).unwrap();
    fs::write(&toml, config.replace("planes = 3\n", "")).unwrap();
    let run = ["run", "raw/experiment.toml", "--out", "three"];
    refused(
        folder,
        &run,
        3,
        &["has 3 planes", "experiment.planes", "set it to 3"],
    );
    fs::write(&toml, config.replace("planes = 3\n", "planes = 0\n")).unwrap();
    refused(folder, &run, 2, &["experiment.planes = 0"]);
}
