//! Sets of keys of which a number must agree.

use crate::key::{KeyId, PublicKey};
use std::collections::BTreeMap;
use thiserror::Error;

/// Keys that one role lists at most.
pub const KEYS_MAX: usize = 16;

/// Why keys and a threshold do not make a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// A threshold of zero would accept unsigned statements, one above the number of keys none at all.
    #[error("threshold {threshold} of {keys} keys")]
    Threshold {
        /// The threshold asked for.
        threshold: usize,
        /// Distinct keys.
        keys: usize,
    },
    /// More than [`KEYS_MAX`] keys.
    #[error("{0} keys where 16 are the most")]
    TooMany(usize),
}

/// At least one and at most sixteen distinct keys, `threshold` of which must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    keys: BTreeMap<KeyId, PublicKey>,
    threshold: usize,
}

impl KeySet {
    /// A set; keys given twice count once.
    ///
    /// # Errors
    /// [`KeySetError`] when no number of signatures could satisfy it, or none would be needed.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>, threshold: usize) -> Result<Self, KeySetError> {
        let keys: BTreeMap<_, _> = keys.into_iter().map(|key| (KeyId::of(&key), key)).collect();
        if keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany(keys.len()));
        }
        if threshold == 0 || threshold > keys.len() {
            return Err(KeySetError::Threshold { threshold, keys: keys.len() });
        }
        Ok(Self { keys, threshold })
    }

    /// One key that decides alone.
    #[must_use]
    pub fn sole(key: PublicKey) -> Self {
        Self { keys: BTreeMap::from([(KeyId::of(&key), key)]), threshold: 1 }
    }

    /// How many distinct keys must sign; at least 1.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// How many of the keys have to agree where any two agreements must have a key in common: the threshold, and more than
    /// half in any case.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.threshold.max(self.keys.len() / 2 + 1)
    }

    /// The keys in the order of their ids.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyId, &PublicKey)> {
        self.keys.iter()
    }

    /// The key with this id.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&PublicKey> {
        self.keys.get(id)
    }

    /// Whether the set lists the key with this id.
    #[must_use]
    pub fn contains(&self, id: &KeyId) -> bool {
        self.keys.contains_key(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_seed([seed; 32]).public()
    }

    #[test]
    fn a_threshold_must_be_reachable_and_above_zero() {
        assert_eq!(KeySet::new([key(1)], 0), Err(KeySetError::Threshold { threshold: 0, keys: 1 }));
        assert_eq!(KeySet::new([key(1), key(1)], 2), Err(KeySetError::Threshold { threshold: 2, keys: 1 }));
        assert_eq!(KeySet::new((0..17).map(key), 1), Err(KeySetError::TooMany(17)));
        assert_eq!(KeySet::new([key(1)], 1), Ok(KeySet::sole(key(1))));
        let majority = |keys, threshold| KeySet::new((0..keys).map(key), threshold).map(|set| set.majority());
        assert_eq!([majority(1, 1), majority(4, 1), majority(5, 2), majority(5, 4)], [Ok(1), Ok(3), Ok(3), Ok(4)]);
    }

    #[test]
    fn keys_are_found_by_id() {
        let set = KeySet::new([key(1), key(2)], 2).unwrap();
        assert_eq!(set.key(&KeyId::of(&key(2))), Some(&key(2)));
        assert!(!set.contains(&KeyId::of(&key(3))));
        assert_eq!((set.threshold(), set.keys().count()), (2, 2));
    }
}
