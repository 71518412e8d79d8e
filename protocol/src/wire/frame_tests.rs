//! Frames and messages of version 1, frozen byte for byte.

use super::*;
use crate::coords::{ADJUSTMENT_MAX, COMPONENT_MAX, Coordinate, CoordinateWire, DIMENSIONS, ERROR_MAX, HEIGHT_MAX};
use crate::election::{
    Abandon, Campaign, Denial, Grant, GrantReply, Handover, LeaseHint, LeaseMessage, LeaseName, LeaseNews, Propose,
    Refusal,
};
use crate::fact::{Accusation, FactVersion, Liveness, Scope, SignedFact};
use crate::id::{BootId, ConfigEpoch, Generation, Incarnation, PlacementEpoch, Slot, Term};
use crate::name::ClassName;
use crate::placement::Settled;
use crate::register::{Acceptance, Configuration, Content, Decision, Head, Value};
use crate::wire::{CellMark, CellNews, ExchangeMessage, FactEntry, Load, ProbeMessage, ScopeRoot, Suspicion};
use hedgerow_attest::digest::Blake3Digest;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::signed::Signed;
use proptest::prelude::*;

const CELL: CellId = CellId::from_bytes([0xce; 32]);

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn key() -> SecretKey {
    SecretKey::from_seed([5; 32])
}

fn value() -> Value {
    let content = Content::Configuration(Configuration { epoch: ConfigEpoch(2), voters: vec![], quorum: 1 });
    let head = Head::genesis(CELL);
    Value { cell: CELL, generation: Generation(0), slot: Slot(1), previous: head.digest, content }
}

fn acceptance() -> Signed<Acceptance> {
    let value = value().digest();
    let (generation, slot, term) = (Generation(0), Slot(1), Term(3));
    Signed::sign(&Acceptance { cell: CELL, generation, slot, value, term, voter: node(1) }, &key())
}

fn decision() -> Box<Decision> {
    Box::new(Decision { value: value(), term: Term(3), config_epoch: ConfigEpoch(1), acceptances: vec![acceptance()] })
}

fn grant() -> GrantReply {
    let grant = Grant {
        cell: CELL,
        generation: Generation(0),
        config_epoch: ConfigEpoch(1),
        term: Term(3),
        candidate: node(2),
        boot: BootId([4; 16]),
        nonce: 5,
        voter: node(1),
        head: Head::genesis(CELL),
        accepted: Some((Term(2), value().digest())),
    };
    GrantReply { grant: Signed::sign(&grant, &key()), head: Some(decision()), accepted: Some(Box::new(value())) }
}

fn probes() -> Vec<ProbeMessage> {
    let belief = Suspicion { incarnation: Incarnation(7), liveness: Liveness::Suspect };
    let name = LeaseName { generation: Generation(0), config_epoch: ConfigEpoch(1), term: Term(3) };
    let hint = LeaseHint {
        cell: CELL,
        generation: Generation(0),
        config_epoch: ConfigEpoch(1),
        term: Term(3),
        holder: node(2),
        remaining_ms: 3_960,
        slot: Slot(1),
    };
    let suspects = vec![(node(3), Incarnation(1))];
    let load = Load { queue_depth: 9, free_memory_mib: 2_048 };
    let at = CoordinateWire { vector: [-5_120, 733, 0, 64, -63, 2_100, 9, -1], height: 48, adjustment: -17, error: 83 };
    let at = Some(Coordinate::try_from(at).unwrap());
    let ack = |lease| ProbeMessage::Ack {
        nonce: 300,
        incarnation: Incarnation(7),
        load,
        cell: Some(CellNews { lease: Some(lease), charges: 0x0102 }),
        suspects: suspects.clone(),
        at,
        clock_ms: 70_000,
    };
    let cell = Some(CellMark { lease: Some(name), charges: 0x0102 });
    vec![
        ProbeMessage::Ping { nonce: 300, belief, cell, suspects: suspects.clone() },
        ack(LeaseNews::Other(hint)),
        ProbeMessage::Ask { nonce: 301, target: node(3) },
        ProbeMessage::Tell { nonce: 301, target: node(3), reached: true },
        ProbeMessage::Opinion { about: node(3), belief },
        ack(LeaseNews::Same { name, remaining_ms: 3_960, slot: Slot(1) }),
    ]
}

fn accusation(accuser: u8) -> Signed<Accusation> {
    Signed::sign(&Accusation { accuser: node(accuser), accused: node(4), incarnation: Incarnation(3) }, &key())
}

fn exchanges() -> Vec<ExchangeMessage> {
    let version = FactVersion { major: 1, minor: 2, tie: 3 };
    vec![
        ExchangeMessage::Summary {
            scope: Scope::Cell(CELL),
            buckets: [300; 16],
            others: vec![ScopeRoot { scope: Scope::Mesh, root: 6 }],
        },
        ExchangeMessage::Digest {
            scope: Scope::Directory,
            buckets: 0x8001,
            entries: vec![FactEntry { key: 4, version }],
        },
        ExchangeMessage::Pull { scope: Scope::Mesh, keys: vec![4, 5] },
        ExchangeMessage::Push { facts: vec![SignedFact::Accusation(vec![accusation(1), accusation(2)])] },
    ]
}

fn leases() -> Vec<LeaseMessage> {
    let (generation, config_epoch) = (Generation(0), ConfigEpoch(1));
    let (term, boot) = (Term(3), BootId([4; 16]));
    let campaign = Campaign { cell: CELL, generation, config_epoch, term, boot, nonce: 5, head: Slot(1) };
    let denial = Denial { cell: CELL, nonce: 5, promised: term, remaining_ms: 40, moved: None };
    vec![
        LeaseMessage::Campaign(campaign),
        LeaseMessage::Grant(grant()),
        LeaseMessage::Denial(denial),
        LeaseMessage::Abandon(Abandon { cell: CELL, term, boot }),
        LeaseMessage::Propose(Propose { term, boot, config_epoch, value: Box::new(value()) }),
        LeaseMessage::Accepted(acceptance()),
        LeaseMessage::Refused(Refusal::Promised { cell: CELL, term }),
        LeaseMessage::Refused(Refusal::Head { cell: CELL, head: Head::genesis(CELL) }),
        LeaseMessage::Refused(Refusal::Unfit { cell: CELL, slot: Slot(1) }),
        LeaseMessage::Decided(decision()),
        LeaseMessage::Handover(Handover { abandon: Abandon { cell: CELL, term, boot }, head: Some(decision()) }),
    ]
}

/// One message of every kind.
fn messages() -> Vec<Message> {
    let probes = probes().into_iter().map(Message::Probe);
    let exchanges = exchanges().into_iter().map(Message::Exchange);
    let leases = leases().into_iter().map(|lease| Message::Lease(Box::new(lease)));
    let class = ClassName::new("cart").unwrap();
    let settled = Message::Settled(Settled::but_for(CELL, PlacementEpoch(3), [(class.clone(), 0), (class, 9)]));
    probes.chain(exchanges).chain(leases).chain([Message::Accusation(accusation(1)), settled]).collect()
}

#[test]
fn every_message_comes_back_from_its_frame() {
    for message in messages() {
        assert_eq!(decode(&encode(&message)), Ok(message));
    }
}

#[test]
fn the_frames_of_version_1_are_frozen() {
    // Four bytes of length, version 1, message 0 (probe), kind 2 (ask), nonce 301, the target.
    let ask = [vec![0, 0, 0, 37, 1, 0, 2, 0xad, 0x02], vec![3; 32]].concat();
    assert_eq!(encode(&messages()[2]), ask);
    let digests: Vec<String> =
        messages().iter().map(|message| Blake3Digest::of(&encode(message)).to_string()[..16].to_owned()).collect();
    assert_eq!(digests, FROZEN, "a change of these bytes needs a version of its own");
}

/// The first eight bytes of the blake3 digest of each frame of `messages()`.
const FROZEN: [&str; 23] = [
    "87d45e0e34d26d3e",
    "59bec5c191462f45",
    "f121570e99fef123",
    "280f1ac79d4747df",
    "a26bca9cc8df8167",
    "1ca3752f1129c8de",
    "5c1f2eeebba20994",
    "95a93703590208ac",
    "aa42695c97babb72",
    "caf914b2f3fdac7a",
    "f02b83a88c4fb4b5",
    "0e474550adb270f5",
    "fffd05eda8bab56f",
    "918d1d3d251f79ba",
    "4b64ea9e96616eba",
    "3670c5afc0c6bded",
    "2a319a7aa4e644a5",
    "3374e4fe4d4c4007",
    "725dac8455ee9be2",
    "533a9a53c151c5d5",
    "43ad88bb456d06fa",
    "1b9d315270e05162",
    "76f5425da695191c",
];

#[test]
fn a_denial_that_brings_a_configuration_is_frozen() {
    let denial = Denial { cell: CELL, nonce: 5, promised: Term(3), remaining_ms: 300, moved: Some(decision()) };
    let frame = encode(&Message::Lease(Box::new(LeaseMessage::Denial(denial.clone()))));
    let decided = postcard::to_stdvec(&decision()).unwrap();
    // Message 2 (lease), kind 2 (denial); nonce, term, milliseconds; an option that is there.
    let body = [&[1, 2, 2], &[0xce; 32][..], &[5, 3, 0xac, 0x02, 1], &decided].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    assert_eq!(frame, [&length[..], &body].concat());
    // The value, term 3, configuration 1, one acceptance.
    let value = postcard::to_stdvec(&value()).unwrap();
    let accepted = acceptance().to_bytes();
    assert_eq!(decided, [&value[..], &[3, 1, 1], &accepted].concat());
    assert_eq!(Blake3Digest::of(&frame).to_string()[..16], *"ac0f2f4ab28a4c8d");
    assert_eq!(decode(&frame), Ok(Message::Lease(Box::new(LeaseMessage::Denial(denial)))));
}

#[test]
fn what_is_no_frame_is_told_apart() {
    let frame = encode(&messages()[0]);
    assert_eq!(decode(&frame[..frame.len() - 1]), Err(WireError::Length { found: frame.len() - 1 }));
    assert_eq!(decode(&[0, 0]), Err(WireError::Length { found: 2 }));
    assert_eq!(decode(&[0, 0, 0, 0]), Err(WireError::Length { found: 4 }));
    assert_eq!(decode(&[0, 0, 0, 1, 2]), Err(WireError::UnsupportedVersion(2)));
    assert_eq!(decode(&[0, 0, 0, 2, 1, 9]), Err(WireError::Malformed { source: Some(postcard::Error::SerdeDeCustom) }));
    assert_eq!(decode(&vec![0; FRAME_MAX + 1]), Err(WireError::TooLong { found: FRAME_MAX + 1 }));
    let mut longer = frame;
    longer.push(0);
    longer[3] += 1;
    assert_eq!(decode(&longer), Err(WireError::Malformed { source: None }));
}

#[test]
fn the_largest_probe_fits_a_datagram() {
    let mut ack = probes().swap_remove(1);
    if let ProbeMessage::Ack { nonce, suspects, at, clock_ms, .. } = &mut ack {
        (*nonce, *clock_ms) = (u64::MAX, u32::MAX);
        let vector = [COMPONENT_MAX.cast_signed(); DIMENSIONS];
        let adjustment = ADJUSTMENT_MAX.cast_signed();
        let far = CoordinateWire { vector, height: HEIGHT_MAX, adjustment, error: ERROR_MAX };
        *at = Some(Coordinate::try_from(far).unwrap());
        *suspects = vec![(node(3), Incarnation(u64::MAX)); crate::wire::SUSPECTS_MAX];
    }
    let root = ScopeRoot { scope: Scope::Cell(CELL), root: u64::MAX };
    let others = vec![root; crate::wire::SCOPES_MAX];
    let summary = ExchangeMessage::Summary { scope: Scope::Cell(CELL), buckets: [u64::MAX; 16], others };
    let longest = [Message::Probe(ack), Message::Exchange(summary), Message::Accusation(accusation(1))];
    let longest = longest.map(|message| encode(&message).len());
    assert!(longest.iter().all(|bytes| *bytes <= 1_100), "{longest:?}");
}

#[test]
fn a_changed_signature_is_not_let_through() {
    let mut reply = grant();
    let stranger = SecretKey::from_seed([6; 32]);
    reply.grant = Signed::sign(&reply.grant.peek().unwrap(), &stranger);
    let mesh = hedgerow_attest::testing::SampleMesh::new(1);
    let roster = crate::roster::Roster::default();
    let message = Message::Lease(Box::new(LeaseMessage::Grant(reply)));
    let now = hedgerow_attest::testing::SampleMesh::NOW;
    let from_another = message.clone().verify(node(9), &roster, mesh.root(), now).unwrap_err();
    assert_eq!(from_another.to_string(), format!("signed part that speaks for {}", node(1)));
    let unknown = message.verify(node(1), &roster, mesh.root(), now).unwrap_err();
    assert_eq!(unknown.to_string(), format!("signed part of {}, whose key is not known", node(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_bytes_break_the_decoder(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if bytes.len() >= 5 {
            let length = u32::try_from(bytes.len() - 4).unwrap();
            bytes[..4].copy_from_slice(&length.to_be_bytes());
            bytes[4] = 1;
        }
        if let Ok(message) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&message)), Ok(message));
        }
    }

    #[test]
    fn a_changed_bit_gives_an_error_or_another_message(which in 0_usize..23, at in any::<proptest::sample::Index>(), bit in 0_u8..8) {
        let message = messages().swap_remove(which);
        let mut frame = encode(&message);
        let at = at.index(frame.len());
        frame[at] ^= 1 << bit;
        prop_assert_ne!(decode(&frame), Ok(message));
    }
}
