//! What a client carries from one request to the next: the entity tag of what it saw, and the causal token.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::heads::{DocEpoch, Heads, TooManyHeads};

/// Names one state of one session: equal heads give equal tags on every replica. Compared by `If-Match`.
///
/// The text is 22 letters of base64url without padding; the quotes that HTTP (RFC 9110 §8.8.3) puts around it are the caller's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Etag([u8; 16]);

/// The text is no tag of a session: 22 letters of base64url were expected. Read the session again and use the tag it answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read an entity tag that this mesh did not make: read the session again")]
pub struct EtagError;

impl Etag {
    /// The first 16 bytes of blake3 over the epoch (4 bytes, little endian) and the sorted heads.
    #[must_use]
    pub fn of(epoch: DocEpoch, heads: &Heads) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("hedgerow session etag 1");
        hasher.update(&epoch.0.to_le_bytes());
        for head in heads.iter() {
            hasher.update(&head.0);
        }
        let mut tag = [0; 16];
        hasher.finalize_xof().fill(&mut tag);
        Self(tag)
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Etag {
    type Err = EtagError;

    fn from_str(text: &str) -> Result<Self, EtagError> {
        let mut tag = [0; 16];
        if BASE64URL_NOPAD.decode_len(text.len()) != Ok(tag.len()) {
            return Err(EtagError);
        }
        match BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut tag) {
            Ok(_) => Ok(Self(tag)),
            Err(_) => Err(EtagError),
        }
    }
}

/// What a client has seen of one session. A replica that is shown it answers a read only with a state that contains all of it, so that a client
/// reads its own writes and never goes back, on whichever node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CausalToken {
    /// Which session, as the first 8 bytes of the blake3 of its id's text.
    pub session: SessionMark,
    /// The epoch that the heads belong to.
    pub epoch: DocEpoch,
    /// What must be contained.
    pub heads: Heads,
}

/// A short name of a session inside a token, by which a token shown for another session is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionMark(pub [u8; 8]);

impl SessionMark {
    /// The mark of the session whose id reads `id`.
    #[must_use]
    pub fn of(id: &str) -> Self {
        let mut mark = [0; 8];
        blake3::Hasher::new_derive_key("hedgerow session mark 1").update(id.as_bytes()).finalize_xof().fill(&mut mark);
        Self(mark)
    }
}

/// Why a text is no causal token. Leave the token out to read whatever the replica has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token; at most 1,536 letters are.
    #[error("read a causal token of {length} letters, at most {TOKEN_TEXT_MAX} are allowed")]
    TooLong {
        /// Letters given.
        length: usize,
    },
    /// Not base64url, or cut short.
    #[error("read a malformed causal token")]
    Malformed,
    /// Made by a later release; upgrade this node or ask another.
    #[error("read a causal token of version {version}, this node knows version 1")]
    UnsupportedVersion {
        /// The version found.
        version: u8,
    },
    /// More heads than a document may have.
    #[error("read a causal token")]
    Heads(#[from] TooManyHeads),
}

#[derive(Serialize, Deserialize)]
struct TokenV1 {
    session: SessionMark,
    epoch: DocEpoch,
    heads: Heads,
}

impl CausalToken {
    fn to_bytes(&self) -> Vec<u8> {
        let body = TokenV1 { session: self.session, epoch: self.epoch, heads: self.heads.clone() };
        postcard::to_extend(&body, vec![TOKEN_VERSION]).expect("a vector takes any number of bytes")
    }
}

impl fmt::Display for CausalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.to_bytes()))
    }
}

impl FromStr for CausalToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_TEXT_MAX {
            return Err(TokenError::TooLong { length: text.len() });
        }
        let Ok(bytes) = BASE64URL_NOPAD.decode(text.as_bytes()) else {
            return Err(TokenError::Malformed);
        };
        match bytes.split_first() {
            Some((&TOKEN_VERSION, body)) => match postcard::take_from_bytes::<TokenV1>(body) {
                Ok((TokenV1 { session, epoch, heads }, [])) => Ok(Self { session, epoch, heads }),
                Ok(_) | Err(_) => Err(TokenError::Malformed),
            },
            Some((&version, _)) => Err(TokenError::UnsupportedVersion { version }),
            None => Err(TokenError::Malformed),
        }
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Etag, CausalToken);

const TOKEN_VERSION: u8 = 1;

/// Letters of the longest token: version, mark, epoch (5), count and 32 heads of 32 bytes are 1,039 bytes.
const TOKEN_TEXT_MAX: usize = 1_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{heads::ChangeHash, limits::HEADS_MAX};
    use proptest::prelude::*;

    fn heads(bytes: &[u8]) -> Heads {
        Heads::new(bytes.iter().map(|byte| ChangeHash([*byte; 32])).collect()).unwrap()
    }

    #[test]
    fn the_tag_is_frozen() {
        assert_eq!(Etag::of(DocEpoch(0), &heads(&[1, 2])).to_string(), "3zIJuAJVaYTnAcJKWtwndA");
        assert_ne!(Etag::of(DocEpoch(1), &heads(&[1, 2])), Etag::of(DocEpoch(0), &heads(&[1, 2])));
        assert_ne!(Etag::of(DocEpoch(0), &heads(&[1])), Etag::of(DocEpoch(0), &heads(&[1, 2])));
    }

    #[test]
    fn the_token_is_frozen() {
        let token = CausalToken { session: SessionMark::of("1.a.b.c.d"), epoch: DocEpoch(0), heads: heads(&[7]) };
        assert_eq!(token.to_string(), "ATsXw59BwFiyAAEHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw");
    }

    #[test]
    fn the_longest_token_fits() {
        let bytes: Vec<u8> = (0..u8::try_from(HEADS_MAX).unwrap()).collect();
        let token = CausalToken { session: SessionMark([0; 8]), epoch: DocEpoch(u32::MAX), heads: heads(&bytes) };
        assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn foreign_texts_are_told_apart() {
        assert_eq!("".parse::<CausalToken>(), Err(TokenError::Malformed));
        assert_eq!("Ag".parse::<CausalToken>(), Err(TokenError::UnsupportedVersion { version: 2 }));
        assert_eq!("AQ".parse::<CausalToken>(), Err(TokenError::Malformed));
        assert_eq!("A".repeat(2000).parse::<CausalToken>(), Err(TokenError::TooLong { length: 2000 }));
        assert_eq!("abc".parse::<Etag>(), Err(EtagError));
    }

    proptest! {
        #[test]
        fn texts_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..8), epoch: u32, mark: [u8; 8]) {
            let heads = heads(&bytes);
            let etag = Etag::of(DocEpoch(epoch), &heads);
            prop_assert_eq!(etag.to_string().parse(), Ok(etag));
            let token = CausalToken { session: SessionMark(mark), epoch: DocEpoch(epoch), heads };
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }

        #[test]
        fn no_text_panics(text in "[A-Za-z0-9_-]{0,80}") {
            if let Ok(token) = text.parse::<CausalToken>() {
                prop_assert_eq!(token.to_string(), text);
            }
        }
    }
}
