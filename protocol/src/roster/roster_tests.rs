//! What a node that knows the root and a genesis makes of the ends of cells.

use super::*;
use crate::core::{Snapshot, StoreOp};
use crate::fact::{FactKey, FactRefusal, SignedFact};
use crate::id::{Generation, PlacementEpoch, Term};
use crate::name::{ClassName, Namespace};
use crate::placement::Lineage;
use crate::register::{Absorb, Acceptance, Content, Decision, Half, Head, MergeInto, Split, Value, Voter};
use crate::session_id::{GROUP_PREFIXES, SessionId};
use hedgerow_attest::signed::{Domain as _, Signed};
use hedgerow_attest::testing::SampleMesh;

/// A register whose only voter is that member.
struct Register {
    voter: u32,
    head: Head,
    cell: CellId,
}

impl Register {
    /// What it decides next.
    fn decide(&mut self, mesh: &SampleMesh, content: Content) -> Decision {
        let (cell, head, term) = (self.cell, self.head, Term(1));
        let value = Value { cell, generation: Generation(0), slot: head.slot.next(), previous: head.digest, content };
        self.head = value.head();
        let (generation, slot, digest) = (value.generation, value.slot, value.digest());
        let voter = node(mesh, self.voter);
        let acceptance = Acceptance { cell, generation, slot, value: digest, term, voter };
        let acceptances = vec![Signed::sign(&acceptance, &mesh.keys(self.voter).statement)];
        Decision { value, term, config_epoch: ConfigEpoch(1), acceptances }
    }
}

fn node(mesh: &SampleMesh, number: u32) -> NodeId {
    mesh.member(number, "eu").node()
}

/// A half in which the first of these votes.
fn half(mesh: &SampleMesh, numbers: &[u32]) -> Half {
    let sole = mesh.member(numbers[0], "eu");
    let voter = Voter { node: sole.node(), key: *sole.statement() };
    let mut members: Vec<NodeId> = numbers.iter().map(|number| node(mesh, *number)).collect();
    members.sort_unstable();
    Half { voters: Configuration::majority(ConfigEpoch(1), vec![voter]), members }
}

/// The birth of a region, its division, and the merging of what it was divided into, in this order; and the cells: that of
/// the birth, the one that takes in, the one that is taken in.
fn history(mesh: &SampleMesh) -> (Vec<SignedFact>, [CellId; 3]) {
    let founder = mesh.member(0, "eu");
    let birth = mesh.birth("eu", &founder);
    let genesis = Head::genesis(birth.cell());
    let mut parent = Register { voter: 0, head: genesis, cell: birth.cell() };
    let halves = [half(mesh, &[0, 1]), half(mesh, &[2, 3])];
    let split = parent.decide(mesh, Content::Split(Split { halves }));
    let known = [
        SignedFact::Member(Box::new(founder.certificate().clone())),
        SignedFact::Genesis(birth.genesis().envelope().clone()),
        SignedFact::Decision(Box::new(split)),
    ];
    let roster = learnt(mesh, &known);
    let cells = roster.cells_of(founder.region());
    let [target, source] = cells[..] else { panic!("two cells, not {cells:?}") };
    let voter = |cell| if roster.cell_of(founder.region(), &node(mesh, 0)) == Some(cell) { 0 } else { 2 };
    let mut into = Register { voter: voter(target), head: Head::genesis(target), cell: target };
    let absorb = into.decide(mesh, Content::Absorb(Absorb { source }));
    let absorbed = absorb.value.digest();
    let mut taken = Register { voter: voter(source), head: Head::genesis(source), cell: source };
    let merge = taken.decide(mesh, Content::MergeInto(MergeInto { target, absorbed }));
    let late = taken.decide(mesh, Content::Retirement(PlacementEpoch(1)));
    let more = [absorb, merge, late].map(|decision| SignedFact::Decision(Box::new(decision)));
    (known.into_iter().chain(more).collect(), [birth.cell(), target, source])
}

fn learnt(mesh: &SampleMesh, facts: &[SignedFact]) -> Roster {
    let mut roster = Roster::default();
    for fact in facts {
        let fact = fact.clone().verify(&roster, mesh.root(), SampleMesh::NOW).expect("each follows from those before");
        roster.learn(&fact);
    }
    roster
}

#[test]
fn cells_are_followed_from_the_genesis_through_those_that_ended() {
    let mesh = SampleMesh::new(1);
    let (facts, [birth, target, source]) = history(&mesh);
    let region = Region::new("eu").unwrap();
    let session = |birth| {
        let (class, namespace) = (ClassName::new("cart").unwrap(), Namespace::new("shop").unwrap());
        SessionId::named(birth, class, namespace, "alice")
    };
    let seen = |facts: &[SignedFact]| {
        let roster = learnt(&mesh, facts);
        let of = |number| roster.cell_of(&region, &node(&mesh, number));
        (roster.cells_of(&region), [of(0), of(1)], [of(2), of(3)], roster.cell_count())
    };
    assert_eq!(seen(&facts[..2]), (vec![birth], [Some(birth); 2], [Some(birth); 2], 1));
    let roster = learnt(&mesh, &facts[..3]);
    let [here, there] = [0, 2].map(|number| roster.cell_of(&region, &node(&mesh, number)));
    assert_ne!(here, there);
    assert_eq!(seen(&facts[..4]), (vec![target, source], [here; 2], [there; 2], 2));
    let home = |roster: &Roster, cell| Lineage::of(roster).home(&session(cell).group(GROUP_PREFIXES));
    assert!([here, there].contains(&Some(home(&roster, birth))));
    assert_eq!(home(&roster, source), source);
    assert_eq!(roster.cell_of(&region, &node(&mesh, 9)), learnt(&mesh, &facts[..3]).cell_of(&region, &node(&mesh, 9)));
    assert_eq!(seen(&facts[..5]), (vec![target], [Some(target); 2], [Some(target); 2], 1));
    let merged = learnt(&mesh, &facts[..5]);
    assert_eq!([birth, source, target].map(|cell| home(&merged, cell)), [target; 3]);
    assert_eq!([birth, source, target].map(|cell| merged.end_of(&cell).is_some()), [true, true, false]);
    assert_eq!(merged.cell(&source).map(|book| book.region().clone()), Some(region));
}

#[test]
fn a_register_that_ended_decides_nothing_and_a_strangers_end_is_not_believed() {
    let mesh = SampleMesh::new(1);
    let (facts, [birth, target, _]) = history(&mesh);
    let after = |known: usize, fact: &SignedFact| {
        let verified = fact.clone().verify(&learnt(&mesh, &facts[..known]), mesh.root(), SampleMesh::NOW);
        verified.map(|fact| fact.key().clone()).map_err(|refusal| {
            if let FactRefusal::Decision(why) = refusal { why.to_string() } else { refusal.to_string() }
        })
    };
    let refused = |why: &str| Err(why.to_owned());
    assert_eq!(after(5, &facts[5]), refused("slot after the last of a register"));
    let early = format!("statement about cell {target}, whose genesis is not known");
    assert_eq!(after(2, &facts[3]), Err(early), "the end of the parent has to come first");
    assert_eq!(after(2, &facts[2]), Ok(FactKey::End(birth)));
    let SignedFact::Decision(mut forged) = facts[2].clone() else { panic!("it is the split") };
    forged.acceptances.clear();
    assert_eq!(after(2, &SignedFact::Decision(forged)), refused("certificate without a quorum"));
    let absorb = |source: CellId| {
        let mut register = Register { voter: 0, head: Head::genesis(birth), cell: birth };
        SignedFact::Decision(Box::new(register.decide(&mesh, Content::Absorb(Absorb { source }))))
    };
    let lower = after(2, &absorb(CellId::from_bytes([0; 32])));
    assert_eq!(lower, refused("succession of cells that may not follow each other"));
    assert_eq!(
        after(2, &absorb(CellId::from_bytes([0xff; 32]))),
        Ok(FactKey::Absorb(birth, CellId::from_bytes([0xff; 32])))
    );
}

#[test]
fn ends_come_back_from_the_store_in_an_order_in_which_they_can_be_checked() {
    let mesh = SampleMesh::new(1);
    let (facts, [birth, target, source]) = history(&mesh);
    let mut roster = Roster::default();
    let mut rows = Vec::new();
    for fact in &facts[..5] {
        let fact = fact.clone().verify(&roster, mesh.root(), SampleMesh::NOW).expect("each follows");
        roster.learn(&fact);
        rows.push(StoreOp::put_fact(&fact));
    }
    let expected = [
        FactKey::Member(node(&mesh, 0)),
        FactKey::Genesis(birth),
        FactKey::End(birth),
        FactKey::End(source),
        FactKey::Absorb(target, source),
    ];
    for _ in 0..2 {
        let snapshot = Snapshot::from_rows(rows.clone(), mesh.root(), SampleMesh::NOW).expect("our own rows");
        let keys: Vec<FactKey> = snapshot.facts.iter().map(|fact| fact.key().clone()).collect();
        assert_eq!((keys, snapshot.expired), (expected.to_vec(), 0));
        let mut shuffled = snapshot.facts;
        shuffled.reverse();
        shuffled.sort_by(|a, b| a.turn().cmp(&b.turn()));
        let keys: Vec<FactKey> = shuffled.iter().map(|fact| fact.key().clone()).collect();
        assert_eq!(keys, expected, "as one node sends them to another");
        rows.reverse();
    }
}

#[test]
fn cells_outlive_the_certificate_of_the_issuer_that_founded_them() {
    let mesh = SampleMesh::new(1);
    let (facts, [.., target, _]) = history(&mesh);
    let rows: Vec<_> = {
        let mut roster = Roster::default();
        let verified = facts[..5].iter().map(|fact| {
            let fact = fact.clone().verify(&roster, mesh.root(), SampleMesh::NOW).expect("each follows");
            roster.learn(&fact);
            fact
        });
        verified.map(|fact| StoreOp::put_fact(&fact)).collect()
    };
    let later = SampleMesh::NOW.plus_s(40 * 24 * 3_600);
    let snapshot = Snapshot::from_rows(rows, mesh.root(), later).expect("our own rows");
    let mut roster = Roster::default();
    for fact in &snapshot.facts {
        roster.learn(fact);
    }
    let founder = node(&mesh, 0);
    assert_eq!((snapshot.facts.len(), snapshot.expired), (5, 0));
    assert_eq!(roster.cells_of(mesh.member(0, "eu").region()), [target]);
    assert_eq!((roster.member(&founder), roster.members().len()), (None, 0), "it is a member no more");
    assert_eq!(roster.statement_key(&founder), Some(mesh.keys(0).statement.public()));
    // Nobody else is known by a certificate that is over, and the founder is a member again by a later one.
    let ended = SignedFact::Member(Box::new(mesh.member(2, "eu").certificate().clone()));
    assert!(matches!(ended.verify(&roster, mesh.root(), later), Err(FactRefusal::Membership(_))));
    let renewed = mesh.member_of(&mesh.keys(0), "eu", 9);
    assert!(roster.learn(&VerifiedFact::member(renewed.clone())));
    assert_eq!(roster.member(&founder), Some(&renewed));
    assert!(!roster.learn(&snapshot.facts[0]), "what is over replaces nothing");
    roster.retire(&founder);
    assert_eq!((roster.member(&founder), roster.author(&founder).map(Member::serial)), (None, Some(9)));
}

#[test]
fn an_end_of_the_longest_kind_fits_a_fact() {
    let all: Vec<NodeId> = (0..=u16::MAX).take(2 * crate::register::HALF_MEMBERS_MAX).map(numbered).collect();
    let (one, other) = all.split_at(crate::register::HALF_MEMBERS_MAX);
    let key = hedgerow_attest::key::SecretKey::from_seed([1; 32]).public();
    let half = |members: &[NodeId]| {
        let voters = members.iter().take(7).map(|node| Voter { node: *node, key }).collect();
        Half { voters: Configuration::majority(ConfigEpoch(1), voters), members: members.to_vec() }
    };
    let split = Split { halves: [half(one), half(other)] };
    assert!(split.is_well_formed());
    let length = postcard::to_stdvec(&split).unwrap().len();
    let acceptances = 14 * (Acceptance::PAYLOAD_MAX + 128);
    assert!(length + acceptances < crate::fact::FACT_MAX, "{length}");
}

fn numbered(number: u16) -> NodeId {
    let [high, low] = number.to_be_bytes();
    let mut bytes = [0; 32];
    (bytes[0], bytes[1]) = (high, low);
    NodeId::from_bytes(bytes)
}
