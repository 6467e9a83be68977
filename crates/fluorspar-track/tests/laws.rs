//! What holds of all tracks.

mod common;

use common::{Owned, Score, Truth, owned, run, small, together};
use fluorspar_movie::Footprints;
use fluorspar_simulate::{Fields, FieldsPlan};
use fluorspar_track::{Parameters, Presence, Tracks, Verdict};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

fn with_reference(reference: usize) -> Parameters {
    Parameters {
        reference: Some(reference),
        ..Parameters::default()
    }
}

/// Every ROI is in one cell; the tables agree with each other.
fn check_tables(tracks: &Tracks, sessions: &[Owned]) -> Result<(), TestCaseError> {
    prop_assert_eq!(tracks.roi_index.ncols(), sessions.len());
    prop_assert_eq!(tracks.presence.dim(), tracks.roi_index.dim());
    prop_assert_eq!(tracks.p_same.dim(), tracks.roi_index.dim());
    prop_assert_eq!(tracks.place.dim(), (tracks.roi_index.nrows(), 3));
    for (session, column) in tracks.roi_index.columns().into_iter().enumerate() {
        let mut seen: Vec<i32> = column.iter().copied().filter(|&roi| roi >= 0).collect();
        seen.sort_unstable();
        let all: Vec<i32> = (0..sessions[session].footprints.len() as i32).collect();
        prop_assert_eq!(seen, all, "session {}", session);
    }
    for ((&roi, &p), &presence) in tracks
        .roi_index
        .iter()
        .zip(&tracks.p_same)
        .zip(&tracks.presence)
    {
        prop_assert!((0.0..=1.0).contains(&p), "{}", p);
        prop_assert_eq!(roi >= 0, p > 0.0);
        prop_assert_eq!(roi >= 0, presence == Presence::Matched);
    }
    for row in tracks.roi_index.rows() {
        prop_assert!(row.iter().any(|&roi| roi >= 0));
    }
    for pair in &tracks.pairs {
        prop_assert!(pair.sessions[0] < pair.sessions[1]);
        prop_assert!((0.001..=1.0).contains(&pair.p_same), "{:?}", pair);
    }
    prop_assert!(tracks.confidence().iter().all(|c| (0.0..=1.0).contains(c)));
    Ok(())
}

/// Entries less probable than this hang on a hair: they are near where entries
/// are cut, and a change in the last digit, or one ROI more among those that the
/// model learns from, may tip them.
const UNSURE: f32 = 0.85;

type Joined = Vec<[(usize, i32); 2]>;

/// Pairs of ROIs that are one cell, those with entries above a probability.
fn joined(tracks: &Tracks, name: &dyn Fn(usize) -> usize, above: f32) -> Joined {
    let mut out = Vec::new();
    for (rois, p) in tracks
        .roi_index
        .rows()
        .into_iter()
        .zip(tracks.p_same.rows())
    {
        let seen = rois.iter().zip(p).enumerate();
        let seen = seen.filter(|&(_, (&roi, &p))| roi >= 0 && p > above);
        let cell: Vec<_> = seen.map(|(s, (&roi, _))| (name(s), roi)).collect();
        for (k, &a) in cell.iter().enumerate() {
            out.extend(cell[k + 1..].iter().map(|&b| [a.min(b), a.max(b)]));
        }
    }
    out
}

/// Pairs that are one cell in one result only, though sure.
fn sure_differences(
    before: (&Tracks, &dyn Fn(usize) -> usize),
    after: (&Tracks, &dyn Fn(usize) -> usize),
) -> Joined {
    let all = [before, after].map(|(tracks, name)| joined(tracks, name, 0.0));
    let sure = [before, after].map(|(tracks, name)| joined(tracks, name, UNSURE));
    let lost = sure[0].iter().filter(|pair| !all[1].contains(pair));
    let new = sure[1].iter().filter(|pair| !all[0].contains(pair));
    lost.chain(new).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_roi_is_one_cell(seed in 0_u64..10_000, turnover in 0.0..0.6_f64, reference in 0_usize..3) {
        let fields = Fields::build(&FieldsPlan { turnover, ..small(seed) }).unwrap();
        let sessions = owned(&fields);
        check_tables(&run(&sessions, &with_reference(reference)), &sessions)?;
    }

    #[test]
    fn order_of_sessions_does_not_matter(seed in 0_u64..10_000, shuffle in any::<u64>()) {
        let plan = FieldsPlan { sessions: 4, ..small(seed) };
        let sessions = owned(&Fields::build(&plan).unwrap());
        let mut order: Vec<usize> = (0..4).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(shuffle));
        let shuffled: Vec<Owned> = order.iter().map(|&s| sessions[s].clone()).collect();
        let reference = order.iter().position(|&s| s == 1).unwrap();
        let before = run(&sessions, &with_reference(1));
        let after = run(&shuffled, &with_reference(reference));
        let differ = sure_differences((&before, &|s| s), (&after, &|s| order[s]));
        prop_assert!(differ.is_empty(), "{:?}: {:?}", order, differ);
        let (p, q) = (before.expected_precision, after.expected_precision);
        prop_assert!((p - q).abs() < 1e-3, "{} {}", p, q);
    }

    #[test]
    fn identical_sessions_are_one(seed in 0_u64..10_000, count in 2_usize..5) {
        let fields = Fields::build(&small(seed)).unwrap();
        let sessions = vec![Owned::of(&fields.sessions[0]); count];
        let tracks = run(&sessions, &Parameters::default());
        let rois = sessions[0].footprints.len();
        prop_assert_eq!(tracks.roi_index.dim(), (rois, count));
        for row in tracks.roi_index.rows() {
            prop_assert!(row.iter().all(|&roi| roi == row[0]), "{:?}", row);
        }
        for (session, alignment) in tracks.alignments.iter().enumerate() {
            let expected = if session == 0 { Verdict::Aligned } else { Verdict::Duplicate(0) };
            prop_assert_eq!(alignment.verdict, expected);
            for place in [(5.0, 5.0), (60.0, 70.0), (120.0, 8.0)] {
                let (y, x) = alignment.transform.to_session(place);
                prop_assert!((y - place.0).hypot(x - place.1) < 0.1, "{} {}", y, x);
            }
        }
    }

    #[test]
    fn a_roi_far_away_changes_nothing(seed in 0_u64..10_000, session in 0_usize..3) {
        let fields = Fields::build(&small(seed)).unwrap();
        // The last forty columns are empty, but for the one that comes.
        let sessions: Vec<Owned> = owned(&fields)
            .iter()
            .map(|session| {
                let all = 0..session.footprints.len();
                let left: Vec<usize> = all.filter(|&roi| session.footprints.centroid(roi).1 < 88.0).collect();
                session.select(&left)
            })
            .collect();
        let mut more = sessions.clone();
        let pixels: Vec<u32> = (60..68).flat_map(|y| (116..124).map(move |x| y * 128 + x)).collect();
        more[session].footprints.push(&pixels, &[1.0; 64], 0).unwrap();
        let alone = (session, sessions[session].footprints.len() as i32);
        let before = run(&sessions, &Parameters::default());
        let after = run(&more, &Parameters::default());
        prop_assert!(together(&after, |s| s).contains(&vec![alone]));
        let differ = sure_differences((&before, &|s| s), (&after, &|s| s));
        prop_assert!(differ.is_empty(), "{:?}", differ);
    }

    #[test]
    fn threads_do_not_matter(seed in 0_u64..10_000) {
        let sessions = owned(&Fields::build(&small(seed)).unwrap());
        // As text, so that what is not a number is equal to itself.
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            format!("{:?}", pool.install(|| run(&sessions, &Parameters::default())))
        };
        let one = with(1);
        prop_assert!(one == with(2), "two threads");
        prop_assert!(one == with(3), "three threads");
    }
}

/// One session with pixels twice as large as the others', the reference
/// session or not.
#[test]
fn larger_pixels_still_match() {
    for reference in [0, 1] {
        let fields = Fields::build(&FieldsPlan {
            sessions: 3,
            seed: 3,
            ..FieldsPlan::default()
        })
        .unwrap();
        let mut sessions = owned(&fields);
        sessions[1] = sessions[1].binned();
        let truth = Truth::through(
            &fields,
            &[(0, &sessions[0]), (1, &sessions[1]), (2, &sessions[2])],
        );
        // Lengths are in pixels of the reference session.
        let max_distance = if reference == 1 { 6.0 } else { 12.0 };
        let parameters = Parameters {
            max_distance,
            ..with_reference(reference)
        };
        let tracks = run(&sessions, &parameters);
        Score::of(&truth, &tracks).at_least(0.95, 0.97, 0.9);
        let expected = if reference == 0 { 0.5 } else { 2.0 };
        let other = 1 - reference;
        let scale = tracks.alignments[other].transform.scale();
        assert!((scale / expected - 1.0).abs() < 0.03, "{scale}");
    }
}

/// A footprint's weights may be given in any unit.
#[test]
fn units_of_weights_do_not_matter() {
    let sessions = owned(&Fields::build(&small(5)).unwrap());
    let mut scaled = sessions.clone();
    for session in &mut scaled {
        let mut all = Footprints::new(128, 128);
        for footprint in session.footprints.iter() {
            // A power of two, so that not a bit changes.
            let weights: Vec<f32> = footprint.weights.iter().map(|w| 0.25 * w).collect();
            all.push(footprint.indices, &weights, footprint.plane)
                .unwrap();
        }
        session.footprints = all;
    }
    let parameters = Parameters::default();
    let same = |tracks: &Tracks| (tracks.roi_index.clone(), tracks.p_same.clone());
    assert_eq!(
        same(&run(&sessions, &parameters)),
        same(&run(&scaled, &parameters))
    );
}
