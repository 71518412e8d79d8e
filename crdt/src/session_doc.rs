//! One session at one replica: the engine's document behind the armour that every foreign change passes.

use std::{collections::BTreeMap, panic::AssertUnwindSafe};

use hedgerow_protocol::session_id::SessionId;

use crate::{
    engine::{ActorId, Author, Body, ChangeBytes, DocEngine, EditRefusal, EngineRefusal},
    etag::{CausalToken, Etag, SessionMark},
    heads::{ChangeHash, DocEpoch, Heads},
    limits::{HEADS_MAX, HISTORY_BYTES_MAX, Limits},
    ops::SessionOp,
    prescan::{ScanRefusal, ScannedChange, scan},
};

/// A session's document with what is needed to admit changes to it. Edits and admissions consume it and give back another, so that one that
/// failed half way cannot be used by mistake: clone before.
#[derive(Debug, Clone)]
pub struct SessionDoc<E> {
    engine: E,
    epoch: DocEpoch,
    /// The last number of every actor.
    seqs: BTreeMap<ActorId, u64>,
    history_bytes: usize,
}

/// Why a change is refused for good. The document is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdmitRefusal {
    /// The armour's scan refuses the bytes.
    #[error("scan a change")]
    Scan(#[from] ScanRefusal),
    /// The change is made under an actor that does not belong to the key that signed it.
    #[error("take a change made in the name of another author")]
    ForgedActor,
    /// Its number or first operation does not follow from its dependencies.
    #[error("take a change whose numbers do not follow from its dependencies")]
    BadNumbers,
    /// For an epoch of the history that this document does not have.
    #[error("take a change of epoch {found:?}, the session is in {expected:?}", found = .found.0, expected = .expected.0)]
    OtherEpoch {
        /// The change's.
        found: DocEpoch,
        /// The document's.
        expected: DocEpoch,
    },
    /// The document would have more than [`HEADS_MAX`] heads.
    #[error("take a change that makes more than {HEADS_MAX} heads")]
    TooManyHeads,
    /// The engine does not take it.
    #[error("take a change")]
    Engine(#[from] EngineRefusal),
}

/// Why a change is not part of the document after an attempt to admit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted {
    /// It depends on changes that are not here; try again once they are.
    Missing(Vec<ChangeHash>),
    /// The history has no room for it here; try again after it was compacted.
    HistoryFull,
    /// Its author has already made another change with its number.
    Equivocation {
        /// Under this actor.
        actor: ActorId,
        /// The number.
        seq: u64,
    },
    /// It will never be.
    Refused(AdmitRefusal),
}

impl<R: Into<AdmitRefusal>> From<R> for NotAdmitted {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal.into())
    }
}

impl<E: DocEngine> SessionDoc<E> {
    /// A session that nobody has written to.
    #[must_use]
    pub fn unwritten() -> Self {
        Self { engine: E::skeleton(), epoch: DocEpoch(0), seqs: BTreeMap::new(), history_bytes: 0 }
    }

    /// Writes `ops` as one change. The change has passed the same scan as on every other replica.
    ///
    /// # Errors
    /// When the ops do not suit the present body, or the session is full.
    pub fn edit(
        mut self,
        author: &Author,
        session: &SessionId,
        ops: &[SessionOp],
        limits: &Limits,
    ) -> Result<(Self, ChangeBytes), EditRefusal> {
        let max = limits.history_bytes.min(HISTORY_BYTES_MAX);
        if self.history_bytes >= max {
            return Err(EditRefusal::HistoryFull { bytes: self.history_bytes, max });
        }
        let change = contained(|| self.engine.edit(author, session, ops, limits))??;
        let scanned = scan(&change.bytes)?;
        self.install(&scanned, change.bytes.len());
        Ok((self, change))
    }

    /// Takes a change of `author` in, unless it is here already. Bytes are scanned before the engine sees them, numbers are checked against
    /// the dependencies, and a panic of the engine is an error like any other.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub fn admit(
        mut self,
        author: &Author,
        session: &SessionId,
        epoch: DocEpoch,
        bytes: &[u8],
    ) -> Result<Self, NotAdmitted> {
        if epoch != self.epoch {
            return Err(AdmitRefusal::OtherEpoch { found: epoch, expected: self.epoch }.into());
        }
        let scanned = scan(bytes)?;
        if scanned.actor != ActorId::of(author, session) {
            return Err(AdmitRefusal::ForgedActor.into());
        }
        if self.engine.contains(&scanned.hash) {
            return Ok(self);
        }
        let last_seq = self.seqs.get(&scanned.actor).copied().unwrap_or(0);
        if scanned.seq <= last_seq {
            return Err(NotAdmitted::Equivocation { actor: scanned.actor, seq: scanned.seq });
        }
        self.check_numbers(&scanned, last_seq)?;
        if self.history_bytes.saturating_add(bytes.len()) > HISTORY_BYTES_MAX {
            return Err(NotAdmitted::HistoryFull);
        }
        let hash = contained(|| {
            let hash = self.engine.apply(bytes)?;
            // Some changes are taken and make the next reading fail; it fails here, inside the containment.
            self.engine.body();
            Ok::<_, EngineRefusal>(hash)
        })??;
        if hash != scanned.hash {
            return Err(EngineRefusal::Inapplicable.into());
        }
        if self.engine.heads().len() > HEADS_MAX {
            return Err(AdmitRefusal::TooManyHeads.into());
        }
        self.install(&scanned, bytes.len());
        Ok(self)
    }

    /// The tag of the present state.
    #[must_use]
    pub fn etag(&self) -> Etag {
        Etag::of(self.epoch, &self.heads())
    }

    /// What a client has seen once it has seen this state.
    #[must_use]
    pub fn token(&self, session: &SessionId) -> CausalToken {
        CausalToken { session: SessionMark::of(&session.to_string()), epoch: self.epoch, heads: self.heads() }
    }

    /// The present heads.
    #[must_use]
    pub fn heads(&self) -> Heads {
        Heads::new(self.engine.heads()).expect("neither an edit nor an admission leaves more heads than the bound")
    }

    /// The epoch of the history.
    #[must_use]
    pub fn epoch(&self) -> DocEpoch {
        self.epoch
    }

    /// The value and its conflicts.
    #[must_use]
    pub fn body(&self) -> Body {
        self.engine.body()
    }

    /// Which of `changes` are not here.
    pub fn lacking<'a>(&self, changes: impl IntoIterator<Item = &'a ChangeHash>) -> Vec<ChangeHash> {
        changes.into_iter().filter(|change| !self.engine.contains(change)).copied().collect()
    }

    /// An actor numbers its changes without a gap, and counts operations on from the last of what it depends on.
    fn check_numbers(&self, change: &ScannedChange, last_seq: u64) -> Result<(), NotAdmitted> {
        let missing = self.lacking(&change.deps);
        if !missing.is_empty() {
            return Err(NotAdmitted::Missing(missing));
        }
        let last_op = change.deps.iter().filter_map(|dep| self.engine.last_op(dep)).max().unwrap_or(0);
        let follows = Some(change.seq) == last_seq.checked_add(1) && Some(change.start_op) == last_op.checked_add(1);
        if follows { Ok(()) } else { Err(AdmitRefusal::BadNumbers.into()) }
    }

    fn install(&mut self, change: &ScannedChange, bytes: usize) {
        self.seqs.insert(change.actor, change.seq);
        self.history_bytes += bytes;
    }
}

/// Runs the engine so that its panics stay here. The document it worked on is dropped by every caller.
fn contained<T>(run: impl FnOnce() -> T) -> Result<T, EngineRefusal> {
    match std::panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => Ok(outcome),
        Err(_payload) => Err(EngineRefusal::Panicked),
    }
}

#[cfg(test)]
#[path = "session_doc_tests.rs"]
mod tests;
