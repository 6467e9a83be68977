//! Recordings of Sheintuch, Geva et al. 2020 into rates by place.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{Array0, Array1, Array3};
use ndarray_npy::NpzReader;

/// Places along the track; the outer two at either end are where the animal turns.
pub(crate) const PLACES: usize = 24;
pub(crate) const FIRST: usize = 2;
pub(crate) const LAST: usize = 22;
pub(crate) const TRACK_CM: f64 = 96.0;
/// Slowest running that counts.
const SLOWEST_CM_S: f64 = 1.0;
/// Speed is averaged over this many frames to either side: half a second.
const SMOOTHED: usize = 5;

/// Runs in one direction from turning area to turning area.
pub(crate) struct Runs {
    /// Mean event per second `(traversal, cell, place)`.
    pub(crate) activity: Array3<f32>,
    /// The trial (a stay on the track of some minutes) of each traversal.
    pub(crate) trial: Vec<i64>,
    /// Frame in which each begins.
    pub(crate) start: Vec<usize>,
    /// Traversals left out because a place was crossed between two frames.
    pub(crate) left_out: usize,
}

/// One session: tracked cells only.
pub(crate) struct Track {
    pub(crate) cell: Vec<i64>,
    pub(crate) day: f64,
    /// Forward (position grows), backward.
    pub(crate) runs: [Runs; 2],
}

/// The sessions of an animal (`C6_M4`, `C7_M4`) in `folder`, in order.
pub(crate) fn sessions(folder: &Path, mouse: &str) -> Result<Vec<Track>, Box<dyn Error>> {
    let path = |number: usize| -> PathBuf {
        folder
            .join("longitudinal")
            .join(format!("{mouse}_A_session_{number}.npz"))
    };
    let found: Vec<PathBuf> = (1..100).map(path).take_while(|p| p.exists()).collect();
    if found.is_empty() {
        return Err(format!("no sessions of {mouse:?} in {}", folder.display()).into());
    }
    found.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Track, Box<dyn Error>> {
    let mut npz = NpzReader::new(File::open(path)?)?;
    let event_frame: Array1<i32> = npz.by_name("event_frame")?;
    let event_cell: Array1<i32> = npz.by_name("event_cell")?;
    let event_value: Array1<f32> = npz.by_name("event_value")?;
    let identity: Array1<i32> = npz.by_name("cell")?;
    let trial: Array1<i16> = npz.by_name("trial")?;
    let position: Array1<f32> = npz.by_name("position")?;
    let velocity: Array1<f32> = npz.by_name("velocity")?;
    let rate: Array0<f64> = npz.by_name("frame_rate")?;
    let day: Array0<i64> = npz.by_name("day")?;
    let trial: Vec<i64> = trial.iter().map(|&t| i64::from(t)).collect();

    // A ROI that is not tracked is no cell; a cell without a ROI was not seen.
    let tracked: Vec<usize> = (0..identity.len())
        .filter(|&roi| identity[roi] >= 0)
        .collect();
    let mut row = vec![None; identity.len()];
    for (cell, &roi) in tracked.iter().enumerate() {
        row[roi] = Some(cell);
    }
    let mut events = vec![Vec::new(); trial.len()];
    for ((&frame, &roi), &value) in event_frame.iter().zip(&event_cell).zip(&event_value) {
        if let Some(cell) = row[usize::try_from(roi)?] {
            events[usize::try_from(frame)?].push((cell, f64::from(value)));
        }
    }
    let speed = smoothed_speed(&velocity.to_vec(), &trial);
    let place: Vec<Option<usize>> = (0..trial.len())
        .map(|t| {
            let place = (f64::from(position[t]) * PLACES as f64).floor();
            (trial[t] > 0).then_some(place.clamp(0.0, PLACES as f64 - 1.0) as usize)
        })
        .collect();
    let used: Vec<Option<usize>> = (0..trial.len())
        .map(|t| place[t].filter(|p| (FIRST..LAST).contains(p) && speed[t] > SLOWEST_CM_S))
        .collect();
    let crossings = crossings(&place, &trial);
    let runs = [true, false].map(|forward| {
        let mut all = Runs {
            activity: Array3::zeros((0, tracked.len(), LAST - FIRST)),
            trial: Vec::new(),
            start: Vec::new(),
            left_out: 0,
        };
        let mut rates = Vec::new();
        for crossing in crossings.iter().filter(|c| c.forward == forward) {
            let (from, to) = (crossing.from, crossing.to);
            match by_place(&used[from..to], &events[from..to], tracked.len(), rate[()]) {
                Some(traversal) => {
                    rates.extend(traversal);
                    all.trial.push(trial[from]);
                    all.start.push(from);
                }
                None => all.left_out += 1,
            }
        }
        let shape = (all.trial.len(), tracked.len(), LAST - FIRST);
        Array3::from_shape_vec(shape, rates).map(|activity| Runs { activity, ..all })
    });
    let [forward, backward] = runs;
    Ok(Track {
        cell: tracked
            .iter()
            .map(|&roi| i64::from(identity[roi]))
            .collect(),
        day: day.into_scalar() as f64,
        runs: [forward?, backward?],
    })
}

/// Mean absolute velocity over neighbouring frames of the same trial.
fn smoothed_speed(velocity: &[f32], trial: &[i64]) -> Vec<f64> {
    (0..trial.len())
        .map(|t| {
            let near = t.saturating_sub(SMOOTHED)..(t + SMOOTHED + 1).min(trial.len());
            let same: Vec<f64> = near
                .filter(|&k| trial[k] == trial[t] && trial[t] > 0)
                .map(|k| f64::from(velocity[k]).abs())
                .collect();
            same.iter().sum::<f64>() / same.len() as f64
        })
        .collect()
}

/// Frames `from..to` between the turning areas.
struct Crossing {
    from: usize,
    to: usize,
    forward: bool,
}

/// From the last frame in one turning area to the first in the other, within a trial.
fn crossings(place: &[Option<usize>], trial: &[i64]) -> Vec<Crossing> {
    let mut out = Vec::new();
    let mut left: Option<(usize, bool)> = None;
    for (t, place) in place.iter().enumerate() {
        let low = match place {
            Some(place) if *place < FIRST => true,
            Some(place) if *place >= LAST => false,
            _ => continue,
        };
        if let Some((from, from_low)) = left
            && from_low != low
            && trial[from] == trial[t]
        {
            out.push(Crossing {
                from,
                to: t,
                forward: from_low,
            });
        }
        left = Some((t, low));
    }
    out
}

/// Event per second `(cell, place)`; `None` if a place has no frame.
fn by_place(
    place: &[Option<usize>],
    events: &[Vec<(usize, f64)>],
    cells: usize,
    frame_rate: f64,
) -> Option<Vec<f32>> {
    let places = LAST - FIRST;
    let mut frames = vec![0.0; places];
    let mut sums = vec![0.0; cells * places];
    for (place, events) in place.iter().zip(events) {
        let Some(place) = place else { continue };
        frames[place - FIRST] += 1.0;
        for &(cell, value) in events {
            sums[cell * places + place - FIRST] += value;
        }
    }
    if frames.contains(&0.0) {
        return None;
    }
    for (k, sum) in sums.iter_mut().enumerate() {
        *sum *= frame_rate / frames[k % places];
    }
    Some(sums.into_iter().map(|v| v as f32).collect())
}
