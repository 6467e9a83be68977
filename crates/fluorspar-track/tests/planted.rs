//! Cells that are known to be the same.

use fluorspar_movie::Footprints;
use fluorspar_track::{Error, Parameters, SessionRois, Tracks, track};
use ndarray::Array2;
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIDE: usize = 160;

struct Session {
    footprints: Footprints,
    image: Array2<f32>,
    /// Which planted cell each ROI is.
    cells: Vec<usize>,
}

/// Sixty cells on a jittered grid; each session shows most of them, moved as
/// a whole, jittered one by one, in random order.
fn plant(sessions: usize, seed: u64) -> Vec<Session> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut jitter = |size: f64| (rng.random::<f64>() - 0.5) * 2.0 * size;
    let centres: Vec<(f64, f64)> = (0..64)
        .map(|k| {
            let (row, column) = (f64::from(k / 8), f64::from(k % 8));
            (
                22.0 + 16.5 * row + jitter(3.0),
                22.0 + 16.5 * column + jitter(3.0),
            )
        })
        .collect();
    (0..sessions)
        .map(|session| {
            let shift = if session == 0 {
                (0.0, 0.0)
            } else {
                (jitter(7.0), jitter(7.0))
            };
            let mut order: Vec<usize> = (0..centres.len()).collect();
            let mut image = Array2::from_elem((SIDE, SIDE), 50.0_f32);
            let mut footprints = Footprints::new(SIDE, SIDE);
            let mut cells = Vec::new();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed + session as u64));
            for cell in order {
                let (y, x) = (
                    centres[cell].0 + shift.0 + jitter(0.7),
                    centres[cell].1 + shift.1 + jitter(0.7),
                );
                let seen = jitter(1.0) < 0.7;
                let (mut indices, mut weights) = (Vec::new(), Vec::new());
                for py in 0..SIDE {
                    for px in 0..SIDE {
                        let d = (py as f64 - y).hypot(px as f64 - x);
                        image[[py, px]] +=
                            100.0 * (-d * d / 12.0).exp() as f32 * (1 + cell % 3) as f32;
                        if d < 4.5 {
                            indices.push((py * SIDE + px) as u32);
                            weights.push(1.0);
                        }
                    }
                }
                if seen {
                    footprints.push(&indices, &weights, 0).unwrap();
                    cells.push(cell);
                }
            }
            Session {
                footprints,
                image,
                cells,
            }
        })
        .collect()
}

fn run(sessions: &[Session], parameters: &Parameters) -> Tracks {
    let input: Vec<SessionRois<'_>> = sessions
        .iter()
        .map(|s| SessionRois {
            footprints: &s.footprints,
            mean_image: s.image.view(),
        })
        .collect();
    track(&input, parameters).unwrap()
}

#[test]
fn planted_cells_are_matched() {
    let sessions = plant(5, 3);
    let tracks = run(
        &sessions,
        &Parameters {
            reference: 2,
            ..Parameters::default()
        },
    );
    let (mut right, mut all, mut possible) = (0, 0, 0);
    for i in 0..5 {
        for j in i + 1..5 {
            for row in tracks.roi_index.rows() {
                if row[i] >= 0 && row[j] >= 0 {
                    all += 1;
                    right += usize::from(
                        sessions[i].cells[row[i] as usize] == sessions[j].cells[row[j] as usize],
                    );
                }
            }
            possible += sessions[i]
                .cells
                .iter()
                .filter(|c| sessions[j].cells.contains(c))
                .count();
        }
    }
    assert!(right as f64 > 0.98 * f64::from(all), "{right} of {all}");
    assert!(
        right as f64 > 0.95 * possible as f64,
        "{right} of {possible}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn every_roi_is_one_cell(seed in 0_u64..1000, reference in 0_usize..3) {
        let sessions = plant(3, seed);
        let tracks = run(&sessions, &Parameters { reference, ..Parameters::default() });
        for (index, session) in sessions.iter().enumerate() {
            let mut seen: Vec<i32> = tracks.roi_index.column(index).iter().copied().filter(|&r| r >= 0).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..session.footprints.len() as i32).collect::<Vec<_>>());
        }
        for (roi, p) in tracks.roi_index.iter().zip(&tracks.p_same) {
            prop_assert_eq!(*roi >= 0, *p > 0.0);
        }
    }
}

#[test]
fn empty_and_single_sessions() {
    let mut sessions = plant(3, 1);
    sessions[1].footprints = Footprints::new(SIDE, SIDE);
    let tracks = run(&sessions, &Parameters::default());
    assert!(tracks.roi_index.column(1).iter().all(|&roi| roi == -1));
    let alone = run(&sessions[..1], &Parameters::default());
    assert_eq!(alone.roi_index.nrows(), sessions[0].footprints.len());
    for session in &mut sessions {
        session.footprints = Footprints::new(SIDE, SIDE);
    }
    assert_eq!(
        run(&sessions, &Parameters::default()).roi_index.dim(),
        (0, 3)
    );
}

#[test]
fn sessions_that_do_not_fit_are_refused() {
    let sessions = plant(1, 1);
    let small = Array2::zeros((32, 32));
    let input = [
        SessionRois {
            footprints: &sessions[0].footprints,
            mean_image: sessions[0].image.view(),
        },
        SessionRois {
            footprints: &sessions[0].footprints,
            mean_image: small.view(),
        },
    ];
    assert!(matches!(
        track(&input, &Parameters::default()),
        Err(Error::Session { session: 1, .. })
    ));
    assert!(matches!(
        track(&[], &Parameters::default()),
        Err(Error::Session { .. })
    ));
    let wrong = Parameters {
        reference: 9,
        ..Parameters::default()
    };
    assert!(matches!(
        track(&input, &wrong),
        Err(Error::Parameter { .. })
    ));
}
