//! Files with wrong bytes: they are refused or read, but never worse.

use std::path::Path;

use hdf5_pure::{AttrValue, FileBuilder};
use ndarray::{Array0, Array1, Array3};
use ndarray_npy::NpzWriter;
use proptest::prelude::*;

use super::recording::Making;
use super::{nwb, tensor};
use crate::config::{Deconvolve, Drift, Nwb, Trace};

fn tensor_bytes() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut file = NpzWriter::new(&mut bytes);
    let activity = Array3::<f32>::ones((2, 3, 4));
    file.add_array("activity", &activity).unwrap();
    file.add_array("cell", &Array1::from(vec![1_i64, 2, 3]))
        .unwrap();
    file.add_array("time_s", &Array1::from(vec![0.0, 0.1, 0.2, 0.3]))
        .unwrap();
    file.add_array("day", &Array0::from_elem((), 1.0)).unwrap();
    file.add_array("label_odour", &Array1::from(vec![0_i32, 1]))
        .unwrap();
    file.finish().unwrap();
    bytes.into_inner()
}

fn nwb_bytes() -> Vec<u8> {
    let typed = |name: &str| AttrValue::String(name.into());
    let mut file = FileBuilder::new();
    let mut processing = file.create_group("processing");
    let mut delta = processing.create_group("DfOverF");
    delta.set_attr("neurodata_type", typed("DfOverF"));
    let mut series = delta.create_group("series");
    series.set_attr("neurodata_type", typed("RoiResponseSeries"));
    series
        .create_dataset("data")
        .with_f32_data(&[0.5; 40])
        .with_shape(&[20, 2]);
    let times: Vec<f64> = (0..20).map(f64::from).collect();
    series.create_dataset("timestamps").with_f64_data(&times);
    delta.add_group(series.finish());
    processing.add_group(delta.finish());
    let mut table = processing.create_group("PlaneSegmentation");
    table.set_attr("neurodata_type", typed("PlaneSegmentation"));
    table.create_dataset("cell_id").with_i64_data(&[4, 7]);
    processing.add_group(table.finish());
    file.add_group(processing.finish());
    let mut intervals = file.create_group("intervals");
    let mut trials = intervals.create_group("trials");
    trials
        .create_dataset("start_time")
        .with_f64_data(&[1.0, 9.0]);
    trials
        .create_dataset("odour")
        .with_vlen_strings(&["A", "B"]);
    intervals.add_group(trials.finish());
    file.add_group(intervals.finish());
    file.finish().unwrap()
}

fn read_nwb(path: &Path) -> Result<(), crate::Error> {
    let (trace, deconvolve) = (Trace::default(), Deconvolve::default());
    let drift = Drift {
        activity: "dff".into(),
        ..Drift::default()
    };
    let making = Making {
        trace: &trace,
        deconvolve: &deconvolve,
        drift: &drift,
        frame_rate: None,
    };
    let recording = nwb::read(path, &Nwb::default(), &making)?;
    assert_eq!(recording.rois(), recording.visible.len());
    nwb::read_trials(path, &Nwb::default(), None).map(|_| ())
}

#[test]
fn what_is_whole_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, tensor_bytes()).unwrap();
    let (session, labels) = tensor::read(&path).unwrap();
    assert_eq!(session.cell, [1, 2, 3]);
    assert_eq!(labels["odour"], ["0", "1"]);
    std::fs::write(&path, nwb_bytes()).unwrap();
    read_nwb(&path).unwrap();
    let (_, trials) = nwb::read_trials(&path, &Nwb::default(), None)
        .unwrap()
        .unwrap();
    assert_eq!(trials.columns["odour"], ["A", "B"]);
    assert_eq!(trials.onset_s, [1.0, 9.0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_an_error_at_worst(
        places in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..6),
        end in prop::option::of(0.0..1.0_f64),
        of_nwb in any::<bool>(),
    ) {
        let mut bytes = if of_nwb { nwb_bytes() } else { tensor_bytes() };
        for (place, value) in places {
            let at = (place * bytes.len() as f64) as usize;
            bytes[at] = value;
        }
        if let Some(end) = end {
            bytes.truncate((end * bytes.len() as f64) as usize);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, &bytes).unwrap();
        let error = if of_nwb { read_nwb(&path).err() } else { tensor::read(&path).err() };
        if let Some(error) = error {
            prop_assert_eq!(error.exit_code(), 3);
            let name = path.display().to_string();
            prop_assert!(error.to_string().contains(&name), "{error}");
        }
    }
}
