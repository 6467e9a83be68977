//! The maps of two mice, from the folder named by FLUORSPAR_TEST_DATA;
//! skipped without it.

#[path = "../examples/linear_track/track.rs"]
#[allow(dead_code, reason = "the example uses more of it")]
mod track;

use std::path::PathBuf;

use fluorspar_drift::maps::{
    MapParameters, MapSession, Pattern, Relation, SessionMaps, align_maps, find_maps,
};

/// Mouse; session (from 0) and trial in the rarer map; sessions wholly in the second map.
type Expected = (&'static str, &'static [(usize, i64)], &'static [usize]);

/// Sheintuch, Geva et al. 2020: switches happen when the animal is put back
/// on the track; both running directions switch together. What each trial
/// (2 to 6) of a session should hold was read off the similarity matrices.
#[test]
fn switching_is_found_where_it_is_and_not_called_drift() {
    let Some(data) = std::env::var_os("FLUORSPAR_TEST_DATA").map(PathBuf::from) else {
        return;
    };
    let parameters = MapParameters {
        surrogates: 99,
        ..MapParameters::default()
    };
    let mice: [Expected; 2] = [
        ("C6_M4", &[(2, 3)], &[]),
        ("C7_M4", &[(0, 2), (1, 3), (5, 6)], &[4]),
    ];
    for (mouse, switches, elsewhere) in mice {
        let sessions = track::sessions(&data, mouse).unwrap();
        for direction in 0..2 {
            let found: Vec<SessionMaps> = sessions
                .iter()
                .map(|s| find_maps(s.runs[direction].activity.view(), &parameters).unwrap())
                .collect();
            for (index, (session, found)) in sessions.iter().zip(&found).enumerate() {
                let rarer = switches.iter().find(|s| s.0 == index).map(|s| s.1);
                assert_eq!(
                    found.count,
                    1 + usize::from(rarer.is_some()),
                    "{mouse} {index}"
                );
                assert_eq!(found.pattern == Pattern::One, rarer.is_none());
                let in_rarer: Vec<usize> = found
                    .map
                    .iter()
                    .zip(&session.runs[direction].trial)
                    .filter(|(_, trial)| Some(**trial) == rarer)
                    .map(|(map, _)| map.unwrap())
                    .collect();
                assert!(in_rarer.windows(2).all(|pair| pair[0] == pair[1]));
            }
            let together: Vec<MapSession<'_>> = sessions
                .iter()
                .zip(&found)
                .map(|(s, f)| MapSession {
                    activity: s.runs[direction].activity.view(),
                    cell: &s.cell,
                    day: s.day,
                    map: &f.map,
                })
                .collect();
            let aligned = align_maps(&together, 0.25).unwrap();
            assert_eq!(aligned.count, 2, "{mouse} {direction}");
            for &session in elsewhere {
                assert_eq!(aligned.map[session], [1]);
            }
            let mean = |relation: Relation| {
                let values: Vec<f64> = aligned
                    .similarity
                    .iter()
                    .filter(|p| p.relation == relation && p.days == 4.0)
                    .map(|p| p.corrected)
                    .collect();
                values.iter().sum::<f64>() / values.len() as f64
            };
            assert!(mean(Relation::SameMap) > 0.55);
            assert!(mean(Relation::DifferentMaps) < 0.3);
            if mouse == "C7_M4" {
                // Two days apart or twelve: other maps have nothing in common.
                assert!(mean(Relation::DifferentMaps).abs() < 0.06);
                assert!(mean(Relation::Mixture) < 0.35);
            }
        }
    }
}
