//! `fluorspar track` as its users meet it.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use common::{files, fluorspar, json, refused, said};
use fluorspar_movie::{MovieShape, MovieSink, PixelType};
use fluorspar_zarr::{GroupReader, GroupWriter, MovieWriter};
use ndarray::{Array1, Array2, Array3, Axis, aview1};
use ndarray_npy::{NpzReader, NpzWriter};

const SIDE: usize = 128;

/// Rows and columns of cells that are no lattice, the same in every run.
fn places() -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut hash = 7_u64;
    while out.len() < 40 {
        hash = hash
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (y, x) = (
            (hash >> 33) as usize % 108 + 10,
            (hash >> 45) as usize % 108 + 10,
        );
        let apart = |&(oy, ox): &(usize, usize)| y.abs_diff(oy) + x.abs_diff(ox) > 9;
        if out.iter().all(apart) {
            out.push((y, x));
        }
    }
    out
}

/// Flat indices of a disc.
fn disc((y, x): (usize, usize)) -> Vec<usize> {
    let inside = |dy: usize, dx: usize| (dy as f64 - 4.0).hypot(dx as f64 - 4.0) < 3.8;
    (0..9)
        .flat_map(|dy| (0..9).map(move |dx| (dy, dx)))
        .filter(|&(dy, dx)| inside(dy, dx))
        .map(|(dy, dx)| (y + dy - 4) * SIDE + x + dx - 4)
        .collect()
}

fn moved(by: (usize, usize)) -> Vec<(usize, usize)> {
    places()
        .iter()
        .map(|&(y, x)| (y + by.0, x + by.1))
        .collect()
}

/// A session's footprints and mean image as a `.npz`.
fn npz(path: &Path, cells: &[(usize, usize)]) {
    let mut indptr = vec![0_i64];
    let mut indices = Vec::new();
    let mut image = Array2::<f32>::from_elem((SIDE, SIDE), 10.0);
    for &cell in cells {
        let pixels = disc(cell);
        for &pixel in &pixels {
            image[[pixel / SIDE, pixel % SIDE]] += 100.0;
        }
        indices.extend(pixels.iter().map(|&pixel| pixel as i32));
        indptr.push(indices.len() as i64);
    }
    let mut out = NpzWriter::new(fs::File::create(path).unwrap());
    out.add_array("indptr", &Array1::from(indptr)).unwrap();
    out.add_array("weights", &Array1::<f64>::ones(indices.len()))
        .unwrap();
    out.add_array("indices", &Array1::from(indices)).unwrap();
    out.add_array("shape", &Array1::from(vec![SIDE as u32; 2]))
        .unwrap();
    out.add_array("mean_image", &image).unwrap();
    out.finish().unwrap();
}

fn three_sessions(here: &Path) {
    npz(&here.join("a.npz"), &moved((0, 0)));
    npz(&here.join("b.npz"), &moved((3, 1)));
    npz(&here.join("c.npz"), &moved((1, 4)));
}

const THREE: [&str; 5] = ["track", "a.npz", "b.npz", "c.npz", "out"];

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn cells_are_followed_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    let done = json(&fluorspar(
        &[&THREE[..], &["--json", "--transfer"]].concat(),
        here,
    ));
    let number = |name: &str| done[name].as_u64().unwrap() as usize;
    let cells = number("cells");
    assert!(
        (40..44).contains(&cells) && number("cells_in_all") >= 36,
        "{done}"
    );
    assert_eq!(done["aligned"], 3);
    assert_eq!(done["sessions"][1]["verdict"], "aligned");
    assert_eq!(done["warnings"], serde_json::json!([]));
    let out = here.join("out");
    // All listed files are there, and no others.
    let mut listed: Vec<String> = done["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap().replace("out/", ""))
        .collect();
    listed.extend(["tracks.zarr".into(), "tracks.html".into()]);
    listed.sort();
    let mut found: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, listed);

    let group = GroupReader::open(out.join("tracks.zarr")).unwrap();
    let roi_index = group.array::<i32>("roi_index").unwrap();
    assert_eq!(roi_index.shape(), [cells, 3]);
    for row in roi_index.axis_iter(Axis(0)) {
        // ROI k is the same cell in all of them.
        let seen: Vec<i32> = row.iter().copied().filter(|&roi| roi >= 0).collect();
        assert!(
            !seen.is_empty() && seen.iter().all(|&roi| roi == seen[0]),
            "{row}"
        );
    }
    assert_eq!(group.attribute("presence_codes").unwrap()["absent"], 2);
    assert_eq!(
        group.array::<f64>("alignment_matrix").unwrap().shape(),
        [3, 2, 2]
    );
    assert_eq!(group.array::<f64>("field").unwrap().shape()[..2], [3, 2]);
    let pairs = group.array::<u32>("pair_roi").unwrap().len() / 2;
    assert_eq!(lines(&out.join("pairs.csv")).len(), pairs + 1);
    let tracks = lines(&out.join("tracks.csv"));
    assert_eq!(tracks[0], "cell,session,roi,state,p_same");
    assert_eq!(tracks.len(), cells * 3 + 1);
    assert!(tracks[1].contains(",matched,"));
    assert_eq!(lines(&out.join("cells.csv")).len(), cells + 1);
    assert_eq!(lines(&out.join("alignment.csv")).len(), 4);
    let page = fs::read_to_string(out.join("tracks.html")).unwrap();
    assert!(page.contains("cells were found in 3 sessions, 3 of which could be aligned"));
    let file = fs::File::open(out.join("session-00-undetected.npz")).unwrap();
    let cells: Array1<i64> = NpzReader::new(file).unwrap().by_name("cell").unwrap();
    assert!(cells.len() < 4);

    // The same bytes at one thread; nothing of a run is overwritten.
    let again = [&THREE[..4], &["again", "--transfer", "--threads", "1"]].concat();
    assert!(fluorspar(&again, here).status.success());
    assert_eq!(files(&here.join("again")), files(&out));
    refused(here, &THREE, 2, &["exists already"]);
    let summary = fluorspar(&[&THREE[..4], &["third"]].concat(), here);
    let summary = String::from_utf8(summary.stdout).unwrap();
    assert!(summary.contains("cells in 3 sessions; 40 seen in two sessions or more"));
}

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

/// A `rois.zarr` of these cells, the last of which does not count as one.
fn rois(path: &Path, cells: &[(usize, usize)]) {
    let (mut indptr, mut indices) = (vec![0_u64], Vec::<u32>::new());
    for &cell in cells {
        indices.extend(disc(cell).iter().map(|&pixel| pixel as u32));
        indptr.push(indices.len() as u64);
    }
    let mut is_cell = vec![1_u8; cells.len()];
    is_cell[cells.len() - 1] = 0;
    let weights = vec![1.0_f32; indices.len()];
    let mut group = GroupWriter::create(path).unwrap();
    let entry = ["entry"];
    group
        .array("indptr", &aview1(&indptr), &["boundary"])
        .unwrap();
    group.array("indices", &aview1(&indices), &entry).unwrap();
    group.array("weights", &aview1(&weights), &entry).unwrap();
    group
        .array("plane", &aview1(&vec![0_u32; cells.len()]), &["roi"])
        .unwrap();
    group.array("is_cell", &aview1(&is_cell), &["roi"]).unwrap();
    for key in ["height", "width"] {
        group.attribute(key, SIDE.into()).unwrap();
    }
    group.finish().unwrap();
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

#[test]
fn empty_and_single_sessions_are_results() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    npz(&here.join("none.npz"), &[]);
    let done = json(&fluorspar(&["track", "a.npz", "one", "--json"], here));
    assert_eq!(
        (&done["cells"], &done["matched_cells"]),
        (&40.into(), &0.into())
    );
    let done = json(&fluorspar(
        &["track", "a.npz", "none.npz", "two", "--json"],
        here,
    ));
    assert_eq!(
        (&done["cells"], &done["matched_cells"]),
        (&40.into(), &0.into())
    );
    let done = json(&fluorspar(
        &["track", "none.npz", "zero", "--json", "--transfer"],
        here,
    ));
    assert_eq!(done["cells"], 0);
    let page = fs::read_to_string(here.join("zero/tracks.html")).unwrap();
    assert!(
        page.contains("0 cells were found in 1 session."),
        "{}",
        &page[..200]
    );
}

#[test]
fn other_results_are_compared_and_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    three_sessions(here);
    // Half of the cells, one of them torn apart, one wrong.
    let mut table = String::from("roi,session,cell\n");
    for cell in 0..20 {
        for session in 0..3 {
            let other = if (cell, session) == (1, 2) { 100 } else { cell };
            writeln!(table, "{cell},{session},{other}").unwrap();
        }
    }
    fs::write(here.join("theirs.csv"), &table).unwrap();
    let compare = [&THREE[..], &["--compare", "theirs.csv", "--json"]].concat();
    let done = json(&fluorspar(&compare, here));
    let agreement = &done["agreement"];
    let number = |name: &str| agreement[name].as_u64().unwrap() as usize;
    // Theirs are 19 cells of three ROIs and one of two.
    assert_eq!(number("both") + number("only_theirs"), 58, "{agreement}");
    assert!(
        number("both") >= 50 && number("only_ours") >= 50,
        "{agreement}"
    );
    assert!(
        number("identical") >= 16 && number("cells_only_ours") >= 18,
        "{agreement}"
    );
    assert_eq!(number("left_out"), 0);
    let pairs = number("both") + number("only_theirs") + number("only_ours");
    assert_eq!(lines(&here.join("out/agreement.csv")).len(), pairs + 1);
    assert!(here.join("out/agreement-cells.csv").is_file());
    let page = fs::read_to_string(here.join("out/tracks.html")).unwrap();
    assert!(page.contains("Beside the other result"));
    // Our own table says what we say.
    let own = [&THREE[..4], &["own", "--compare", "out", "--json"]].concat();
    let done = json(&fluorspar(&own, here));
    for name in ["only_ours", "only_theirs", "split", "merged"] {
        assert_eq!(done["agreement"][name], 0, "{done}");
    }

    let taken = [
        &THREE[..4],
        &["taken", "--identities", "theirs.csv", "--json"],
    ]
    .concat();
    let done = json(&fluorspar(&taken, here));
    // 20 cells and one torn off, and 20 ROIs of each session that are not named.
    assert_eq!(done["cells"], 21 + 60, "{done}");
    assert_eq!(
        (&done["cells_in_all"], &done["matched_cells"]),
        (&19.into(), &20.into())
    );

    for (text, says) in [
        ("cell,session\n1,1\n", "no column \"roi\""),
        ("cell,session,roi\n0,0,0\n0,0,1\n0,2,0\n", "two ROIs"),
        ("cell,session,roi\n0,0,0\n1,0,0\n0,2,0\n", "to the cells"),
        ("cell,session,roi\n0,0,99\n0,2,1\n", "99"),
        ("cell,session,roi\n0,0,9\n", "1 sessions"),
        ("cell,session,roi\n0,0,x\n", "invalid digit"),
    ] {
        fs::write(here.join("bad.csv"), text).unwrap();
        let bad = [&THREE[..4], &["bad", "--compare", "bad.csv"]].concat();
        refused(here, &bad, 3, &["bad.csv", says]);
        assert!(!here.join("bad").exists());
    }
    let bad = [&THREE[..4], &["bad", "--compare", "none.csv"]].concat();
    refused(here, &bad, 3, &["none.csv", "no such file"]);
    let bad = [&THREE[..4], &["bad", "--compare", "a.npz"]].concat();
    refused(here, &bad, 3, &["a.npz", "is not known"]);
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
