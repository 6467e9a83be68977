//! Where the activity comes from: a folder of tensors, or a simulation.

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{Array0, Array1, Array3};
use ndarray_npy::NpzReader;

use crate::Outcome;

/// One session.
pub(crate) struct Day {
    pub(crate) elapsed: f64,
    /// Identities, the same cell in every session.
    pub(crate) cell: Vec<i64>,
    /// Activity `(trial, cell, time)`.
    pub(crate) activity: Array3<f32>,
}

/// Reads every `session-NN.npz` of a folder, as `fluorspar drift` does.
pub(crate) fn read(folder: &Path) -> Outcome<Vec<Day>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|e| format!("{}: {e}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("session-") && name.ends_with(".npz")
        })
        .collect();
    paths.sort();
    let mut days = Vec::new();
    for path in paths {
        let told = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let mut file =
            NpzReader::new(File::open(&path).map_err(|e| told(&e))?).map_err(|e| told(&e))?;
        let activity: Array3<f32> = file.by_name("activity").map_err(|e| told(&e))?;
        let cell: Array1<i64> = file.by_name("cell").map_err(|e| told(&e))?;
        let day: Array0<f64> = file.by_name("day").map_err(|e| told(&e))?;
        if activity.dim().1 != cell.len() {
            return Err(told(&"activity and cell disagree in the number of cells").into());
        }
        days.push(Day {
            elapsed: day.into_scalar(),
            cell: cell.to_vec(),
            activity,
        });
    }
    days.sort_by(|a, b| a.elapsed.total_cmp(&b.elapsed));
    Ok(days)
}

const SESSIONS: usize = 12;
/// Sessions after whose first the code changes; later it stays.
const DRIFTING: usize = 6;
const CELLS: usize = 40;
const TRIALS: usize = 60;
const BINS: usize = 60;

/// Cells that are active at one moment of the trial each; until session
/// [`DRIFTING`] a part of them moves to another moment every day.
pub(crate) fn simulate(seed: u64) -> Vec<Day> {
    let mut chance = Chance(seed);
    let mut peaks: Vec<f64> = (0..CELLS).map(|_| chance.next() * BINS as f64).collect();
    (0..SESSIONS)
        .map(|session| {
            if (1..DRIFTING).contains(&session) {
                for peak in &mut peaks {
                    if chance.next() < 0.6 {
                        *peak = chance.next() * BINS as f64;
                    }
                }
            }
            let activity = Array3::from_shape_fn((TRIALS, CELLS, BINS), |(_, cell, bin)| {
                let away = (bin as f64 + 0.5 - peaks[cell]) / 3.0;
                (2.0 * (-0.5 * away * away).exp() + 2.0 * (chance.next() - 0.5)) as f32
            });
            Day {
                elapsed: session as f64 + 1.0,
                cell: (0..CELLS as i64).collect(),
                activity,
            }
        })
        .collect()
}

/// Uniform numbers in 0 to 1 (SplitMix64, Steele, Lea and Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
