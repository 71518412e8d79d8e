//! Values under several signatures: of every key that has to agree, or of enough keys of a set.

use crate::digest::Sha256Digest;
use crate::key::{KeyId, PublicKey, SecretKey, Signature};
use crate::keyset::{KEYS_MAX, KeySet};
use crate::payload;
use crate::signed::{Domain, EnvelopeError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use thiserror::Error;

/// Version byte; differs from that of [`crate::signed::Signed`], so that neither is read as the other.
const VERSION: u8 = 0x41;

/// Signatures that one value carries at most: more than half of the keys of the largest set. Each costs a reader a
/// verification.
pub const ENDORSEMENTS_MAX: usize = KEYS_MAX / 2 + 1;

/// Bytes around the payload at most.
pub const ENDORSED_OVERHEAD: usize = 1 + 5 + 1 + ENDORSEMENTS_MAX * (32 + 64);

/// Why an endorsed value is not trusted; drop it and count it against the sender.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EndorsedError {
    /// A key that has to sign did not, or a signature of its own does not match.
    #[error("no valid signature of {0}")]
    Unsigned(PublicKey),
    /// A key signed that has no part in this; leaving it would give one value many encodings.
    #[error("unexpected signature of {0}")]
    Uninvited(PublicKey),
    /// Too few keys of the set signed: collect more signatures.
    #[error("{valid} valid signatures of the key set, {threshold} needed")]
    BelowThreshold {
        /// Distinct keys of the set whose signature holds.
        valid: usize,
        /// How many the set demands.
        threshold: usize,
    },
    /// The payload is no value of the type.
    #[error("signed payload that cannot be read")]
    Payload(#[source] EnvelopeError),
}

/// A value under up to eight signatures that nobody has checked, in the signing context of [`crate::signed::Signed`].
pub struct Endorsed<T> {
    payload: Arc<[u8]>,
    /// Strictly ascending by key. Shared, as the payload is: a certificate is kept by everybody who shows it to others.
    endorsements: Arc<[(PublicKey, Signature)]>,
    marker: PhantomData<fn() -> T>,
}

impl<T: Domain> Endorsed<T> {
    /// Signs a value with each of these keys.
    ///
    /// # Panics
    /// With more than [`ENDORSEMENTS_MAX`] keys, or a value above its bound.
    #[must_use]
    pub fn sign(value: &T, keys: &[&SecretKey]) -> Self {
        assert!(keys.len() <= ENDORSEMENTS_MAX, "at most {ENDORSEMENTS_MAX} keys endorse one value");
        let payload = payload::encode(value);
        let message = payload::message::<T>(&payload);
        let endorsements: BTreeMap<PublicKey, Signature> =
            keys.iter().map(|key| (key.public(), key.sign_raw(&message))).collect();
        Self { payload, endorsements: endorsements.into_iter().collect(), marker: PhantomData }
    }

    /// The value, if exactly these keys signed it.
    ///
    /// # Errors
    /// [`EndorsedError`].
    pub fn verify_all(&self, keys: &[PublicKey]) -> Result<T, EndorsedError> {
        let message = payload::message::<T>(&self.payload);
        for key in keys {
            let signature = self.signature_of(key).ok_or(EndorsedError::Unsigned(*key))?;
            key.verify_raw(&message, signature).map_err(|_mismatch| EndorsedError::Unsigned(*key))?;
        }
        if let Some((uninvited, _)) = self.endorsements.iter().find(|(key, _)| !keys.contains(key)) {
            return Err(EndorsedError::Uninvited(*uninvited));
        }
        payload::decode(&self.payload).map_err(EndorsedError::Payload)
    }

    /// The value, if enough keys of the set signed it. A signature by any other key is refused, as in
    /// [`Endorsed::verify_all`].
    ///
    /// # Errors
    /// [`EndorsedError`].
    pub fn verify_threshold(&self, set: &KeySet) -> Result<T, EndorsedError> {
        self.verify_by(set, set.threshold())
    }

    /// The value, if more than half of the keys of the set signed it, and not fewer than its threshold: so that two values of
    /// which only one may hold need a key that signed both.
    ///
    /// # Errors
    /// [`EndorsedError`].
    pub fn verify_majority(&self, set: &KeySet) -> Result<T, EndorsedError> {
        self.verify_by(set, set.majority())
    }

    fn verify_by(&self, set: &KeySet, threshold: usize) -> Result<T, EndorsedError> {
        let message = payload::message::<T>(&self.payload);
        for (key, signature) in self.endorsements.iter() {
            if !set.contains(&KeyId::of(key)) {
                return Err(EndorsedError::Uninvited(*key));
            }
            key.verify_raw(&message, signature).map_err(|_mismatch| EndorsedError::Unsigned(*key))?;
        }
        let valid = self.endorsements.len();
        if valid < threshold {
            return Err(EndorsedError::BelowThreshold { valid, threshold });
        }
        payload::decode(&self.payload).map_err(EndorsedError::Payload)
    }

    /// The same value under one more signature; nothing where it carries as many as it may.
    #[must_use]
    pub fn endorse(&self, key: &SecretKey) -> Option<Self> {
        let mut endorsements: BTreeMap<PublicKey, Signature> = self.endorsements.iter().copied().collect();
        endorsements.insert(key.public(), key.sign_raw(&payload::message::<T>(&self.payload)));
        let endorsements: Arc<[_]> = endorsements.into_iter().collect();
        let payload = Arc::clone(&self.payload);
        (endorsements.len() <= ENDORSEMENTS_MAX).then_some(Self { payload, endorsements, marker: PhantomData })
    }

    /// The value before any check, for one use only: to find out which keys must have signed.
    ///
    /// # Errors
    /// [`EnvelopeError`] when the payload is no value of the type.
    pub fn peek(&self) -> Result<T, EnvelopeError> {
        payload::decode(&self.payload)
    }

    /// How many keys claim to have signed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.endorsements.len()
    }

    fn signature_of(&self, key: &PublicKey) -> Option<&Signature> {
        let place = self.endorsements.binary_search_by_key(key, |(signer, _)| *signer).ok()?;
        self.endorsements.get(place).map(|(_, signature)| signature)
    }

    /// The digest of the signed bytes.
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
        payload::within(bytes.len(), T::PAYLOAD_MAX.saturating_add(ENDORSED_OVERHEAD))?;
        match bytes.first() {
            Some(&VERSION) | None => {}
            Some(&other) => return Err(EnvelopeError::UnsupportedVersion(other)),
        }
        let envelope: Self = payload::whole(bytes)?;
        if envelope.to_bytes() == bytes { Ok(envelope) } else { Err(EnvelopeError::NotCanonical) }
    }
}

impl<T> Clone for Endorsed<T> {
    fn clone(&self) -> Self {
        Self { payload: Arc::clone(&self.payload), endorsements: Arc::clone(&self.endorsements), marker: PhantomData }
    }
}

impl<T> PartialEq for Endorsed<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.payload, &self.endorsements) == (&other.payload, &other.endorsements)
    }
}

impl<T> Eq for Endorsed<T> {}

impl<T: Domain> fmt::Debug for Endorsed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endorsed({} {} by {} keys)", T::DOMAIN, self.payload_digest(), self.endorsements.len())
    }
}

impl<T> Serialize for Endorsed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire { version: VERSION, payload: &self.payload, endorsements: self.endorsements.to_vec() }
            .serialize(serializer)
    }
}

/// Reads formats that lend their bytes, as postcard does; bounds are checked before anything is copied.
impl<'de, T: Domain> Deserialize<'de> for Endorsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        if wire.version != VERSION {
            return Err(serde::de::Error::custom(EnvelopeError::UnsupportedVersion(wire.version)));
        }
        payload::within(wire.payload.len(), T::PAYLOAD_MAX).map_err(serde::de::Error::custom)?;
        if !wire.endorsements.is_sorted_by(|(key, _), (next, _)| key < next) {
            return Err(serde::de::Error::custom(EnvelopeError::NotCanonical));
        }
        Ok(Self { payload: wire.payload.into(), endorsements: wire.endorsements.into(), marker: PhantomData })
    }
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    version: u8,
    #[serde(borrow, serialize_with = "payload::serialize_bytes")]
    payload: &'a [u8],
    /// Strictly ascending by key.
    #[serde(deserialize_with = "crate::bounded::bounded_vec::<_, _, ENDORSEMENTS_MAX>")]
    endorsements: Vec<(PublicKey, Signature)>,
}

#[cfg(test)]
#[path = "endorsed_tests.rs"]
mod tests;
