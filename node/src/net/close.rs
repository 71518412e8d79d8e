//! Why an established connection is closed, as its application error code.

use quinn::{Connection, ConnectionError, VarInt};

/// The code and reason sent with a close; frozen, since peers of other versions read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// What the connection was for is done.
    Done,
    /// The node stops.
    Shutdown,
    /// Another connection between the same two nodes is kept.
    Duplicate,
    /// The peer broke the lane's protocol.
    Protocol,
    /// The peer is no longer admitted: revoked, or its membership ended.
    Trust,
    /// Too many joins from the peer's address.
    RateLimited,
    /// No room for another connection.
    Overloaded,
    /// The node no longer wants the link.
    Hangup,
    /// The peer acknowledges nothing that the node sends.
    Unacknowledged,
    /// The node does not relay.
    NotARelay,
}

impl Close {
    const ALL: [Self; 10] = [
        Self::Done,
        Self::Shutdown,
        Self::Duplicate,
        Self::Protocol,
        Self::Trust,
        Self::RateLimited,
        Self::Overloaded,
        Self::Hangup,
        Self::Unacknowledged,
        Self::NotARelay,
    ];

    pub(super) const fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Done => 0,
            Self::Shutdown => 1,
            Self::Duplicate => 2,
            Self::Protocol => 3,
            Self::Trust => 4,
            Self::RateLimited => 5,
            Self::Overloaded => 6,
            Self::Hangup => 7,
            Self::Unacknowledged => 8,
            Self::NotARelay => 9,
        })
    }

    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Shutdown => "shutting down",
            Self::Duplicate => "duplicate connection",
            Self::Protocol => "protocol error",
            Self::Trust => "no longer a member",
            Self::RateLimited => "too many joins",
            Self::Overloaded => "overloaded",
            Self::Hangup => "link not wanted",
            Self::Unacknowledged => "nothing acknowledged",
            Self::NotARelay => "not a relay",
        }
    }

    pub(super) fn from_code(code: VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|close| close.code() == code)
    }

    /// Why the peer closed a connection, if it was by one of these.
    pub(super) fn of(ended: &ConnectionError) -> Option<Self> {
        match ended {
            ConnectionError::ApplicationClosed(close) => Self::from_code(close.error_code),
            _ => None,
        }
    }

    /// Why the peer closed a connection, if it did by one of these.
    pub(super) fn by_peer(connection: &Connection) -> Option<Self> {
        Self::of(&connection.close_reason()?)
    }

    pub(super) fn close(self, connection: &Connection) {
        connection.close(self.code(), self.reason().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_frozen_and_parse_back() {
        let codes = Close::ALL.map(|close| close.code().into_inner());
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        for close in Close::ALL {
            assert_eq!(Close::from_code(close.code()), Some(close));
        }
    }
}
