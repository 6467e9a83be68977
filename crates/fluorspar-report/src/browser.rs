//! A browser of cells over sessions: a reviewer picks a cell and sees its
//! footprint on every day. The only part of a page that needs a script.

mod polygons;

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html};
use ndarray::ArrayView2;
use serde_json::{Value, json};

use crate::Error;
use crate::figure::{drawing, quantile};

pub use self::polygons::polygons;

const NAME: &str = "browser";

/// Steps of an outline per pixel. A quarter is finer than a screen shows at
/// the usual zoom, and most steps along an outline stay one or two digits.
const STEPS: f32 = 4.0;

/// What a page with a browser needs beside its markup, once.
pub(crate) const STYLE: &str = include_str!("browser/browser.css");
pub(crate) const SCRIPTS: [&str; 2] = [
    include_str!("browser/tools.js"),
    include_str!("browser/browser.js"),
];

/// Closed polygons, each a list of corners `(y, x)` in pixels of the common
/// frame, where pixel `(0, 0)` spans 0 to 1. What lies in an odd number of
/// them is inside, so that holes are polygons too. [`polygons`] makes them of
/// the pixels of a footprint.
pub type Outline = Vec<Vec<(f32, f32)>>;

/// One session (column) of a [`Browser`].
#[derive(Clone, Debug)]
pub struct BrowserSession<'a> {
    /// What the session is called, for example `day 3`.
    pub name: String,
    /// Mean image `(y, x)` in a frame common to all sessions, any unit; NaN
    /// where the session saw nothing.
    pub image: ArrayView2<'a, f32>,
    /// Outlines of all ROIs of the session in the common frame, those of no
    /// cell too: they are what a match is judged against. Corners that are not
    /// finite are left out.
    pub outlines: Vec<Outline>,
}

/// One cell (row) of a [`Browser`].
#[derive(Clone, Debug)]
pub struct BrowserCell {
    /// What the cell is called, for example `cell 12`. The number at its end,
    /// if no other cell has it, names the cell in links (`#cell=12`).
    pub name: String,
    /// How sure its matches are as a whole, 0 to 1; NaN if unknown.
    pub confidence: f32,
    /// Its centre `(y, x)` in the common frame, pixels as in [`Outline`].
    pub place: (f32, f32),
    /// One entry per session, in their order.
    pub entries: Vec<BrowserEntry>,
}

/// A cell in one session.
#[derive(Clone, Debug, Default)]
pub struct BrowserEntry {
    /// What happened to it there, shown as it stands: `matched`, `undetected`,
    /// `out of view`.
    pub state: String,
    /// Its ROI, an index into [`BrowserSession::outlines`]; none if it has no
    /// footprint there.
    pub roi: Option<usize>,
    /// Probability that the ROI is this cell, 0 to 1.
    pub p_same: Option<f32>,
    /// Anything short, for example `ROI 57`.
    pub note: String,
}

/// A browser of cells over sessions.
///
/// Beside a list of cells (to sort, search and filter) the picked cell is
/// shown in every session: the image around it, all outlines in thin grey, its
/// own outline thick in the colours of [`crate::figure::image_of_probabilities`],
/// and dotted, where it has no ROI, its outline of the sessions before and after.
/// The picked cell stands in the page's address (`#cell=12`), so that it can be
/// linked.
///
/// ```
/// use fluorspar_report::{Block, Browser, BrowserCell, BrowserEntry, BrowserSession};
/// use fluorspar_report::{Report, Section, polygons};
///
/// let image = ndarray::Array2::from_shape_fn((64, 64), |(y, x)| (y * x) as f32);
/// let session = BrowserSession {
///     name: "day 1".into(),
///     image: image.view(),
///     outlines: vec![polygons(&[130, 131, 194, 195], 64)],
/// };
/// let cell = BrowserCell {
///     name: "cell 12".into(),
///     confidence: 0.9,
///     place: (3.0, 3.0),
///     entries: vec![BrowserEntry {
///         state: "matched".into(),
///         roi: Some(0),
///         p_same: Some(0.9),
///         note: "ROI 0".into(),
///     }],
/// };
/// let browser = Browser::new(&[session], &[cell])?;
/// let page = Report::new("Mouse m12")
///     .section(Section::new("Matches").block(Block::Browser(browser)))
///     .render();
/// # Ok::<(), fluorspar_report::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Browser {
    /// What the script draws from, JSON that is safe inside a script element.
    data: String,
    sessions: usize,
    cells: usize,
}

impl Browser {
    /// A browser of `cells` over `sessions`. Images are kept as 8-bit grey,
    /// each stretched from its 1st to its 99.7th percentile, outlines as
    /// quarters of a pixel: about 10 MB for 2,000 cells over 14 sessions of
    /// 512 × 512 pixels.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are no sessions, cells or pixels, images
    /// differ in size, a cell has not one entry per session or no finite
    /// place, an entry's ROI does not exist or belongs to two cells;
    /// [`Error::Drawing`] if an image cannot be encoded.
    pub fn new(sessions: &[BrowserSession<'_>], cells: &[BrowserCell]) -> Result<Self, Error> {
        check_images(sessions)?;
        check_cells(sessions, cells)?;
        let mut states = Names::default();
        let shown_cells: Vec<Value> = cells
            .iter()
            .map(|cell| {
                let entries: Vec<Value> = cell
                    .entries
                    .iter()
                    .map(|e| json!([states.index(&e.state), e.roi, mille(e.p_same), e.note]))
                    .collect();
                json!({
                    "name": cell.name,
                    "confidence": mille(Some(cell.confidence)),
                    "place": [steps(cell.place.0), steps(cell.place.1)],
                    "entries": entries,
                })
            })
            .collect();
        let mut shown_sessions = Vec::with_capacity(sessions.len());
        for session in sessions {
            let outlines: Vec<Vec<Vec<i64>>> = session
                .outlines
                .iter()
                .map(|outline| outline.iter().map(|p| walk(p)).collect())
                .collect();
            shown_sessions.push(json!({
                "name": session.name,
                "image": grey_png(session.image)?,
                "outlines": outlines,
            }));
        }
        let data = json!({
            "steps": STEPS as u32,
            "size": sessions.first().map(|s| [s.image.nrows(), s.image.ncols()]),
            "states": states.names,
            "sessions": shown_sessions,
            "cells": shown_cells,
        });
        Ok(Self {
            // `</script` and `<!--` would end or upset the script element the
            // data stands in. In JSON a `<` occurs in strings alone, where it
            // may be written by its number.
            data: data.to_string().replace('<', "\\u003c"),
            sessions: sessions.len(),
            cells: cells.len(),
        })
    }

    pub(crate) fn markup(&self) -> Markup {
        html! {
            div.browser {
                noscript {
                    p {
                        "Here " (self.cells) " cells can be looked through over " (self.sessions)
                        " sessions, in a browser that allows scripts. The rest of this page needs none."
                    }
                }
                // Shown by the script: controls that do nothing would mislead.
                div.browser-parts hidden {
                    div.browser-side {
                        label { "Cell " input type="search" data-part="search" inputmode="numeric" placeholder="number"; }
                        label { "Sort by " select data-part="sort" {
                            option value="number" { "number" }
                            option value="doubtful" { "confidence, lowest first" }
                            option value="sure" { "confidence, highest first" }
                            option value="many" { "sessions, most first" }
                            option value="few" { "sessions, fewest first" }
                        } }
                        label {
                            "Seen in at least "
                            input type="number" data-part="least" min="0" max=(self.sessions) value="0";
                            " of " (self.sessions)
                        }
                        p.browser-count data-part="count" role="status" {}
                        div.browser-list data-part="list" role="listbox" tabindex="0" aria-label="Cells" {}
                    }
                    div.browser-view {
                        div.browser-bar {
                            button type="button" data-part="previous" aria-label="Previous cell" { "←" }
                            button type="button" data-part="next" aria-label="Next cell" { "→" }
                            h3 data-part="title" aria-live="polite" {}
                            span.browser-tools {
                                button type="button" data-part="out" aria-label="Show more around the cell" { "−" }
                                span data-part="span" {}
                                button type="button" data-part="in" aria-label="Show less around the cell" { "+" }
                                label { input type="checkbox" data-part="outlines" checked; " outlines" }
                                label { input type="checkbox" data-part="others"; " of other sessions" }
                                label { input type="checkbox" data-part="stretch" checked; " local contrast" }
                            }
                        }
                        div.scroll { table.browser-strip data-part="strip" aria-label="Probability per session" {} }
                        p.browser-near data-part="near" {}
                        div.browser-panels data-part="panels" {}
                        p.browser-key {
                            "Own outline: "
                            span.browser-scale {}
                            " the ROI is this cell with probability 0 to 1, "
                            span.browser-plain {}
                            " no probability. Dotted: the cell in other sessions. Grey: other ROIs; a click picks their cell. \
                             Hatched: outside that session’s view. Keys: ← → cells, + − size."
                        }
                    }
                }
                script type="application/json" { (PreEscaped(&self.data)) }
            }
        }
    }
}

fn shape(reason: String) -> Error {
    Error::Shape {
        figure: NAME,
        reason,
    }
}

fn check_images(sessions: &[BrowserSession<'_>]) -> Result<(), Error> {
    let Some(first) = sessions.first() else {
        return Err(shape("there are no sessions".into()));
    };
    if first.image.is_empty() {
        return Err(shape("the images have no pixels".into()));
    }
    for session in sessions {
        if session.image.dim() != first.image.dim() {
            return Err(shape(format!(
                "the image of {:?} is {:?}, that of {:?} {:?}",
                session.name,
                session.image.dim(),
                first.name,
                first.image.dim()
            )));
        }
    }
    Ok(())
}

fn check_cells(sessions: &[BrowserSession<'_>], cells: &[BrowserCell]) -> Result<(), Error> {
    if cells.is_empty() {
        return Err(shape("there are no cells".into()));
    }
    let mut owners = HashMap::new();
    for cell in cells {
        if cell.entries.len() != sessions.len() {
            return Err(shape(format!(
                "{:?} has {} entries for {} sessions",
                cell.name,
                cell.entries.len(),
                sessions.len()
            )));
        }
        if !(cell.place.0.is_finite() && cell.place.1.is_finite()) {
            return Err(shape(format!("{:?} has no finite place", cell.name)));
        }
        for (index, (entry, session)) in cell.entries.iter().zip(sessions).enumerate() {
            let Some(roi) = entry.roi else { continue };
            if roi >= session.outlines.len() {
                return Err(shape(format!(
                    "{:?} is ROI {roi} of {:?}, which has {}",
                    cell.name,
                    session.name,
                    session.outlines.len()
                )));
            }
            if let Some(owner) = owners.insert((index, roi), &cell.name) {
                return Err(shape(format!(
                    "ROI {roi} of {:?} belongs to {owner:?} and {:?}",
                    session.name, cell.name
                )));
            }
        }
    }
    Ok(())
}

/// Distinct texts by their number.
#[derive(Default)]
struct Names<'a> {
    names: Vec<&'a str>,
    known: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn index(&mut self, name: &'a str) -> usize {
        *self.known.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.names.len() - 1
        })
    }
}

/// A probability in thousandths.
fn mille(probability: Option<f32>) -> Option<u32> {
    let p = probability.filter(|p| !p.is_nan())?;
    Some((p.clamp(0.0, 1.0) * 1000.0).round() as u32)
}

fn steps(coordinate: f32) -> i64 {
    // A frame is far smaller than this; the bound keeps differences of
    // coordinates in range.
    (coordinate * STEPS).round().clamp(-1e9, 1e9) as i64
}

/// A polygon as its first corner and the steps from each corner to the next,
/// `y, x, dy, dx, …`.
fn walk(polygon: &[(f32, f32)]) -> Vec<i64> {
    let mut path = Vec::with_capacity(2 * polygon.len());
    let mut last = (0, 0);
    for &(y, x) in polygon {
        if !(y.is_finite() && x.is_finite()) {
            continue;
        }
        let here = (steps(y), steps(x));
        if path.is_empty() || here != last {
            path.extend([here.0 - last.0, here.1 - last.1]);
            last = here;
        }
    }
    path
}

/// The image as a data URL: 1 to 255, and 0, which is transparent, for NaN.
fn grey_png(pixels: ArrayView2<'_, f32>) -> Result<String, Error> {
    let values: Vec<f32> = pixels.iter().copied().collect();
    let low = quantile(values.clone(), 0.01);
    let high = quantile(values.clone(), 0.997);
    let range = if high > low { high - low } else { 1.0 };
    let grey: Vec<u8> = values
        .iter()
        .map(|&value| {
            if value.is_nan() {
                0
            } else {
                1 + (((value - low) / range).clamp(0.0, 1.0) * 254.0).round() as u8
            }
        })
        .collect();
    let (height, width) = pixels.dim();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_trns(vec![0, 0]);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&grey))
        .map_err(|e| drawing(NAME)(&e))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(&bytes)))
}
