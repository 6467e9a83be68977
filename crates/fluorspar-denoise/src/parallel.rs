use std::ops::Range;

use rayon::prelude::*;

/// `work` of each of `range`, in order, on the caller's threads, but never
/// more than `at_once` of them at a time: for work that takes much memory.
/// `room` makes scratch that works in a row share.
pub(crate) fn few_at_once<S, R: Send>(
    range: Range<usize>,
    at_once: usize,
    room: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> R + Sync,
) -> Vec<R> {
    let mut results = Vec::with_capacity(range.len());
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start.saturating_add(at_once.max(1)));
        let some = (start..end).into_par_iter();
        results.par_extend(some.map_init(&room, &work));
        start = end;
    }
    results
}
