//! Traces of all ROIs, written and read by frames or by ROIs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};

use crate::Error;

/// Panels are a multiple of this many frames: what is computed some frames at
/// a time is then summed up as if it were computed at once.
const ALIGN: usize = 256;
/// Size that a panel of one array aims at, bytes.
const PANEL_BYTES: usize = 4 << 20;
/// Most of the movie that a panel stands for, bytes of float32.
const MOVIE_BYTES: usize = 2 << 30;

/// Several arrays `(roi, frame)`, cut into panels of all ROIs at some frames
/// that lie one behind the other: a panel is one stretch of memory or of a
/// file, and some ROIs at all frames are one stretch of each.
///
/// They are held in memory or, if that has no room, in a file that has no
/// name any more and goes with the process.
pub(super) struct Panels {
    rois: usize,
    frames: usize,
    length: usize,
    place: Place,
}

enum Place {
    /// Panels of the first array, then those of the second, and so on.
    Memory(Vec<Vec<f32>>),
    File(File, PathBuf),
}

/// Frames of a panel, which follow from the movie's size and the number of ROIs alone.
pub(super) fn panel_frames(rois: usize, frame_len: usize) -> usize {
    let by_traces = PANEL_BYTES / (4 * rois.max(1));
    let by_movie = MOVIE_BYTES / (4 * frame_len.max(1));
    (by_traces.min(by_movie) / ALIGN).max(1) * ALIGN
}

impl Panels {
    /// `arrays` arrays of `rois` ROIs and `frames` frames in panels of
    /// `length`, in memory if they take at most `bytes`, else in a file in
    /// `folder`.
    pub(super) fn new(
        [arrays, rois, frames]: [usize; 3],
        length: usize,
        bytes: usize,
        folder: &Path,
    ) -> Result<Self, Error> {
        let mut panels = Self {
            rois,
            frames,
            length,
            place: Place::Memory(Vec::new()),
        };
        let all = 4 * arrays as u128 * rois as u128 * frames as u128;
        panels.place = if all <= bytes as u128 {
            let count = panels.count();
            let one = |k: usize| vec![0.0; rois * panels.range(k % count).len()];
            Place::Memory((0..arrays * count).map(one).collect())
        } else {
            let path = folder.join(format!(".partial-traces-{}", std::process::id()));
            let io = |e| Error::io(&path, e);
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(io)?;
            // Whatever ends the process, nothing stays behind.
            std::fs::remove_file(&path).map_err(io)?;
            Place::File(file, path)
        };
        Ok(panels)
    }

    /// Number of panels.
    pub(super) fn count(&self) -> usize {
        self.frames.div_ceil(self.length)
    }

    /// Frames of a panel.
    pub(super) fn range(&self, panel: usize) -> Range<usize> {
        panel * self.length..((panel + 1) * self.length).min(self.frames)
    }

    /// One panel of an array, `(roi, frame in the panel)`.
    pub(super) fn panel(&mut self, array: usize, panel: usize) -> Result<Array2<f32>, Error> {
        let mut out = Array2::zeros((self.rois, self.range(panel).len()));
        self.read(array, panel, 0, out.as_slice_mut().unwrap_or_default())?;
        Ok(out)
    }

    /// Puts one panel of an array in place.
    pub(super) fn set_panel(
        &mut self,
        array: usize,
        panel: usize,
        values: ArrayView2<'_, f32>,
    ) -> Result<(), Error> {
        let values = values.as_standard_layout();
        self.write(array, panel, 0, values.as_slice().unwrap_or_default())
    }

    /// Some ROIs of an array at all frames, `(roi, frame)`.
    pub(super) fn rows(&mut self, array: usize, rois: Range<usize>) -> Result<Array2<f32>, Error> {
        let mut out = Array2::zeros((rois.len(), self.frames));
        let mut part = Vec::new();
        for panel in 0..self.count() {
            let frames = self.range(panel);
            part.resize(rois.len() * frames.len(), 0.0);
            self.read(array, panel, rois.start, &mut part)?;
            for (mut row, part) in out
                .rows_mut()
                .into_iter()
                .zip(part.chunks_exact(frames.len()))
            {
                if let Some(row) = row.as_slice_mut() {
                    row[frames.clone()].copy_from_slice(part);
                }
            }
        }
        Ok(out)
    }

    /// Puts the ROIs of the given, ascending numbers in place, at all frames.
    pub(super) fn set_rows(
        &mut self,
        array: usize,
        rois: &[usize],
        values: ArrayView2<'_, f32>,
    ) -> Result<(), Error> {
        let values = values.as_standard_layout();
        let mut part = Vec::new();
        for panel in 0..self.count() {
            let frames = self.range(panel);
            // Those that follow each other lie together.
            let mut at = 0;
            for run in rois.chunk_by(|a, b| a + 1 == *b) {
                part.clear();
                for row in values.rows().into_iter().skip(at).take(run.len()) {
                    part.extend_from_slice(&row.to_slice().unwrap_or_default()[frames.clone()]);
                }
                self.write(array, panel, run[0], &part)?;
                at += run.len();
            }
        }
        Ok(())
    }

    /// Reads whole ROIs of a panel, from one on.
    fn read(
        &mut self,
        array: usize,
        panel: usize,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), Error> {
        let start = first * self.range(panel).len();
        let offset = self.offset(array, panel, start);
        let count = self.count();
        match &mut self.place {
            Place::Memory(panels) => {
                let from = &panels[array * count + panel];
                out.copy_from_slice(&from[start..start + out.len()]);
            }
            Place::File(file, path) => {
                let bytes = bytemuck::cast_slice_mut(out);
                file.seek(SeekFrom::Start(offset))
                    .and_then(|_| file.read_exact(bytes))
                    .map_err(|e| Error::io(path, e))?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        array: usize,
        panel: usize,
        first: usize,
        values: &[f32],
    ) -> Result<(), Error> {
        let start = first * self.range(panel).len();
        let offset = self.offset(array, panel, start);
        let count = self.count();
        match &mut self.place {
            Place::Memory(panels) => {
                let to = &mut panels[array * count + panel];
                to[start..start + values.len()].copy_from_slice(values);
            }
            Place::File(file, path) => {
                file.seek(SeekFrom::Start(offset))
                    .and_then(|_| file.write_all(bytemuck::cast_slice(values)))
                    .map_err(|e| Error::io(path, e))?;
            }
        }
        Ok(())
    }

    /// Where a value of a panel lies in the file.
    fn offset(&self, array: usize, panel: usize, start: usize) -> u64 {
        let (rois, frames) = (self.rois as u64, self.frames as u64);
        let before = rois * (array as u64 * frames + (panel * self.length) as u64);
        4 * (before + start as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever is written last is read, however it lies.
        #[test]
        fn memory_and_file_hold_the_same(
            rois in 1_usize..9,
            frames in 1_usize..30,
            length in 1_usize..12,
            picks in prop::collection::vec(any::<bool>(), 9),
            split in 0_usize..9,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut expected = vec![Array2::<f32>::zeros((rois, frames)); 2];
            for bytes in [usize::MAX, 0] {
                let shape = [2, rois, frames];
                let mut panels = Panels::new(shape, length, bytes, folder.path()).unwrap();
                for (array, expected) in expected.iter_mut().enumerate() {
                    for panel in 0..panels.count() {
                        let range = panels.range(panel);
                        let values = Array2::from_shape_fn((rois, range.len()), |(roi, t)| {
                            (array * 10_000 + roi * 100 + range.start + t) as f32
                        });
                        panels.set_panel(array, panel, values.view()).unwrap();
                    }
                    *expected = Array2::from_shape_fn((rois, frames), |(roi, t)| {
                        (array * 10_000 + roi * 100 + t) as f32
                    });
                }
                let chosen: Vec<usize> = (0..rois).filter(|&roi| picks[roi]).collect();
                let new = Array2::from_shape_fn((chosen.len(), frames), |(k, t)| {
                    -((k * 100 + t) as f32)
                });
                panels.set_rows(1, &chosen, new.view()).unwrap();
                for (k, &roi) in chosen.iter().enumerate() {
                    expected[1].row_mut(roi).assign(&new.row(k));
                }
                let split = split.min(rois);
                for (array, expected) in expected.iter().enumerate() {
                    for part in [0..split, split..rois] {
                        let rows = panels.rows(array, part.clone()).unwrap();
                        let indices: Vec<usize> = part.collect();
                        prop_assert_eq!(rows, expected.select(ndarray::Axis(0), &indices));
                    }
                    for panel in 0..panels.count() {
                        let indices: Vec<usize> = panels.range(panel).collect();
                        let found = panels.panel(array, panel).unwrap();
                        prop_assert_eq!(found, expected.select(ndarray::Axis(1), &indices));
                    }
                }
                prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            }
        }
    }

    #[test]
    fn panels_follow_from_sizes_alone() {
        assert_eq!(panel_frames(400, 512 * 512), 2048);
        assert_eq!(panel_frames(73_307, 30 * 512 * 512), 256);
        assert_eq!(panel_frames(0, 0), PANEL_BYTES / 4 / ALIGN * ALIGN);
    }
}
