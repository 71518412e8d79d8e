//! How a node gets a name that outlives its keys.
//!
//! The inception lists the node's keys and the digest of its *next* transport key; the sha-256 of its payload is the
//! [`NodeId`]. A rotation shows that next key and commits to a further one, signed by the key in use and by the one shown:
//! a thief of the key in use cannot rotate, because the next key was never online. (Pre-rotation as in KERI: S. M. Smith,
//! "Key Event Receipt Infrastructure", arXiv:1907.02143, §4.)

use crate::bounded::bounded_vec;
use crate::digest::Sha256Digest;
use crate::endorsed::Endorsed;
use crate::id::NodeId;
use crate::key::{PublicKey, SecretKey};
use crate::payload;
use crate::signed::{Domain, EnvelopeError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Version of inceptions and rotations.
pub(crate) const VERSION: u8 = 1;

/// Keys for purposes other than transport that an inception lists at most.
pub const PURPOSE_KEYS_MAX: usize = 8;

/// Rotations that a chain carries at most, so that a certificate fits its frame; after that the node enrols again.
pub const ROTATIONS_MAX: usize = 16;

/// Bytes of a whole chain at most.
pub const CHAIN_MAX: usize = 6656;

/// What a key is for; a key that serves two purposes can be tricked into signing for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPurpose {
    /// ed25519: signs the node's facts and statements.
    Statement,
    /// ed25519: signs the checkpoints of the node's audit log.
    Audit,
    /// ed25519: cosigns the audit logs of others; C2SP's witnesses want a key of their own.
    Witness,
    /// x25519: others seal secrets to it.
    Seal,
    /// A purpose of a later release, kept so that the payload stays whole.
    Other(u8),
}

impl KeyPurpose {
    /// The number in the encoding.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Statement => 1,
            Self::Audit => 2,
            Self::Witness => 3,
            Self::Seal => 4,
            Self::Other(code) => code,
        }
    }

    /// The purpose with this number.
    #[must_use]
    pub const fn of_code(code: u8) -> Self {
        match code {
            1 => Self::Statement,
            2 => Self::Audit,
            3 => Self::Witness,
            4 => Self::Seal,
            other => Self::Other(other),
        }
    }
}

impl Serialize for KeyPurpose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}

impl<'de> Deserialize<'de> for KeyPurpose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(Self::of_code)
    }
}

/// A key and what it is for; the kind of key follows from the purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PurposeKey {
    /// What the key is for.
    pub purpose: KeyPurpose,
    /// Its public bytes.
    pub key: [u8; 32],
}

/// A node's first statement about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inception {
    /// 1.
    pub version: u8,
    /// The first transport key.
    pub transport: PublicKey,
    /// [`PublicKey::commitment`] of the next transport key.
    pub next: Sha256Digest,
    /// One key per other purpose, ascending by [`KeyPurpose::code`]; the statement key is always among them.
    #[serde(deserialize_with = "bounded_vec::<_, _, PURPOSE_KEYS_MAX>")]
    pub keys: Vec<PurposeKey>,
}

impl Domain for Inception {
    const DOMAIN: &'static str = "hedgerow/inception/1";
    const PAYLOAD_MAX: usize = 512;
}

/// The passage from one transport key to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// 1.
    pub version: u8,
    /// Whose keys these are.
    pub node: NodeId,
    /// Digest of the payload before: the previous rotation's, or the inception's.
    pub previous: Sha256Digest,
    /// The key that `previous` committed to.
    pub transport: PublicKey,
    /// The commitment to the key after that.
    pub next: Sha256Digest,
}

impl Domain for Rotation {
    const DOMAIN: &'static str = "hedgerow/rotation/1";
    const PAYLOAD_MAX: usize = 160;
}

/// An inception and the rotations since, oldest first; unchecked until [`crate::identity::Identity::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InceptionChain {
    /// Signed by the transport key and the statement key that it names.
    pub inception: Endorsed<Inception>,
    /// Each signed by the transport key in use before and the one in use after.
    #[serde(deserialize_with = "bounded_vec::<_, _, ROTATIONS_MAX>")]
    pub rotations: Vec<Endorsed<Rotation>>,
}

impl InceptionChain {
    /// The beginning of a node: its transport and statement keys, the commitment to its next transport key, and the
    /// public keys of further purposes. Verification refuses what [`crate::identity::IdentityError`] lists.
    #[must_use]
    pub fn incept(transport: &SecretKey, statement: &SecretKey, next: Sha256Digest, others: &[PurposeKey]) -> Self {
        let own = PurposeKey { purpose: KeyPurpose::Statement, key: *statement.public().as_bytes() };
        let mut keys = [&[own], others].concat();
        keys.sort_unstable();
        let inception = Inception { version: VERSION, transport: transport.public(), next, keys };
        Self { inception: Endorsed::sign(&inception, &[transport, statement]), rotations: Vec::new() }
    }

    /// This chain and one rotation more, from the key in use to the one that was committed to.
    #[must_use]
    pub fn rotate(&self, current: &SecretKey, next: &SecretKey, after_next: Sha256Digest) -> Self {
        let rotation = Rotation {
            version: VERSION,
            node: self.node(),
            previous: self.last_payload_digest(),
            transport: next.public(),
            next: after_next,
        };
        let mut longer = self.clone();
        longer.rotations.push(Endorsed::sign(&rotation, &[current, next]));
        longer
    }

    /// The name that this chain claims; true of every valid chain that begins with this inception.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId::from_bytes(*self.inception.payload_digest().as_bytes())
    }

    /// The chain for a file: a version byte, then the endorsed statements.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(&(VERSION, self)).expect("postcard writes fixed arrays and byte strings into memory")
    }

    /// Reads a chain and checks nothing but its shape.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        payload::within(bytes.len(), CHAIN_MAX)?;
        match bytes.first() {
            Some(&VERSION) | None => {}
            Some(&other) => return Err(EnvelopeError::UnsupportedVersion(other)),
        }
        let (_version, chain): (u8, Self) = payload::whole(bytes)?;
        if chain.to_bytes() == bytes { Ok(chain) } else { Err(EnvelopeError::NotCanonical) }
    }

    fn last_payload_digest(&self) -> Sha256Digest {
        self.rotations.last().map_or_else(|| self.inception.payload_digest(), Endorsed::payload_digest)
    }
}

const _: () = assert!(
    CHAIN_MAX >= Inception::PAYLOAD_MAX + 2 * 96 + 8 + ROTATIONS_MAX * (Rotation::PAYLOAD_MAX + 2 * 96 + 8),
    "the longest chain fits its bound"
);
