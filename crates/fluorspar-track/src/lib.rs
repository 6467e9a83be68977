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
//!
//! let session = |dx: usize| {
//!     let mut all = Footprints::new(64, 64);
//!     for (y, x) in [(10, 12), (30, 40), (50, 20)] {
//!         let pixels: Vec<u32> = (0..4).flat_map(|i| (0..4).map(move |j| ((y + i) * 64 + x + dx + j) as u32)).collect();
//!         all.push(&pixels, &[1.0; 16], 0)?;
//!     }
//!     Ok::<_, fluorspar_movie::Error>(all)
//! };
//! let (a, b) = (session(0)?, session(2)?);
//! let tracks = track(&[SessionRois::new(&a), SessionRois::new(&b)], &Parameters::default())?;
//! assert_eq!(tracks.roi_index, ndarray::array![[0, 0], [1, 1], [2, 2]]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod alignment;
mod error;
mod model;
mod parameters;
mod session;
mod track;
mod tracks;
mod transfer;
mod transform;

pub use alignment::{Alignment, Fit, Verdict};
pub use error::Error;
pub use model::MatchModel;
pub use parameters::Parameters;
pub use session::SessionRois;
pub use track::track;
pub use tracks::{Pair, Presence, Tracks};
pub use transfer::{Transferred, transfer};
pub use transform::Transform;
