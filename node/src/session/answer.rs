//! What a replica answered, in a form that travels to the node that the client talks to.

use hedgerow_crdt::engine::Body;
use hedgerow_crdt::replica::{Found, ReadResult, Refusal, WriteResult, Written};
use serde::{Deserialize, Serialize};

/// Version byte of an answer.
const ANSWER_VERSION: u8 = 1;

/// How a request to a session went. Tags and tokens are texts; bodies are JSON, which postcard carries as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SessionAnswer {
    /// A write is durable on `acked` nodes.
    Written {
        /// The state that the write made.
        etag: String,
        /// To be shown by the client's next request.
        token: String,
        /// Nodes that hold it durably.
        acked: u8,
        /// How many were asked for; more than `acked` where the deadline passed first.
        wanted: u8,
    },
    /// The session was in another state than the precondition said; nothing was written.
    PreconditionFailed {
        /// The present state.
        etag: String,
        /// Shown with it.
        token: String,
        /// The present body as JSON.
        body: String,
    },
    /// The session.
    Found {
        /// Its state.
        etag: String,
        /// To be shown by the client's next request.
        token: String,
        /// Its body with its conflicts as JSON.
        body: String,
        /// Whether acknowledged writes may be missing.
        stale: bool,
    },
    /// Nobody has written to the session, as far as the replica knows.
    NotFound {
        /// Whether acknowledged writes may be missing.
        stale: bool,
    },
    /// The replica lacks what the token asks for.
    Behind {
        /// Changes that are missing.
        missing: u64,
    },
    /// The replica did not do it.
    Refused {
        /// What kind of refusal it is.
        why: Refused,
        /// The reason in words.
        detail: String,
    },
}

/// Kinds of refusals, by what the asker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// The node holds no replica of the session: ask one that does.
    Elsewhere,
    /// The request itself cannot be done; it will be refused again.
    Request,
    /// Not now: later, or on another replica.
    Later,
    /// The replica lost its storage; a write may or may not have been made.
    Broken,
}

impl SessionAnswer {
    /// The form on the wire.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![ANSWER_VERSION]).expect("a vector takes any number of bytes")
    }

    /// Reads the form on the wire; `None` where it is not one that this release knows.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&version, body) = bytes.split_first()?;
        match postcard::take_from_bytes(body) {
            Ok((answer, [])) if version == ANSWER_VERSION => Some(answer),
            Ok(_) | Err(_) => None,
        }
    }

    /// Whether another replica might answer where this one did not, with nothing done here.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Behind { .. } | Self::Refused { why: Refused::Elsewhere | Refused::Later, .. })
    }
}

impl From<WriteResult> for SessionAnswer {
    fn from(result: WriteResult) -> Self {
        match result {
            WriteResult::Done(written) | WriteResult::Pending(written) => {
                let Written { etag, token, acked, wanted } = written;
                Self::Written { etag: etag.to_string(), token: token.to_string(), acked, wanted }
            }
            WriteResult::PreconditionFailed { etag, token, body } => {
                Self::PreconditionFailed { etag: etag.to_string(), token: token.to_string(), body: json(&body) }
            }
            WriteResult::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<ReadResult> for SessionAnswer {
    fn from(result: ReadResult) -> Self {
        match result {
            ReadResult::Found(Found { body, etag, token, stale }) => {
                Self::Found { etag: etag.to_string(), token: token.to_string(), body: json(&body), stale }
            }
            ReadResult::NotFound { stale } => Self::NotFound { stale },
            ReadResult::Behind { missing } => Self::Behind { missing: u64::try_from(missing).unwrap_or(u64::MAX) },
            ReadResult::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<Refusal> for SessionAnswer {
    fn from(refusal: Refusal) -> Self {
        let why = match &refusal {
            Refusal::NotReplica { .. } => Refused::Elsewhere,
            Refusal::Starting | Refusal::Busy { .. } | Refusal::DeadlinePassed => Refused::Later,
            Refusal::StorageFailed => Refused::Broken,
            Refusal::OtherGroup
            | Refusal::QuorumZero
            | Refusal::Ops(_)
            | Refusal::Edit(_)
            | Refusal::TooManySessions { .. }
            | Refusal::LogFull { .. }
            | Refusal::OtherSession => Refused::Request,
        };
        let mut detail = refusal.to_string();
        let mut cause = std::error::Error::source(&refusal);
        while let Some(error) = cause {
            detail = format!("{detail}: {error}");
            cause = error.source();
        }
        Self::Refused { why, detail }
    }
}

fn json(body: &Body) -> String {
    serde_json::to_string(body).expect("a body is JSON to begin with")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_back_and_other_versions_do_not() {
        let answer = SessionAnswer::Written { etag: "e".to_owned(), token: "t".to_owned(), acked: 1, wanted: 2 };
        let mut bytes = answer.to_bytes();
        assert_eq!(bytes, [1, 0, 1, b'e', 1, b't', 1, 2]);
        assert_eq!(SessionAnswer::from_bytes(&bytes), Some(answer));
        bytes[0] = 2;
        assert_eq!(SessionAnswer::from_bytes(&bytes), None);
    }

    #[test]
    fn every_kind_of_answer_is_frozen() {
        let text = str::to_owned;
        let (etag, token, body) = (text("e"), text("t"), text("{}"));
        let refused = |why| SessionAnswer::Refused { why, detail: text("no") };
        let frozen: [(SessionAnswer, &[u8]); 9] = [
            (
                SessionAnswer::Written { etag: etag.clone(), token: token.clone(), acked: 2, wanted: 3 },
                &[0, 1, b'e', 1, b't', 2, 3],
            ),
            (
                SessionAnswer::PreconditionFailed { etag: etag.clone(), token: token.clone(), body: body.clone() },
                &[1, 1, b'e', 1, b't', 2, b'{', b'}'],
            ),
            (SessionAnswer::Found { etag, token, body, stale: true }, &[2, 1, b'e', 1, b't', 2, b'{', b'}', 1]),
            (SessionAnswer::NotFound { stale: false }, &[3, 0]),
            (SessionAnswer::Behind { missing: 300 }, &[4, 0xac, 0x02]),
            (refused(Refused::Elsewhere), &[5, 0, 2, b'n', b'o']),
            (refused(Refused::Request), &[5, 1, 2, b'n', b'o']),
            (refused(Refused::Later), &[5, 2, 2, b'n', b'o']),
            (refused(Refused::Broken), &[5, 3, 2, b'n', b'o']),
        ];
        for (answer, bytes) in frozen {
            assert_eq!(answer.to_bytes(), [&[1], bytes].concat());
            assert_eq!(SessionAnswer::from_bytes(&answer.to_bytes()), Some(answer));
        }
        assert_eq!(json(&Body::default()), r#"{"value":{},"conflicts":[],"conflicts_omitted":0}"#);
    }

    #[test]
    fn a_refusal_carries_its_causes() {
        let refusal = Refusal::Ops(hedgerow_crdt::ops::OpRefusal::NoOps);
        let SessionAnswer::Refused { why, detail } = refusal.into() else { panic!("it is a refusal") };
        assert_eq!(
            (why, detail.as_str()),
            (Refused::Request, "write these operations: write nothing: give at least one operation")
        );
    }
}
