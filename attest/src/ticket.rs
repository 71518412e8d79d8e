//! Join tickets: one line of text that a person carries to a joining node.
//!
//! A ticket names the mesh, the issuer that alone redeems it, and a secret. Its checksum tells a cut or mistyped ticket
//! from a changed one, its signature binds every part to the issuer's statement key. It proves nothing about who handed
//! it over: it is as trustworthy as the way it came, and whoever reads it may use it.

use crate::bounded::bounded_vec;
use crate::digest::Sha256Digest;
use crate::id::{MeshId, NodeId};
use crate::invite::{InviteId, InviteSecret, RedemptionProof};
use crate::key::{PublicKey, SecretKey};
use crate::peer_id::PeerId;
use crate::region::Region;
use crate::signed::{Domain, EnvelopeError, Signed, Verified};
use crate::text::{Base32, TextForm as _, base32_bytes};
use crate::time::UnixSeconds;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::ops::Deref;
use thiserror::Error;

/// Version of invitations.
pub const VERSION: u8 = 1;

/// Addresses of the issuer that a ticket carries at most.
pub const ADDRESSES_MAX: usize = 8;

/// Characters of a ticket at most, line breaks included; the longest real one has under 900.
pub const TEXT_MAX: usize = 2048;

/// Begins every ticket; the digit is the version of the text form.
const PREFIX: &str = "hedgerow1";

/// Bytes of checksum: one mistyped ticket in four billion gets as far as the signature.
const CHECKSUM: usize = 4;

/// Keeps the checksum apart from every other digest of the same bytes.
const CHECKSUM_CONTEXT: &[u8] = b"hedgerow ticket checksum 1\0";

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// 1.
    pub version: u8,
    /// The mesh to join; the joining node compares it with the root that it is given.
    pub mesh: MeshId,
    /// The node that redeems it, and no other.
    pub issuer: NodeId,
    /// The issuer's transport key.
    pub issuer_peer: PeerId,
    /// Where the issuer listens, best first.
    #[serde(deserialize_with = "bounded_vec::<_, _, ADDRESSES_MAX>")]
    pub addresses: Vec<SocketAddr>,
    /// Under what the issuer finds the invite and its count of uses.
    pub invite: InviteId,
    /// Proves that the ticket was seen, without being sent.
    pub secret: InviteSecret,
    /// The region of whoever joins with it.
    pub region: Region,
    /// Last second at which it is redeemed.
    pub not_after: UnixSeconds,
}

impl Domain for Invitation {
    const DOMAIN: &'static str = "hedgerow/ticket/1";
    const PAYLOAD_MAX: usize = 384;
}

/// Why a ticket cannot be used; nothing was changed by trying.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TicketError {
    /// Not a ticket at all, or one with impossible contents.
    #[error("text that is not a ticket: it has to begin with {PREFIX}")]
    NotATicket,
    /// A part is missing or mistyped: copy it again, whole.
    #[error("ticket that is cut short or mistyped: copy it again, whole")]
    CutShort,
    /// Written by a later release: upgrade this node.
    #[error("ticket of a version that this release does not know")]
    UnsupportedVersion,
    /// The checksum holds but the signature does not: somebody changed it. Ask the issuer for another.
    #[error("forged ticket: its issuer did not sign what it says")]
    Forged,
    /// Its bytes are whole and signed, but no invitation.
    #[error("malformed ticket")]
    Malformed(#[source] EnvelopeError),
    /// Too late: ask for another.
    #[error("ticket that expired at {not_after}, and it is {now}")]
    Expired {
        /// Last second at which it was good.
        not_after: UnixSeconds,
        /// The time of the check.
        now: UnixSeconds,
    },
    /// For another mesh than the one that this data folder belongs to.
    #[error("ticket of mesh {ticket}, and this node belongs to mesh {own}")]
    OtherMesh {
        /// The ticket's mesh.
        ticket: MeshId,
        /// Ours.
        own: MeshId,
    },
}

/// An invitation under the signature of the statement key that it comes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket(Verified<Invitation>);

impl Ticket {
    /// Writes a ticket; `statement` is the issuer's statement key.
    ///
    /// # Panics
    /// With more than [`ADDRESSES_MAX`] addresses.
    #[must_use]
    pub fn issue(invitation: &Invitation, statement: &SecretKey) -> Self {
        assert!(invitation.addresses.len() <= ADDRESSES_MAX, "a ticket has at most {ADDRESSES_MAX} addresses");
        Self(Verified::sign_verified(invitation, statement))
    }

    /// The text: `hedgerow1` and lowercase base32 of the envelope and its checksum. It contains the secret.
    #[must_use]
    pub fn encode(&self) -> String {
        let envelope = self.0.envelope().to_bytes();
        let checksum = checksum(&envelope);
        format!("{PREFIX}{}", Base32::encode(&[envelope.as_slice(), &checksum].concat()))
    }

    /// Reads a ticket. White space anywhere is ignored, because mail programs and terminals break long lines.
    ///
    /// # Errors
    /// [`TicketError`], which tells a cut ticket from a forged one.
    pub fn decode(text: &str) -> Result<Self, TicketError> {
        if text.len() > TEXT_MAX {
            return Err(TicketError::NotATicket);
        }
        let text: String = text.split_ascii_whitespace().collect();
        let bytes = base32_bytes(body(&text)?).ok_or(TicketError::CutShort)?;
        let (envelope, stated) = bytes.split_last_chunk::<CHECKSUM>().ok_or(TicketError::CutShort)?;
        if checksum(envelope) != *stated {
            return Err(TicketError::CutShort);
        }
        let signed = Signed::<Invitation>::from_bytes(envelope).map_err(|refused| match refused {
            EnvelopeError::UnsupportedVersion(_) => TicketError::UnsupportedVersion,
            EnvelopeError::TooLong { .. }
            | EnvelopeError::Malformed { .. }
            | EnvelopeError::TrailingBytes { .. }
            | EnvelopeError::NotCanonical => TicketError::Malformed(refused),
        })?;
        let verified = signed.verify(signed.claimed_signer()).map_err(|refused| match refused {
            crate::signed::VerifyError::Payload(source) => TicketError::Malformed(source),
            crate::signed::VerifyError::BadSignature | crate::signed::VerifyError::WrongSigner { .. } => {
                TicketError::Forged
            }
        })?;
        if verified.version != VERSION {
            return Err(TicketError::UnsupportedVersion);
        }
        Ok(Self(verified))
    }

    /// Whether the ticket may be used at `now` by a node of this mesh, or of none yet.
    ///
    /// # Errors
    /// [`TicketError::Expired`] or [`TicketError::OtherMesh`].
    pub fn check(&self, now: UnixSeconds, own: Option<MeshId>) -> Result<(), TicketError> {
        if let Some(own) = own.filter(|own| *own != self.mesh) {
            return Err(TicketError::OtherMesh { ticket: self.mesh, own });
        }
        let not_after = self.not_after;
        if now > not_after { Err(TicketError::Expired { not_after, now }) } else { Ok(()) }
    }

    /// The statement key of the issuer, which signed the ticket and will sign the certificate.
    #[must_use]
    pub fn issuer_statement(&self) -> &PublicKey {
        self.0.signer()
    }

    /// Proof of having seen the ticket, bound to one TLS connection by its exported keying material.
    #[must_use]
    pub fn proof(&self, exporter: &[u8; 32]) -> RedemptionProof {
        self.secret.proof(exporter, self.invite)
    }
}

impl Deref for Ticket {
    type Target = Invitation;

    fn deref(&self) -> &Invitation {
        &self.0
    }
}

/// What follows the prefix.
fn body(text: &str) -> Result<&str, TicketError> {
    if let Some(body) = text.strip_prefix(PREFIX) {
        return Ok(body);
    }
    let family = PREFIX.trim_end_matches('1');
    match text.strip_prefix(family).and_then(|rest| rest.chars().next()) {
        Some(version) if version.is_ascii_digit() => Err(TicketError::UnsupportedVersion),
        None if !text.is_empty() && PREFIX.starts_with(text) => Err(TicketError::CutShort),
        Some(_) | None => Err(TicketError::NotATicket),
    }
}

fn checksum(envelope: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256Digest::of(&[CHECKSUM_CONTEXT, envelope].concat());
    *digest.as_bytes().first_chunk().expect("a digest has more than four bytes")
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
