/// A piece of work that a run is going to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name, as in [`Observer::start`]: `session-01/register`.
    pub name: String,
    /// Its length in frames, or 0 if unknown.
    pub units: u64,
    /// How long it should take, in seconds; only the proportions between steps
    /// have to be about right, the scale is learnt from the steps that are done.
    pub seconds: f64,
    /// Bytes of the movie in one frame, or 0 if that says nothing.
    pub bytes_per_unit: u64,
}

/// Told what a run is doing; the program draws progress bars from it.
///
/// Every method has a silent default, so `&()` observes nothing.
pub trait Observer: Sync {
    /// The steps to come, told before the first of them; those whose results
    /// are there already are left out, or skipped later.
    fn plan(&self, steps: &[Step]) {
        let _ = steps;
    }
    /// A step begins; `units` is its length in frames, or 0 if unknown.
    fn start(&self, step: &str, units: u64) {
        let _ = (step, units);
    }
    /// `units` more are done.
    fn advance(&self, units: u64) {
        let _ = units;
    }
    /// The step ended well.
    fn finish(&self, step: &str, seconds: f64) {
        let _ = (step, seconds);
    }
    /// The step's result is already there and still valid.
    fn skip(&self, step: &str) {
        let _ = step;
    }
    /// Something worth knowing that is as it should be.
    fn note(&self, message: &str) {
        let _ = message;
    }
    /// Something the user should know that does not stop the run.
    fn warn(&self, message: &str) {
        let _ = message;
    }
    /// Asked between steps, and between blocks of long ones; `true` ends the
    /// run with [`crate::Error::Stopped`], and stays `true`.
    fn stop(&self) -> bool {
        false
    }
}

impl Observer for () {}
