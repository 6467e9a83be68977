//! `linear_track MOUSE OUT`: place codes over two weeks, and which map each
//! traversal of the track is in.
//!
//! Reads the sessions of one mouse (`C6_M4` or `C7_M4`, Sheintuch, Geva et al.
//! 2020, Current Biology 30:1588) from `$FLUORSPAR_TEST_DATA/longitudinal` and
//! writes tensors for `fluorspar drift`, a trial being a traversal and the time
//! axis the place in cm: `OUT/forward`, `OUT/backward` and `OUT/both` with all
//! traversals, `OUT/forward-map-1` … with those of one map. In
//! `OUT/forward-places` … a trial is a part of a traversal and the label
//! `place` which part of the track it is, so that place can be decoded. Prints the three
//! correlations of the field against elapsed days, and the maps.
#![allow(clippy::print_stdout, reason = "a small tool")]

mod track;
mod trio;

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use fluorspar_drift::maps::{
    MapAlignment, MapParameters, MapSession, Relation, SessionMaps, align_maps, find_maps,
};
use ndarray::{Array1, Array3, ArrayView3, Axis, concatenate};
use ndarray_npy::NpzWriter;
use track::{FIRST, LAST, PLACES, Runs, TRACK_CM, Track};

/// Least corrected similarity of a map with itself on another day.
const SAME_MAP: f64 = 0.25;
/// Fewest traversals of one direction that are written.
const FEWEST: usize = 5;
/// Neighbouring places that are one label to be decoded.
const LABELLED: usize = 2;
const DIRECTIONS: [&str; 2] = ["forward", "backward"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(mouse), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: linear_track MOUSE OUT".into());
    };
    let data = std::env::var_os("FLUORSPAR_TEST_DATA").ok_or("FLUORSPAR_TEST_DATA is not set")?;
    let out = PathBuf::from(out);
    let sessions = track::sessions(Path::new(&data), &mouse)?;
    let mut labels: Vec<Vec<Vec<i64>>> = Vec::new();
    for (direction, name) in DIRECTIONS.iter().enumerate() {
        println!("# {mouse} {name}");
        let found: Vec<SessionMaps> = sessions
            .iter()
            .map(|s| find_maps(s.runs[direction].activity.view(), &MapParameters::default()))
            .collect::<Result<_, _>>()?;
        let aligned = align(&sessions, direction, &found)?;
        print_maps(&sessions, direction, &found, &aligned);
        print_similarity(&aligned);
        println!("days,population_vector,tuning_curve,ensemble_rate,pairs");
        for row in trio::by_days(&sessions, direction) {
            println!(
                "{},{:.4},{:.4},{:.4},{}",
                row.days, row.pv, row.tuning, row.rate, row.pairs
            );
        }
        labels.push(
            found
                .iter()
                .zip(&aligned.map)
                .map(|(f, global)| {
                    let number = |k: usize| global[k] as i64 + 1;
                    f.map.iter().map(|m| m.map_or(-1, number)).collect()
                })
                .collect(),
        );
    }
    for (index, session) in sessions.iter().enumerate() {
        let file = format!("session-{:02}.npz", index + 1);
        let most = (0..2).flat_map(|d| labels[d][index].iter().copied()).max();
        // All traversals, then those of each map.
        for map in std::iter::once(None).chain((1..=most.unwrap_or(0)).map(Some)) {
            let parts: Vec<Part<'_>> = (0..2)
                .map(|direction| {
                    let maps = &labels[direction][index];
                    Part {
                        runs: &session.runs[direction],
                        maps,
                        direction,
                        rows: (0..maps.len())
                            .filter(|&t| map.is_none_or(|map| maps[t] == map))
                            .collect(),
                    }
                })
                .collect();
            let suffix = map.map_or(String::new(), |map| format!("-map-{map}"));
            let enough = parts.iter().all(|p| p.rows.len() >= FEWEST);
            if enough {
                write(
                    &out.join(format!("both{suffix}")).join(&file),
                    session,
                    &parts,
                )?;
            }
            for (part, name) in parts
                .iter()
                .zip(DIRECTIONS)
                .filter(|(p, _)| p.rows.len() >= FEWEST)
            {
                let folder = out.join(format!("{name}{suffix}"));
                write(&folder.join(&file), session, std::slice::from_ref(part))?;
                let folder = out.join(format!("{name}{suffix}-places"));
                write_places(&folder.join(&file), session, part)?;
            }
        }
    }
    Ok(())
}

fn align(
    sessions: &[Track],
    direction: usize,
    found: &[SessionMaps],
) -> Result<MapAlignment, fluorspar_drift::Error> {
    let sessions: Vec<MapSession<'_>> = sessions
        .iter()
        .zip(found)
        .map(|(session, found)| MapSession {
            activity: session.runs[direction].activity.view(),
            cell: &session.cell,
            day: session.day,
            map: &found.map,
        })
        .collect();
    align_maps(&sessions, SAME_MAP)
}

/// One row per session: what was found, and the maps traversal by traversal.
fn print_maps(sessions: &[Track], direction: usize, found: &[SessionMaps], aligned: &MapAlignment) {
    println!(
        "session,day,cells,traversals,left_out,maps,pattern,similarity,p,reliability,map_of_each_traversal"
    );
    for (index, (session, found)) in sessions.iter().zip(found).enumerate() {
        let runs = &session.runs[direction];
        let mut order = String::new();
        for (k, map) in found.map.iter().enumerate() {
            if k > 0 && runs.trial[k] != runs.trial[k - 1] {
                order.push('|');
            }
            order += &map.map_or("-".into(), |m| (aligned.map[index][m] + 1).to_string());
        }
        let (similarity, p) = found
            .splits
            .first()
            .map_or((f64::NAN, f64::NAN), |s| (s.similarity, s.p));
        println!(
            "{},{},{},{},{},{},{},{similarity:.3},{p:.3},{:.3},{order}",
            index + 1,
            session.day,
            session.cell.len(),
            runs.trial.len(),
            runs.left_out,
            found.count,
            found.pattern.name(),
            found.within[0],
        );
    }
}

/// Similarity of maps and of mixtures against days, means over pairs.
fn print_similarity(aligned: &MapAlignment) {
    println!("relation,days,raw,corrected,lowest,highest,pairs");
    for relation in [
        Relation::SameMap,
        Relation::DifferentMaps,
        Relation::Mixture,
    ] {
        let mut days: Vec<f64> = aligned.similarity.iter().map(|p| p.days).collect();
        days.sort_by(f64::total_cmp);
        days.dedup();
        for days in days {
            let rows: Vec<(f64, f64)> = aligned
                .similarity
                .iter()
                .filter(|p| p.relation == relation && p.days == days && p.corrected.is_finite())
                .map(|p| (p.raw, p.corrected))
                .collect();
            if rows.is_empty() {
                continue;
            }
            let n = rows.len() as f64;
            println!(
                "{},{days},{:.4},{:.4},{:.4},{:.4},{}",
                relation.name(),
                rows.iter().map(|r| r.0).sum::<f64>() / n,
                rows.iter().map(|r| r.1).sum::<f64>() / n,
                rows.iter().map(|r| r.1).fold(f64::INFINITY, f64::min),
                rows.iter().map(|r| r.1).fold(f64::NEG_INFINITY, f64::max),
                rows.len()
            );
        }
    }
}

/// Some traversals of one direction.
struct Part<'a> {
    runs: &'a Runs,
    maps: &'a [i64],
    direction: usize,
    rows: Vec<usize>,
}

fn write(path: &Path, session: &Track, parts: &[Part<'_>]) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let activity: Vec<_> = parts
        .iter()
        .map(|p| p.runs.activity.select(Axis(0), &p.rows))
        .collect();
    let views: Vec<ArrayView3<'_, f32>> = activity.iter().map(|a| a.view()).collect();
    let label = |of: &dyn Fn(&Part<'_>, usize) -> i64| -> Array1<i64> {
        parts
            .iter()
            .flat_map(|p| p.rows.iter().map(|&t| of(p, t)))
            .collect()
    };
    let mut npz = NpzWriter::new_compressed(File::create(path)?);
    npz.add_array("activity", &concatenate(Axis(0), &views)?)?;
    npz.add_array("cell", &Array1::from(session.cell.clone()))?;
    let centre = |place: usize| (place as f64 + 0.5) * TRACK_CM / PLACES as f64;
    npz.add_array(
        "time_s",
        &(FIRST..LAST).map(centre).collect::<Array1<f64>>(),
    )?;
    npz.add_array("day", &ndarray::arr0(session.day))?;
    npz.add_array("label_direction", &label(&|p, _| p.direction as i64))?;
    npz.add_array("label_map", &label(&|p, t| p.maps[t]))?;
    npz.add_array("label_trial", &label(&|p, t| p.runs.trial[t]))?;
    npz.finish()?;
    Ok(())
}

/// Each traversal in parts, the part of the track as the label `place`.
fn write_places(path: &Path, session: &Track, part: &Part<'_>) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let of = &part.runs.activity;
    let parts = (LAST - FIRST) / LABELLED;
    let shape = (part.rows.len() * parts, session.cell.len(), 1);
    let activity = Array3::from_shape_fn(shape, |(trial, cell, _)| {
        let first = trial % parts * LABELLED;
        let sum: f32 = (first..first + LABELLED)
            .map(|place| of[[part.rows[trial / parts], cell, place]])
            .sum();
        sum / LABELLED as f32
    });
    let place: Array1<i64> = (0..shape.0).map(|trial| (trial % parts) as i64).collect();
    let mut npz = NpzWriter::new_compressed(File::create(path)?);
    npz.add_array("activity", &activity)?;
    npz.add_array("cell", &Array1::from(session.cell.clone()))?;
    npz.add_array("time_s", &ndarray::arr1(&[0.0]))?;
    npz.add_array("day", &ndarray::arr0(session.day))?;
    npz.add_array("label_place", &place)?;
    npz.finish()?;
    Ok(())
}
