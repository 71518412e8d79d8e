//! The rpc lane: at most one connection per member, carrying requests, ordered messages and probes.
//!
//! When two nodes dial each other at once, the dial of the lower NodeId is kept on both sides; the
//! other connection still finishes what runs on it for [`super::limits::DRAIN`]. Links are dialled on
//! demand with a bounded back-off, and a link is up when its connection is established and judged.

mod announce;
mod frame;
mod link;
mod links;
mod outbox;
mod request;
mod serve;

pub use frame::{FrameError, Protocol, RemoteError};
pub(super) use frame::{read_block, write_block};
pub use link::LinkView;
pub use links::LinkError;
pub(super) use links::Links;
pub use outbox::{Dropped, SendError};
pub use request::RequestError;
