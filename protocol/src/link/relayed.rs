//! Addresses that lead through a member which relays.
//!
//! Behind a translator of addresses or a firewall a node waits for others at a member that it could dial, and says so among its
//! addresses: `[100::RELAY]:0`, where RELAY are the first eight bytes of the relay's NodeId. The prefix is the one that no
//! network carries (RFC 6666), so that such an address is never dialled by mistake. Like any other it is a hint: whoever
//! answers has to prove to be the node.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hedgerow_attest::id::NodeId;

/// Where a connection may be made to.
pub trait Address: Copy + Eq + Debug + Hash {
    /// Whether what goes there passes through a relay.
    fn is_relayed(&self) -> bool;
}

impl Address for SocketAddr {
    fn is_relayed(&self) -> bool {
        relay_of(self).is_some()
    }
}

/// A place among others that all reach each other, as simulations number them.
impl Address for u32 {
    fn is_relayed(&self) -> bool {
        false
    }
}

/// `0100::/64`, in the upper half of an address.
const PREFIX: u128 = 0x0100_0000_0000_0000;

/// Where a node is that waits at a relay, as it says to others.
pub fn through(relay: &NodeId) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from_bits(PREFIX << 64 | u128::from(relay.lead()))), 0)
}

/// The relay that an address leads through, by [`NodeId::lead`].
pub fn relay_of(address: &SocketAddr) -> Option<u64> {
    let IpAddr::V6(ip) = address.ip() else { return None };
    let (prefix, relay) = (ip.to_bits() >> 64, ip.to_bits() & u128::from(u64::MAX));
    u64::try_from(relay).ok().filter(|_| prefix == PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hedgerow_attest::testing::SampleMesh;

    #[test]
    fn an_address_names_its_relay_and_others_none() {
        let relay = SampleMesh::new(1).keys(3).chain.node();
        let address = through(&relay);
        assert_eq!((relay_of(&address), address.port(), address.is_relayed()), (Some(relay.lead()), 0, true));
        let frozen =
            NodeId::from_bytes([[1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]; 4].concat().try_into().unwrap());
        assert_eq!(through(&frozen).to_string(), "[100::123:4567:89ab:cdef]:0");
        for other in ["10.0.0.1:4334", "[::1]:4334", "[100:0:0:1::1]:0", "[2001:db8::1]:4334", "[200::1]:0"] {
            assert_eq!(relay_of(&other.parse().unwrap()), None, "{other}");
        }
    }
}
