//! Requests to stop, from the keyboard or from whoever runs this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fluorspar_pipeline::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code after a second Ctrl-C, as of [`Error::Stopped`].
const INTERRUPTED: i32 = 130;

/// What is said when the first request arrives.
pub(crate) const NOTICE: &str = "stopping as soon as the block in work is finished; \
     Ctrl-C again stops at once, which loses no more than that block";

/// Whether to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
}

impl Stop {
    /// Takes the first Ctrl-C or SIGTERM as a request to end at the next good
    /// moment, and a Ctrl-C after it as one to end at once.
    ///
    /// Schedulers send SIGTERM a while before they kill, some of them more
    /// than once; so only the keyboard's signal is ever the second.
    pub(crate) fn listen() -> Result<Self, Error> {
        let stop = Self::default();
        let asked = || Arc::clone(&stop.asked);
        // The one that ends comes first, so that the first signal still finds
        // the flag down.
        flag::register_conditional_shutdown(SIGINT, INTERRUPTED, asked())
            .and_then(|_| flag::register(SIGINT, asked()))
            .and_then(|_| flag::register(SIGTERM, asked()))
            .map_err(|e| Error::Usage(format!("cannot listen for Ctrl-C: {e}")))?;
        Ok(stop)
    }

    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// As if a signal had arrived.
    #[cfg(test)]
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}
