//! A fit that is broken off goes on where it stopped, and nothing tells.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use common::{courses, movie, noise, spot, volume};
use fluorspar_denoise::{Blocks, Denoiser, Error, LowRank, Parameters};
use fluorspar_movie::{
    Budget, Checkpoints, MemoryCheckpoints, Movie, MovieShape, PixelType, silent,
};
use proptest::prelude::*;

/// Cells of 20 frames' decay in noise, `(frame, y, x)`.
fn cells(frames: usize, height: usize, width: usize) -> ndarray::Array3<f32> {
    let mut data = noise(frames, height, width, 3);
    for (k, course) in courses(6, frames, 20.0, 5).iter().enumerate() {
        let (y, x) = (6.0 * k as f32 + 4.0, 5.0 * k as f32 + 5.0);
        for ((t, i, j), value) in data.indexed_iter_mut() {
            *value += 3.0 * course[t] * spot(y, x, 3.0, (i, j));
        }
    }
    data
}

fn denoiser(planes: usize) -> Denoiser {
    let blocks = Blocks { planes, side: 16 };
    let parameters = Parameters {
        blocks,
        ..Parameters::default()
    };
    Denoiser::new(parameters).unwrap()
}

/// Counts the frames that are read.
struct Counted<M>(M, AtomicUsize);

impl<M: Movie> Movie for Counted<M> {
    fn shape(&self) -> MovieShape {
        self.0.shape()
    }
    fn pixel_type(&self) -> PixelType {
        self.0.pixel_type()
    }
    fn read(&self, frames: Range<usize>, into: &mut [f32]) -> Result<(), fluorspar_movie::Error> {
        self.1.fetch_add(frames.len(), Ordering::Relaxed);
        self.0.read(frames, into)
    }
    fn read_native(&self, _: Range<usize>, _: &mut [u8]) -> Result<(), fluorspar_movie::Error> {
        Err(fluorspar_movie::Error::misuse("not asked for here"))
    }
}

/// Keeps pieces where a test can get at them.
#[derive(Default)]
struct Pieces(Mutex<BTreeMap<String, Vec<u8>>>);

impl Checkpoints for Pieces {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, fluorspar_movie::Error> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }
    fn keep(&self, name: &str, piece: &[u8]) -> Result<(), fluorspar_movie::Error> {
        self.0.lock().unwrap().insert(name.into(), piece.into());
        Ok(())
    }
}

/// A fit with some number of threads, and what its progress adds up to.
fn fit(
    denoiser: &Denoiser,
    movie: &dyn Movie,
    (bytes, threads): (usize, usize),
    kept: &dyn Checkpoints,
) -> (Result<LowRank, Error>, u64) {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let done = AtomicU64::new(0);
    let progress = |frames| {
        done.fetch_add(frames, Ordering::Relaxed);
    };
    let budget = Budget { bytes };
    let result = pool.install(|| denoiser.fit_resumable(movie, budget, kept, &progress));
    (result, done.into_inner())
}

/// Budgets from one part of the blocks in each pass to all in one, and threads.
const MACHINES: [(usize, usize); 4] = [(1 << 30, 1), (0, 2), (12 << 20, 3), (1 << 22, 1)];

/// Stops after every `pieces` pieces until the fit is done.
fn broken_off(denoiser: &Denoiser, movie: &dyn Movie, pieces: usize) -> (LowRank, usize) {
    let kept = MemoryCheckpoints::default();
    let frames = movie.shape().frames as u64;
    for attempt in 0.. {
        kept.stop_after(Some(pieces));
        let before = kept.names().len();
        let machine = MACHINES[attempt % MACHINES.len()];
        let (result, progress) = fit(denoiser, movie, machine, &kept);
        match result {
            Ok(lowrank) => {
                assert_eq!(progress, frames);
                return (lowrank, kept.names().len());
            }
            Err(Error::Movie(fluorspar_movie::Error::Stopped)) => {
                assert!(kept.names().len() >= before + pieces);
                assert!(progress <= frames);
            }
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!()
}

#[test]
fn stopped_after_any_number_of_pieces_the_result_is_the_same() {
    let data = cells(2500, 40, 44);
    let flat = movie(data.clone());
    let volumes = volume(data.into_shape_with_order((1250, 2, 40, 44)).unwrap());
    for (movie, planes, lines, runs) in [
        (&flat as &dyn Movie, 1, 4, 3),
        (&volumes, 1, 8, 2),
        (&volumes, 2, 4, 2),
    ] {
        let denoiser = denoiser(planes);
        let through = denoiser.fit(movie, Budget::default(), &silent).unwrap();
        assert!(through.rank() >= 6);
        for pieces in 1..=lines + runs {
            let (resumed, kept) = broken_off(&denoiser, movie, pieces);
            assert!(resumed == through, "{planes} planes, {pieces} pieces");
            // A line of blocks each, and a run of at most 1024 frames each.
            assert_eq!(kept, lines + runs);
        }
    }
}

#[test]
fn pieces_are_the_same_on_every_machine_and_spare_all_reading() {
    let movie = Counted(movie(cells(1100, 40, 44)), AtomicUsize::new(0));
    let denoiser = denoiser(1);
    let mut first: Option<(LowRank, BTreeMap<String, Vec<u8>>)> = None;
    for machine in MACHINES {
        let kept = Pieces::default();
        let lowrank = fit(&denoiser, &movie, machine, &kept).0.unwrap();
        movie.1.store(0, Ordering::Relaxed);
        let (again, progress) = fit(&denoiser, &movie, machine, &kept);
        assert!(again.unwrap() == lowrank);
        assert_eq!(progress, 1100);
        assert_eq!(movie.1.load(Ordering::Relaxed), 0);
        let pieces = kept.0.into_inner().unwrap();
        let (expected, same) = first.get_or_insert_with(|| (lowrank.clone(), pieces.clone()));
        assert!(lowrank == *expected);
        assert!(pieces == *same);
    }
}

#[test]
fn a_store_that_fails_ends_the_work_with_its_error() {
    struct Full;
    impl Checkpoints for Full {
        fn keep(&self, name: &str, _: &[u8]) -> Result<(), fluorspar_movie::Error> {
            Err(fluorspar_movie::Error::io(
                name,
                std::io::ErrorKind::StorageFull.into(),
            ))
        }
    }
    let movie = movie(cells(100, 40, 44));
    for machine in MACHINES {
        let error = fit(&denoiser(1), &movie, machine, &Full).0.unwrap_err();
        assert!(matches!(
            error,
            Error::Movie(fluorspar_movie::Error::Io { .. })
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Pieces that were cut, grew, changed places or say something else are made again.
    #[test]
    fn damaged_pieces_are_made_again(which in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u32..8, kind in 0..6) {
        let movie = movie(cells(1100, 40, 44));
        let kept = Pieces::default();
        let denoiser = denoiser(1);
        let machine = MACHINES[0];
        let lowrank = fit(&denoiser, &movie, machine, &kept).0.unwrap();
        let whole = kept.0.lock().unwrap().clone();
        let names: Vec<&String> = whole.keys().collect();
        let name = *which.get(&names);
        let mut piece = whole[name].clone();
        match kind {
            0 => piece.truncate(at.index(piece.len())),
            1 => piece.push(0),
            2 => piece.clone_from(&whole[*other.get(&names)]),
            // The mark and the first words, which say what it is of.
            3 => piece[at.index(32)] ^= 1 << bit,
            4 => piece.fill(0xff),
            _ => {
                let end = piece.len();
                piece[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
            }
        }
        kept.0.lock().unwrap().insert(name.clone(), piece);
        prop_assert!(fit(&denoiser, &movie, machine, &kept).0.unwrap() == lowrank);
        prop_assert!(*kept.0.lock().unwrap() == whole);
    }
}
