//! What a node answered to a client, and why there may be no usable answer.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Where a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The unix socket in a data folder.
    Socket(PathBuf),
    /// A REST port.
    Port(SocketAddr),
}

/// A complete answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status of the response.
    pub status: u16,
    /// Headers whose values are visible ASCII, names in lower case, in the order of the response.
    pub headers: Vec<(String, String)>,
    /// At most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
}

/// Why a call has no usable answer. Unless a variant says otherwise the node may have acted on the request.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens: start it with `hedgerow run`. The request was not sent.
    #[error("reach a node at {door}")]
    NoNode {
        /// Where it was looked for.
        door: Door,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Missing permission, or a path above the 108 bytes of a unix socket's name. The request was not sent.
    #[error("open a connection to {door}")]
    Io {
        /// Where it was tried.
        door: Door,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The path or a header is no valid HTTP: both must be visible ASCII. The request was not sent.
    #[error("form the request")]
    Form(#[source] hyper::http::Error),
    /// The body of the request cannot be written as JSON. The request was not sent.
    #[error("write the request as JSON")]
    Encode(#[source] serde_json::Error),
    /// The conversation broke off, as when the node ends; a read may be tried again.
    #[error("hear the node at {door} out")]
    Http {
        /// The other end.
        door: Door,
        /// What broke.
        #[source]
        source: hyper::Error,
    },
    /// No complete answer in time; a read may be tried again.
    #[error("hear from the node at {door} within {patience:?}")]
    Late {
        /// The other end.
        door: Door,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The rest of the answer was not read; ask for less at once.
    #[error("hold an answer above {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    /// The node answered with a status outside 2xx.
    #[error("{operation}: {detail}")]
    Refused {
        /// What was asked, as a verb phrase.
        operation: &'static str,
        /// The status of the response.
        status: u16,
        /// What the node said, for people.
        detail: String,
        /// What to do next, if the node knows.
        remedy: Option<String>,
    },
    /// The body is another JSON than expected, as happens between versions.
    #[error("{operation}: the answer is in another form than this version reads")]
    BadAnswer {
        /// What was asked, as a verb phrase.
        operation: &'static str,
        /// Where it differs.
        #[source]
        source: serde_json::Error,
    },
}

impl Answer {
    /// The body where the status is a success, else the refusal.
    pub fn body_or_refusal(&self, operation: &'static str) -> Result<&Bytes, ClientError> {
        if (200..300).contains(&self.status) { Ok(&self.body) } else { Err(self.refusal(operation)) }
    }

    /// The refusal in the body of an answer that is no success.
    pub(super) fn refusal(&self, operation: &'static str) -> ClientError {
        let Problem { title, detail, remedy } = Problem::read(&self.body);
        let detail = match (title.as_str(), detail.as_str()) {
            ("", "") => format!("the node answered {} without a reason", self.status),
            ("", text) | (text, "") => text.to_owned(),
            (title, detail) => format!("{title}: {detail}"),
        };
        ClientError::Refused { operation, status: self.status, detail, remedy }
    }

    /// The body as `T` where the status is a success, else the refusal; an empty body reads as `null`.
    pub fn json_or_refusal<T: DeserializeOwned>(&self, operation: &'static str) -> Result<T, ClientError> {
        let body = self.body_or_refusal(operation)?;
        let body: &[u8] = if body.is_empty() { b"null" } else { body };
        serde_json::from_slice(body).map_err(|source| ClientError::BadAnswer { operation, source })
    }

    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Port(address) => write!(f, "{address}"),
        }
    }
}

/// RFC 9457 with our `remedy`, or the `error` of the Open Inference Protocol as its detail.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    #[serde(alias = "error")]
    detail: String,
    remedy: Option<String>,
}

impl Problem {
    /// Text that is no such JSON becomes the detail, cut.
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_not_json| Self {
            detail: String::from_utf8_lossy(body).trim().chars().take(DETAIL_CHARS_MAX).collect(),
            ..Self::default()
        })
    }
}

/// The longest answer that is read: the member list of 10,000 nodes is about a third of it.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

const DETAIL_CHARS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &'static str) -> String {
        let answer = Answer { status: 422, headers: vec![], body: Bytes::from_static(body.as_bytes()) };
        format!("{:?}", answer.json_or_refusal::<u8>("write the session"))
    }

    #[test]
    fn refusals_are_read_in_each_form_a_node_speaks() {
        let problem = refusal(r#"{"type":"x","title":"too deep","detail":"9 levels","remedy":"use at most 8"}"#);
        assert_eq!(
            problem,
            "Err(Refused { operation: \"write the session\", status: 422, detail: \"too deep: 9 levels\", \
             remedy: Some(\"use at most 8\") })"
        );
        let inference = refusal(r#"{"error":"no model `x`"}"#);
        assert!(inference.contains("detail: \"no model `x`\", remedy: None"), "{inference}");
        let text = refusal("  not JSON\n");
        assert!(text.contains("detail: \"not JSON\""), "{text}");
        let silent = refusal("");
        assert!(silent.contains("the node answered 422 without a reason"), "{silent}");
    }

    #[test]
    fn an_empty_success_reads_as_null() {
        let answer = Answer { status: 204, headers: vec![("etag".to_owned(), "\"a\"".to_owned())], body: Bytes::new() };
        assert_eq!(answer.json_or_refusal::<Option<u8>>("ask").expect("null"), None);
        assert_eq!((answer.header("etag"), answer.header("age")), (Some("\"a\""), None));
    }
}
