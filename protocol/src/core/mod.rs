//! The mesh core: membership, facts, election, register and placement of one node as one machine.
//!
//! The driver's loop: `step` with the next input, carry out the outputs in order, publish [`MeshCore::view`] when
//! [`MeshCore::view_version`] changed, sleep until `next_deadline`. A [`Output::Send`] or [`Output::Reply`] with `after`
//! waits for that token's completion and is dropped if it failed; one whose `not_after` has passed is dropped.

mod adopt;
mod chores;
mod command;
mod compare;
mod config;
mod divide;
mod effects;
mod exchange;
mod fact_store;
mod heirlooms;
mod inspect;
mod interface;
mod keep;
mod lead;
mod leave;
mod links;
mod mesh_core;
mod own_record;
mod place;
mod receive;
mod recover;
mod retire;
mod revoke;
mod rollup;
mod shelf;
mod snapshot;
mod standstill;
mod succeed;
mod view;
mod voters;

pub use crate::membership::{Monitoring, SwimConfig};
pub use config::{CoreConfig, DivisionConfig};
pub(crate) use effects::Effects;
pub use interface::{Command, CommandRefusal, Event, Hint, Input, Lane, LinkEvent, Output, Reply, StorageFailure};
pub use leave::LEAVE_PATIENCE;
pub use mesh_core::MeshCore;
#[cfg(test)]
pub(crate) use shelf::{Adoption, Shelf};
pub(crate) use snapshot::put_vote;
pub use snapshot::{Row, Snapshot, SnapshotError, StoreOp, StoreTable};
