//! The bulk lane: content by digest, each transfer on a connection of its own.
//!
//! All integers are little endian. A request is `version:u8 kind:u8 digest:[u8;32] max_bytes:u64`
//! (kind 0 is sha-256, 1 is BLAKE3), its answer `version:u8 status:u8 length:u64` and, with status 0,
//! that many bytes. A server bounds what it has under way ([`pace`]), so that a download leaves room for requests.

mod fetch;
mod pace;
mod serve;
mod wire;

pub use fetch::FetchError;
pub(super) use fetch::fetch;
pub(super) use serve::BulkServer;
