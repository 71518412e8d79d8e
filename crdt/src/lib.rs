//! Session documents and their replication: what a session is, how replicas make writes durable on several nodes, and how they become equal again
//! after any separation. `docs/sessions.md` says what applications may rely on and freezes the byte formats.
//!
//! A session is a small Automerge document ([`session_doc`], [`engine`]). The sessions of one placement group have one machine per node,
//! [`replica::Replica`]: clients' writes and other replicas' frames go in, and come out as one log append per group commit, one signed frame
//! to push to the other replicas, and answers that promise nothing which is not on stable storage.
//!
//! What this crate does not do: it opens no socket and no file, knows no clock, checks no signature (the driver does, and hands in
//! [`frame::VerifiedFrame`]), and does not decide who the replicas are. History is not compacted and sessions do not expire.
//!
//! Everything from another node is hostile until shown otherwise. Messages and frames are bounded before they are parsed; changes pass
//! [`prescan`] before the engine's own parser, which is not safe against crafted input; they are applied to a copy inside a panic boundary.
//!
//! Sources: M. Kleppmann, A. Beresford, *A Conflict-Free Replicated JSON Datatype* (IEEE TPDS 28(10), 2017) for the document; P. Helland,
//! H. Sammer, J. Lyon et al., *Group commit timers and high volume transaction systems* (HPTS 1987) for committing while the disk is busy.
#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm)]

mod columns;
pub mod engine;
pub mod etag;
pub mod frame;
pub mod heads;
mod leb128;
pub mod limits;
pub mod message;
pub mod ops;
pub mod path;
pub mod prescan;
pub mod replica;
pub mod session_doc;

#[cfg(test)]
mod testing;
