//! Ports for the peers at one relay.

use std::collections::{BTreeMap, VecDeque};

use hedgerow_attest::id::NodeId;

use crate::net::limits::RELAY_PLACES_MAX;

/// Each peer has a port of its own. The one that was given a port longest ago makes room: a relay may invent peers.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: BTreeMap<NodeId, u16>,
    peers: BTreeMap<u16, NodeId>,
    /// Ports in the order in which they were given.
    order: VecDeque<u16>,
    last: u16,
}

impl Ports {
    /// The port of a peer, given now if it has none.
    pub(super) fn of(&mut self, peer: NodeId) -> u16 {
        if let Some(port) = self.ports.get(&peer) {
            return *port;
        }
        if self.order.len() >= RELAY_PLACES_MAX
            && let Some(oldest) = self.order.pop_front().and_then(|port| self.peers.remove(&port))
        {
            self.ports.remove(&oldest);
        }
        loop {
            // 0 is no port.
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !self.peers.contains_key(&self.last) {
                break;
            }
        }
        self.ports.insert(peer, self.last);
        self.peers.insert(self.last, peer);
        self.order.push_back(self.last);
        self.last
    }

    /// Whose port that is.
    pub(super) fn peer(&self, port: u16) -> Option<NodeId> {
        self.peers.get(&port).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    #[test]
    fn a_peer_keeps_its_port_until_many_came_after_it() {
        let mut ports = Ports::default();
        let first = ports.of(node(0));
        for number in 1..u32::try_from(RELAY_PLACES_MAX).unwrap() {
            ports.of(node(number));
        }
        assert_eq!((ports.of(node(0)), ports.peer(first)), (first, Some(node(0))));
        let next = ports.of(node(1_000_000));
        assert_ne!(next, first);
        assert_eq!((ports.peer(first), ports.peer(next)), (None, Some(node(1_000_000))));
        assert_ne!(ports.of(node(0)), first, "it is given another");
    }

    #[test]
    fn no_port_is_given_twice_when_they_come_round() {
        let mut ports = Ports::default();
        for number in 0..200_000 {
            let port = ports.of(node(number));
            assert!(port > 0 && ports.peer(port) == Some(node(number)), "{number}");
        }
        assert_eq!((ports.ports.len(), ports.peers.len(), ports.order.len()), [RELAY_PLACES_MAX; 3].into());
    }
}
