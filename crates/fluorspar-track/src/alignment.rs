use crate::transform::Transform;

/// How a session's field of view lies on the reference session's.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    /// Where a place of the reference session lies in this session.
    pub transform: Transform,
    /// The session it was aligned to: the reference session, or one that
    /// itself is aligned better to both; `None` for the reference session.
    pub through: Option<usize>,
    /// Whether to believe it.
    pub verdict: Verdict,
    /// Height of the correlation of the two fields at the alignment, as
    /// standard deviations above what wrong alignments reach. Infinite for the
    /// reference session.
    pub significance: f64,
}

/// Whether a session could be aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It could.
    Aligned,
    /// The same ROIs as in this session, to the pixel: one recording given twice.
    Duplicate(usize),
    /// No alignment is better than chance; none of its ROIs is matched.
    Unaligned,
    /// It fits only as a mirror image; flip its images left to right or up
    /// to down. None of its ROIs is matched.
    Mirrored,
    /// It fits only if turned by a quarter or a half; none of its ROIs is
    /// matched.
    Turned,
}

impl Verdict {
    /// Whether the session's ROIs were compared with those of others.
    pub fn is_aligned(self) -> bool {
        matches!(self, Self::Aligned | Self::Duplicate(_))
    }
}

/// How well two sessions lie on each other after alignment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The two sessions, the lower first.
    pub sessions: (usize, usize),
    /// Share of the smaller field that both saw, 0 to 1.
    pub overlap: f64,
    /// Pairs of ROIs that are probably the same cell (sum of the
    /// probabilities of all pairs).
    pub expected_matches: f64,
    /// Share of the ROIs of the session with fewer in the common field that
    /// have a match.
    pub matched_share: f64,
    /// Median distance of matched centres, pixels of the reference session.
    pub median_distance: f64,
    /// Matches that would be found if the two fields had nothing to do with
    /// each other, as a share of the ROIs: the same search, one session
    /// displaced by several cells.
    pub chance_share: f64,
}
