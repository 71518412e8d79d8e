//! A client's request on its way to a replica on another node.

use hedgerow_crdt::etag::{CausalToken, Etag, EtagError, TokenError};
use hedgerow_crdt::ops::SessionOp;
use hedgerow_protocol::session_id::{SessionId, SessionIdError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::sessions::{ReadRequest, WriteRequest};

/// Version byte of a call.
const CALL_VERSION: u8 = 1;
/// A write holds at most 64 KiB of values and paths; the rest is room for names and lengths.
pub(super) const CALL_BYTES_MAX: usize = 128 << 10;

/// What is asked of a replica. Identifiers travel as their texts, which are parsed again where they arrive.
#[derive(Debug, Serialize, Deserialize)]
pub enum SessionCall {
    /// See [`WriteRequest`].
    Write {
        /// The session.
        session: String,
        /// The operations.
        ops: Vec<SessionOp>,
        /// The state that the session must be in.
        if_match: Option<String>,
        /// Durable copies that are asked for.
        quorum: Option<u8>,
    },
    /// See [`ReadRequest`].
    Read {
        /// The session.
        session: String,
        /// What the answer must contain.
        min: Option<String>,
    },
}

/// Why bytes are no call. Nothing was done.
#[derive(Debug, Error)]
pub enum CallError {
    /// Longer than any call may be.
    #[error("call of {bytes} bytes, {CALL_BYTES_MAX} are the most")]
    TooLong {
        /// Bytes that there are.
        bytes: usize,
    },
    /// Written by a later release: upgrade this node.
    #[error("call of version {0}, which this release does not know")]
    UnsupportedVersion(u8),
    /// Cut short or not a call at all.
    #[error("malformed call")]
    Malformed,
    /// The session's name cannot be read.
    #[error("call for a session")]
    Session(#[from] SessionIdError),
    /// The tag cannot be read.
    #[error("call with a precondition")]
    Etag(#[from] EtagError),
    /// The token cannot be read.
    #[error("call with a causal token")]
    Token(#[from] TokenError),
}

/// A call whose parts were parsed.
#[derive(Debug)]
pub(super) enum Parsed {
    /// A write and its session.
    Write(SessionId, WriteRequest),
    /// A read and its session.
    Read(SessionId, ReadRequest),
}

impl SessionCall {
    /// The form on the wire.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![CALL_VERSION]).expect("a vector takes any number of bytes")
    }

    /// Reads the form on the wire.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CallError> {
        if bytes.len() > CALL_BYTES_MAX {
            return Err(CallError::TooLong { bytes: bytes.len() });
        }
        match bytes.split_first() {
            Some((&CALL_VERSION, body)) => match postcard::take_from_bytes(body) {
                Ok((call, [])) => Ok(call),
                Ok(_) | Err(_) => Err(CallError::Malformed),
            },
            Some((&version, _)) => Err(CallError::UnsupportedVersion(version)),
            None => Err(CallError::Malformed),
        }
    }

    /// Parses the names; `timeout` is what the caller leaves for the answer.
    pub(super) fn parse(self, timeout: std::time::Duration) -> Result<Parsed, CallError> {
        Ok(match self {
            Self::Write { session, ops, if_match, quorum } => {
                let if_match = if_match.map(|tag| tag.parse::<Etag>()).transpose()?;
                Parsed::Write(session.parse()?, WriteRequest { ops, if_match, quorum, timeout })
            }
            Self::Read { session, min } => {
                let min = min.map(|token| token.parse::<CausalToken>()).transpose()?;
                Parsed::Read(session.parse()?, ReadRequest { min, timeout })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hedgerow_crdt::ops::Scalar;

    use super::*;

    #[test]
    fn a_call_reads_back_and_anything_else_is_refused() {
        let call = SessionCall::Write {
            session: "1.x".to_owned(),
            ops: vec![SessionOp::Put { path: vec!["a".to_owned()], value: Scalar::Int(1) }],
            if_match: None,
            quorum: Some(2),
        };
        let bytes = call.to_bytes();
        assert_eq!(bytes, [1, 0, 3, b'1', b'.', b'x', 1, 0, 1, 1, b'a', 2, 2, 0, 1, 2]);
        assert!(matches!(SessionCall::from_bytes(&bytes), Ok(SessionCall::Write { quorum: Some(2), .. })));
        assert!(matches!(SessionCall::from_bytes(&bytes[..9]), Err(CallError::Malformed)));
        assert!(matches!(SessionCall::from_bytes(&[9]), Err(CallError::UnsupportedVersion(9))));
        assert!(matches!(SessionCall::from_bytes(&vec![1; CALL_BYTES_MAX + 1]), Err(CallError::TooLong { .. })));
        assert!(matches!(call.parse(Duration::ZERO), Err(CallError::Session(_))));
    }

    #[test]
    fn every_kind_of_call_and_operation_is_frozen() {
        let path = || vec!["a".to_owned()];
        let put = |value| SessionOp::Put { path: path(), value };
        let ops: [(SessionOp, &[u8]); 8] = [
            (put(Scalar::Null), &[0, 1, 1, b'a', 0]),
            (put(Scalar::Bool(true)), &[0, 1, 1, b'a', 1, 1]),
            (put(Scalar::Int(-3)), &[0, 1, 1, b'a', 2, 5]),
            (put(Scalar::Float(1.5)), &[0, 1, 1, b'a', 3, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]),
            (put(Scalar::Text("t".to_owned())), &[0, 1, 1, b'a', 4, 1, b't']),
            (put(Scalar::Bytes(vec![0xff])), &[0, 1, 1, b'a', 5, 1, 0xff]),
            (SessionOp::Delete { path: vec![] }, &[1, 0]),
            (SessionOp::Increment { path: path(), by: 300 }, &[2, 1, 1, b'a', 0xd8, 0x04]),
        ];
        for (op, bytes) in ops {
            let if_match = Some("e".to_owned());
            let call = SessionCall::Write { session: "s".to_owned(), ops: vec![op], if_match, quorum: None };
            assert_eq!(call.to_bytes(), [&[1, 0, 1, b's', 1], bytes, &[1, 1, b'e', 0]].concat());
            let read = SessionCall::from_bytes(&call.to_bytes()).unwrap();
            assert_eq!(read.to_bytes(), call.to_bytes());
        }
        let read = |min: Option<&str>| SessionCall::Read { session: "s".to_owned(), min: min.map(str::to_owned) };
        assert_eq!(read(None).to_bytes(), [1, 1, 1, b's', 0]);
        assert_eq!(read(Some("t")).to_bytes(), [1, 1, 1, b's', 1, 1, b't']);
        assert!(matches!(SessionCall::from_bytes(&[1, 1, 1, b's', 0]), Ok(SessionCall::Read { min: None, .. })));
    }
}
