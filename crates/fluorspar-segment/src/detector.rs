use fluorspar_denoise::LowRank;
use fluorspar_movie::{Budget, Footprints, Progress};
use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use crate::activity::{Activity, Courses, MOST_BINS};
use crate::cell::Cell;
use crate::evidence::Evidence;
use crate::model::Model;
use crate::outline::Rectangle;
use crate::search::{search, strengths};
use crate::tile::{Grid, TILE_BYTES, Tile};
use crate::{Error, Parameters};

/// The cells of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// Footprints: those that were given first, in their order, then those
    /// found, in the order of falling [`Evidence::snr`]; among equals the one
    /// whose first pixel comes first.
    pub footprints: Footprints,
    /// What speaks for each of them.
    pub evidence: Vec<Evidence>,
    /// How strongly each pixel's neighbourhood was active, axes
    /// `(plane, y, x)`: the root of the summed squares of activity above four
    /// times its noise, in units of the raw movie's noise. What seeds are
    /// taken from; 0 where nothing happened.
    pub activity_image: Array3<f32>,
}

impl Segmentation {
    /// Puts together what was found in the planes of a volume that were
    /// looked at one by one, for volumes that do not fit into memory:
    /// `planes[k]` was found in plane `k`, as a movie of one plane, beside
    /// those of `given` that lie in it, in their order. ROIs are ordered as
    /// [`Detector::detect_beside`] orders those of the whole volume, and are
    /// the same.
    ///
    /// # Errors
    /// [`Error::Given`] if planes are of different sizes or the given
    /// footprints are not all there.
    pub fn of_planes(planes: Vec<Self>, given: &Footprints) -> Result<Self, Error> {
        let (height, width) = (given.height(), given.width());
        let mut all = Self {
            footprints: Footprints::new(height, width),
            evidence: Vec::new(),
            activity_image: Array3::zeros((planes.len(), height, width)),
        };
        let mut order: Vec<(usize, usize)> = Vec::new();
        // How many of each plane's ROIs, which come first, were given.
        let counts: Vec<usize> = planes
            .iter()
            .map(|plane| plane.evidence.iter().take_while(|e| e.given).count())
            .collect();
        let mut next = vec![0; planes.len()];
        for &plane in given.planes() {
            let plane = plane as usize;
            let here = counts.get(plane).filter(|&&count| next[plane] < count);
            if here.is_none() {
                return Err(Error::Given(format!(
                    "those of plane {plane} are not all there"
                )));
            }
            order.push((plane, next[plane]));
            next[plane] += 1;
        }
        let found = order.len();
        for (k, plane) in planes.iter().enumerate() {
            let image = &plane.activity_image;
            let size = (plane.footprints.height(), plane.footprints.width());
            if image.dim() != (1, height, width) || size != (height, width) {
                let dim = image.dim();
                return Err(Error::Given(format!(
                    "they are for images of {height} × {width} pixels, plane {k} is {dim:?}"
                )));
            }
            let mut into = all.activity_image.index_axis_mut(Axis(0), k);
            into.assign(&image.index_axis(Axis(0), 0));
            order.extend((next[k]..plane.evidence.len()).map(|roi| (k, roi)));
        }
        // Within a plane they are in order already.
        let snr = |&(plane, roi): &(usize, usize)| planes[plane].evidence[roi].snr;
        order[found..].sort_by(|a, b| snr(b).total_cmp(&snr(a)).then(a.cmp(b)));
        for (plane, roi) in order {
            let one = planes[plane].footprints.get(roi);
            all.footprints
                .push(one.indices, one.weights, plane as u32)?;
            all.evidence.push(planes[plane].evidence[roi]);
        }
        Ok(all)
    }
}

/// Finds active cells in a denoised movie.
#[derive(Clone, Debug)]
pub struct Detector {
    parameters: Parameters,
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

    /// Bytes that detection in one plane takes beside the movie, at most: for
    /// cells of `diameter` pixels, `cells` of them, in `frames` images of
    /// this height and width, and a movie of `rank` components; `budget` as it is
    /// given to [`Detector::detect`].
    ///
    /// Whatever the budget, the components' courses in at most 4,000 bins, one
    /// tile (256 MiB or less) and the traces of all cells in those bins are held.
    pub fn workspace(
        diameter: f64,
        cells: usize,
        frames: usize,
        (height, width): (usize, usize),
        rank: usize,
        budget: Budget,
    ) -> usize {
        let bins = frames.min(MOST_BINS);
        let pixels = height * width;
        let along = |length: usize| (length as f64 / (2.0 * diameter)).ceil() as usize + 2;
        let knots = along(height) * along(width);
        // Traces, products, and the solution for both.
        let model = 4 * bins * (4 * (cells + MOST_CANDIDATES) + 3 * knots);
        // Who holds a pixel, scales and images.
        let images = 64 * pixels;
        let whole = 8 * pixels * bins;
        let tiles = TILE_BYTES.min(whole).max(budget.bytes.min(2 * whole));
        4 * rank * bins + model + images + tiles
    }

    /// Looks for cells in `movie`, plane by plane; `frame_rate` in Hz.
    ///
    /// Candidates are grown from where activity is strongest, in tiles that
    /// reach over by one and a half diameters. Then footprints and traces of
    /// all of them and a smooth background are refined in turn (as in CNMF,
    /// Pnevmatikakis et al., Neuron 89:285, 2016, but without a sparsity
    /// penalty and with regression on transients only): footprints are not
    /// negative, connected and without holes; products with the movie are
    /// taken through its components. What is then still unexplained is looked
    /// through again, if [`Parameters::passes`] says so. Candidates far from the size and shape of a cell or
    /// without transients are not reported; all others are, with their
    /// [`Evidence`].
    ///
    /// Tiles follow from the movie's shape and the parameters; as many are
    /// worked on at once as `budget` holds, on the caller's rayon pool. The
    /// result is the same to the byte at any number of threads and any budget.
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
        let none = Footprints::new(movie.height(), movie.width());
        self.detect_beside(movie, &none, frame_rate, budget, progress)
    }

    /// Like [`Detector::detect`], but starts from footprints that are known
    /// already: drawn by hand, found in an anatomical image, or seen in other
    /// sessions.
    ///
    /// They come first in the result and are never dropped or joined, with
    /// [`Evidence::given`] set. Their weights are fitted to the movie where
    /// their pixels are active, their outlines stay; cells are looked for
    /// beside them, in what they do not explain.
    ///
    /// # Errors
    /// [`Error::Parameter`] as for `detect`; [`Error::Given`] if a footprint
    /// does not fit the movie.
    pub fn detect_beside(
        &self,
        movie: &LowRank,
        given: &Footprints,
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
        check_given(given, movie)?;
        let mut result = Segmentation {
            footprints: Footprints::new(height, width),
            evidence: Vec::new(),
            activity_image: Array3::zeros((movie.planes(), height, width)),
        };
        if movie.rank() == 0 || movie.frames() == 0 || height * width == 0 {
            result.footprints = given.clone();
            result.evidence = vec![Evidence::of_given(); given.len()];
            progress(movie.frames() as u64);
            return Ok(result);
        }
        let courses = Courses::new(movie, &self.parameters, frame_rate);
        let grid = Grid::new(height, width, courses.bins, &self.parameters, budget.bytes);
        let mut ticks = Ticks {
            progress,
            frames: movie.frames() as u64,
            steps: (self.parameters.passes * grid.cores.len() * movie.planes()) as u64,
            done: 0,
        };
        let mut found: Vec<(Option<u32>, u32, Evidence, Footprint)> = Vec::new();
        for plane in 0..movie.planes() {
            let activity = Activity::new(movie, &courses, plane);
            let mut model = Model::new(&activity, &self.parameters);
            model.add(given_cells(given, plane, &activity));
            model.fit_traces();
            for pass in 0..self.parameters.passes {
                let strictness = STRICTNESS[pass.min(1)];
                let (cells, strengths) = self.pass(&model, &grid, strictness, &mut ticks);
                if pass == 0 {
                    result
                        .activity_image
                        .index_axis_mut(Axis(0), plane)
                        .assign(&strengths);
                }
                model.add(cells);
                model.refine(ROUNDS, &self.parameters);
            }
            let evidence = model.evidence(&self.parameters);
            for (evidence, cell) in evidence.into_iter().zip(&model.cells) {
                if cell.given.is_some() || self.accepts(&evidence) {
                    let footprint = cell.footprint(&activity.scale);
                    found.push((cell.given, plane as u32, evidence, footprint));
                }
            }
        }
        // Given ones first, in their order.
        found.sort_by(|a, b| {
            let place = |given: Option<u32>| given.unwrap_or(u32::MAX);
            place(a.0)
                .cmp(&place(b.0))
                .then(b.2.snr.total_cmp(&a.2.snr))
                .then(a.1.cmp(&b.1))
                .then_with(|| a.3.0.cmp(&b.3.0))
        });
        for (given_as, plane, evidence, (pixels, weights)) in found {
            // What cannot be used has no weight; a given footprint that
            // cannot be used at all stays as it was.
            let (pixels, weights): Footprint = pixels
                .into_iter()
                .zip(weights)
                .filter(|(_, weight)| *weight > 0.0)
                .unzip();
            match given_as {
                Some(k) if pixels.is_empty() => {
                    let given = given.get(k as usize);
                    let weights = given.weights;
                    result.footprints.push(given.indices, weights, plane)?;
                }
                _ => result.footprints.push(&pixels, &weights, plane)?,
            }
            result.evidence.push(evidence);
        }
        Ok(result)
    }

    /// New cells in what the model leaves, and the activity image `(y, x)`.
    fn pass(
        &self,
        model: &Model<'_>,
        grid: &Grid,
        strictness: f64,
        ticks: &mut Ticks<'_>,
    ) -> (Vec<Cell>, Array2<f32>) {
        let (height, width) = (model.activity.height, model.activity.width);
        let mut found = Vec::new();
        let mut image = Array2::zeros((height, width));
        for cores in grid.cores.chunks(grid.at_once) {
            let parts: Vec<(Vec<Cell>, Vec<f32>)> = cores
                .par_iter()
                .map(|core| self.tile(model, grid, core, strictness))
                .collect();
            for (core, (cells, strengths)) in cores.iter().zip(parts) {
                found.extend(cells);
                for (pixel, value) in core.pixels(width).zip(strengths) {
                    image[[pixel / width, pixel % width]] = value;
                }
            }
            ticks.advance(cores.len());
        }
        (found, image)
    }

    fn accepts(&self, evidence: &Evidence) -> bool {
        let parameters = &self.parameters;
        // Mean squared radius of an ellipse over that of a disc of its area.
        let elongation = f64::from(evidence.elongation);
        let longer = f64::midpoint(elongation, 1.0 / elongation);
        (parameters.min_area..=parameters.max_area).contains(&f64::from(evidence.relative_area))
            && f64::from(evidence.spread) * longer <= parameters.max_spread
            && f64::from(evidence.snr) >= parameters.min_snr
    }

    /// New cells whose centre lies in `core`, and the core's activity image.
    fn tile(
        &self,
        model: &Model<'_>,
        grid: &Grid,
        core: &Rectangle,
        strictness: f64,
    ) -> (Vec<Cell>, Vec<f32>) {
        let activity = model.activity;
        let area = core.wider(grid.margin, activity.height, activity.width);
        let mut tile = Tile::new(model, area, &self.parameters);
        let strengths = strengths(&tile);
        let coarse = &tile.coarse;
        let image = core
            .pixels(activity.width)
            .map(|pixel| {
                let y = (pixel / activity.width - tile.area.y.start) / coarse.step;
                let x = (pixel % activity.width - tile.area.x.start) / coarse.step;
                strengths[y * coarse.columns + x]
            })
            .collect();
        let cells = search(
            &mut tile,
            strengths,
            &self.parameters,
            activity.courses.bin,
            strictness,
        )
        .into_iter()
        .map(|grown| grown.into_cell(&tile, activity.width))
        .filter(|cell| {
            let (y, x) = cell.centre(&activity.scale, activity.width);
            core.holds(y, x)
        })
        .collect();
        (cells, image)
    }
}

/// Candidates beside the cells that are reported.
const MOST_CANDIDATES: usize = 200;

/// Pixels, ascending, and their weights in the movie's units.
type Footprint = (Vec<u32>, Vec<f32>);

/// Frames of progress for steps of work.
struct Ticks<'a> {
    progress: Progress<'a>,
    frames: u64,
    steps: u64,
    done: u64,
}

impl Ticks<'_> {
    fn advance(&mut self, steps: usize) {
        let share = |done: u64| self.frames * done / self.steps;
        let next = self.done + steps as u64;
        (self.progress)(share(next) - share(self.done));
        self.done = next;
    }
}

/// That the footprints' image and planes are the movie's.
fn check_given(given: &Footprints, movie: &LowRank) -> Result<(), Error> {
    let (height, width) = (movie.height(), movie.width());
    if (given.height(), given.width()) != (height, width) {
        return Err(Error::Given(format!(
            "they are for images of {} × {} pixels, the movie has {height} × {width}",
            given.height(),
            given.width()
        )));
    }
    match given
        .planes()
        .iter()
        .find(|&&p| p as usize >= movie.planes())
    {
        Some(plane) => Err(Error::Given(format!(
            "one lies in plane {plane}, the movie has {}",
            movie.planes()
        ))),
        None => Ok(()),
    }
}

/// The given footprints of one plane, without traces yet.
fn given_cells<'a>(
    given: &'a Footprints,
    plane: usize,
    activity: &'a Activity<'_>,
) -> impl Iterator<Item = Cell> + 'a {
    given
        .iter()
        .enumerate()
        .filter(move |(_, footprint)| footprint.plane as usize == plane)
        .map(|(k, footprint)| {
            let scale = |&p: &u32| activity.scale[p as usize];
            Cell {
                pixels: footprint.indices.to_vec(),
                weights: footprint
                    .indices
                    .iter()
                    .zip(footprint.weights)
                    .map(|(p, &w)| w * scale(p))
                    .collect(),
                trace: vec![0.0; activity.bins()],
                given: Some(k as u32),
            }
        })
}

/// How strict the first pass and those after it are with what has grown.
/// Refinement improves much of what the first finds; the others, over what is
/// left, would find scraps.
const STRICTNESS: [f64; 2] = [0.5, 1.0];
/// Rounds of refinement after each.
const ROUNDS: usize = 3;
