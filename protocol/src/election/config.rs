//! The times of an election.

use crate::register::Trust;
use std::time::Duration;

/// How long leases run and how candidates take turns. Equal on all nodes of a mesh: a voter that counts a shorter lease
/// than the holder lets two of them overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionConfig {
    /// Length of a lease, `L`. Shorter fails over sooner and flaps under loss; 4 s was simulated at 3.7 s median failover
    /// without a flap at 5 % loss.
    pub lease: Duration,
    /// Time between renewals, a quarter of the lease, so that two may be lost.
    pub renew: Duration,
    /// Bound on how far the rate of any clock is from true time, in parts per thousand, `ρ`. Quartz drifts less than 0.5.
    pub rate_bound_permille: u32,
    /// For how long a holder's machine may stand still within a lease, clocks included, without anybody noticing: its clocks
    /// are then found apart and it leads no more. A lease is shorter than the promises by that much too.
    pub standstill: Duration,
    /// How long a candidate waits for each better-ranked voter that it believes to be alive.
    pub rank_step: Duration,
    /// How long an answer of a voter may take before it is asked once more: beyond any round trip, and several times
    /// within a campaign and between renewals, so that a lost message costs little.
    pub retry: Duration,
    /// How long a campaign waits for grants before it gives up.
    pub campaign: Duration,
    /// How long three members must have been alive together before the sole voter makes them voters.
    pub settle: Duration,
    /// How long members must have served without a break before a cell grows above three voters or a voter is replaced by
    /// one of them, and how long a voter must have been down to be replaced. A restart or a pause changes no voters.
    pub stable: Duration,
    /// Whether the operators of the voters trust each other. It decides how many vote and how many of them decide.
    pub trust: Trust,
}

impl ElectionConfig {
    /// For nodes on one machine or in one building; also right for a region with round trips below 100 ms.
    #[must_use]
    pub const fn local() -> Self {
        Self {
            lease: Duration::from_secs(4),
            renew: Duration::from_secs(1),
            rate_bound_permille: 10,
            standstill: Duration::from_millis(50),
            rank_step: Duration::from_millis(400),
            retry: Duration::from_millis(250),
            campaign: Duration::from_millis(800),
            settle: Duration::from_secs(1),
            stable: Duration::from_secs(30),
            trust: Trust::Shared,
        }
    }

    /// For how long a holder may act, from before it asked: `L (1 - ρ)`, less what it may stand still unnoticed.
    #[must_use]
    pub fn holder_span(&self) -> Duration {
        self.lease - self.slack() - self.standstill
    }

    /// For how long a voter grants nobody else, from when it answered: `L (1 + ρ)`.
    #[must_use]
    pub fn voter_span(&self) -> Duration {
        self.lease + self.slack()
    }

    fn slack(&self) -> Duration {
        self.lease * self.rate_bound_permille / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_stops_before_the_voters_forget_even_with_opposed_clocks() {
        let config = ElectionConfig::local();
        let (holder, voter) = (config.holder_span().as_secs_f64(), config.voter_span().as_secs_f64());
        assert_eq!(
            (config.holder_span(), config.voter_span()),
            (Duration::from_millis(3_910), Duration::from_millis(4_040))
        );
        // A holder whose clock is slow by ρ and a voter whose clock is fast by ρ, in true time.
        assert!(holder / 0.99 <= voter / 1.01 + 1e-9);
    }
}
