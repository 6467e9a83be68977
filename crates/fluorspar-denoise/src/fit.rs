use fluorspar_movie::{Budget, Checkpoints, Movie, MovieShape, Progress};
use ndarray::Array3;

use crate::assemble::sparse;
use crate::find::{Found, Search};
use crate::follow::follow;
use crate::grid::Grid;
use crate::memory::Memory;
use crate::project::{Bases, round};
use crate::trend::TrendFilter;
use crate::{Error, LowRank, Parameters, Parts};

/// Fewest frames from which time courses can be judged.
const FEWEST: usize = 16;

/// Finds the low-rank part of movies.
#[derive(Clone, Debug)]
pub struct Denoiser {
    parameters: Parameters,
}

impl Denoiser {
    /// A denoiser with these parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming the first that is out of range.
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// Upper bound of the bytes that [`fit`](Self::fit) holds for a movie of
    /// this shape on so many threads, its result of `rank` components
    /// included. What the movie itself takes to be read comes on top.
    ///
    /// It follows the budget, from the [least](Self::least_budget) up to what
    /// the movie takes that is averaged in one pass.
    pub fn workspace(
        &self,
        shape: MovieShape,
        budget: Budget,
        rank: usize,
        threads: usize,
    ) -> usize {
        let grid = Grid::new(shape, self.parameters.blocks);
        Memory::new(&grid, shape, &self.parameters, threads).bound(budget, rank)
    }

    /// The smallest budget that [`fit`](Self::fit) keeps for a movie of this
    /// shape in which `rank` components are found; with less it takes as much
    /// as this.
    ///
    /// Most of it are the factors themselves, 4 bytes for each component and
    /// frame and about 16 for each component and pixel of a block; a few
    /// frames; and one block with its neighbourhood at the full frame rate, in
    /// case signals are too fast for frames to be averaged. The rank is not
    /// known before the movie was looked at: 20 for each of the
    /// [`blocks`](Self::blocks) is much for a two-photon movie.
    pub fn least_budget(&self, shape: MovieShape, rank: usize, threads: usize) -> Budget {
        let bytes = self.workspace(shape, Budget { bytes: 0 }, rank, threads);
        Budget { bytes }
    }

    /// Number of blocks that a movie of this shape is cut into, each of which
    /// has components of its own.
    pub fn blocks(&self, shape: MovieShape) -> usize {
        Grid::new(shape, self.parameters.blocks).blocks()
    }

    /// Decomposes `movie` `(frame, plane, y, x)`.
    ///
    /// A few windows of frames are looked at first. One pass over the movie
    /// then finds each pixel's mean and noise (from second differences in
    /// time) and averages the movie over a few frames, in which the blocks'
    /// components are found; where that average does not fit into `budget`,
    /// the movie is read once for each band of blocks that does. A
    /// last pass follows the components at the full frame rate. Pixels that
    /// are not finite count as their mean; pixels without noise have no
    /// components. The result depends neither on the number of threads nor
    /// on the budget. `progress` adds up to the movie's frames over all passes.
    ///
    /// Volume movies too large for that can be fitted plane by plane
    /// ([`Plane`](fluorspar_movie::Plane)). With blocks of one plane that gives the
    /// same, but for what is judged by all planes together otherwise: over how many frames
    /// the movie is averaged, and how far courses are smoothed.
    ///
    /// # Errors
    /// [`Error::Input`] for a movie without pixels or of fewer than 16
    /// frames; [`Error::Movie`] if the movie cannot be read;
    /// [`Error::Decomposition`] if an eigenvalue problem does not converge.
    pub fn fit(
        &self,
        movie: &dyn Movie,
        budget: Budget,
        progress: Progress<'_>,
    ) -> Result<LowRank, Error> {
        self.fit_resumable(movie, budget, &(), progress)
    }

    /// [`fit`](Self::fit) that may be broken off: whatever `kept` holds of an
    /// earlier attempt at the same movie with the same parameters is used, and
    /// whatever is finished is kept.
    ///
    /// Pieces are the components of a line of blocks with the statistics
    /// of their pixels, and the time courses of all components through up to
    /// 1024 frames. They are the same for every budget and number of threads,
    /// and so is the result, however often the work was broken off. A
    /// piece that does not fit the movie is made anew.
    ///
    /// ```
    /// use fluorspar_denoise::{Denoiser, Error, Parameters};
    /// use fluorspar_movie::{ArrayMovie, Budget, MemoryCheckpoints, silent};
    /// use ndarray::Array3;
    ///
    /// let movie = ArrayMovie::new(Array3::from_shape_fn((100, 40, 40), |(t, y, x)| {
    ///     (t as f32 / 9.0).sin() * (y as f32 / 5.0).cos() + ((t * 31 + x * 17 + y * 7) % 13) as f32
    /// }));
    /// let denoiser = Denoiser::new(Parameters::default())?;
    /// let kept = MemoryCheckpoints::default();
    /// kept.stop_after(Some(1));
    /// let stopped = denoiser.fit_resumable(&movie, Budget::default(), &kept, &silent);
    /// assert!(matches!(stopped, Err(Error::Movie(fluorspar_movie::Error::Stopped))));
    /// kept.stop_after(None);
    /// let resumed = denoiser.fit_resumable(&movie, Budget::default(), &kept, &silent)?;
    /// assert_eq!(resumed, denoiser.fit(&movie, Budget::default(), &silent)?);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit); [`Error::Movie`] also if pieces cannot be kept or
    /// read back, and with [`fluorspar_movie::Error::Stopped`] inside if `kept`
    /// asked the work to stop.
    pub fn fit_resumable(
        &self,
        movie: &dyn Movie,
        budget: Budget,
        kept: &dyn Checkpoints,
        progress: Progress<'_>,
    ) -> Result<LowRank, Error> {
        let shape = movie.shape();
        if shape.frame_len() == 0 {
            return Err(Error::Input(format!("{shape}: there are no pixels")));
        }
        if shape.frames < FEWEST {
            return Err(Error::Input(format!(
                "{} frames are too few to tell signal from noise; {FEWEST} are needed",
                shape.frames
            )));
        }
        let grid = Grid::new(shape, self.parameters.blocks);
        let threads = rayon::current_num_threads();
        let search = Search {
            movie,
            grid: &grid,
            parameters: &self.parameters,
            memory: &Memory::new(&grid, shape, &self.parameters, threads),
            budget,
            kept,
        };
        let (found, mut advance) = search.run(progress)?;
        let Found {
            spatial,
            statistics,
        } = found;
        let bases = Bases::new(&grid, &spatial, &statistics);
        let mut v = follow(movie, &bases, kept, &mut |n| advance.followed(n))?;
        drop(bases);
        TrendFilter::new(shape.frames).apply(&mut v, self.parameters.smoothing_loss);
        round(&mut v);
        let image = |values: Vec<f32>| {
            Array3::from_shape_vec((shape.planes, shape.height, shape.width), values)
                .map_err(|e| Error::Input(e.to_string()))
        };
        let (u_indptr, u_indices, u_weights) = sparse(&grid, &spatial, &statistics);
        let mut component_block = Vec::with_capacity(v.nrows());
        for (block, components) in spatial.iter().enumerate() {
            component_block.extend((0..components.ncols()).map(|_| block as u32));
        }
        LowRank::from_parts(Parts {
            u_indptr,
            u_indices,
            u_weights,
            v,
            mean: image(statistics.mean)?,
            noise: image(statistics.noise)?,
            blocks: self.parameters.blocks,
            component_block,
            frame_rate: movie.frame_rate(),
        })
    }
}
