use hedgerow_attest::signed::Verified;
use proptest::prelude::*;

use super::*;
use crate::{
    frame::{FrameHead, FrameRoot, Record, VerifiedFrame},
    heads::DocEpoch,
    testing::{author, group, node, secret, session},
};

fn held(nodes: u8) -> Vec<Held> {
    let origin = |id| Origin { node: node(id), boot: author(id, 1).boot };
    (1..=nodes).map(|id| Held { origin: origin(id), durable: Lsn(300) }).collect()
}

fn frames() -> Vec<SealedFrame> {
    let records = vec![Record { session: session("cart"), epoch: DocEpoch(0), change: b"change".to_vec() }];
    let head = FrameHead::over(held(1)[0].origin, group(), Lsn(1), FrameRoot::NONE, &records);
    vec![VerifiedFrame::new(Verified::sign_verified(&head, &secret(1)), records).unwrap().seal()]
}

fn every_body() -> [SyncBody; 4] {
    [
        SyncBody::Frames(frames()),
        SyncBody::Ack(held(1)),
        SyncBody::Vector { held: held(2), ask: Ask::Frames },
        SyncBody::Want { session: session("cart"), changes: vec![ChangeHash([7; 32])] },
    ]
}

#[test]
fn messages_are_frozen() {
    let digests = every_body().map(|body| {
        let bytes = SyncMessage { group: group(), placement: PlacementEpoch(3), body }.encode();
        format!("{} {}", bytes.len(), &blake3::hash(&bytes).to_hex().as_str()[..16])
    });
    assert_eq!(
        digests,
        ["327 d53598f85d69f711", "92 190614fd1bf0595c", "143 40b8ddb4b1fb8bbb", "133 5bfabc74626e18fa"]
    );
}

#[test]
fn messages_read_back() {
    for body in every_body() {
        let message = SyncMessage { group: group(), placement: PlacementEpoch(3), body };
        assert_eq!(SyncMessage::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn lists_beyond_their_bounds_are_refused() {
    let many = vec![held(1)[0]; VECTOR_ENTRIES_MAX + 1];
    for body in [SyncBody::Ack(many.clone()), SyncBody::Vector { held: many, ask: Ask::Nothing }] {
        assert_eq!(
            SyncMessage::decode(&SyncMessage { group: group(), placement: PlacementEpoch(3), body }.encode()),
            Err(MessageError::Malformed)
        );
    }
    let body = SyncBody::Want { session: session("cart"), changes: vec![ChangeHash([7; 32]); WANTED_CHANGES_MAX + 1] };
    assert_eq!(
        SyncMessage::decode(&SyncMessage { group: group(), placement: PlacementEpoch(3), body }.encode()),
        Err(MessageError::Malformed)
    );
}

#[test]
fn foreign_bytes_are_told_apart() {
    assert_eq!(SyncMessage::decode(&[]), Err(MessageError::Malformed));
    assert_eq!(SyncMessage::decode(&[9, 0]), Err(MessageError::UnsupportedVersion { version: 9 }));
    let large = vec![1; MESSAGE_BYTES_MAX + 1];
    assert_eq!(SyncMessage::decode(&large), Err(MessageError::TooLarge { bytes: large.len() }));
}

proptest! {
    #[test]
    fn no_bytes_panic(which in 0usize..4, cut in 0usize..500, at in 0usize..500, flip: u8) {
        let mut bytes = SyncMessage { group: group(), placement: PlacementEpoch(3), body: every_body()[which].clone() }.encode();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        bytes.truncate(cut.max(1));
        if let Ok(message) = SyncMessage::decode(&bytes) {
            prop_assert_eq!(SyncMessage::decode(&message.encode()), Ok(message));
        }
    }
}
