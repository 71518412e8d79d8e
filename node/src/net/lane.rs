//! The lanes: which connection two nodes speak on, and how one message travels within it.

/// One of the connections that two nodes may have, told apart by the one ALPN its dialer offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkLane {
    /// Enrolment with a ticket; the only lane open to a caller without a membership.
    Join,
    /// The libp2p swarm: identify, ping, gossipsub.
    Ctl,
    /// Requests, ordered messages and probe datagrams; at most one such connection per peer.
    Rpc,
    /// Content by digest, on connections of its own so that a download never delays a request.
    Bulk,
    /// Datagrams for members that cannot dial each other, from one to another.
    Relay,
}

impl LinkLane {
    /// Every lane, in the order in which a server offers them.
    pub const ALL: [Self; 5] = [Self::Join, Self::Ctl, Self::Rpc, Self::Bulk, Self::Relay];

    /// The ALPN protocol name; the number is the version of everything spoken on the lane.
    pub const fn alpn(self) -> &'static str {
        match self {
            Self::Join => "hedgerow-join/1",
            Self::Ctl => "hedgerow-ctl/1",
            Self::Rpc => "hedgerow-rpc/1",
            Self::Bulk => "hedgerow-bulk/2",
            Self::Relay => "hedgerow-relay/1",
        }
    }

    /// The lane of an ALPN name, `None` for a name this version does not speak.
    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.alpn().as_bytes() == name)
    }
}

/// How a one-way message travels on the rpc connection.
///
/// Messages of one lane to one peer arrive in the order in which they were sent, except that a
/// probe sent as a datagram may overtake, be lost, or arrive twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// A datagram where it fits the path, else an ordered stream of its own.
    Probe,
    /// The ordered stream of the mesh's state machines.
    Rpc,
    /// The ordered stream of session replication, apart so that documents never delay a vote.
    Session,
}

impl Lane {
    /// Every message lane.
    pub const ALL: [Self; 3] = [Self::Probe, Self::Rpc, Self::Session];

    /// The byte that names the lane on the wire.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::Probe => 0,
            Self::Rpc => 1,
            Self::Session => 2,
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.tag() == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpn_names_are_frozen_and_parse_back() {
        let names: Vec<&str> = LinkLane::ALL.iter().map(|lane| lane.alpn()).collect();
        let frozen = ["hedgerow-join/1", "hedgerow-ctl/1", "hedgerow-rpc/1", "hedgerow-bulk/2", "hedgerow-relay/1"];
        assert_eq!(names, frozen);
        for lane in LinkLane::ALL {
            assert_eq!(LinkLane::from_alpn(lane.alpn().as_bytes()), Some(lane));
        }
        assert_eq!(LinkLane::from_alpn(b"hedgerow-rpc/2"), None);
    }

    #[test]
    fn message_lane_tags_are_frozen_and_parse_back() {
        assert_eq!(Lane::ALL.map(Lane::tag), [0, 1, 2]);
        for lane in Lane::ALL {
            assert_eq!(Lane::from_tag(lane.tag()), Some(lane));
        }
        assert_eq!(Lane::from_tag(3), None);
    }
}
