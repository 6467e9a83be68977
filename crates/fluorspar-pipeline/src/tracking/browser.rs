//! A browser of single cells, for a run's report and the page of
//! `fluorspar track`.

mod choice;
mod frame;

use std::collections::HashMap;

use fluorspar_report::{Block, Browser, BrowserCell, BrowserEntry, BrowserSession, Outline};
use fluorspar_track::Presence;
use ndarray::Array2;

use self::choice::{Chosen, choose};
use self::frame::Frame;
use super::Session;
use super::input::plane;
use crate::Error;
use crate::artefact::TrackTable;
use crate::error::Context;

/// Longest side of an image.
const MOST_PIXELS: usize = 600;
/// Pixels of all images of a page: with many sessions each is smaller.
const ALL_PIXELS: f64 = 10e6;
/// Outlines of one browser: of more, those of its cells alone are drawn.
const MOST_OUTLINES: usize = 60_000;

/// What to show of single cells, and what to say of it; nothing if there are
/// no cells, or no two sessions to compare. ROIs in `table` are numbered among
/// all; `names` are those of the sessions.
pub(crate) fn cell_by_cell(
    names: &[String],
    sessions: &[Session],
    table: &TrackTable,
) -> Result<Vec<Block>, Error> {
    let unaligned = table.unaligned();
    let columns: Vec<usize> = (0..sessions.len())
        .filter(|session| *session == table.reference || !unaligned.contains(session))
        .collect();
    let known = [names.len(), table.roi_index.ncols(), table.transforms.len()];
    if columns.len() < 2 || known != [sessions.len(); 3] || table.reference >= sessions.len() {
        return Ok(Vec::new());
    }
    let (chosen, elsewhere) = choose(sessions, &columns, table);
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let shown = Shown {
        names,
        sessions,
        table,
        columns: &columns,
        many_planes: sessions.iter().any(has_planes),
    };
    let images = (columns.len() * chosen.len()) as f64;
    let frame = shown.frame(MOST_PIXELS.min((ALL_PIXELS / images).sqrt() as usize));
    let mut words = shown.words(&frame);
    if elsewhere > 0 {
        words.push(format!(
            "The {} planes with most cells are shown; {elsewhere} cells lie in others.",
            chosen.len()
        ));
    }
    let mut blocks = vec![Block::Paragraph(words.join(" "))];
    for chosen in &chosen {
        let (browser, all_outlines) = shown.browser(chosen, &frame)?;
        let said = shown.words_of(chosen, all_outlines);
        if !said.is_empty() {
            blocks.push(Block::Paragraph(said));
        }
        blocks.push(Block::Browser(browser));
    }
    Ok(blocks)
}

fn has_planes(session: &Session) -> bool {
    let planes = session.footprints.planes();
    planes.iter().any(|&plane| plane > 0)
}

/// All that a browser is made of.
struct Shown<'a> {
    names: &'a [String],
    sessions: &'a [Session],
    table: &'a TrackTable,
    /// The sessions that are aligned: each is a column.
    columns: &'a [usize],
    many_planes: bool,
}

/// A session's outlines, and which ROI each is.
struct Outlined {
    outlines: Vec<Outline>,
    /// Index among the outlines of a ROI among those followed.
    index: HashMap<usize, usize>,
}

impl Shown<'_> {
    fn frame(&self, longest: usize) -> Frame {
        let size = |session: &Session| (session.footprints.height(), session.footprints.width());
        let fields = self.columns.iter().map(|&session| {
            let transform = &self.table.transforms[session];
            (transform, size(&self.sessions[session]))
        });
        Frame::around(size(&self.sessions[self.table.reference]), fields, longest)
    }

    /// One browser, and whether it has the outlines of all ROIs.
    fn browser(&self, chosen: &Chosen, frame: &Frame) -> Result<(Browser, bool), Error> {
        let rois: Vec<Vec<usize>> = self.columns.iter().map(|&s| self.rois(s, chosen)).collect();
        let all_outlines = rois.iter().map(Vec::len).sum::<usize>() <= MOST_OUTLINES;
        let mut images = Vec::new();
        let mut outlined = Vec::new();
        for (&session, mut rois) in self.columns.iter().zip(rois) {
            if !all_outlines {
                rois = self.rois_of_cells(session, chosen);
            }
            images.push(self.image(session, chosen.level, frame));
            outlined.push(self.outlined(session, &rois, frame));
        }
        let cells: Vec<BrowserCell> = chosen
            .cells
            .iter()
            .map(|&cell| self.cell(cell, &outlined, frame))
            .collect();
        let sessions: Vec<BrowserSession<'_>> = self
            .columns
            .iter()
            .zip(images.iter().zip(outlined))
            .map(|(&session, (image, outlined))| BrowserSession {
                name: self.names[session].clone(),
                image: image.view(),
                outlines: outlined.outlines,
            })
            .collect();
        let browser = Browser::new(&sessions, &cells).at("report")?;
        Ok((browser, all_outlines))
    }

    /// The ROIs of a session in the plane shown, and those of the cells shown.
    fn rois(&self, session: usize, chosen: &Chosen) -> Vec<usize> {
        let offset = i64::from(self.table.transforms[session].plane_offset);
        let planes = self.sessions[session].footprints.planes().iter();
        let mut rois: Vec<usize> = planes
            .enumerate()
            .filter(|&(_, &plane)| i64::from(plane) - offset == chosen.level)
            .map(|(roi, _)| roi)
            .collect();
        rois.extend(self.rois_of_cells(session, chosen));
        rois.sort_unstable();
        rois.dedup();
        rois
    }

    fn rois_of_cells(&self, session: usize, chosen: &Chosen) -> Vec<usize> {
        let cells = chosen.cells.iter();
        let number = |&cell: &usize| self.table.roi_index[[cell, session]];
        cells
            .filter_map(|cell| self.sessions[session].followed(number(cell)))
            .collect()
    }

    fn outlined(&self, session: usize, rois: &[usize], frame: &Frame) -> Outlined {
        let all = &self.sessions[session].footprints;
        let transform = &self.table.transforms[session];
        let outline = |&roi: &usize| {
            let footprint = all.get(roi);
            let plane = i64::from(footprint.plane);
            frame.outline(transform, plane, footprint.indices, all.width())
        };
        Outlined {
            outlines: rois.iter().map(outline).collect(),
            index: rois.iter().enumerate().map(|(k, &roi)| (roi, k)).collect(),
        }
    }

    fn image(&self, session: usize, level: i64, frame: &Frame) -> Array2<f32> {
        let transform = &self.table.transforms[session];
        let shown = &self.sessions[session];
        let Ok(there) = usize::try_from(level + i64::from(transform.plane_offset)) else {
            return Array2::from_elem((frame.height, frame.width), f32::NAN);
        };
        match &shown.mean_image {
            Some(image) => plane(image, there).map_or_else(
                || Array2::from_elem((frame.height, frame.width), f32::NAN),
                |image| frame.resampled(image, transform, level),
            ),
            None => frame.resampled(map_of_footprints(shown, there).view(), transform, level),
        }
    }

    fn cell(&self, cell: usize, outlined: &[Outlined], frame: &Frame) -> BrowserCell {
        let row = self.table.roi_index.row(cell);
        let several = row.iter().filter(|&&roi| roi >= 0).count() > 1;
        let (mut y, mut x, mut seen) = (0.0, 0.0, 0.0);
        let mut entries = Vec::with_capacity(self.columns.len());
        for (&session, outlined) in self.columns.iter().zip(outlined) {
            let at = [cell, session];
            let state = self.table.presence[at].name().to_owned();
            let Some(roi) = self.sessions[session].followed(row[session]) else {
                entries.push(BrowserEntry {
                    state,
                    ..BrowserEntry::default()
                });
                continue;
            };
            let footprints = &self.sessions[session].footprints;
            let plane = footprints.planes()[roi];
            let centre = footprints.centroid(roi);
            let transform = &self.table.transforms[session];
            let corner = (centre.0 + 0.5, centre.1 + 0.5);
            let place = frame.place(transform, i64::from(plane), corner);
            if place.0.is_finite() && place.1.is_finite() {
                (y, x, seen) = (y + place.0, x + place.1, seen + 1.0);
            }
            let note = if self.many_planes {
                format!("ROI {}, plane {plane}", row[session])
            } else {
                format!("ROI {}", row[session])
            };
            entries.push(BrowserEntry {
                state,
                roi: outlined.index.get(&roi).copied(),
                // A ROI by itself is its cell whatever happens: nothing was matched.
                p_same: several.then_some(self.table.p_same[at]),
                note,
            });
        }
        let seen = f64::max(seen, 1.0);
        BrowserCell {
            name: format!("cell {cell}"),
            confidence: if several {
                self.table.confidence[cell]
            } else {
                f32::NAN
            },
            place: ((y / seen) as f32, (x / seen) as f32),
            entries,
        }
    }

    /// What all browsers of the page show.
    fn words(&self, frame: &Frame) -> Vec<String> {
        let mut said = vec![format!(
            "Each cell in every session, to judge by eye what was matched. Images and outlines lie \
             where the alignment puts them in the frame of {}, the reference session; a cell that \
             is “{}” somewhere has its place in that session's field, but none of the session's \
             ROIs is this cell. Cells seen once have no probability.",
            self.names[self.table.reference],
            Presence::Undetected.name(),
        )];
        let bare = |&session: &usize| self.sessions[session].mean_image.is_none();
        let bare: Vec<usize> = self.columns.iter().copied().filter(bare).collect();
        if bare.len() == self.columns.len() {
            said.push("There are no mean images; the images are maps of the footprints.".into());
        } else if !bare.is_empty() {
            said.push(format!(
                "Without a mean image, {} shown by the footprints.",
                self.list(&bare, "is", "are")
            ));
        }
        let apart: Vec<usize> = (0..self.sessions.len())
            .filter(|session| !self.columns.contains(session))
            .collect();
        if !apart.is_empty() {
            said.push(format!(
                "{} not aligned and therefore not shown.",
                self.list(&apart, "is", "are")
            ));
        }
        if frame.scale < 1.0 {
            said.push(format!(
                "To keep the page small, images are shown at {:.0} % of their size.",
                100.0 * frame.scale
            ));
        }
        said
    }

    fn list(&self, sessions: &[usize], one: &str, several: &str) -> String {
        let names: Vec<&str> = sessions.iter().map(|&s| self.names[s].as_str()).collect();
        let verb = if names.len() == 1 { one } else { several };
        format!("{} {verb}", names.join(", "))
    }

    /// What one browser shows, and what it does not.
    fn words_of(&self, chosen: &Chosen, all_outlines: bool) -> String {
        let mut said = Vec::new();
        let (cells, all) = (chosen.cells.len(), chosen.all);
        if self.many_planes {
            said.push(format!(
                "Cells of plane {} of the reference session: {all}, on the images of that plane. \
                 A ROI in a plane beside it is shown on them too.",
                chosen.level
            ));
        }
        if cells < all {
            said.push(format!(
                "Of {all} cells {cells} are shown: of those seen more than once the {} least sure, \
                 and an even sample of the others.",
                chosen.doubtful
            ));
        }
        if !all_outlines {
            said.push("Other ROIs are too many to be outlined.".into());
        }
        said.join(" ")
    }
}

/// Where the ROIs of a plane are, each from 0 to 1.
fn map_of_footprints(session: &Session, level: usize) -> Array2<f32> {
    let all = &session.footprints;
    let mut map = Array2::zeros((all.height(), all.width()));
    for footprint in all.iter().filter(|f| f.plane as usize == level) {
        let most = footprint.weights.iter().copied().fold(0.0, f32::max);
        for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
            let index = index as usize;
            if let Some(pixel) = map.get_mut((index / all.width(), index % all.width())) {
                *pixel += weight / most.max(f32::MIN_POSITIVE);
            }
        }
    }
    map
}

#[cfg(test)]
mod tests;
