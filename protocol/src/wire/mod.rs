//! Bytes between nodes: frames, and the messages in them.
//!
//! A frame is four bytes of length (big endian), one byte of version, and the postcard encoding of a [`Message`];
//! `docs/wire.md` freezes both. [`decode`] bounds a frame before it allocates; what it returns is well formed and no more:
//! [`Message::verify`] checks the signatures inside and yields the only thing that a machine accepts, a
//! [`VerifiedMessage`]. A machine says what it has to say in the same type: everything in it was verified, or signed here.

mod frame;
mod message;
mod recheck;
mod verified;
mod verify;

pub use frame::{FRAME_MAX, FRAME_VERSION, WireError, decode, encode};
pub use message::{
    CellMark, CellNews, DIGEST_ENTRIES_MAX, ExchangeMessage, FactEntry, Load, Message, PUSH_FACTS_MAX, ProbeMessage,
    SCOPES_MAX, SUMMARY_BUCKETS, SUSPECTS_MAX, ScopeRoot, Suspicion,
};
pub use verified::{VerifiedExchange, VerifiedLease, VerifiedMessage};
pub use verify::{MessageRefusal, Opened};
