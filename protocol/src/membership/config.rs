//! The times of failure detection.

use std::time::Duration;

/// Who watches whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Monitoring {
    /// Everybody in turn, in random order (SWIM): any two members of a cell need a link now and then.
    Random,
    /// Fixed neighbours in rings that every member draws alike (Rapid): few links, kept; several neighbours must agree.
    Ring {
        /// Neighbours of each member, who are its observers and whom it observes: even, at most
        /// [`Monitoring::OBSERVERS_MAX`]. In a cell with room for no more than one member beside them everybody watches
        /// everybody.
        observers: u8,
    },
}

impl Monitoring {
    /// Neighbours that a member can have.
    pub const OBSERVERS_MAX: u8 = 8;
}

/// How members are probed. A shorter period finds crashes sooner and costs more datagrams; shorter timeouts raise false
/// suspicions, which cost probes but bury nobody. The figures are in `docs/rfd/0002-membership.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwimConfig {
    /// Who watches whom.
    pub monitoring: Monitoring,
    /// Random: time between two probes of this node's own. Ring: time between two exchanges with each neighbour, whichever of
    /// the two begins.
    pub period: Duration,
    /// How long an acknowledgement may take beyond the smallest round trip measured to that member.
    pub timeout: Duration,
    /// Random: members that are asked to probe one that did not answer (`k`).
    pub indirect: usize,
    /// Random: factor of the suspicion time, `α · max(1, log10 n) · period`, once others agree.
    pub suspicion_alpha: u32,
    /// Random: factor by which a suspicion that nobody shares lasts longer.
    pub suspicion_beta: u32,
    /// Ring: probes in a row without an answer that make a suspect, who is passed over for work.
    pub misses: u8,
    /// Ring: for how long a suspect must stay silent before it is verified. A machine that stands still for less than this
    /// and the time of the misses is not taken for down.
    pub suspicion: Duration,
    /// Ring: time between two probes of a suspect.
    pub retry: Duration,
    /// Direct probes, each with the suspicion attached, that must fail before a member is taken for down.
    pub verify_probes: u32,
    /// Time between rounds in which members that are down are asked again. In every round about two members ask each;
    /// one that sees less than half of its cell asks as many as it may.
    pub redial: Duration,
}

impl SwimConfig {
    /// For round trips below 100 ms.
    #[must_use]
    pub const fn local() -> Self {
        Self { monitoring: Monitoring::Ring { observers: 8 }, period: Duration::from_millis(900), ..Self::random() }
    }

    /// The same with random probing.
    #[must_use]
    pub const fn random() -> Self {
        Self {
            monitoring: Monitoring::Random,
            period: Duration::from_millis(500),
            timeout: Duration::from_millis(150),
            indirect: 3,
            suspicion_alpha: 3,
            suspicion_beta: 3,
            misses: 4,
            suspicion: Duration::from_millis(2_000),
            retry: Duration::from_millis(500),
            verify_probes: 2,
            redial: Duration::from_secs(2),
        }
    }
}
