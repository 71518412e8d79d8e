//! How many joins one address may make: a token bucket per IP, in a bounded table.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tokio::time::Instant;

use crate::net::limits::{JOIN_BURST_PER_IP, JOIN_IPS_MAX, JOIN_REFILL};

/// Joins made, per IP. An IP that used nothing of its allowance is not kept.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    used: BTreeMap<IpAddr, Used>,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    joins: u32,
    since: Instant,
}

impl Allowance {
    /// Takes one join from the allowance of an IP; `false` when there is none left, or no room to count it.
    pub(super) fn take(&mut self, ip: IpAddr, now: Instant) -> bool {
        let ip = ip.to_canonical();
        self.refill(now);
        if self.used.len() >= JOIN_IPS_MAX && !self.used.contains_key(&ip) {
            return false;
        }
        let used = self.used.entry(ip).or_insert(Used { joins: 0, since: now });
        if used.joins >= JOIN_BURST_PER_IP {
            return false;
        }
        used.joins += 1;
        true
    }

    fn refill(&mut self, now: Instant) {
        self.used.retain(|_, used| {
            while used.joins > 0 && now.saturating_duration_since(used.since) >= JOIN_REFILL {
                used.joins -= 1;
                used.since += JOIN_REFILL;
            }
            used.joins > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn an_address_spends_its_burst_and_earns_it_back() {
        let (mut allowance, start) = (Allowance::default(), Instant::now());
        for _ in 0..JOIN_BURST_PER_IP {
            assert!(allowance.take(ip(1), start));
        }
        assert!(!allowance.take(ip(1), start));
        assert!(allowance.take(ip(2), start));
        assert!(allowance.take(ip(1), start + JOIN_REFILL));
        assert!(!allowance.take(ip(1), start + JOIN_REFILL));
        assert!(allowance.take(ip(1), start + 2 * JOIN_REFILL));
    }

    #[test]
    fn the_table_is_bounded_and_empties() {
        let (mut allowance, start) = (Allowance::default(), Instant::now());
        let most = u32::try_from(JOIN_IPS_MAX).unwrap();
        for n in 0..most {
            assert!(allowance.take(ip(n), start));
        }
        assert!(!allowance.take(ip(most), start));
        assert!(allowance.take(ip(most), start + JOIN_REFILL));
        assert_eq!(allowance.used.len(), 1);
    }
}
