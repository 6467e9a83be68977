use fluorspar_movie::Progress;

/// Progress in frames of the movie over several passes, some of which see a
/// part of it only.
pub(crate) struct Advance<'a> {
    progress: Progress<'a>,
    /// Parts that components are searched in.
    parts: u64,
    /// Passes that it takes to search them.
    passes: u64,
    /// In shares of a frame.
    done: u64,
}

impl<'a> Advance<'a> {
    pub(crate) fn new(progress: Progress<'a>, parts: usize, passes: usize) -> Self {
        Self {
            progress,
            parts: parts as u64,
            passes: passes as u64,
            done: 0,
        }
    }

    /// So many frames of so many parts are done with.
    pub(crate) fn searched(&mut self, frames: usize, parts: usize) {
        self.add(frames as u64 * parts as u64 * self.passes);
    }

    /// Components were followed through so many frames.
    pub(crate) fn followed(&mut self, frames: usize) {
        self.add(frames as u64 * self.parts);
    }

    fn add(&mut self, shares: u64) {
        let whole = self.parts * (self.passes + 1);
        let before = self.done / whole;
        self.done += shares;
        let frames = self.done / whole - before;
        if frames > 0 {
            (self.progress)(frames);
        }
    }
}
