//! What memory an analysis takes, told before traces are read.

use std::path::Path;

use super::cut::Layout;
use crate::Error;
use crate::memory::{gibibytes, size_above};

/// What one session brings into an analysis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SessionSize {
    pub(crate) trials: usize,
    pub(crate) cells: usize,
    /// Time bins of a trial.
    pub(crate) bins: usize,
    /// Frames per second (Hz) of what its bins are cut from; `None` if they
    /// were cut elsewhere.
    pub(crate) frame_rate: Option<f64>,
}

/// What is asked of all sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Questions {
    pub(crate) epochs: usize,
    /// Labels whose code is followed.
    pub(crate) variables: usize,
    /// Most values that a label has.
    pub(crate) classes: usize,
    /// Most time bins of an epoch that are told apart.
    pub(crate) time_bins: usize,
    /// Sessions and pairs of them that are worked on at a time.
    pub(crate) threads: usize,
}

/// Bytes that the trials of all sessions take `(trial, cell, bin)`.
fn tensors(sessions: &[SessionSize]) -> usize {
    // Extents may be anything that a file says: floats saturate.
    let of_session = |s: &SessionSize| 4.0 * s.trials as f64 * s.cells as f64 * s.bins as f64;
    sessions.iter().map(of_session).sum::<f64>() as usize
}

/// Most bytes that an analysis of these sessions holds, beside the program.
///
/// All trials of all sessions are compared, so they are in memory together. To
/// these come, while an epoch is analysed, its means `(trial, cell)` and what
/// is told of each cell in each of its patterns (a label at a time); in the
/// end the largest table, with a row for each cell, session, epoch and label;
/// and for each thread decoders of all times of a trial at all others.
pub(crate) fn workspace(sessions: &[SessionSize], asked: Questions) -> usize {
    let most = |of: fn(&SessionSize) -> usize| sessions.iter().map(of).max().unwrap_or(0);
    let sum = |of: fn(&SessionSize) -> f64| sessions.iter().map(of).sum::<f64>();
    let cells = sum(|size| size.cells as f64);
    let values = sum(|size| 4.0 * size.trials as f64 * size.cells as f64);
    let rows = cells * asked.epochs as f64 * asked.variables as f64;
    let bins = most(|size| size.bins);
    let patterns = asked.classes.max(1) as f64 * asked.time_bins.min(bins) as f64;
    let epoch = values + (CELL + PATTERN * patterns) * cells + COLUMNS * rows;

    let samples = 2.0 * most(|size| size.trials) as f64 * bins.min(READ_TIMES) as f64;
    let read = most(|size| size.cells).min(READ_CELLS) as f64;
    let decoders = 28.0 * samples * samples + 12.0 * samples * read;
    let threads = asked.threads.clamp(1, 2 * sessions.len().max(1)) as f64;
    let beside = epoch.max(TABLE * rows) + threads * decoders + FIXED;
    tensors(sessions).saturating_add(beside as usize)
}

/// Bytes held of each cell of a session, beside its trials, and of each of its patterns.
const CELL: f64 = 300.0;
const PATTERN: f64 = 40.0;
/// Bytes held of each row of the largest table, and in the end, when it is written.
const COLUMNS: f64 = 80.0;
const TABLE: f64 = 480.0;
/// Times and cells that are decoded across times, at most.
const READ_TIMES: usize = 12;
const READ_CELLS: usize = 5_000;
/// Panels of traces, resamples, tables that do not grow with cells.
const FIXED: f64 = 48.0 * 1024.0 * 1024.0;

/// Refuses what does not fit into `memory` bytes. Without a `layout`, all
/// trials were cut elsewhere.
///
/// # Errors
/// [`Error::Config`] with what it would take and what to change.
pub(crate) fn check(
    sessions: &[SessionSize],
    questions: Questions,
    layout: Option<&Layout>,
    memory: usize,
    path: &Path,
) -> Result<(), Error> {
    let needed = workspace(sessions, questions);
    if needed <= memory {
        return Ok(());
    }
    let ways = format!(
        "give --memory {} or more, or analyse fewer sessions or one area at a time{}",
        size_above(needed as u64),
        if questions.threads > 1 {
            ", or with fewer --threads"
        } else {
            ""
        }
    );
    let advice = match layout.and_then(|layout| wider_bins(sessions, questions, layout, memory)) {
        Some((bin_s, bytes)) => format!(
            "average frames over [trials] bin_s = {bin_s:?}, which takes {}, or {ways}",
            gibibytes(bytes as u64),
        ),
        None => ways,
    };
    let most = sessions.iter().map(|size| size.cells).max().unwrap_or(0);
    Err(Error::config(
        path,
        format!(
            "the analysis would hold {}, {} of it trials ({} sessions of up to {most} cells), but \
             {} are allowed; {advice}",
            gibibytes(needed as u64),
            gibibytes(tensors(sessions) as u64),
            sessions.len(),
            gibibytes(memory as u64)
        ),
    ))
}

/// The least bins that make it fit, and what it takes with them; none wider
/// than the shortest epoch.
fn wider_bins(
    sessions: &[SessionSize],
    questions: Questions,
    layout: &Layout,
    memory: usize,
) -> Option<(f64, usize)> {
    let shortest = layout.epochs.iter().map(|e| e.stop_s - e.start_s);
    let shortest = shortest.fold(f64::INFINITY, f64::min);
    let widths = WIDTHS_S.into_iter().filter(|&width| width <= shortest);
    widths
        .map(|width| {
            let layout = layout.with_bins(width);
            let coarse: Vec<SessionSize> = sessions
                .iter()
                .map(|size| SessionSize {
                    bins: size.frame_rate.map_or(size.bins, |rate| layout.bins(rate)),
                    ..*size
                })
                .collect();
            (width, workspace(&coarse, questions))
        })
        .find(|&(_, bytes)| bytes <= memory)
}

/// Widths of bins that are proposed, seconds.
const WIDTHS_S: [f64; 9] = [0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::trials::Trials;

    /// 73,307 cells of 14 sessions of 200 trials at 4.7 Hz.
    fn experiment() -> (Layout, Vec<SessionSize>) {
        let path = Path::new("trials.csv");
        let table = Trials::parse("onset_s\n1\n".as_bytes(), path).unwrap();
        let epochs = BTreeMap::from([
            ("odour1".to_owned(), [0.0, 1.0].into()),
            ("delay".to_owned(), [1.0, 6.0].into()),
        ]);
        let layout = Layout::new(&epochs, None, &[(path, &table)]).unwrap();
        let size = SessionSize {
            trials: 200,
            cells: 73_307,
            bins: layout.bins(4.7),
            frame_rate: Some(4.7),
        };
        (layout, vec![size; 14])
    }

    #[test]
    fn extents_that_no_file_has_do_not_overflow() {
        let huge = SessionSize {
            trials: usize::MAX,
            cells: usize::MAX,
            bins: usize::MAX,
            frame_rate: None,
        };
        let path = Path::new("experiment.toml");
        assert!(check(&[huge; 3], QUESTIONS, None, usize::MAX - 1, path).is_err());
    }

    const QUESTIONS: Questions = Questions {
        epochs: 2,
        variables: 1,
        classes: 2,
        time_bins: 10,
        threads: 2,
    };

    #[test]
    fn what_does_not_fit_is_refused_with_bins_that_do() {
        let (layout, sizes) = experiment();
        // 200 trials of 28 frames, four bytes each.
        assert_eq!(tensors(&sizes), 14 * 73_307 * 200 * 28 * 4);
        let path = Path::new("experiment.toml");
        let memory = 12 << 30;
        let error = check(&sizes, QUESTIONS, Some(&layout), memory, path).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        for said in [
            "bin_s = ",
            "--memory ",
            "12.00 GiB",
            "14 sessions",
            "21.41 GiB",
        ] {
            assert!(message.contains(said), "{message}");
        }
        let (bin_s, bytes) = wider_bins(&sizes, QUESTIONS, &layout, memory).unwrap();
        assert!(bytes <= memory && message.contains(&format!("bin_s = {bin_s:?}")));
        // With them it is accepted, with any narrower ones it is not.
        for width in WIDTHS_S.into_iter().filter(|&width| width <= bin_s) {
            let layout = layout.with_bins(width);
            let bins = layout.bins(4.7);
            let coarse: Vec<SessionSize> =
                sizes.iter().map(|s| SessionSize { bins, ..*s }).collect();
            let fits = check(&coarse, QUESTIONS, Some(&layout), memory, path).is_ok();
            assert_eq!(fits, width == bin_s, "{width}");
        }
    }

    #[test]
    fn bins_wider_than_an_epoch_and_bins_of_tensors_are_not_proposed() {
        let (layout, mut sizes) = experiment();
        let path = Path::new("experiment.toml");
        let told = |sizes: &[SessionSize], layout: Option<&Layout>, memory: usize| {
            let error = check(sizes, QUESTIONS, layout, memory, path).unwrap_err();
            error.to_string()
        };
        assert!(!told(&sizes, Some(&layout), 1 << 30).contains("bin_s"));
        assert!(!told(&sizes, None, 12 << 30).contains("bin_s"));
        for size in &mut sizes {
            size.frame_rate = None;
        }
        assert!(!told(&sizes, Some(&layout), 12 << 30).contains("bin_s"));
        assert!(check(&sizes, QUESTIONS, Some(&layout), 64 << 30, path).is_ok());
    }
}
