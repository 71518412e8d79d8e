use proptest::prelude::*;

use super::*;
use crate::testing::{author, group, node, secret, session};

fn record(name: &str, change: &[u8]) -> Record {
    Record { session: session(name), epoch: DocEpoch(0), change: change.to_vec() }
}

fn origin() -> Origin {
    Origin { node: node(1), boot: author(1, 1).boot }
}

fn frame(records: Vec<Record>) -> VerifiedFrame {
    let head = FrameHead::over(origin(), group(), Lsn(1), FrameRoot::NONE, &records);
    VerifiedFrame::new(Verified::sign_verified(&head, &secret(1)), records).unwrap()
}

#[test]
fn a_frame_is_frozen() {
    let bytes = frame(vec![record("cart", b"one"), record("other", b"two")]).seal().to_bytes();
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "c1345286d1742fd63cafa795d9ded0a611be51e15c69bdaa6ef770ccdf8ba56e"
    );
    assert_eq!(bytes.len(), 307);
}

#[test]
fn a_frame_reads_back_and_verifies() {
    let mut moved = record("moved", b"three");
    moved.session.birth = CellId::from_bytes([8; 32]);
    let frame = frame(vec![record("cart", b"one"), record("cart", b"two"), moved]);
    let sealed = SealedFrame::from_bytes(&frame.seal().to_bytes()).unwrap();
    assert_eq!(sealed, frame.seal());
    assert_eq!(sealed.claimed_head().as_ref(), Ok(frame.head()));
    assert_eq!(sealed.verify(&secret(1).public()), Ok(frame.clone()));
    assert_eq!(frame.author(), author(1, 1));
    assert_eq!(frame.head().last_lsn(), Lsn(3));
}

#[test]
fn another_key_does_not_verify() {
    let sealed = frame(vec![record("cart", b"one")]).seal();
    assert!(matches!(sealed.verify(&secret(2).public()), Err(FrameError::Signature(VerifyError::WrongSigner { .. }))));
}

#[test]
fn records_are_bound_to_the_signed_head() {
    let honest = frame(vec![record("cart", b"one"), record("cart", b"two")]);
    let head = || honest.head.clone();
    for other in [
        vec![record("cart", b"one"), record("cart", b"2")],
        vec![record("cart", b"two"), record("cart", b"one")],
        vec![record("other", b"one"), record("cart", b"two")],
        vec![record("cart", b"one")],
    ] {
        assert_eq!(VerifiedFrame::new(head(), other), Err(FrameError::OtherRecords));
    }
}

#[test]
fn numbers_that_run_over_are_refused() {
    let records = vec![record("cart", b"one"), record("cart", b"two")];
    for first in [0, u64::MAX, u64::MAX - 1] {
        let head = FrameHead::over(origin(), group(), Lsn(first), FrameRoot::NONE, &records);
        let joined = VerifiedFrame::new(Verified::sign_verified(&head, &secret(1)), records.clone());
        assert_eq!(joined, Err(FrameError::OtherRecords), "first {first}");
    }
}

#[test]
fn foreign_bytes_are_told_apart() {
    let bytes = frame(vec![record("cart", b"one")]).seal().to_bytes();
    assert_eq!(SealedFrame::from_bytes(&[]), Err(FrameError::Malformed));
    assert_eq!(SealedFrame::from_bytes(&[2]), Err(FrameError::UnsupportedVersion { version: 2 }));
    assert_eq!(SealedFrame::from_bytes(&bytes[..bytes.len() - 1]), Err(FrameError::Malformed));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(SealedFrame::from_bytes(&longer), Err(FrameError::Malformed));
    let large = vec![1; FRAME_BYTES_MAX + 1];
    assert_eq!(SealedFrame::from_bytes(&large), Err(FrameError::TooLarge { bytes: large.len() }));
}

proptest! {
    #[test]
    fn any_records_read_back(changes in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 1..6)) {
        let records = changes.iter().map(|(other, change)| record(if *other { "other" } else { "cart" }, change)).collect();
        let sealed = frame(records).seal();
        prop_assert_eq!(SealedFrame::from_bytes(&sealed.to_bytes()), Ok(sealed));
    }

    #[test]
    fn a_changed_byte_never_verifies(at in 0usize..400, flip in 1u8..) {
        let mut bytes = frame(vec![record("cart", b"one"), record("other", b"two")]).seal().to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        let verified = SealedFrame::from_bytes(&bytes).and_then(|frame| frame.verify(&secret(1).public()));
        prop_assert!(verified.is_err(), "byte {} of {}", at, bytes.len());
    }
}
