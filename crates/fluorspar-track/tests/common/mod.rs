//! Sessions with known identities, and what is right in tracks of them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{HashMap, HashSet};

use fluorspar_movie::Footprints;
use fluorspar_simulate::{FieldSession, Fields, FieldsPlan, RoiKind};
use fluorspar_track::{Parameters, SessionRois, Tracks, track};
use ndarray::{Array3, Axis, Slice};

/// What [`SessionRois`] borrows.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) footprints: Footprints,
    pub(crate) image: Option<Array3<f32>>,
    pub(crate) pixel_size: f64,
    /// Which ROI of the session it was made of each of its ROIs is.
    pub(crate) origin: Vec<usize>,
}

impl Owned {
    pub(crate) fn of(session: &FieldSession) -> Self {
        Self {
            footprints: session.footprints.clone(),
            image: session.mean_image.clone(),
            pixel_size: 1.0,
            origin: (0..session.footprints.len()).collect(),
        }
    }

    pub(crate) fn rois(&self) -> SessionRois<'_> {
        let rois = SessionRois::new(&self.footprints).with_pixel_size(self.pixel_size);
        match &self.image {
            Some(image) => rois.with_mean_image(image.view()),
            None => rois,
        }
    }

    /// The chosen ROIs.
    pub(crate) fn select(&self, rois: &[usize]) -> Self {
        Self {
            footprints: self.footprints.select(rois),
            origin: rois.iter().map(|&roi| self.origin[roi]).collect(),
            ..self.clone()
        }
    }

    pub(crate) fn without_rois(&self) -> Self {
        self.select(&[])
    }

    /// Left becomes right.
    pub(crate) fn mirrored(&self) -> Self {
        let (height, width) = (self.footprints.height(), self.footprints.width());
        let image = self.image.clone().map(|mut image| {
            image.invert_axis(Axis(2));
            image
        });
        self.redrawn((height, width), image, |y, x| Some((y, width - 1 - x)))
    }

    /// Turned by a quarter: the top becomes the left.
    pub(crate) fn turned(&self) -> Self {
        let (height, width) = (self.footprints.height(), self.footprints.width());
        let image = self.image.clone().map(|image| {
            let mut turned = image.permuted_axes([0, 2, 1]);
            turned.invert_axis(Axis(1));
            turned.as_standard_layout().into_owned()
        });
        self.redrawn((width, height), image, |y, x| Some((width - 1 - x, y)))
    }

    /// A part of the field; ROIs must lie in it by more than half.
    pub(crate) fn cropped(&self, rows: (usize, usize), columns: (usize, usize)) -> Self {
        let image = self.image.clone().map(|image| {
            let rows = image.slice_axis(Axis(1), Slice::from(rows.0..rows.1));
            let part = rows.slice_axis(Axis(2), Slice::from(columns.0..columns.1));
            part.to_owned()
        });
        let size = (rows.1 - rows.0, columns.1 - columns.0);
        self.redrawn(size, image, |y, x| {
            let inside = (rows.0..rows.1).contains(&y) && (columns.0..columns.1).contains(&x);
            inside.then(|| (y - rows.0, x - columns.0))
        })
    }

    /// Pixels twice as large.
    pub(crate) fn binned(&self) -> Self {
        let size = (self.footprints.height() / 2, self.footprints.width() / 2);
        let image = self.image.as_ref().map(|image| {
            Array3::from_shape_fn((image.dim().0, size.0, size.1), |(plane, y, x)| {
                let at = |v: usize, u: usize| image[[plane, 2 * y + v, 2 * x + u]];
                0.25 * (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1))
            })
        });
        let mut binned = self.redrawn(size, image, |y, x| {
            (y / 2 < size.0 && x / 2 < size.1).then_some((y / 2, x / 2))
        });
        binned.pixel_size = 2.0 * self.pixel_size;
        binned
    }

    /// Every pixel of every ROI goes where `to` says; weights that meet add up.
    fn redrawn(
        &self,
        (height, width): (usize, usize),
        image: Option<Array3<f32>>,
        to: impl Fn(usize, usize) -> Option<(usize, usize)>,
    ) -> Self {
        let mut footprints = Footprints::new(height, width);
        let mut origin = Vec::new();
        for (roi, footprint) in self.footprints.iter().enumerate() {
            let mut pixels = std::collections::BTreeMap::new();
            let mut kept = 0;
            for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
                let (y, x) = (
                    index as usize / self.footprints.width(),
                    index as usize % self.footprints.width(),
                );
                if let Some((y, x)) = to(y, x) {
                    *pixels.entry((y * width + x) as u32).or_insert(0.0) += weight;
                    kept += 1;
                }
            }
            if 2 * kept > footprint.indices.len() {
                let (indices, weights): (Vec<u32>, Vec<f32>) = pixels.into_iter().unzip();
                footprints
                    .push(&indices, &weights, footprint.plane)
                    .unwrap();
                origin.push(self.origin[roi]);
            }
        }
        Self {
            footprints,
            image,
            pixel_size: self.pixel_size,
            origin,
        }
    }
}

pub(crate) fn owned(fields: &Fields) -> Vec<Owned> {
    fields.sessions.iter().map(Owned::of).collect()
}

pub(crate) fn run(sessions: &[Owned], parameters: &Parameters) -> Tracks {
    let rois: Vec<SessionRois<'_>> = sessions.iter().map(Owned::rois).collect();
    track(&rois, parameters).unwrap()
}

/// Builds a plan and tracks it.
pub(crate) fn planted(plan: &FieldsPlan) -> (Fields, Tracks) {
    let fields = Fields::build(plan).unwrap();
    let tracks = run(&owned(&fields), &Parameters::default());
    (fields, tracks)
}

/// Small, so that many cases can be tried.
pub(crate) fn small(seed: u64) -> FieldsPlan {
    FieldsPlan {
        sessions: 3,
        cells: 80,
        height: 128,
        width: 128,
        shift_px: 5.0,
        warp_px: 1.0,
        seed,
        ..FieldsPlan::default()
    }
}

/// What each ROI of each session truly is.
pub(crate) struct Truth {
    pub(crate) cell: Vec<Vec<i64>>,
    pub(crate) kind: Vec<Vec<RoiKind>>,
}

impl Truth {
    pub(crate) fn of(fields: &Fields) -> Self {
        Self {
            cell: fields.sessions.iter().map(|s| s.cell.clone()).collect(),
            kind: fields.sessions.iter().map(|s| s.kind.clone()).collect(),
        }
    }

    /// Of sessions made of those of `fields`.
    pub(crate) fn through(fields: &Fields, sessions: &[(usize, &Owned)]) -> Self {
        let all = Self::of(fields);
        let cells = sessions.iter().map(|(from, owned)| {
            let origin = owned.origin.iter();
            origin.map(|&roi| all.cell[*from][roi]).collect()
        });
        let kinds = sessions.iter().map(|(from, owned)| {
            let origin = owned.origin.iter();
            origin.map(|&roi| all.kind[*from][roi]).collect()
        });
        Self {
            cell: cells.collect(),
            kind: kinds.collect(),
        }
    }

    pub(crate) fn same(&self, sessions: (usize, usize), rois: (usize, usize)) -> bool {
        let cell = self.cell[sessions.0][rois.0];
        cell >= 0 && cell == self.cell[sessions.1][rois.1]
    }

    /// Neither is two cells in one.
    pub(crate) fn unmerged(&self, sessions: (usize, usize), rois: (usize, usize)) -> bool {
        self.kind[sessions.0][rois.0] != RoiKind::Merged
            && self.kind[sessions.1][rois.1] != RoiKind::Merged
    }

    /// Both are one cell or a part of one.
    pub(crate) fn plain(&self, sessions: (usize, usize), rois: (usize, usize)) -> bool {
        let false_roi = self.kind[sessions.0][rois.0] == RoiKind::False
            || self.kind[sessions.1][rois.1] == RoiKind::False;
        !false_roi && self.unmerged(sessions, rois)
    }
}

/// Two sessions, and a ROI of each.
pub(crate) type Matched = ((usize, usize), (usize, usize));

/// All pairs of ROIs that are one cell in the tracks.
pub(crate) fn matched(tracks: &Tracks) -> Vec<Matched> {
    let mut out = Vec::new();
    for row in tracks.roi_index.rows() {
        for (i, &a) in row.iter().enumerate().filter(|(_, a)| **a >= 0) {
            for (j, &b) in row.iter().enumerate().skip(i + 1).filter(|(_, b)| **b >= 0) {
                out.push(((i, j), (a as usize, b as usize)));
            }
        }
    }
    out
}

/// Counts of pairs of ROIs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    /// Matched and the same cell.
    pub(crate) right: usize,
    /// Matched.
    pub(crate) found: usize,
    /// The same cell.
    pub(crate) possible: usize,
    /// The same without merged and false ROIs.
    pub(crate) plain_right: usize,
    pub(crate) plain_found: usize,
}

impl Score {
    pub(crate) fn of(truth: &Truth, tracks: &Tracks) -> Self {
        let mut score = Self::default();
        for (sessions, rois) in matched(tracks) {
            let right = usize::from(truth.same(sessions, rois));
            let plain = usize::from(truth.plain(sessions, rois));
            score.found += 1;
            score.right += right;
            score.plain_found += plain;
            score.plain_right += plain * right;
        }
        for (i, first) in truth.cell.iter().enumerate() {
            let first: HashSet<i64> = first.iter().copied().filter(|&cell| cell >= 0).collect();
            for second in &truth.cell[i + 1..] {
                score.possible += second.iter().filter(|cell| first.contains(cell)).count();
            }
        }
        score
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.right += other.right;
        self.found += other.found;
        self.possible += other.possible;
        self.plain_right += other.plain_right;
        self.plain_found += other.plain_found;
    }

    pub(crate) fn precision(&self) -> f64 {
        self.right as f64 / self.found as f64
    }

    pub(crate) fn plain_precision(&self) -> f64 {
        self.plain_right as f64 / self.plain_found as f64
    }

    pub(crate) fn recall(&self) -> f64 {
        self.right as f64 / self.possible as f64
    }

    /// At least so much precision, precision without merged and false ROIs,
    /// and recall.
    #[track_caller]
    pub(crate) fn at_least(&self, precision: f64, plain: f64, recall: f64) {
        let found = (self.precision(), self.plain_precision(), self.recall());
        assert!(
            found.0 >= precision && found.1 >= plain && found.2 >= recall,
            "{found:?} is below {:?}: {self:?}",
            (precision, plain, recall)
        );
    }
}

/// How far places of the reference session are laid beside the truth in
/// `session`, ascending: cells that both fields show (pixels).
pub(crate) fn misses(fields: &Fields, tracks: &Tracks, session: usize) -> Vec<f64> {
    let plan = fields.plan();
    let inside = |(y, x): (f64, f64)| {
        (0.0..plan.height as f64).contains(&y) && (0.0..plan.width as f64).contains(&x)
    };
    let mut out: Vec<f64> = fields
        .centres
        .iter()
        .map(|&centre| {
            let [here, there] =
                [tracks.reference, session].map(|session| fields.to_session(session, centre));
            (here, there)
        })
        .filter(|&(here, there)| inside(here) && inside(there))
        .map(|(here, there)| {
            let (y, x) = tracks.alignments[session].transform.to_session(here);
            (y - there.0).hypot(x - there.1)
        })
        .collect();
    out.sort_by(f64::total_cmp);
    out
}

/// The value below which a share of sorted values lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}

/// The ROIs of each cell as `(session, ROI)`, sessions renamed, in no order
/// that depends on theirs.
pub(crate) fn together(
    tracks: &Tracks,
    name: impl Fn(usize) -> usize,
) -> HashSet<Vec<(usize, i32)>> {
    tracks
        .roi_index
        .rows()
        .into_iter()
        .map(|row| {
            let seen = row.iter().enumerate().filter(|(_, roi)| **roi >= 0);
            let mut cell: Vec<_> = seen.map(|(s, &roi)| (name(s), roi)).collect();
            cell.sort_unstable();
            cell
        })
        .collect()
}

/// The probability of each pair of ROIs.
pub(crate) fn probabilities(tracks: &Tracks) -> HashMap<Matched, f64> {
    let pairs = tracks.pairs.iter().map(|pair| {
        let [a, b] = pair.sessions.map(|s| s as usize);
        let [p, q] = pair.rois.map(|r| r as usize);
        (((a, b), (p, q)), f64::from(pair.p_same))
    });
    pairs.collect()
}
