//! Tests of keeping facts and comparing summaries.

use super::*;
use crate::fact::{Accusation, Statement};
use crate::id::Incarnation;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;

fn fact(accused: u8, incarnation: u64) -> VerifiedFact {
    let accusation = Accusation {
        accuser: NodeId::from_bytes([1; 32]),
        accused: NodeId::from_bytes([accused; 32]),
        incarnation: Incarnation(incarnation),
    };
    match Statement::Accusation(accusation).sign(&SecretKey::from_seed([1; 32])) {
        crate::fact::SignedStatement::Fact(fact) => *fact,
        crate::fact::SignedStatement::Grant(_) | crate::fact::SignedStatement::Acceptance(_) => {
            unreachable!("an accusation is a fact")
        }
    }
}

#[test]
fn the_higher_version_holds_whatever_the_order() {
    let (mut forth, mut back) = (FactStore::default(), FactStore::default());
    assert_eq!(
        [forth.adopt(fact(2, 1)), forth.adopt(fact(2, 5)), forth.adopt(fact(2, 3))].map(|a| a == Adoption::Fresh),
        [true, true, false]
    );
    assert_eq!(back.adopt(fact(2, 5)), Adoption::Fresh);
    assert_eq!(back.adopt(fact(2, 5)), Adoption::Known);
    assert_eq!(back.adopt(fact(2, 1)), Adoption::Known);
    assert_eq!(forth.summary(), back.summary());
    assert_eq!(forth.iter().collect::<Vec<_>>(), back.iter().collect::<Vec<_>>());
    assert_eq!(forth.iter().count(), 1);
}

#[test]
fn summaries_differ_exactly_in_the_buckets_of_what_differs() {
    let (mut here, mut there) = (FactStore::default(), FactStore::default());
    for accused in 0..40 {
        here.adopt(fact(accused, 1));
        there.adopt(fact(accused, 1));
    }
    assert_eq!(difference(&here.summary(), &there.summary()), 0);
    here.adopt(fact(7, 2));
    let mask = difference(&here.summary(), &there.summary());
    let hash = fact(7, 2).key().hash();
    assert_eq!(mask, 1 << bucket(hash));
    let listed: Vec<FactEntry> = here.entries(mask).map(|(entry, _)| entry).collect();
    assert!(listed.iter().all(|entry| bucket(entry.key) == bucket(hash)));
    assert!(listed.iter().any(|entry| entry.key == hash && entry.version.major == 2));
    here.remove(&fact(7, 2).key().clone());
    there.remove(&fact(7, 2).key().clone());
    assert_eq!(here.summary(), there.summary());
    assert_eq!(here.by_hash(hash), None);
}
