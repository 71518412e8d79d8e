//! Versions of a document: change hashes, heads, and the epoch of its history.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::HEADS_MAX;

/// The sha256 by which a change names its dependencies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangeHash(pub [u8; 32]);

impl fmt::Debug for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Counts the rebases of one session's history. Heads of different epochs never compare. Always 0 until history is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct DocEpoch(pub u32);

/// The changes of a document that no other change of it depends on: sorted, without repeats, at most [`HEADS_MAX`]. Two documents with equal
/// heads are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Heads(Vec<ChangeHash>);

/// More than [`HEADS_MAX`] heads. Honest replicas have no more heads than there are replicas writing at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("keep {heads} heads, at most {HEADS_MAX} are allowed")]
pub struct TooManyHeads {
    /// Distinct heads given.
    pub heads: usize,
}

impl Heads {
    /// Sorts and deduplicates `hashes`.
    ///
    /// # Errors
    /// When more than [`HEADS_MAX`] remain.
    pub fn new(mut hashes: Vec<ChangeHash>) -> Result<Self, TooManyHeads> {
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.len() > HEADS_MAX {
            return Err(TooManyHeads { heads: hashes.len() });
        }
        Ok(Self(hashes))
    }

    /// The heads in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &ChangeHash> {
        self.0.iter()
    }

    /// How many heads; more than one after concurrent writes that no write has merged yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no head, which is a document without even its skeleton.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Heads {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hashes = Vec::<ChangeHash>::deserialize(deserializer)?;
        let sorted = hashes.is_sorted_by(|left, right| left < right);
        let heads = Self::new(hashes).map_err(serde::de::Error::custom)?;
        if sorted { Ok(heads) } else { Err(serde::de::Error::custom("heads in another order than ascending")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_a_set() {
        let (one, two) = (ChangeHash([1; 32]), ChangeHash([2; 32]));
        let heads = Heads::new(vec![two, one, two]).unwrap();
        assert_eq!(heads.iter().copied().collect::<Vec<_>>(), [one, two]);
        let many = (0..33).map(|byte| ChangeHash([byte; 32])).collect();
        assert_eq!(Heads::new(many), Err(TooManyHeads { heads: 33 }));
    }

    #[test]
    fn only_the_sorted_spelling_is_read() {
        let unsorted = postcard::to_allocvec(&vec![ChangeHash([2; 32]), ChangeHash([1; 32])]).unwrap();
        assert!(postcard::from_bytes::<Heads>(&unsorted).is_err());
    }
}
