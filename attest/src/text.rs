//! The text forms of fixed-size byte strings: lowercase hex for digests, lowercase unpadded base32 for identities.
//!
//! Both forms are strict (one text per value: no upper case, no padding, no stray bits), so that comparing texts is
//! comparing values. Serde writes the text for people and the bare bytes for postcard.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use thiserror::Error;

/// Why a text is not an identifier, digest or key; ask for it again where it was copied from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseTextError {
    /// The text has the wrong number of characters, usually because it was cut.
    #[error("text of {found} characters, {expected} expected")]
    Length {
        /// Characters that a whole text has.
        expected: usize,
        /// Characters (bytes) that this one has.
        found: usize,
    },
    /// A character lies outside the alphabet, or the last one carries bits that no value has.
    #[error("text with a character that does not belong")]
    Alphabet,
    /// The bytes read well but are not an acceptable ed25519 public key.
    #[error("text of something that is not a usable public key")]
    NotAKey,
}

/// One strict text encoding.
pub(crate) trait TextForm {
    fn encode(bytes: &[u8]) -> String;
    fn decode<const N: usize>(text: &str) -> Result<[u8; N], ParseTextError>;
}

/// Lowercase hexadecimal.
pub(crate) struct Hex;

impl TextForm for Hex {
    fn encode(bytes: &[u8]) -> String {
        HEXLOWER.encode(bytes)
    }

    fn decode<const N: usize>(text: &str) -> Result<[u8; N], ParseTextError> {
        exact_length(text, HEXLOWER.encode_len(N))?;
        fixed(HEXLOWER.decode(text.as_bytes()).ok())
    }
}

/// Lowercase RFC 4648 base32 without padding: safe in file names, host names and selections by double click.
pub(crate) struct Base32;

impl TextForm for Base32 {
    fn encode(bytes: &[u8]) -> String {
        BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
    }

    fn decode<const N: usize>(text: &str) -> Result<[u8; N], ParseTextError> {
        exact_length(text, BASE32_NOPAD.encode_len(N))?;
        fixed(base32_bytes(text))
    }
}

/// Bytes of a lowercase base32 text of any length; `None` where it is not the one text of those bytes.
pub(crate) fn base32_bytes(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()
}

fn exact_length(text: &str, expected: usize) -> Result<(), ParseTextError> {
    if text.len() == expected { Ok(()) } else { Err(ParseTextError::Length { expected, found: text.len() }) }
}

fn fixed<const N: usize>(decoded: Option<Vec<u8>>) -> Result<[u8; N], ParseTextError> {
    decoded.and_then(|bytes| bytes.try_into().ok()).ok_or(ParseTextError::Alphabet)
}

/// Declares a `Copy` newtype of `[u8; 32]` with `Display`, `FromStr`, `Debug` and serde in the given text form.
macro_rules! bytes32 {
    ($(#[$meta:meta])* $name:ident, $form:ty) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The value with these bytes; any 32 bytes are one.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes in the order in which they are hashed, signed and sent.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first eight bytes as a number: in the same order as the values, and enough to tell digests apart.
            #[must_use]
            pub const fn lead(&self) -> u64 {
                let [a, b, c, d, e, f, g, h, ..] = self.0;
                u64::from_be_bytes([a, b, c, d, e, f, g, h])
            }
        }

        /// In the order of the bytes.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.lead().cmp(&other.lead()).then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&<$form as $crate::text::TextForm>::encode(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::ParseTextError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <$form as $crate::text::TextForm>::decode(text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serde::Serialize::serialize(&self.0, serializer)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    $crate::bounded::parsed_text(deserializer)
                } else {
                    <[u8; 32] as serde::Deserialize>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}
pub(crate) use bytes32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_text() {
        let bytes = [0xfe; 32];
        let hex = Hex::encode(&bytes);
        let base32 = Base32::encode(&bytes);
        assert_eq!(hex, "fe".repeat(32));
        assert_eq!(base32, "737p57x6737p57x6737p57x6737p57x6737p57x6737p57x6737a");
        assert_eq!(Hex::decode(&hex), Ok(bytes));
        assert_eq!(Base32::decode(&base32), Ok(bytes));

        assert_eq!(Hex::decode::<32>(&hex.to_uppercase()), Err(ParseTextError::Alphabet));
        assert_eq!(Base32::decode::<32>(&base32.to_uppercase()), Err(ParseTextError::Alphabet));
        let stray_bits =
            base32.replace("737p57x6737p57x6737p57x6737p57x6737p57x6737p57x6737a", &format!("{}7", &base32[..51]));
        assert_eq!(Base32::decode::<32>(&stray_bits), Err(ParseTextError::Alphabet));
        assert_eq!(Base32::decode::<32>("abc"), Err(ParseTextError::Length { expected: 52, found: 3 }));
    }
}
