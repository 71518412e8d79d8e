//! A session's document on Automerge.

use automerge::{
    Automerge, Change, ChangeHash as EngineHash, ObjId, ObjType, ROOT, ReadDoc,
    transaction::{CommitOptions, Transactable},
};
use hedgerow_protocol::session_id::SessionId;

use crate::{
    engine::{ActorId, Author, Body, ChangeBytes, DocEngine, EditRefusal, EngineRefusal, edit, view},
    heads::ChangeHash,
    limits::Limits,
    ops::SessionOp,
};

/// An Automerge document with the skeleton of a session.
#[derive(Debug, Clone)]
pub struct AutomergeDoc {
    doc: Automerge,
}

impl DocEngine for AutomergeDoc {
    fn skeleton() -> Self {
        // The random actor that the engine draws here is replaced before anything is written.
        let mut doc = Automerge::new().with_actor(engine_actor(ActorId::SKELETON));
        doc.transact_with(
            |_: &()| CommitOptions::default().with_time(0),
            |tx| {
                for map in MAPS {
                    tx.put_object(ROOT, map, ObjType::Map)?;
                }
                Ok::<_, automerge::AutomergeError>(())
            },
        )
        .expect("an empty document takes maps at its root");
        Self { doc }
    }

    fn heads(&self) -> Vec<ChangeHash> {
        let mut heads: Vec<_> = self.doc.get_heads().into_iter().map(|head| ChangeHash(head.0)).collect();
        heads.sort_unstable();
        heads
    }

    fn contains(&self, change: &ChangeHash) -> bool {
        self.last_op(change).is_some()
    }

    fn last_op(&self, change: &ChangeHash) -> Option<u64> {
        self.doc.get_change_meta_by_hash(&EngineHash(change.0)).map(|meta| meta.max_op)
    }

    fn edit(
        &mut self,
        author: &Author,
        session: &SessionId,
        ops: &[SessionOp],
        limits: &Limits,
    ) -> Result<ChangeBytes, EditRefusal> {
        self.doc.set_actor(engine_actor(ActorId::of(author, session)));
        let maps = self.maps().ok_or(EngineRefusal::Inapplicable)?;
        let cell = author.cell(session);
        let outcome = self.doc.transact_with(|_: &()| options(), |tx| edit::edit(tx, &maps, &cell, ops));
        let hash = match outcome {
            Ok(done) => done.hash.unwrap_or_else(|| self.doc.empty_commit(options())),
            Err(failure) => return Err(failure.error),
        };
        let bytes = self.body_bytes();
        if bytes > limits.body_bytes {
            return Err(EditRefusal::BodyTooLarge { bytes, max: limits.body_bytes });
        }
        let change = self.doc.get_change_by_hash(&hash).expect("a change that was just committed is in the document");
        Ok(ChangeBytes { hash: ChangeHash(hash.0), bytes: change.raw_bytes().to_vec() })
    }

    fn apply(&mut self, change: &[u8]) -> Result<ChangeHash, EngineRefusal> {
        let Ok(change) = Change::try_from(change) else {
            return Err(EngineRefusal::Unparsable);
        };
        let hash = change.hash();
        // The other way in, `load_incremental`, drops a tail that it cannot read without saying so.
        if self.doc.apply_changes([change]).is_err() || self.doc.get_change_meta_by_hash(&hash).is_none() {
            return Err(EngineRefusal::Inapplicable);
        }
        Ok(ChangeHash(hash.0))
    }

    fn body(&self) -> Body {
        self.maps().map_or_else(Body::default, |maps| view::body(&self.doc, &maps))
    }

    fn body_bytes(&self) -> usize {
        self.maps().map_or(0, |maps| view::body_bytes(&self.doc, &maps))
    }
}

impl AutomergeDoc {
    fn maps(&self) -> Option<Maps> {
        let map = |name| self.doc.get(ROOT, name).ok().flatten().map(|(_, id)| id);
        Some(Maps { values: map(MAPS[0])?, cells: map(MAPS[1])? })
    }
}

/// The objects of the skeleton that edits go to.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) values: ObjId,
    pub(crate) cells: ObjId,
}

fn engine_actor(actor: ActorId) -> automerge::ActorId {
    automerge::ActorId::from(actor.0)
}

/// Without a time, so that a change is a function of its author, its number, its dependencies and its operations.
fn options() -> CommitOptions {
    CommitOptions::default().with_time(0)
}

/// The skeleton's maps in the order of their creation: their operation counters are 1, 2 and 3.
const MAPS: [&str; 3] = ["kv", "cells", "meta"];

/// How many of them sessions write to.
pub(crate) const SKELETON_MAPS: u64 = 2;

#[cfg(test)]
#[path = "automerge_doc_tests.rs"]
mod tests;
