//! ROIs without movies: what was asked is what comes out.

use fluorspar_movie::{Footprints, iou};
use fluorspar_simulate::{Error, Fields, FieldsPlan, RoiKind};
use proptest::prelude::*;

/// A field that lies still, with whole cells and nothing else.
fn still() -> FieldsPlan {
    FieldsPlan {
        jitter_px: 0.0,
        shape_noise: 0.0,
        fragment_fraction: 0.0,
        turnover: 0.0,
        merge_fraction: 0.0,
        shift_px: 0.0,
        rotation_deg: 0.0,
        scale: 0.0,
        warp_px: 0.0,
        false_rois: 0.0,
        mean_images: false,
        ..FieldsPlan::default()
    }
}

/// The default without mean images.
fn moderate() -> FieldsPlan {
    FieldsPlan {
        mean_images: false,
        ..FieldsPlan::default()
    }
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// Whether a place is at least `rim` pixels inside the field.
fn inside(plan: &FieldsPlan, (y, x): (f64, f64), rim: f64) -> bool {
    (rim..=plan.height as f64 - 1.0 - rim).contains(&y)
        && (rim..=plan.width as f64 - 1.0 - rim).contains(&x)
}

/// Bit patterns of everything random in it.
fn bits(fields: &Fields) -> Vec<u32> {
    let mut all = Vec::new();
    for session in &fields.sessions {
        all.extend(session.footprints.indices());
        all.extend(session.footprints.planes());
        all.extend(session.footprints.weights().iter().map(|w| w.to_bits()));
        all.extend(session.cell.iter().map(|&cell| cell as u32));
        all.extend(session.present.iter().map(|&present| u32::from(present)));
        if let Some(image) = &session.mean_image {
            all.extend(image.iter().map(|value| value.to_bits()));
        }
    }
    all
}

#[test]
fn a_roi_mapped_back_lies_where_its_cell_is() {
    let plan = FieldsPlan {
        jitter_px: 0.7,
        shift_px: 12.0,
        rotation_deg: 4.0,
        scale: 0.03,
        warp_px: 3.0,
        turnover: 0.2,
        ..still()
    };
    let fields = Fields::build(&plan).unwrap();
    let (mut sum, mut count, mut moved) = (0.0, 0, 0.0_f64);
    for (index, session) in fields.sessions.iter().enumerate() {
        for (roi, &cell) in session.cell.iter().enumerate() {
            let seen = session.footprints.centroid(roi);
            // At the edge a ROI is clipped, which moves its centre.
            if !inside(&plan, seen, plan.diameter_px) {
                continue;
            }
            let place = fields.centres[cell as usize];
            let off = distance(fields.to_tissue(index, seen), place);
            assert!(
                off < 5.5 * plan.jitter_px,
                "session {index} cell {cell}: {off}"
            );
            moved = moved.max(distance(seen, place));
            sum += off * off;
            count += 2;
        }
    }
    let jitter = (sum / f64::from(count)).sqrt();
    assert!((jitter / plan.jitter_px - 1.0).abs() < 0.1, "{jitter}");
    assert!(moved > 10.0, "the fields hardly moved: {moved}");
}

#[test]
fn with_noisy_shapes_identities_still_hold() {
    let fields = Fields::build(&moderate()).unwrap();
    let plan = fields.plan();
    let mut count = 0;
    for (index, session) in fields.sessions.iter().enumerate() {
        for (roi, &cell) in session.cell.iter().enumerate() {
            assert_eq!(cell == -1, session.kind[roi] == RoiKind::False);
            let seen = session.footprints.centroid(roi);
            if session.kind[roi] == RoiKind::Whole && inside(plan, seen, plan.diameter_px) {
                let off = distance(fields.to_tissue(index, seen), fields.centres[cell as usize]);
                assert!(off < 5.0, "session {index} cell {cell}: {off}");
                count += 1;
            }
        }
    }
    assert!(count > 800, "{count}");
}

#[test]
fn the_way_back_is_the_inverse_and_the_deformation_as_large_as_planned() {
    let plan = FieldsPlan {
        warp_px: 5.0,
        warp_length_px: 60.0,
        sessions: 3,
        ..moderate()
    };
    let fields = Fields::build(&plan).unwrap();
    for place in [(0.0, 0.0), (100.0, 31.5), (255.0, 12.0)] {
        assert_eq!(fields.to_session(0, place), place);
        let there = fields.to_session(2, place);
        assert!(distance(fields.to_tissue(2, there), place) < 1e-4);
    }
    let (mut sum, mut count) = (0.0, 0);
    for y in (0..plan.height).step_by(5) {
        for x in (0..plan.width).step_by(5) {
            let (dy, dx) = fields.sessions[1].placement.warp((y as f64, x as f64));
            sum += dy * dy + dx * dx;
            count += 2;
        }
    }
    let rms = (sum / f64::from(count)).sqrt();
    assert!((rms / 5.0 - 1.0).abs() < 0.05, "{rms}");
}

#[test]
fn turnover_is_as_asked_and_some_cells_are_missed_more_often() {
    for turnover in [0.1, 0.35] {
        let plan = FieldsPlan {
            turnover,
            sessions: 20,
            cells: 400,
            jitter_px: 0.2,
            ..still()
        };
        let fields = Fields::build(&plan).unwrap();
        let tracks = fields.roi_index();
        let missed: Vec<f64> = tracks
            .outer_iter()
            .zip(&fields.centres)
            .filter(|&(_, &place)| inside(&plan, place, plan.diameter_px))
            .map(|(track, _)| track.iter().filter(|&&roi| roi < 0).count() as f64 / 20.0)
            .collect();
        let count = missed.len() as f64;
        let mean = missed.iter().sum::<f64>() / count;
        assert!((mean - turnover).abs() < 0.03, "{turnover}: {mean}");
        let variance = missed.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / count;
        let independent = turnover * (1.0 - turnover) / 20.0;
        assert!(variance > 2.5 * independent, "{variance} {independent}");
    }
}

#[test]
fn cells_leave_at_one_edge_and_come_in_at_the_other_at_the_same_density() {
    let plan = FieldsPlan {
        shift_px: 40.0,
        sessions: 12,
        ..moderate()
    };
    let fields = Fields::build(&plan).unwrap();
    let first = &fields.sessions[0].present;
    let mut edge = 0;
    for session in &fields.sessions {
        let present = session.present.iter().filter(|&&p| p).count();
        assert!((260..340).contains(&present), "{present}");
        edge += session
            .present
            .iter()
            .zip(&session.centres)
            .filter(|&(&present, &place)| present && !inside(&plan, place, 10.0))
            .count();
    }
    // Were the tissue too small, cells would be few at the edge.
    let band = 1.0 - (236.0_f64 / 256.0).powi(2);
    let share = edge as f64 / (12.0 * 300.0 * band);
    assert!((share - 1.0).abs() < 0.1, "{share}");
    let last = &fields.sessions[11].present;
    let change =
        |from: &[bool], to: &[bool]| from.iter().zip(to).filter(|&(&a, &b)| a && !b).count();
    assert!(change(first, last) > 5 && change(last, first) > 5);
}

#[test]
fn shapes_vary_as_asked() {
    let overlap = |shape_noise: f64| {
        let plan = FieldsPlan {
            shape_noise,
            sessions: 2,
            ..still()
        };
        let fields = Fields::build(&plan).unwrap();
        let (a, b) = (&fields.sessions[0], &fields.sessions[1]);
        let tracks = fields.roi_index();
        let all: Vec<f64> = tracks
            .outer_iter()
            .filter(|track| track.iter().all(|&roi| roi >= 0))
            .map(|track| {
                iou(
                    a.footprints.get(track[0] as usize),
                    b.footprints.get(track[1] as usize),
                )
            })
            .collect();
        assert!(all.len() > 200);
        all.iter().sum::<f64>() / all.len() as f64
    };
    let all: Vec<f64> = [0.0, 0.15, 0.3, 0.6, 1.0].map(overlap).to_vec();
    assert_eq!(all[0], 1.0);
    assert!(
        all.windows(2).all(|pair| pair[1] < pair[0] - 0.04),
        "{all:?}"
    );
    assert!((0.7..0.85).contains(&all[2]), "{all:?}");
    assert!(all[4] > 0.35, "{all:?}");
}

#[test]
fn parts_mergers_and_false_rois_are_as_many_as_asked() {
    let plan = FieldsPlan {
        cells: 3_000,
        planes: 10,
        fragment_fraction: 0.1,
        merge_fraction: 0.2,
        false_rois: 0.15,
        sessions: 2,
        ..still()
    };
    let fields = Fields::build(&plan).unwrap();
    let session = &fields.sessions[1];
    let kind = |kind: RoiKind| session.kind.iter().filter(|&&k| k == kind).count() as f64;
    let total = session.kind.len() as f64;
    let falses = kind(RoiKind::False) / total;
    assert!((falses - 0.15).abs() < 0.02, "{falses}");
    let parts = kind(RoiKind::Part) / (kind(RoiKind::Part) + kind(RoiKind::Whole));
    assert!((parts - 0.1).abs() < 0.02, "{parts}");

    // Without mergers the same cells are found, each in a ROI of its own.
    let apart = Fields::build(&FieldsPlan {
        merge_fraction: 0.0,
        ..plan.clone()
    })
    .unwrap();
    let alone = &apart.sessions[1];
    let near = FieldsPlan::CLOSE_DIAMETERS * plan.diameter_px;
    let mut seen: Vec<(u32, (f64, f64), i64)> = alone
        .cell
        .iter()
        .zip(alone.footprints.planes())
        .filter(|&(&cell, _)| cell >= 0)
        .map(|(&cell, &plane)| (plane, alone.centres[cell as usize], cell))
        .collect();
    seen.sort_by_key(|roi| roi.2);
    let mut pairs = 0;
    for (index, a) in seen.iter().enumerate() {
        let close = |b: &&(u32, (f64, f64), i64)| a.0 == b.0 && distance(a.1, b.1) <= near;
        pairs += seen[index + 1..].iter().filter(close).count();
    }
    // A cell merges once only, so that somewhat fewer pairs do.
    let share = kind(RoiKind::Merged) / pairs as f64;
    assert!((0.12..0.21).contains(&share), "{share} of {pairs}");
    let lost = seen.len() as f64 - session.cell.iter().filter(|&&cell| cell >= 0).count() as f64;
    assert_eq!(lost, kind(RoiKind::Merged));
    let size = |of: &Footprints, roi: usize| of.get(roi).indices.len();
    let own = apart.roi_index();
    for (roi, &cell) in session.cell.iter().enumerate() {
        if session.kind[roi] == RoiKind::Merged {
            let before = size(&alone.footprints, own[[cell as usize, 1]] as usize);
            let after = size(&session.footprints, roi);
            assert!(before < after && after <= 2 * before, "{before} {after}");
        }
    }
}

#[test]
fn stacks_are_displaced_by_whole_planes() {
    let plan = FieldsPlan {
        planes: 5,
        cells: 500,
        height: 128,
        width: 128,
        diameter_px: 8.0,
        axial_planes: 2,
        sessions: 12,
        merge_fraction: 0.0,
        ..moderate()
    };
    let fields = Fields::build(&plan).unwrap();
    assert_eq!(fields.axial(0), 0);
    let offsets: Vec<i32> = (0..12).map(|session| fields.axial(session)).collect();
    assert!(offsets.contains(&2) && offsets.contains(&-2), "{offsets:?}");
    for (session, &axial) in fields.sessions.iter().zip(&offsets) {
        let planes = session.footprints.planes();
        for (&cell, &plane) in session.cell.iter().zip(planes) {
            if cell >= 0 {
                assert_eq!(plane as i32 + axial, fields.planes[cell as usize]);
                assert!(session.present[cell as usize]);
            }
        }
        for (&present, &plane) in session.present.iter().zip(&fields.planes) {
            assert!(!present || (axial..axial + 5).contains(&plane));
        }
        for plane in 0..5 {
            let count = planes.iter().filter(|&&p| p == plane).count();
            assert!((55..110).contains(&count), "plane {plane}: {count}");
        }
    }
}

#[test]
fn mean_images_show_every_cell_where_the_placement_says() {
    let plan = FieldsPlan {
        planes: 2,
        cells: 400,
        turnover: 0.4,
        sessions: 3,
        axial_planes: 1,
        seed: 3,
        ..FieldsPlan::default()
    };
    let fields = Fields::build(&plan).unwrap();
    for (index, session) in fields.sessions.iter().enumerate() {
        let image = session.mean_image.as_ref().unwrap();
        assert_eq!(image.dim(), (2, 256, 256));
        assert!(image.iter().all(|value| value.is_finite()));
        let mean = f64::from(image.mean().unwrap());
        let tracks = fields.roi_index();
        for detected in [true, false] {
            let (mut sum, mut count) = (0.0, 0.0);
            for (cell, &(y, x)) in session.centres.iter().enumerate() {
                if session.present[cell] && detected == (tracks[[cell, index]] >= 0) {
                    let plane = (fields.planes[cell] - fields.axial(index)) as usize;
                    sum += f64::from(image[[plane, y.round() as usize, x.round() as usize]]);
                    count += 1.0;
                }
            }
            assert!(sum / count > 1.2 * mean, "{} {mean}", sum / count);
        }
    }
    // The same tissue is bright in two sessions, but only along the placement.
    let (first, last) = (&fields.sessions[0], &fields.sessions[2]);
    let axial = fields.axial(2);
    let plane = (0..2)
        .find(|plane| (0..2).contains(&(plane - axial)))
        .unwrap();
    let (mut straight, mut mapped) = (Vec::new(), Vec::new());
    for y in 30..226 {
        for x in 30..226 {
            let (v, u) = fields.to_session(2, (y as f64, x as f64));
            let here = first.mean_image.as_ref().unwrap()[[plane as usize, y, x]];
            let there = last.mean_image.as_ref().unwrap();
            let at = (plane - axial) as usize;
            mapped.push((here, there[[at, v.round() as usize, u.round() as usize]]));
            straight.push((here, there[[at, y, x]]));
        }
    }
    let (mapped, straight) = (correlation(&mapped), correlation(&straight));
    assert!(mapped > 0.6 && straight < 0.5, "{mapped} {straight}");
}

fn correlation(pairs: &[(f32, f32)]) -> f64 {
    let count = pairs.len() as f64;
    let mean = |of: fn(&(f32, f32)) -> f32| {
        pairs.iter().map(|pair| f64::from(of(pair))).sum::<f64>() / count
    };
    let (a, b) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for &(x, y) in pairs {
        let (x, y) = (f64::from(x) - a, f64::from(y) - b);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    ab / (aa * bb).sqrt()
}

#[test]
fn any_number_of_threads_gives_the_same_bytes_and_another_seed_others() {
    let plan = FieldsPlan {
        planes: 3,
        cells: 300,
        height: 128,
        width: 128,
        diameter_px: 7.0,
        axial_planes: 1,
        sessions: 3,
        ..FieldsPlan::default()
    };
    let with = |threads: usize, plan: &FieldsPlan| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        bits(&pool.install(|| Fields::build(plan)).unwrap())
    };
    let one = with(1, &plan);
    assert_eq!(one, with(2, &plan));
    assert_ne!(one, with(2, &FieldsPlan { seed: 2, ..plan }));
}

#[test]
fn plans_out_of_range_are_refused_by_name() {
    type Change = fn(&mut FieldsPlan);
    let changes: [(&str, Change); 20] = [
        ("sessions", |plan| plan.sessions = 0),
        ("cells", |plan| plan.cells = 0),
        ("planes", |plan| plan.planes = 0),
        ("height", |plan| plan.height = 10),
        ("width", |plan| plan.width = 100_000),
        ("diameter_px", |plan| plan.diameter_px = 1.0),
        ("spacing", |plan| plan.spacing = f64::NAN),
        ("jitter_px", |plan| plan.jitter_px = -0.1),
        ("shape_noise", |plan| plan.shape_noise = 1.1),
        ("fragment_fraction", |plan| plan.fragment_fraction = 2.0),
        ("turnover", |plan| plan.turnover = 1.0),
        ("merge_fraction", |plan| plan.merge_fraction = -1.0),
        ("shift_px", |plan| plan.shift_px = 1e3),
        ("rotation_deg", |plan| plan.rotation_deg = 90.0),
        ("scale", |plan| plan.scale = 0.5),
        ("warp_px", |plan| plan.warp_px = 20.0),
        ("warp_length_px", |plan| plan.warp_length_px = 0.0),
        ("axial_planes", |plan| plan.axial_planes = 1),
        ("false_rois", |plan| plan.false_rois = 1.0),
        ("image_noise", |plan| plan.image_noise = f64::INFINITY),
    ];
    for (name, change) in changes {
        let mut plan = FieldsPlan::default();
        change(&mut plan);
        match Fields::build(&plan) {
            Err(Error::Plan { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let crowded = FieldsPlan {
        cells: 2_000,
        ..moderate()
    };
    assert!(matches!(
        Fields::build(&crowded),
        Err(Error::Crowded { .. })
    ));
    let large = FieldsPlan {
        sessions: 1_000,
        planes: 100,
        ..FieldsPlan::default()
    };
    assert!(matches!(Fields::build(&large), Err(Error::TooLarge { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_sound_plan_gives_sound_footprints(
        seed: u64,
        cells in 1_usize..120,
        planes in 1_usize..4,
        (height, width) in (32_usize..90, 32_usize..90),
        (shape_noise, jitter_px, spacing) in (0.0..=1.0, 0.0..3.0, 0.0..0.9),
        (fragment_fraction, merge_fraction, turnover) in (0.0..=1.0, 0.0..=1.0, 0.0..=0.95),
        (shift_px, rotation_deg, scale) in (0.0..20.0, 0.0..=45.0, 0.0..=0.2),
        (warp_px, false_rois) in (0.0..8.0, 0.0..=0.9),
    ) {
        let plan = FieldsPlan {
            sessions: 2,
            diameter_px: 5.0,
            axial_planes: planes as i32 - 1,
            warp_length_px: 60.0,
            seed, cells, planes, height, width, shape_noise, jitter_px, spacing,
            fragment_fraction, merge_fraction, turnover, shift_px, rotation_deg, scale,
            warp_px, false_rois,
            ..FieldsPlan::default()
        };
        let fields = match Fields::build(&plan) {
            Err(Error::Crowded { .. }) => return Ok(()),
            other => other.unwrap(),
        };
        let cells = fields.centres.len();
        prop_assert_eq!(fields.planes.len(), cells);
        for session in &fields.sessions {
            let rois = &session.footprints;
            // What is checked there: indices in the image and ascending, weights positive.
            let again = Footprints::from_csr(
                height, width, rois.indptr().to_vec(), rois.indices().to_vec(),
                rois.weights().to_vec(), rois.planes().to_vec(),
            ).unwrap();
            prop_assert_eq!(&again, rois);
            prop_assert!(rois.planes().iter().all(|&plane| (plane as usize) < planes));
            prop_assert_eq!((session.cell.len(), session.kind.len()), (rois.len(), rois.len()));
            prop_assert_eq!((session.present.len(), session.centres.len()), (cells, cells));
            let mut known: Vec<i64> = session.cell.iter().copied().filter(|&c| c >= 0).collect();
            known.sort_unstable();
            prop_assert!(known.windows(2).all(|pair| pair[0] < pair[1]), "a cell twice");
            prop_assert!(known.iter().all(|&cell| session.present[cell as usize]));
            prop_assert!(session.mean_image.as_ref().unwrap().iter().all(|v| v.is_finite()));
        }
    }
}
