//! The index of a shard: where its inner chunks lie.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::ArrayFile;
use crate::Error;
use crate::codec::Decoder;
use crate::source::Blob;

/// Marks an inner chunk that is not in its shard.
pub(super) const ABSENT: u64 = u64::MAX;
/// Indexes kept for the next read: a few threads work on a few shards.
const RECENT: usize = 8;

/// How the index of a shard is stored.
pub(crate) struct ShardIndex {
    pub(crate) decoder: Decoder,
    /// Encoded length.
    pub(crate) bytes: usize,
    pub(crate) at_start: bool,
}

/// Offset and length per inner chunk.
pub(super) type Entries = Arc<Vec<[u64; 2]>>;

/// Decoded indexes by the position of their shard, oldest first.
#[derive(Default)]
pub(crate) struct Recent(Vec<(Vec<usize>, Entries)>);

impl ArrayFile {
    /// The decoded index of a shard.
    pub(super) fn entries(
        &self,
        index: &ShardIndex,
        file_index: &[usize],
        blob: &mut Blob<'_>,
        path: &Path,
    ) -> Result<Entries, Error> {
        let lock = || self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, entries)) = lock().0.iter().find(|(known, _)| known == file_index) {
            return Ok(Arc::clone(entries));
        }
        let entries = Arc::new(self.read_entries(index, file_index, blob, path)?);
        let mut recent = lock();
        if recent.0.len() == RECENT {
            recent.0.remove(0);
        }
        recent.0.push((file_index.to_vec(), Arc::clone(&entries)));
        Ok(entries)
    }

    fn read_entries(
        &self,
        index: &ShardIndex,
        file_index: &[usize],
        blob: &mut Blob<'_>,
        path: &Path,
    ) -> Result<Vec<[u64; 2]>, Error> {
        let damaged = |reason: String| Error::corrupt(path, file_index, reason);
        let Some(behind) = blob.length().checked_sub(index.bytes as u64) else {
            return Err(damaged(format!(
                "the shard has {} bytes, its index alone needs {}",
                blob.length(),
                index.bytes
            )));
        };
        let mut encoded = Vec::new();
        let offset = if index.at_start { 0 } else { behind };
        blob.read(offset, index.bytes, &mut encoded)
            .map_err(|e| Error::chunk_io(path, file_index, e))?;
        let cells: usize = self.parts.cells_per_file.iter().product();
        let mut entries = vec![[0u64; 2]; cells];
        index
            .decoder
            .decode(
                &encoded,
                &[2 * cells],
                8,
                0..16 * cells,
                bytemuck::cast_slice_mut(&mut entries),
            )
            .map_err(|e| damaged(format!("the shard index: {e}")))?;
        Ok(entries)
    }

    /// Whether a shard or chunk file looks whole: its index can be read and
    /// points to bytes inside it.
    pub(crate) fn is_whole(&self, file_index: &[usize]) -> Result<bool, Error> {
        let key = self.key(file_index);
        let Some(mut blob) = self.parts.source.blob(&key)? else {
            return Ok(false);
        };
        let Some(index) = &self.parts.index else {
            return Ok(blob.length() > 0);
        };
        let path = self.parts.source.file(&key);
        let Ok(entries) = self.read_entries(index, file_index, &mut blob, &path) else {
            return Ok(false);
        };
        Ok(entries.iter().all(|&[offset, stored]| {
            [offset, stored] == [ABSENT; 2]
                || offset
                    .checked_add(stored)
                    .is_some_and(|stop| stop <= blob.length())
        }))
    }
}
