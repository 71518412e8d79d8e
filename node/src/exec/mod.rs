//! Models on this node: fetched, verified, resident, and run on threads apart from the network's.

mod fetch;
mod keeper;
mod library;
mod pool;
mod shelf;
#[cfg(test)]
mod testing;

pub use keeper::{Keeper, KeeperParts};
pub use library::{Library, LibraryError, Shelved};
pub use pool::{ExecError, Pool, PoolStartError, Ran};
pub use shelf::{Shelf, ShelfRow, WarmModel};

/// The name under which peers ask for the publishers' envelope of a manifest.
pub const ENVELOPE_PROTOCOL: crate::net::Protocol = crate::net::Protocol::new("artifact-envelope/1");
