//! Sessions that nobody hopes for.

mod common;

use std::time::{Duration, Instant};

use common::{Owned, Score, Truth, matched, misses, owned, quantile, run, small};
use fluorspar_movie::Footprints;
use fluorspar_simulate::{Fields, FieldsPlan};
use fluorspar_track::{Error, Parameters, Presence, SessionRois, Tracks, Verdict, track};
use ndarray::{Array3, s};

fn fields(seed: u64) -> Fields {
    Fields::build(&small(seed)).unwrap()
}

/// Of the default size, which verdicts are meant for.
fn usual(seed: u64) -> Fields {
    Fields::build(&FieldsPlan {
        sessions: 3,
        seed,
        ..FieldsPlan::default()
    })
    .unwrap()
}

fn with_reference(reference: usize) -> Parameters {
    Parameters {
        reference: Some(reference),
        ..Parameters::default()
    }
}

/// Every ROI is in exactly one cell.
fn complete(tracks: &Tracks, sessions: &[Owned]) {
    for (column, session) in tracks.roi_index.columns().into_iter().zip(sessions) {
        let mut seen: Vec<i32> = column.iter().copied().filter(|&roi| roi >= 0).collect();
        seen.sort_unstable();
        let all: Vec<i32> = (0..session.footprints.len() as i32).collect();
        assert_eq!(seen, all);
    }
}

fn refused(sessions: &[SessionRois<'_>], which: usize) {
    match track(sessions, &Parameters::default()) {
        Err(Error::Session { session, reason }) => {
            assert_eq!(session, which, "{reason}");
            assert!(!reason.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

/// A session that stands alone: its ROIs are matched with none, and nothing is
/// known of others' cells there, nor of its own elsewhere.
#[track_caller]
fn left_out(tracks: &Tracks, session: usize) {
    for (sessions, _) in matched(tracks) {
        assert!(sessions.0 != session && sessions.1 != session);
    }
    for (rois, presence) in tracks
        .roi_index
        .rows()
        .into_iter()
        .zip(tracks.presence.rows())
    {
        if rois[session] < 0 {
            assert_eq!(presence[session], Presence::Unknown);
        } else {
            let others = presence.iter().enumerate().filter(|(s, _)| *s != session);
            assert!(others.into_iter().all(|(_, &p)| p == Presence::Unknown));
        }
    }
    assert!(
        tracks
            .pairs
            .iter()
            .all(|pair| !pair.sessions.contains(&(session as u32)))
    );
}

/// Pixel sizes in different units by mistake: a cell of one session is far
/// smaller than a pixel of the other.
#[test]
fn pixel_sizes_of_different_worlds_are_survived() {
    let sessions = [fields(5), fields(6)].map(|fields| owned(&fields).remove(0));
    for (a, b) in [(1e-6, 1e3), (1e3, 1e-6), (1.0, 400.0)] {
        let given = [
            SessionRois::new(&sessions[0].footprints).with_pixel_size(a),
            SessionRois::new(&sessions[1].footprints).with_pixel_size(b),
        ];
        for reference in [0, 1] {
            let parameters = Parameters {
                reference: Some(reference),
                ..Parameters::default()
            };
            let tracks = track(&given, &parameters).unwrap();
            let seen = tracks.roi_index.iter().filter(|&&roi| roi >= 0).count();
            let rois = sessions[0].footprints.len() + sessions[1].footprints.len();
            assert_eq!(seen, rois);
        }
    }
}

/// A plane that no stack has would ask for as much memory as there are planes.
#[test]
fn a_roi_in_no_plane_is_refused() {
    let mut footprints = Footprints::new(32, 32);
    footprints.push(&[5, 6], &[1.0, 1.0], u32::MAX).unwrap();
    let sessions = [SessionRois::new(&footprints), SessionRois::new(&footprints)];
    let refused = track(&sessions, &Parameters::default());
    assert!(matches!(refused, Err(Error::Session { session: 0, .. })));
}

#[test]
fn no_sessions() {
    refused(&[], 0);
}

#[test]
fn one_session() {
    let sessions = owned(&fields(1))[..1].to_vec();
    let tracks = run(&sessions, &Parameters::default());
    let rois = sessions[0].footprints.len();
    let expected: Vec<i32> = (0..rois as i32).collect();
    assert_eq!(tracks.roi_index.column(0).to_vec(), expected);
    assert!(tracks.p_same.iter().all(|&p| p == 1.0));
    assert!(tracks.pairs.is_empty() && tracks.fits.is_empty());
    assert_eq!(tracks.alignments[0].verdict, Verdict::Aligned);
    assert_eq!(tracks.expected_precision, 1.0);
}

#[test]
fn no_rois_at_all() {
    for images in [true, false] {
        let mut sessions: Vec<Owned> = owned(&fields(2)).iter().map(Owned::without_rois).collect();
        if !images {
            for session in &mut sessions {
                session.image = None;
            }
        }
        let tracks = run(&sessions, &Parameters::default());
        assert_eq!(tracks.roi_index.dim(), (0, 3));
        assert_eq!(tracks.place.dim(), (0, 3));
        // Blank sessions fit nothing; images do.
        let expected = if images {
            Verdict::Aligned
        } else {
            Verdict::Unaligned
        };
        for session in [0, 2] {
            assert_eq!(
                tracks.alignments[session].verdict, expected,
                "images {images}"
            );
        }
    }
}

/// Neither ROIs nor an image: nothing can be known.
#[test]
fn a_blank_session() {
    let mut sessions = owned(&usual(3));
    sessions[0] = sessions[0].without_rois();
    sessions[0].image = None;
    let tracks = run(&sessions, &Parameters::default());
    assert_eq!(tracks.alignments[0].verdict, Verdict::Unaligned);
    left_out(&tracks, 0);
    assert_eq!(tracks.alignments[2].verdict, Verdict::Aligned);
}

#[test]
fn a_blank_reference() {
    let mut sessions = owned(&usual(3));
    sessions[1] = sessions[1].without_rois();
    sessions[1].image = None;
    complete(&run(&sessions, &with_reference(1)), &sessions);
    // If it may choose, it takes one that the others fit.
    let tracks = run(&sessions, &Parameters::default());
    assert_ne!(tracks.reference, 1);
    assert_eq!(tracks.alignments[1].verdict, Verdict::Unaligned);
    assert!(matched(&tracks).len() > 100, "{}", matched(&tracks).len());
}

#[test]
fn a_session_given_twice() {
    let fields = usual(4);
    let mut sessions = owned(&fields);
    sessions.push(sessions[0].clone());
    let tracks = run(&sessions, &Parameters::default());
    assert_eq!(tracks.alignments[3].verdict, Verdict::Duplicate(0));
    for row in tracks.roi_index.rows() {
        assert_eq!(row[0], row[3]);
    }
}

#[test]
fn a_mirrored_session() {
    let fields = usual(5);
    for images in [true, false] {
        let mut sessions = owned(&fields);
        sessions[2] = sessions[2].mirrored();
        if !images {
            for session in &mut sessions {
                session.image = None;
            }
        }
        let tracks = run(&sessions, &Parameters::default());
        assert_eq!(
            tracks.alignments[2].verdict,
            Verdict::Mirrored,
            "images {images}"
        );
        left_out(&tracks, 2);
        assert_eq!(tracks.alignments[0].verdict, Verdict::Aligned);
        complete(&tracks, &sessions);
    }
}

#[test]
fn a_session_turned_by_a_quarter() {
    let fields = usual(6);
    for images in [true, false] {
        let mut sessions = owned(&fields);
        sessions[0] = sessions[0].turned();
        if !images {
            for session in &mut sessions {
                session.image = None;
            }
        }
        let tracks = run(&sessions, &Parameters::default());
        assert_eq!(
            tracks.alignments[0].verdict,
            Verdict::Turned,
            "images {images}"
        );
        left_out(&tracks, 0);
        complete(&tracks, &sessions);
    }
}

#[test]
fn an_unrelated_field() {
    for seed in [7, 8, 9] {
        let mut sessions = owned(&usual(seed));
        sessions[2] = owned(&usual(seed + 1000))[2].clone();
        let tracks = run(&sessions, &Parameters::default());
        assert_eq!(
            tracks.alignments[2].verdict,
            Verdict::Unaligned,
            "seed {seed}"
        );
        left_out(&tracks, 2);
        assert_eq!(
            tracks.alignments[0].verdict,
            Verdict::Aligned,
            "seed {seed}"
        );
    }
}

/// Four sessions whose fields are shifted by up to a third of their sides.
fn far_shifted(seed: u64) -> Fields {
    Fields::build(&FieldsPlan {
        sessions: 4,
        seed,
        shift_px: 90.0,
        ..FieldsPlan::default()
    })
    .unwrap()
}

/// A session that is said to be aligned is, even where fields share only half.
#[test]
fn half_overlapping_fields_are_aligned() {
    let mut wrong = Vec::new();
    let mut score = Score::default();
    for seed in 10..14 {
        let fields = far_shifted(seed);
        let tracks = run(&owned(&fields), &Parameters::default());
        score.add(Score::of(&Truth::of(&fields), &tracks));
        for (session, alignment) in tracks.alignments.iter().enumerate() {
            let miss = quantile(&misses(&fields, &tracks, session), 0.5);
            if alignment.verdict.is_aligned() && miss >= 2.0 {
                wrong.push((seed, session, miss));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "(seed, session, pixels off): {wrong:?}, {score:?}"
    );
    score.at_least(0.95, 0.97, 0.9);
}

/// Cells outside a field are absent, cells inside that were missed are
/// undetected. Whether a field is laid where it belongs is another test's
/// matter: sessions that are not are passed over here.
#[test]
fn absent_is_not_undetected() {
    let (mut agree, mut number) = ([0, 0], [0, 0]);
    for seed in 10..14 {
        let fields = far_shifted(seed);
        let tracks = run(&owned(&fields), &Parameters::default());
        let truth = Truth::of(&fields);
        let laid: Vec<usize> = (0..4)
            .filter(|&session| quantile(&misses(&fields, &tracks, session), 0.5) < 2.0)
            .collect();
        let rows = tracks.roi_index.rows().into_iter();
        for (rois, presence) in rows.zip(tracks.presence.rows()) {
            let seen = rois.iter().enumerate().filter(|(_, roi)| **roi >= 0);
            let seen: Vec<(usize, i64)> = seen
                .map(|(s, &roi)| (s, truth.cell[s][roi as usize]))
                .collect();
            let cell = seen[0].1;
            if cell < 0 || !seen.iter().all(|(s, c)| *c == cell && laid.contains(s)) {
                continue;
            }
            for &session in &laid {
                let (y, x) = fields.to_session(session, fields.centres[cell as usize]);
                // At the border the alignment and the cell's own displacement decide.
                let inside = y.min(x).min(255.0 - y).min(255.0 - x);
                if rois[session] >= 0 || inside.abs() < 5.0 {
                    continue;
                }
                let present = fields.sessions[session].present[cell as usize];
                let expected = if present {
                    Presence::Undetected
                } else {
                    Presence::Absent
                };
                number[usize::from(present)] += 1;
                agree[usize::from(present)] += usize::from(presence[session] == expected);
            }
        }
    }
    for k in 0..2 {
        assert!(number[k] > 300, "{number:?}");
        assert!(
            agree[k] as f64 > 0.99 * number[k] as f64,
            "{agree:?} of {number:?}"
        );
    }
}

/// A and C hardly overlap, but both overlap B.
#[test]
fn a_chain_of_fields() {
    let fields = Fields::build(&FieldsPlan {
        sessions: 3,
        seed: 13,
        width: 448,
        cells: 525,
        ..FieldsPlan::default()
    })
    .unwrap();
    let whole = owned(&fields);
    let sessions: Vec<Owned> = whole
        .iter()
        .zip([0, 96, 192])
        .map(|(session, left)| session.cropped((0, 256), (left, left + 256)))
        .collect();
    let tracks = run(&sessions, &with_reference(0));
    for session in 0..3 {
        assert_eq!(
            tracks.alignments[session].verdict,
            Verdict::Aligned,
            "{session}"
        );
    }
    assert_eq!(tracks.alignments[0].through, None);
    assert_eq!(tracks.alignments[1].through, Some(0));
    assert_eq!(tracks.alignments[2].through, Some(1));
    let from: Vec<(usize, &Owned)> = sessions.iter().enumerate().collect();
    let truth = Truth::through(&fields, &from);
    Score::of(&truth, &tracks).at_least(0.93, 0.95, 0.85);
    // The chain carries no more than twice one alignment's error, about where
    // A and C meet.
    let mut miss: Vec<f64> = fields
        .centres
        .iter()
        .map(|&centre| [0, 2].map(|session| fields.to_session(session, centre)))
        .filter(|[a, _]| (5.0..251.0).contains(&a.0) && (200.0..251.0).contains(&a.1))
        .map(|[a, c]| {
            let (y, x) = tracks.alignments[2].transform.to_session(a);
            (y - c.0).hypot(x - (c.1 - 192.0))
        })
        .collect();
    miss.sort_by(f64::total_cmp);
    assert!(quantile(&miss, 0.5) < 2.0);
}

#[test]
fn three_thousand_rois_in_one_spot() {
    let mut all = Footprints::new(64, 64);
    for k in 0..3_000_u32 {
        // Not all to the pixel the same.
        let at = (30 + k % 3) * 64 + 30 + k / 3 % 3;
        all.push(&[at, at + 1, at + 64, at + 65], &[1.0; 4], 0)
            .unwrap();
    }
    let other = all.select(&(0..3_000).rev().collect::<Vec<_>>());
    let start = Instant::now();
    let sessions = [SessionRois::new(&all), SessionRois::new(&other)];
    let tracks = track(&sessions, &Parameters::default()).unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let seen = tracks.roi_index.iter().filter(|&&roi| roi >= 0).count();
    assert_eq!(seen, 6_000);
}

#[test]
fn pixels_never_seen() {
    let fields = usual(14);
    let mut sessions = owned(&fields);
    // A border, and a hole.
    let image = sessions[2].image.as_mut().unwrap();
    image.slice_mut(s![.., ..40, ..]).fill(f32::NAN);
    image.slice_mut(s![.., 120..140, 100..160]).fill(f32::NAN);
    let tracks = run(&sessions, &Parameters::default());
    Score::of(&Truth::of(&fields), &tracks).at_least(0.95, 0.97, 0.9);
    // What lies in the border was not shown.
    let transform = &tracks.alignments[2].transform;
    let mut hidden = 0;
    for (place, presence) in tracks.place.rows().into_iter().zip(tracks.presence.rows()) {
        let (y, _) = transform.to_session((f64::from(place[1]), f64::from(place[2])));
        if presence[2] != Presence::Matched && (2.0..37.0).contains(&y) {
            assert_eq!(presence[2], Presence::Absent);
            hidden += 1;
        }
    }
    assert!(hidden > 0);
    // Nothing but such pixels: as if there were no image.
    sessions[2].image.as_mut().unwrap().fill(f32::NAN);
    let tracks = run(&sessions, &Parameters::default());
    assert_eq!(tracks.alignments[2].verdict, Verdict::Aligned);
    Score::of(&Truth::of(&fields), &tracks).at_least(0.95, 0.97, 0.9);
}

#[test]
fn images_without_contrast() {
    let fields = usual(15);
    let mut sessions = owned(&fields);
    for session in &mut sessions {
        session.image.as_mut().unwrap().fill(700.0);
    }
    let tracks = run(&sessions, &Parameters::default());
    Score::of(&Truth::of(&fields), &tracks).at_least(0.95, 0.97, 0.9);
}

#[test]
fn images_that_do_not_fit() {
    let fields = fields(16);
    let (a, b) = (&fields.sessions[0], &fields.sessions[1]);
    for wrong in [(1, 128, 127), (1, 64, 64), (0, 128, 128)] {
        let image = Array3::zeros(wrong);
        let bad = SessionRois::new(&b.footprints).with_mean_image(image.view());
        refused(&[SessionRois::new(&a.footprints), bad], 1);
    }
    for value in [f32::INFINITY, f32::NEG_INFINITY] {
        let mut image = Array3::zeros((1, 128, 128));
        image[[0, 3, 4]] = value;
        let bad = SessionRois::new(&b.footprints).with_mean_image(image.view());
        refused(&[bad, SessionRois::new(&a.footprints)], 0);
    }
    let good = SessionRois::new(&a.footprints);
    for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(&[good, good.with_pixel_size(size)], 1);
    }
    let mut high = Footprints::new(128, 128);
    high.push(&[1, 2], &[1.0, 1.0], 1).unwrap();
    let image = Array3::zeros((1, 128, 128));
    refused(
        &[good, SessionRois::new(&high).with_mean_image(image.view())],
        1,
    );
    let nothing = Footprints::new(0, 12);
    refused(&[SessionRois::new(&nothing), good], 0);
}

/// Planes without an image are as many as the ROIs say; a wild number must not
/// take all memory.
#[test]
fn a_roi_in_a_very_high_plane() {
    let mut all = Footprints::new(32, 32);
    all.push(&[33, 34], &[1.0; 2], 0).unwrap();
    all.push(&[200, 201], &[1.0; 2], 5_000).unwrap();
    let tracks = track(&[SessionRois::new(&all); 2], &Parameters::default()).unwrap();
    let seen = tracks.roi_index.iter().filter(|&&roi| roi >= 0).count();
    assert_eq!(seen, 4);
}

#[test]
fn parameters_out_of_range() {
    let fields = fields(17);
    let sessions = [SessionRois::new(&fields.sessions[0].footprints); 2];
    let usual = Parameters::default();
    let wrong = [
        (
            "reference",
            Parameters {
                reference: Some(2),
                ..usual
            },
        ),
        (
            "max_distance",
            Parameters {
                max_distance: 0.0,
                ..usual
            },
        ),
        (
            "max_distance",
            Parameters {
                max_distance: f64::NAN,
                ..usual
            },
        ),
        (
            "max_distance",
            Parameters {
                max_distance: f64::INFINITY,
                ..usual
            },
        ),
        (
            "max_rotation",
            Parameters {
                max_rotation: 46.0,
                ..usual
            },
        ),
        (
            "max_rotation",
            Parameters {
                max_rotation: f64::NAN,
                ..usual
            },
        ),
        (
            "max_shift_fraction",
            Parameters {
                max_shift_fraction: 0.0,
                ..usual
            },
        ),
        (
            "target_precision",
            Parameters {
                target_precision: 1.0,
                ..usual
            },
        ),
        (
            "target_precision",
            Parameters {
                target_precision: f64::NAN,
                ..usual
            },
        ),
    ];
    for (field, parameters) in wrong {
        match track(&sessions, &parameters) {
            Err(Error::Parameter { name, .. }) => assert_eq!(name, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

/// Extremes that are allowed.
#[test]
fn parameters_at_their_ends() {
    let fields = fields(18);
    let sessions = owned(&fields);
    let usual = Parameters::default();
    for parameters in [
        Parameters {
            max_rotation: 0.0,
            ..usual
        },
        Parameters {
            max_shift_fraction: 0.999,
            ..usual
        },
        Parameters {
            max_distance: 1e-3,
            ..usual
        },
        Parameters {
            max_distance: 1e4,
            ..usual
        },
        Parameters {
            target_precision: 0.0,
            ..usual
        },
        Parameters {
            target_precision: 0.999_999,
            ..usual
        },
        Parameters {
            plane_tolerance: u32::MAX,
            max_plane_offset: u32::MAX,
            ..usual
        },
        Parameters {
            bend: false,
            ..usual
        },
    ] {
        complete(&run(&sessions, &parameters), &sessions);
    }
}

#[test]
fn one_roi_each() {
    let sessions: Vec<Owned> = owned(&fields(19)).iter().map(|s| s.select(&[0])).collect();
    complete(&run(&sessions, &Parameters::default()), &sessions);
    let blind: Vec<Owned> = sessions
        .iter()
        .map(|session| Owned {
            image: None,
            ..session.clone()
        })
        .collect();
    complete(&run(&blind, &Parameters::default()), &blind);
}

#[test]
fn images_of_two_pixels() {
    for (height, width) in [(2, 2), (1, 1), (1, 40), (40, 1)] {
        let mut footprints = Footprints::new(height, width);
        footprints.push(&[0], &[1.0], 0).unwrap();
        let image = Array3::from_shape_fn((1, height, width), |(_, y, x)| (3 * y + x) as f32);
        for image in [None, Some(image)] {
            let session = Owned {
                footprints: footprints.clone(),
                image,
                pixel_size: 1.0,
                origin: vec![0],
            };
            let sessions = vec![session.clone(), session.clone(), session];
            complete(&run(&sessions, &Parameters::default()), &sessions);
        }
    }
}

#[test]
fn rois_of_one_pixel() {
    let fields = usual(20);
    let mut sessions = owned(&fields);
    for session in &mut sessions {
        let mut dots = Footprints::new(256, 256);
        for roi in 0..session.footprints.len() {
            let (y, x) = session.footprints.centroid(roi);
            dots.push(&[(y.round() * 256.0 + x.round()) as u32], &[1.0], 0)
                .unwrap();
        }
        session.footprints = dots;
    }
    let tracks = run(&sessions, &Parameters::default());
    complete(&tracks, &sessions);
    // Cells seem so small that most have moved too far to be sure.
    Score::of(&Truth::of(&fields), &tracks).at_least(0.9, 0.9, 0.0);
}

/// Fields of other sizes on the same tissue.
#[test]
fn fields_of_different_sizes() {
    let fields = usual(21);
    let mut sessions = owned(&fields);
    sessions[2] = sessions[2].cropped((20, 220), (10, 240));
    let from: Vec<(usize, &Owned)> = sessions.iter().enumerate().collect();
    let truth = Truth::through(&fields, &from);
    let tracks = run(&sessions, &Parameters::default());
    Score::of(&truth, &tracks).at_least(0.95, 0.97, 0.9);
}
