//! Digests. Sha-256 names things (identities, payloads, OCI layers); BLAKE3 checks bulk bytes, because its tree can be
//! verified piece by piece.

use crate::text::{Hex, bytes32};
use sha2::{Digest as _, Sha256};

bytes32! {
    /// A sha-256 digest (FIPS 180-4); text form: 64 lowercase hex characters.
    Sha256Digest, Hex
}

bytes32! {
    /// A BLAKE3 digest of 256 bits in the default, unkeyed mode; text form: 64 lowercase hex characters.
    Blake3Digest, Hex
}

impl Sha256Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_bytes(Sha256::digest(bytes).into())
    }
}

impl Blake3Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_bytes(*blake3::hash(bytes).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_nothing_are_those_of_the_specifications() {
        let sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let blake = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Sha256Digest::of(b"").to_string(), sha);
        assert_eq!(Blake3Digest::of(b"").to_string(), blake);
        assert_eq!(sha.parse(), Ok(Sha256Digest::of(b"")));
    }

    #[test]
    fn postcard_holds_the_bare_bytes_and_json_the_text() {
        let digest = Sha256Digest::from_bytes([0xab; 32]);
        let packed = postcard::to_stdvec(&digest).unwrap();
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(packed, [0xab; 32]);
        assert_eq!(json, format!("\"{}\"", "ab".repeat(32)));
        assert_eq!(postcard::from_bytes(&packed), Ok(digest));
        assert_eq!(serde_json::from_str::<Sha256Digest>(&json).unwrap(), digest);
    }
}
