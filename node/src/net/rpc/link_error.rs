//! Why there is no link to a member.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::net::dial::DialError;

/// Why there is no link to a member.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No address of the member is known; its record has not arrived yet.
    #[error("no known address of the node")]
    Unknown,
    /// The member is this node.
    #[error("the node is this one")]
    Myself,
    /// Its addresses were tried a moment ago; retry after the wait.
    #[error("the next dial is in {} ms, the last failed", .retry_in.as_millis())]
    BackingOff {
        /// Until the next dial.
        retry_in: Duration,
        /// What was tried.
        #[source]
        failed: DialsFailed,
    },
    /// The link was not there in time; the dial may go on.
    #[error("no link within {} ms", .after.as_millis())]
    Slow {
        /// The time allowed.
        after: Duration,
    },
    /// Every address was tried in vain.
    #[error("dial the node")]
    Dial(#[source] DialsFailed),
}

/// The addresses of one round of dials, and why each came to nothing.
#[derive(Clone, Debug, Default)]
pub struct DialsFailed(pub Vec<(SocketAddr, Arc<DialError>)>);

impl fmt::Display for DialsFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (address, error)) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        if self.0.is_empty() { f.write_str("no address was tried to the end") } else { Ok(()) }
    }
}

impl std::error::Error for DialsFailed {}
