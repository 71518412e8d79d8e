//! The machine that owns the sessions of one placement group on one node.
//!
//! Requests and verified frames queue while a commit is under way; when it ends, all that waits is applied to copies of the documents, one frame
//! is signed over this node's own changes, and everything goes to the log in one append. Only when that append is durable do the copies become the
//! documents that reads see, the frame goes to the other replicas, and acknowledgements and answers leave. So the previous sync is the batching
//! window, and no state that could still be lost is ever shown.
//!
//! Replicas tell each other how far they hold each origin's records without a gap ([`crate::message::SyncBody::Vector`]); who lacks something pulls
//! it. A frame that depends on changes which have not arrived waits, and asks for exactly those.
//!
//! A write is acknowledged when W nodes of the placement hold it durably, this one included. That is durability, not linearizability.
//!
//! While a placement follows another both count: writes need W nodes of each, and both sets are pushed to and asked. A node that is in none of
//! them any more takes nothing in, hands over what it has to the holders of today, and has it dropped when all former placements are retired and W
//! of these have it all.

mod commit;
mod exchange;
mod hand_over;
mod io;
mod log;
mod machine;
mod peers;
mod requests;
mod result;
mod snapshot;
mod stage;

pub use io::{Input, Output, Read, ReplicaConfig, Standing, Write};
pub use machine::Replica;
pub use result::{Event, Found, ReadResult, Refusal, WriteResult, Written};
pub use snapshot::{Snapshot, SnapshotError};

#[cfg(test)]
mod harness;

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "convergence_tests.rs"]
mod convergence_tests;

#[cfg(test)]
#[path = "crash_tests.rs"]
mod crash_tests;

#[cfg(test)]
#[path = "hand_over_tests.rs"]
mod hand_over_tests;
