//! What every signed payload has in common: its encoding, its bound, and the bytes that are signed.

use crate::signed::{Domain, EnvelopeError};
use std::sync::Arc;

/// Begins every signed message of a Hedgerow mesh, so that no other protocol's message can be taken for one.
const MAGIC: &[u8] = b"hedgerow-signed-1\0";

/// Postcard of the value.
///
/// # Panics
/// When the value is longer than its own bound: its type lets values be built that nobody would read back.
pub(crate) fn encode<T: Domain>(value: &T) -> Arc<[u8]> {
    let payload = postcard::to_stdvec(value).expect("postcard writes every type that derives Serialize into memory");
    let (length, max) = (payload.len(), T::PAYLOAD_MAX);
    assert!(length <= max, "a payload of {} has {length} bytes, its bound is {max}", T::DOMAIN);
    payload.into()
}

/// The value of a payload, which must be its one encoding: with padded integers allowed, one value would have many
/// digests, and payload digests are names.
pub(crate) fn decode<T: Domain>(payload: &[u8]) -> Result<T, EnvelopeError> {
    within(payload.len(), T::PAYLOAD_MAX)?;
    let value: T = whole(payload)?;
    if postcard::to_stdvec(&value).is_ok_and(|again| again == payload) {
        Ok(value)
    } else {
        Err(EnvelopeError::NotCanonical)
    }
}

/// A postcard value that takes up all of the bytes.
pub(crate) fn whole<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, EnvelopeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_value, rest)) => Err(EnvelopeError::TrailingBytes { count: rest.len() }),
        Err(source) => Err(EnvelopeError::Malformed { source }),
    }
}

pub(crate) fn within(found: usize, max: usize) -> Result<(), EnvelopeError> {
    if found <= max { Ok(()) } else { Err(EnvelopeError::TooLong { found, max }) }
}

/// The bytes that a key signs: magic, domain, a zero byte (no domain contains one), payload.
pub(crate) fn message<T: Domain>(payload: &[u8]) -> Vec<u8> {
    [MAGIC, T::DOMAIN.as_bytes(), b"\0", payload].concat()
}

/// Serde as a byte string: a length and the bytes, written in one piece.
pub(crate) fn serialize_bytes<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Count(u32);

    impl Domain for Count {
        const DOMAIN: &'static str = "hedgerow/test-count/1";
        const PAYLOAD_MAX: usize = 5;
    }

    #[test]
    fn a_payload_is_the_one_encoding_of_its_value() {
        assert_eq!(decode(&encode(&Count(300))), Ok(Count(300)));
        assert_eq!(decode::<Count>(&[0x81, 0x00]), Err(EnvelopeError::NotCanonical));
        assert_eq!(decode::<Count>(&[0x01, 0x00]), Err(EnvelopeError::TrailingBytes { count: 1 }));
        assert_eq!(decode::<Count>(&[0; 6]), Err(EnvelopeError::TooLong { found: 6, max: 5 }));
        let source = postcard::Error::DeserializeUnexpectedEnd;
        assert_eq!(decode::<Count>(&[]), Err(EnvelopeError::Malformed { source }));
    }

    #[test]
    fn the_signed_message_names_its_domain() {
        assert_eq!(message::<Count>(b"pay"), b"hedgerow-signed-1\0hedgerow/test-count/1\0pay");
    }
}
