//! One file per thing that an operator asks for.

pub(super) mod departure;
pub(super) mod emulation;
pub(super) mod invites;
pub(super) mod models;
pub(super) mod ping;
pub(super) mod placement;
pub(super) mod policy;
pub(super) mod recovery;
pub(super) mod status;

pub use invites::write_ticket;
pub use models::DEPLOYMENT_HEADER;
pub use ping::PING_PROTOCOL;
