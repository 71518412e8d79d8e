//! What the core keeps on disk, and how it comes back from there.

use crate::defect::{Defects, Sound};
use crate::election::VoterRecord;
use crate::fact::{Fact, FactDecodeError, FactKey, FactRefusal, NodeState, SignedFact, VerifiedFact};
use crate::id::{Generation, Incarnation, Slot, Term};
use crate::register::Point;
use crate::roster::Roster;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::revocation::VerifiedRevocation;
use hedgerow_attest::revoked::Revoked;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::time::UnixSeconds;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use thiserror::Error;

/// Version byte of every stored value but facts, which carry their own.
const ROW_VERSION: u8 = 1;

/// A table of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreTable {
    /// The incarnation, under an empty key.
    Incarnation,
    /// Facts by [`FactKey::to_bytes`].
    Facts,
    /// What this node promised and accepted as a voter, by cell.
    Votes,
    /// The highest fence seen, by cell.
    Fences,
}

/// One change of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOp {
    /// Write, replacing what is there.
    Put {
        /// Where.
        table: StoreTable,
        /// Under which key.
        key: Vec<u8>,
        /// What.
        value: Vec<u8>,
    },
    /// Keep a fact, replacing the one with its key; [`StoreOp::put_fact`] has the row.
    Keep(VerifiedFact),
    /// Remove, if it is there.
    Delete {
        /// Where.
        table: StoreTable,
        /// Under which key.
        key: Vec<u8>,
    },
}

impl StoreOp {
    /// The row of a fact: [`StoreTable::Facts`], the key, the signed bytes.
    #[must_use]
    pub fn put_fact(fact: &VerifiedFact) -> Row {
        (StoreTable::Facts, fact.key().to_bytes(), fact.signed().to_bytes())
    }
}

/// One stored row.
pub type Row = (StoreTable, Vec<u8>, Vec<u8>);

/// The highest exclusive act of a cell that this node saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(crate) struct Fence {
    pub(crate) generation: Generation,
    pub(crate) slot: Slot,
    pub(crate) term: Term,
}

impl Fence {
    /// Something was seen there. Each generation counts its terms afresh.
    pub(crate) fn reach(&mut self, seen: Self) {
        match seen.generation.cmp(&self.generation) {
            Ordering::Greater => *self = seen,
            Ordering::Equal => (self.slot, self.term) = (self.slot.max(seen.slot), self.term.max(seen.term)),
            Ordering::Less => {}
        }
    }

    /// A slot was decided there.
    pub(crate) fn at(Point { generation, slot }: Point) -> Self {
        Self { generation, slot, term: Term(0) }
    }

    /// A lease was granted there.
    pub(crate) fn under(generation: Generation, term: Term) -> Self {
        Self { generation, slot: Slot(0), term }
    }
}

/// What was durable when the last run ended, checked again.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(crate) incarnation: Incarnation,
    /// In an order in which each can be adopted.
    pub(crate) facts: Vec<VerifiedFact>,
    pub(crate) votes: BTreeMap<CellId, VoterRecord>,
    pub(crate) fences: BTreeMap<CellId, Fence>,
    /// Stored facts that no longer hold, usually because a certificate ended.
    pub expired: usize,
}

/// Why stored rows cannot be used. The store was written by a later release or is damaged: a node that forgot what it
/// promised must not vote, so do not start with an empty one under the same identity; restore, or join afresh.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// Written by a later release: upgrade this node.
    #[error("stored row of version {version} in table {table:?}")]
    UnsupportedVersion {
        /// The version.
        version: u8,
        /// The table.
        table: StoreTable,
    },
    /// A row that cannot be read.
    #[error("malformed row in table {table:?}")]
    Malformed {
        /// The table.
        table: StoreTable,
    },
    /// A fact that cannot be read.
    #[error("malformed stored fact")]
    Fact(#[source] FactDecodeError),
    /// A fact whose signature does not hold; its bytes were changed on the disk.
    #[error("stored fact that does not hold")]
    Forged(#[source] FactRefusal),
}

impl Snapshot {
    /// Whether the node of that store left the mesh for good: it may run, but nobody believes anything it says.
    #[must_use]
    pub fn has_left(&self, node: &NodeId) -> bool {
        self.facts.iter().any(|fact| is_departure_of(fact, node))
    }

    /// Whether the node is out for good, by what that store knows: nobody believes anything it says.
    #[must_use]
    pub fn is_revoked(&self, node: &NodeId) -> bool {
        self.revocation_of(node).is_some()
    }

    /// By what the node is out.
    #[must_use]
    pub fn revocation_of(&self, node: &NodeId) -> Option<VerifiedRevocation> {
        let mut roster = Roster::default();
        for fact in self.facts.iter().filter(|fact| fact.key().is_revocation()) {
            roster.learn(fact);
        }
        roster.revocation_of(node).and_then(VerifiedFact::revoked).cloned()
    }

    /// Who is out, by the rows of a store alone: what a node has to know before it talks to anybody.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn revoked_in(rows: impl IntoIterator<Item = Row>, root: &TrustRoot) -> Result<Revoked, SnapshotError> {
        let mut roster = Roster::default();
        for (table, key, value) in rows.into_iter().filter(|(table, ..)| *table == StoreTable::Facts) {
            let key: FactKey = postcard::from_bytes(&key).map_err(|_refused| SnapshotError::Malformed { table })?;
            if key.is_revocation() {
                let signed = SignedFact::from_bytes(&value).map_err(SnapshotError::Fact)?;
                roster.learn(&signed.verify(&roster, root, UnixSeconds(0)).map_err(SnapshotError::Forged)?);
            }
        }
        Ok(roster.revoked().clone())
    }

    /// Rebuilds from every row of the store, in any order. Signatures are checked again: disks flip bits too.
    ///
    /// # Errors
    /// [`SnapshotError`]. Facts that time alone made void are dropped and counted in `expired`.
    pub fn from_rows(
        rows: impl IntoIterator<Item = Row>,
        root: &TrustRoot,
        now: UnixSeconds,
    ) -> Result<Self, SnapshotError> {
        Self::from_rows_with_defects(rows, root, now, Sound)
    }

    /// The same for a core built without some of the rules, which may have stored what no other would believe.
    ///
    /// # Errors
    /// As [`Snapshot::from_rows`].
    pub fn from_rows_with_defects<D: Defects>(
        rows: impl IntoIterator<Item = Row>,
        root: &TrustRoot,
        now: UnixSeconds,
        defects: D,
    ) -> Result<Self, SnapshotError> {
        let mut snapshot = Self::default();
        let mut facts = BTreeMap::new();
        for (table, key, value) in rows {
            if table == StoreTable::Facts {
                let fact_key: FactKey =
                    postcard::from_bytes(&key).map_err(|_refused| SnapshotError::Malformed { table })?;
                facts.insert(fact_key, SignedFact::from_bytes(&value).map_err(SnapshotError::Fact)?);
            } else {
                snapshot.restore(table, &key, &value)?;
            }
        }
        let mut roster = Roster::waiving(defects);
        let (first, last): (Vec<_>, Vec<_>) = facts.into_iter().partition(|(key, _)| key.is_checked_against());
        // The voters of a cell that came of a split can be checked only when the end of the other one was.
        let mut open: Vec<SignedFact> = first.into_iter().map(|(_, signed)| signed).collect();
        loop {
            let before = open.len();
            open = snapshot.take(open, &mut roster, root, now)?;
            if open.len() == before {
                break;
            }
        }
        open.extend(last.into_iter().map(|(_, signed)| signed));
        snapshot.expired += snapshot.take(open, &mut roster, root, now)?.len();
        Ok(snapshot)
    }

    /// Takes in what holds; returns what may hold when more is known.
    fn take(
        &mut self,
        facts: Vec<SignedFact>,
        roster: &mut Roster,
        root: &TrustRoot,
        now: UnixSeconds,
    ) -> Result<Vec<SignedFact>, SnapshotError> {
        let mut open = Vec::new();
        for signed in facts {
            match signed.clone().verify(roster, root, now) {
                Ok(fact) => {
                    roster.learn(&fact);
                    self.facts.push(fact);
                }
                Err(refusal) if refusal.may_heal() => open.push(signed),
                Err(refusal) if refusal.is_of_its_time() => self.expired += 1,
                Err(refusal) => return Err(SnapshotError::Forged(refusal)),
            }
        }
        Ok(open)
    }

    /// Rebuilds from rows of other tables and from facts that never left the memory of this process, as a simulated disk
    /// keeps them.
    ///
    /// # Errors
    /// [`SnapshotError`], for the rows.
    pub fn from_memory(
        rows: impl IntoIterator<Item = Row>,
        mut facts: Vec<VerifiedFact>,
    ) -> Result<Self, SnapshotError> {
        let mut snapshot = Self::default();
        for (table, key, value) in rows {
            snapshot.restore(table, &key, &value)?;
        }
        facts.sort_by(|a, b| a.turn().cmp(&b.turn()));
        snapshot.facts = facts;
        Ok(snapshot)
    }

    fn restore(&mut self, table: StoreTable, key: &[u8], value: &[u8]) -> Result<(), SnapshotError> {
        match table {
            StoreTable::Incarnation => self.incarnation = read(table, value)?,
            StoreTable::Votes => {
                self.votes.insert(cell(table, key)?, read(table, value)?);
            }
            StoreTable::Fences => {
                self.fences.insert(cell(table, key)?, read(table, value)?);
            }
            StoreTable::Facts => return Err(SnapshotError::Malformed { table }),
        }
        Ok(())
    }
}

/// Whether the node says in it that it left for good.
pub(super) fn is_departure_of(fact: &VerifiedFact, node: &NodeId) -> bool {
    matches!(fact.fact(), Fact::Record(record) if record.node == *node && record.state == NodeState::Left)
}

/// The row that keeps the incarnation.
pub(crate) fn put_incarnation(incarnation: Incarnation) -> StoreOp {
    StoreOp::Put { table: StoreTable::Incarnation, key: Vec::new(), value: write(&incarnation) }
}

/// The removal of a fact.
pub(crate) fn delete_fact(key: &FactKey) -> StoreOp {
    StoreOp::Delete { table: StoreTable::Facts, key: key.to_bytes() }
}

/// The row that keeps what was promised and accepted.
pub(crate) fn put_vote(cell: &CellId, vote: &VoterRecord) -> StoreOp {
    StoreOp::Put { table: StoreTable::Votes, key: cell.as_bytes().to_vec(), value: write(vote) }
}

/// The row that keeps the highest fence.
pub(crate) fn put_fence(cell: &CellId, fence: &Fence) -> StoreOp {
    StoreOp::Put { table: StoreTable::Fences, key: cell.as_bytes().to_vec(), value: write(fence) }
}

fn write<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![ROW_VERSION]).expect("postcard writes every row into memory")
}

fn read<T: for<'de> Deserialize<'de>>(table: StoreTable, value: &[u8]) -> Result<T, SnapshotError> {
    match value.split_first() {
        Some((&ROW_VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((row, [])) => Ok(row),
            Ok(_) | Err(_) => Err(SnapshotError::Malformed { table }),
        },
        Some((&version, _)) => Err(SnapshotError::UnsupportedVersion { version, table }),
        None => Err(SnapshotError::Malformed { table }),
    }
}

fn cell(table: StoreTable, key: &[u8]) -> Result<CellId, SnapshotError> {
    key.try_into().map(CellId::from_bytes).map_err(|_refused| SnapshotError::Malformed { table })
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
