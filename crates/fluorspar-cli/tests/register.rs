//! `fluorspar register` as its users meet it.

mod common;

use std::fs;

use common::{files, fluorspar, json, refused, said, small};
use fluorspar_movie::{MovieShape, MovieSink, PixelType};
use fluorspar_tiff::{Dialect, Writer, WriterOptions};
use fluorspar_zarr::MovieWriter;

#[test]
fn a_movie_is_registered_on_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let movie = "raw/session-01/movie.tif";
    let first = fluorspar(&["register", "-q", "--json", movie, "one"], folder);
    let first = json(&first);
    assert!(
        first["verdict"].as_str().unwrap().contains("sable"),
        "{first}"
    );
    for name in [
        "motion.csv",
        "motion.zarr",
        "quality.json",
        "registration.html",
    ] {
        assert!(folder.join("one").join(name).exists(), "{name}");
    }
    let again = [
        "register",
        "-q",
        movie,
        "two",
        "--motion",
        "one/motion.zarr",
    ];
    assert!(fluorspar(&again, folder).status.success());
    assert_eq!(
        files(&folder.join("one/registered.zarr")),
        files(&folder.join("two/registered.zarr"))
    );
    let to_the_same = [
        "register",
        "-q",
        movie,
        "three",
        "--tiff",
        "--reference",
        "one/motion.zarr",
    ];
    assert!(fluorspar(&to_the_same, folder).status.success());
    assert!(folder.join("three/registered.tif").is_file());
    for (wrong, code) in [
        (vec!["register", "-q", movie, "one"], 2),
        (vec!["register", "-q", movie, "four", "--motion", "raw"], 3),
        (
            vec!["register", "-q", movie, "four", "--max-shift", "0.7"],
            2,
        ),
        (vec!["register", "-q", "none.tif", "four"], 3),
    ] {
        let output = fluorspar(&wrong, folder);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{wrong:?}: {}",
            said(&output)
        );
    }
}

/// Where a volume of [`volumes`] lies, in pixels.
fn lies(frame: usize) -> (f64, f64) {
    let t = frame as f64;
    (1.8 * (t / 5.0).sin(), 1.4 * (t / 7.0).cos())
}

/// Spots that move together in all planes, each plane with its own, in 64 × 64 pixels.
fn volumes(frames: usize, planes: usize) -> Vec<f32> {
    let side = 64;
    let place = |k: usize, by: usize| ((k * by) % 977) as f64 / 977.0 * 80.0 - 8.0;
    let mut pixels = Vec::with_capacity(frames * planes * side * side);
    for image in 0..frames * planes {
        let (frame, plane) = (image / planes, image % planes);
        let (dy, dx) = lies(frame);
        let mut values = vec![100.0_f64; side * side];
        for k in 0..60 {
            let k = 60 * plane + k + 1;
            let (cy, cx) = (place(k, 613) + dy, place(k, 389) + dx);
            for y in (cy as usize).saturating_sub(6)..((cy + 8.0) as usize).min(side) {
                for x in (cx as usize).saturating_sub(6)..((cx + 8.0) as usize).min(side) {
                    let square = (y as f64 - cy).powi(2) + (x as f64 - cx).powi(2);
                    values[y * side + x] += 400.0 * (-square / 4.5).exp();
                }
            }
        }
        // Noise that is the same in every run.
        pixels.extend(values.iter().enumerate().map(|(i, v)| {
            let mut hash = ((i + image * 4099) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ (hash >> 27)) >> 40;
            (v + 40.0 * (hash as f64 / f64::from(1 << 24) - 0.5)).round() as f32
        }));
    }
    pixels
}

/// Planes recorded together, from Zarr and from TIFF, at any thread count and budget; moved
/// again as before; to another reference; and refused where planes do not fit.
#[test]
fn planes_recorded_together_are_registered_together() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (frames, planes) = (60, 3);
    let shape = MovieShape::new(frames, planes, 64, 64);
    let pixels = volumes(frames, planes);
    let path = folder.join("v.zarr");
    let mut writer = MovieWriter::create(path, shape, PixelType::I16, None).unwrap();
    writer.write(0, &pixels).unwrap();
    writer.finish().unwrap();
    let options = WriterOptions {
        dialect: Dialect::ScanImage,
        ..WriterOptions::default()
    };
    let mut writer =
        Writer::create(&folder.join("v.tif"), shape, PixelType::I16, &options).unwrap();
    writer.write(0, &pixels).unwrap();
    Box::new(writer).finish().unwrap();

    let register = |arguments: &[&str]| {
        let mut all = vec!["register", "-q", "--json"];
        all.extend(arguments);
        json(&fluorspar(&all, folder))
    };
    let said = register(&["v.zarr", "one", "--threads", "1"]);
    assert!(
        said["verdict"].as_str().unwrap().contains("sable"),
        "{said}"
    );
    assert_eq!((&said["frames"], &said["planes"]), (&60.into(), &3.into()));
    let info = json(&fluorspar(
        &["info", "--json", "one/registered.zarr"],
        folder,
    ));
    assert_eq!(
        (&info[0]["frames"], &info[0]["planes"]),
        (&60.into(), &3.into())
    );

    // One row per frame and plane, as planted but for the references' own place.
    let csv = fs::read_to_string(folder.join("one/motion.csv")).unwrap();
    let mut rows = csv.lines();
    assert_eq!(rows.next(), Some("frame,plane,dy,dx,quality"));
    let rows: Vec<Vec<f64>> = rows
        .map(|row| row.split(',').map(|v| v.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), frames * planes);
    let beside = |row: &Vec<f64>| {
        let truth = lies(row[0] as usize);
        (row[2] - truth.0, row[3] - truth.1)
    };
    let n = rows.len() as f64;
    let my = rows.iter().map(|row| beside(row).0).sum::<f64>() / n;
    let mx = rows.iter().map(|row| beside(row).1).sum::<f64>() / n;
    for row in &rows {
        let (dy, dx) = beside(row);
        assert!(
            (dy - my).hypot(dx - mx) < 0.2,
            "{row:?}: {dy} {my}, {dx} {mx}"
        );
    }
    let quality = fs::read_to_string(folder.join("one/quality.json")).unwrap();
    let quality: serde_json::Value = serde_json::from_str(&quality).unwrap();
    assert_eq!(quality["planes"].as_array().unwrap().len(), planes);
    assert!(quality["planes"][2]["residual_median_px"].as_f64().unwrap() < 0.3);
    assert!(!quality["depth"].as_array().unwrap().is_empty());
    let page = fs::read_to_string(folder.join("one/registration.html")).unwrap();
    for words in [
        "Plane 2, mean after",
        "as a whole, not in parts",
        "Depth beside",
    ] {
        assert!(page.contains(words), "{words}");
    }

    register(&["v.zarr", "two", "--threads", "2", "--memory", "64MB"]);
    assert!(
        files(&folder.join("one")) == files(&folder.join("two")),
        "threads or memory change bytes"
    );
    register(&["v.zarr", "three", "--motion", "one/motion.zarr"]);
    assert!(
        files(&folder.join("one/registered.zarr")) == files(&folder.join("three/registered.zarr")),
        "moved again, but not to the byte"
    );
    register(&["v.tif", "four", "--channel", "0", "--tiff"]);
    assert_eq!(
        csv,
        fs::read_to_string(folder.join("four/motion.csv")).unwrap()
    );
    let info = json(&fluorspar(
        &["info", "--json", "four/registered.tif"],
        folder,
    ));
    assert_eq!(info[0]["interleaved"]["planes"], 3);
    for reference in [
        "one/motion.zarr",
        "one/registered.zarr",
        "four/registered.tif",
    ] {
        let out = format!("to-{}", reference.replace('/', "-"));
        let spacing = ["--plane-spacing", "16"];
        let mut arguments = vec!["v.zarr", &out, "--reference", reference];
        arguments.extend(spacing);
        register(&arguments);
        let text = fs::read_to_string(folder.join(&out).join("quality.json")).unwrap();
        let quality: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(quality["plane_spacing_um"], 16.0, "{reference}");
        assert!(quality["depth"][0]["um"].as_f64().unwrap().abs() < 8.0);
    }

    // Planes that are not there.
    let one_plane = ["convert", "-q", "v.tif", "flat.zarr"];
    assert!(fluorspar(&one_plane, folder).status.success());
    for (more, words) in [
        (["--reference", "flat.zarr"], ["flat.zarr", "planes"]),
        (["--motion", "one/quality.json"], ["one/quality.json", ""]),
    ] {
        let mut arguments = vec!["register", "-q", "v.zarr", "no"];
        arguments.extend(more);
        refused(folder, &arguments, 3, &words);
    }
    let flat = [
        "register",
        "-q",
        "flat.zarr",
        "no",
        "--motion",
        "one/motion.zarr",
    ];
    refused(folder, &flat, 3, &["one/motion.zarr", "planes"]);
}
