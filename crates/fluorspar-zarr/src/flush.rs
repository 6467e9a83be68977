//! Writes files back to disk while others are still being made.

use std::fs::File;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

/// Files that may wait, each open.
const WAITING: usize = 16;

/// A thread that flushes files one after the other, so that the flush of them
/// all at the end finds little left to do.
///
/// It is a help only: a file that it could not take or flush is flushed at
/// the end, where errors are reported.
#[derive(Debug)]
pub(crate) struct Flusher {
    files: Option<SyncSender<File>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    pub(crate) fn new() -> Self {
        let (files, waiting) = mpsc::sync_channel::<File>(WAITING);
        let thread = thread::Builder::new().name("flush".into()).spawn(move || {
            for file in waiting {
                let _ = file.sync_data();
            }
        });
        Self {
            files: Some(files),
            thread: thread.ok(),
        }
    }

    /// Flushes `file` when it is its turn; does not wait.
    pub(crate) fn add(&self, file: File) {
        if let Some(files) = &self.files {
            let _ = files.try_send(file);
        }
    }
}

impl Drop for Flusher {
    /// Waits for the files that are left.
    fn drop(&mut self) {
        self.files = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
