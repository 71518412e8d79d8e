//! What this node has promised: the data folder, redb files committed in groups, and artifact files.
//!
//! Layout, crash model and versions are in `docs/storage.md`. Votes and fences have a file of their own
//! ([`MeshStore`]), so that they never wait behind the commits of sessions ([`SessionLog`]).

mod addresses;
mod artifacts;
mod clock;
mod committer;
pub(crate) mod file;
mod folder;
mod invites;
mod log;
mod mesh;
mod open;
mod partial;
#[cfg(test)]
pub(crate) mod testing;
mod trees;

pub use artifacts::{ArtifactError, Artifacts};
pub use clock::ClockFileError;
pub use committer::{CommitError, Completion};
pub use folder::{DataFolder, FolderError, Layout, SOCKET_PATH_BYTES_MAX, VERSION};
pub(crate) use folder::{GENESIS_PREFIX, GENESIS_SUFFIX};
pub use invites::{Invite, RedeemRefusal, Redemption};
pub use log::{LogRow, SessionLog};
pub use mesh::{MeshStore, Row, RowChange};
pub use open::{LoadError, OpenError, Store};
pub use partial::Partial;
