use super::*;
use proptest::prelude::*;

/// RFC 8032, §7.1, test 2.
const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

#[test]
fn the_vectors_of_rfc_8032_hold() {
    let key = SecretKey::from_seed(Hex::decode(SEED).unwrap());
    let signature = key.sign_raw(&[0x72]);
    assert_eq!(Hex::encode(key.public().as_bytes()), PUBLIC);
    assert_eq!(signature.to_string(), SIGNATURE);
    assert_eq!(key.public().verify_raw(&[0x72], &signature), Ok(()));
    assert_eq!(key.public().verify_raw(&[0x73], &signature), Err(SignatureError));
    assert_eq!(Hex::encode(key.seed().as_slice()), SEED);
}

/// Made with `securesystemslib` 1.6.0: `SSlibKey.from_crypto(key).keyid` for the RFC key.
#[test]
fn a_key_id_is_the_one_of_securesystemslib() {
    let key = PublicKey::from_bytes(Hex::decode(PUBLIC).unwrap()).unwrap();
    assert_eq!(KeyId::of(&key).to_string(), "eaf1e23f6c823132f437a2eaa299a7950f7386631deff273db195bbd26209e2b");
}

#[test]
fn points_of_small_order_are_no_keys() {
    // The neutral element, and the canonical points of order 2, 4 and 8.
    for point in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        assert_eq!(PublicKey::from_bytes(Hex::decode(point).unwrap()), Err(PublicKeyError::Weak), "{point}");
    }
}

#[test]
fn bytes_that_encode_no_point_or_encode_it_twice_are_no_keys() {
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    assert_eq!(PublicKey::from_bytes(off_curve), Err(PublicKeyError::NotAPoint));
    // y = 3 is on the curve, and so is its second encoding 3 + p.
    let mut small = [0; 32];
    small[0] = 3;
    let mut aliased = [0xff; 32];
    aliased[0] = 0xf0;
    aliased[31] = 0x7f;
    assert!(PublicKey::from_bytes(small).is_ok());
    assert_eq!(PublicKey::from_bytes(aliased), Err(PublicKeyError::NotAPoint));
}

#[test]
fn texts_and_bytes_of_keys_and_signatures_read_back() {
    let key = SecretKey::from_seed([9; 32]);
    let (public, signature) = (key.public(), key.sign_raw(b"hedge"));
    assert_eq!(public.to_string().len(), 52);
    assert_eq!(public.to_string().parse(), Ok(public));
    assert_eq!(signature.to_string().parse(), Ok(signature));
    assert_eq!(postcard::to_stdvec(&public).unwrap(), public.as_bytes());
    assert_eq!(postcard::to_stdvec(&signature).unwrap(), signature.as_bytes());
    assert_eq!(postcard::from_bytes(signature.as_bytes()), Ok(signature));
    assert_eq!(serde_json::from_str::<PublicKey>(&format!("\"{public}\"")).unwrap(), public);
    let neutral = "aeaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_eq!(neutral.parse::<PublicKey>(), Err(ParseTextError::NotAKey));
}

#[test]
fn debug_of_a_secret_key_shows_the_public_half_only() {
    let key = SecretKey::from_seed([9; 32]);
    assert_eq!(format!("{key:?}"), format!("SecretKey(of {})", key.public()));
}

proptest! {
    #[test]
    fn random_bytes_never_verify_or_panic(
        key in any::<[u8; 32]>(), r in any::<[u8; 32]>(), s in any::<[u8; 32]>(), message in any::<[u8; 8]>(),
    ) {
        let signature = Signature::from_bytes([r, s].concat().try_into().unwrap());
        if let Ok(key) = PublicKey::from_bytes(key) {
            prop_assert_eq!(key.verify_raw(&message, &signature), Err(SignatureError));
        }
    }
}
