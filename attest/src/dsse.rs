//! DSSE v1 envelopes (secure-systems-lab/dsse, `envelope.md` and `protocol.md`): signatures over a typed payload that
//! tools outside of the mesh can check.
//!
//! Output is canonical: standard base64, one signature per key, key ids as securesystemslib computes them. Input is read
//! as the specification asks, with either base64 alphabet. An envelope is named after its payload, never after its own
//! bytes, which anyone can write in many ways.

use crate::key::{KeyId, SecretKey, Signature};
use crate::keyset::KeySet;
use data_encoding::{BASE64, BASE64URL};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Bytes of an envelope's JSON at most.
pub const ENVELOPE_MAX: usize = 512 * 1024;

/// Signatures of an envelope at most; each costs a reader a verification.
pub const SIGNATURES_MAX: usize = 16;

/// Why bytes are no envelope, or nobody vouches for its payload.
#[derive(Debug, Error)]
pub enum DsseError {
    /// Longer than [`ENVELOPE_MAX`].
    #[error("envelope of {0} bytes where 524288 are the most")]
    TooLong(usize),
    /// Not JSON, or not of an envelope's shape.
    #[error("malformed envelope")]
    Malformed(#[source] serde_json::Error),
    /// The payload or a signature is not base64.
    #[error("envelope with bad base64")]
    Base64(#[source] data_encoding::DecodeError),
    /// More than [`SIGNATURES_MAX`] signatures.
    #[error("envelope with {0} signatures where 16 are the most")]
    TooManySignatures(usize),
    /// Too few keys of the set signed: the bytes were changed, or signed by others.
    #[error("{valid} valid signatures of trusted keys, {threshold} needed")]
    BelowThreshold {
        /// Distinct trusted keys whose signature holds.
        valid: usize,
        /// How many have to sign.
        threshold: usize,
    },
}

/// A typed payload and its signatures, which nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<KeyedSignature>,
}

/// Key ids and signatures of other tools may have any form; they are looked at when verifying.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyedSignature {
    keyid: String,
    sig: Vec<u8>,
}

/// A payload that enough trusted keys signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched<'a> {
    payload_type: &'a str,
    payload: &'a [u8],
    signers: BTreeSet<KeyId>,
}

impl<'a> Vouched<'a> {
    /// What the payload is; covered by the signatures.
    #[must_use]
    pub const fn payload_type(&self) -> &'a str {
        self.payload_type
    }

    /// The signed bytes.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The trusted keys whose signature holds.
    #[must_use]
    pub const fn signers(&self) -> &BTreeSet<KeyId> {
        &self.signers
    }
}

/// The bytes that are signed: DSSE's pre-authentication encoding.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs a payload with each of these keys.
    #[must_use]
    pub fn sign(payload_type: &str, payload: Vec<u8>, keys: &[&SecretKey]) -> Self {
        let message = pae(payload_type, &payload);
        let signatures: BTreeMap<_, _> =
            keys.iter().map(|key| (KeyId::of(&key.public()), key.sign_raw(&message))).collect();
        let signatures = signatures
            .into_iter()
            .map(|(keyid, sig)| KeyedSignature { keyid: keyid.to_string(), sig: sig.as_bytes().to_vec() })
            .collect();
        Self { payload_type: payload_type.into(), payload, signatures }
    }

    /// The payload, if enough keys of the set signed it. Signatures of other keys count for nothing and do no harm.
    ///
    /// # Errors
    /// [`DsseError::BelowThreshold`].
    pub fn verify(&self, trusted: &KeySet) -> Result<Vouched<'_>, DsseError> {
        let message = pae(&self.payload_type, &self.payload);
        let signer = |signature: &KeyedSignature| {
            let keyid: KeyId = signature.keyid.parse().ok()?;
            let sig = Signature::from_bytes(signature.sig.as_slice().try_into().ok()?);
            trusted.key(&keyid)?.verify_raw(&message, &sig).ok()?;
            Some(keyid)
        };
        let signers: BTreeSet<_> = self.signatures.iter().filter_map(signer).collect();
        let (valid, threshold) = (signers.len(), trusted.threshold());
        if valid < threshold {
            return Err(DsseError::BelowThreshold { valid, threshold });
        }
        Ok(Vouched { payload_type: &self.payload_type, payload: &self.payload, signers })
    }

    /// What the payload claims to be.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The JSON of the envelope.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let signatures = self
            .signatures
            .iter()
            .map(|signature| SignatureJson { keyid: signature.keyid.clone(), sig: BASE64.encode(&signature.sig) })
            .collect();
        let payload = BASE64.encode(&self.payload);
        let json = EnvelopeJson { payload, payload_type: self.payload_type.clone(), signatures };
        serde_json::to_vec(&json).expect("an envelope has string names only")
    }

    /// Reads an envelope and checks nothing but its shape.
    ///
    /// # Errors
    /// [`DsseError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, DsseError> {
        if bytes.len() > ENVELOPE_MAX {
            return Err(DsseError::TooLong(bytes.len()));
        }
        let json: EnvelopeJson = serde_json::from_slice(bytes).map_err(DsseError::Malformed)?;
        if json.signatures.len() > SIGNATURES_MAX {
            return Err(DsseError::TooManySignatures(json.signatures.len()));
        }
        let signatures = json
            .signatures
            .into_iter()
            .map(|signature| Ok(KeyedSignature { keyid: signature.keyid, sig: base64(&signature.sig)? }));
        let signatures = signatures.collect::<Result<_, DsseError>>()?;
        Ok(Self { payload_type: json.payload_type, payload: base64(&json.payload)?, signatures })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeJson {
    payload: String,
    payload_type: String,
    signatures: Vec<SignatureJson>,
}

#[derive(Serialize, Deserialize)]
struct SignatureJson {
    /// DSSE lets it be absent; such a signature is kept and counts for nothing.
    #[serde(default)]
    keyid: String,
    sig: String,
}

fn base64(text: &str) -> Result<Vec<u8>, DsseError> {
    let alphabet = if text.contains(['-', '_']) { BASE64URL } else { BASE64 };
    alphabet.decode(text.as_bytes()).map_err(DsseError::Base64)
}

#[cfg(test)]
#[path = "dsse_tests.rs"]
mod tests;
