//! A set that may be everything.

use std::collections::BTreeSet;

/// What a rule lets in: everything, or what it names. Rules as they are signed write "everything" as an empty list; here the
/// empty set lets nothing in, so that two fences that do not overlap have an intersection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fence<T: Ord> {
    /// Everything.
    All,
    /// These.
    Only(BTreeSet<T>),
}

impl<T: Ord + Clone> Fence<T> {
    /// The fence that a signed list stands for.
    #[must_use]
    pub fn of_list(list: &[T]) -> Self {
        if list.is_empty() { Self::All } else { Self::Only(list.iter().cloned().collect()) }
    }

    /// Whether it lets that in.
    #[must_use]
    pub fn allows(&self, item: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(items) => items.contains(item),
        }
    }

    /// What both let in.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, fence) | (fence, Self::All) => fence.clone(),
            (Self::Only(one), Self::Only(two)) => Self::Only(one & two),
        }
    }

    /// Whether it lets nothing in that the other keeps out.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(one), Self::Only(two)) => one.is_subset(two),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fences_let_in_what_both_let_in() {
        let fence = |list: &[u8]| Fence::of_list(list);
        assert_eq!(fence(&[]), Fence::All);
        assert_eq!(fence(&[1, 2]).meet(&fence(&[2, 3])), fence(&[2]));
        assert_eq!(fence(&[]).meet(&fence(&[2, 3])), fence(&[2, 3]));
        let nothing = fence(&[1]).meet(&fence(&[2]));
        assert_eq!(nothing, Fence::Only(BTreeSet::new()));
        assert!(!nothing.allows(&1) && Fence::All.allows(&1) && fence(&[1]).allows(&1) && !fence(&[1]).allows(&2));
    }

    #[test]
    fn a_fence_is_within_every_wider_one() {
        let fence = |list: &[u8]| Fence::of_list(list);
        assert!(fence(&[1]).is_within(&fence(&[1, 2])) && fence(&[1]).is_within(&fence(&[])));
        assert!(!fence(&[1, 2]).is_within(&fence(&[1])) && !fence(&[]).is_within(&fence(&[1, 2])));
        assert!(fence(&[]).is_within(&fence(&[])));
    }
}
