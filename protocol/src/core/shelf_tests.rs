//! Tests of keeping facts and comparing summaries.

use super::*;
use crate::fact::{Accusation, Charge};
use crate::id::Incarnation;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::signed::Verified;

const MOST: usize = 100;

fn fact(accused: u8, incarnation: u64) -> VerifiedFact {
    let accusation = Accusation {
        accuser: NodeId::from_bytes([250; 32]),
        accused: NodeId::from_bytes([accused; 32]),
        incarnation: Incarnation(incarnation),
    };
    let signed = Verified::sign_verified(&accusation, &SecretKey::from_seed([1; 32]));
    VerifiedFact::accusation(Charge::new(vec![signed]).expect("one is enough"))
}

#[test]
fn the_higher_version_holds_whatever_the_order() {
    let (mut forth, mut back) = (Shelf::new(Sound), Shelf::new(Sound));
    let (fresh, known) = (Adoption::Fresh, Adoption::Known);
    assert_eq!([1, 5, 3].map(|incarnation| forth.adopt(fact(2, incarnation), MOST)), [fresh, fresh, known]);
    assert_eq!([5, 5, 1].map(|incarnation| back.adopt(fact(2, incarnation), MOST)), [fresh, known, known]);
    assert_eq!(forth.buckets(), back.buckets());
    assert_eq!(forth.iter().collect::<Vec<_>>(), back.iter().collect::<Vec<_>>());
    assert_eq!(forth.iter().collect::<Vec<_>>(), [&fact(2, 5)]);
}

#[test]
fn summaries_differ_exactly_in_the_buckets_of_what_differs() {
    let (mut here, mut there) = (Shelf::new(Sound), Shelf::new(Sound));
    for accused in 0..40 {
        here.adopt(fact(accused * 6, 1), MOST);
        there.adopt(fact(accused * 6, 1), MOST);
    }
    assert_eq!(difference(&here.buckets().0, &there.buckets().0), 0);
    assert_eq!(here.buckets().root(), there.buckets().root());
    here.adopt(fact(42, 2), MOST);
    let mask = difference(&here.buckets().0, &there.buckets().0);
    let hash = fact(42, 2).hash();
    assert_eq!(mask, 1 << bucket(hash));
    assert_ne!(here.buckets().root(), there.buckets().root());
    assert_eq!(here.by_hash(hash), Some(&fact(42, 2)));
    for shelf in [&mut here, &mut there] {
        assert!(shelf.remove(fact(42, 2).key()));
        assert!(!shelf.remove(fact(42, 2).key()));
    }
    assert_eq!(here.buckets(), there.buckets());
    assert_eq!(here.by_hash(hash), None);
}

#[test]
fn the_hashes_that_nodes_compare_are_frozen() {
    let mut shelf = Shelf::new(Sound);
    shelf.adopt(fact(0x02, 5), MOST);
    shelf.adopt(fact(0x33, 1), MOST);
    let mut buckets = [0; SUMMARY_BUCKETS];
    buckets[11] = 0xae0d_214c_1770_90f2;
    buckets[8] = 0x3d0a_8df8_3250_e8ab;
    assert_eq!(shelf.buckets(), &Buckets(buckets));
    assert_eq!(shelf.buckets().root(), 0xc70f_3113_a8de_7c9a);
    assert_eq!(shelf.charges(), 0xdca8_ad99_3c59_70e1);
}

#[test]
fn a_full_shelf_takes_what_replaces_and_nothing_more() {
    let mut shelf = Shelf::new(Sound);
    let adopted = [(1, 1), (2, 1), (3, 1), (2, 2)].map(|(accused, version)| shelf.adopt(fact(accused, version), 2));
    assert_eq!(adopted, [Adoption::Fresh, Adoption::Fresh, Adoption::Full, Adoption::Fresh]);
    let taken = shelf.take(|fact| fact.version().major == 2);
    assert_eq!(taken, [fact(2, 2)]);
    let mut other = Shelf::new(Sound);
    other.adopt(fact(1, 1), 1);
    assert_eq!((shelf.buckets(), shelf.iter().len()), (other.buckets(), 1));
}
