//! ed25519 keys. Verification is the strict one (no small-order points, canonical scalars), so that two verifiers never
//! disagree about a signature (Chalkias, Garillot, Nikolaenko: "Taming the many `EdDSAs`", 2020).

use crate::digest::Sha256Digest;
use crate::text::{Base32, Hex, ParseTextError, TextForm, bytes32};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why 32 bytes are not a public key; no key pair of ours has such a public half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PublicKeyError {
    /// The bytes are no point of the curve, or not the one canonical encoding of it.
    #[error("bytes that are no canonical point of the curve")]
    NotAPoint,
    /// The point has small order: signatures of many messages would verify under it.
    #[error("weak public key of small order")]
    Weak,
}

/// The bytes were not signed by that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("signature that does not match the key and the bytes")]
pub struct SignatureError;

/// An ed25519 public key that passed the checks of [`PublicKey::from_bytes`]; text form: 52 characters of base32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with this encoding (RFC 8032, §5.1.2).
    ///
    /// # Errors
    /// [`PublicKeyError`] for bytes that no honest key generation makes.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, PublicKeyError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_refused| PublicKeyError::NotAPoint)?;
        if key.is_weak() {
            return Err(PublicKeyError::Weak);
        }
        // A few points have a second encoding (y + p); the same key under two names would be two members.
        if key.to_edwards().compress().to_bytes() != bytes {
            return Err(PublicKeyError::NotAPoint);
        }
        Ok(Self(bytes))
    }

    /// The encoding of RFC 8032.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks a signature over exactly these bytes. Use [`crate::signed`] or [`crate::dsse`] unless another
    /// specification fixes the bytes: a bare signature says nothing about what it was meant for.
    ///
    /// # Errors
    /// [`SignatureError`] when the signature is not of this key over this message.
    pub fn verify_raw(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.point().verify_strict(message, &signature).map_err(|_refused| SignatureError)
    }

    /// The digest by which a pre-rotation commits to this key before it is shown.
    #[must_use]
    pub fn commitment(&self) -> Sha256Digest {
        Sha256Digest::of(&self.0)
    }

    fn point(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(&self.0).expect("checked when the key was made")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Base32::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = ParseTextError;

    fn from_str(text: &str) -> Result<Self, ParseTextError> {
        Self::from_bytes(Base32::decode(text)?).map_err(|_refused| ParseTextError::NotAKey)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return crate::bounded::parsed_text(deserializer);
        }
        Self::from_bytes(<[u8; 32]>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// An ed25519 signature, not yet checked against anything; text form: 128 lowercase hex characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// The signature with this encoding (RFC 8032, §5.1.6); whether it is canonical is seen when it is verified.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// R followed by S.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Hex::encode(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = ParseTextError;

    fn from_str(text: &str) -> Result<Self, ParseTextError> {
        Hex::decode(text).map(Self)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let signature = ed25519_dalek::Signature::from_bytes(&self.0);
        (signature.r_bytes(), signature.s_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return crate::bounded::parsed_text(deserializer);
        }
        let (r, s) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        Ok(Self(ed25519_dalek::Signature::from_components(r, s).to_bytes()))
    }
}

/// Whoever signs: a [`SecretKey`], or in a simulation of thousands of nodes something that costs nothing.
pub trait Signer {
    /// The key under which the signatures verify.
    fn public(&self) -> PublicKey;

    /// Signs exactly these bytes; see [`PublicKey::verify_raw`] on when that is right.
    fn sign_raw(&self, message: &[u8]) -> Signature;
}

/// An ed25519 secret key; its memory is wiped when it is dropped, and `Debug` shows the public half only.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key with this seed (RFC 8032, §5.1.5): 32 bytes that must come from a cryptographic random source.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&Zeroizing::new(seed)))
    }

    /// The seed, for writing it to a secret file; wiped when dropped.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs exactly these bytes; see [`PublicKey::verify_raw`] on when that is right.
    #[must_use]
    pub fn sign_raw(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl Signer for SecretKey {
    fn public(&self) -> PublicKey {
        Self::public(self)
    }

    fn sign_raw(&self, message: &[u8]) -> Signature {
        Self::sign_raw(self, message)
    }
}

impl<S: Signer> Signer for Arc<S> {
    fn public(&self) -> PublicKey {
        S::public(self)
    }

    fn sign_raw(&self, message: &[u8]) -> Signature {
        S::sign_raw(self, message)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

bytes32! {
    /// The id of a key in TUF and DSSE: sha-256 of the canonical JSON of the key (TUF 1.0, §4.2), as securesystemslib
    /// computes it; text form: 64 lowercase hex characters.
    KeyId, Hex
}

impl KeyId {
    /// The id of this key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        let public = Hex::encode(key.as_bytes());
        // Canonical JSON sorts names and knows no spaces, and nothing in here needs an escape.
        let json = format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{public}"}},"scheme":"ed25519"}}"#);
        Self::from_bytes(*Sha256Digest::of(json.as_bytes()).as_bytes())
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
