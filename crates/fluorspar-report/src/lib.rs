//! One self-contained HTML page for a calcium-imaging study.
//!
//! A [`Report`] is a title, a lead and [`Section`]s of [`Block`]s: paragraphs,
//! tables, figures, checks with a light each. Figures are drawn here from plain
//! arrays, as SVG with a PNG inside where there are many values; the page needs
//! no network and no other file. It needs no script either but for a [`Browser`], which brings a
//! small one.
//!
//! | to show | use |
//! |---|---|
//! | an image with cell outlines | [`figure::image`] |
//! | a map of values on a fixed scale of colours | [`figure::heat`] |
//! | activity of many cells over time, session beside session | [`figure::heatmap`] |
//! | traces one above the other | [`figure::traces`] |
//! | curves with bars or bands, raw beside corrected, a fitted law | [`figure::curves`] |
//! | points over practice with their slope | [`figure::strip`] |
//! | fractions per session, stacked or beside each other | [`figure::bars`] |
//! | accuracy and d′ per session | [`figure::learning`] |
//! | the epochs and events of a trial | [`figure::trial`] |
//! | a session × session matrix | [`figure::matrix`], [`figure::MatrixPlot`] |
//! | which cell was seen when | [`figure::presence`] |
//! | one cell on every day, to judge its matches | [`Browser`] |
//!
//! ```
//! use fluorspar_report::{Block, Report, Section, figure::{self, Curve, CurvesPlot}};
//!
//! let curve = Curve::new("late delay", vec![1.0, 2.0, 3.0], vec![0.9, 0.7, 0.6])
//!     .with_interval(vec![0.8, 0.6, 0.5], vec![1.0, 0.8, 0.7]);
//! let plot = CurvesPlot { x_label: "elapsed days", y_label: "similarity", ..CurvesPlot::default() };
//! let page = Report::new("Mouse m12")
//!     .section(Section::new("Drift").block(Block::Figures(vec![figure::curves(&plot, &[curve])?])))
//!     .render();
//! assert!(page.contains("late delay"));
//! # Ok::<(), fluorspar_report::Error>(())
//! ```

#![forbid(unsafe_code)]

mod browser;
mod error;
pub mod figure;
mod page;

pub use browser::{Browser, BrowserCell, BrowserEntry, BrowserSession, Outline, polygons};
pub use error::Error;
pub use figure::Figure;
pub use page::{Block, Check, Light, Report, Section, Table};
