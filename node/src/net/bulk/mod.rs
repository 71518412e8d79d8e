//! The bulk lane: content in ranges, each with a proof, from several members at once; small content also in one piece.
//!
//! [`gather()`] drives the pure [`schedule`] over one connection to each member that may hold the content. A server answers
//! what is asked on one connection in order, and a [`pace::Pacer`] bounds what it has under way. `docs/bulk.md` has the frames.

mod gather;
mod pace;
mod receive;
mod schedule;
mod serve;
mod whole;
mod wire;

pub(super) use gather::gather;
pub use gather::{GatherError, Gathered};
pub use schedule::Fault;
pub(super) use serve::BulkServer;
pub use whole::FetchError;
pub(super) use whole::fetch;
pub(super) use wire::{Answer, Ask};
