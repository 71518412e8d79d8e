use super::*;
use crate::key::SecretKey;
use crate::text::{Hex, TextForm};
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    number: u32,
    text: String,
}

impl Domain for Note {
    const DOMAIN: &'static str = "hedgerow/test-note/1";
    const PAYLOAD_MAX: usize = 64;
}

/// The same shape under another name.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    number: u32,
    text: String,
}

impl Domain for Order {
    const DOMAIN: &'static str = "hedgerow/test-order/1";
    const PAYLOAD_MAX: usize = 64;
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn note() -> Note {
    Note { number: 300, text: "hawthorn".into() }
}

#[test]
fn a_signed_value_opens_for_the_expected_signer_only() {
    let signed = Signed::sign(&note(), &key(1));
    let verified = signed.verify(&key(1).public()).unwrap();
    assert_eq!(*verified, note());
    assert_eq!(*verified.signer(), key(1).public());
    assert_eq!(*verified.envelope(), signed);
    assert_eq!(verified, Verified::sign_verified(&note(), &key(1)));
    let (expected, claimed) = (key(2).public(), key(1).public());
    assert_eq!(signed.verify(&expected), Err(VerifyError::WrongSigner { expected, claimed }));
}

#[test]
fn a_value_of_one_type_is_none_of_another() {
    let bytes = Signed::sign(&note(), &key(1)).to_bytes();
    let order = Signed::<Order>::from_bytes(&bytes).unwrap();
    assert_eq!(order.peek().unwrap().text, "hawthorn");
    assert_eq!(order.verify(&key(1).public()).unwrap_err(), VerifyError::BadSignature);
}

#[test]
fn the_envelope_is_frozen() {
    let bytes = Signed::sign(&note(), &key(1)).to_bytes();
    assert_eq!(
        Hex::encode(&bytes),
        "018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c87ec416cb1cd68c884d98e56a5edde0e7a4a304b5be422c3e8b9f8d8c1fe64d031807517377c9500794a8f073ab926e8d94d67e2d5ae4d8f661631fdcfe83d080bac020868617774686f726e"
    );
    assert_eq!(Signed::from_bytes(&bytes), Ok(Signed::sign(&note(), &key(1))));
}

#[test]
fn odd_envelopes_are_refused_by_kind() {
    let bytes = Signed::sign(&note(), &key(1)).to_bytes();
    let read = |bytes: &[u8]| Signed::<Note>::from_bytes(bytes).unwrap_err();
    let longest = Note::PAYLOAD_MAX + ENVELOPE_OVERHEAD;
    assert_eq!(read(&vec![1; longest + 1]), EnvelopeError::TooLong { found: longest + 1, max: longest });
    assert_eq!(read(&[&[2], &bytes[1..]].concat()), EnvelopeError::UnsupportedVersion(2));
    assert_eq!(read(&[bytes.as_slice(), &[0]].concat()), EnvelopeError::TrailingBytes { count: 1 });
    let source = postcard::Error::DeserializeUnexpectedEnd;
    assert_eq!(read(&bytes[..bytes.len() - 1]), EnvelopeError::Malformed { source });
    // The payload's length is written in two bytes where one would do.
    let (head, payload) = bytes.split_at(97);
    assert_eq!(read(&[head, &[payload[0] | 0x80, 0], &payload[1..]].concat()), EnvelopeError::NotCanonical);
}

#[test]
fn debug_shows_no_payload() {
    let text = format!("{:?}", Signed::sign(&note(), &key(1)));
    assert_eq!(text.matches("hawthorn").count(), 0);
    assert!(text.starts_with("Signed(hedgerow/test-note/1 "), "{text}");
}

proptest! {
    #[test]
    fn envelopes_survive_their_bytes(number in any::<u32>(), text in "[a-z]{0,40}", seed in any::<u8>()) {
        let signed = Signed::sign(&Note { number, text }, &key(seed));
        let read = Signed::<Note>::from_bytes(&signed.to_bytes()).unwrap();
        prop_assert_eq!(&read, &signed);
        prop_assert!(read.verify(&key(seed).public()).is_ok());
    }

    #[test]
    fn any_changed_byte_is_refused(at in any::<prop::sample::Index>(), change in 1..=u8::MAX) {
        let mut bytes = Signed::sign(&note(), &key(1)).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let opened = Signed::<Note>::from_bytes(&bytes).map(|signed| signed.verify(&key(1).public()).is_ok());
        prop_assert!(matches!(opened, Err(_) | Ok(false)), "{opened:?}");
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let versioned = [&[VERSION], bytes.as_slice()].concat();
        for input in [&bytes, &versioned] {
            if let Ok(signed) = Signed::<Note>::from_bytes(input) {
                prop_assert_eq!(signed.to_bytes(), input.clone());
                prop_assert!(signed.verify(&key(1).public()).is_err());
            }
        }
    }
}
