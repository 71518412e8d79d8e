//! Whether others reach this node by themselves: then it may relay for those whom nobody reaches, and need not wait at relays.
//!
//! A translator of addresses or a firewall lets in answers only, so a connection from somewhere that this node never sent
//! anything to shows that there is none on the way from there. That costs no packet and takes nobody's word, unlike asking
//! others to dial back. It says nothing about ways from elsewhere: neighbours in one network reach each other whatever lies
//! between them and the world. What counts is therefore from which networks this node was reached.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::ways::is_place;
use crate::net::socket::canonical;

/// What this node knows of who reached it; clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::net) struct Reached(Arc<Mutex<Evidence>>);

#[derive(Debug, Default)]
struct Evidence {
    /// Where this node says that it is.
    own: Vec<SocketAddr>,
    /// To whom it sent something, and when last.
    sent: BTreeMap<Whom, Instant>,
    /// From where it was reached by itself, and when last.
    from: BTreeMap<Network, Instant>,
}

/// Who is let in by something that was sent: an address, or on this machine a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Host(IpAddr),
    Socket(SocketAddr),
}

/// Whose members reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Network {
    /// A node of the same machine: each of them stands for a network, so that a mesh on one machine can stand for many machines.
    Loopback(u16),
    /// Addresses with these first bits, which other networks may use, too, or this node's own.
    Local(IpAddr),
    /// Anywhere else, over IPv4 or IPv6.
    World(Family),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

/// For how long what was seen counts: networks change.
const COUNTS_FOR: Duration = Duration::from_secs(24 * 3_600);
/// For how long something that was sent may let in others: twice what translators are asked to hold (RFC 4787, REQ-5).
const LETS_IN_FOR: Duration = Duration::from_secs(600);
/// Entries of each kind.
const ENTRIES_MAX: usize = 1_024;

impl Reached {
    /// This node is at these addresses. What was seen at others says nothing any more.
    pub(in crate::net) fn set_own(&self, own: &[SocketAddr]) {
        let mut evidence = self.lock();
        if evidence.own != own {
            evidence.own = own.to_vec();
            evidence.from.clear();
        }
    }

    /// Where this node says that it is.
    pub(in crate::net) fn own(&self) -> Vec<SocketAddr> {
        self.lock().own.clone()
    }

    /// This node sends something there, has a connection with it, or did before it was started: something on the way may let in
    /// what comes from there.
    pub(in crate::net) fn sends(&self, to: SocketAddr, now: Instant) {
        note(&mut self.lock().sent, whom(to), now);
    }

    /// Somebody proved to be there who connected from there. Who comes through a relay proves nothing.
    pub(in crate::net) fn accepted(&self, from: SocketAddr, now: Instant) {
        if is_place(&from) {
            return;
        }
        let mut evidence = self.lock();
        let is_answer = evidence.sent.get(&whom(from)).is_some_and(|sent| now.duration_since(*sent) < LETS_IN_FOR);
        if !is_answer {
            let network = evidence.network(from);
            note(&mut evidence.from, network, now);
        }
    }

    /// Whether two who cannot reach each other may both reach this node: it was reached from the world, or from two networks of
    /// one family; neighbours have addresses of both.
    pub(in crate::net) fn may_relay(&self, now: Instant) -> bool {
        let from = self.lock().recent(now);
        let count = |is: fn(&Network) -> bool| from.iter().filter(|network| is(network)).count();
        let is_v4 = |network: &Network| matches!(network, Network::Local(IpAddr::V4(_)) | Network::Loopback(_));
        let is_v6 = |network: &Network| matches!(network, Network::Local(IpAddr::V6(_)) | Network::Loopback(_));
        count(|network| matches!(network, Network::World(_))) > 0 || count(is_v4).max(count(is_v6)) >= 2
    }

    /// Whether somebody may not reach this node: the world did not, or not where this node says that it is. A translator that
    /// lets in everybody does so at an address that nobody else knows.
    pub(in crate::net) fn needs_relay(&self, now: Instant) -> bool {
        let evidence = self.lock();
        let from = evidence.recent(now);
        if !evidence.own.is_empty() && evidence.own.iter().all(|own| own.ip().is_loopback()) {
            return from.len() < 2;
        }
        let is_told = |family| {
            let of_it = |own: &&SocketAddr| family_of(own.ip()) == family;
            evidence.own.iter().filter(of_it).any(|own| is_global(own.ip()))
        };
        !from.iter().any(|network| matches!(network, Network::World(family) if is_told(*family)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Evidence> {
        self.0.lock().expect("no holder of the lock panics")
    }
}

impl Evidence {
    fn network(&self, from: SocketAddr) -> Network {
        let from = canonical(from);
        let own = |own: &SocketAddr| subnet(own.ip()) == subnet(from.ip());
        match from.ip() {
            ip if ip.is_loopback() => Network::Loopback(from.port()),
            ip if !is_global(ip) || self.own.iter().any(own) => Network::Local(subnet(ip)),
            ip => Network::World(family_of(ip)),
        }
    }

    fn recent(&self, now: Instant) -> Vec<Network> {
        let recent = self.from.iter().filter(|(_, at)| now.duration_since(**at) < COUNTS_FOR);
        recent.map(|(network, _)| *network).collect()
    }
}

/// What was noted longest ago makes room.
fn note<K: Ord + Copy>(noted: &mut BTreeMap<K, Instant>, key: K, now: Instant) {
    if noted.len() >= ENTRIES_MAX && !noted.contains_key(&key) {
        let oldest = noted.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
        oldest.and_then(|oldest| noted.remove(&oldest));
    }
    noted.insert(key, now);
}

fn whom(address: SocketAddr) -> Whom {
    let address = canonical(address);
    if address.ip().is_loopback() { Whom::Socket(address) } else { Whom::Host(address.ip()) }
}

fn family_of(ip: IpAddr) -> Family {
    if ip.to_canonical().is_ipv4() { Family::V4 } else { Family::V6 }
}

/// The usual size of one network: 24 bits of IPv4, 64 of IPv6.
fn subnet(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & 0xffff_ff00).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// Whether an address may be the world's: none of RFC 1918, 3927, 6598 (shared by carriers), 4193 and 4291 (link-local), nor this
/// machine's.
pub(super) fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            !(ip.is_private() || ip.is_link_local() || ip.is_loopback() || is_shared)
        }
        IpAddr::V6(ip) => !(ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        reached: Reached,
        now: Instant,
    }

    impl Bench {
        fn at(own: &[&str]) -> Self {
            let reached = Reached::default();
            reached.set_own(&own.iter().map(|own| own.parse().unwrap()).collect::<Vec<_>>());
            Self { reached, now: Instant::now() }
        }

        fn from(&self, from: &str) -> (bool, bool) {
            self.reached.accepted(from.parse().unwrap(), self.now);
            self.judged()
        }

        /// Whether it may relay, and whether it needs a relay.
        fn judged(&self) -> (bool, bool) {
            (self.reached.may_relay(self.now), self.reached.needs_relay(self.now))
        }
    }

    #[test]
    fn answers_prove_nothing_and_a_stranger_from_the_world_everything() {
        let mut bench = Bench::at(&["203.0.113.5:4334"]);
        bench.reached.sends("198.51.100.7:4334".parse().unwrap(), bench.now);
        assert_eq!(bench.from("198.51.100.7:9999"), (false, true), "a translator may let in all of a host");
        assert_eq!(bench.from("240.0.0.1:1"), (false, true), "through a relay");
        bench.now += LETS_IN_FOR;
        assert_eq!(bench.from("198.51.100.7:9999"), (true, false), "nothing lets it in any more");
        bench.now += COUNTS_FOR;
        assert_eq!(bench.judged(), (false, true), "that was a day ago");
    }

    #[test]
    fn an_address_that_others_do_not_know_is_of_no_use_to_them() {
        let bench = Bench::at(&["192.168.1.5:4334", "[2001:db8:1::5]:4334"]);
        assert_eq!(bench.from("198.51.100.7:4334"), (true, true), "it says none of IPv4");
        assert_eq!(bench.from("[2001:db8:2::6]:4334"), (true, false));
    }

    #[test]
    fn neighbours_prove_nothing_about_the_world() {
        let bench = Bench::at(&["192.168.1.5:4334", "[2001:db8:1::5]:4334"]);
        assert_eq!(bench.from("192.168.1.6:4334"), (false, true));
        assert_eq!(bench.from("192.168.1.7:4334"), (false, true));
        assert_eq!(bench.from("[2001:db8:1::6]:4334"), (false, true), "the same network, by its other name");
        assert_eq!(bench.from("10.1.1.1:4334"), (true, true));
    }

    #[test]
    fn who_stands_in_two_networks_may_relay_between_them() {
        let bench = Bench::at(&["172.20.0.2:4334", "172.21.0.2:4334"]);
        assert_eq!(bench.from("172.20.0.3:4334"), (false, true));
        assert_eq!(bench.from("172.21.0.3:4334"), (true, true));
        bench.reached.set_own(&["10.0.0.1:4334".parse().unwrap()]);
        assert_eq!(bench.judged(), (false, true), "it is elsewhere now");
    }

    #[test]
    fn on_one_machine_each_node_stands_for_a_network() {
        let bench = Bench::at(&["127.0.0.1:5000"]);
        bench.reached.sends("127.0.0.1:5001".parse().unwrap(), bench.now);
        assert_eq!(bench.from("127.0.0.1:5001"), (false, true));
        assert_eq!(bench.from("127.0.0.1:5002"), (false, true));
        assert_eq!(bench.from("[::ffff:127.0.0.1]:5002"), (false, true), "the same");
        assert_eq!(bench.from("127.0.0.1:5003"), (true, false));
        bench.reached.set_own(&["127.0.0.1:5000".parse().unwrap(), "192.168.1.5:5000".parse().unwrap()]);
        assert_eq!([bench.from("127.0.0.1:5002"), bench.from("127.0.0.1:5003")], [(false, true), (true, true)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let bench = Bench::at(&[]);
        for host in 0..2_000_u32 {
            let ip = Ipv4Addr::from_bits(0x0a00_0000 + (host << 8));
            bench.reached.sends(SocketAddr::new(ip.into(), 1), bench.now);
            bench
                .reached
                .accepted(SocketAddr::new(Ipv4Addr::from_bits(0xac10_0000 + (host << 8)).into(), 1), bench.now);
        }
        let evidence = bench.reached.lock();
        assert_eq!((evidence.sent.len(), evidence.from.len()), (ENTRIES_MAX, ENTRIES_MAX));
    }
}
