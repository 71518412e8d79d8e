//! What is measured in a run.

use crate::sim::time::Micros;

/// Durations in microseconds, in the order in which they were taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Samples(Vec<Micros>);

impl Samples {
    /// Takes one.
    pub(crate) fn take(&mut self, span: Micros) {
        self.0.push(span);
    }

    /// Takes those of another run.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that so many of a hundred do not exceed (nearest rank); nothing without samples.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Micros> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as u64 * percent).div_ceil(100).max(1);
        sorted.get(usize::try_from(rank - 1).ok()?).copied()
    }
}

/// How often something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// In all runs.
    pub(crate) total: u64,
    /// In the run in which it happened most often.
    pub(crate) most: u64,
}

impl Tally {
    /// It happened in the one run that this is of.
    pub(crate) fn count(&mut self) {
        self.total += 1;
        self.most += 1;
    }

    fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.most = self.most.max(other.most);
    }
}

/// Everything that a run, or several, measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Measures {
    /// From a crash until the last running member of the cell sees it down.
    pub(crate) crash_known: Samples,
    /// From a crash until the last node that talks to the crashed one routes around it.
    pub(crate) routed_around: Samples,
    /// The same where a request was in flight.
    pub(crate) routed_around_in_flight: Samples,
    /// From a restart until the last running member of the cell sees it alive.
    pub(crate) return_known: Samples,
    /// From the crash of a holder until another holds the lease.
    pub(crate) failover: Samples,
    /// From a holder's announcement that it drains or stops until another holds the lease.
    pub(crate) handover: Samples,
    /// From the end of a cut until all views are equal.
    pub(crate) healed: Samples,
    /// Running, reachable, undisturbed members that somebody took for down.
    pub(crate) false_downs: u64,
    /// Changes of the holder that nothing called for.
    pub(crate) flaps: u64,
    /// Departed or dead members that somebody does not see as such after ten minutes.
    pub(crate) ghosts: u64,
    /// Departures and deaths that were looked after for that.
    pub(crate) buried: u64,
    /// Running members that somebody does not see alive although they were reachable for long.
    pub(crate) forgotten: u64,
    /// True time that nodes ran, in node-microseconds.
    pub(crate) node_us: u64,
    /// True time that cells existed, in cell-microseconds.
    pub(crate) cell_us: u64,
    /// Of it, without a holder.
    pub(crate) leaderless_us: u64,
    /// UDP payload that nodes sent while it was counted, in bytes, and for how many node-microseconds.
    pub(crate) sent_bytes: u64,
    /// Of it, datagrams of the probe lane.
    pub(crate) probe_bytes: u64,
    /// Of it, gossip.
    pub(crate) gossip_bytes: u64,
    /// For how many node-microseconds bytes were counted.
    pub(crate) counted_us: u64,
    /// Crashes.
    pub(crate) crashes: u64,
    /// Cells that were split.
    pub(crate) splits: Tally,
    /// Cells that another took in.
    pub(crate) mergers: Tally,
    /// Cells that went on in another generation.
    pub(crate) recoveries: Tally,
}

impl Measures {
    /// Adds those of another run.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.crash_known.extend(&other.crash_known);
        self.routed_around.extend(&other.routed_around);
        self.routed_around_in_flight.extend(&other.routed_around_in_flight);
        self.return_known.extend(&other.return_known);
        self.failover.extend(&other.failover);
        self.handover.extend(&other.handover);
        self.healed.extend(&other.healed);
        self.false_downs += other.false_downs;
        self.flaps += other.flaps;
        self.ghosts += other.ghosts;
        self.buried += other.buried;
        self.forgotten += other.forgotten;
        self.node_us += other.node_us;
        self.cell_us += other.cell_us;
        self.leaderless_us += other.leaderless_us;
        self.sent_bytes += other.sent_bytes;
        self.probe_bytes += other.probe_bytes;
        self.gossip_bytes += other.gossip_bytes;
        self.counted_us += other.counted_us;
        self.crashes += other.crashes;
        self.splits.merge(other.splits);
        self.mergers.merge(other.mergers);
        self.recoveries.merge(other.recoveries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_in_several_runs_is_bounded_run_by_run() {
        let tally = |times: usize| {
            let mut tally = Tally::default();
            (0..times).for_each(|_| tally.count());
            tally
        };
        let mut all = tally(2);
        [3, 0, 1].into_iter().for_each(|times| all.merge(tally(times)));
        assert_eq!(all, Tally { total: 6, most: 3 });
    }

    #[test]
    fn percentiles_are_samples() {
        let mut samples = Samples::default();
        assert_eq!(samples.percentile(50), None);
        for span in [9, 1, 5, 3] {
            samples.take(span);
        }
        assert_eq!([1, 25, 50, 75, 99, 100].map(|p| samples.percentile(p)), [1, 1, 3, 5, 9, 9].map(Some));
    }
}
