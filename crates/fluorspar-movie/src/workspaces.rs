//! Memory that threads work in, used again and again.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Work spaces that threads lend from one another.
///
/// Rayon's `map_init` makes a new one whenever it splits its work, which is
/// many times for every thread, and large ones come from the system each
/// time, page by page. Here a work space goes back when it is dropped, and
/// the next thread that asks gets it as it was left: there are never more of
/// them than were in use at once.
///
/// ```
/// use fluorspar_movie::Workspaces;
///
/// let rooms = Workspaces::new(|| vec![0_u8; 4]);
/// rooms.lend()[0] = 7;
/// let (first, second) = (rooms.lend(), rooms.lend());
/// assert_eq!((first[0], second[0]), (7, 0));
/// ```
pub struct Workspaces<'a, T> {
    make: Box<dyn Fn() -> T + Send + Sync + 'a>,
    spare: Mutex<Vec<T>>,
}

impl<T> fmt::Debug for Workspaces<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspaces").finish_non_exhaustive()
    }
}

impl<'a, T> Workspaces<'a, T> {
    /// None yet; `make` makes one.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'a) -> Self {
        Self {
            make: Box::new(make),
            spare: Mutex::default(),
        }
    }

    /// A work space that nobody uses, as the one before left it.
    pub fn lend(&self) -> Lent<'_, T> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let known = spare.pop();
        drop(spare);
        Lent {
            space: Some(known.unwrap_or_else(&self.make)),
            spare: &self.spare,
        }
    }
}

/// A work space of [`Workspaces`]; goes back when it is dropped.
#[derive(Debug)]
pub struct Lent<'a, T> {
    /// There until it is dropped.
    space: Option<T>,
    spare: &'a Mutex<Vec<T>>,
}

impl<T> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.space {
            Some(space) => space,
            None => unreachable!("it is taken when dropped only"),
        }
    }
}

impl<T> DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.space {
            Some(space) => space,
            None => unreachable!("it is taken when dropped only"),
        }
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.extend(self.space.take());
    }
}
