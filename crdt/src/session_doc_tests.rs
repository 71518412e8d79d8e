use serde_json::json;

use super::*;
use crate::{
    engine::AutomergeDoc,
    testing::{author, increment, path, put, session},
};

type Doc = SessionDoc<AutomergeDoc>;

fn edit(doc: &Doc, node: u8, ops: &[SessionOp]) -> (Doc, Vec<u8>) {
    let (doc, change) = doc.clone().edit(&author(node, 1), &session("cart"), ops, &Limits::standard()).unwrap();
    (doc, change.bytes)
}

fn admit(doc: &Doc, node: u8, bytes: &[u8]) -> Result<Doc, NotAdmitted> {
    doc.clone().admit(&author(node, 1), &session("cart"), DocEpoch(0), bytes)
}

#[test]
fn a_change_is_admitted_once_and_again_without_effect() {
    let (written, change) = edit(&Doc::unwritten(), 1, &[put("/a", 1)]);
    let once = admit(&Doc::unwritten(), 1, &change).unwrap();
    let twice = admit(&once, 1, &change).unwrap();
    assert_eq!(once.etag(), written.etag());
    assert_eq!(twice.etag(), written.etag());
    assert_eq!(twice.body().value, json!({"a": 1}));
    assert_eq!(twice.history_bytes, change.len());
}

#[test]
fn a_change_in_the_name_of_another_is_refused() {
    let (_, change) = edit(&Doc::unwritten(), 1, &[put("/a", 1)]);
    let forged = AdmitRefusal::ForgedActor;
    assert_eq!(admit(&Doc::unwritten(), 2, &change).unwrap_err(), NotAdmitted::Refused(forged.clone()));
    let other_boot = Doc::unwritten().admit(&author(1, 2), &session("cart"), DocEpoch(0), &change);
    assert_eq!(other_boot.unwrap_err(), NotAdmitted::Refused(forged.clone()));
    let other_session = Doc::unwritten().admit(&author(1, 1), &session("other"), DocEpoch(0), &change);
    assert_eq!(other_session.unwrap_err(), NotAdmitted::Refused(forged));
}

#[test]
fn a_change_waits_for_what_it_depends_on() {
    let (one, first) = edit(&Doc::unwritten(), 1, &[put("/a", 1)]);
    let (two, second) = edit(&one, 1, &[put("/a", 2)]);
    let missing = scan(&first).unwrap().hash;
    assert_eq!(admit(&Doc::unwritten(), 1, &second).unwrap_err(), NotAdmitted::Missing(vec![missing]));
    let caught_up = admit(&admit(&Doc::unwritten(), 1, &first).unwrap(), 1, &second).unwrap();
    assert_eq!(caught_up.etag(), two.etag());
}

#[test]
fn two_changes_with_one_number_are_equivocation() {
    let (_, first) = edit(&Doc::unwritten(), 1, &[put("/a", 1)]);
    let (_, other) = edit(&Doc::unwritten(), 1, &[put("/a", 2)]);
    let doc = admit(&Doc::unwritten(), 1, &first).unwrap();
    let actor = ActorId::of(&author(1, 1), &session("cart"));
    assert_eq!(admit(&doc, 1, &other).unwrap_err(), NotAdmitted::Equivocation { actor, seq: 1 });
    assert_eq!(doc.body().value, json!({"a": 1}));
}

#[test]
fn numbers_that_do_not_follow_from_the_dependencies_are_refused() {
    let (_, change) = edit(&Doc::unwritten(), 1, &[put("/a", 1)]);
    let actor = ActorId::of(&author(1, 1), &session("cart")).0;
    let after_actor = change.windows(16).position(|window| window == actor).unwrap() + 16;
    for (at, name) in [(after_actor, "number"), (after_actor + 1, "first operation")] {
        let mut bytes = change.clone();
        bytes[at] += 1;
        crate::testing::mend_checksum(&mut bytes);
        let refused = NotAdmitted::Refused(AdmitRefusal::BadNumbers);
        assert_eq!(admit(&Doc::unwritten(), 1, &bytes).unwrap_err(), refused, "{name}");
    }
}

#[test]
fn a_change_of_another_epoch_is_refused() {
    let (_, change) = edit(&Doc::unwritten(), 1, &[put("/a", 1)]);
    let refused = Doc::unwritten().admit(&author(1, 1), &session("cart"), DocEpoch(1), &change).unwrap_err();
    let reason = AdmitRefusal::OtherEpoch { found: DocEpoch(1), expected: DocEpoch(0) };
    assert_eq!(refused, NotAdmitted::Refused(reason.clone()));
    assert_eq!(reason.to_string(), "take a change of epoch 1, the session is in 0");
}

#[test]
fn a_full_history_refuses_writes_here_before_it_refuses_those_of_others() {
    let limits = Limits { history_bytes: 300, ..Limits::standard() };
    let mut doc = Doc::unwritten();
    let refusal = loop {
        match doc.clone().edit(&author(1, 1), &session("cart"), &[increment("/n", 1)], &limits) {
            Ok((longer, _)) => doc = longer,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, EditRefusal::HistoryFull { bytes: doc.history_bytes, max: 300 });
    let (_, change) = edit(&doc, 2, &[increment("/n", 1)]);
    assert!(admit(&doc, 2, &change).is_ok());
}

#[test]
fn the_largest_writes_pass_their_own_armour() {
    let limits = Limits::standard();
    let mut doc = Doc::unwritten();
    for round in 0..40 {
        let name = |at: usize| format!("/{}/{at}", "k".repeat(100 + round));
        doc = edit(&doc, 1, &(0..64).map(|at| put(&name(at), 1)).collect::<Vec<_>>()).0;
        if doc.body().value.as_object().unwrap().len() == 4 {
            break;
        }
    }
    let (doc, change) =
        doc.edit(&author(2, 1), &session("cart"), &[SessionOp::Delete { path: path("") }], &limits).unwrap();
    assert_eq!(scan(&change.bytes).unwrap().ops, 4 * 64);
    assert_eq!(doc.body().value, json!({}));
}

/// Changes one byte at a time and mends the checksum: what the scan lets through must not panic, and must leave a document
/// that can still be read and written.
#[test]
fn no_mutation_of_a_change_breaks_a_document() {
    let (base, _) = edit(&Doc::unwritten(), 2, &[put("/a", 1), put("/b/c", 2), increment("/n", 3)]);
    let (_, change) = edit(&base, 1, &[put("/a", 7), put("/d", 9), increment("/n", 4)]);
    let (mut admitted, mut refused) = (0, 0);
    for at in 8..change.len() {
        for flip in [0x01, 0x40, 0x7f, 0x80, 0xff] {
            let mut bytes = change.clone();
            bytes[at] ^= flip;
            crate::testing::mend_checksum(&mut bytes);
            match admit(&base, 1, &bytes) {
                Ok(doc) => {
                    admitted += 1;
                    edit(&doc, 3, &[put("/a", 1), increment("/n", 1)]);
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(admitted > 0 && refused > admitted, "{admitted} admitted, {refused} refused");
}

/// An engine that fails on foreign changes in the given way.
#[derive(Debug, Clone)]
struct Failing<const ON_APPLY: bool>(AutomergeDoc);

impl<const ON_APPLY: bool> DocEngine for Failing<ON_APPLY> {
    fn skeleton() -> Self {
        Self(AutomergeDoc::skeleton())
    }

    fn heads(&self) -> Vec<ChangeHash> {
        self.0.heads()
    }

    fn contains(&self, change: &ChangeHash) -> bool {
        self.0.contains(change)
    }

    fn last_op(&self, change: &ChangeHash) -> Option<u64> {
        self.0.last_op(change)
    }

    fn edit(
        &mut self,
        author: &Author,
        session: &SessionId,
        ops: &[SessionOp],
        limits: &Limits,
    ) -> Result<ChangeBytes, EditRefusal> {
        self.0.edit(author, session, ops, limits)
    }

    fn apply(&mut self, change: &[u8]) -> Result<ChangeHash, EngineRefusal> {
        assert!(!ON_APPLY, "a planted panic");
        self.0.apply(change)
    }

    fn body(&self) -> Body {
        assert!(ON_APPLY, "a planted panic");
        self.0.body()
    }

    fn body_bytes(&self) -> usize {
        self.0.body_bytes()
    }
}

#[test]
fn a_panic_of_the_engine_is_a_refusal() {
    let (_, change) = edit(&Doc::unwritten(), 1, &[put("/a", 1)]);
    let panicked = NotAdmitted::Refused(AdmitRefusal::Engine(EngineRefusal::Panicked));
    let on_apply =
        SessionDoc::<Failing<true>>::unwritten().admit(&author(1, 1), &session("cart"), DocEpoch(0), &change);
    assert_eq!(on_apply.unwrap_err(), panicked);
    let on_reading =
        SessionDoc::<Failing<false>>::unwritten().admit(&author(1, 1), &session("cart"), DocEpoch(0), &change);
    assert_eq!(on_reading.unwrap_err(), panicked);
}
