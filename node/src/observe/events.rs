//! What happened on this node, the last of it in memory: one handle through which everything is told, to the log and to readers.

use std::sync::{Arc, Mutex, PoisonError};

use hedgerow_protocol::time::Wall;
use tokio::sync::watch;

use super::clock::wall;
use super::happening::Happening;
use super::ring::{Batch, Ring};

/// As many events are kept: a mesh at rest has a few in an hour, and a member that is lost makes four, so that the loss of a cell of
/// 128 still fits.
pub const EVENTS_MAX: usize = 1_024;

/// What happened. Clones share it.
#[derive(Clone, Debug)]
pub struct EventLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Mutex<Ring<Recorded>>,
    latest: watch::Sender<u64>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// When, by this node.
    pub at: Wall,
    /// What.
    pub what: Happening,
}

impl Default for EventLog {
    fn default() -> Self {
        Self(Arc::new(Inner { ring: Mutex::new(Ring::new(EVENTS_MAX)), latest: watch::Sender::new(0) }))
    }
}

impl EventLog {
    /// Writes it to the log of the process, and keeps it for readers.
    pub fn record(&self, what: Happening) {
        what.log();
        if !what.is_kept() {
            return;
        }
        let mut ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that times stand in the order of the numbers, unless the clock is set.
        let number = ring.push(Recorded { at: wall(), what: what.bounded() });
        self.0.latest.send_replace(number);
    }

    /// At most so many of what came after the one numbered `seen`, and how many of those are kept no more.
    pub fn after(&self, seen: u64, most: usize) -> Batch<Recorded> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner).after(seen, most)
    }

    /// The number of the last, to be waited on.
    pub fn latest(&self) -> watch::Receiver<u64> {
        self.0.latest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_attest::id::NodeId;
    use hedgerow_protocol::core::Event;
    use hedgerow_protocol::id::{Incarnation, Term};

    use super::*;

    #[tokio::test]
    async fn what_is_recorded_wakes_readers_and_reads_back_in_order() {
        let events = EventLog::default();
        let elsewhere = events.clone();
        let mut latest = events.latest();
        elsewhere.record(Happening::Core(Event::Running { incarnation: Incarnation(1) }));
        elsewhere.record(Happening::Forgotten { node: NodeId::from_bytes([7; 32]) });
        latest.changed().await.unwrap();
        assert_eq!(*latest.borrow_and_update(), 2);
        let Batch { missed, entries } = events.after(0, 9);
        assert_eq!((missed, entries.len()), (0, 2));
        assert_eq!(entries[1].1.what, Happening::Forgotten { node: NodeId::from_bytes([7; 32]) });
        assert!(entries[0].1.at <= entries[1].1.at);
    }

    #[test]
    fn a_lease_of_this_node_is_told_as_the_aggregator_that_everybody_sees() {
        let events = EventLog::default();
        let cell = hedgerow_attest::id::CellId::from_bytes([1; 32]);
        events.record(Happening::Core(Event::LeaseAcquired { cell, term: Term(1) }));
        assert_eq!(events.after(0, 9).entries, []);
    }

    #[test]
    fn a_reason_of_any_length_takes_little_memory() {
        let events = EventLog::default();
        events.record(Happening::CertificateNotRenewed { why: "ü".repeat(100_000), failures: 1 });
        let Happening::CertificateNotRenewed { why, .. } = events.after(0, 1).entries.remove(0).1.what else {
            panic!()
        };
        assert_eq!(why.chars().count(), 501);
    }
}
