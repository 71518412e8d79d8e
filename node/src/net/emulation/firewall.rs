//! A stateful firewall: who was sent something may answer.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::net::limits::{PINHOLE_IDLE, PINHOLES_MAX};

/// What a node's firewall lets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firewall {
    /// Everything.
    #[default]
    Open,
    /// What comes from an address and port to which this node sent something within the last [`PINHOLE_IDLE`].
    Stateful,
}

/// To whom something was sent, and when last. It holds at most [`PINHOLES_MAX`]: the one longest unused makes room.
#[derive(Clone, Debug, Default)]
pub(super) struct Pinholes(BTreeMap<SocketAddr, Instant>);

impl Pinholes {
    /// Something was sent to `to`.
    pub(super) fn sent(&mut self, now: Instant, to: SocketAddr) {
        if self.0.len() >= PINHOLES_MAX && !self.0.contains_key(&to) {
            self.0.retain(|_, sent| is_open(now, *sent));
            if self.0.len() >= PINHOLES_MAX
                && let Some((&oldest, _)) = self.0.iter().min_by_key(|(_, sent)| **sent)
            {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(to, now);
    }

    /// Whether what comes from `from` is an answer.
    pub(super) fn admits(&self, now: Instant, from: SocketAddr) -> bool {
        self.0.get(&from).is_some_and(|sent| is_open(now, *sent))
    }

    /// Whether something was sent to any port of that address.
    pub(super) fn admits_address(&self, now: Instant, from: IpAddr) -> bool {
        let ports = SocketAddr::new(from, 0)..=SocketAddr::new(from, u16::MAX);
        self.0.range(ports).any(|(_, sent)| is_open(now, *sent))
    }
}

fn is_open(now: Instant, sent: Instant) -> bool {
    now.saturating_duration_since(sent) < PINHOLE_IDLE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_who_was_sent_something_is_admitted_and_only_for_a_while() {
        let (start, mut pinholes) = (Instant::now(), Pinholes::default());
        let peer = address("10.0.0.1:7");
        assert!(!pinholes.admits(start, peer));
        pinholes.sent(start, peer);
        let last = start + PINHOLE_IDLE - Duration::from_nanos(1);
        assert!(pinholes.admits(last, peer) && pinholes.admits_address(last, peer.ip()));
        for other in ["10.0.0.1:8", "10.0.0.2:7", "[2001:db8::1]:7"].map(address) {
            assert!(!pinholes.admits(start, other), "{other}");
        }
        assert!(!pinholes.admits_address(start, address("10.0.0.2:7").ip()));
        let over = start + PINHOLE_IDLE;
        assert!(!pinholes.admits(over, peer) && !pinholes.admits_address(over, peer.ip()));
        pinholes.sent(last, peer);
        assert!(pinholes.admits(over, peer), "each packet sent keeps it open");
    }

    #[test]
    fn a_full_table_loses_what_is_over_and_then_the_oldest() {
        let (start, mut pinholes) = (Instant::now(), Pinholes::default());
        let peer = |n: usize| SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 7));
        let later = start + PINHOLE_IDLE;
        pinholes.sent(start, peer(0));
        for n in 1..PINHOLES_MAX {
            pinholes.sent(later + Duration::from_nanos(n as u64), peer(n));
        }
        pinholes.sent(later, peer(PINHOLES_MAX));
        assert_eq!(pinholes.0.len(), PINHOLES_MAX, "the one that was over made room");
        assert!(pinholes.admits(later, peer(1)));
        pinholes.sent(later + PINHOLE_IDLE / 2, peer(PINHOLES_MAX + 1));
        assert!(!pinholes.admits(later, peer(PINHOLES_MAX)), "the oldest made room");
        assert!(pinholes.admits(later, peer(1)) && pinholes.admits(later, peer(PINHOLES_MAX + 1)));
    }
}
