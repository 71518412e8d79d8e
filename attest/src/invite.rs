//! The secret part of a ticket, and how it is redeemed without being sent.
//!
//! Whoever joins proves knowledge of the secret over the keying material exported from its TLS connection (RFC 8446,
//! §7.5), so that a proof that was overheard or relayed is of no use on another connection. The issuer counts uses.

use crate::text::{Hex, TextForm as _, bytes32};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroize;

/// BLAKE3 key derivation context: hard-coded, unique, and never used for anything else.
const KEY_CONTEXT: &str = "hedgerow 2026-11-21 ticket redemption key";

/// Names an invite at its issuer; text form: 32 lowercase hex characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InviteId(pub [u8; 16]);

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Hex::encode(&self.0))
    }
}

impl fmt::Debug for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteId({self})")
    }
}

bytes32! {
    /// A MAC of the secret over a connection and an invite, worthless on any other; text form: lowercase hex.
    RedemptionProof, Hex
}

/// 128 random bits that admit a node; wiped when dropped, and never shown by `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct InviteSecret([u8; 16]);

impl InviteSecret {
    /// The secret with these bytes, which must come from a cryptographic random source.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the issuer's store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Proof of knowing the secret of this invite on the connection with this exported keying material.
    #[must_use]
    pub fn proof(&self, exporter: &[u8; 32], invite: InviteId) -> RedemptionProof {
        RedemptionProof::from_bytes(*self.mac(exporter, invite).as_bytes())
    }

    /// Whether the proof was made with this secret for this connection and invite; takes the same time for all proofs.
    #[must_use]
    pub fn admits(&self, exporter: &[u8; 32], invite: InviteId, proof: &RedemptionProof) -> bool {
        // `blake3::Hash` compares in constant time.
        self.mac(exporter, invite) == *proof.as_bytes()
    }

    fn mac(&self, exporter: &[u8; 32], invite: InviteId) -> blake3::Hash {
        let mut key = blake3::derive_key(KEY_CONTEXT, &self.0);
        let mac = blake3::keyed_hash(&key, &[exporter.as_slice(), &invite.0].concat());
        key.zeroize();
        mac
    }
}

impl Drop for InviteSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for InviteSecret {
    fn eq(&self, other: &Self) -> bool {
        // In constant time, as above.
        blake3::hash(&self.0) == blake3::hash(&other.0)
    }
}

impl Eq for InviteSecret {}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_one_secret_connection_and_invite() {
        let secret = InviteSecret::from_bytes([1; 16]);
        let (exporter, invite) = ([2; 32], InviteId([3; 16]));
        let proof = secret.proof(&exporter, invite);
        assert!(secret.admits(&exporter, invite, &proof));
        assert!(!InviteSecret::from_bytes([9; 16]).admits(&exporter, invite, &proof));
        assert!(!secret.admits(&[9; 32], invite, &proof));
        assert!(!secret.admits(&exporter, InviteId([9; 16]), &proof));
        assert!(!secret.admits(&exporter, invite, &RedemptionProof::from_bytes([0; 32])));
        assert_eq!(proof.to_string(), "7c8991d115d663dc4a724d3403dce1483c63f5a7d1e900fb425d8ba9e0bb4598");
    }

    #[test]
    fn debug_keeps_the_secret() {
        assert_eq!(format!("{:?}", InviteSecret::from_bytes([1; 16])), "InviteSecret(..)");
    }
}
