//! Content by BLAKE3: what a piece of it must hash to, so that ranges can be taken from anybody and believed at once.
//!
//! The tree over content is bao's with chunk groups of 16 KiB. [`Outboard`] is the tree of one content, [`Holding`] content
//! that is served with it, [`Incoming`] a range that is checked as it arrives, and [`Sink`] where checked [`Piece`]s go.
//! `docs/bulk.md` has the order of the hashes in a proof. Nothing here knows of a network.

mod geometry;
mod holding;
mod outboard;
mod piece;
mod sink;
#[cfg(test)]
pub(crate) mod testing;
mod tree;

pub use geometry::{CONTENT_BYTES_MAX, Content, ContentTooLarge, GROUP_BYTES, GroupRange, RANGE_GROUPS_MAX};
pub use holding::{Held, Holding, HoldingError, Served};
pub use outboard::Outboard;
pub use outboard::{groups_held, pairs_bytes};
pub use piece::{Incoming, Mismatch, Piece};
pub use sink::{MemorySink, Sink};
pub use tree::{Leaf, PAIR_BYTES};

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
