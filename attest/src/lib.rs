//! Identities, digests, signatures and signed statements of a Hedgerow mesh.
//!
//! This crate decides who says what, and nothing else. It opens no file and no socket, reads no clock and draws no random
//! number: bytes, keys and the time come in, and a trusted value or a typed refusal comes out.
//!
//! # Map
//! - **Names**: [`digest`], [`id`] (nodes, meshes, cells), [`peer_id`], [`name`], [`region`], [`time`].
//! - **Signatures**: [`key`]; [`signed`] (one signer) and [`endorsed`] (several), with a signing context per type;
//!   [`keyset`] (k of n); [`dsse`] and [`intoto`] for what tools outside of the mesh check.
//! - **Who belongs**: [`root`] → [`delegation`] → [`membership`] → [`member`]; [`inception`] and [`identity`] bind keys to
//!   a name that outlives them; [`ticket`] and [`invite`] let a node in, [`renewal`] lets it stay, [`revocation`] puts it out ([`revoked`]); [`genesis`] founds a cell.
//! - **Keeping**: [`secretfile`].
//!
//! # What is trusted, and why
//! Whoever decodes gets an unchecked [`signed::Signed`]; the only ways on are verification against a key that was already
//! trusted, or the type that only verification makes: [`signed::Verified`], [`identity::Identity`], [`member::Member`],
//! [`root::TrustRoot`], [`genesis::Birth`], [`intoto::VerifiedStatement`]. None of them can be deserialised.
//!
//! Defended against: changed, replayed-as-another-type and non-canonical bytes; lengths chosen by a peer; weak and aliased
//! keys; an issuer that binds its own keys to another node's name; a stolen transport key. Not defended against: a stolen
//! threshold of root keys (found a new mesh), and an issuer that admits whom it likes until it is revoked. A certificate
//! says what an operator vouches for; what a node says of its own hardware stays self-asserted.
//!
//! ```
//! use hedgerow_attest::key::SecretKey;
//! use hedgerow_attest::signed::{Domain, Signed};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Reading {
//!     celsius: i32,
//! }
//!
//! impl Domain for Reading {
//!     const DOMAIN: &'static str = "example/reading/1";
//!     const PAYLOAD_MAX: usize = 16;
//! }
//!
//! let key = SecretKey::from_seed([7; 32]); // real seeds come from the operating system
//! let bytes = Signed::sign(&Reading { celsius: -4 }, &key).to_bytes();
//!
//! let received = Signed::<Reading>::from_bytes(&bytes)?;
//! let reading = received.verify(&key.public())?; // the key is known from elsewhere
//! assert_eq!(reading.celsius, -4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod bounded;
mod canonical;
pub mod delegation;
pub mod digest;
pub mod dsse;
pub mod endorsed;
pub mod genesis;
pub mod id;
pub mod identity;
pub mod inception;
pub mod intoto;
pub mod invite;
pub mod key;
pub mod keyset;
pub mod member;
pub mod membership;
pub mod name;
mod payload;
pub mod peer_id;
pub mod reason;
pub mod region;
pub mod renewal;
pub mod revocation;
pub mod revoked;
pub mod root;
mod root_json;
pub mod secretfile;
pub mod signed;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod ticket;
pub mod time;
