mod alignments;

use std::path::Path;

use fluorspar_track::{Pair, Presence, Tracks, Transform, Verdict};
use fluorspar_zarr::{GroupReader, GroupWriter};
use ndarray::{Array1, Array2, aview1};
use serde_json::{Value, json};

use self::alignments::{read_transforms, write_alignments};
use super::{read_1d, read_2d, read_attribute};
use crate::Error;
use crate::error::Context;

/// All codes of [`Presence`], as stored.
const PRESENCE: [Presence; 4] = [
    Presence::Undetected,
    Presence::Matched,
    Presence::Absent,
    Presence::Unknown,
];

/// Which ROI is which cell: what most programs need of `tracks.zarr`.
///
/// Arrays in the file: `roi_index`, `presence` and `p_same` as
/// `(cell, session)`; `place` `(cell, 3)` (plane, y, x of the reference
/// session); `confidence` `(cell)`; pairs of ROIs that may be one cell as
/// `pair_session` and `pair_roi` `(pair, 2)`, `pair_p_same`, `pair_distance`
/// (pixels), `pair_correlation` and `pair_shape` `(pair)`; of each session's
/// alignment `alignment_matrix` `(session, 2, 2)`, `alignment_offset` and
/// `alignment_centre` `(session, 2)`, `plane_offset` and `significance`
/// `(session)`, and the bent part `field` `(session, 2, row, column)` with
/// `field_origin` `(session, 2)` and `field_spacing` `(session)`, and the shift
/// of each plane beside it `plane_shift` `(session, plane, 2)`. Attributes:
/// `presence_codes`, `verdicts`, `through` and `duplicate_of` of each session,
/// `reference_session`, `min_p_same`, `expected_precision`. ROIs, cells and
/// sessions are counted from 0; ROIs among all of the session, cells or not.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackTable {
    /// ROI of each cell in each session `(cell, session)`, −1 where none.
    pub roi_index: Array2<i32>,
    /// Probability that the ROI is this cell `(cell, session)`.
    pub p_same: Array2<f32>,
    /// Whether each cell was seen in each session `(cell, session)`, and if
    /// not, why.
    pub presence: Array2<Presence>,
    /// How sure each cell's ROIs are one cell `(cell)`, 0 to 1; 1 for a cell
    /// seen once.
    pub confidence: Vec<f32>,
    /// What became of each session's alignment: `aligned`, `duplicate`,
    /// `unaligned`, `mirrored` or `turned`.
    pub verdicts: Vec<String>,
    /// Where places of the reference session lie in each session.
    pub transforms: Vec<Transform>,
    /// The session that the others were aligned to.
    pub reference: usize,
}

/// The word for what became of a session's alignment.
pub(crate) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Aligned => "aligned",
        Verdict::Duplicate(_) => "duplicate",
        Verdict::Unaligned => "unaligned",
        Verdict::Mirrored => "mirrored",
        Verdict::Turned => "turned",
        _ => "unknown",
    }
}

impl TrackTable {
    /// What the table holds of `tracks`.
    pub(crate) fn of(tracks: &Tracks) -> Self {
        Self {
            roi_index: tracks.roi_index.clone(),
            p_same: tracks.p_same.clone(),
            presence: tracks.presence.clone(),
            confidence: tracks.confidence(),
            verdicts: verdicts(tracks),
            transforms: tracks
                .alignments
                .iter()
                .map(|a| a.transform.clone())
                .collect(),
            reference: tracks.reference,
        }
    }

    /// Sessions whose cells stand alone since they could not be aligned.
    pub fn unaligned(&self) -> Vec<usize> {
        let stands_alone = |&session: &usize| {
            let verdict = self.verdicts[session].as_str();
            !matches!(verdict, "aligned" | "duplicate")
        };
        (0..self.verdicts.len()).filter(stands_alone).collect()
    }

    /// Cells seen in at least two sessions.
    pub fn matched_cells(&self) -> usize {
        let rows = self.roi_index.rows().into_iter();
        rows.filter(|row| row.iter().filter(|&&roi| roi >= 0).count() >= 2)
            .count()
    }

    /// Writes `tracks.zarr`.
    pub(crate) fn write(tracks: &Tracks, path: &Path) -> Result<(), Error> {
        let mut group = GroupWriter::create(path).at(path.display())?;
        write_cells(&mut group, tracks).at(path.display())?;
        write_pairs(&mut group, &tracks.pairs).at(path.display())?;
        write_alignments(&mut group, tracks).at(path.display())?;
        for (key, value) in attributes(tracks) {
            group.attribute(key, value).at(path.display())?;
        }
        group.finish().at(path.display())
    }

    /// Reads `tracks.zarr`.
    ///
    /// # Errors
    /// [`Error::Stage`] or [`Error::BadData`] naming the file and the array.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let group = GroupReader::open(path).at(path.display())?;
        let codes: Array2<u8> = read_2d(&group, "presence", path)?;
        let unknown = |code: &&u8| usize::from(**code) >= PRESENCE.len();
        if let Some(code) = codes.iter().find(unknown) {
            let message = format!("presence holds {code}, which has no meaning");
            return Err(Error::bad_data(path, message));
        }
        let verdicts = match group.attribute("verdicts") {
            Some(Value::Array(words)) => words
                .iter()
                .map(|word| word.as_str().unwrap_or_default().to_owned())
                .collect(),
            _ => {
                return Err(Error::bad_data(
                    path,
                    "the attribute \"verdicts\" is missing",
                ));
            }
        };
        let table = Self {
            verdicts,
            roi_index: read_2d(&group, "roi_index", path)?,
            p_same: read_2d(&group, "p_same", path)?,
            presence: codes.mapv(|code| PRESENCE[usize::from(code)]),
            confidence: read_1d(&group, "confidence", path)?.to_vec(),
            transforms: read_transforms(&group, path)?,
            reference: read_attribute(&group, "reference_session", path)? as usize,
        };
        let size = table.roi_index.dim();
        for (name, found) in [
            ("p_same", table.p_same.dim()),
            ("presence", table.presence.dim()),
            ("confidence", (table.confidence.len(), size.1)),
            ("verdicts", (size.0, table.verdicts.len())),
            ("alignment_matrix", (size.0, table.transforms.len())),
        ] {
            if found != size {
                let message = format!("roi_index is {size:?} but {name} is {found:?}");
                return Err(Error::bad_data(path, message));
            }
        }
        Ok(table)
    }
}

type Written = Result<(), fluorspar_zarr::Error>;

/// A column of a table of pairs: its name, and where its values are.
type Column = (&'static str, fn(&Pair) -> f32);

fn write_cells(group: &mut GroupWriter, tracks: &Tracks) -> Written {
    let cells = ["cell", "session"];
    group.array("roi_index", &tracks.roi_index.view(), &cells)?;
    let codes = tracks.presence.mapv(|presence| presence as u8);
    group.array("presence", &codes.view(), &cells)?;
    group.array("p_same", &tracks.p_same.view(), &cells)?;
    group.array("place", &tracks.place.view(), &["cell", "plane_y_x"])?;
    group.array("confidence", &aview1(&tracks.confidence()), &["cell"])
}

fn write_pairs(group: &mut GroupWriter, pairs: &[Pair]) -> Written {
    let both = |pick: fn(&Pair) -> [u32; 2]| {
        Array2::from_shape_fn((pairs.len(), 2), |(pair, side)| pick(&pairs[pair])[side])
    };
    let axes = ["pair", "side"];
    group.array("pair_session", &both(|pair| pair.sessions).view(), &axes)?;
    group.array("pair_roi", &both(|pair| pair.rois).view(), &axes)?;
    let columns: [Column; 4] = [
        ("pair_p_same", |pair| pair.p_same),
        ("pair_distance", |pair| pair.distance),
        ("pair_correlation", |pair| pair.correlation),
        ("pair_shape", |pair| pair.shape),
    ];
    for (name, pick) in columns {
        let values: Array1<f32> = pairs.iter().map(pick).collect();
        group.array(name, &values.view(), &["pair"])?;
    }
    Ok(())
}

fn verdicts(tracks: &Tracks) -> Vec<String> {
    let all = tracks.alignments.iter();
    all.map(|a| verdict_word(a.verdict).to_owned()).collect()
}

fn attributes(tracks: &Tracks) -> [(&'static str, Value); 8] {
    let codes: serde_json::Map<String, Value> = PRESENCE
        .iter()
        .map(|&presence| (presence.name().to_owned(), json!(presence as u8)))
        .collect();
    let all = || tracks.alignments.iter();
    let through: Vec<Option<usize>> = all().map(|a| a.through).collect();
    let duplicates: Vec<Option<usize>> = all()
        .map(|a| match a.verdict {
            Verdict::Duplicate(other) => Some(other),
            _ => None,
        })
        .collect();
    [
        ("fluorspar", json!(env!("CARGO_PKG_VERSION"))),
        ("presence_codes", Value::Object(codes)),
        ("verdicts", json!(verdicts(tracks))),
        ("through", json!(through)),
        ("duplicate_of", json!(duplicates)),
        ("reference_session", json!(tracks.reference)),
        ("min_p_same", json!(tracks.min_p_same)),
        ("expected_precision", json!(tracks.expected_precision)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluorspar_movie::Footprints;
    use fluorspar_track::{Parameters, SessionRois, track};
    use ndarray::Array3;

    #[test]
    fn what_is_written_is_read() {
        let mut footprints = Footprints::new(8, 8);
        footprints.push(&[9, 10], &[1.0, 0.5], 0).unwrap();
        let empty = Footprints::new(8, 8);
        let sessions = [SessionRois::new(&footprints), SessionRois::new(&empty)];
        let mut tracks = track(&sessions, &Parameters::default()).unwrap();
        tracks.alignments[0].transform.field = Array3::zeros((2, 0, 0));
        tracks.alignments[1].transform.field = Array3::from_elem((2, 2, 3), 0.5);
        tracks.alignments[1].transform.offset = (3.0, -2.0);
        tracks.alignments[1].transform.plane_offset = -2;
        tracks.alignments[1].transform.plane_shift = vec![(0.0, 0.0), (0.5, -1.0)];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tracks.zarr");
        TrackTable::write(&tracks, &path).unwrap();
        assert_eq!(TrackTable::read(&path).unwrap(), TrackTable::of(&tracks));
        assert_eq!(TrackTable::of(&tracks).matched_cells(), 0);
        tracks.alignments[0].verdict = Verdict::Aligned;
        tracks.alignments[1].verdict = Verdict::Mirrored;
        assert_eq!(TrackTable::of(&tracks).unaligned(), [1]);
        let none = track(&[SessionRois::new(&empty)], &Parameters::default()).unwrap();
        let path = folder.path().join("none.zarr");
        TrackTable::write(&none, &path).unwrap();
        assert_eq!(TrackTable::read(&path).unwrap().roi_index.dim(), (0, 1));
    }
}
