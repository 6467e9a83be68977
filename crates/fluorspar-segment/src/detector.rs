use fluorspar_denoise::LowRank;
use fluorspar_movie::{Budget, Footprints, Progress};
use ndarray::Array2;
use rayon::prelude::*;

use crate::activity::Activity;
use crate::search::{search, strengths};
use crate::stats::correlation;
use crate::tile::{Grid, Rectangle, Tile};
use crate::{Error, Parameters};

/// The cells of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// Footprints in the order of falling [`Segmentation::snr`]; among equals
    /// the one whose first pixel comes first.
    pub footprints: Footprints,
    /// How far each ROI's transients rise above its noise: its third largest
    /// bin over its resting level, in units of the standard deviation below
    /// that level.
    pub snr: Vec<f32>,
    /// How strongly each pixel's neighbourhood was active, axes `(y, x)`: the
    /// root of the summed squares of activity above four times its noise, in
    /// units of the raw movie's noise. What seeds are taken from; 0 where
    /// nothing happened.
    pub activity_image: Array2<f32>,
}

/// Finds active cells in a denoised movie.
#[derive(Clone, Debug)]
pub struct Detector {
    parameters: Parameters,
}

/// A cell found in a tile, in the image's pixels.
struct Found {
    indices: Vec<u32>,
    weights: Vec<f32>,
    snr: f32,
    trace: Vec<f32>,
}

impl Detector {
    /// Takes what a cell looks like.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the first parameter that is out of range.
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// Looks for cells in `movie`, `frame_rate` in Hz.
    ///
    /// The field is cut into tiles that reach over by one and a half diameters, by the
    /// movie's shape and `budget` alone; as many are worked on at once as
    /// `budget` holds, on the caller's rayon pool. A cell belongs to the tile
    /// in which its centre lies. The result is the same to the byte at any
    /// number of threads.
    ///
    /// A movie without activity (constant, empty, or pure noise, which leaves
    /// a low-rank movie without components) has no cells; that is no error.
    /// Pixels whose noise is zero or not finite are left out. `progress`
    /// counts the movie's frames, tile by tile.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the frame rate is not positive and finite.
    pub fn detect(
        &self,
        movie: &LowRank,
        frame_rate: f64,
        budget: Budget,
        progress: Progress<'_>,
    ) -> Result<Segmentation, Error> {
        if !(1e-6..=1e6).contains(&frame_rate) {
            return Err(Error::Parameter {
                name: "frame_rate",
                value: frame_rate,
                rule: "a positive number of frames per second",
            });
        }
        let (height, width) = (movie.height(), movie.width());
        let mut result = Segmentation {
            footprints: Footprints::new(height, width),
            snr: Vec::new(),
            activity_image: Array2::zeros((height, width)),
        };
        if movie.rank() == 0 || movie.frames() == 0 || height * width == 0 {
            progress(movie.frames() as u64);
            return Ok(result);
        }
        let activity = Activity::new(movie, &self.parameters, frame_rate);
        let grid = Grid::new(height, width, activity.bins, &self.parameters, budget.bytes);
        let mut found = Vec::new();
        let mut done = 0;
        for cores in grid.cores.chunks(grid.at_once) {
            let parts: Vec<(Vec<Found>, Vec<f32>)> = cores
                .par_iter()
                .map(|core| self.tile(&activity, &grid, core, (height, width)))
                .collect();
            for (core, (cells, image)) in cores.iter().zip(parts) {
                found.extend(cells);
                let mut image = image.into_iter();
                for y in core.y.clone() {
                    for x in core.x.clone() {
                        result.activity_image[[y, x]] = image.next().unwrap_or(0.0);
                    }
                }
            }
            let share = |tiles: usize| movie.frames() * tiles / grid.cores.len();
            progress((share(done + cores.len()) - share(done)) as u64);
            done += cores.len();
        }
        found.sort_by(|a, b| {
            b.snr
                .total_cmp(&a.snr)
                .then_with(|| a.indices.cmp(&b.indices))
        });
        for cell in self.distinct(&found, width) {
            result.footprints.push(&cell.indices, &cell.weights, 0)?;
            result.snr.push(cell.snr);
        }
        Ok(result)
    }

    /// The cells whose centre lies in `core`, and the core's activity image.
    fn tile(
        &self,
        activity: &Activity<'_>,
        grid: &Grid,
        core: &Rectangle,
        (height, width): (usize, usize),
    ) -> (Vec<Found>, Vec<f32>) {
        let area = grid.with_margin(core);
        let mut tile = Tile::new(activity, width, area, &self.parameters, height);
        let strengths = strengths(&tile);
        let mut image = Vec::with_capacity(core.y.len() * core.x.len());
        for y in core.y.clone() {
            let row = (y - tile.area.y.start) * tile.columns;
            let start = row + core.x.start - tile.area.x.start;
            image.extend_from_slice(&strengths[start..start + core.x.len()]);
        }
        let cells = search(&mut tile, strengths, &self.parameters, activity.bin);
        let found = cells
            .into_iter()
            .filter(|cell| {
                let (y, x) = cell.centre(&tile);
                core.holds(y + tile.area.y.start as f64, x + tile.area.x.start as f64)
            })
            .map(|cell| Found {
                indices: cell
                    .pixels
                    .iter()
                    .map(|&pixel| {
                        let y = tile.area.y.start + pixel / tile.columns;
                        let x = tile.area.x.start + pixel % tile.columns;
                        (y * width + x) as u32
                    })
                    .collect(),
                weights: cell
                    .pixels
                    .iter()
                    .zip(&cell.weights)
                    .map(|(&pixel, &weight)| weight * tile.noise[pixel])
                    .collect(),
                snr: cell.snr(activity.bin),
                trace: cell.trace,
            })
            .collect();
        (found, image)
    }

    /// Drops what two neighbouring tiles both found: of overlapping cells
    /// with correlated activity the first stays.
    fn distinct<'a>(&self, found: &'a [Found], width: usize) -> Vec<&'a Found> {
        let reach = |cell: &Found| {
            let rows = cell.indices.iter().map(|&i| i as usize / width);
            let top = rows.clone().min().unwrap_or(0);
            top..rows.max().unwrap_or(0) + 1
        };
        let mut kept: Vec<(std::ops::Range<usize>, &Found)> = Vec::new();
        for cell in found {
            let rows = reach(cell);
            let twin = kept.iter().any(|(other_rows, other)| {
                other_rows.start < rows.end && rows.start < other_rows.end && {
                    let shared = cell
                        .indices
                        .iter()
                        .filter(|i| other.indices.binary_search(i).is_ok())
                        .count();
                    let smaller = cell.indices.len().min(other.indices.len());
                    2 * shared > smaller
                        && correlation(&cell.trace, &other.trace)
                            >= self.parameters.merge_correlation
                }
            });
            if !twin {
                kept.push((rows, cell));
            }
        }
        kept.into_iter().map(|(_, cell)| cell).collect()
    }
}
