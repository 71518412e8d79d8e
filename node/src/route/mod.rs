//! Where a request is answered: here, or on the best peer.

mod call;
mod hedge;
mod router;

pub use call::{InferCall, InferReply, RefusalKind};
pub use router::{DESCRIBE_PROTOCOL, INFER_PROTOCOL, InferAnswer, InferError, InferRequest, Router};

pub(crate) use call::decode;
pub(crate) use hedge::{Ask, hedged, patience};
pub(crate) use router::told;
