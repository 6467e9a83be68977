/// Sizes above which metadata are not believed.
///
/// They are checked before anything is allocated, so that a damaged or hostile
/// header cannot exhaust memory. The defaults fit every recording we know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of one metadata file in bytes (16 MiB).
    pub metadata_bytes: u64,
    /// One frame, all planes together, decoded, in bytes (1 GiB).
    pub frame_bytes: u64,
    /// One chunk, or one inner chunk of a shard, decoded, in bytes (1 GiB).
    /// [`MovieReader`](crate::MovieReader) holds one decoded chunk per thread.
    pub chunk_bytes: u64,
    /// The index of one shard in bytes (64 MiB, four million inner chunks).
    pub index_bytes: u64,
    /// One array read whole by [`GroupReader`](crate::GroupReader), decoded, in bytes (16 GiB).
    pub array_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            metadata_bytes: 16 << 20,
            frame_bytes: 1 << 30,
            chunk_bytes: 1 << 30,
            index_bytes: 64 << 20,
            array_bytes: 16 << 30,
        }
    }
}

/// What a chunk that is not on disk means.
///
/// The format says: fill value. Some writers (zarr-python by default) leave out
/// chunks that hold nothing but the fill value; from a movie, though, an absent
/// chunk far more often means lost data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingChunks {
    /// An error that names the chunk.
    #[default]
    Refuse,
    /// The array's fill value, as the format defines it.
    Fill,
}

/// How to open an array or a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Sizes above which metadata are not believed.
    pub limits: Limits,
    /// What a chunk that is not on disk means.
    pub missing_chunks: MissingChunks,
}
