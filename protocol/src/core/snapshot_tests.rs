//! Tests of what comes back from the store.

use super::*;
use crate::election::Promise;
use crate::id::BootId;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::testing::SampleMesh;

const CELL: CellId = CellId::from_bytes([7; 32]);

const NOBODY: NodeId = NodeId::from_bytes([7; 32]);

fn row(op: StoreOp) -> Row {
    match op {
        StoreOp::Put { table, key, value } => (table, key, value),
        StoreOp::Keep(fact) => StoreOp::put_fact(&fact),
        StoreOp::Delete { .. } => panic!("a row is put"),
    }
}

fn read_back(rows: Vec<Row>) -> Result<Snapshot, SnapshotError> {
    Snapshot::from_rows(rows, SampleMesh::new(1).root(), SampleMesh::NOW)
}

#[test]
fn every_row_comes_back_whatever_the_order() {
    let mesh = SampleMesh::new(1);
    let promise = Promise { term: Term(4), holder: NodeId::from_bytes([2; 32]), boot: BootId([3; 16]) };
    let vote = VoterRecord { promise: Some(promise), accepted: None };
    let fence = Fence { generation: Generation(0), slot: Slot(9), term: Term(4) };
    // The birth can be verified only once the issuer is known.
    let member = VerifiedFact::member(mesh.member(0, "eu"));
    let birth = VerifiedFact::genesis(mesh.birth("eu", &mesh.member(0, "eu")));
    let mut rows: Vec<Row> = [
        StoreOp::Keep(birth.clone()),
        put_fence(&CELL, &fence),
        StoreOp::Keep(member.clone()),
        put_vote(&CELL, &vote),
        put_incarnation(Incarnation(6)),
    ]
    .into_iter()
    .map(row)
    .collect();
    for _ in 0..2 {
        let snapshot = read_back(rows.clone()).expect("our own rows");
        assert_eq!((snapshot.incarnation, snapshot.expired), (Incarnation(6), 0));
        assert_eq!((&snapshot.votes[&CELL], &snapshot.fences[&CELL]), (&vote, &fence));
        assert_eq!(snapshot.facts, [member.clone(), birth.clone()]);
        rows.reverse();
    }
}

#[test]
fn what_the_store_holds_is_frozen() {
    let fence = Fence { generation: Generation(1), slot: Slot(2), term: Term(3) };
    assert_eq!(row(put_fence(&CELL, &fence)), (StoreTable::Fences, vec![7; 32], vec![1, 1, 2, 3]));
    assert_eq!(row(put_incarnation(Incarnation(300))), (StoreTable::Incarnation, vec![], vec![1, 0xac, 0x02]));
}

#[test]
fn a_damaged_store_is_refused_and_not_forgotten() {
    let (incarnation, votes) = (StoreTable::Incarnation, StoreTable::Votes);
    let error = |row: Row| read_back(vec![row]).expect_err("a damaged row").to_string();
    assert_eq!(error((incarnation, vec![], vec![2, 6])), "stored row of version 2 in table Incarnation");
    assert_eq!(error((incarnation, vec![], vec![])), "malformed row in table Incarnation");
    assert_eq!(error((incarnation, vec![], vec![1, 6, 6])), "malformed row in table Incarnation");
    assert_eq!(error((votes, vec![7; 31], vec![1, 0, 0])), "malformed row in table Votes");
    let (table, key, mut value) = row(StoreOp::Keep(VerifiedFact::member(SampleMesh::new(1).member(3, "eu"))));
    // Inside the issuer's signature.
    value[60] ^= 1;
    assert_eq!(error((table, key, value)), "stored fact that does not hold");
}

#[test]
fn who_is_out_is_known_by_the_rows_alone_and_before_all_else() {
    let mesh = SampleMesh::new(1);
    let roster = Roster::default();
    let fact = |signed: SignedFact| signed.verify(&roster, mesh.root(), SampleMesh::NOW).expect("it holds");
    let [three, four] = [3, 4].map(|number| mesh.keys(number).chain.node());
    let mut rows: Vec<Row> = [
        StoreOp::Keep(VerifiedFact::member(mesh.member(3, "eu"))),
        StoreOp::Keep(fact(SignedFact::Revocation(mesh.revoking(3, 0)))),
        StoreOp::Keep(fact(SignedFact::Withdrawal(Box::new(mesh.withdrawing(4, 4, 9))))),
        put_incarnation(Incarnation(6)),
    ]
    .into_iter()
    .map(row)
    .collect();
    let revoked = Snapshot::revoked_in(rows.clone(), mesh.root()).expect("our own rows");
    let mut expected = vec![three, four];
    expected.sort_unstable();
    assert_eq!(revoked.nodes().collect::<Vec<_>>(), expected);
    let snapshot = read_back(rows.clone()).expect("our own rows");
    assert_eq!([three, four, NOBODY].map(|node| snapshot.is_revoked(&node)), [true, true, false]);
    assert_eq!(
        snapshot.revocation_of(&three).map(|revocation| revocation.reason().to_string()),
        Some("lost".to_owned())
    );
    assert_eq!(snapshot.facts.iter().map(|fact| fact.turn().0).max(), Some(0), "before all that they concern");
    let forged =
        rows.iter_mut().find(|(_, key, _)| *key == FactKey::Revocation(three).to_bytes()).expect("it is there");
    let last = forged.2.len() - 1;
    forged.2[last] ^= 1;
    assert!(matches!(Snapshot::revoked_in(rows, mesh.root()), Err(SnapshotError::Forged(_))));
}

#[test]
fn facts_that_time_made_void_are_dropped_and_counted() {
    let mesh = SampleMesh::new(1);
    let rows = [StoreOp::Keep(VerifiedFact::member(mesh.member(3, "eu")))].map(row);
    let later = SampleMesh::NOW.plus_s(40 * 24 * 3_600);
    let snapshot = Snapshot::from_rows(rows, mesh.root(), later).expect("an ended certificate is no damage");
    assert_eq!((snapshot.facts.len(), snapshot.expired), (0, 1));
}
