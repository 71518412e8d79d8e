//! When a member is dialled again that did not keep its swarm connection: its swarm may be full, and every dial costs both ends
//! a handshake.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

use crate::net::limits::{CTL_REDIAL_MAX, CTL_REDIAL_MIN};

/// The members that were dialled beside the link that there is, and when each may be dialled again.
#[derive(Debug, Default)]
pub(super) struct Patience(BTreeMap<PeerId, Wait>);

#[derive(Clone, Copy, Debug)]
struct Wait {
    /// Beside another link everything begins anew.
    epoch: u32,
    until: Instant,
    next: Duration,
}

impl Patience {
    /// Whether a member may be dialled beside the link of that epoch; it then counts as dialled.
    pub(super) fn allows(&mut self, peer: PeerId, epoch: u32, now: Instant) -> bool {
        let before = self.0.get(&peer).filter(|wait| wait.epoch == epoch).copied();
        if before.is_some_and(|wait| now < wait.until) {
            return false;
        }
        let wait = before.map_or(CTL_REDIAL_MIN, |wait| wait.next);
        self.0.insert(peer, Wait { epoch, until: now + wait, next: (wait * 2).min(CTL_REDIAL_MAX) });
        true
    }

    /// Forgets those to whom there is no link.
    pub(super) fn retain(&mut self, is_linked: impl Fn(&PeerId) -> bool) {
        self.0.retain(|peer, _| is_linked(peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_its_bound_and_another_link_begins_anew() {
        let (mut patience, peer, mut now) = (Patience::default(), PeerId::random(), Instant::now());
        for wait_s in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert!(patience.allows(peer, 1, now));
            now += Duration::from_secs(wait_s);
            assert!(!patience.allows(peer, 1, now - Duration::from_millis(1)), "{wait_s} s");
        }
        assert!(patience.allows(peer, 1, now));
        assert!(patience.allows(peer, 2, now), "beside another link");
        assert!(!patience.allows(peer, 2, now));
        patience.retain(|_| false);
        assert!(patience.allows(peer, 2, now));
    }
}
