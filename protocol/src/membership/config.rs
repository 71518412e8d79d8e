//! The times of failure detection.

use std::time::Duration;

/// How members are probed. A shorter period finds crashes sooner and costs more datagrams; shorter timeouts raise false
/// suspicions, which cost probes but bury nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwimConfig {
    /// Time between two probes of this node's own. With the other values simulated at cells of 25 to 200: p99 of detection
    /// below 6.5 s and no false detection at 5 % loss.
    pub period: Duration,
    /// How long an acknowledgement may take beyond the smallest round trip measured to that member.
    pub timeout: Duration,
    /// Members that are asked to probe one that did not answer (`k`).
    pub indirect: usize,
    /// Factor of the suspicion time: `α · max(1, log10 n) · period` once others agree.
    pub suspicion_alpha: u32,
    /// Factor by which a suspicion that nobody shares lasts longer.
    pub suspicion_beta: u32,
    /// Direct probes, each with the suspicion attached, that must fail before a member is taken for down.
    pub verify_probes: u32,
    /// Time between rounds in which members that are down are asked again.
    pub redial: Duration,
    /// The same while this node sees less than half of its cell, so that partitions heal at once.
    pub redial_fast: Duration,
}

impl SwimConfig {
    /// For round trips below 100 ms.
    #[must_use]
    pub const fn local() -> Self {
        Self {
            period: Duration::from_millis(500),
            timeout: Duration::from_millis(150),
            indirect: 3,
            suspicion_alpha: 3,
            suspicion_beta: 3,
            verify_probes: 2,
            redial: Duration::from_secs(10),
            redial_fast: Duration::from_secs(2),
        }
    }
}
