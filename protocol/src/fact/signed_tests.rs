//! Facts of version 1, frozen byte for byte, and the door from signed to verified.

use super::*;
use crate::coords::Coordinates;
use crate::fact::{
    CellContact, FactKey, FactRefusal, FactVersion, Health, Liveness, NodeState, SignedStatement, Statement, Totals,
    VerifiedFact, WarmModel,
};
use crate::id::{BootId, ConfigEpoch, Generation, Incarnation, PolicyVersion, Slot, Term};
use crate::name::{ClassName, ModelName, ModelRef, ModelVersion};
use crate::placement::{DataClass, NodeClassRule};
use crate::register::{Acceptance, Configuration, Content, Head, Recovery, Value, Voter};
use crate::roster::Roster;
use crate::time::Wall;
use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use hedgerow_attest::testing::SampleMesh;

const NOW: hedgerow_attest::time::UnixSeconds = SampleMesh::NOW;

fn eu() -> Region {
    Region::new("eu").unwrap()
}

fn record(mesh: &SampleMesh, number: u32, region: &str) -> NodeRecord {
    NodeRecord {
        node: mesh.member(number, "eu").node(),
        boot: BootId([3; 16]),
        incarnation: Incarnation(2),
        seq: 1,
        region: Region::new(region).unwrap(),
        cell: None,
        addresses: vec!["192.0.2.1:4334".parse().unwrap()],
        state: NodeState::Up,
        health: Health { queue_depth: 1, free_memory_mib: 512, warm: vec![digits()], ..Health::default() },
        at: Wall(7),
    }
}

fn digits() -> ModelRef {
    ModelRef { model: ModelName::new("digits").unwrap(), version: ModelVersion::new("1").unwrap() }
}

fn decision(mesh: &SampleMesh) -> Decision {
    let cell = mesh.birth("eu", &mesh.member(0, "eu")).cell();
    let voter = |number| {
        let member = mesh.member(number, "eu");
        Voter { node: member.node(), key: *member.statement() }
    };
    let next = Configuration::majority(ConfigEpoch(2), vec![voter(0), voter(1), voter(2)]);
    let head = Head::genesis(cell);
    let (generation, slot, term) = (Generation(0), Slot(1), Term(1));
    let value = Value { cell, generation, slot, previous: head.digest, content: Content::Configuration(next) };
    let accept = |number| {
        let voter = mesh.member(number, "eu").node();
        let acceptance = Acceptance { cell, generation, slot, value: value.digest(), term, voter };
        Signed::sign(&acceptance, &mesh.keys(number).statement)
    };
    Decision { acceptances: vec![accept(0), accept(1)], value, term, config_epoch: ConfigEpoch(1) }
}

fn certificate(mesh: &SampleMesh, number: u32) -> SignedFact {
    SignedFact::Member(Box::new(mesh.member(number, "eu").certificate().clone()))
}

/// One fact of every kind, in an order in which each can be verified.
fn facts(mesh: &SampleMesh) -> Vec<SignedFact> {
    let (one, two) = (mesh.keys(1).statement, mesh.member(2, "eu"));
    let birth = mesh.birth("eu", &mesh.member(0, "eu"));
    let accuser = mesh.member(1, "eu").node();
    let accusation = Accusation { accuser, accused: two.node(), incarnation: Incarnation(2) };
    let contact = CellContact {
        node: two.node(),
        incarnation: Incarnation(2),
        liveness: Liveness::Alive,
        queue_depth: 3,
        warm: 1,
        addresses: vec!["192.0.2.2:4334".parse().unwrap()],
    };
    let mut totals = Totals::default();
    let health = Health { queue_depth: 3, free_memory_mib: 512, ..Health::default() };
    totals.count(Liveness::Alive, false, two.class(), &health);
    let rollup = Rollup {
        cell: birth.cell(),
        region: eu(),
        generation: Generation(0),
        config_epoch: ConfigEpoch(2),
        term: Term(4),
        window: 5,
        holder: mesh.member(1, "eu").node(),
        at: Wall(7),
        place: Some(Coordinates::new().own()),
        totals,
        models: vec![WarmModel { model: digits(), nodes: 1 }],
        contacts: vec![contact],
    };
    let class = DataClass {
        name: ClassName::new("cart").unwrap(),
        replicas: 3,
        write_quorum: 2,
        regions: vec![eu()],
        personal: true,
        ttl_s: 60,
    };
    let policy = Policy { version: PolicyVersion(1), parent: None, classes: vec![class] };
    let edge = NodeClassRule { name: NodeClass::new("edge").unwrap(), weight: 5 };
    let node_classes = NodeClasses { revision: 3, classes: vec![edge] };
    let deployment = Deployment {
        model: digits().model,
        version: digits().version,
        revision: 1,
        manifest: Sha256Digest::of(b"manifest"),
        replicas: 2,
        regions: vec![eu()],
    };
    let base = Head::genesis(birth.cell());
    let voters = Configuration::majority(
        ConfigEpoch::first_of(Generation(1)),
        vec![Voter { node: two.node(), key: *two.statement() }],
    );
    let recovery = Recovery { cell: birth.cell(), generation: Generation(1), base, base_epoch: ConfigEpoch(1), voters };
    vec![
        certificate(mesh, 0),
        certificate(mesh, 1),
        certificate(mesh, 2),
        SignedFact::Genesis(birth.genesis().envelope().clone()),
        SignedFact::Decision(Box::new(decision(mesh))),
        SignedFact::Record(Signed::sign(&record(mesh, 1, "eu"), &one)),
        SignedFact::Accusation(vec![Signed::sign(&accusation, &one)]),
        SignedFact::Rollup(Signed::sign(&rollup, &one)),
        SignedFact::Policy(Endorsed::sign(&policy, &[mesh.policy()])),
        SignedFact::Deployment(Endorsed::sign(&deployment, &[mesh.publisher()])),
        SignedFact::NodeClasses(Endorsed::sign(&node_classes, &[mesh.policy()])),
        SignedFact::Recovery(Endorsed::sign(&recovery, &[mesh.operator()])),
        SignedFact::Revocation(mesh.revoking(9, 40)),
        SignedFact::Withdrawal(Box::new(mesh.withdrawing(9, 3, 41))),
    ]
}

/// A roster that knows the members, the birth and the voters.
fn roster(mesh: &SampleMesh) -> Roster {
    let mut roster = Roster::default();
    for fact in facts(mesh).into_iter().take(5) {
        let verified = fact.verify(&roster, mesh.root(), NOW).expect("each can be verified after those before it");
        roster.learn(&verified);
    }
    roster
}

#[test]
fn every_kind_verifies_in_the_order_of_its_key() {
    let mesh = SampleMesh::new(1);
    let roster = roster(&mesh);
    let keys: Vec<FactKey> = facts(&mesh)
        .into_iter()
        .skip(3)
        .map(|fact| fact.verify(&roster, mesh.root(), NOW).expect("signed by those who must").key().clone())
        .collect();
    let cell = roster.birth_of(&eu()).expect("it was founded");
    let (one, two) = (mesh.member(1, "eu").node(), mesh.member(2, "eu").node());
    let expected = [
        FactKey::Genesis(cell),
        FactKey::Configuration(cell, ConfigEpoch(2)),
        FactKey::Record(one),
        FactKey::Accusation(two),
        FactKey::Rollup(cell),
        FactKey::Policy(PolicyVersion(1)),
        FactKey::Deployment(digits().model),
        FactKey::NodeClasses,
        FactKey::Recovery(cell, Generation(1)),
        FactKey::Revocation(mesh.keys(9).chain.node()),
        FactKey::Withdrawal(mesh.keys(9).chain.node(), mesh.keys(0).chain.node()),
    ];
    assert_eq!(keys, expected);
}

#[test]
fn the_bytes_of_every_kind_are_frozen() {
    let facts = facts(&SampleMesh::new(1));
    let digests: Vec<String> =
        facts[2..].iter().map(|fact| Blake3Digest::of(&fact.to_bytes()).to_string()[..16].to_owned()).collect();
    assert_eq!(digests, FROZEN, "a change of these bytes needs a version of its own");
    for fact in facts {
        assert_eq!(fact.size(), fact.to_bytes().len());
        assert_eq!(SignedFact::from_bytes(&fact.to_bytes()), Ok(fact));
    }
}

/// The first eight bytes of the blake3 digest of each fact of `facts()` from the last certificate on.
const FROZEN: [&str; 12] = [
    "009f724d02896f2e",
    "90d34798586873c0",
    "8a29cee4af14d447",
    "c01cd10c99e1f0a6",
    "a35fc403b2b9881f",
    "f6512924e0949eb1",
    "a814cc065a6a96f0",
    "34e61b7e55105230",
    "6f64aeda91a91783",
    "ef16a79c490d301a",
    "f047d7d9d256abd3",
    "0fdea07343f425a1",
];

#[test]
fn bytes_that_are_no_fact_are_told_apart() {
    let bytes = facts(&SampleMesh::new(1))[6].to_bytes();
    assert_eq!(SignedFact::from_bytes(&[]), Err(FactDecodeError::Malformed { source: None }));
    assert_eq!(SignedFact::from_bytes(&[9]), Err(FactDecodeError::UnsupportedVersion(9)));
    assert_eq!(SignedFact::from_bytes(&vec![0; FACT_MAX + 1]), Err(FactDecodeError::TooLong { found: FACT_MAX + 1 }));
    assert_eq!(SignedFact::from_bytes(&[&bytes[..], &[0]].concat()), Err(FactDecodeError::Malformed { source: None }));
    let cut = SignedFact::from_bytes(&bytes[..bytes.len() - 1]);
    let source = Some(postcard::Error::DeserializeUnexpectedEnd);
    assert_eq!(cut, Err(FactDecodeError::Malformed { source }));
}

#[test]
fn a_fact_in_another_encoding_is_none() {
    let bytes = certificate(&SampleMesh::new(1), 5).to_bytes();
    // The kind, as a varint with a group of zeros behind it.
    let padded = [&[bytes[0], bytes[1] | 0x80, 0], &bytes[2..]].concat();
    assert!(postcard::take_from_bytes::<SignedFact>(&padded[1..]).is_ok(), "the decoder reads it");
    assert!(matches!(SignedFact::from_bytes(&padded), Err(FactDecodeError::Malformed { source: None })));
}

#[test]
fn what_arrives_before_what_it_depends_on_may_heal() {
    let mesh = SampleMesh::new(1);
    for fact in facts(&mesh).into_iter().skip(3).take(5) {
        let refusal = fact.clone().verify(&Roster::default(), mesh.root(), NOW).unwrap_err();
        assert!(refusal.may_heal(), "{fact:?}: {refusal}");
    }
}

#[test]
fn nobody_speaks_for_another() {
    let mesh = SampleMesh::new(1);
    let roster = roster(&mesh);
    let refusal = |fact: SignedFact| fact.verify(&roster, mesh.root(), NOW).unwrap_err();
    let (one, two) = (mesh.keys(1).statement, mesh.keys(2).statement);
    let forged = refusal(SignedFact::Record(Signed::sign(&record(&mesh, 1, "eu"), &two)));
    assert!(matches!(forged, FactRefusal::Signature(_)), "{forged}");
    let displaced = refusal(SignedFact::Record(Signed::sign(&record(&mesh, 1, "us"), &one)));
    assert!(matches!(displaced, FactRefusal::IllFormed), "{displaced}");
    let SignedFact::Policy(policy) = facts(&mesh).swap_remove(8) else { panic!("the policy") };
    let unlawful = refusal(SignedFact::Policy(Endorsed::sign(&policy.peek().unwrap(), &[mesh.publisher()])));
    assert!(matches!(unlawful, FactRefusal::Endorsement(_)), "{unlawful}");
    let SignedFact::NodeClasses(shares) = facts(&mesh).swap_remove(10) else { panic!("the shares") };
    let shares = shares.peek().unwrap();
    let unlawful = refusal(SignedFact::NodeClasses(Endorsed::sign(&shares, &[mesh.publisher()])));
    assert!(matches!(unlawful, FactRefusal::Endorsement(_)), "{unlawful}");
    let twice = NodeClasses { classes: [shares.classes.clone(), shares.classes].concat(), ..shares };
    let twice = refusal(SignedFact::NodeClasses(Endorsed::sign(&twice, &[mesh.policy()])));
    assert!(matches!(twice, FactRefusal::IllFormed), "{twice}");
    let other_mesh = SampleMesh::new(2);
    let stranger = refusal(facts(&other_mesh).swap_remove(0));
    assert!(matches!(stranger, FactRefusal::Membership(_)), "{stranger}");
    assert!(!stranger.may_heal());
}

#[test]
fn a_charge_counts_as_a_whole_or_not_at_all() {
    let mesh = SampleMesh::new(1);
    let mut roster = roster(&mesh);
    roster.admit(&mesh.member(5, "us"));
    let node = |number: u32| mesh.member(number, if number == 5 { "us" } else { "eu" }).node();
    let by = |accuser: u32, accused: u32, incarnation: u64| {
        let (accuser_id, accused, incarnation) = (node(accuser), node(accused), Incarnation(incarnation));
        Signed::sign(&Accusation { accuser: accuser_id, accused, incarnation }, &mesh.keys(accuser).statement)
    };
    let (first, second) = if node(0) < node(1) { (0, 1) } else { (1, 0) };
    let verify = |list: Vec<Signed<Accusation>>| SignedFact::Accusation(list).verify(&roster, mesh.root(), NOW);
    let charge = verify(vec![by(first, 2, 4), by(second, 2, 4)]).expect("both may say so");
    assert_eq!(charge.version(), FactVersion { major: 4, minor: 2, tie: 0 });
    let refused = [
        (vec![], "none"),
        (vec![by(second, 2, 4), by(first, 2, 4)], "in another order"),
        (vec![by(first, 2, 4), by(second, 2, 5)], "of two incarnations"),
        (vec![by(first, 2, 4), by(first, 2, 4)], "one twice"),
        (vec![by(2, 2, 4)], "of oneself"),
    ];
    for (list, what) in refused {
        assert!(matches!(verify(list), Err(FactRefusal::IllFormed)), "{what}");
    }
    let abroad = verify(vec![by(5, 2, 4)]).unwrap_err();
    assert!(matches!(abroad, FactRefusal::NotItsAuthor { .. }), "{abroad}");
    let mut forged = by(first, 2, 4);
    forged = Signed::sign(&forged.peek().unwrap(), &mesh.keys(second).statement);
    assert!(matches!(verify(vec![forged]), Err(FactRefusal::Signature(_))));
}

#[test]
fn a_departure_outranks_whatever_is_signed_later() {
    let mesh = SampleMesh::new(1);
    let key = mesh.keys(1).statement;
    let version = |record: NodeRecord| match Statement::Record(Box::new(record)).sign(&key) {
        SignedStatement::Fact(fact) => VerifiedFact::version(&fact),
        SignedStatement::Accusation(_) | SignedStatement::Grant(_) | SignedStatement::Acceptance(_) => {
            unreachable!("a record is a fact")
        }
    };
    let left = version(NodeRecord { state: NodeState::Left, ..record(&mesh, 1, "eu") });
    let later = version(NodeRecord { incarnation: Incarnation(99), seq: 99, ..record(&mesh, 1, "eu") });
    assert!(left > later);
    assert!(later > FactVersion { major: 2, minor: 1, tie: u64::MAX });
}

#[test]
fn of_two_revocations_of_one_node_that_holds_which_leaves_less_standing() {
    let (mesh, roster) = (SampleMesh::new(1), Roster::default());
    let version = |signed: SignedFact| signed.verify(&roster, mesh.root(), NOW).unwrap().version();
    let by_operators = |holds_up_to| version(SignedFact::Revocation(mesh.revoking(9, holds_up_to)));
    assert!(by_operators(6) > by_operators(7) && by_operators(0) > by_operators(6));
    let by_issuer = |serial| version(SignedFact::Withdrawal(Box::new(mesh.withdrawing(9, 3, serial))));
    assert!(by_issuer(11) > by_issuer(12));
    let (other, thief) = (SampleMesh::new(2), mesh.keys(66).statement);
    let foreign = SignedFact::Revocation(other.revoking(9, 6)).verify(&roster, mesh.root(), NOW).unwrap_err();
    assert!(matches!(foreign, FactRefusal::Revocation(_)) && !foreign.may_heal() && !foreign.is_of_its_time());
    let mut forged = mesh.withdrawing(9, 3, 12);
    forged.withdrawal = Signed::sign(&forged.withdrawal.peek().unwrap(), &thief);
    let forged = SignedFact::Withdrawal(Box::new(forged)).verify(&roster, mesh.root(), NOW).unwrap_err();
    assert!(matches!(forged, FactRefusal::Revocation(_)), "{forged}");
}
