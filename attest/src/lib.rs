//! Identities, digests, signatures and signed statements of a Hedgerow mesh.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod bounded;
pub mod digest;
pub mod endorsed;
pub mod id;
pub mod key;
pub mod keyset;
pub mod name;
mod payload;
pub mod peer_id;
pub mod region;
pub mod signed;
pub mod text;
pub mod time;
