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
    /// The index of one shard, or the directory of a zip archive, in bytes
    /// (64 MiB, four million inner chunks).
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
    /// Which channel of an array with several is the movie, from 0. `None`
    /// opens arrays of one channel only.
    pub channel: Option<usize>,
}

/// How chunks are compressed. Behind each stands a CRC-32C checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    None,
    /// Blosc with bit shuffle and LZ4, level 5: on photon noise smaller than
    /// the others at their usual levels, and fastest.
    #[default]
    Blosc,
    /// Zstandard.
    Zstd {
        /// 1 (fast) to 22 (small).
        level: i32,
    },
    /// Gzip, for readers that have nothing else.
    Gzip {
        /// 0 (stored) to 9 (small).
        level: u32,
    },
}

/// Physical distance between neighbouring pixels, in µm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelSize {
    /// Along y, in µm.
    pub y: f64,
    /// Along x, in µm.
    pub x: f64,
    /// Between planes, in µm, if known.
    pub z: Option<f64>,
}

/// How a movie is laid out and described on disk.
///
/// What is `None` follows from the movie's shape: inner chunks of whole
/// images, of at most 16 frames that take about 2 MiB, in shards of about
/// 32 MiB and 16 to 64 frames. Every chunk is of one plane, so that a plane
/// can be read without decoding the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WriteOptions {
    /// Compression of inner chunks.
    pub codec: Codec,
    /// Frames in an inner chunk.
    pub chunk_frames: Option<usize>,
    /// Frames in a shard: the unit of work and of resuming. A multiple of `chunk_frames`.
    pub shard_frames: Option<usize>,
    /// Height and width of an inner chunk in pixels, for readers that follow a
    /// few pixels through time; `None` keeps frames whole.
    ///
    /// Measured on 512 frames of 512 × 512 16-bit pixels in shards of 64
    /// frames, against whole frames, 4 a chunk: tiles of 64 × 64 give one pixel
    /// through all frames 46 times faster, one frame 7 times slower and the
    /// whole movie 1.3 times slower, at the same size on disk. Algorithms here
    /// read frames, hence the default.
    pub tile: Option<[usize; 2]>,
    /// Frames per second, in Hz.
    pub frame_rate: Option<f64>,
    /// Physical pixel size.
    pub pixel_size: Option<PixelSize>,
    /// Wraps the array, as `0`, into an OME-Zarr 0.5 group, so that image
    /// viewers show axes and scales; without it the array stands by itself.
    pub ome: bool,
}
