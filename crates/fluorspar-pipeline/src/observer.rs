/// Told what a run is doing; the program draws progress bars from it.
///
/// Every method has a silent default, so `&()` observes nothing.
pub trait Observer: Sync {
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
    /// Asked between steps; `true` ends the run with [`crate::Error::Stopped`].
    fn stop(&self) -> bool {
        false
    }
}

impl Observer for () {}
