//! The facts that this node knows, and their summary for anti-entropy.

use crate::fact::{FactKey, VerifiedFact, hash64};
use crate::wire::{FactEntry, SUMMARY_BUCKETS};
use std::collections::BTreeMap;

/// Facts that are kept: certificates, records and accusations of a full roster, and the rest.
const FACTS_MAX: usize = 64 * 1024;

/// Policies that are kept: tables speak of the one under which they were made.
const POLICIES_MAX: usize = 64;

/// Deployments that are kept.
const DEPLOYMENTS_MAX: usize = 256;

/// What became of a fact that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adoption {
    /// It says something that was not known.
    Fresh,
    /// The same or a later one is known.
    Known,
    /// There is no room for more of its kind.
    Full,
}

/// One fact per key.
#[derive(Debug, Default)]
pub(crate) struct FactStore {
    facts: BTreeMap<FactKey, VerifiedFact>,
    keys: BTreeMap<u64, FactKey>,
    buckets: [u64; SUMMARY_BUCKETS],
}

impl FactStore {
    /// Keeps the fact if its version is higher than that of the known one.
    pub(crate) fn adopt(&mut self, fact: VerifiedFact) -> Adoption {
        let known = self.facts.get(fact.key()).map(VerifiedFact::version);
        if known.is_some_and(|known| known >= fact.version()) {
            return Adoption::Known;
        }
        if known.is_none() && !self.has_room(fact.key()) {
            return Adoption::Full;
        }
        self.remove(&fact.key().clone());
        let entry = entry(&fact);
        self.toggle(&entry);
        self.keys.insert(entry.key, fact.key().clone());
        self.facts.insert(fact.key().clone(), fact);
        Adoption::Fresh
    }

    pub(crate) fn remove(&mut self, key: &FactKey) -> bool {
        let Some(former) = self.facts.remove(key) else { return false };
        let entry = entry(&former);
        self.toggle(&entry);
        self.keys.remove(&entry.key);
        true
    }

    pub(crate) fn get(&self, key: &FactKey) -> Option<&VerifiedFact> {
        self.facts.get(key)
    }

    pub(crate) fn by_hash(&self, hash: u64) -> Option<&VerifiedFact> {
        self.facts.get(self.keys.get(&hash)?)
    }

    /// All facts, those first on which others depend.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &VerifiedFact> {
        self.facts.values()
    }

    /// One hash per bucket.
    pub(crate) fn summary(&self) -> [u64; SUMMARY_BUCKETS] {
        self.buckets
    }

    /// The entries of the buckets in the mask, with their keys.
    pub(crate) fn entries(&self, mask: u16) -> impl Iterator<Item = (FactEntry, &FactKey)> {
        let listed = move |fact: &&VerifiedFact| mask >> bucket(fact.key().hash()) & 1 == 1;
        self.facts.values().filter(listed).map(|fact| (entry(fact), fact.key()))
    }

    fn has_room(&self, key: &FactKey) -> bool {
        let kind = std::mem::discriminant(key);
        let of_kind = || self.facts.keys().filter(|known| std::mem::discriminant(*known) == kind).count();
        let room = match key {
            FactKey::Policy(_) => of_kind() < POLICIES_MAX,
            FactKey::Deployment(_) => of_kind() < DEPLOYMENTS_MAX,
            FactKey::Member(_)
            | FactKey::Genesis(_)
            | FactKey::Configuration(..)
            | FactKey::Record(_)
            | FactKey::Accusation(_)
            | FactKey::Placement(_)
            | FactKey::Rollup(_) => true,
        };
        room && self.facts.len() < FACTS_MAX
    }

    fn toggle(&mut self, entry: &FactEntry) {
        if let Some(place) = self.buckets.get_mut(bucket(entry.key)) {
            *place ^= hash64(&postcard::to_stdvec(entry).expect("postcard writes every entry into memory"));
        }
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

fn entry(fact: &VerifiedFact) -> FactEntry {
    FactEntry { key: fact.key().hash(), version: fact.version() }
}

#[cfg(test)]
#[path = "fact_store_tests.rs"]
mod tests;
