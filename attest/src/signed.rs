//! Signed values, and the only door from a signed value to a trusted one.
//!
//! A [`Signed`] carries the payload bytes exactly as they were signed; nothing is ever encoded again before a signature
//! is checked. The signature covers a domain string that belongs to the type, so that a certificate can never be read as
//! a ticket. A [`Verified`] can be made only by verification or by signing, and cannot be deserialised: holding one is
//! proof. Byte layout: `docs/trust-formats.md`.

use crate::digest::Sha256Digest;
use crate::key::{PublicKey, Signature, Signer};
use crate::payload;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use thiserror::Error;

/// Version byte of an envelope; a reader refuses any other.
const VERSION: u8 = 1;

/// Bytes of an envelope around its payload at most: version, signer, signature, and a length of up to five bytes.
pub const ENVELOPE_OVERHEAD: usize = 1 + 32 + 64 + 5;

/// A type that may be signed, with a signing context of its own.
pub trait Domain: Serialize + DeserializeOwned {
    /// Names the type and its version, for example `hedgerow/membership/1`; unique in the project and without zero bytes.
    const DOMAIN: &'static str;
    /// Bytes that an encoded value has at most; longer payloads are refused unread.
    const PAYLOAD_MAX: usize;
}

/// Why bytes are not an envelope or its payload not a value; the sender is broken or hostile, and asking again is no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// Longer than the type allows.
    #[error("{found} bytes where {max} are the most")]
    TooLong {
        /// Bytes that there are.
        found: usize,
        /// Bytes that the type allows.
        max: usize,
    },
    /// Written by a later release, or no envelope at all: upgrade this node.
    #[error("format version {0}, which this release does not know")]
    UnsupportedVersion(u8),
    /// Cut short, or fields out of their bounds.
    #[error("malformed encoding")]
    Malformed {
        /// What the decoder stumbled over.
        #[source]
        source: postcard::Error,
    },
    /// Something follows the value.
    #[error("{count} bytes after the end of the value")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The value reads, but these bytes are not the ones that encode it.
    #[error("encoding other than the canonical one")]
    NotCanonical,
}

/// Why a signed value is not trusted; drop it and count it against the sender.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Another key signed than the one that has to.
    #[error("signed by {claimed}, {expected} has to sign")]
    WrongSigner {
        /// The key that has to sign.
        expected: PublicKey,
        /// The key that the envelope names.
        claimed: PublicKey,
    },
    /// The signature does not match: the bytes were changed, or meant for another type.
    #[error("bad signature")]
    BadSignature,
    /// The signature holds, but the payload is no value of the type.
    #[error("signed payload that cannot be read")]
    Payload(#[source] EnvelopeError),
}

/// A value under one signature that nobody has checked.
pub struct Signed<T> {
    signer: PublicKey,
    signature: Signature,
    payload: Arc<[u8]>,
    marker: PhantomData<fn() -> T>,
}

impl<T: Domain> Signed<T> {
    /// Signs a value.
    ///
    /// # Panics
    /// When the encoded value is longer than [`Domain::PAYLOAD_MAX`]; the fields' own bounds have to rule that out.
    #[must_use]
    pub fn sign(value: &T, key: &impl Signer) -> Self {
        let payload = payload::encode(value);
        let signature = key.sign_raw(&payload::message::<T>(&payload));
        Self { signer: key.public(), signature, payload, marker: PhantomData }
    }

    /// The trusted value, if `expected` signed it. Who has to sign must come from somewhere that is already trusted,
    /// never from the envelope.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, expected: &PublicKey) -> Result<Verified<T>, VerifyError> {
        if self.signer != *expected {
            return Err(VerifyError::WrongSigner { expected: *expected, claimed: self.signer });
        }
        expected
            .verify_raw(&payload::message::<T>(&self.payload), &self.signature)
            .map_err(|_mismatch| VerifyError::BadSignature)?;
        let value = payload::decode(&self.payload).map_err(VerifyError::Payload)?;
        Ok(Verified { value, envelope: self.clone() })
    }

    /// The value before any check, for one use only: to find out which key must have signed.
    ///
    /// # Errors
    /// [`EnvelopeError`] when the payload is no value of the type.
    pub fn peek(&self) -> Result<T, EnvelopeError> {
        payload::decode(&self.payload)
    }

    /// The key that claims to have signed.
    #[must_use]
    pub fn claimed_signer(&self) -> &PublicKey {
        &self.signer
    }

    /// The signed bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The digest of the signed bytes: a name for the value that does not change with who signed it.
    #[must_use]
    pub fn payload_digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.payload)
    }

    /// The envelope for a file or the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("postcard writes fixed arrays and byte strings into memory")
    }

    /// Reads an envelope and checks nothing but its shape.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        payload::within(bytes.len(), T::PAYLOAD_MAX.saturating_add(ENVELOPE_OVERHEAD))?;
        match bytes.first() {
            Some(&VERSION) | None => {}
            Some(&other) => return Err(EnvelopeError::UnsupportedVersion(other)),
        }
        let envelope: Self = payload::whole(bytes)?;
        if envelope.to_bytes() == bytes { Ok(envelope) } else { Err(EnvelopeError::NotCanonical) }
    }
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self { signer: self.signer, signature: self.signature, payload: Arc::clone(&self.payload), marker: PhantomData }
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.signer, self.signature, &self.payload) == (other.signer, other.signature, &other.payload)
    }
}

impl<T> Eq for Signed<T> {}

/// Shows no payload: a ticket's holds a secret.
impl<T: Domain> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} {} by {})", T::DOMAIN, self.payload_digest(), self.signer)
    }
}

impl<T> Serialize for Signed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire { version: VERSION, signer: self.signer, signature: self.signature, payload: &self.payload }
            .serialize(serializer)
    }
}

/// Reads formats that lend their bytes, as postcard does; a payload above the bound is refused before it is copied.
impl<'de, T: Domain> Deserialize<'de> for Signed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        if wire.version != VERSION {
            return Err(serde::de::Error::custom(EnvelopeError::UnsupportedVersion(wire.version)));
        }
        payload::within(wire.payload.len(), T::PAYLOAD_MAX).map_err(serde::de::Error::custom)?;
        Ok(Self { signer: wire.signer, signature: wire.signature, payload: wire.payload.into(), marker: PhantomData })
    }
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    version: u8,
    signer: PublicKey,
    signature: Signature,
    #[serde(borrow, serialize_with = "payload::serialize_bytes")]
    payload: &'a [u8],
}

/// A value whose signature was checked against the key that had to sign, or that this node signed itself.
pub struct Verified<T> {
    value: T,
    envelope: Signed<T>,
}

impl<T: Domain> Verified<T> {
    /// Signs a value with a key of one's own; the result is as trusted as the key.
    #[must_use]
    pub fn sign_verified(value: &T, key: &impl Signer) -> Self {
        let envelope = Signed::sign(value, key);
        let value = envelope.peek().expect("a value that was just encoded decodes");
        Self { value, envelope }
    }

    /// The key that signed.
    #[must_use]
    pub fn signer(&self) -> &PublicKey {
        &self.envelope.signer
    }

    /// The envelope, to pass on to others who will check it for themselves.
    #[must_use]
    pub fn envelope(&self) -> &Signed<T> {
        &self.envelope
    }

    /// The value alone; the proof is gone with it.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Clone> Clone for Verified<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), envelope: self.envelope.clone() }
    }
}

impl<T> PartialEq for Verified<T> {
    fn eq(&self, other: &Self) -> bool {
        // The payload is the one encoding of the value.
        self.envelope == other.envelope
    }
}

impl<T> Eq for Verified<T> {}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified({:?} by {})", self.value, self.envelope.signer)
    }
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
