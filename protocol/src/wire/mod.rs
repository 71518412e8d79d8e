//! Bytes between nodes: frames, and the messages in them.
//!
//! A frame is four bytes of length (big endian), one byte of version, and the postcard encoding of a [`Message`];
//! `docs/wire.md` freezes both. [`decode`] bounds a frame before it allocates; what it returns is well formed and no more:
//! [`Message::verify`] checks the signatures inside and yields the only thing that a machine accepts.

mod frame;
mod message;
mod verify;

pub use frame::{FRAME_MAX, FRAME_VERSION, WireError, decode, encode};
pub use message::{
    DIGEST_ENTRIES_MAX, ExchangeMessage, FactEntry, Load, Message, PUSH_FACTS_MAX, ProbeMessage, SUMMARY_BUCKETS,
    SUSPECTS_MAX, Suspicion,
};
pub use verify::{MessageRefusal, VerifiedExchange, VerifiedLease, VerifiedMessage};
