//! When a member is dialled again beside its link by which nothing came of that: it may have no room, and every dial costs both
//! ends a handshake.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The members that were dialled beside the link that there is, and when each may be dialled again.
#[derive(Debug)]
pub(super) struct Patience<K, L> {
    first: Duration,
    most: Duration,
    waits: BTreeMap<K, Wait<L>>,
}

#[derive(Clone, Copy, Debug)]
struct Wait<L> {
    /// Beside another link everything begins anew.
    link: L,
    until: Instant,
    next: Duration,
}

impl<K: Copy + Ord, L: Copy + PartialEq> Patience<K, L> {
    /// The first wait, and the one up to which it is doubled.
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, waits: BTreeMap::new() }
    }

    /// Whether a member may be dialled beside that link; it then counts as dialled.
    pub(super) fn allows(&mut self, peer: K, link: L, now: Instant) -> bool {
        let before = self.waits.get(&peer).filter(|wait| wait.link == link).copied();
        if before.is_some_and(|wait| now < wait.until) {
            return false;
        }
        let wait = before.map_or(self.first, |wait| wait.next);
        self.waits.insert(peer, Wait { link, until: now + wait, next: (wait * 2).min(self.most) });
        true
    }

    /// Whether a member was dialled before.
    pub(super) fn knows(&self, peer: &K) -> bool {
        self.waits.contains_key(peer)
    }

    /// Forgets those to whom there is no link.
    pub(super) fn retain(&mut self, is_linked: impl Fn(&K) -> bool) {
        self.waits.retain(|peer, _| is_linked(peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_its_bound_and_another_link_begins_anew() {
        let (mut patience, mut now) = (Patience::new(Duration::from_secs(2), Duration::from_secs(300)), Instant::now());
        for wait_s in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert!(patience.allows('a', 1, now));
            now += Duration::from_secs(wait_s);
            assert!(!patience.allows('a', 1, now - Duration::from_millis(1)), "{wait_s} s");
        }
        assert!(patience.allows('a', 1, now));
        assert!(patience.allows('a', 2, now), "beside another link");
        assert!(!patience.allows('a', 2, now));
        patience.retain(|_| false);
        assert!(patience.allows('a', 2, now));
    }
}
