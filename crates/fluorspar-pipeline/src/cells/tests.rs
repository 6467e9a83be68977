use std::path::PathBuf;

use fluorspar_deconvolve::Oasis;
use fluorspar_denoise::{Denoiser, LowRank};
use fluorspar_movie::{ArrayMovie, ImageOrder, MemoryCheckpoints, MovieShape, Volumes, silent};
use fluorspar_segment::{Detector, Evidence, Merge, Segmentation, merge_planes};
use fluorspar_trace::{
    NeuropilParameters, Overlaps, Traces, Valid, annuli, extract, measure_with,
    neuropil_coefficients, subtract_neuropil,
};
use ndarray::{Array2, Array3};
use serde_json::json;

use super::*;
use crate::RoiTraces;
use crate::artefact::{Provenance, write_lowrank};

const FRAMES: usize = 700;
const SIDE: usize = 48;
const RATE: f64 = 10.0;

/// A recording and its denoised version on disk.
struct Recording {
    movie: Box<dyn Movie>,
    lowrank: LowRank,
    folder: tempfile::TempDir,
}

/// Numbers that look random, from 0 to 1.
fn hash(mut seed: u64) -> f32 {
    seed = (seed ^ (seed >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    seed = (seed ^ (seed >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d);
    ((seed ^ (seed >> 33)) >> 40) as f32 / (1 << 24) as f32
}

/// Discs that overlap, some of them going through all planes, in neuropil and
/// noise.
fn recording(planes: usize) -> Recording {
    let cells: Vec<(f32, f32, usize)> = (0..14_u16)
        .map(|k| {
            let (row, column) = (k / 4, k % 4);
            let place = |v: u16| 7.0 + 9.0 * f32::from(v);
            (place(row), place(column), usize::from(k) % (planes + 1))
        })
        .collect();
    let calcium: Vec<Vec<f32>> = (0..cells.len() as u64)
        .map(|cell| {
            let mut level = 0.0;
            let mut trace = Vec::with_capacity(FRAMES);
            for t in 0..FRAMES as u64 {
                level *= 0.9;
                if hash(cell * 10_007 + t) < 0.02 {
                    level += 1.0 + hash(cell * 77 + t);
                }
                trace.push(level);
            }
            trace
        })
        .collect();
    let images = Array3::from_shape_fn((planes * FRAMES, SIDE, SIDE), |(image, y, x)| {
        let (t, plane) = (image / planes, image % planes);
        let around = 8.0 * (t as f32 / 23.0).sin() + 8.0 * (t as f32 / 91.0).cos();
        let noise: f32 = (0..4)
            .map(|k| hash((image * SIDE * SIDE + y * SIDE + x) as u64 * 4 + k))
            .sum();
        let light: f32 = cells
            .iter()
            .zip(&calcium)
            .filter(|((_, _, home), _)| *home == plane || *home == planes)
            .map(|((cy, cx, _), trace)| {
                let apart = (y as f32 - cy).hypot(x as f32 - cx);
                if apart < 5.5 {
                    25.0 * (1.0 + trace[t])
                } else {
                    0.0
                }
            })
            .sum();
        100.0 + around + light + 12.0 * (noise - 2.0)
    });
    let order = ImageOrder {
        first: 0,
        frame_step: planes,
        plane_step: 1,
    };
    let movie = Volumes::new(ArrayMovie::new(images), FRAMES, planes, order).unwrap();
    let parameters = fluorspar_denoise::Parameters::default();
    let lowrank = Denoiser::new(parameters.clone())
        .unwrap()
        .fit(&movie, Budget::default(), &silent)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let provenance = Provenance {
        parameters: &parameters,
        input: json!({}),
    };
    write_lowrank(
        &folder.path().join("lowrank.zarr"),
        &lowrank,
        &provenance,
        None,
    )
    .unwrap();
    Recording {
        movie: Box::new(movie),
        lowrank,
        folder,
    }
}

/// One way of making traces.
fn way(source: &str, overlaps: &str) -> Trace {
    Trace {
        source: source.into(),
        overlaps: overlaps.into(),
        ..Trace::default()
    }
}

struct Ask<'a> {
    trace: &'a Trace,
    given: &'a Footprints,
    length: fn(usize, usize) -> usize,
    bytes: usize,
}

fn settings<'a>(ask: &Ask<'a>, deconvolve: &'a Deconvolve) -> Settings<'a> {
    Settings {
        parameters: Parameters::of(Class::Soma, 11.0),
        trace: ask.trace,
        deconvolve,
        pixel_size_um: 2.0,
        given: ask.given,
    }
}

impl Recording {
    fn find(&self, name: &str, ask: &Ask<'_>, kept: &dyn Checkpoints) -> Result<PathBuf, Error> {
        let out = self.folder.path().join(name);
        let lowrank = StoredLowRank::open(&self.folder.path().join("lowrank.zarr"))?;
        let movies = Movies {
            movie: &*self.movie,
            lowrank: &lowrank,
            frame_rate: RATE,
        };
        let deconvolve = Deconvolve::default();
        let settings = settings(ask, &deconvolve);
        let budget = Budget { bytes: ask.bytes };
        find_in_panels(&movies, &settings, &out, ask.length, budget, kept, &())?;
        Ok(out)
    }

    fn given(&self) -> Footprints {
        let planes = self.movie.shape().planes as u32;
        let mut given = Footprints::new(SIDE, SIDE);
        for plane in (0..planes).rev() {
            let pixels: Vec<u32> = (0..6)
                .flat_map(|y| (0..6).map(move |x| (y + 36) * 48 + x + 35))
                .collect();
            given.push(&pixels, &[1.0; 36], plane).unwrap();
        }
        given
    }
}

/// Names below a folder and what the files hold.
fn bytes_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                out.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

#[track_caller]
fn assert_same(first: &Path, second: &Path) {
    let (first, second) = (bytes_below(first), bytes_below(second));
    let names =
        |all: &[(String, Vec<u8>)]| -> Vec<String> { all.iter().map(|f| f.0.clone()).collect() };
    assert_eq!(names(&first), names(&second));
    let differ: Vec<&String> = first
        .iter()
        .zip(&second)
        .filter(|(a, b)| a.1 != b.1)
        .map(|(a, _)| &a.0)
        .collect();
    assert!(differ.is_empty(), "{differ:?}");
}

const SHORT: fn(usize, usize) -> usize = |_, _| 256;
const LONG: fn(usize, usize) -> usize = panels::panel_frames;

#[test]
fn bytes_depend_neither_on_the_budget_nor_on_threads_nor_on_panels() {
    for planes in [1, 3] {
        let recording = recording(planes);
        let given = recording.given();
        for (k, (source, overlaps)) in [
            ("denoised", "demix"),
            ("registered", "demix"),
            ("denoised", "leave-out"),
            ("registered", "leave-out"),
        ]
        .into_iter()
        .enumerate()
        {
            let trace = way(source, overlaps);
            let ask = |length, bytes| Ask {
                trace: &trace,
                given: &given,
                length,
                bytes,
            };
            let roomy = recording
                .find(&format!("roomy-{k}"), &ask(LONG, 1 << 40), &())
                .unwrap();
            let alone = rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .build()
                .unwrap();
            let tight = alone.install(|| {
                recording
                    .find(&format!("tight-{k}"), &ask(SHORT, 0), &())
                    .unwrap()
            });
            assert_same(&roomy, &tight);
            let rois = Rois::read(&roomy).unwrap();
            // More than one batch, panel and group.
            assert!(rois.footprints.len() > memory::batch(FRAMES, Budget { bytes: 0 }));
            assert!(rois.cells().len() >= 10);
            if planes > 1 {
                let cells: std::collections::BTreeSet<i32> = rois.cell.iter().copied().collect();
                assert!(cells.len() < rois.cell.len());
            }
        }
    }
}

#[test]
fn work_that_is_broken_off_goes_on_where_it_stopped() {
    for planes in [1, 2] {
        let recording = recording(planes);
        let (trace, given) = (Trace::default(), recording.given());
        let ask = Ask {
            trace: &trace,
            given: &given,
            length: SHORT,
            bytes: 0,
        };
        let whole = recording.find("whole", &ask, &()).unwrap();
        let kept = MemoryCheckpoints::default();
        let mut stops = 0;
        let broken = loop {
            kept.stop_after(Some(1));
            match recording.find("broken", &ask, &kept) {
                Ok(path) => break path,
                Err(Error::Stopped) => stops += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(!recording.folder.path().join("broken").exists());
        };
        assert_same(&whole, &broken);
        // Footprints of each plane, and 700 frames.
        assert_eq!(stops, planes + 3);
        assert_eq!(kept.names().len(), stops);
        kept.stop_after(Some(1));
        let again = recording.find("again", &ask, &kept).unwrap();
        assert_same(&whole, &again);
        // A piece of another size is made again, and so is one that is damaged.
        for name in kept.names() {
            kept.keep(&name, b"damage").ok();
        }
        kept.stop_after(None);
        let again = recording.find("damaged", &ask, &kept).unwrap();
        assert_same(&whole, &again);
    }
}

/// Everything at once, all arrays in memory, by the crates' own front doors.
struct AtOnce {
    found: Segmentation,
    cell: Vec<i32>,
    f: Array2<f32>,
    own: Array2<f32>,
    dff: Array2<f32>,
    events: Array2<f32>,
}

fn at_once(recording: &Recording, ask: &Ask<'_>) -> AtOnce {
    let (movie, lowrank) = (&*recording.movie, &recording.lowrank);
    let found = Detector::new(Parameters::of(Class::Soma, 11.0))
        .unwrap()
        .detect_beside(lowrank, ask.given, RATE, Budget::default(), &silent)
        .unwrap();
    let footprints = &found.footprints;
    let rings = NeuropilParameters::default();
    let raw = extract(
        movie,
        footprints,
        &Valid::everywhere(),
        &rings,
        Budget::default(),
        &silent,
    )
    .unwrap();
    let overlaps = Overlaps::new(footprints);
    let parameters = trace_parameters(ask.trace);
    let coefficients = neuropil_coefficients(
        raw.f.view(),
        raw.neuropil.view(),
        &parameters.coefficient,
        RATE,
    )
    .unwrap();
    let f = raw.f.clone();
    let mut clean = subtract_neuropil(f.view(), raw.neuropil.view(), &coefficients.values).unwrap();
    let projections = lowrank.project(footprints).unwrap();
    let mut means = projections.clone();
    for (mut row, &sum) in means.rows_mut().into_iter().zip(overlaps.sums()) {
        row.mapv_inplace(|v| (f64::from(v) / sum) as f32);
    }
    let mut neuropil = Array2::zeros(f.dim());
    for (roi, ring) in annuli(footprints, &rings).unwrap().iter().enumerate() {
        let mut mask = Footprints::new(SIDE, SIDE);
        mask.push(
            &ring.indices,
            &vec![1.0; ring.indices.len()],
            footprints.planes()[roi],
        )
        .unwrap();
        let sums = lowrank.project(&mask).unwrap();
        neuropil
            .row_mut(roi)
            .assign(&sums.row(0).mapv(|v| v / ring.indices.len() as f32));
    }
    let traces = Traces {
        f: means,
        neuropil,
        projections,
        ..raw
    };
    let measured = measure_with(traces, coefficients, &overlaps, &parameters, RATE).unwrap();
    clean.zip_mut_with(&measured.delta.f0, |f, &f0| *f = (*f - f0) / f0);
    let dff = measured.delta.dff;
    let oasis = Oasis::new(fluorspar_deconvolve::Parameters {
        frame_rate: Some(RATE),
        ..fluorspar_deconvolve::Parameters::default()
    })
    .unwrap();
    let kernels = oasis.learn(clean.view()).unwrap().kernels(dff.nrows());
    let mut events = Array2::zeros(dff.dim());
    oasis
        .deconvolve_block(dff.view(), &kernels, events.view_mut())
        .unwrap();
    let merge = Merge {
        pixel_um: 2.0,
        ..Merge::default()
    };
    let mut cell = vec![-1; dff.nrows()];
    let merged = merge_planes(footprints, dff.view(), &merge).unwrap();
    for (k, group) in merged.iter().enumerate() {
        for &roi in &group.rois {
            cell[roi] = k as i32;
        }
    }
    AtOnce {
        found,
        cell,
        f,
        own: measured.corrected,
        dff,
        events,
    }
}

#[test]
fn pieces_come_to_what_everything_at_once_comes_to() {
    for planes in [1, 3] {
        let recording = recording(planes);
        let (trace, given) = (way("denoised", "demix"), recording.given());
        let ask = Ask {
            trace: &trace,
            given: &given,
            length: SHORT,
            bytes: 0,
        };
        let expected = at_once(&recording, &ask);
        let path = recording.find("pieces", &ask, &()).unwrap();
        let rois = Rois::read(&path).unwrap();
        assert_eq!(rois.footprints, expected.found.footprints);
        assert_eq!(rois.activity_image, expected.found.activity_image);
        let is_cell: Vec<bool> = expected
            .found
            .evidence
            .iter()
            .map(Evidence::is_cell)
            .collect();
        assert_eq!(rois.is_cell, is_cell);
        let stored = RoiTraces::open(&path).unwrap();
        assert_eq!(stored.all("F").unwrap(), expected.f);
        assert_eq!(stored.all("F_demixed").unwrap(), expected.own);
        assert_eq!(stored.all("dff").unwrap(), expected.dff);
        assert_eq!(stored.all("events").unwrap(), expected.events);
        assert_eq!(rois.cell, expected.cell);
        // Some of them, in any order.
        let picked = stored.pick("dff", &[5, 2]).unwrap();
        assert_eq!(picked, expected.dff.select(ndarray::Axis(0), &[5, 2]));
    }
}

#[test]
fn a_movie_without_cells_has_an_empty_table() {
    let images = Array3::from_shape_fn((300, 16, 16), |(t, y, x)| {
        100.0 + 10.0 * hash((t * 256 + y * 16 + x) as u64)
    });
    let movie = ArrayMovie::new(images);
    let parameters = fluorspar_denoise::Parameters::default();
    let lowrank = Denoiser::new(parameters.clone())
        .unwrap()
        .fit(&movie, Budget::default(), &silent)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lowrank.zarr");
    let provenance = Provenance {
        parameters: &parameters,
        input: json!({}),
    };
    write_lowrank(&path, &lowrank, &provenance, None).unwrap();
    let lowrank = StoredLowRank::open(&path).unwrap();
    assert_eq!(lowrank.shape(), MovieShape::new(300, 1, 16, 16));
    let movies = Movies {
        movie: &movie,
        lowrank: &lowrank,
        frame_rate: RATE,
    };
    let trace = Trace::default();
    let given = Footprints::new(16, 16);
    let ask = Ask {
        trace: &trace,
        given: &given,
        length: LONG,
        bytes: 1 << 20,
    };
    let deconvolve = Deconvolve::default();
    let out = folder.path().join("rois.zarr");
    let settings = settings(&ask, &deconvolve);
    let (rois, _) = find(&movies, &settings, &out, Budget { bytes: 0 }, &(), &()).unwrap();
    assert!(rois.footprints.is_empty());
    assert_eq!(Rois::read(&out).unwrap(), rois);
    assert_eq!(RoiTraces::open(&out).unwrap().frames(), 300);
}
