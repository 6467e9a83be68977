//! The same cells across imaging sessions.
//!
//! 1. Each session's mean image is aligned to the reference session's
//!    ([`Alignment`], whitened phase correlation).
//! 2. Pairs of ROIs near one another get a score from distance and overlap.
//!    How sure a score makes one follows from the data: pairs *within* a
//!    session are known to be different cells, so what exceeds their share at
//!    a score must be the same cell ([`MatchModel`]; the idea of ROICaT, Nguyen
//!    et al. 2024, and of CellReg, Sheintuch et al. 2017, Cell Rep. 21:1102).
//! 3. Sessions are added one by one, the nearest to the reference first, each
//!    ROI to at most one cell, by an assignment that is best as a whole (Kuhn
//!    1955), and ROIs left over found new cells.
//!
//! ```
//! use fluorspar_movie::Footprints;
//! use fluorspar_track::{Parameters, SessionRois, track};
//! use ndarray::Array2;
//!
//! let session = |dx: usize| {
//!     let mut all = Footprints::new(64, 64);
//!     for (y, x) in [(10, 12), (30, 40), (50, 20)] {
//!         let pixels: Vec<u32> = (0..4).flat_map(|i| (0..4).map(move |j| ((y + i) * 64 + x + dx + j) as u32)).collect();
//!         all.push(&pixels, &[1.0; 16], 0)?;
//!     }
//!     Ok::<_, fluorspar_movie::Error>(all)
//! };
//! let texture = |y: usize, x: usize| ((y * y * 3 + x * x * 5 + y * x) % 97) as f32;
//! let image = |dx: usize| Array2::from_shape_fn((64, 64), |(y, x)| texture(y, x + 64 - dx));
//! let (a, b) = (session(0)?, session(2)?);
//! let (first, second) = (image(0), image(2));
//! let tracks = track(
//!     &[
//!         SessionRois { footprints: &a, mean_image: first.view() },
//!         SessionRois { footprints: &b, mean_image: second.view() },
//!     ],
//!     &Parameters::default(),
//! )?;
//! assert_eq!(tracks.roi_index, ndarray::array![[0, 0], [1, 1], [2, 2]]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod error;
mod matching;
mod model;
mod parameters;
mod place;
mod tracks;

pub use error::Error;
pub use model::MatchModel;
pub use parameters::Parameters;
pub use tracks::{Alignment, SessionRois, Tracks, track};
