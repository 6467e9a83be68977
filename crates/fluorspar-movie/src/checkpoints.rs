use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::Error;

/// Keeps finished pieces of long work, so that work that was broken off goes
/// on where it stopped.
///
/// A piece is bytes under a name that says which part of the work it is. Whoever
/// keeps pieces answers for their being whole: a piece is given back exactly as
/// it was kept, or not at all. Pieces are of one movie and one set of parameters;
/// keep those of others apart.
///
/// `&()` keeps nothing.
///
/// ```
/// use fluorspar_movie::{Checkpoints, Error, MemoryCheckpoints};
///
/// fn squares(kept: &dyn Checkpoints) -> Result<Vec<u8>, Error> {
///     let mut out = Vec::new();
///     for k in 0..3_u8 {
///         let name = format!("square-{k}");
///         let piece = match kept.load(&name)? {
///             Some(piece) => piece,
///             None => {
///                 let piece = vec![k * k]; // the long work
///                 kept.keep(&name, &piece)?;
///                 piece
///             }
///         };
///         out.extend(piece);
///     }
///     Ok(out)
/// }
///
/// let kept = MemoryCheckpoints::default();
/// assert_eq!(squares(&kept)?, [0, 1, 4]);
/// assert_eq!(kept.names(), ["square-0", "square-1", "square-2"]);
/// assert_eq!(squares(&kept)?, squares(&())?);
/// # Ok::<(), Error>(())
/// ```
pub trait Checkpoints: Sync {
    /// The piece `name`, if it was kept.
    ///
    /// # Errors
    /// [`Error::Io`] if it is there and cannot be read.
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let _ = name;
        Ok(None)
    }

    /// Keeps a finished piece.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be stored; [`Error::Stopped`] if it is
    /// stored and the work shall go no further now.
    fn keep(&self, name: &str, piece: &[u8]) -> Result<(), Error> {
        let _ = (name, piece);
        Ok(())
    }
}

impl Checkpoints for () {}

/// Keeps pieces in memory, and stops after as many as it is told: for tests of
/// work that is broken off.
#[derive(Debug, Default)]
pub struct MemoryCheckpoints {
    pieces: Mutex<BTreeMap<String, Vec<u8>>>,
    /// After how many more pieces to stop.
    left: Mutex<Option<usize>>,
}

impl MemoryCheckpoints {
    /// From now on stops the work after `pieces` more; `None` does not stop it.
    pub fn stop_after(&self, pieces: Option<usize>) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = pieces;
    }

    /// Names of what is kept, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.keys().cloned().collect()
    }
}

impl Checkpoints for MemoryCheckpoints {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pieces.get(name).cloned())
    }

    fn keep(&self, name: &str, piece: &[u8]) -> Result<(), Error> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.insert(name.to_owned(), piece.to_vec());
        match &mut *self.left.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(0 | 1) => Err(Error::Stopped),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}
