/// How a file is accessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Through a memory mapping: frames can be lent without a copy. The file
    /// must not be shortened while it is read.
    #[default]
    Mapped,
    /// Through positioned reads: a file may change underneath without harm.
    Positioned,
}

/// How pages are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// Where the first pages and a sample of the others lie at equal
    /// distances, the rest is taken to lie so too, and each page is checked
    /// against its own directory when it is read. Otherwise as
    /// [`Search::Walk`].
    #[default]
    Predict,
    /// Follow the chain of directories from the first page to the last.
    Walk,
}

/// What a header may ask for, and how files are accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Most pages of one file.
    pub pages: usize,
    /// Most bytes of one page's pixels.
    pub page_bytes: usize,
    /// How files are accessed.
    pub backend: Backend,
    /// How pages are found.
    pub search: Search,
    /// Mapped bytes per file that may stay resident behind a scan; when more
    /// have been read or lent, the mapping is emptied (and filled again where
    /// it is still in use).
    pub resident: usize,
    /// Read the whole pages of a file that breaks off, instead of refusing it.
    pub salvage: bool,
    /// Keep the places of irregular pages in a hidden file beside the TIFF
    /// (`.NAME.index`), for the next time. A folder that cannot be written to
    /// is no error.
    pub sidecar: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            pages: 50_000_000,
            page_bytes: 1 << 30,
            backend: Backend::Mapped,
            search: Search::Predict,
            resident: 256 << 20,
            salvage: false,
            sidecar: false,
        }
    }
}
