//! The same cells in several sessions, followed on their own.

mod figures;
mod foreign;
mod input;
mod session;
mod suite2p;

pub(crate) use figures::same_cells;
pub use foreign::{Counted, Identities, read_identities};
pub(crate) use session::{Session, follow, number_among_all, warnings};
