//! Why something was done, in the words of whoever did it.

use crate::bounded::parsed_text;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Bytes that a reason has at most.
pub const REASON_MAX: usize = 96;

/// A line of text for people, of at most [`REASON_MAX`] bytes and without control characters; may be empty. Nothing is decided
/// by it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reason(String);

/// Why a text is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReasonError {
    /// Too long: say it shorter.
    #[error("reason of {found} bytes, {REASON_MAX} are the most")]
    TooLong {
        /// Its bytes.
        found: usize,
    },
    /// It would break out of the line in which it is shown.
    #[error("reason with a control character")]
    Control,
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        if text.len() > REASON_MAX {
            return Err(ReasonError::TooLong { found: text.len() });
        }
        if text.chars().any(char::is_control) { Err(ReasonError::Control) } else { Ok(Self(text.to_owned())) }
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed_text(deserializer)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.0.is_empty() { "no reason was given" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        let reason: Reason = "laptop was stolen in Orléans".parse().unwrap();
        assert_eq!(
            (reason.to_string().as_str(), Reason::default().to_string().as_str()),
            ("laptop was stolen in Orléans", "no reason was given")
        );
        let bytes = postcard::to_stdvec(&reason).unwrap();
        assert_eq!(postcard::from_bytes::<Reason>(&bytes), Ok(reason));
        assert_eq!("x".repeat(97).parse::<Reason>(), Err(ReasonError::TooLong { found: 97 }));
        for broken in ["a\nb", "\u{1b}[2J", "\u{85}"] {
            assert_eq!(broken.parse::<Reason>(), Err(ReasonError::Control));
            assert!(postcard::from_bytes::<Reason>(&postcard::to_stdvec(broken).unwrap()).is_err());
        }
    }
}
