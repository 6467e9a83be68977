//! The mean activity of all cells over the trial, sorted by their peaks.

use std::collections::HashMap;
use std::path::Path;

use fluorspar_drift::Session;
use fluorspar_drift::single_cell::{half_means, mean_over_trials, peak_bins, time_reliability};
use fluorspar_report::figure::{self, HeatmapPanel, HeatmapPlot, Scale};
use fluorspar_report::{Block, Figure, Section};
use ndarray::{Array2, Array4, ArrayViewMut2, Axis};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use super::{Tables, task};
use crate::error::Context;
use crate::{Error, disk};

/// The file that holds the maps.
pub(super) const FILE: &str = "activity_maps.npy";
/// Rows of a map: more cells are averaged down to what a page can show.
const ROWS: usize = 240;
/// Least correlation over time of two quarters of the trials, for a cell to be shown.
const LEAST_RELIABILITY: f64 = 0.3;
/// Fewest cells that are chosen by reliability; all are shown if there are fewer.
const FEWEST: usize = 10;
/// Largest file that is read.
const MOST_BYTES: u64 = 1 << 30;

/// Mean activity in the odd trials (the second, fourth, …), each cell in
/// standard deviations over the trial's time.
#[derive(Clone, Debug)]
pub(super) struct Maps {
    /// `(sorted on the first or the last session, session, row, time)`; NaN where
    /// no cell of the row was seen.
    values: Array4<f32>,
    /// Cells sorted, for either.
    cells: [usize; 2],
    pub(super) start_s: f64,
    pub(super) stop_s: f64,
}

impl Maps {
    /// Nothing without sessions of equal time bins and at least four trials.
    pub(super) fn of(sessions: &[Session]) -> Option<Self> {
        let (first, last) = (sessions.first()?, sessions.len() - 1);
        let bins = first.time_s.len();
        if bins < 2
            || sessions
                .iter()
                .any(|session| session.activity.dim().2 != bins)
        {
            return None;
        }
        let step = (first.time_s[bins - 1] - first.time_s[0]) / (bins - 1) as f64;
        let places: Vec<HashMap<i64, usize>> = sessions.iter().map(seen).collect();
        let orders = [0, last].map(|session| order(&sessions[session], &places[session]));
        let [on_first, on_last] = orders;
        let orders = [on_first?, on_last?];
        let rows = orders.each_ref().map(|order| order.len().min(ROWS));
        let most = rows[0].max(rows[1]);
        let mut values = Array4::from_elem((2, sessions.len(), most, bins), f32::NAN);
        for (session, (data, places)) in sessions.iter().zip(&places).enumerate() {
            let Some(shown) = shown(data) else { continue };
            for (k, order) in orders.iter().enumerate() {
                let map = values
                    .index_axis_mut(Axis(0), k)
                    .index_axis_move(Axis(0), session);
                average(&shown, places, order, rows[k], map);
            }
        }
        Some(Self {
            values,
            cells: orders.each_ref().map(Vec::len),
            start_s: first.time_s[0] - 0.5 * step,
            stop_s: first.time_s[bins - 1] + 0.5 * step,
        })
    }

    /// The maps, and beside them a table that says what they are of.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let mut bytes = Vec::new();
        self.values.write_npy(&mut bytes).at(path.display())?;
        disk::write(path, &bytes)?;
        let text = format!(
            "sorted_on,n_cells,least_reliability,start_s,stop_s\n\
             first,{},{LEAST_RELIABILITY},{},{}\nlast,{},{LEAST_RELIABILITY},{},{}\n",
            self.cells[0], self.start_s, self.stop_s, self.cells[1], self.start_s, self.stop_s
        );
        disk::write(&path.with_extension("csv"), text.as_bytes())
    }

    /// Nothing if there are no maps.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let Some(about) = super::Sheet::read(&path.with_extension("csv"))? else {
            return Ok(None);
        };
        let small = std::fs::metadata(path).is_ok_and(|found| found.len() <= MOST_BYTES);
        let rows: Vec<super::Row<'_>> = about.rows().collect();
        if !small || rows.len() != 2 {
            return Ok(None);
        }
        let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
        let values =
            Array4::<f32>::read_npy(file).map_err(|e| Error::bad_data(path, e.to_string()))?;
        let count = |row: super::Row<'_>| row.text("n_cells").parse().unwrap_or(0);
        let fits = values.len_of(Axis(0)) == 2 && !values.is_empty();
        Ok(fits.then(|| Self {
            values,
            cells: [count(rows[0]), count(rows[1])],
            start_s: rows[0].value("start_s"),
            stop_s: rows[0].value("stop_s"),
        }))
    }

    fn figure(
        &self,
        k: usize,
        tables: &Tables,
        labels: &[String],
    ) -> Result<Option<Figure>, Error> {
        let maps = self.values.index_axis(Axis(0), k);
        let (sessions, most, bins) = maps.dim();
        let rows = self.cells[k].min(most);
        if rows == 0 || bins == 0 || sessions != labels.len() {
            return Ok(None);
        }
        let order: Vec<usize> = (0..rows).collect();
        let epochs = task::epochs(tables);
        let plot = HeatmapPlot {
            order: &order,
            time: self.start_s..self.stop_s,
            epochs: &epochs,
            scale: Scale::sequential(-1.0..3.0),
            scale_label: "activity (SD)",
            rows: "cells by peak time",
            height: 220,
        };
        let panels: Vec<HeatmapPanel<'_>> = labels
            .iter()
            .zip(maps.outer_iter())
            .map(|(title, values)| HeatmapPanel {
                title: title.clone(),
                values,
            })
            .collect();
        let which = ["first", "last"][k];
        Ok(Some(figure::heatmap(&plot, &panels).at("report")?.titled(
            format!(
                "{} cells, sorted by their peaks in the even trials of the {which} session",
                self.cells[k]
            ),
        )))
    }
}

/// Where the cells are that were seen.
fn seen(session: &Session) -> HashMap<i64, usize> {
    let present = |place: usize| {
        session
            .present
            .as_ref()
            .is_none_or(|p| p.get(place) == Some(&true))
    };
    let cells = session.cell.iter().copied().enumerate();
    cells
        .filter(|&(place, _)| present(place))
        .map(|(place, cell)| (cell, place))
        .collect()
}

/// The cells of a session by their peak in the trials that are not shown, the
/// earliest first: those whose two quarters of these trials agree.
fn order(session: &Session, places: &HashMap<i64, usize>) -> Option<Vec<i64>> {
    let (trials, cells, _) = session.activity.dim();
    if cells != session.cell.len() {
        return None;
    }
    let hidden: Vec<usize> = (0..trials).step_by(2).collect();
    let [a, b] = half_means(session.activity.view(), &hidden).ok()?;
    let alike = time_reliability(a.view(), b.view()).ok()?;
    let peaks = peak_bins((&a + &b).view());
    let sorted = |least: f64| -> Vec<i64> {
        let mut chosen: Vec<(usize, i64)> = session
            .cell
            .iter()
            .enumerate()
            .filter(|(place, cell)| places.contains_key(cell) && alike[*place] >= least)
            .filter_map(|(place, &cell)| Some((peaks[place]?, cell)))
            .collect();
        chosen.sort_unstable();
        chosen.into_iter().map(|(_, cell)| cell).collect()
    };
    let reliable = sorted(LEAST_RELIABILITY);
    Some(if reliable.len() < FEWEST {
        sorted(-1.0)
    } else {
        reliable
    })
}

/// Mean activity in the odd trials, each cell in standard deviations over time;
/// a cell that does not vary is at its mean, 0, all the time.
fn shown(session: &Session) -> Option<Array2<f64>> {
    let trials: Vec<usize> = (1..session.activity.dim().0).step_by(2).collect();
    let mut mean = mean_over_trials(session.activity.view(), &trials).ok()?;
    for mut cell in mean.rows_mut() {
        let n = cell.len() as f64;
        let middle = cell.sum() / n;
        let deviation = (cell.fold(0.0, |sum, v| sum + (v - middle).powi(2)) / n).sqrt();
        cell.mapv_inplace(|v| {
            if deviation > 0.0 {
                (v - middle) / deviation
            } else {
                v - middle
            }
        });
    }
    Some(mean)
}

/// Fills the map with the means over the cells of each row that were seen.
fn average(
    shown: &Array2<f64>,
    places: &HashMap<i64, usize>,
    order: &[i64],
    rows: usize,
    mut map: ArrayViewMut2<'_, f32>,
) {
    let mut sums = vec![0.0; map.ncols()];
    let mut next = 0;
    for row in 0..rows {
        let end = (row + 1) * order.len() / rows;
        let here: Vec<usize> = order[next..end]
            .iter()
            .filter_map(|cell| places.get(cell).copied())
            .collect();
        next = end;
        sums.fill(0.0);
        for &place in &here {
            for (sum, value) in sums.iter_mut().zip(shown.row(place)) {
                *sum += value;
            }
        }
        for (slot, sum) in map.row_mut(row).iter_mut().zip(&sums) {
            // Without a cell this is 0 / 0, NaN.
            *slot = (sum / here.len() as f64) as f32;
        }
    }
}

pub(super) fn section(tables: &Tables, labels: &[String]) -> Result<Section, Error> {
    let section = Section::new("Activity over the trial").text(
        "Mean activity of the cells in every other trial, each in standard deviations over the trial's \
         time. Cells are chosen and sorted on the trials between, so that a diagonal in the session \
         sorted on is no product of sorting; they keep their order in all other sessions. A code that \
         stays keeps the diagonal. Grey: not seen in that session.",
    );
    let mut figures = Vec::new();
    if let Some(maps) = &tables.maps {
        for k in 0..2 {
            figures.extend(maps.figure(k, tables, labels)?);
        }
    }
    Ok(if figures.is_empty() {
        section.block(Block::Note(
            "There are no maps: sessions differ in their time bins or have too few trials.".into(),
        ))
    } else {
        section
            .block(Block::Figures(figures))
            .block(Block::Note("activity_maps.npy (sorted on first or last session, session, row, time), activity_maps.csv".into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    /// Cell `c` fires in bin `(c + shift) % bins`.
    fn session(day: usize, cells: &[i64], shift: usize) -> Session {
        Session {
            activity: Array3::from_shape_fn((8, cells.len(), 12), |(_, k, t)| {
                f32::from((cells[k] as usize + shift) % 12 == t)
            }),
            cell: cells.to_vec(),
            time_s: (0..12).map(|t| f64::from(t) * 0.5).collect(),
            day: day as f64,
            ..Session::default()
        }
    }

    #[test]
    fn rows_keep_their_cells_in_every_session() {
        let all: Vec<i64> = (0..12).rev().collect();
        let sessions = [
            session(1, &all, 0),
            session(2, &all[..11], 0),
            session(3, &all, 5),
        ];
        let maps = Maps::of(&sessions).unwrap();
        assert_eq!(maps.cells, [12, 12]);
        assert!((maps.start_s + 0.25).abs() < 1e-12 && (maps.stop_s - 5.75).abs() < 1e-12);
        let at = |k: usize, s: usize, row: usize| {
            maps.values
                .index_axis(Axis(0), k)
                .index_axis(Axis(0), s)
                .row(row)
                .to_vec()
        };
        let peak = |values: &[f32]| values.iter().position(|&v| v > 1.0);
        for row in 0..12 {
            assert_eq!(peak(&at(0, 0, row)), Some(row));
            assert_eq!(peak(&at(0, 2, row)), Some((row + 5) % 12));
            assert_eq!(peak(&at(1, 2, row)), Some(row));
        }
        assert!(
            at(0, 1, 0).iter().all(|v| v.is_nan()),
            "cell 0 was not seen on day 2"
        );
    }

    #[test]
    fn many_cells_share_a_row() {
        let cells: Vec<i64> = (0..1000).collect();
        let maps = Maps::of(&[session(1, &cells, 0)]).unwrap();
        assert_eq!(
            (maps.values.dim(), maps.cells),
            ((2, 1, ROWS, 12), [1000, 1000])
        );
        assert!(maps.values.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn sessions_that_do_not_fit_have_no_maps() {
        assert!(Maps::of(&[]).is_none());
        assert!(Maps::of(&[Session::default()]).is_none());
        let mut short = session(2, &[1], 0);
        short.activity = Array3::zeros((8, 1, 5));
        assert!(Maps::of(&[session(1, &[1], 0), short]).is_none());
        let mut one = session(1, &[1], 0);
        one.activity = Array3::zeros((1, 1, 12));
        assert!(Maps::of(&[one]).is_none());
    }

    #[test]
    fn maps_come_back_from_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert!(Maps::read(&path).unwrap().is_none());
        let cells: Vec<i64> = (0..12).collect();
        let maps = Maps::of(&[session(1, &cells, 0), session(2, &cells[2..], 3)]).unwrap();
        maps.write(&path).unwrap();
        let back = Maps::read(&path).unwrap().unwrap();
        assert_eq!(back.cells, maps.cells);
        let same = back.values.iter().zip(&maps.values);
        assert!(same.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
