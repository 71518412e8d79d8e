//! The facts of one scope, in the order of their keys' hashes, and their summary for anti-entropy.

use crate::defect::{Defect, Defects, Sound};
use crate::fact::{FactKey, FactVersion, VerifiedFact, hash64};
use crate::sorted::{find_spread, insert_at};
use crate::wire::{FactEntry, SUMMARY_BUCKETS};
use std::cmp::Ordering;

/// What became of a fact that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adoption {
    /// It says something that was not known.
    Fresh,
    /// The same or a later one is known.
    Known,
    /// There is no room for more of its kind.
    Full,
    /// It is of a cell of which this node keeps no detail.
    Elsewhere,
}

/// One hash per bucket: the exclusive or over its facts, so that a fact that comes or goes changes one of them and no other
/// fact is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Buckets(pub(crate) [u64; SUMMARY_BUCKETS]);

impl Buckets {
    /// A fact comes, or goes.
    pub(crate) fn toggle(&mut self, fact: &VerifiedFact, defects: impl Defects) {
        let mut entry = entry(fact);
        if defects.has(Defect::DigestWithoutIncarnation) {
            entry.version = FactVersion { major: 0, minor: 0, tie: 0 };
        }
        if let Some(bucket) = self.0.get_mut(bucket(entry.key)) {
            *bucket ^= hash64(&postcard::to_stdvec(&entry).expect("postcard writes every entry into memory"));
        }
    }

    /// Both together.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, other)| *mine ^= other);
        self
    }

    /// One hash over all of them.
    pub(crate) fn root(&self) -> u64 {
        self.0.iter().zip(1..).fold(0, |root, (bucket, turn): (_, u32)| root ^ bucket.rotate_left(turn))
    }
}

/// One fact per key, by the hashes of keys: eight bytes each, since the fact itself is shared.
#[derive(Debug)]
pub(crate) struct Shelf<D = Sound> {
    facts: Vec<VerifiedFact>,
    buckets: Buckets,
    /// The exclusive or over the charges alone.
    charges: u64,
    defects: D,
}

impl<D: Defects> Shelf<D> {
    pub(crate) fn new(defects: D) -> Self {
        Self { facts: Vec::new(), buckets: Buckets::default(), charges: 0, defects }
    }

    /// Keeps the fact if its version is higher than that of the known one, and if there are fewer than `most` facts or it
    /// replaces one.
    pub(crate) fn adopt(&mut self, fact: VerifiedFact, most: usize) -> Adoption {
        match self.place(fact.hash()) {
            Ok(place) => {
                let Some(known) = self.facts.get_mut(place) else { return Adoption::Known };
                // Of two keys with one hash the first stays: finding a second takes 2^64 tries and gains nothing.
                if known.key() != fact.key() || known.version() >= fact.version() {
                    return Adoption::Known;
                }
                let former = std::mem::replace(known, fact.clone());
                self.toggle(&former);
                self.toggle(&fact);
            }
            Err(_) if self.facts.len() >= most => return Adoption::Full,
            Err(place) => {
                self.toggle(&fact);
                insert_at(&mut self.facts, place, fact);
            }
        }
        Adoption::Fresh
    }

    pub(crate) fn remove(&mut self, key: &FactKey) -> bool {
        let Ok(place) = self.place(key.hash()) else { return false };
        if self.facts.get(place).is_none_or(|known| known.key() != key) {
            return false;
        }
        let former = self.facts.remove(place);
        self.toggle(&former);
        true
    }

    pub(crate) fn get(&self, key: &FactKey) -> Option<&VerifiedFact> {
        self.by_hash(key.hash()).filter(|fact| fact.key() == key)
    }

    pub(crate) fn by_hash(&self, hash: u64) -> Option<&VerifiedFact> {
        self.facts.get(self.place(hash).ok()?)
    }

    /// All facts, by the hashes of their keys.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &VerifiedFact> {
        self.facts.iter()
    }

    pub(crate) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// A hash over the charges alone.
    pub(crate) fn charges(&self) -> u64 {
        self.charges
    }

    /// Gives up what does not stay.
    pub(crate) fn take(&mut self, leaves: impl Fn(&VerifiedFact) -> bool) -> Vec<VerifiedFact> {
        let gone: Vec<VerifiedFact> = self.facts.extract_if(.., |fact| leaves(fact)).collect();
        gone.iter().for_each(|fact| self.toggle(fact));
        gone
    }

    fn toggle(&mut self, fact: &VerifiedFact) {
        self.buckets.toggle(fact, self.defects);
        if matches!(fact.key(), FactKey::Accusation(_)) {
            let FactVersion { major, minor, .. } = fact.version();
            // Versions differ by little, so they are spread over all bits (Knuth's multiplicative hash).
            let version = major.rotate_left(2).wrapping_add(minor).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.charges ^= fact.hash() ^ version;
        }
    }

    fn place(&self, hash: u64) -> Result<usize, usize> {
        let order = |place: usize| self.facts.get(place).map_or(Ordering::Greater, |known| known.hash().cmp(&hash));
        find_spread(self.facts.len(), hash, order)
    }
}

/// The buckets whose hashes differ, one bit each.
pub(crate) fn difference(mine: &[u64; SUMMARY_BUCKETS], theirs: &[u64; SUMMARY_BUCKETS]) -> u16 {
    let differs = mine.iter().zip(theirs).map(|(mine, theirs)| u16::from(mine != theirs));
    differs.rev().fold(0, |mask, bit| mask << 1 | bit)
}

/// The bucket of a hash: its first four bits.
pub(crate) fn bucket(hash: u64) -> usize {
    usize::try_from(hash >> 60).expect("four bits")
}

pub(crate) fn entry(fact: &VerifiedFact) -> FactEntry {
    FactEntry { key: fact.hash(), version: fact.version() }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
