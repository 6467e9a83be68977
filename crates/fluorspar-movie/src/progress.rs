/// Called with the number of units (frames, unless a function says otherwise)
/// finished since the last call. Called from several threads.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Reports progress to nobody.
pub fn silent(_: u64) {}
