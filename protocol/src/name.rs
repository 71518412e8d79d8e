//! Names that people choose, checked where they are made, so that nothing downstream has to.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// Why a text is not a name of that kind; the remedy is another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Empty, or longer than names of this kind may be.
    #[error("name of {found} characters, 1 to {max} allowed")]
    Length {
        /// Bytes that the text has.
        found: usize,
        /// Bytes that such a name may have.
        max: usize,
    },
    /// A character that names of this kind do not have, or a first one that is no letter or digit.
    #[error("name with a character outside {allowed}, or that starts with a sign")]
    Alphabet {
        /// The characters that such a name may have.
        allowed: &'static str,
    },
}

macro_rules! names {
    ($($(#[$meta:meta])* $name:ident, $max:literal, $allowed:literal, $rule:expr;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Bytes that such a name may have.
            pub const MAX: usize = $max;

            /// The name with this text.
            ///
            /// # Errors
            #[doc = concat!("[`NameError`] unless it has 1 to ", stringify!($max), " characters of `", $allowed, "`, the first a letter or digit.")]
            pub fn new(text: &str) -> Result<Self, NameError> {
                if text.is_empty() || text.len() > $max {
                    return Err(NameError::Length { found: text.len(), max: $max });
                }
                let rule: fn(u8) -> bool = $rule;
                let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
                if !starts_well || !text.bytes().all(rule) {
                    return Err(NameError::Alphabet { allowed: $allowed });
                }
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                hedgerow_attest::bounded::parsed_text(deserializer)
            }
        }
    )+};
}

names! {
    /// A data class: the rule by which sessions are kept (`personal`, `cart`, ...).
    ClassName, 32, "a-z 0-9 -", |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    /// Whose sessions: the application that names them.
    Namespace, 32, "a-z 0-9 -", |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    /// A model, as it stands in the path of an inference request.
    ModelName, 64, "a-z 0-9 - _ .", |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    /// One version of a model. Two versions are told apart, never ordered by their text.
    ModelVersion, 32, "A-Z a-z 0-9 - _ . +", |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+');
}

/// One version of one model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelRef {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}", self.model, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_to_its_alphabet_and_its_length() {
        assert_eq!(ClassName::new("cart-2").unwrap().as_str(), "cart-2");
        assert_eq!(ClassName::new(""), Err(NameError::Length { found: 0, max: 32 }));
        assert_eq!(ClassName::new(&"a".repeat(33)), Err(NameError::Length { found: 33, max: 32 }));
        for odd in ["Cart", "a.b", "a/b", "-a", "a\n", "é"] {
            assert_eq!(ClassName::new(odd), Err(NameError::Alphabet { allowed: "a-z 0-9 -" }), "{odd:?}");
        }
        assert_eq!(ModelName::new("resnet_50.v2").unwrap().to_string(), "resnet_50.v2");
        assert_eq!(ModelVersion::new("1.0.0-RC1+x").unwrap().to_string(), "1.0.0-RC1+x");
        assert!(ModelName::new("../x").is_err());
    }

    #[test]
    fn a_name_is_checked_when_it_is_read() {
        assert_eq!(postcard::from_bytes::<Namespace>(b"\x04shop"), Ok(Namespace::new("shop").unwrap()));
        assert!(postcard::from_bytes::<Namespace>(b"\x04SHOP").is_err());
    }
}
