//! The same three days of activity as tensors, as Suite2p leaves them, and as NWB.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;

use hdf5_pure::{AttrValue, FileBuilder};
use ndarray::{Array0, Array1, Array2, Array3, Axis, s};
use ndarray_npy::{NpzWriter, WriteNpyExt as _};

pub(crate) const CELLS: usize = 30;
pub(crate) const TRIALS: usize = 20;
pub(crate) const RATE: f64 = 10.0;
/// Frames from one onset to the next.
const EVERY: usize = 50;
/// Frames of a trial that are used.
const USED: usize = 30;

/// What was recorded in one session.
pub(crate) struct Day {
    pub(crate) elapsed: f64,
    /// `(roi, frame)`.
    pub(crate) activity: Array2<f32>,
    /// Identity of each ROI's cell.
    pub(crate) cell: Vec<i64>,
    pub(crate) onset_s: Vec<f64>,
    pub(crate) odour: Vec<i64>,
}

/// Numbers from 0 to 1 that are the same in every run.
pub(crate) fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Three sessions; each sees most of the cells, as ROIs in an order of its own.
pub(crate) fn days() -> Vec<Day> {
    (0..3_u64)
        .map(|session| {
            let mut draw = noise(session + 1);
            let mut cell: Vec<i64> = (0..40).collect();
            while cell.len() > CELLS {
                let at = (draw() * cell.len() as f64) as usize;
                cell.remove(at);
            }
            for k in (1..CELLS).rev() {
                cell.swap(k, (draw() * (k + 1) as f64) as usize);
            }
            let odour: Vec<i64> = (0..TRIALS).map(|t| ((t * 7) / 3 % 2) as i64).collect();
            let mut activity =
                Array2::from_shape_fn((CELLS, TRIALS * EVERY + 40), |_| draw() as f32);
            let onsets: Vec<usize> = (0..TRIALS).map(|trial| 20 + trial * EVERY).collect();
            for (&onset, &odour) in onsets.iter().zip(&odour) {
                for (roi, &cell) in cell.iter().enumerate() {
                    let tuned = (cell as f64 * 1.7 + odour as f64).sin().abs() as f32;
                    let mut trial = activity.slice_mut(s![roi, onset..onset + USED]);
                    trial += 2.0 * tuned;
                }
            }
            Day {
                elapsed: (session * 2 + 1) as f64,
                activity,
                cell,
                onset_s: onsets.iter().map(|&frame| frame as f64 / RATE).collect(),
                odour,
            }
        })
        .collect()
}

impl Day {
    /// Trials cut out, cells by identity.
    pub(crate) fn tensor(&self) -> (Array3<f32>, Vec<i64>) {
        let mut order: Vec<usize> = (0..CELLS).collect();
        order.sort_by_key(|&roi| self.cell[roi]);
        let tensor = Array3::from_shape_fn((TRIALS, CELLS, USED), |(trial, cell, bin)| {
            self.activity[[order[cell], 20 + trial * EVERY + bin]]
        });
        (tensor, order.iter().map(|&roi| self.cell[roi]).collect())
    }
}

/// Writes the arrays that a session needs, and leaves the file open for more.
pub(crate) fn tensor_file(path: &Path, day: &Day) -> NpzWriter<File> {
    let (activity, cell) = day.tensor();
    tensor_of(path, day, &activity, &cell)
}

pub(crate) fn tensor_of(
    path: &Path,
    day: &Day,
    activity: &Array3<f32>,
    cell: &[i64],
) -> NpzWriter<File> {
    let mut out = NpzWriter::new(File::create(path).unwrap());
    let bins = activity.len_of(Axis(2));
    let time = Array1::from_shape_fn(bins, |bin| (bin as f64 + 0.5) / RATE);
    let odour = Array1::from(day.odour[..activity.len_of(Axis(0))].to_vec());
    out.add_array("activity", activity).unwrap();
    out.add_array("cell", &Array1::from(cell.to_vec())).unwrap();
    out.add_array("time_s", &time).unwrap();
    out.add_array("day", &Array0::from_elem((), day.elapsed))
        .unwrap();
    out.add_array("label_odour", &odour).unwrap();
    out
}

/// `tensors/session-01.npz`, …
pub(crate) fn tensors(here: &Path, days: &[Day]) {
    fs::create_dir_all(here.join("tensors")).unwrap();
    for (k, day) in days.iter().enumerate() {
        let path = here.join(format!("tensors/session-{:02}.npz", k + 1));
        tensor_file(&path, day).finish().unwrap();
    }
}

/// `day1/suite2p/plane0`, …, `trials1.csv`, … and `tracks.csv`.
pub(crate) fn suite2p(here: &Path, days: &[Day]) {
    let mut tracks = String::from("cell,session,roi,state,p_same\n");
    for (k, day) in days.iter().enumerate() {
        let plane = here.join(format!("day{}/suite2p/plane0", k + 1));
        fs::create_dir_all(&plane).unwrap();
        let save = |name: &str, array: &Array2<f32>| {
            array
                .write_npy(File::create(plane.join(name)).unwrap())
                .unwrap();
        };
        save("spks.npy", &day.activity);
        save("F.npy", &day.activity.mapv(|v| v + 100.0));
        save("Fneu.npy", &Array2::from_elem(day.activity.dim(), 5.0));
        for (roi, cell) in day.cell.iter().enumerate() {
            writeln!(tracks, "{cell},{k},{roi},matched,1").unwrap();
        }
        trials(here, k, day);
    }
    fs::write(here.join("tracks.csv"), tracks).unwrap();
}

/// `trials1.csv`: besides the odour a text, a laser, a lick and a measurement.
pub(crate) fn trials(here: &Path, k: usize, day: &Day) {
    let mut table = String::from("onset_s,odour,note,laser,lick_s,speed\n");
    for (trial, (onset, odour)) in day.onset_s.iter().zip(&day.odour).enumerate() {
        let laser = if trial % 10 == 9 { "on" } else { "off" };
        let lick = if trial % 5 == 4 {
            String::new()
        } else {
            format!("{}", onset + 1.0)
        };
        writeln!(
            table,
            "{onset},{odour},note {trial},{laser},{lick},{trial}.5"
        )
        .unwrap();
    }
    fs::write(here.join(format!("trials{}.csv", k + 1)), table).unwrap();
}

/// `day1.nwb`, …: on clocks that do not start at 0, one by times, one by rate.
pub(crate) fn nwb(here: &Path, days: &[Day]) {
    for (k, day) in days.iter().enumerate() {
        fs::write(
            here.join(format!("day{}.nwb", k + 1)),
            nwb_bytes(day, k == 0),
        )
        .unwrap();
    }
}

pub(crate) fn nwb_bytes(day: &Day, stamped: bool) -> Vec<u8> {
    let typed = |name: &str| AttrValue::String(name.into());
    let (rois, frames) = day.activity.dim();
    let mut file = FileBuilder::new();
    let mut processing = file.create_group("processing");
    let mut ophys = processing.create_group("ophys");
    ophys.set_attr("neurodata_type", typed("ProcessingModule"));
    for (name, offset) in [("Deconvolved", 0.0), ("Fluorescence", 100.0)] {
        let mut container = ophys.create_group(name);
        container.set_attr("neurodata_type", typed("Fluorescence"));
        let mut series = container.create_group("plane0");
        series.set_attr("neurodata_type", typed("RoiResponseSeries"));
        let values: Vec<f32> = day.activity.t().iter().map(|v| v + offset).collect();
        series
            .create_dataset("data")
            .with_f32_data(&values)
            .with_shape(&[frames as u64, rois as u64])
            .set_attr("conversion", AttrValue::F64(1.0));
        series
            .create_dataset("rois")
            .with_i64_data(&(0..rois as i64).collect::<Vec<_>>());
        if stamped {
            let times: Vec<f64> = (0..frames).map(|t| 7.0 + t as f64 / RATE).collect();
            series.create_dataset("timestamps").with_f64_data(&times);
        } else {
            series
                .create_dataset("starting_time")
                .with_f64_data(&[7.0])
                .with_shape(&[])
                .set_attr("rate", AttrValue::F64(RATE));
        }
        container.add_group(series.finish());
        ophys.add_group(container.finish());
    }
    let mut images = ophys.create_group("ImageSegmentation");
    images.set_attr("neurodata_type", typed("ImageSegmentation"));
    let mut table = images.create_group("PlaneSegmentation");
    table.set_attr("neurodata_type", typed("PlaneSegmentation"));
    table.create_dataset("cell_id").with_i64_data(&day.cell);
    let area: Vec<&str> = day
        .cell
        .iter()
        .map(|c| if c % 2 == 0 { "M2" } else { "RSA" })
        .collect();
    table.create_dataset("area").with_vlen_strings(&area);
    images.add_group(table.finish());
    ophys.add_group(images.finish());
    processing.add_group(ophys.finish());
    file.add_group(processing.finish());
    let mut intervals = file.create_group("intervals");
    let mut trials = intervals.create_group("trials");
    let start: Vec<f64> = day.onset_s.iter().map(|t| t + 7.0).collect();
    trials.create_dataset("start_time").with_f64_data(&start);
    trials.create_dataset("odour").with_i64_data(&day.odour);
    let word: Vec<&str> = day
        .odour
        .iter()
        .map(|o| ["go", "nogo"][*o as usize])
        .collect();
    trials.create_dataset("word").with_vlen_strings(&word);
    trials
        .create_dataset("id")
        .with_i64_data(&(0..TRIALS as i64).collect::<Vec<_>>());
    intervals.add_group(trials.finish());
    file.add_group(intervals.finish());
    file.finish().unwrap()
}

/// An experiment of three sessions; `{n}` in `session` is their number.
pub(crate) fn experiment(here: &Path, name: &str, head: &str, session: &str, tail: &str) {
    let mut text = format!("[experiment]\nname = \"x\"\n{head}\n");
    for n in 1..=3 {
        let day = 2 * n - 1;
        let session = session.replace("{n}", &n.to_string());
        write!(text, "[[session]]\nday = {day}\n{session}\n").unwrap();
    }
    text += "[epochs]\nall = [0.0, 3.0]\n";
    fs::write(here.join(name), text + tail).unwrap();
}

/// Few resamples, so that tests are quick.
pub(crate) const QUICK: &str =
    "[drift]\nvariables = [\"odour\"]\nbootstrap = 20\npermutations = 20\n";
