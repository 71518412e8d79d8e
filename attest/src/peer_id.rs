//! The libp2p name of a transport key, computed here so that pure crates need no libp2p.

use crate::key::PublicKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// An identity multihash (code 0, 36 bytes) of the protobuf form of an ed25519 key (field 1: type 1; field 2: 32 bytes),
/// as the libp2p peer-ids specification has it.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// Characters of the longest base58 text of 38 bytes; the check comes before decoding, which is quadratic.
const TEXT_MAX: usize = 52;

/// Why bytes or text do not name an ed25519 peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PeerIdError {
    /// The text is not base58 (Bitcoin alphabet) of a bounded length.
    #[error("text that is not base58")]
    NotBase58,
    /// The multihash is of another kind: a hashed RSA key, for example, from which no key can be read.
    #[error("multihash that does not hold an ed25519 key")]
    NotEd25519,
    /// The key inside is not an acceptable one.
    #[error("multihash of an unusable public key")]
    BadKey,
}

/// A libp2p peer id that holds an ed25519 transport key; text form: base58, beginning `12D3KooW`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(PublicKey);

impl PeerId {
    /// The peer with this transport key.
    #[must_use]
    pub const fn of(transport: &PublicKey) -> Self {
        Self(*transport)
    }

    /// Reads a multihash.
    ///
    /// # Errors
    /// [`PeerIdError`] unless it is the identity multihash of an ed25519 key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PeerIdError> {
        let key = bytes.strip_prefix(&PREFIX).ok_or(PeerIdError::NotEd25519)?;
        let key = key.try_into().map_err(|_length| PeerIdError::NotEd25519)?;
        PublicKey::from_bytes(key).map(Self).map_err(|_refused| PeerIdError::BadKey)
    }

    /// The multihash, as libp2p takes it.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        [PREFIX.as_slice(), self.0.as_bytes()].concat()
    }

    /// The transport key itself.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&bs58::encode(self.to_bytes()).into_string())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        if text.len() > TEXT_MAX {
            return Err(PeerIdError::NotBase58);
        }
        Self::from_bytes(&bs58::decode(text).into_vec().map_err(|_alphabet| PeerIdError::NotBase58)?)
    }
}

/// The base58 text for people, the bare key in postcard.
impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return crate::bounded::parsed_text(deserializer);
        }
        PublicKey::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ed25519 example of the libp2p peer-ids specification ("Test vectors"), public half.
    const SPECIFIED_KEY: &str = "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";

    #[test]
    fn a_peer_id_is_the_identity_multihash_of_the_specified_protobuf() {
        let protobuf = data_encoding::HEXLOWER.decode(SPECIFIED_KEY.as_bytes()).unwrap();
        let key = PublicKey::from_bytes(protobuf[4..].try_into().unwrap()).unwrap();
        let peer = PeerId::of(&key);
        assert_eq!(peer.to_bytes(), [&[0x00, 0x24], protobuf.as_slice()].concat());
        assert!(peer.to_string().starts_with("12D3KooW"));
        assert_eq!(peer.to_string().parse(), Ok(peer));
        assert_eq!(*peer.public_key(), key);
        assert_eq!(postcard::to_stdvec(&peer).unwrap(), key.as_bytes());
    }

    #[test]
    fn names_of_other_kinds_are_refused_by_kind() {
        // A sha-256 multihash, as RSA peers have.
        assert_eq!("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N".parse::<PeerId>(), Err(PeerIdError::NotEd25519));
        assert_eq!("0OIl".parse::<PeerId>(), Err(PeerIdError::NotBase58));
        assert_eq!("1".repeat(4096).parse::<PeerId>(), Err(PeerIdError::NotBase58));
        assert_eq!(PeerId::from_bytes(&[PREFIX.as_slice(), &[0; 32]].concat()), Err(PeerIdError::BadKey));
    }
}
