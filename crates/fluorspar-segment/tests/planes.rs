//! Cells of a volume that are known.

use fluorspar_movie::Footprints;
use fluorspar_segment::{Cell, Error, Merge, merge_planes};
use ndarray::{Array2, ArrayView1, Axis, s};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

const SIDE: usize = 200;

/// ROIs of planted somata, and the soma of each.
struct Volume {
    footprints: Footprints,
    traces: Array2<f32>,
    soma: Vec<usize>,
}

/// Somata at random places in eight planes, each seen in one to `longest` of
/// them. A ROI sees its soma at a brightness of its own, the neuropil that its
/// quarter of the field shares, of the strength given, and noise of its own.
#[derive(Clone, Copy)]
struct Draw {
    somata: usize,
    longest: u32,
    frames: usize,
    noise: f64,
    neuropil: f64,
    seed: u64,
}

impl Default for Draw {
    fn default() -> Self {
        Self {
            somata: 300,
            longest: 4,
            frames: 1500,
            noise: 0.3,
            neuropil: 0.25,
            seed: 1,
        }
    }
}

fn volume(draw: Draw) -> Volume {
    let Draw {
        somata,
        longest,
        frames,
        noise,
        seed,
        ..
    } = draw;
    let planes = 8;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let course = |rng: &mut ChaCha8Rng, rate: f64, keep: f64| -> Vec<f64> {
        let spikes = Poisson::new(rate).unwrap();
        let mut level = 0.0;
        (0..frames)
            .map(|_| {
                level = keep * level + spikes.sample(rng);
                level
            })
            .collect()
    };
    // A slow neuropil for each quarter of the field, of variance about one.
    let neuropil: Vec<Vec<f64>> = (0..4).map(|_| course(&mut rng, 0.1, 0.95)).collect();
    let mut footprints = Footprints::new(SIDE, SIDE);
    let (mut rows, mut soma) = (Vec::new(), Vec::new());
    for index in 0..somata {
        let (y, x) = (
            rng.random_range(8.0..SIDE as f64 - 8.0),
            rng.random_range(8.0..SIDE as f64 - 8.0),
        );
        let span = rng.random_range(1..=longest);
        let first = rng.random_range(0..planes);
        let activity = course(&mut rng, 0.02, 0.9);
        for plane in first..(first + span).min(planes) {
            let (y, x) = (
                y + rng.random_range(-1.0..1.0),
                x + rng.random_range(-1.0..1.0),
            );
            disc(&mut footprints, y, x, plane);
            let bright = rng.random_range(1.0..2.0);
            let quarter = usize::from(y > 100.0) * 2 + usize::from(x > 100.0);
            for t in 0..frames {
                let own: f64 = StandardNormal.sample(&mut rng);
                let value =
                    bright * activity[t] + draw.neuropil * neuropil[quarter][t] + noise * own;
                rows.push(value as f32);
            }
            soma.push(index);
        }
    }
    Volume {
        traces: Array2::from_shape_vec((soma.len(), frames), rows).unwrap(),
        footprints,
        soma,
    }
}

fn disc(footprints: &mut Footprints, y: f64, x: f64, plane: u32) {
    let pixels: Vec<u32> = (0..SIDE * SIDE)
        .filter(|p| ((p / SIDE) as f64 - y).hypot((p % SIDE) as f64 - x) < 3.5)
        .map(|p| p as u32)
        .collect();
    footprints
        .push(&pixels, &vec![1.0; pixels.len()], plane)
        .unwrap();
}

/// Of ROIs in adjacent planes of one soma, the share that is merged; and how
/// many ROIs share a cell with one of another soma.
fn score(volume: &Volume, cells: &[Cell]) -> (f64, usize) {
    let mut cell_of = vec![usize::MAX; volume.soma.len()];
    for (index, cell) in cells.iter().enumerate() {
        for &roi in &cell.rois {
            assert_eq!(cell_of[roi], usize::MAX, "a ROI is in two cells");
            cell_of[roi] = index;
        }
    }
    assert!(cell_of.iter().all(|&cell| cell < cells.len()));
    let pairs: Vec<bool> = volume
        .soma
        .windows(2)
        .zip(cell_of.windows(2))
        .filter(|(soma, _)| soma[0] == soma[1])
        .map(|(_, cell)| cell[0] == cell[1])
        .collect();
    let merged = pairs.iter().filter(|&&merged| merged).count();
    let wrong = cells
        .iter()
        .map(|cell| {
            let foreign = |roi: &&usize| volume.soma[**roi] != volume.soma[cell.rois[0]];
            cell.rois.iter().filter(foreign).count()
        })
        .sum();
    (merged as f64 / pairs.len() as f64, wrong)
}

#[test]
fn planted_somata_are_one_cell_each() {
    // The traces' own correlations are far below 0.8 at the higher noise.
    for (noise, frames, least) in [(0.1, 1500, 0.97), (0.5, 1500, 0.97), (1.0, 6000, 0.9)] {
        let volume = volume(Draw {
            frames,
            noise,
            ..Draw::default()
        });
        let cells = merge_planes(&volume.footprints, volume.traces.view(), &Merge::default());
        let (merged, wrong) = score(&volume, &cells.unwrap());
        assert!(merged >= least && wrong <= 1, "{noise}: {merged} {wrong}");
    }
}

#[test]
fn shared_neuropil_alone_merges_nobody() {
    // Every soma is in one plane; neuropil is half of the variance on average,
    // and more in dim ones.
    let volume = volume(Draw {
        somata: 600,
        longest: 1,
        neuropil: 0.5,
        seed: 2,
        ..Draw::default()
    });
    let merged = |correlation: f64| {
        let parameters = Merge {
            correlation,
            chain: correlation,
            ..Merge::default()
        };
        let cells = merge_planes(&volume.footprints, volume.traces.view(), &parameters);
        volume.soma.len() - cells.unwrap().len()
    };
    assert!(merged(0.8) <= 6, "{}", merged(0.8));
    assert!(merged(0.4) >= 60, "there was nothing to be misled by");
}

/// ROIs one above the other with the traces given.
fn stack(traces: &[Vec<f32>]) -> (Footprints, Array2<f32>) {
    let mut footprints = Footprints::new(SIDE, SIDE);
    for plane in 0..traces.len() {
        disc(&mut footprints, 50.0, 60.0, plane as u32);
    }
    let flat = traces.concat();
    let traces = Array2::from_shape_vec((traces.len(), traces[0].len()), flat).unwrap();
    (footprints, traces)
}

#[test]
fn a_chain_does_not_lead_from_one_neuron_to_another() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut blurred = || -> Vec<f32> {
        let mut level = 0.0;
        (0..3000)
            .map(|_| {
                let step: f32 = StandardNormal.sample(&mut rng);
                level = 0.9 * level + step;
                level
            })
            .collect()
    };
    let (a, other) = (blurred(), blurred());
    let mix = |p: f32, a: &[f32], b: &[f32]| -> Vec<f32> {
        a.iter()
            .zip(b)
            .map(|(a, b)| (1.0 - p) * a + p * b)
            .collect()
    };
    // The two neurons correlate by about 0.5; ROIs between them see both.
    let b = mix(0.63, &a, &other);
    let (footprints, traces) = stack(&[a.clone(), mix(0.36, &a, &b), mix(0.6, &a, &b), b]);
    let cells = merge_planes(&footprints, traces.view(), &Merge::default()).unwrap();
    assert!(cells.len() >= 2, "{cells:?}");
    let ends = |cell: &Cell| cell.rois.contains(&0) && cell.rois.contains(&3);
    assert!(!cells.iter().any(ends));
    let loose = Merge {
        chain: 0.3,
        ..Merge::default()
    };
    assert_eq!(
        merge_planes(&footprints, traces.view(), &loose)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn centre_weights_and_representative_follow_brightness() {
    let wave: Vec<f32> = (0..500).map(|t| (t as f32 * 0.05).sin()).collect();
    let times = |factor: f32| wave.iter().map(|v| factor * v + 5.0).collect();
    let mut footprints = Footprints::new(SIDE, SIDE);
    disc(&mut footprints, 50.0, 64.0, 3);
    disc(&mut footprints, 40.0, 60.0, 2);
    let traces: Vec<Vec<f32>> = vec![times(3.0), times(1.0)];
    let (_, traces) = stack(&traces);
    let mut parameters = Merge {
        offsets: vec![(0.0, 0.0); 4],
        ..Merge::default()
    };
    parameters.offsets[3] = (10.0, 0.0);
    let cells = merge_planes(&footprints, traces.view(), &parameters).unwrap();
    assert_eq!(cells.len(), 1);
    assert_eq!(
        (&cells[0].rois[..], &cells[0].planes[..]),
        (&[1, 0][..], &[2, 3][..])
    );
    assert_eq!(cells[0].representative, 0);
    assert!((cells[0].weights[1] - 0.75).abs() < 0.01);
    for (found, expected) in cells[0].centre.iter().zip([2.75, 40.0, 63.0]) {
        assert!((found - expected).abs() < 0.05, "{:?}", cells[0].centre);
    }
    // Without the offsets they are 11 pixels apart: too far at 3 µm a pixel.
    let far = Merge {
        pixel_um: 3.0,
        ..Merge::default()
    };
    assert_eq!(
        merge_planes(&footprints, traces.view(), &far)
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn only_adjacent_planes_and_comparable_traces_merge() {
    let wave: Vec<f32> = (0..500).map(|t| (t as f32 * 0.05).sin()).collect();
    let (footprints, traces) = stack(&[wave.clone(), vec![f32::NAN; 500], wave.clone()]);
    let cells = merge_planes(&footprints, traces.view(), &Merge::default()).unwrap();
    assert_eq!(cells.len(), 3);
    let mut broken = wave.clone();
    broken[77] = f32::INFINITY;
    let constant = vec![0.1; 500];
    for other in [broken, constant, vec![0.0; 500], vec![f32::MAX; 500]] {
        for pair in [[wave.clone(), other.clone()], [other.clone(), other]] {
            let (footprints, traces) = stack(&pair);
            let cells = merge_planes(&footprints, traces.view(), &Merge::default()).unwrap();
            assert_eq!(cells.len(), 2);
            assert!(cells.iter().all(|cell| cell.weights == [1.0]));
        }
    }
    for frames in [0, 1, 2, 4] {
        let traces = Array2::from_shape_fn((3, frames), |(_, t)| t as f32);
        let cells = merge_planes(&footprints, traces.view(), &Merge::default()).unwrap();
        assert_eq!(cells.len(), 3, "{frames} frames prove nothing");
    }
    let none = Footprints::new(SIDE, SIDE);
    let traces = Array2::zeros((0, 5));
    assert!(
        merge_planes(&none, traces.view(), &Merge::default())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn misuse_is_refused() {
    let (footprints, traces) = stack(&[vec![0.0; 9], vec![1.0; 9]]);
    let few = traces.slice(s![..1, ..]);
    assert!(matches!(
        merge_planes(&footprints, few, &Merge::default()),
        Err(Error::Movie(_))
    ));
    let offsets = |y: f64, n: usize| Merge {
        offsets: vec![(y, 0.0); n],
        ..Merge::default()
    };
    assert!(merge_planes(&footprints, traces.view(), &offsets(0.0, 1)).is_err());
    assert!(merge_planes(&footprints, traces.view(), &offsets(f64::NAN, 2)).is_err());
    for value in [f64::NAN, -1.0, f64::INFINITY] {
        let parameters = Merge {
            distance_um: value,
            ..Merge::default()
        };
        assert!(matches!(
            parameters.validate(),
            Err(Error::Parameter { .. })
        ));
    }
}

#[test]
fn the_order_of_rois_threads_and_memory_layout_change_nothing() {
    let volume = volume(Draw {
        somata: 120,
        frames: 600,
        seed: 5,
        ..Draw::default()
    });
    let sorted = |cells: &[Cell], name: &dyn Fn(usize) -> usize| {
        let mut sets: Vec<Vec<usize>> = cells
            .iter()
            .map(|cell| cell.rois.iter().map(|&roi| name(roi)).collect())
            .collect();
        sets.sort();
        sets
    };
    let first = merge_planes(&volume.footprints, volume.traces.view(), &Merge::default()).unwrap();
    assert!(first.iter().any(|cell| cell.rois.len() > 1));
    for seed in 0..5 {
        let mut order: Vec<usize> = (0..volume.soma.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let rows: Vec<ArrayView1<'_, f32>> = order.iter().map(|&r| volume.traces.row(r)).collect();
        // Time first in memory.
        let traces = ndarray::stack(Axis(1), &rows).unwrap();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1 + seed as usize % 3)
            .build()
            .unwrap();
        let again = pool.install(|| {
            merge_planes(
                &volume.footprints.select(&order),
                traces.t(),
                &Merge::default(),
            )
        });
        assert_eq!(
            sorted(&first, &|roi| roi),
            sorted(&again.unwrap(), &|roi| order[roi])
        );
    }
}

/// As many as one light-bead recording gave: pairs of planes share their
/// somata, so half as many cells, and a few more for the odd plane and noise.
#[test]
fn as_many_rois_as_a_light_bead_recording() {
    let (rois, planes, frames) = (73_307, 30, 1000);
    let per_plane = rois / planes + 1;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut footprints = Footprints::new(448, 448);
    let places: Vec<u32> = (0..per_plane)
        .map(|_| rng.random_range(0..448 * 448))
        .collect();
    for roi in 0..rois {
        let plane = (roi / per_plane) as u32;
        footprints
            .push(&[places[roi % per_plane]], &[1.0], plane)
            .unwrap();
    }
    // Pairs of planes see the same somata.
    let mut traces = Array2::zeros((rois, frames));
    for roi in 0..rois {
        let soma = (roi / per_plane / 2 * per_plane + roi % per_plane) as u64;
        let mut own = ChaCha8Rng::seed_from_u64(soma);
        let mut level = 0.0_f32;
        for t in 0..frames {
            level = 0.9 * level + f32::from(u8::from(own.random_range(0.0..1.0) < 0.03));
            let noise: f32 = StandardNormal.sample(&mut rng);
            traces[[roi, t]] = level + 0.1 * noise;
        }
    }
    let cells = merge_planes(&footprints, traces.view(), &Merge::default()).unwrap();
    assert!(cells.len() < 38_000, "{}", cells.len());
}
