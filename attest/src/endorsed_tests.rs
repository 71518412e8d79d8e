use super::*;
use crate::text::{Hex, TextForm};
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Motion(String);

impl Domain for Motion {
    const DOMAIN: &'static str = "hedgerow/test-motion/1";
    const PAYLOAD_MAX: usize = 32;
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn motion() -> Motion {
    Motion("plant".into())
}

#[test]
fn all_named_keys_and_no_others_must_sign() {
    let endorsed = Endorsed::sign(&motion(), &[&key(1), &key(2)]);
    let (one, two, three) = (key(1).public(), key(2).public(), key(3).public());
    assert_eq!(endorsed.verify_all(&[two, one]), Ok(motion()));
    assert_eq!(endorsed.verify_all(&[one, two, three]), Err(EndorsedError::Unsigned(three)));
    assert_eq!(endorsed.verify_all(&[one]), Err(EndorsedError::Uninvited(two)));
}

#[test]
fn a_threshold_counts_distinct_keys_of_the_set() {
    let set = KeySet::new([1, 2, 3].map(|seed| key(seed).public()), 2).unwrap();
    let open = |keys: &[&SecretKey]| Endorsed::sign(&motion(), keys).verify_threshold(&set);
    assert_eq!(open(&[&key(3), &key(1)]), Ok(motion()));
    assert_eq!(open(&[&key(1), &key(1)]), Err(EndorsedError::BelowThreshold { valid: 1, threshold: 2 }));
    assert_eq!(open(&[]), Err(EndorsedError::BelowThreshold { valid: 0, threshold: 2 }));
    assert_eq!(open(&[&key(1), &key(9)]), Err(EndorsedError::Uninvited(key(9).public())));
}

#[test]
fn a_majority_needs_more_than_half_of_the_keys_whatever_the_threshold() {
    let set = KeySet::new((1..=16).map(|seed| key(seed).public()), 1).unwrap();
    let mut endorsed = Endorsed::sign(&motion(), &[&key(1)]);
    assert_eq!(endorsed.verify_threshold(&set), Ok(motion()));
    assert_eq!(endorsed.verify_majority(&set), Err(EndorsedError::BelowThreshold { valid: 1, threshold: 9 }));
    for seed in 1..=9 {
        endorsed = endorsed.endorse(&key(seed)).unwrap();
    }
    assert_eq!(endorsed.verify_majority(&set), Ok(motion()));
    assert_eq!(Endorsed::from_bytes(&endorsed.to_bytes()), Ok(endorsed.clone()));
    assert_eq!(endorsed.endorse(&key(10)), None, "as many as it may carry");
}

#[test]
fn a_signature_of_another_payload_does_not_count() {
    let mut endorsed = Endorsed::sign(&motion(), &[&key(1)]);
    endorsed.payload = payload::encode(&Motion("uproot".into()));
    let one = key(1).public();
    assert_eq!(endorsed.verify_all(&[one]), Err(EndorsedError::Unsigned(one)));
    assert_eq!(endorsed.verify_threshold(&KeySet::sole(one)), Err(EndorsedError::Unsigned(one)));
}

#[test]
fn the_envelope_is_frozen() {
    let endorsed = Endorsed::sign(&motion(), &[&key(1), &key(2)]);
    assert_eq!(
        Hex::encode(&endorsed.to_bytes()),
        "410605706c616e74028139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3944305cb3ebb7469e5463e92821a170589157ac23320d19ce79accc3452ddd5a6b0bdff25ef47d06e091ed1c2b4b78aae208a580d8257fe85848dced16364336018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5cb104cec02d6f404a1b143c992cdeb28df0a4d262b117fb071c93977585a2a4728f75a47b943c64711e9643644a6e13815a47d049404b86b3af61c3a14a041a04"
    );
    assert_eq!(Endorsed::from_bytes(&endorsed.to_bytes()), Ok(endorsed));
}

#[test]
fn endorsements_out_of_order_or_doubled_are_refused() {
    let bytes = Endorsed::sign(&motion(), &[&key(1), &key(2)]).to_bytes();
    let (head, list) = bytes.split_at(bytes.len() - 2 * 96);
    let (first, second) = list.split_at(96);
    let source = postcard::Error::SerdeDeCustom;
    for parts in [[head, second, first], [head, first, first]] {
        let refused = Endorsed::<Motion>::from_bytes(&parts.concat());
        assert_eq!(refused, Err(EnvelopeError::Malformed { source: source.clone() }));
    }
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(at in any::<prop::sample::Index>(), change in 1..=u8::MAX) {
        let keys = [key(1).public(), key(2).public()];
        let mut bytes = Endorsed::sign(&motion(), &[&key(1), &key(2)]).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let opened = Endorsed::<Motion>::from_bytes(&bytes).map(|endorsed| endorsed.verify_all(&keys).is_ok());
        prop_assert!(matches!(opened, Err(_) | Ok(false)), "{opened:?}");
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let versioned = [&[VERSION], bytes.as_slice()].concat();
        for input in [&bytes, &versioned] {
            if let Ok(endorsed) = Endorsed::<Motion>::from_bytes(input) {
                prop_assert_eq!(endorsed.to_bytes(), input.clone());
            }
        }
    }
}
