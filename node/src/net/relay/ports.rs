//! Ports for the peers at one relay.

use std::collections::BTreeMap;

use hedgerow_attest::id::NodeId;

use crate::net::limits::RELAY_PLACES_MAX;

/// Each peer has a port of its own. The one that was sent something longest ago makes room: a relay may invent peers.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: BTreeMap<NodeId, u16>,
    peers: BTreeMap<u16, Peer>,
    last: u16,
    /// Counts uses.
    uses: u64,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    node: NodeId,
    used: u64,
}

impl Ports {
    /// The port of a peer, given now if it has none.
    pub(super) fn of(&mut self, peer: NodeId) -> u16 {
        if let Some(port) = self.ports.get(&peer) {
            return *port;
        }
        if self.peers.len() >= RELAY_PLACES_MAX {
            let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.used).map(|(port, _)| *port);
            if let Some(oldest) = oldest.and_then(|port| self.peers.remove(&port)) {
                self.ports.remove(&oldest.node);
            }
        }
        loop {
            // 0 is no port.
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !self.peers.contains_key(&self.last) {
                break;
            }
        }
        self.uses += 1;
        self.ports.insert(peer, self.last);
        self.peers.insert(self.last, Peer { node: peer, used: self.uses });
        self.last
    }

    /// Whose port that is; something is sent there.
    pub(super) fn use_port(&mut self, port: u16) -> Option<NodeId> {
        self.uses += 1;
        let peer = self.peers.get_mut(&port)?;
        peer.used = self.uses;
        Some(peer.node)
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
    fn a_peer_keeps_its_port_for_as_long_as_it_is_used() {
        let mut ports = Ports::default();
        let [first, second] = [0, 1].map(|number| ports.of(node(number)));
        for number in 2..10 * u32::try_from(RELAY_PLACES_MAX).unwrap() {
            assert_eq!(ports.use_port(first), Some(node(0)));
            ports.of(node(number));
        }
        assert_eq!((ports.of(node(0)), ports.use_port(second)), (first, None));
        assert_ne!(ports.of(node(1)), second, "it is given another");
    }

    #[test]
    fn no_port_is_given_twice_when_they_come_round() {
        let mut ports = Ports::default();
        for number in 0..100_000 {
            let port = ports.of(node(number));
            assert!(port > 0 && ports.use_port(port) == Some(node(number)), "{number}");
        }
        assert_eq!((ports.ports.len(), ports.peers.len()), (RELAY_PLACES_MAX, RELAY_PLACES_MAX));
    }
}
