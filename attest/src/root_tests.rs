use super::*;
use crate::testing::SampleMesh;
use proptest::prelude::*;
use serde_json::{Value, json};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// Two of three operators, everything else by one key.
fn draft() -> RootDraft {
    let operators = KeySet::new([1, 2, 3].map(|seed| key(seed).public()), 2).unwrap();
    RootDraft { root: operators, ..SampleMesh::new(1).draft().clone() }
}

/// The root of [`draft`] after a change of its JSON, signed again.
fn parse_changed(change: impl FnOnce(&mut Value)) -> RootError {
    let mut document: Value = serde_json::from_slice(&draft().sign(&[])).unwrap();
    change(&mut document["signed"]);
    let message = canonical::to_vec(&document["signed"]).unwrap_or_default();
    let signatures = [1, 2].map(|seed| {
        let sig = key(seed).sign_raw(&message).to_string();
        json!({"keyid": KeyId::of(&key(seed).public()), "sig": sig})
    });
    document["signatures"] = json!(signatures);
    TrustRoot::parse(&serde_json::to_vec(&document).unwrap()).unwrap_err()
}

#[test]
fn a_root_says_what_its_draft_said() {
    let root = TrustRoot::parse(&draft().sign(&[&key(1), &key(3)])).unwrap();
    assert_eq!(*root.content(), draft());
    assert_eq!((root.version(), root.name().as_str(), root.expires()), (1, "sample-1", draft().expires));
    assert_eq!(*root.publishers(), draft().targets);
    assert_eq!(*root.policy(), draft().policy);
    assert_eq!((root.membership(), root.revocation()), (&draft().membership, &draft().revocation));
}

#[test]
fn the_root_file_and_the_mesh_id_are_frozen() {
    let root = SampleMesh::new(1).draft().sign(&[SampleMesh::new(1).operator()]);
    assert_eq!(String::from_utf8(root.clone()).unwrap(), include_str!("root_fixture.json"));
    assert_eq!(
        TrustRoot::parse(&root).unwrap().mesh().to_string(),
        "pjxvlfulrpzgzykk5wd7l7sqjiqtntlxzquktu7sopk4xub4pmta"
    );
}

#[test]
fn the_mesh_id_depends_on_neither_signatures_nor_layout() {
    let parse = |bytes: &[u8]| TrustRoot::parse(bytes).unwrap().mesh();
    let bytes = draft().sign(&[&key(1), &key(3)]);
    let dense: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(parse(&bytes), parse(&draft().sign(&[&key(2), &key(3)])));
    assert_eq!(parse(&bytes), parse(&serde_json::to_vec(&dense).unwrap()));
    let other = RootDraft { name: MeshName::new("other").unwrap(), ..draft() };
    assert_ne!(parse(&bytes), parse(&other.sign(&[&key(1), &key(3)])));
}

#[test]
fn enough_distinct_operators_must_sign() {
    for (keys, valid) in [(vec![], 0), (vec![key(1)], 1), (vec![key(1), key(1)], 1), (vec![key(1), key(9)], 1)] {
        let refused = TrustRoot::parse(&draft().sign(&keys.iter().collect::<Vec<_>>())).unwrap_err();
        assert!(
            matches!(refused, RootError::BelowThreshold { valid: found, threshold: 2 } if found == valid),
            "{refused:?}"
        );
    }
    // The same signature listed twice is one.
    let mut document: Value = serde_json::from_slice(&draft().sign(&[&key(1)])).unwrap();
    let signature = document["signatures"][0].clone();
    document["signatures"] = json!([signature, signature]);
    let refused = TrustRoot::parse(&serde_json::to_vec(&document).unwrap()).unwrap_err();
    assert!(matches!(refused, RootError::BelowThreshold { valid: 1, threshold: 2 }), "{refused:?}");
}

#[test]
fn a_root_with_unknown_fields_keeps_them_under_the_signature() {
    let mut document: Value = serde_json::from_slice(&draft().sign(&[])).unwrap();
    document["signed"]["x-mesh"]["tokens"] = json!({"later": 1});
    let message = canonical::to_vec(&document["signed"]).unwrap();
    let signatures =
        [1, 2].map(|seed| json!({"keyid": KeyId::of(&key(seed).public()), "sig": key(seed).sign_raw(&message)}));
    document["signatures"] = json!(signatures);
    assert!(TrustRoot::parse(&serde_json::to_vec(&document).unwrap()).is_ok());
    document["signed"]["x-mesh"]["tokens"] = json!({"later": 2});
    let refused = TrustRoot::parse(&serde_json::to_vec(&document).unwrap()).unwrap_err();
    assert!(matches!(refused, RootError::BelowThreshold { valid: 0, .. }), "{refused:?}");
}

#[test]
fn roots_that_make_no_sense_are_refused_by_kind() {
    let operator = KeyId::of(&key(1).public());
    let name = operator.to_string();
    assert!(matches!(
        parse_changed(|root| root["spec_version"] = json!("2.0")),
        RootError::UnsupportedSpecification(_)
    ));
    assert!(matches!(parse_changed(|root| root["x-mesh"]["version"] = json!(2)), RootError::UnsupportedVersion(2)));
    assert!(matches!(parse_changed(|root| root["expires"] = json!("soon")), RootError::Expires(_)));
    assert!(matches!(parse_changed(|root| root["_type"] = json!("targets")), RootError::Malformed(_)));
    assert!(matches!(parse_changed(|root| root["version"] = json!(1.5)), RootError::Malformed(_)));
    assert!(matches!(
        parse_changed(|root| root["version"] = json!(2)),
        RootError::OutOfSequence { expected: 1, found: 2 }
    ));
    assert!(matches!(
        parse_changed(|root| root["roles"]["root"]["threshold"] = json!(0)),
        RootError::Role { role: "root", source: KeySetError::Threshold { threshold: 0, keys: 3 } }
    ));
    assert!(matches!(
        parse_changed(|root| root["keys"][&name]["scheme"] = json!("rsa")),
        RootError::BadKey { role: "root", keyid } if keyid == operator
    ));
    assert!(matches!(
        parse_changed(|root| root["keys"][&name]["keyval"]["public"] = json!(key(9).public().as_bytes().map(|byte| format!("{byte:02x}")).concat())),
        RootError::BadKey { role: "root", keyid } if keyid == operator
    ));
    assert!(matches!(
        parse_changed(|root| { root["keys"].as_object_mut().unwrap().remove(&name); }),
        RootError::UnknownKey { role: "root", keyid } if keyid == operator
    ));
    assert!(
        matches!(TrustRoot::parse(&vec![b' '; ROOT_MAX + 1]), Err(RootError::TooLong(length)) if length == ROOT_MAX + 1)
    );
}

#[test]
fn a_successor_needs_the_old_operators_and_the_new() {
    let first = TrustRoot::parse(&draft().sign(&[&key(1), &key(2)])).unwrap();
    let next = RootDraft { version: 2, root: KeySet::sole(key(7).public()), ..draft() };
    let second = first.successor(&next.sign(&[&key(2), &key(3), &key(7)])).unwrap();
    assert_eq!((second.mesh(), second.version()), (first.mesh(), 2));
    let refused = |keys: &[&SecretKey]| first.successor(&next.sign(keys)).unwrap_err();
    assert!(matches!(refused(&[&key(2), &key(7)]), RootError::BelowThreshold { valid: 1, threshold: 2 }));
    assert!(matches!(refused(&[&key(2), &key(3)]), RootError::BelowThreshold { valid: 0, threshold: 1 }));
    let skipped = RootDraft { version: 3, ..next };
    let refused = first.successor(&skipped.sign(&[&key(2), &key(3), &key(7)])).unwrap_err();
    assert!(matches!(refused, RootError::OutOfSequence { expected: 2, found: 3 }));
}

#[test]
fn each_region_has_one_issuer() {
    let (eu, us) = (Region::new("eu").unwrap(), Region::new("us").unwrap());
    let node = NodeId::from_bytes([7; 32]);
    let mut draft = draft();
    draft.genesis.regions.insert(eu.clone(), node);
    let root = TrustRoot::parse(&draft.sign(&[&key(1), &key(2)])).unwrap();
    assert_eq!((root.genesis_issuer(&eu), root.genesis_issuer(&us)), (node, draft.genesis.default));
    let founds = |node| root.founds_cells(&node);
    assert_eq!([node, draft.genesis.default, NodeId::from_bytes([8; 32])].map(founds), [true, true, false]);
}

#[test]
fn clocks_may_differ_by_five_minutes_or_a_quarter_of_a_life() {
    let skew_s = |membership_s| Lifetimes { membership_s, delegation_s: 1 }.skew_s();
    assert_eq!([30 * 86_400, 1_200, 1_196, 12, 3].map(skew_s), [300, 300, 299, 3, 0]);
    assert_eq!(SampleMesh::new(1).root().skew_s(), 300);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_byte_never_makes_another_root(at in any::<prop::sample::Index>(), change in 1..=u8::MAX) {
        let bytes = draft().sign(&[&key(1), &key(3)]);
        let mut changed = bytes.clone();
        let at = at.index(bytes.len());
        changed[at] ^= change;
        // White space between tokens may change; what the root says may not.
        if let Ok(root) = TrustRoot::parse(&changed) {
            prop_assert_eq!(root, TrustRoot::parse(&bytes).unwrap());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(TrustRoot::parse(&bytes).is_err());
    }
}
