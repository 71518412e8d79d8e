//! What really happened, in true time, and whether the nodes kept their promises. Nodes never see it.

mod invariant;
mod leases;
mod measures;
mod members;
mod registers;
mod reign;
mod shown;
mod state;

pub(crate) use invariant::{Invariant, Violation};
pub(crate) use measures::{Measures, Samples, Tally};
pub(crate) use reign::Reign;
pub(crate) use shown::{Backing, Seen};
pub(crate) use state::Oracle;
