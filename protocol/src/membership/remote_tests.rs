//! Tests of what is believed about members of other cells.

use super::*;
use crate::fact::{Accusation, CellContact, Health, Totals};
use crate::id::{BootId, ConfigEpoch, Generation, Term};
use crate::time::Wall;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::region::Region;
use hedgerow_attest::signed::Verified;

const STALE: Duration = Duration::from_secs(15);
const CELL: CellId = CellId::from_bytes([9; 32]);

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000)
}

fn record(number: u8, incarnation: u64) -> NodeRecord {
    NodeRecord {
        node: node(number),
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

fn rollup(contacts: &[(u8, Liveness, u64)]) -> Rollup {
    let contact = |(number, liveness, incarnation): &(u8, Liveness, u64)| CellContact {
        node: node(*number),
        incarnation: Incarnation(*incarnation),
        liveness: *liveness,
        queue_depth: 0,
        warm: 0,
        addresses: vec![],
    };
    Rollup {
        cell: CELL,
        region: Region::new("us").unwrap(),
        generation: Generation(0),
        config_epoch: ConfigEpoch(1),
        term: Term(1),
        window: 1,
        holder: node(1),
        at: Wall(0),
        place: None,
        totals: Totals::default(),
        models: vec![],
        contacts: contacts.iter().map(contact).collect(),
    }
}

fn accusation(accused: u8, incarnation: u64) -> Charge {
    let accusation = Accusation { accuser: node(7), accused: node(accused), incarnation: Incarnation(incarnation) };
    let signed = Verified::sign_verified(&accusation, &SecretKey::from_seed([1; 32]));
    Charge::new(vec![signed]).expect("one is enough")
}

/// Two members of one other cell, known since time 0.
fn remote() -> Remote {
    let mut remote = Remote::new(STALE);
    remote.keep(CELL, at(0));
    remote.record(CELL, &record(1, 1), at(0));
    remote.record(CELL, &record(2, 1), at(0));
    remote
}

fn shown(remote: &mut Remote, now: Mono) -> [Liveness; 2] {
    remote.reconsider(now);
    [1, 2].map(|number| remote.peer(&node(number)).unwrap().shown())
}

const ALIVE: Liveness = Liveness::Alive;
const SUSPECT: Liveness = Liveness::Suspect;
const DOWN: Liveness = Liveness::Down;

#[test]
fn an_aggregator_is_believed_until_the_member_says_otherwise() {
    let mut remote = remote();
    assert_eq!(shown(&mut remote, at(1)), [ALIVE, ALIVE]);
    remote.reported(&rollup(&[(1, DOWN, 1), (2, ALIVE, 1)]), at(2));
    assert_eq!(shown(&mut remote, at(2)), [DOWN, ALIVE]);
    remote.heard(&node(1), at(3));
    assert_eq!(shown(&mut remote, at(3)), [DOWN, ALIVE], "a packet alone revives nobody");
    remote.record(CELL, &record(1, 2), at(4));
    assert_eq!(shown(&mut remote, at(4)), [ALIVE, ALIVE]);
    remote.reported(&rollup(&[(1, DOWN, 1), (2, SUSPECT, 1)]), at(5));
    assert_eq!(shown(&mut remote, at(5)), [ALIVE, SUSPECT], "the report speaks of an earlier incarnation");
}

#[test]
fn the_silence_of_a_whole_cell_is_doubt_and_then_death() {
    let mut remote = remote();
    remote.reported(&rollup(&[(1, ALIVE, 1)]), at(10));
    assert_eq!(shown(&mut remote, at(24)), [ALIVE, ALIVE], "nobody speaks of the second, and its cell would accuse it");
    assert_eq!(shown(&mut remote, at(25)), [SUSPECT, SUSPECT]);
    assert_eq!(shown(&mut remote, at(39)), [SUSPECT, SUSPECT]);
    assert_eq!(shown(&mut remote, at(40)), [DOWN, DOWN]);
    remote.heard(&node(1), at(41));
    assert_eq!(shown(&mut remote, at(41)), [ALIVE, ALIVE], "one of them lives, and accuses nobody");
}

#[test]
fn whom_its_own_cell_accuses_is_down_until_it_raises_its_incarnation() {
    let mut remote = remote();
    assert!(remote.accused(&accusation(2, 1), at(5)));
    assert_eq!(shown(&mut remote, at(5)), [ALIVE, DOWN]);
    remote.record(CELL, &record(2, 2), at(6));
    assert_eq!(shown(&mut remote, at(6)), [ALIVE, ALIVE]);
    assert!(remote.accused(&accusation(2, 1), at(7)));
    assert_eq!(shown(&mut remote, at(7)), [ALIVE, ALIVE], "it speaks of an earlier incarnation");
    assert!(!remote.accused(&accusation(3, 1), at(8)), "nobody here");
}

#[test]
fn a_cell_that_is_not_kept_takes_no_room() {
    let mut remote = remote();
    remote.record(CellId::from_bytes([8; 32]), &record(3, 1), at(1));
    assert_eq!((remote.peer(&node(3)), remote.members(&CELL).count()), (None, 2));
    remote.drop_cell(&CELL);
    assert_eq!((remote.peer(&node(1)), remote.heard_rollup(&CELL)), (None, None));
    assert_eq!(remote.next_deadline(), Mono(u64::MAX));
}
