use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn trusted(threshold: usize) -> KeySet {
    KeySet::new([1, 2, 3].map(|seed| key(seed).public()), threshold).unwrap()
}

fn signers(envelope: &Envelope, threshold: usize) -> Result<Vec<KeyId>, (usize, usize)> {
    match envelope.verify(&trusted(threshold)) {
        Ok(vouched) => Ok(vouched.signers().iter().copied().collect()),
        Err(DsseError::BelowThreshold { valid, threshold }) => Err((valid, threshold)),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn the_signed_bytes_are_those_of_the_specification() {
    // The example of DSSE's protocol.md.
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn the_envelope_is_frozen() {
    let envelope = Envelope::sign("text/plain", b"hawthorn?>".to_vec(), &[&key(1)]);
    let text = String::from_utf8(envelope.to_json()).unwrap();
    assert_eq!(
        text,
        r#"{"payload":"aGF3dGhvcm4/Pg==","payloadType":"text/plain","signatures":[{"keyid":"7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12","sig":"W6mHN+O6qDC8PHaLKVw34yUjzjc8Q4MJfa8ZhfPFyiMHBEOlkwbNcNg3gXk0jU8E97TNTXyETfSsbBpGsWo2CA=="}]}"#
    );
    assert_eq!(Envelope::from_json(text.as_bytes()).unwrap(), envelope);
}

#[test]
fn distinct_trusted_keys_are_counted() {
    let envelope = Envelope::sign("text/plain", b"hawthorn".to_vec(), &[&key(2), &key(1), &key(1), &key(9)]);
    let mut both = vec![KeyId::of(&key(1).public()), KeyId::of(&key(2).public())];
    both.sort_unstable();
    assert_eq!(signers(&envelope, 2), Ok(both));
    assert_eq!(signers(&envelope, 3), Err((2, 3)));

    let mut json: Value = serde_json::from_slice(&envelope.to_json()).unwrap();
    let first = json["signatures"][0].clone();
    json["signatures"] = json!([first, first, first]);
    let repeated = Envelope::from_json(json.to_string().as_bytes()).unwrap();
    assert_eq!(signers(&repeated, 2), Err((1, 2)));
}

#[test]
fn a_signature_counts_for_its_own_key_type_and_payload_only() {
    let envelope = Envelope::sign("text/plain", b"hawthorn".to_vec(), &[&key(1)]);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut json: Value = serde_json::from_slice(&envelope.to_json()).unwrap();
        change(&mut json);
        signers(&Envelope::from_json(json.to_string().as_bytes()).unwrap(), 1)
    };
    assert!(changed(&|_same| ()).is_ok());
    assert_eq!(changed(&|json| json["payloadType"] = json!("text/html")), Err((0, 1)));
    assert_eq!(changed(&|json| json["payload"] = json!(BASE64.encode(b"blackthorn"))), Err((0, 1)));
    let other = KeyId::of(&key(2).public());
    assert_eq!(changed(&|json| json["signatures"][0]["keyid"] = json!(other)), Err((0, 1)));
    assert_eq!(changed(&|json| json["signatures"][0]["keyid"] = json!("")), Err((0, 1)));
    assert_eq!(changed(&|json| json["signatures"][0]["sig"] = json!("AAAA")), Err((0, 1)));
}

#[test]
fn both_base64_alphabets_and_unknown_fields_are_read() {
    let envelope = Envelope::sign("text/plain", vec![0xfb, 0xff, 0xfe], &[&key(1)]);
    let mut json: Value = serde_json::from_slice(&envelope.to_json()).unwrap();
    json["payload"] = json!("-__-");
    json["note"] = json!(1);
    assert_eq!(Envelope::from_json(json.to_string().as_bytes()).unwrap(), envelope);
}

#[test]
fn envelopes_beyond_the_bounds_are_refused() {
    let long = vec![b' '; ENVELOPE_MAX + 1];
    assert!(matches!(Envelope::from_json(&long), Err(DsseError::TooLong(length)) if length == ENVELOPE_MAX + 1));
    let many = vec![json!({"sig": ""}); SIGNATURES_MAX + 1];
    let many = json!({"payload": "", "payloadType": "", "signatures": many}).to_string();
    assert!(matches!(Envelope::from_json(many.as_bytes()), Err(DsseError::TooManySignatures(17))));
    let bad = json!({"payload": "?", "payloadType": "", "signatures": []}).to_string();
    assert!(matches!(Envelope::from_json(bad.as_bytes()), Err(DsseError::Base64(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn envelopes_survive_their_json(payload in prop::collection::vec(any::<u8>(), 0..64), kind in "[a-z/+.]{1,20}") {
        let envelope = Envelope::sign(&kind, payload.clone(), &[&key(1)]);
        let read = Envelope::from_json(&envelope.to_json()).unwrap();
        prop_assert_eq!(read.verify(&trusted(1)).unwrap().payload(), payload);
        prop_assert_eq!(read, envelope);
    }

    #[test]
    fn a_changed_byte_never_changes_what_is_vouched_for(at in any::<prop::sample::Index>(), change in 1..=u8::MAX) {
        let mut bytes = Envelope::sign("text/plain", b"hawthorn".to_vec(), &[&key(1)]).to_json();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        if let Ok(envelope) = Envelope::from_json(&bytes)
            && let Ok(vouched) = envelope.verify(&trusted(1))
        {
                prop_assert_eq!((vouched.payload_type(), vouched.payload()), ("text/plain", &b"hawthorn"[..]));
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Envelope::from_json(&bytes).is_err());
    }
}
