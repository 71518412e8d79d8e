//! The rpc lane: at most one connection per member, carrying requests, ordered messages and probes.
//!
//! Which connection is the link, when and where to dial, and when a link is given up is decided by
//! [`hedgerow_protocol::link`]; a link is up when its connection is established and judged.

mod acknowledged;
mod announce;
mod frame;
mod head;
mod link;
mod link_error;
mod links;
mod meet;
mod outbox;
mod parts;
mod request;
mod serve;
mod table;
mod way;

pub use frame::{FrameError, Protocol, RemoteError};
pub(super) use frame::{read_answer, read_block, read_body, read_message, read_stream_head, write_block};
pub(super) use head::read_request_head;
pub use link::LinkView;
pub use link_error::{DialsFailed, LinkError};
pub(super) use links::Links;
pub use outbox::{Dropped, SendError};
pub(super) use parts::Part;
pub use parts::{AnswerSink, Answers, CallerLeft};
pub use request::RequestError;
pub use way::BesideError;
