//! Tests of what is believed about members of other cells.

use super::*;
use crate::fact::Health;
use crate::id::BootId;
use crate::time::Wall;
use hedgerow_attest::region::Region;

const STALE: Duration = Duration::from_secs(15);

fn node() -> NodeId {
    NodeId::from_bytes([1; 32])
}

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000)
}

fn record(incarnation: u64) -> NodeRecord {
    NodeRecord {
        node: node(),
        boot: BootId([0; 16]),
        incarnation: Incarnation(incarnation),
        seq: 1,
        region: Region::new("us").unwrap(),
        cell: None,
        addresses: vec![],
        state: NodeState::Up,
        health: Health::default(),
        at: Wall(0),
    }
}

fn row(liveness: Liveness, incarnation: u64) -> RollupMember {
    RollupMember { node: node(), incarnation: Incarnation(incarnation), liveness, queue_depth: 0, warm: 0 }
}

fn shown(remote: &mut Remote, now: Mono) -> Liveness {
    remote.reconsider(now);
    remote.peers()[&node()].shown()
}

#[test]
fn an_aggregator_is_believed_until_the_member_says_otherwise() {
    let mut remote = Remote::new(STALE);
    remote.record(&record(1), at(0));
    assert_eq!(shown(&mut remote, at(1)), Liveness::Alive);
    remote.reported(&row(Liveness::Down, 1), at(2));
    assert_eq!(shown(&mut remote, at(2)), Liveness::Down);
    remote.heard(&node(), at(3));
    assert_eq!(shown(&mut remote, at(3)), Liveness::Down, "a packet alone revives nobody");
    remote.record(&record(2), at(4));
    assert_eq!(shown(&mut remote, at(4)), Liveness::Alive);
    remote.reported(&row(Liveness::Down, 1), at(5));
    assert_eq!(shown(&mut remote, at(5)), Liveness::Alive, "the report speaks of an earlier incarnation");
}

#[test]
fn silence_is_doubt_and_then_death() {
    let mut remote = Remote::new(STALE);
    remote.record(&record(1), at(0));
    remote.reported(&row(Liveness::Alive, 1), at(10));
    assert_eq!(shown(&mut remote, at(24)), Liveness::Alive);
    assert_eq!(shown(&mut remote, at(25)), Liveness::Suspect);
    assert_eq!(shown(&mut remote, at(39)), Liveness::Suspect);
    assert_eq!(shown(&mut remote, at(40)), Liveness::Down);
    remote.heard(&node(), at(41));
    assert_eq!(shown(&mut remote, at(41)), Liveness::Alive);
}
