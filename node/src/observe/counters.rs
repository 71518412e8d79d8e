//! Counters that anybody in the process may raise, bounded whatever labels peers provoke.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Named counters. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    counts: Arc<Mutex<BTreeMap<(&'static str, String), u64>>>,
}

impl Counters {
    /// Adds to the counter of a family (such as `refusals`) with a label (such as a reason).
    ///
    /// Beyond [`COUNTERS_MAX`] counters, a label that is not known yet is counted as [`OVERFLOW_LABEL`].
    pub fn add(&self, family: &'static str, label: &str, by: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (family, label.to_owned());
        if counts.len() >= COUNTERS_MAX && !counts.contains_key(&key) {
            key.1 = OVERFLOW_LABEL.to_owned();
        }
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(by);
    }

    /// The counters of one family by label, as of this moment.
    pub fn family(&self, family: &str) -> BTreeMap<String, u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_family = counts.iter().filter(|((known, _), _)| *known == family);
        of_family.map(|((_, label), &count)| (label.clone(), count)).collect()
    }

    /// Every counter by family and label, as of this moment.
    pub fn all(&self) -> BTreeMap<(&'static str, String), u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counters in one process; families are few, so their overflow labels do not matter against it.
pub const COUNTERS_MAX: usize = 512;
/// Where labels are counted that came after the registry was full.
pub const OVERFLOW_LABEL: &str = "other";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together_and_families_apart() {
        let counters = Counters::default();
        let elsewhere = counters.clone();
        elsewhere.add("refusals", "expired", 2);
        counters.add("refusals", "expired", 1);
        counters.add("refusals", "other_mesh", 1);
        counters.add("commits", "expired", 5);
        assert_eq!(
            counters.family("refusals"),
            BTreeMap::from([("expired".to_owned(), 3), ("other_mesh".to_owned(), 1)])
        );
        assert_eq!(counters.all().len(), 3);
    }

    #[test]
    fn endless_labels_end_in_one_counter() {
        let counters = Counters::default();
        for number in 0..COUNTERS_MAX + 100 {
            counters.add("labels", &number.to_string(), 1);
        }
        counters.add("labels", "0", 1);
        let family = counters.family("labels");
        assert_eq!(family.len(), COUNTERS_MAX + 1);
        assert_eq!((family["0"], family[OVERFLOW_LABEL]), (2, 100));
    }
}
