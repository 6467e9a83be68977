use std::path::{Path, PathBuf};

use fluorspar_movie::Footprints;
use fluorspar_track::{Alignment, Parameters, Presence, SessionRois, Tracks, Verdict};
use ndarray::{Array2, Array3};

use super::Identities;
use crate::Error;
use crate::error::Context;

/// Share of its field in which a session must lie on some other to be believed.
const DOUBTED: f64 = 0.5;

/// One session to follow cells through: the ROIs that are followed, and how
/// they are numbered among all ROIs of the file.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Where it came from.
    pub(crate) path: PathBuf,
    /// The ROIs that are followed.
    pub(crate) footprints: Footprints,
    /// The number of each among all ROIs, ascending.
    pub(crate) numbers: Vec<usize>,
    /// How many ROIs there are, followed or not.
    pub(crate) all: usize,
    /// Mean of the motion-corrected frames `(plane, y, x)`.
    pub(crate) mean_image: Option<Array3<f32>>,
    /// Side of a pixel, µm.
    pub(crate) pixel_size: f64,
}

impl Session {
    /// A session all of whose ROIs are followed.
    pub(crate) fn new(path: &Path, footprints: Footprints) -> Self {
        let all = footprints.len();
        Self {
            path: path.to_path_buf(),
            footprints,
            numbers: (0..all).collect(),
            all,
            mean_image: None,
            pixel_size: 1.0,
        }
    }

    /// Follows only these of all ROIs, ascending.
    pub(crate) fn only(mut self, rois: Vec<usize>) -> Self {
        self.footprints = self.footprints.select(&rois);
        self.numbers = rois;
        self
    }

    pub(crate) fn with_mean_image(mut self, image: Array3<f32>) -> Self {
        self.mean_image = Some(image);
        self
    }

    pub(crate) fn with_pixel_size(mut self, size: f64) -> Self {
        self.pixel_size = size;
        self
    }

    /// The ROI with this number among all, as an index into the footprints.
    pub(crate) fn followed(&self, number: i32) -> Option<usize> {
        let number = usize::try_from(number).ok()?;
        self.numbers.binary_search(&number).ok()
    }

    /// As the crate that follows them takes them.
    pub(crate) fn rois(&self) -> SessionRois<'_> {
        let rois = SessionRois::new(&self.footprints).with_pixel_size(self.pixel_size);
        match &self.mean_image {
            Some(image) => rois.with_mean_image(image.view()),
            None => rois,
        }
    }
}

/// Follows cells through sessions; ROIs are numbered among those followed.
pub(crate) fn follow(sessions: &[Session], parameters: &Parameters) -> Result<Tracks, Error> {
    let rois: Vec<SessionRois<'_>> = sessions.iter().map(Session::rois).collect();
    fluorspar_track::track(&rois, parameters).map_err(|error| from_track(error, sessions))
}

/// An error of the crate below, naming the file rather than the session.
pub(crate) fn from_track(error: fluorspar_track::Error, sessions: &[Session]) -> Error {
    match error {
        fluorspar_track::Error::Session { session, reason } if session < sessions.len() => {
            Error::bad_data(&sessions[session].path, reason)
        }
        fluorspar_track::Error::Parameter { .. } => Error::Usage(error.to_string()),
        other => match Err::<(), _>(other).at("tracking") {
            Err(error) => error,
            Ok(()) => Error::Usage("tracking failed".into()),
        },
    }
}

/// Numbers ROIs among all of their session, rather than among those followed.
pub(crate) fn number_among_all(tracks: &mut Tracks, sessions: &[Session]) {
    for (mut column, session) in tracks.roi_index.columns_mut().into_iter().zip(sessions) {
        for roi in column.iter_mut().filter(|roi| **roi >= 0) {
            *roi = session.numbers[*roi as usize] as i32;
        }
    }
    for pair in &mut tracks.pairs {
        for (roi, session) in pair.rois.iter_mut().zip(pair.sessions) {
            *roi = sessions[session as usize].numbers[*roi as usize] as u32;
        }
    }
}

/// Replaces who is who by what `given` says, ROIs of it counted among all.
///
/// ROIs that it does not name, or that are not followed, are cells of their
/// own. Where a cell has no ROI, whether its place could be seen is taken over
/// from the cell that one of its ROIs belonged to.
pub(crate) fn identify(tracks: &mut Tracks, sessions: &[Session], given: &Identities) {
    let among = |session: usize, roi: i32| sessions[session].followed(roi);
    let mut rows: Vec<Vec<i32>> = Vec::new();
    let mut named: Vec<Vec<bool>> = sessions
        .iter()
        .map(|session| vec![false; session.numbers.len()])
        .collect();
    for row in given.roi_index.rows() {
        let found: Vec<Option<usize>> = row
            .iter()
            .enumerate()
            .map(|(s, &roi)| among(s, roi))
            .collect();
        for (session, roi) in found.iter().enumerate() {
            if let Some(roi) = *roi {
                named[session][roi] = true;
            }
        }
        if found.iter().any(Option::is_some) {
            rows.push(
                found
                    .iter()
                    .map(|roi| roi.map_or(-1, |roi| roi as i32))
                    .collect(),
            );
        }
    }
    for (session, named) in named.iter().enumerate() {
        for roi in (0..named.len()).filter(|&roi| !named[roi]) {
            let mut row = vec![-1; sessions.len()];
            row[session] = roi as i32;
            rows.push(row);
        }
    }
    let size = (rows.len(), sessions.len());
    let mut before = std::collections::HashMap::new();
    for ((cell, session), &roi) in tracks.roi_index.indexed_iter() {
        before.insert((session, roi), cell);
    }
    let former: Vec<Option<usize>> = rows
        .iter()
        .map(|row| {
            let mut seen = row.iter().enumerate().filter(|&(_, &roi)| roi >= 0);
            seen.find_map(|(session, &roi)| before.get(&(session, roi)).copied())
        })
        .collect();
    let roi_index = Array2::from_shape_fn(size, |(cell, session)| rows[cell][session]);
    let presence = Array2::from_shape_fn(size, |at| {
        let was = former[at.0].map(|cell| tracks.presence[[cell, at.1]]);
        match was {
            _ if roi_index[at] >= 0 => Presence::Matched,
            None => Presence::Unknown,
            // It was matched there to a ROI that is another cell now.
            Some(Presence::Matched) => Presence::Undetected,
            Some(was) => was,
        }
    });
    let place = Array2::from_shape_fn((rows.len(), 3), |(cell, axis)| {
        former[cell].map_or(f32::NAN, |cell| tracks.place[[cell, axis]])
    });
    tracks.p_same = roi_index.mapv(|roi| if roi >= 0 { 1.0 } else { 0.0 });
    tracks.roi_index = roi_index;
    tracks.presence = presence;
    tracks.place = place;
    tracks.min_p_same = 1.0;
    tracks.expected_precision = 1.0;
}

/// What to tell of sessions that are not what they should be, and what to do.
pub(crate) fn warnings(tracks: &Tracks, sessions: &[Session]) -> Vec<String> {
    let told = tracks.alignments.iter().zip(sessions).enumerate();
    told.filter_map(|(k, (alignment, session))| {
        warning(alignment, session, sessions).or_else(|| doubt(tracks, k, session))
    })
    .collect()
}

/// Of a session whose alignment holds only here and there.
fn doubt(tracks: &Tracks, index: usize, session: &Session) -> Option<String> {
    let fits = tracks.fits.iter();
    let shares = fits
        .filter(|fit| fit.sessions.0 == index || fit.sessions.1 == index)
        .map(|fit| fit.aligned_share);
    let best = shares.reduce(f64::max)?;
    (best < DOUBTED && index != tracks.reference).then(|| {
        format!(
            "{} lies on no other session in more than {:.0} % of its field; look at the outlines \
             before believing its matches",
            session.path.display(),
            100.0 * best
        )
    })
}

fn warning(alignment: &Alignment, session: &Session, sessions: &[Session]) -> Option<String> {
    let what = match alignment.verdict {
        Verdict::Aligned => return None,
        Verdict::Duplicate(other) => {
            let other = sessions.get(other).map(|s| s.path.display().to_string());
            format!(
                "has the same ROIs as {}: one recording given twice? Leave one out",
                other.unwrap_or_default()
            )
        }
        Verdict::Mirrored => "fits the other sessions only as a mirror image; its cells stand \
             alone. Flip its images left to right or up to down and find its cells again"
            .into(),
        Verdict::Turned => "fits the other sessions only if turned by a quarter or a half; its \
             cells stand alone. Turn its images and find its cells again"
            .into(),
        _ => "cannot be aligned to the other sessions; its cells stand alone. Is it the same \
             field of view? If it was moved or turned far, allow more of both"
            .into(),
    };
    Some(format!("{} {what}", session.path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluorspar_track::{Fit, Pair};
    use ndarray::array;

    fn session(count: u32, chosen: Vec<usize>) -> Session {
        let mut footprints = Footprints::new(8, 8);
        for roi in 0..count {
            footprints
                .push(&[8 * roi, 8 * roi + 1], &[1.0; 2], 0)
                .unwrap();
        }
        Session::new(Path::new("a"), footprints).only(chosen)
    }

    #[test]
    fn rois_are_numbered_among_all() {
        let sessions = [session(4, vec![1, 3]), session(3, vec![0, 2])];
        let mut tracks = follow(&sessions, &Parameters::default()).unwrap();
        tracks.pairs = vec![Pair {
            sessions: [0, 1],
            rois: [1, 1],
            distance: 0.0,
            correlation: 1.0,
            shape: 1.0,
            p_same: 0.9,
        }];
        tracks.roi_index = array![[0, 0], [1, -1], [-1, 1]];
        tracks.alignments[0].verdict = Verdict::Aligned;
        tracks.alignments[1].verdict = Verdict::Unaligned;
        number_among_all(&mut tracks, &sessions);
        assert_eq!(tracks.roi_index, array![[1, 0], [3, -1], [-1, 2]]);
        assert_eq!(tracks.pairs[0].rois, [3, 2]);
        let told = warnings(&tracks, &sessions);
        assert!(told.len() == 1 && told[0].contains("cannot be aligned"));
        tracks.alignments[1].verdict = Verdict::Aligned;
        tracks.reference = 0;
        tracks.fits = vec![Fit {
            sessions: (0, 1),
            overlap: 1.0,
            aligned_share: 0.4,
            expected_matches: 0.0,
            matched_share: 0.0,
            median_distance: f64::NAN,
            expected_false: 0.0,
            false_by_chance: 0.0,
        }];
        let told = warnings(&tracks, &sessions);
        assert!(
            told.len() == 1 && told[0].contains("more than 40 %"),
            "{told:?}"
        );
        tracks.fits[0].aligned_share = 0.9;
        assert!(warnings(&tracks, &sessions).is_empty());
    }

    #[test]
    fn errors_name_the_file() {
        let bad = session(2, vec![0]).with_pixel_size(-1.0);
        let error = follow(&[bad], &Parameters::default()).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().starts_with("a: "), "{error}");
        let parameters = Parameters {
            reference: Some(5),
            ..Parameters::default()
        };
        let error = follow(&[session(1, vec![0])], &parameters).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
