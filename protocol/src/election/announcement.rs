//! What is said about a lease to those who do not vote.

use super::config::ElectionConfig;
use crate::id::{ConfigEpoch, Generation, Slot, Term};
use crate::time::{Mono, millis_u32};
use hedgerow_attest::id::{CellId, NodeId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which lease somebody knows of; rides on pings, so that acknowledgements need not repeat whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseName {
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The voter set that elected the holder.
    pub config_epoch: ConfigEpoch,
    /// The term.
    pub term: Term,
}

/// What an acknowledgement says about the lease of the cell to which both nodes belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseNews {
    /// It is the one that the ping named.
    Same {
        /// Its name.
        name: LeaseName,
        /// As in [`LeaseHint::remaining_ms`].
        remaining_ms: u32,
        /// As in [`LeaseHint::slot`].
        slot: Slot,
    },
    /// It is another, or the ping named none.
    Other(LeaseHint),
}

/// Who holds the lease of a cell, and for how much longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHint {
    /// The cell.
    pub cell: CellId,
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The voter set that elected the holder.
    pub config_epoch: ConfigEpoch,
    /// The term.
    pub term: Term,
    /// The holder.
    pub holder: NodeId,
    /// For how long the lease runs at least unless renewed, in milliseconds; 0 when it is known to have ended.
    pub remaining_ms: u32,
    /// The last certified slot that the sender knows.
    pub slot: Slot,
}

impl LeaseHint {
    /// The lease that it speaks of.
    #[must_use]
    pub const fn name(&self) -> LeaseName {
        LeaseName { generation: self.generation, config_epoch: self.config_epoch, term: self.term }
    }

    /// What to tell somebody who knows of that lease.
    pub(crate) fn news_for(self, known: Option<LeaseName>) -> LeaseNews {
        let name = self.name();
        if known == Some(name) {
            LeaseNews::Same { name, remaining_ms: self.remaining_ms, slot: self.slot }
        } else {
            LeaseNews::Other(self)
        }
    }
}

impl LeaseNews {
    /// The news in full, to a node that knows that much of the lease. Nothing when they speak of one that it does not know.
    pub(crate) fn in_full(self, known: Option<LeaseHint>) -> Option<LeaseHint> {
        match self {
            Self::Same { name, remaining_ms, slot } => {
                let known = known.filter(|known| known.name() == name)?;
                Some(LeaseHint { remaining_ms, slot, ..known })
            }
            Self::Other(hint) => Some(hint),
        }
    }
}

/// The highest term that this node knows of, and until when it believes in its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KnownLease {
    pub(crate) cell: CellId,
    pub(crate) generation: Generation,
    pub(crate) config_epoch: ConfigEpoch,
    pub(crate) term: Term,
    pub(crate) holder: NodeId,
    pub(crate) until: Mono,
}

impl KnownLease {
    /// What a hint says, by this node's clock; nobody can promise more than one lease length.
    pub(crate) fn heard(hint: &LeaseHint, now: Mono, config: &ElectionConfig) -> Self {
        let remaining = Duration::from_millis(u64::from(hint.remaining_ms)).min(config.lease);
        Self {
            cell: hint.cell,
            generation: hint.generation,
            config_epoch: hint.config_epoch,
            term: hint.term,
            holder: hint.holder,
            until: now + remaining,
        }
    }

    /// Whether `self` says more than `known`: a later fence, or the same with later voters or a life that was renewed. A
    /// hint that grew by its journey alone says nothing: passed round and round it would keep a dead holder's lease alive.
    pub(crate) fn supersedes(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| {
            let (mine, theirs) = ((self.generation, self.term), (known.generation, known.term));
            let same = mine == theirs && self.holder == known.holder;
            let renewed = self.until > known.until + JOURNEY;
            mine > theirs || (same && (self.config_epoch > known.config_epoch || renewed))
        })
    }

    /// What to tell others.
    pub(crate) fn hint(&self, now: Mono, slot: Slot) -> LeaseHint {
        LeaseHint {
            cell: self.cell,
            generation: self.generation,
            config_epoch: self.config_epoch,
            term: self.term,
            holder: self.holder,
            remaining_ms: millis_u32(now.until(self.until)),
            slot,
        }
    }
}

/// By how much a hint may age on its way without being news; well below the time between renewals.
const JOURNEY: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn known(term: u64, until: u64) -> KnownLease {
        KnownLease {
            cell: CellId::from_bytes([1; 32]),
            generation: Generation(0),
            config_epoch: ConfigEpoch(1),
            term: Term(term),
            holder: NodeId::from_bytes([2; 32]),
            until: Mono(until),
        }
    }

    #[test]
    fn a_hint_ages_on_its_way_and_never_promises_more_than_a_lease() {
        let lease = known(3, 2_500_000);
        let hint = lease.hint(Mono(500_000), Slot(4));
        assert_eq!(hint.remaining_ms, 2_000);
        let config = ElectionConfig::local();
        assert_eq!(KnownLease::heard(&hint, Mono(100), &config).until, Mono(2_000_100));
        let boast = LeaseHint { remaining_ms: u32::MAX, ..hint };
        assert_eq!(KnownLease::heard(&boast, Mono(0), &config).until, Mono(4_000_000));
    }

    #[test]
    fn news_of_a_lease_that_both_know_leave_out_whose_it_is() {
        let (mine, theirs) = (known(3, 1_000_000).hint(Mono(0), Slot(4)), known(3, 2_000_000).hint(Mono(0), Slot(5)));
        let news = theirs.news_for(Some(mine.name()));
        assert_eq!(news, LeaseNews::Same { name: mine.name(), remaining_ms: 2_000, slot: Slot(5) });
        assert_eq!(news.in_full(Some(mine)), Some(theirs));
        assert_eq!(news.in_full(Some(known(4, 0).hint(Mono(0), Slot(4)))), None, "it has learnt of another meanwhile");
        assert_eq!(theirs.news_for(None), LeaseNews::Other(theirs));
        assert_eq!(theirs.news_for(Some(known(2, 0).hint(Mono(0), Slot(0)).name())).in_full(None), Some(theirs));
    }

    #[test]
    fn the_later_fence_wins_and_a_rival_of_the_same_term_does_not() {
        assert!(known(4, 0).supersedes(Some(&known(3, 9))));
        assert!(!known(3, 9).supersedes(Some(&known(4, 0))));
        assert!(known(3, 1_000_000).supersedes(Some(&known(3, 8))));
        assert!(!known(3, 200_000).supersedes(Some(&known(3, 8))), "a journey is no renewal");
        let rival = KnownLease { holder: NodeId::from_bytes([3; 32]), ..known(3, 9_000_000) };
        assert!(!rival.supersedes(Some(&known(3, 9))));
    }
}
