//! Where one peer may be, best first.

use super::limits::ADDRESSES_MAX;
use super::relayed::Address;

/// Who says that a peer is somewhere; the more to be believed the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The peer itself, in its signed record.
    Said,
    /// Whoever let this node join, or whoever wrote its settings.
    Given,
    /// A connection of the peer's came from there. A translator of addresses may have given the port away since.
    Seen,
}

/// One address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Candidate<A> {
    /// The address.
    pub address: A,
    /// Who says so.
    pub origin: Origin,
    /// Whether it is the one where the peer was reached last.
    pub worked: bool,
    /// Attempts in a row that failed there.
    failures: u8,
}

impl<A> Candidate<A> {
    /// An address of which nothing else is known.
    pub fn new(address: A, origin: Origin, worked: bool) -> Self {
        Self { address, origin, worked, failures: 0 }
    }
}

/// The addresses of one peer: at most [`ADDRESSES_MAX`] of an origin, and one place that it was seen at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AddressBook<A>(Vec<Candidate<A>>);

impl<A> Default for AddressBook<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Address> AddressBook<A> {
    /// What is known, best first: where it failed less often in a row, then without a relay, then where it worked last, then whose
    /// word counts more.
    pub(super) fn candidates(&self) -> &[Candidate<A>] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces what was known of that origin. True if that is news.
    pub(super) fn learn(&mut self, origin: Origin, addresses: &[A]) -> bool {
        let addresses = addresses.get(..ADDRESSES_MAX).unwrap_or(addresses);
        let mut news = false;
        self.0.retain(|known| {
            let stays = known.origin != origin || addresses.contains(&known.address);
            news |= !stays;
            stays
        });
        for address in addresses {
            news |= self.add(*address, origin);
        }
        self.0.sort_by_key(|known| addresses.iter().position(|address| *address == known.address));
        self.sort();
        news
    }

    /// Adds what was remembered, but for what is known.
    pub(super) fn recall(&mut self, remembered: &[Candidate<A>]) {
        let is_new = self.0.is_empty();
        for old in remembered.iter().take(ADDRESSES_MAX) {
            if self.0.iter().all(|known| known.address != old.address) {
                self.0.push(Candidate::new(old.address, old.origin, is_new && old.worked));
            }
        }
        self.sort();
    }

    /// The peer was reached there, or reached this node from there.
    pub(super) fn worked(&mut self, address: A) {
        let seen = self.0.iter().any(|known| known.address == address);
        if !seen {
            // One place that it was seen at is enough: the others were the ports of earlier runs.
            self.0.retain(|known| known.origin != Origin::Seen);
            self.0.push(Candidate::new(address, Origin::Seen, true));
        }
        for known in &mut self.0 {
            known.worked = known.address == address;
            if known.worked {
                known.failures = 0;
            }
        }
        self.sort();
    }

    /// The peer was not reached there.
    pub(super) fn failed(&mut self, address: A) {
        for known in self.0.iter_mut().filter(|known| known.address == address) {
            known.failures = known.failures.saturating_add(1);
        }
        self.sort();
    }

    /// True if that is news.
    fn add(&mut self, address: A, origin: Origin) -> bool {
        match self.0.iter_mut().find(|known| known.address == address) {
            Some(known) => known.origin = known.origin.min(origin),
            None => {
                self.0.push(Candidate::new(address, origin, false));
                return true;
            }
        }
        false
    }

    /// Keeps the order of those that are equally good: that in which the peer named them.
    fn sort(&mut self) {
        self.0.sort_by_key(|known| (known.failures, known.address.is_relayed(), !known.worked, known.origin));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(book: &AddressBook<u16>) -> Vec<u16> {
        book.candidates().iter().map(|known| known.address).collect()
    }

    #[test]
    fn the_peers_own_word_counts_most_and_what_worked_comes_first() {
        let mut book = AddressBook::default();
        assert!(book.learn(Origin::Given, &[1, 2]));
        assert!(book.learn(Origin::Said, &[3, 2]));
        assert_eq!(addresses(&book), [3, 2, 1], "each in the order in which it was named");
        book.worked(1);
        assert_eq!(addresses(&book), [1, 3, 2]);
        book.failed(1);
        assert_eq!(addresses(&book), [3, 2, 1]);
        assert!(!book.learn(Origin::Said, &[3, 2]), "nothing new");
    }

    #[test]
    fn what_a_peer_no_longer_says_is_forgotten_and_where_it_was_seen_is_not() {
        let mut book = AddressBook::default();
        book.learn(Origin::Said, &[1, 2]);
        book.worked(1);
        book.worked(9);
        assert!(book.learn(Origin::Said, &[3]));
        assert_eq!(addresses(&book), [9, 3], "one and two were its own word, and are no more");
        book.worked(8);
        assert_eq!(addresses(&book), [8, 3], "one place that it was seen at is enough");
    }

    #[test]
    fn what_was_remembered_yields_to_what_is_known() {
        let mut before = AddressBook::default();
        before.learn(Origin::Said, &[1, 2]);
        before.worked(7);
        let mut after = AddressBook::default();
        after.recall(before.candidates());
        assert_eq!(after, before);
        after.learn(Origin::Said, &[3]);
        assert_eq!(addresses(&after), [7, 3]);
        let mut known = AddressBook::default();
        known.learn(Origin::Said, &[4]);
        known.recall(before.candidates());
        assert_eq!(addresses(&known), [4, 1, 2, 7], "where it was seen in another life is tried last");
    }

    #[test]
    fn addresses_are_bounded_and_the_best_stay() {
        let mut book = AddressBook::default();
        book.worked(100);
        let many: Vec<u16> = (0..20).collect();
        book.learn(Origin::Said, &many);
        assert_eq!(addresses(&book), [100, 0, 1, 2, 3, 4, 5, 6, 7]);
        book.worked(101);
        assert_eq!(addresses(&book), [101, 0, 1, 2, 3, 4, 5, 6, 7]);
        book.failed(3);
        assert!(
            !book.learn(Origin::Said, &many),
            "a peer that says as much as it may says nothing new by saying it again"
        );
    }
}
