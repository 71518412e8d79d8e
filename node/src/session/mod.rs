//! Placement groups of sessions: one owner task each, driving a replica; and the client side, which finds a replica wherever it is.

mod answer;
mod call;
mod group;
mod groups;
mod links;
mod local;
mod sessions;
mod sizes;
mod standings;

pub use answer::{Refused, SessionAnswer};
pub use call::{CallError, SessionCall};
pub use groups::{Groups, GroupsParts, GroupsStartError};
pub use local::LocalSession;
pub use sessions::{ReadRequest, SESSION_PROTOCOL, SessionError, Sessions, WriteRequest};
pub(crate) use sizes::takes as takes_sizes;
pub use sizes::{GroupBytes, SIZES_PROTOCOL};
