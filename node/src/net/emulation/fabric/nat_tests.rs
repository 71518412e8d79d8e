use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A translator with its generator, at one moment.
struct Case {
    translator: Translator,
    rng: ChaCha8Rng,
    now: Instant,
}

impl Case {
    fn new(mapping: Mapping, filtering: Filtering) -> Self {
        let nat = Nat { mapping, filtering, is_hairpinning: false };
        let translator = Translator::new(nat, address("198.51.100.1:0").ip());
        Self { translator, rng: ChaCha8Rng::seed_from_u64(1), now: Instant::now() }
    }

    fn outbound(&mut self, inner: &str, to: &str) -> SocketAddr {
        self.translator.outbound(self.now, address(inner), address(to), &mut self.rng).expect("there is room")
    }

    fn inbound(&self, port: u16, from: &str) -> Option<SocketAddr> {
        self.translator.inbound(self.now, port, address(from))
    }
}

const A: &str = "192.168.1.2:4334";
const B: &str = "192.168.1.3:4334";
const PEER: &str = "203.0.113.1:4334";
const ITS_OTHER_PORT: &str = "203.0.113.1:4335";
const OTHER: &str = "203.0.113.2:4334";

#[test]
fn an_endpoint_independent_mapping_is_one_for_all_peers() {
    let mut case = Case::new(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent);
    let outer = case.outbound(A, PEER);
    assert_eq!(outer.ip(), address("198.51.100.1:0").ip());
    assert!(outer.port() >= 1024 && outer.port() != 4334, "{outer}");
    assert_eq!([case.outbound(A, OTHER), case.outbound(A, ITS_OTHER_PORT)], [outer; 2]);
    let of_b = case.outbound(B, PEER);
    assert_ne!(of_b, outer);
    assert_eq!(case.inbound(outer.port(), PEER), Some(address(A)));
    assert_eq!(case.inbound(of_b.port(), PEER), Some(address(B)));
}

#[test]
fn a_symmetric_mapping_is_another_for_each_peer() {
    let mut case = Case::new(Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent);
    let outer = [PEER, ITS_OTHER_PORT, OTHER].map(|peer| case.outbound(A, peer));
    assert!(outer[0] != outer[1] && outer[1] != outer[2] && outer[2] != outer[0], "{outer:?}");
    assert_eq!(case.outbound(A, PEER), outer[0]);
    assert_eq!(case.inbound(outer[0].port(), PEER), Some(address(A)));
    assert_eq!(case.inbound(outer[0].port(), OTHER), None);
}

#[test]
fn each_filtering_lets_in_whom_it_should() {
    let lets_in = |filtering| {
        let mut case = Case::new(Mapping::EndpointIndependent, filtering);
        let port = case.outbound(A, PEER).port();
        [PEER, ITS_OTHER_PORT, OTHER].map(|from| case.inbound(port, from).is_some())
    };
    assert_eq!(lets_in(Filtering::EndpointIndependent), [true, true, true]);
    assert_eq!(lets_in(Filtering::AddressDependent), [true, true, false]);
    assert_eq!(lets_in(Filtering::AddressAndPortDependent), [true, false, false]);
}

#[test]
fn what_was_never_mapped_is_let_in_by_nobody() {
    let mut case = Case::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
    let port = case.outbound(A, PEER).port();
    assert_eq!(case.inbound(port ^ 1, PEER), None);
    assert_eq!(case.translator.inner(case.now, port), Some(address(A)));
    assert_eq!(case.translator.inner(case.now, port ^ 1), None);
}

#[test]
fn a_mapping_ends_without_packets_outwards_and_the_next_is_another() {
    let mut case = Case::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
    let outer = case.outbound(A, PEER);
    case.now += PINHOLE_IDLE - Duration::from_nanos(1);
    assert!(case.inbound(outer.port(), OTHER).is_some());
    assert_eq!(case.outbound(A, PEER), outer, "what is used stays");
    case.now += PINHOLE_IDLE - Duration::from_nanos(1);
    assert!(case.inbound(outer.port(), OTHER).is_some(), "from when it was last used");
    case.now += Duration::from_nanos(1);
    assert_eq!(case.inbound(outer.port(), OTHER), None);
    assert_ne!(case.outbound(A, PEER), outer);
    assert_eq!(case.inbound(outer.port(), OTHER), None, "the one that ended does not come back");
}

#[test]
fn a_full_table_maps_no_more_until_some_have_ended() {
    let mut case = Case::new(Mapping::EndpointIndependent, Filtering::EndpointIndependent);
    let inner = |n: usize| SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 7));
    let mut outbound = |now, n| case.translator.outbound(now, inner(n), address(PEER), &mut case.rng);
    let (start, later) = (case.now, case.now + Duration::from_secs(1));
    let first = outbound(start, 0);
    for n in 1..MAPPINGS_MAX {
        assert!(outbound(later, n).is_some());
    }
    assert_eq!(outbound(later, MAPPINGS_MAX), None);
    assert_eq!(outbound(later, 1).map(|outer| outer.ip()), first.map(|outer| outer.ip()), "those that are there go on");
    assert!(outbound(start + PINHOLE_IDLE, MAPPINGS_MAX).is_some(), "the first has ended");
    assert_eq!(outbound(start + PINHOLE_IDLE, MAPPINGS_MAX + 1), None);
}
