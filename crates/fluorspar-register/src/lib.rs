//! Where did the brain move?
//!
//! Motion correction of two-photon movies to a fraction of a pixel: of whole
//! frames, of their parts, of planes recorded together.
//!
//! ```text
//! movie ── Reference::build ── Registrar ── register ──┬── Registration: Motion (shift, field,
//!            (400 frames)                              │     quality per frame), Images
//!                                                      └── registered movie, into any MovieSink
//! ```
//!
//! | to | use |
//! |---|---|
//! | register a movie | [`Reference::build`], [`Registrar::new`], [`register`] |
//! | register a long movie in parts, on several machines | [`register_part`], [`Registration::from_parts`]; of planes [`register_volumes_part`], [`VolumeRegistration::from_parts`] |
//! | register to an image you have | [`Reference::from_image`], [`Reference::learn`] |
//! | shifts of frames as they come | [`Registrar::estimate`] |
//! | move a second channel, or a movie again | [`reapply`], [`reapply_volumes`] |
//! | register planes recorded together | [`VolumeRegistrar`], [`register_volumes`] |
//! | the depth of a frame or a volume in a stack | [`DepthFinder`] |
//! | how planes lie beside each other | [`plane_offsets`] |
//! | one pair of images | [`phase_correlation`] |
//! | how far odd lines are off | [`line_offset`], [`shift_lines`] |
//! | how far single lines jitter | [`line_jitter`], [`straighten`] |
//! | how far apart strips that should touch are | [`seam`] |
//! | know how well it went | [`Quality`], [`PrincipalMotion`] |
//!
//! A **shift** `(dy, dx)` is what must be added to a frame's coordinates to
//! bring it onto the reference: `registered[y, x] = raw[y + dy, x + dx]`.
//!
//! Method, whole frames: the frame is tapered at the border, both images are
//! whitened in the frequency domain so that every spatial frequency votes
//! with equal weight; the correlation map is smoothed by a Gaussian and its
//! peak refined to a fraction of a pixel by a Gaussian-process interpolation
//! of the 7 × 7 values around it (Pachitariu et al. 2017, bioRxiv 061507, for
//! whitening and interpolation; Kuglin and Hines 1975 for phase correlation).
//! The reference is built from the frames that agree best, always from the
//! raw frames and to a fraction of a pixel, until it changes no more.
//!
//! Method, parts: frame and reference are divided by the spectrum of the
//! noise, learnt from what the reference's frames have beyond it, which makes
//! the correlation of a tile a log-likelihood of its displacement. A coarse
//! search with neighbouring tiles finds each to about a pixel; Gauss–Newton
//! steps find the field of highest posterior probability under a thin plate's
//! bending energy, whose stiffness is learnt by expectation maximisation. The
//! matrix of the steps depends on the reference only, as in inverse
//! compositional alignment (Baker and Matthews 2004, IJCV 56:221).
//!
//! Method, volumes: the maps of all planes are added up, weighted by how well
//! each is seen; a plane deviates from the shift they share by as much as its
//! own map, the other planes' and the usual shear and spread of planes, learnt
//! from the movie, make probable.
//!
//! ```
//! use fluorspar_movie::{ArrayMovie, Budget, silent};
//! use fluorspar_register::{Parameters, Reference, Registrar, register};
//! use ndarray::Array3;
//!
//! // Patches that move by one pixel along x in every second frame.
//! let patch = |y: usize, x: usize| (y * 7919 + x * 104_729).pow(2) % 1009;
//! let movie = ArrayMovie::new(Array3::from_shape_fn((20, 64, 64), |(t, y, x)| {
//!     patch(y / 4, (x + t % 2) / 4) as i16
//! }));
//! let parameters = Parameters::default();
//! let reference = Reference::build(&movie, &parameters)?;
//! let registrar = Registrar::new(&reference, &parameters)?;
//! let motion = register(&movie, &registrar, None, Budget::default(), &silent)?.motion;
//! assert!(((motion.dx[0] - motion.dx[1]) - 1.0).abs() < 0.1);
//! # Ok::<(), fluorspar_register::Error>(())
//! ```

#![forbid(unsafe_code)]

mod correlate;
mod depth;
mod error;
mod field;
mod fourier;
mod frames;
mod grid;
mod images;
mod jitter;
mod lines;
mod model;
mod parameters;
mod part;
mod piecewise;
mod principal;
mod quality;
mod reference;
mod refine;
mod sample;
mod seam;
mod stage;
mod stiffness;
mod tie;
mod volume;
mod volume_part;
mod volumes;
mod warp;

pub use correlate::{Registrar, Scratch, Shift, phase_correlation};
pub use depth::{Depth, DepthFinder, Drift, plane_offsets};
pub use error::Error;
pub use grid::Grid;
pub use images::Images;
pub use jitter::{LineJitter, line_jitter, straighten};
pub use lines::{line_offset, shift_lines};
pub use parameters::{Mode, Parameters};
pub use part::{Part, register_part};
pub use principal::{Component, Displacement, PrincipalMotion};
pub use quality::{Quality, VolumeQuality};
pub use reference::Reference;
pub use seam::{Seam, seam};
pub use stage::{Field, Motion, Registration, reapply, register};
pub use volume::{VolumeReference, VolumeRegistrar, VolumeScratch};
pub use volume_part::{VolumePart, register_volumes_part};
pub use volumes::{VolumeRegistration, reapply_volumes, register_volumes};
pub use warp::apply;
