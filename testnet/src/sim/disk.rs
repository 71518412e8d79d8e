//! The disk of one node: what was synced survives its crash, of the rest a random part of the beginning.

use super::dice::Dice as _;
use super::time::{MS, Micros};
use hedgerow_protocol::core::{Row, Snapshot, SnapshotError, StorageFailure, StoreOp, StoreTable};
use hedgerow_protocol::fact::VerifiedFact;
use hedgerow_protocol::id::Token;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Microseconds that a write takes until it is durable: least and most. An SSD behind a group commit.
pub(crate) const SYNC_US: (u64, u64) = (MS, 8 * MS);

/// Rows in memory, and the writes that are not durable.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    rows: BTreeMap<(StoreTable, Vec<u8>), Vec<u8>>,
    /// By the hash of their key.
    facts: BTreeMap<u64, VerifiedFact>,
    /// What a disk that keeps nothing holds nevertheless: from an earlier life, shared by all who lived it.
    past: Arc<[VerifiedFact]>,
    written: VecDeque<(Token, Vec<StoreOp>)>,
    /// Every write fails like this.
    pub(crate) failing: Option<StorageFailure>,
    /// Writes take so many times longer.
    pub(crate) slowness: u64,
    /// Keeps nothing: for runs of many nodes in which nobody restarts.
    pub(crate) is_blank: bool,
}

impl Disk {
    /// An empty disk, which keeps what is written or does not.
    pub(crate) fn new(is_blank: bool) -> Self {
        Self { is_blank, ..Self::default() }
    }

    /// Puts facts on it from an earlier life.
    pub(crate) fn furnish(&mut self, facts: &Arc<[VerifiedFact]>) {
        if self.is_blank {
            self.past = Arc::clone(facts);
        } else {
            self.facts = facts.iter().map(|fact| (fact.key().hash(), fact.clone())).collect();
        }
    }

    /// What is durable on it, on another disk that is well.
    pub(crate) fn copy(&self) -> Self {
        Self { rows: self.rows.clone(), facts: self.facts.clone(), is_blank: self.is_blank, ..Self::default() }
    }

    /// Takes a write. Returns when it will be complete.
    pub(crate) fn write(&mut self, now: Micros, token: Token, ops: Vec<StoreOp>, rng: &mut ChaCha8Rng) -> Micros {
        if !self.is_blank {
            self.written.push_back((token, ops));
        }
        now + rng.within(SYNC_US) * self.slowness.max(1)
    }

    /// Everything up to that write is durable.
    pub(crate) fn sync(&mut self, token: Token) {
        while self.written.front().is_some_and(|(written, _)| *written <= token) {
            let Some((_, ops)) = self.written.pop_front() else { break };
            self.apply(ops);
        }
    }

    /// The power goes: of what was not synced a random part of the beginning survives, whole writes only.
    pub(crate) fn crash(&mut self, rng: &mut ChaCha8Rng) {
        let survives = rng.below(self.written.len() as u64 + 1);
        for _ in 0..survives {
            let Some((_, ops)) = self.written.pop_front() else { break };
            self.apply(ops);
        }
        self.written.clear();
    }

    /// What the next run finds.
    ///
    /// # Errors
    /// [`SnapshotError`], which a disk that loses writes and changes none does not cause.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, SnapshotError> {
        let row =
            |((table, key), value): (&(StoreTable, Vec<u8>), &Vec<u8>)| -> Row { (*table, key.clone(), value.clone()) };
        let facts = self.facts.values().chain(&*self.past).cloned().collect();
        Snapshot::from_memory(self.rows.iter().map(row), facts)
    }

    fn apply(&mut self, ops: Vec<StoreOp>) {
        for op in ops {
            match op {
                StoreOp::Put { table, key, value } => {
                    self.rows.insert((table, key), value);
                }
                StoreOp::Keep(fact) => {
                    self.facts.insert(fact.key().hash(), fact);
                }
                StoreOp::Delete { table: StoreTable::Facts, key } => {
                    self.facts.retain(|_, fact| fact.key().to_bytes() != key);
                }
                StoreOp::Delete { table, key } => {
                    self.rows.remove(&(table, key));
                }
            }
        }
    }
}
