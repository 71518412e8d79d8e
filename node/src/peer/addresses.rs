//! Where others may reach the mesh socket, as far as this machine can tell.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::core::Command;
use hedgerow_protocol::link::through;
use tokio_util::sync::CancellationToken;

use crate::core::CoreHandle;
use crate::net::Net;

/// As many as a ticket or a record carries.
const ADDRESSES_MAX: usize = 8;

/// What is advertised: what the operator says, then the one address that the socket is bound to, or those of the interfaces. A
/// public address that the operator names does not make those of the local network worse for those who are on it.
pub(super) fn advertised(configured: &[SocketAddr], bound: SocketAddr) -> Vec<SocketAddr> {
    let own = if bound.ip().is_unspecified() { of_this_machine(bound.port()) } else { vec![bound] };
    let mut seen = BTreeSet::new();
    let all = configured.iter().copied().chain(own).filter(|address| seen.insert(*address));
    all.take(ADDRESSES_MAX).collect()
}

fn of_this_machine(port: u16) -> Vec<SocketAddr> {
    let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this machine are not known; name them with --advertise");
        Vec::new()
    });
    let interfaces = found.into_iter().map(|interface| (interface.name.clone(), interface.ip()));
    of_interfaces(interfaces, port)
}

/// Addresses that another machine may reach, then loopback for other nodes of this one.
///
/// The bridges of container engines have the same addresses on every machine, so that advertising them leads others to themselves.
fn of_interfaces(interfaces: impl Iterator<Item = (String, IpAddr)>, port: u16) -> Vec<SocketAddr> {
    let bridge = |name: &str| ["docker", "br-", "veth", "virbr"].iter().any(|prefix| name.starts_with(prefix));
    let reachable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        // A link-local address needs a zone that means nothing elsewhere.
        IpAddr::V6(ip) => !ip.is_loopback() && (ip.segments()[0] & 0xffc0) != 0xfe80,
    };
    let mut addresses: Vec<_> = interfaces
        .filter(|(name, ip)| !bridge(name) && reachable(ip))
        .map(|(_, ip)| SocketAddr::new(ip, port))
        .take(ADDRESSES_MAX - 1)
        .collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    addresses
}

/// A core that could not be told is told again.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Has this node's record say at which relays others find it, whenever they change, until `stop`.
pub(super) async fn tell_relays(core: CoreHandle, net: Net, own: Vec<SocketAddr>, stop: CancellationToken) {
    net.advertise(&own);
    let mut relays = net.waits_at();
    let mut told = with_relays(&own, &[]);
    loop {
        let addresses = with_relays(&own, &relays.borrow_and_update().clone());
        if addresses != told {
            match core.command(Command::SetAddresses(addresses.clone())).await {
                Ok(()) => told = addresses,
                Err(error) => tracing::warn!(%error, "others do not hear at which relays they find this node"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = relays.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(TELL_AGAIN) => {}
        }
    }
}

/// Addresses of its own first; the last ones make room.
fn with_relays(own: &[SocketAddr], relays: &[NodeId]) -> Vec<SocketAddr> {
    let room = ADDRESSES_MAX.saturating_sub(relays.len());
    own.iter().copied().take(room).chain(relays.iter().map(through)).take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_and_link_local_addresses_are_not_advertised() {
        let interfaces = [
            ("lo", "127.0.0.1"),
            ("eth0", "fe80::1"),
            ("eth0", "2001:db8::7"),
            ("eth0", "192.0.2.7"),
            ("docker0", "172.17.0.1"),
            ("br-12ab", "172.18.0.1"),
        ];
        let interfaces = interfaces.map(|(name, ip)| (name.to_owned(), ip.parse().unwrap()));
        let addresses: Vec<_> = of_interfaces(interfaces.into_iter(), 4334).iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.7:4334", "[2001:db8::7]:4334", "127.0.0.1:4334"]);
    }

    #[test]
    fn relays_are_told_behind_what_else_there_is_room_for() {
        let own: Vec<SocketAddr> = (1..=8).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        let relays = [NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32])];
        assert_eq!(with_relays(&own, &[]), own);
        let told = with_relays(&own, &relays);
        assert_eq!((&told[..6], &told[6..]), (&own[..6], &relays.map(|relay| through(&relay))[..]));
    }

    #[test]
    fn what_the_operator_says_or_bound_comes_first() {
        let (configured, bound) = ("198.51.100.1:1".parse().unwrap(), "127.0.0.1:5000".parse().unwrap());
        assert_eq!(advertised(&[configured, configured], bound), [configured, bound]);
        assert_eq!(advertised(&[], bound), [bound]);
    }

    /// A link of 4 ms became one of 3 s elsewhere, because a public address was known.
    #[test]
    fn a_public_address_hides_no_local_one() {
        let (public, bound) = ("198.51.100.1:1".parse().unwrap(), "0.0.0.0:5000".parse().unwrap());
        let addresses = advertised(&[public], bound);
        assert_eq!(addresses[0], public);
        assert_eq!(addresses[1..], advertised(&[], bound));
    }
}
