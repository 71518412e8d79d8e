//! Where a request is answered: here, or on the best peer.

mod call;
mod router;

pub use call::{InferCall, InferReply, RefusalKind};
pub use router::{DESCRIBE_PROTOCOL, INFER_PROTOCOL, InferAnswer, InferError, InferRequest, Router};

pub(crate) use router::told;
