use super::*;
use crate::endorsed::Endorsed;
use crate::inception::{PurposeKey, Rotation};
use crate::key::SecretKey;
use crate::testing::SampleMesh;
use crate::text::{Hex, TextForm as _};
use proptest::prelude::*;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn purpose(purpose: KeyPurpose, seed: u8) -> PurposeKey {
    PurposeKey { purpose, key: *key(seed).public().as_bytes() }
}

/// Transport key 1, then 2, then 3; statement key 10.
fn chain() -> InceptionChain {
    let others = [purpose(KeyPurpose::Audit, 11), purpose(KeyPurpose::Witness, 12)];
    InceptionChain::incept(&key(1), &key(10), key(2).public().commitment(), &others)
}

#[test]
fn a_name_outlives_its_transport_keys() {
    let first = chain();
    let second = first.rotate(&key(1), &key(2), key(3).public().commitment());
    let third = second.rotate(&key(2), &key(3), key(4).public().commitment());
    let [one, two, three] = [&first, &second, &third].map(|chain| Identity::verify(chain).unwrap());
    assert_eq!((one.rotations(), two.rotations(), three.rotations()), (0, 1, 2));
    assert_eq!((one.node(), one.node()), (two.node(), three.node()));
    assert_eq!((*one.transport(), *three.transport()), (key(1).public(), key(3).public()));
    assert_eq!(*three.statement(), key(10).public());
    assert_eq!(three.next(), key(4).public().commitment());
    assert_eq!(three.key(KeyPurpose::Witness), Some(*key(12).public().as_bytes()));
    assert_eq!(three.key(KeyPurpose::Seal), None);
}

#[test]
fn the_name_and_the_chain_are_frozen() {
    let chain = chain().rotate(&key(1), &key(2), key(3).public().commitment());
    assert_eq!(chain.node().to_string(), "tbzloq6qqukzz6zxu46m3egavjylms6l2y4sy65r4kt3q4kzgswq");
    assert_eq!(
        Hex::encode(&chain.to_bytes()),
        "0141a501018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c6a3803d5f059902a1c6dafbc9ba4729212f7caac08634cc3ae76b27529f03827030143a72e714401762df66b68c26dfbdf2682aaec9f2474eca4613e424a0fbafd3c0266be7e332c7a453332bd9d0a7f7db055f5c5ef1a06ada66d98b39fb6810c473a030b513ad9b4924015ca0902ed079044d3ac5dbec2306f06948c10da8eb6e39f2d0243a72e714401762df66b68c26dfbdf2682aaec9f2474eca4613e424a0fbafd3cffc7a7a1ddd933d5bf1419071af48c69481d43e7ad1bd2026a82b95256346b1d5130ab84c8c53c3302d293e35afd8d8f687da370b4ffbb564f5700e088643f0f8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c277dc711fa388e50be28e84e9913431685e135ad9251e32ecbbd6cfce41866d69d8b1791fe3c6fb2d248fec7150243855abda031afde8223b830bef42b85c60001418101019872b743d085159cfb37a73ccd90c0aa70b64bcbd6392c7bb1e2a7b8715934ad9872b743d085159cfb37a73ccd90c0aa70b64bcbd6392c7bb1e2a7b8715934ad8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394b62e867fa2f33afe62d5d6b1642e1621d543307846b2a57b897e710919b76709028139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3948daa272dbcc1b9ebc663555c897ce500c2e4499d533ea4b11084c2d98f0a2ac67c12cd5029068a9e67852238ed9cbec83e1c78b0664f9ceba9ad641ab6d5110b8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c75f3244f89e1b1bb05f9441be2ec004ea3068b3fef48b2eec6a420fa6fa0e96310df713231b7ab837268762edae12133215c7f125a809e809cd75129f1f23e05"
    );
    assert_eq!(InceptionChain::from_bytes(&chain.to_bytes()), Ok(chain));
}

#[test]
fn a_thief_of_the_key_in_use_cannot_rotate() {
    let stolen = chain().rotate(&key(1), &key(66), key(67).public().commitment());
    assert_eq!(Identity::verify(&stolen), Err(IdentityError::NotCommitted { number: 1 }));
    // Nor with a rotation that shows the committed key without being signed by it.
    let rotation = Rotation {
        version: 1,
        node: chain().node(),
        previous: chain().inception.payload_digest(),
        transport: key(2).public(),
        next: key(67).public().commitment(),
    };
    let mut forged = chain();
    forged.rotations.push(Endorsed::sign(&rotation, &[&key(1)]));
    let source = EndorsedError::Unsigned(key(2).public());
    assert_eq!(Identity::verify(&forged), Err(IdentityError::Rotation { number: 1, source }));
    // Nor can a thief of the next key alone.
    let mut forged = chain();
    forged.rotations.push(Endorsed::sign(&rotation, &[&key(2)]));
    let source = EndorsedError::Unsigned(key(1).public());
    assert_eq!(Identity::verify(&forged), Err(IdentityError::Rotation { number: 1, source }));
}

#[test]
fn rotations_continue_one_chain_in_order() {
    let second = chain().rotate(&key(1), &key(2), key(3).public().commitment());
    let third = second.rotate(&key(2), &key(3), key(4).public().commitment());
    let mut skipped = third.clone();
    skipped.rotations.remove(0);
    assert_eq!(Identity::verify(&skipped), Err(IdentityError::OutOfPlace { number: 1 }));
    let mut swapped = third;
    swapped.rotations.swap(0, 1);
    assert_eq!(Identity::verify(&swapped), Err(IdentityError::OutOfPlace { number: 1 }));
    let mut renamed = chain();
    let rotation = Rotation { node: NodeId::from_bytes([7; 32]), ..second.rotations[0].peek().unwrap() };
    renamed.rotations.push(Endorsed::sign(&rotation, &[&key(1), &key(2)]));
    assert_eq!(Identity::verify(&renamed), Err(IdentityError::OutOfPlace { number: 1 }));
    let mut other = InceptionChain::incept(&key(1), &key(20), key(2).public().commitment(), &[]);
    other.rotations = second.rotations;
    assert_eq!(Identity::verify(&other), Err(IdentityError::OutOfPlace { number: 1 }));
}

#[test]
fn an_inception_needs_distinct_usable_keys_and_both_signatures() {
    let commitment = key(2).public().commitment();
    let incept = |others: &[PurposeKey]| {
        Identity::verify(&InceptionChain::incept(&key(1), &key(10), commitment, others)).map(|_identity| ())
    };
    assert_eq!(incept(&[]), Ok(()));
    assert_eq!(incept(&[purpose(KeyPurpose::Audit, 1)]), Err(IdentityError::SharedKey(KeyPurpose::Audit)));
    let weak = PurposeKey { purpose: KeyPurpose::Audit, key: [0; 32] };
    assert_eq!(incept(&[weak]), Err(IdentityError::BadKey(KeyPurpose::Audit)));
    assert_eq!(incept(&[purpose(KeyPurpose::Statement, 30)]), Err(IdentityError::Purposes));
    let shared = Identity::verify(&InceptionChain::incept(&key(1), &key(1), commitment, &[]));
    assert_eq!(shared, Err(IdentityError::SharedKey(KeyPurpose::Statement)));

    let mut inception = chain().inception.peek().unwrap();
    let sign = |inception: &Inception, keys: &[&SecretKey]| {
        let inception = Endorsed::sign(inception, keys);
        Identity::verify(&InceptionChain { inception, rotations: Vec::new() }).unwrap_err()
    };
    let unsigned = EndorsedError::Unsigned(key(10).public());
    assert_eq!(sign(&inception, &[&key(1)]), IdentityError::Inception(unsigned));
    inception.keys.remove(0);
    assert_eq!(sign(&inception, &[&key(1), &key(10)]), IdentityError::NoStatementKey);
    inception.version = 2;
    assert_eq!(sign(&inception, &[&key(1), &key(10)]), IdentityError::UnsupportedVersion(2));
}

#[test]
fn the_longest_chain_fits_and_a_longer_one_is_refused() {
    let mut keys = SampleMesh::new(1).keys(1);
    for _ in 0..ROTATIONS_MAX {
        keys = keys.rotated();
    }
    assert_eq!(Identity::verify(&InceptionChain::from_bytes(&keys.chain.to_bytes()).unwrap()).unwrap().rotations(), 16);
    let longer = keys.rotated().chain;
    assert_eq!(Identity::verify(&longer), Err(IdentityError::TooManyRotations(17)));
    assert!(InceptionChain::from_bytes(&longer.to_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_of_a_chain_is_refused_or_another_node(
        at in any::<prop::sample::Index>(), change in 1..=u8::MAX,
    ) {
        let good = chain().rotate(&key(1), &key(2), key(3).public().commitment());
        let mut bytes = good.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let opened = InceptionChain::from_bytes(&bytes).map(|chain| Identity::verify(&chain).is_ok());
        prop_assert!(matches!(opened, Err(_) | Ok(false)), "{opened:?}");
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for input in [bytes.clone(), [&[1], bytes.as_slice()].concat()] {
            if let Ok(chain) = InceptionChain::from_bytes(&input) {
                prop_assert_eq!(chain.to_bytes(), input);
            }
        }
    }
}
