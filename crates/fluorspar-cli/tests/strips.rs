//! Recordings of several regions, as ScanImage writes them: strips one below
//! the other with flyback lines between them.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::fluorspar;
use fluorspar_movie::{Movie as _, MovieExt, MovieShape};
use serde_json::{Value, json};

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A BigTIFF with ScanImage's header: settings and ROI groups before the pages.
fn write_scanimage(
    path: &Path,
    settings: &str,
    rois: &Value,
    [height, width]: [usize; 2],
    pages: &[Vec<u16>],
) {
    let mut out: Vec<u8> = Vec::new();
    out.extend(b"II\x2b\0\x08\0\0\0");
    out.extend([0; 8]);
    let rois = rois.to_string();
    for number in [
        117_637_889,
        3,
        settings.len() as u32 + 1,
        rois.len() as u32 + 1,
    ] {
        out.extend(number.to_le_bytes());
    }
    out.extend(settings.as_bytes());
    out.push(0);
    out.extend(rois.as_bytes());
    out.push(0);
    let mut link = 8;
    for (k, pixels) in pages.iter().enumerate() {
        assert_eq!(pixels.len(), height * width);
        let text = format!(
            "frameNumbers = {:6}\nframeTimestamps_sec = {:12.6}\n\0",
            k + 1,
            k as f64 * 0.1
        );
        out.resize(out.len().next_multiple_of(16), 0);
        let text_at = out.len() as u64;
        out.extend(text.as_bytes());
        out.resize(out.len().next_multiple_of(16), 0);
        let data_at = out.len() as u64;
        for value in pixels {
            out.extend(value.to_le_bytes());
        }
        let directory = out.len() as u64;
        out[link..link + 8].copy_from_slice(&directory.to_le_bytes());
        let bytes = (2 * pixels.len()) as u64;
        let entries: [(u16, u16, u64, u64); 10] = [
            (256, 4, 1, width as u64),
            (257, 4, 1, height as u64),
            (258, 3, 1, 16),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (270, 2, text.len() as u64, text_at),
            (273, 16, 1, data_at),
            (277, 3, 1, 1),
            (278, 4, 1, height as u64),
            (279, 16, 1, bytes),
        ];
        out.extend((entries.len() as u64).to_le_bytes());
        for (tag, kind, count, value) in entries {
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        link = out.len();
        out.extend([0; 8]);
    }
    let mut file = fs::File::create(path).unwrap();
    file.write_all(&out).unwrap();
}

const LINE_S: f64 = 5e-5;

fn settings(gap: usize) -> String {
    format!(
        "SI.hChannels.channelSave = 1\nSI.hRoiManager.mroiEnable = 1\nSI.imagingSystem = 'Resonant'\n\
         SI.hRoiManager.linePeriod = {LINE_S}\nSI.hRoiManager.scanFrameRate = 10\n\
         SI.hScan2D.flytoTimePerScanfield = {}\nSI.hStackManager.zs = 425\nSI.objectiveResolution = 150\n",
        gap as f64 * LINE_S
    )
}

/// Regions of `height × width` pixels of 0.01° with their left edges at `x`, in pixels.
fn regions(height: usize, width: usize, x: &[usize]) -> Value {
    let rois: Vec<Value> = x
        .iter()
        .map(|&x| {
            json!({ "zs": 425, "scanfields": {
                "centerXY": [(x as f64 + width as f64 / 2.0) * 0.01, 0.3],
                "sizeXY": [width as f64 * 0.01, height as f64 * 0.01],
                "pixelResolutionXY": [width, height],
            }})
        })
        .collect();
    json!({ "RoiGroups": { "imagingRoiGroup": { "rois": rois } } })
}

/// Cells anywhere, brightness 300 to 1500.
fn scene(y: f64, x: f64) -> f64 {
    let mut light = 300.0;
    let cell = |k: i64, j: i64| {
        ((k * 7919 + j * 104_729).rem_euclid(1009) * 31 + k * j).rem_euclid(997) as f64 / 997.0
    };
    let (row, column) = ((y / 8.0).floor() as i64, (x / 8.0).floor() as i64);
    for k in row - 1..=row + 1 {
        for j in column - 1..=column + 1 {
            let centre = (
                8.0 * (k as f64 + cell(k, j)),
                8.0 * (j as f64 + cell(j + 50, k)),
            );
            let square = (y - centre.0).powi(2) + (x - centre.1).powi(2);
            light += 1200.0 * cell(k + 9, j) * (-square / 8.0).exp();
        }
    }
    light
}

/// Noise without order, of standard deviation 30.
fn noise(k: usize) -> f64 {
    let mut z = (k as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut sum = 0.0;
    for _ in 0..4 {
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z ^= z >> 27;
        sum += (z >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
    }
    52.0 * sum
}

struct Planted {
    height: usize,
    width: usize,
    gap: usize,
    /// Left edges of the strips in the tissue.
    x: Vec<usize>,
    /// How far odd lines of each lie to the right.
    offsets: Vec<i32>,
}

/// Settings of volumes of two planes, which are scanned without flyback between them.
fn settings_of_volumes(gap: usize) -> String {
    settings(gap).replace(
        "SI.hStackManager.zs = 425\n",
        "SI.hStackManager.zs = [425 475]\nSI.hStackManager.numSlices = 2\nSI.hFastZ.enable = 1\n\
         SI.hFastZ.numDiscardFlybackFrames = 0\nSI.hRoiManager.scanVolumeRate = 5\n",
    )
}

fn motion(t: usize) -> (f64, f64) {
    let t = t as f64;
    (2.0 * (t / 4.0).sin(), 1.5 * (t / 7.0).cos())
}

impl Planted {
    fn page(&self) -> [usize; 2] {
        let strips = self.x.len();
        [strips * self.height + (strips - 1) * self.gap, self.width]
    }

    fn write(&self, path: &Path, frames: usize) {
        let rois = regions(self.height, self.width, &self.x);
        let pages = self.pages(frames, 1);
        write_scanimage(path, &settings(self.gap), &rois, self.page(), &pages);
    }

    /// Pages of volumes, plane after plane; each plane shows other tissue.
    fn pages(&self, frames: usize, planes: usize) -> Vec<Vec<u16>> {
        let [rows, width] = self.page();
        (0..frames * planes)
            .map(|image| {
                let (t, below) = (image / planes, (image % planes * 400) as f64);
                let (dy, dx) = motion(t);
                let mut page = vec![0_u16; rows * width];
                for (k, value) in page.iter_mut().enumerate() {
                    let (row, column) = (k / width, k % width);
                    let (strip, y) = (
                        row / (self.height + self.gap),
                        row % (self.height + self.gap),
                    );
                    // Flyback: the scanner sees something else.
                    let light = if y >= self.height {
                        4000.0
                    } else {
                        let late = if y % 2 == 1 { self.offsets[strip] } else { 0 };
                        let x = (self.x[strip] + column) as f64 - f64::from(late);
                        scene(below + y as f64 - dy, x - dx)
                    };
                    *value = (light + noise(k + image * rows * width)) as u16;
                }
                page
            })
            .collect()
    }
}

/// Shifts of `motion.csv`, the mean taken off, beside what was planted.
fn errors(folder: &Path, frames: usize) -> f64 {
    let text = fs::read_to_string(folder.join("motion.csv")).unwrap();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|v| v.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), frames);
    let mut worst = 0.0_f64;
    for (column, part) in [(1, 0), (2, 1)] {
        let difference: Vec<f64> = (0..frames)
            .map(|t| rows[t][column] - [motion(t).0, motion(t).1][part])
            .collect();
        let mean = difference.iter().sum::<f64>() / frames as f64;
        let mut off: Vec<f64> = difference.iter().map(|d| (d - mean).abs()).collect();
        off.sort_by(f64::total_cmp);
        worst = worst.max(off[frames / 2]);
    }
    worst
}

#[test]
fn strips_are_put_together_and_registered() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let planted = Planted {
        height: 96,
        width: 32,
        gap: 7,
        x: vec![0, 32, 64],
        offsets: vec![2, 0, -3],
    };
    planted.write(&folder.join("m.tif"), 60);

    let info = common::json(&fluorspar(&["info", "--json", "m.tif"], folder));
    assert_eq!(
        (&info[0]["height"], &info[0]["width"]),
        (&302.into(), &32.into())
    );
    assert_eq!(info[0]["strips"]["count"], 3);
    assert_eq!(info[0]["strips"]["flyback_lines"], 7);
    assert_eq!(info[0]["strips"]["fields"], json!([[96, 96]]));
    assert!(info[0]["advice"].to_string().contains("fluorspar register"));

    let done = common::json(&fluorspar(
        &["register", "-q", "--json", "--rigid", "m.tif", "out"],
        folder,
    ));
    assert!(
        done["understood"].as_str().unwrap().contains("3 strips"),
        "{done}"
    );
    let strips = read(&folder.join("out/strips.json"));
    let moved: Vec<i64> = strips["strips"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["moved_px"].as_i64().unwrap())
        .collect();
    assert_eq!(moved, [2, 0, -3], "{strips}");
    assert_eq!(strips["strips"][1]["place"], json!([0, 32]));
    assert_eq!(strips["flyback_lines"], 7);
    let error = errors(&folder.join("out"), 60);
    assert!(error < 0.15, "{error}");

    // The mean image is the scene: strips in their places, lines in theirs, no flyback.
    let written = fluorspar_pipeline_movie(&folder.join("out/registered.zarr"));
    let shape = written.shape();
    assert_eq!((shape.frames, shape.height, shape.width), (60, 96, 96));
    let mean = written
        .read_array(0..60)
        .unwrap()
        .mean_axis(ndarray::Axis(0))
        .unwrap();
    let (mut best, mut inside) = (f64::INFINITY, 0.0);
    for dy in -8..=8 {
        for dx in -8..=8 {
            let (dy, dx) = (f64::from(dy) / 4.0, f64::from(dx) / 4.0);
            let mut sum = 0.0;
            for y in 8..88 {
                for x in 8..88 {
                    let truth = scene(y as f64 - dy, x as f64 - dx);
                    sum += (f64::from(mean[[y, x]]) - truth).powi(2);
                    inside += (truth - 500.0).powi(2) / 289.0;
                }
            }
            best = f64::min(best, sum);
        }
    }
    // Columns at the seams and lines without a neighbour are blurred by motion.
    assert!(best < 0.1 * inside, "{best} of {inside}");

    // The same offsets as said by the user, and the same bytes by the motion found.
    let again = [
        "register",
        "-q",
        "--json",
        "m.tif",
        "again",
        "--motion",
        "out/motion.zarr",
    ];
    common::json(&fluorspar(&again, folder));
    let same = fluorspar_pipeline_movie(&folder.join("again/registered.zarr"));
    assert_eq!(
        same.read_array(0..60).unwrap(),
        written.read_array(0..60).unwrap()
    );
    let whole = [
        "register",
        "-q",
        "--json",
        "--whole-pages",
        "m.tif",
        "whole",
    ];
    assert!(
        common::json(&fluorspar(&whole, folder))
            .get("understood")
            .is_none()
    );
    assert_eq!(
        fluorspar_pipeline_movie(&folder.join("whole/registered.zarr"))
            .shape()
            .height,
        302
    );
}

fn fluorspar_pipeline_movie(path: &Path) -> Box<dyn fluorspar_movie::Movie> {
    fluorspar_pipeline::open_movie(&[path.to_path_buf()]).unwrap()
}

#[test]
fn fields_that_do_not_touch_are_registered_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let planted = Planted {
        height: 64,
        width: 48,
        gap: 4,
        x: vec![0, 48, 400],
        offsets: vec![1, 1, 1],
    };
    planted.write(&folder.join("m.tif"), 40);
    let done = common::json(&fluorspar(
        &["register", "-q", "--json", "--rigid", "m.tif", "out"],
        folder,
    ));
    assert_eq!(done["fields"].as_array().unwrap().len(), 2);
    for (field, width) in [(1, 96), (2, 48)] {
        let here = folder.join(format!("out/field-{field}"));
        let shape = fluorspar_pipeline_movie(&here.join("registered.zarr")).shape();
        assert_eq!((shape.frames, shape.height, shape.width), (40, 64, width));
        assert_eq!(read(&here.join("strips.json"))["field"], field);
        let error = errors(&here, 40);
        assert!(error < 0.2, "field {field}: {error}");
    }
    let second = [
        "register", "-q", "--json", "m.tif", "second", "--motion", "out",
    ];
    common::json(&fluorspar(&second, folder));
    assert!(folder.join("second/field-2/registered.zarr").is_dir());
    let one = [
        "register",
        "-q",
        "m.tif",
        "third",
        "--motion",
        "out/field-1/motion.zarr",
    ];
    let refused = fluorspar(&one, folder);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("several fields"));
    let again = fluorspar(&["register", "-q", "m.tif", "out"], folder);
    assert_eq!(again.status.code(), Some(2));
}

/// Regions scanned in several planes: strips of every plane are put together, and the planes of
/// each field registered together.
/// Raw pages are put together for denoising as they are for registration.
#[test]
fn fields_that_do_not_touch_are_denoised_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let planted = Planted {
        height: 64,
        width: 48,
        gap: 4,
        x: vec![0, 48, 400],
        offsets: vec![1, 1, 1],
    };
    planted.write(&folder.join("m.tif"), 40);
    let done = common::json(&fluorspar(
        &["denoise", "-q", "--json", "m.tif", "out"],
        folder,
    ));
    let fields = done["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 2);
    for (k, width) in [96, 48].into_iter().enumerate() {
        let here = folder.join(format!("out/field-{}", k + 1));
        assert_eq!(
            (&fields[k]["frames"], &fields[k]["width"]),
            (&40.into(), &width.into())
        );
        for name in ["lowrank.zarr", "lowrank.json", "lowrank.html"] {
            assert!(here.join(name).exists(), "{name}");
        }
        assert_eq!(read(&here.join("strips.json"))["field"], k + 1);
    }
    let output = fluorspar(&["denoise", "m.tif", "one.zarr"], folder);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("2 fields"));
    let whole = ["denoise", "-q", "m.tif", "one.zarr", "--whole-pages"];
    assert!(fluorspar(&whole, folder).status.success());
    assert!(folder.join("one.zarr").is_dir());
}

#[test]
fn strips_of_volumes_are_put_together_in_every_plane() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (frames, planes) = (40, 2);
    let planted = Planted {
        height: 64,
        width: 48,
        gap: 4,
        x: vec![0, 48, 400],
        offsets: vec![2, -1, 1],
    };
    let settings = settings_of_volumes(4);
    let pages = planted.pages(frames, planes);
    let mut rois = regions(64, 48, &planted.x);
    let page = planted.page();
    write_scanimage(&folder.join("m.tif"), &settings, &rois, page, &pages);

    let register = |out: &str, more: &[&str]| {
        let mut all = vec!["register", "-q", "--json", "m.tif", out, "--channel", "0"];
        all.extend(more);
        common::json(&fluorspar(&all, folder))
    };
    let done = register("out", &["--plane-spacing", "50"]);
    assert_eq!(done["planes"], planes);
    assert_eq!(done["fields"].as_array().unwrap().len(), 2);
    for (field, width, offsets) in [(1, 96, vec![2, -1]), (2, 48, vec![1])] {
        let here = folder.join(format!("out/field-{field}"));
        let written = fluorspar_pipeline_movie(&here.join("registered.zarr"));
        let shape = MovieShape::new(frames, planes, 64, width);
        assert_eq!(written.shape(), shape, "field {field}");
        let strips = read(&here.join("strips.json"));
        let laid = strips["strips"].as_array().unwrap().iter();
        let moved: Vec<i64> = laid.map(|s| s["moved_px"].as_i64().unwrap()).collect();
        assert_eq!(moved, offsets, "{strips}");
        let quality = read(&here.join("quality.json"));
        assert_eq!(quality["line_offset_px"], 0);
        assert_eq!(quality["plane_spacing_um"], 50.0);
        let each = quality["planes"].as_array().unwrap();
        assert_eq!(each.len(), planes);
        assert!(each.iter().all(|plane| plane["principal_motion"].is_null()));
        let text = fs::read_to_string(here.join("motion.csv")).unwrap();
        for plane in 0..planes {
            // That plane's rows as those of a movie of its own.
            let of_plane = |row: &str| {
                let (frame, rest) = row.split_once(',')?;
                let shift = rest.strip_prefix(&format!("{plane},"))?;
                Some(format!("{frame},{shift}\n"))
            };
            let rows: String = text.lines().skip(1).filter_map(of_plane).collect();
            let alone = folder.join(format!("field-{field}-plane-{plane}"));
            fs::create_dir(&alone).unwrap();
            let header = "frame,dy,dx,quality\n";
            fs::write(alone.join("motion.csv"), header.to_owned() + &rows).unwrap();
            let error = errors(&alone, frames);
            assert!(error < 0.2, "field {field}, plane {plane}: {error}");
        }
    }
    register("again", &["--motion", "out"]);
    for field in [1, 2] {
        let [first, again] = ["out", "again"].map(|out| {
            let path = folder.join(format!("{out}/field-{field}/registered.zarr"));
            let movie = fluorspar_pipeline_movie(&path);
            movie.read_array(0..frames).unwrap()
        });
        assert_eq!(first, again, "field {field}");
    }

    // A strip that lies elsewhere in the second plane.
    let roi = &mut rois["RoiGroups"]["imagingRoiGroup"]["rois"][1];
    let field = roi["scanfields"].clone();
    let mut elsewhere = field.clone();
    elsewhere["centerXY"][1] = 0.4.into();
    roi["zs"] = json!([425, 475]);
    roi["scanfields"] = json!([field, elsewhere]);
    write_scanimage(&folder.join("n.tif"), &settings, &rois, page, &pages);
    let refused = fluorspar(&["register", "-q", "n.tif", "no", "--channel", "0"], folder);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("not the same at all depths"), "{said}");
}

#[test]
fn settings_that_contradict_the_pages_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pages = vec![vec![7_u16; 60 * 32]; 20];
    let rois = regions(24, 32, &[0, 32]);
    write_scanimage(&folder.join("m.tif"), &settings(5), &rois, [60, 32], &pages);
    let refused = fluorspar(&["register", "-q", "m.tif", "out"], folder);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    for word in ["m.tif", "5 lines", "12 rows", "--whole-pages"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let info = common::json(&fluorspar(&["info", "--json", "m.tif"], folder));
    assert!(info[0]["strips"].is_null());
    assert!(info[0]["advice"].to_string().contains("12 rows"), "{info}");
}

fn data() -> Option<PathBuf> {
    let path = std::env::var_os("FLUORSPAR_TEST_DATA").map(PathBuf::from)?;
    path.is_dir().then_some(path)
}

/// Real frames of a mesoscope, put together by their authors, taken apart into
/// pages as the scanner made them.
#[test]
fn a_real_mosaic_is_put_together_again() {
    let Some(data) = data() else { return };
    let movies = data.join("movies/mesoscope");
    let text = fs::read_to_string(movies.join("metadata.json")).unwrap();
    let header: Value = serde_json::from_str(&text).unwrap();
    let number = |path: &str| header.pointer(path).and_then(Value::as_f64).unwrap();
    let (line, fly) = (
        number("/hRoiManager/linePeriod"),
        number("/hResScan/flytoTimePerScanfield"),
    );
    let settings = format!(
        "SI.hChannels.channelSave = 1\nSI.hRoiManager.mroiEnable = 1\nSI.imagingSystem = 'Resonant'\n\
         SI.hRoiManager.linePeriod = {line}\nSI.hResScan.flytoTimePerScanfield = {fly}\n\
         SI.hRoiManager.scanFrameRate = {}\nSI.hStackManager.zs = {}\nSI.objectiveResolution = {}\n",
        number("/hRoiManager/scanFrameRate"),
        number("/hStackManager/zs"),
        number("/objectiveResolution"),
    );
    let gap = (fly / line).round() as usize;
    let rows = 9 * 464 + 8 * gap;
    let layout = fluorspar_tiff::MroiLayout::new(
        &fluorspar_tiff::ScanImage {
            roi_groups: Some(text),
            line_period_s: Some(line),
            flyto_time_s: Some(fly),
            ..fluorspar_tiff::ScanImage::default()
        },
        number("/hStackManager/zs"),
        [rows, 64],
    )
    .unwrap();
    let whole: Vec<ndarray::Array2<u16>> = (0..23)
        .map(|k| {
            let movie =
                fluorspar_tiff::Movie::open(&movies.join(format!("image-{k:05}.tif"))).unwrap();
            let frame = movie.read_array(0..1).unwrap();
            frame.index_axis(ndarray::Axis(0), 0).mapv(|v| v as u16)
        })
        .collect();
    let pages: Vec<Vec<u16>> = whole
        .iter()
        .map(|image| {
            let page = layout
                .disassemble(std::slice::from_ref(image), 9999)
                .unwrap();
            page.iter().copied().collect()
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_scanimage(
        &folder.join("m.tif"),
        &settings,
        &header,
        [rows, 64],
        &pages,
    );
    let done = common::json(&fluorspar(
        &["register", "-q", "--json", "--rigid", "m.tif", "out"],
        folder,
    ));
    assert!(
        done["understood"].as_str().unwrap().contains("9 strips"),
        "{done}"
    );
    let shape = fluorspar_pipeline_movie(&folder.join("out/registered.zarr")).shape();
    assert_eq!((shape.frames, shape.height, shape.width), (23, 464, 576));
    // Its authors have moved the lines already, to the pixel.
    let strips = read(&folder.join("out/strips.json"));
    for strip in strips["strips"].as_array().unwrap() {
        assert!(strip["moved_px"].as_i64().unwrap().abs() <= 1, "{strip}");
    }
    // Nor are columns shown twice or missing at the seams.
    for seam in strips["seams"].as_array().unwrap() {
        let (gap, error) = (&seam["missing_px"], &seam["error_px"]);
        let (gap, error) = (gap.as_f64().unwrap(), error.as_f64().unwrap());
        assert!(gap.abs() < f64::max(4.0 * error, 1.0), "{strips:#}");
    }
    let quality = read(&folder.join("out/quality.json"));
    assert!(
        quality["residual_median_px"].as_f64().unwrap() < 0.5,
        "{quality}"
    );
}
