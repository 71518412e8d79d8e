//! The join lane: one request and one answer with the issuer that a ticket pins.
//!
//! The caller needs no membership, so little is done for it: one stream, 16 KiB towards the issuer,
//! within five seconds, and few joins per address. Either way the frame is `version:u8 len:u32 bytes`.
//! Both ends derive the same 32 bytes from the TLS session; a proof of the ticket's secret over them
//! is worth nothing on another connection.

mod client;
mod serve;

pub use client::JoinError;
pub(super) use client::{ask_guide, join};
pub(super) use serve::JoinServer;

use quinn::Connection;

/// Keying material of this connection (RFC 8446 §7.5) under our own label.
fn exporter(connection: &Connection) -> [u8; 32] {
    let mut exporter = [0; 32];
    connection
        .export_keying_material(&mut exporter, b"EXPORTER-hedgerow-join-1", b"")
        .expect("32 bytes are less than any exporter's bound");
    exporter
}
