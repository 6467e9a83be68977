//! How many matches are right, and how many are found, where the truth is known.

mod common;

use common::{Score, Truth, misses, owned, planted, quantile, run};
use fluorspar_simulate::{Fields, FieldsPlan};
use fluorspar_track::{Parameters, Presence, Verdict};

/// Sum of the scores of a plan's seeds.
fn score(seeds: impl IntoIterator<Item = u64>, plan: &FieldsPlan) -> Score {
    let mut sum = Score::default();
    for seed in seeds {
        let (fields, tracks) = planted(&FieldsPlan {
            seed,
            ..plan.clone()
        });
        for (session, alignment) in tracks.alignments.iter().enumerate() {
            assert_eq!(
                alignment.verdict,
                Verdict::Aligned,
                "seed {seed}, session {session}"
            );
        }
        sum.add(Score::of(&Truth::of(&fields), &tracks));
    }
    sum
}

#[test]
fn moderate() {
    score(11..15, &FieldsPlan::default()).at_least(0.975, 0.99, 0.97);
}

#[test]
fn few_cells_come_and_go() {
    let plan = FieldsPlan {
        turnover: 0.05,
        ..FieldsPlan::default()
    };
    score(21..23, &plan).at_least(0.97, 0.99, 0.97);
}

#[test]
fn many_cells_come_and_go() {
    let plan = FieldsPlan {
        turnover: 0.4,
        ..FieldsPlan::default()
    };
    score(31..34, &plan).at_least(0.97, 0.99, 0.97);
}

/// Neighbours overlap and fill nearly half of the field.
#[test]
fn crowded() {
    let plan = FieldsPlan {
        spacing: 0.9,
        diameter_px: 8.0,
        cells: 700,
        ..FieldsPlan::default()
    };
    score(41..43, &plan).at_least(0.95, 0.99, 0.94);
}

/// Overlapping cells that come, go and move: where neighbours are easily
/// mistaken, fewer are than if the nearest were taken on a perfect map (0.05 of
/// the pairs without merged and false ROIs are wrong then).
#[test]
fn overlapping_cells_that_move() {
    let plan = FieldsPlan {
        spacing: 0.7,
        diameter_px: 8.0,
        cells: 700,
        turnover: 0.4,
        jitter_px: 1.2,
        ..FieldsPlan::default()
    };
    score(41..43, &plan).at_least(0.95, 0.985, 0.65);
}

#[test]
fn turned_by_ten_degrees() {
    let plan = FieldsPlan {
        rotation_deg: 10.0,
        ..FieldsPlan::default()
    };
    score(51..53, &plan).at_least(0.97, 0.99, 0.97);
}

#[test]
fn bent_by_four_pixels() {
    let plan = FieldsPlan {
        warp_px: 4.0,
        ..FieldsPlan::default()
    };
    score(61..63, &plan).at_least(0.97, 0.99, 0.97);
}

#[test]
fn without_mean_images() {
    let plan = FieldsPlan {
        mean_images: false,
        ..FieldsPlan::default()
    };
    score(71..73, &plan).at_least(0.965, 0.99, 0.96);
}

/// A session without ROIs is aligned by its image and harms no other.
#[test]
fn one_session_without_rois() {
    let fields = Fields::build(&FieldsPlan {
        seed: 81,
        ..FieldsPlan::default()
    })
    .unwrap();
    let mut sessions = owned(&fields);
    sessions[3] = sessions[3].without_rois();
    let mut truth = Truth::of(&fields);
    truth.cell[3].clear();
    truth.kind[3].clear();
    let tracks = run(&sessions, &Parameters::default());
    Score::of(&truth, &tracks).at_least(0.96, 0.99, 0.95);
    assert!(tracks.roi_index.column(3).iter().all(|&roi| roi == -1));
    let presence = tracks.presence.column(3);
    assert!(
        presence
            .iter()
            .all(|p| matches!(p, Presence::Undetected | Presence::Absent))
    );
    let miss = misses(&fields, &tracks, 3);
    assert!(quantile(&miss, 0.5) < 1.5, "{}", quantile(&miss, 0.5));
}

/// The alignment itself, away from what cells do for themselves.
#[test]
fn alignment_follows_the_tissue() {
    for (seed, warp_px, rotation_deg) in [(91, 2.0, 2.0), (92, 4.0, 2.0), (93, 2.0, 10.0)] {
        let (fields, tracks) = planted(&FieldsPlan {
            seed,
            warp_px,
            rotation_deg,
            ..FieldsPlan::default()
        });
        for session in (0..5).filter(|&session| session != tracks.reference) {
            let miss = misses(&fields, &tracks, session);
            let (middle, most) = (quantile(&miss, 0.5), quantile(&miss, 0.95));
            assert!(
                middle < 1.0 && most < 3.0,
                "seed {seed}, session {session}: {middle} {most}"
            );
        }
    }
}
