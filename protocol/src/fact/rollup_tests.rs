//! Tests of rollups: how long they get, and that it does not matter in which order they are heard.

use super::*;
use crate::core::{Adoption, Shelf};
use crate::defect::Sound;
use crate::fact::{QUEUE_RANGES, QueueSketch, SignedStatement, Statement, VerifiedFact};
use crate::name::{ModelName, ModelVersion};
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::name::NodeClass;
use proptest::prelude::*;

fn rollup(cell: u8, generation: u64, term: u64, window: u64) -> Rollup {
    Rollup {
        cell: CellId::from_bytes([cell; 32]),
        region: Region::new("eu").unwrap(),
        generation: Generation(generation),
        config_epoch: ConfigEpoch(1),
        term: Term(term),
        window,
        holder: NodeId::from_bytes([1; 32]),
        at: Wall(7),
        place: None,
        totals: Totals { alive: u32::try_from(window).unwrap(), ..Totals::default() },
        models: vec![],
        contacts: vec![],
    }
}

fn signed(rollup: Rollup) -> VerifiedFact {
    match Statement::Rollup(Box::new(rollup)).sign(&SecretKey::from_seed([1; 32])) {
        SignedStatement::Fact(fact) => *fact,
        SignedStatement::Accusation(_) | SignedStatement::Grant(_) | SignedStatement::Acceptance(_) => {
            unreachable!("a rollup is a fact")
        }
    }
}

fn directory(heard: &[VerifiedFact]) -> Vec<VerifiedFact> {
    let mut shelf = Shelf::new(Sound);
    for fact in heard {
        assert_ne!(shelf.adopt(fact.clone(), usize::MAX), Adoption::Full);
    }
    shelf.iter().cloned().collect()
}

fn any_rollup() -> impl Strategy<Value = VerifiedFact> {
    (0..3_u8, 0..2_u64, 0..3_u64, 0..4_u64)
        .prop_map(|(cell, generation, term, window)| signed(rollup(cell, generation, term, window)))
}

proptest! {
    /// What a node knows of all cells is the join of what it heard: the latest of each cell by (generation, term, window).
    #[test]
    fn hearing_rollups_is_commutative_associative_and_idempotent(
        one in proptest::collection::vec(any_rollup(), 0..6),
        two in proptest::collection::vec(any_rollup(), 0..6),
        three in proptest::collection::vec(any_rollup(), 0..6),
    ) {
        let join = |a: &[VerifiedFact], b: &[VerifiedFact]| directory(&[a, b].concat());
        prop_assert_eq!(join(&one, &two), join(&two, &one));
        prop_assert_eq!(join(&join(&one, &two), &three), join(&one, &join(&two, &three)));
        prop_assert_eq!(join(&one, &one), directory(&one));
        let order = |fact: &VerifiedFact| {
            let rollup = VerifiedRollup::of(fact).expect("only rollups were heard");
            (rollup.cell, rollup.generation, rollup.term, rollup.window)
        };
        for kept in join(&one, &two) {
            let of_cell = one.iter().chain(&two).map(order).filter(|heard| heard.0 == order(&kept).0);
            prop_assert_eq!(of_cell.max(), Some(order(&kept)));
        }
    }
}

#[test]
fn the_longest_rollup_fits_its_bound() {
    let text = "x".repeat(ModelName::MAX);
    let model = ModelRef {
        model: ModelName::new(&text).unwrap(),
        version: ModelVersion::new(&"1".repeat(ModelVersion::MAX)).unwrap(),
    };
    let contact = CellContact {
        node: NodeId::from_bytes([0xff; 32]),
        incarnation: Incarnation(u64::MAX),
        liveness: Liveness::Down,
        queue_depth: u32::MAX,
        warm: u64::MAX,
        addresses: vec!["[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap(); CONTACT_ADDRESSES_MAX],
    };
    let class = NodeClass::new(&"c".repeat(32)).unwrap();
    let totals = Totals {
        alive: u32::MAX,
        suspect: u32::MAX,
        down: u32::MAX,
        leaving: u32::MAX,
        on_battery: u32::MAX,
        classes: vec![(class, u32::MAX); crate::fact::CLASSES_COUNTED_MAX],
        queue_depth: u64::MAX,
        free_memory_mib: u64::MAX,
        queues: QueueSketch([u32::MAX; QUEUE_RANGES]),
    };
    let longest = Rollup {
        region: Region::new(&"r".repeat(32)).unwrap(),
        config_epoch: ConfigEpoch(u64::MAX),
        at: Wall(u64::MAX),
        totals,
        models: vec![WarmModel { model, nodes: u32::MAX }; ROLLUP_MODELS_MAX],
        contacts: vec![contact; CONTACTS_MAX],
        ..rollup(0, u64::MAX, u64::MAX, 0)
    };
    let length = postcard::to_stdvec(&longest).map(|bytes| bytes.len()).unwrap();
    assert!((8 * 1024..=Rollup::PAYLOAD_MAX).contains(&length), "{length}");
}

#[test]
fn loads_alone_are_no_news() {
    let contact = CellContact {
        node: NodeId::from_bytes([2; 32]),
        incarnation: Incarnation(1),
        liveness: Liveness::Alive,
        queue_depth: 3,
        warm: 0b10,
        addresses: vec![],
    };
    let model =
        |name: &str| ModelRef { model: ModelName::new(name).unwrap(), version: ModelVersion::new("1").unwrap() };
    let warm = |name: &str| WarmModel { model: model(name), nodes: 1 };
    let before =
        Rollup { models: vec![warm("digits"), warm("fraud")], contacts: vec![contact.clone()], ..rollup(1, 0, 4, 5) };
    let totals = Totals { queue_depth: 99, ..before.totals.clone() };
    let busier = Rollup {
        window: 6,
        at: Wall(9),
        totals,
        contacts: vec![CellContact { queue_depth: 99, ..contact.clone() }],
        ..before.clone()
    };
    assert!(before.says_the_same(&busier));
    let doubted = CellContact { liveness: Liveness::Suspect, ..contact.clone() };
    assert!(!before.says_the_same(&Rollup { contacts: vec![doubted], ..busier.clone() }));
    assert!(!before.says_the_same(&Rollup { term: Term(5), ..busier }));
    let at = ["digits", "fraud", "other"].map(|name| before.is_warm_at(&contact, &model(name)));
    assert_eq!(at, [false, true, false]);
}
