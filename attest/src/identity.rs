//! Checking that keys belong to a node's name.

use crate::digest::Sha256Digest;
use crate::endorsed::EndorsedError;
use crate::id::NodeId;
use crate::inception::{Inception, InceptionChain, KeyPurpose, ROTATIONS_MAX, VERSION};
use crate::key::PublicKey;
use crate::peer_id::PeerId;
use crate::signed::EnvelopeError;
use thiserror::Error;

/// Why a chain binds no keys to a name. Nothing of it may be used; the node has to present another one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The inception cannot be read.
    #[error("inception that cannot be read")]
    Unreadable(#[source] EnvelopeError),
    /// Written in a version that this release does not know: upgrade this node.
    #[error("inception or rotation of version {0}")]
    UnsupportedVersion(u8),
    /// Purposes are doubled or out of order.
    #[error("purpose keys that are not ascending by purpose")]
    Purposes,
    /// There is no statement key.
    #[error("inception without a statement key")]
    NoStatementKey,
    /// The bytes for this purpose are not an ed25519 key.
    #[error("unusable {0:?} key")]
    BadKey(KeyPurpose),
    /// One key serves two purposes.
    #[error("{0:?} key that also serves another purpose")]
    SharedKey(KeyPurpose),
    /// The inception lacks the signature of one of its keys.
    #[error("inception without the signatures of its transport and statement keys")]
    Inception(#[source] EndorsedError),
    /// More rotations than a certificate carries: the node has to enrol again.
    #[error("{0} rotations where 16 are the most")]
    TooManyRotations(usize),
    /// A rotation lacks the signature of the key in use or of the key it shows.
    #[error("rotation {number} without the signatures of both its keys")]
    Rotation {
        /// Counts from 1.
        number: usize,
        /// Which signature.
        #[source]
        source: EndorsedError,
    },
    /// A rotation of another node, or one that follows another statement.
    #[error("rotation {number} that does not continue this chain")]
    OutOfPlace {
        /// Counts from 1.
        number: usize,
    },
    /// A rotation to a key that nobody committed to.
    #[error("rotation {number} to a key that was not committed to")]
    NotCommitted {
        /// Counts from 1.
        number: usize,
    },
}

/// The keys that belong to a node's name, as a verified chain shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    node: NodeId,
    transport: PublicKey,
    statement: PublicKey,
    next: Sha256Digest,
    rotations: u32,
    inception: Inception,
}

impl Identity {
    /// Follows a chain from its inception to the key in use.
    ///
    /// # Errors
    /// [`IdentityError`] at the first statement that does not hold.
    pub fn verify(chain: &InceptionChain) -> Result<Self, IdentityError> {
        if chain.rotations.len() > ROTATIONS_MAX {
            return Err(IdentityError::TooManyRotations(chain.rotations.len()));
        }
        let mut identity = Self::incepted(chain)?;
        let mut previous = chain.inception.payload_digest();
        for (endorsed, number) in chain.rotations.iter().zip(1..) {
            let rotation = endorsed.peek().map_err(EndorsedError::Payload);
            let rotation = rotation.map_err(|source| IdentityError::Rotation { number, source })?;
            if rotation.version != VERSION {
                return Err(IdentityError::UnsupportedVersion(rotation.version));
            }
            if rotation.node != identity.node || rotation.previous != previous {
                return Err(IdentityError::OutOfPlace { number });
            }
            if rotation.transport.commitment() != identity.next {
                return Err(IdentityError::NotCommitted { number });
            }
            endorsed
                .verify_all(&[identity.transport, rotation.transport])
                .map_err(|source| IdentityError::Rotation { number, source })?;
            identity.transport = rotation.transport;
            identity.next = rotation.next;
            identity.rotations += 1;
            previous = endorsed.payload_digest();
        }
        Ok(identity)
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The transport key in use.
    #[must_use]
    pub const fn transport(&self) -> &PublicKey {
        &self.transport
    }

    /// The libp2p name that goes with the transport key in use.
    #[must_use]
    pub const fn peer(&self) -> PeerId {
        PeerId::of(&self.transport)
    }

    /// The key that signs the node's facts; it stays the same for the node's life.
    #[must_use]
    pub const fn statement(&self) -> &PublicKey {
        &self.statement
    }

    /// The commitment to the transport key after the one in use.
    #[must_use]
    pub const fn next(&self) -> Sha256Digest {
        self.next
    }

    /// How often the transport key was changed.
    #[must_use]
    pub const fn rotations(&self) -> u32 {
        self.rotations
    }

    /// The public bytes of the key for a purpose, if the node has one.
    #[must_use]
    pub fn key(&self, purpose: KeyPurpose) -> Option<[u8; 32]> {
        self.inception.keys.iter().find(|entry| entry.purpose == purpose).map(|entry| entry.key)
    }

    fn incepted(chain: &InceptionChain) -> Result<Self, IdentityError> {
        let inception = chain.inception.peek().map_err(IdentityError::Unreadable)?;
        let statement = check_keys(&inception)?;
        let transport = inception.transport;
        chain.inception.verify_all(&[transport, statement]).map_err(IdentityError::Inception)?;
        Ok(Self { node: chain.node(), transport, statement, next: inception.next, rotations: 0, inception })
    }
}

/// The statement key, when every key is usable and serves one purpose.
fn check_keys(inception: &Inception) -> Result<PublicKey, IdentityError> {
    if inception.version != VERSION {
        return Err(IdentityError::UnsupportedVersion(inception.version));
    }
    if !inception.keys.is_sorted_by(|entry, next| entry.purpose.code() < next.purpose.code()) {
        return Err(IdentityError::Purposes);
    }
    let mut seen = vec![*inception.transport.as_bytes()];
    let mut statement = None;
    for entry in &inception.keys {
        if seen.contains(&entry.key) {
            return Err(IdentityError::SharedKey(entry.purpose));
        }
        seen.push(entry.key);
        match entry.purpose {
            KeyPurpose::Statement | KeyPurpose::Audit | KeyPurpose::Witness => {
                let key = PublicKey::from_bytes(entry.key).map_err(|_refused| IdentityError::BadKey(entry.purpose))?;
                if entry.purpose == KeyPurpose::Statement {
                    statement = Some(key);
                }
            }
            KeyPurpose::Seal | KeyPurpose::Other(_) => {}
        }
    }
    statement.ok_or(IdentityError::NoStatementKey)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
