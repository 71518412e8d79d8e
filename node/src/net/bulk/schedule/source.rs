//! One node that may hold the content, as the schedule sees it.

use std::collections::VecDeque;
use std::time::Duration;

use hedgerow_attest::id::NodeId;

use crate::content::GroupRange;
use crate::net::limits::{BULK_ANSWER_TIMEOUT, BULK_ASKS_MAX, BULK_STALL_TIMEOUT};

/// A source that sends nothing for this long while something is asked of it has stalled.
pub(super) const STALL: Duration = BULK_STALL_TIMEOUT;
/// One range may take this long. A source that is slower holds up what others could bring.
pub(super) const RANGE_TIME_MAX: Duration = BULK_ANSWER_TIMEOUT;
/// Failures in a row, nothing having arrived between them, after which a source is given up.
pub(super) const FAILURES_MAX: u32 = 8;
/// Wait after the first of them; doubled up to [`WAIT_MAX`]. All waits together are about a minute.
const WAIT_MIN: Duration = Duration::from_millis(500);
/// Longest such wait.
const WAIT_MAX: Duration = Duration::from_secs(16);
/// Ranges asked of one source before the first of them has arrived, at most: what 1 Gbit/s over 64 ms holds.
const DEPTH_MAX: usize = BULK_ASKS_MAX as usize;
/// A source that brings a range faster than this gets more of them at once, one that takes longer than [`SLOW`] fewer.
const FAST: Duration = Duration::from_secs(1);
/// See [`FAST`].
const SLOW: Duration = Duration::from_secs(4);

/// Why a source does not bring what was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Fault {
    /// It sent other bytes than the digest names. It is asked no more.
    #[error("it sent other bytes than the digest names")]
    Lied,
    /// It speaks another version, or not this protocol. It is asked no more.
    #[error("it does not speak this version of the bulk lane")]
    Unfit,
    /// It does not hold the content. It is asked no more.
    #[error("it does not hold the content")]
    Absent,
    /// It holds some of the content only, perhaps because it is fetching as well.
    #[error("it does not hold all of the content yet")]
    Partly,
    /// It serves its limit of askers.
    #[error("it is busy")]
    Busy,
    /// No connection could be made.
    #[error("it could not be reached")]
    Unreachable,
    /// The connection broke.
    #[error("the connection broke")]
    Broke,
    /// Nothing came for too long.
    #[error("it stalled")]
    Stalled,
}

impl Fault {
    /// Whether nothing better is to be expected of the source during this transfer.
    pub(super) fn is_final(self) -> bool {
        match self {
            Self::Lied | Self::Unfit | Self::Absent => true,
            Self::Partly | Self::Busy | Self::Unreachable | Self::Broke | Self::Stalled => false,
        }
    }
}

/// A source and what is asked of it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) node: NodeId,
    pub(super) state: State,
    /// What it was asked for and has not brought, in that order.
    pub(super) asked: VecDeque<GroupRange>,
    pub(super) last_fault: Option<Fault>,
    /// How many ranges may be asked of it at once.
    depth: usize,
    failures: u32,
    heard: Duration,
    /// Since when the first of `asked` is its turn.
    head_since: Duration,
}

/// What the schedule does with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It could be put to use: it was not asked yet, or has waited after a failure.
    Spare,
    /// It is asked, or has nothing to do.
    Active,
    /// It failed and is left alone for a while.
    Waiting { until: Duration },
    /// It is given up.
    Out,
}

impl Source {
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            state: State::Spare,
            asked: VecDeque::new(),
            last_fault: None,
            depth: 1,
            failures: 0,
            heard: Duration::ZERO,
            head_since: Duration::ZERO,
        }
    }

    /// Whether it is in use and takes another range.
    pub(super) fn has_room(&self) -> bool {
        self.state == State::Active && self.asked.len() < self.depth
    }

    /// Ends a wait that is over.
    pub(super) fn rested(&mut self, now: Duration) {
        if matches!(self.state, State::Waiting { until } if until <= now) {
            self.state = State::Spare;
        }
    }

    pub(super) fn ask(&mut self, range: GroupRange, now: Duration) {
        self.state = State::Active;
        if self.asked.is_empty() {
            (self.heard, self.head_since) = (now, now);
        }
        self.asked.push_back(range);
    }

    pub(super) fn heard(&mut self, now: Duration) {
        self.heard = now;
    }

    /// Notes that it brought a range.
    pub(super) fn brought(&mut self, range: GroupRange, now: Duration) {
        let took = now.saturating_sub(self.head_since);
        if !self.forget(range, now) {
            return;
        }
        if took < FAST {
            self.depth = (self.depth + 1).min(DEPTH_MAX);
        } else if took > SLOW {
            self.depth = (self.depth - 1).max(1);
        }
        self.failures = 0;
        (self.heard, self.head_since) = (now, now);
    }

    /// Takes back what was asked for; whether it was.
    pub(super) fn forget(&mut self, range: GroupRange, now: Duration) -> bool {
        let Some(at) = self.asked.iter().position(|asked| *asked == range) else { return false };
        self.asked.remove(at);
        if at == 0 {
            self.head_since = now;
        }
        true
    }

    /// Notes a failure; what was asked of it is void.
    pub(super) fn failed(&mut self, fault: Fault, now: Duration) {
        self.failures += 1;
        self.last_fault = Some(fault);
        self.depth = 1;
        self.asked.clear();
        self.state = if fault.is_final() || self.failures >= FAILURES_MAX {
            State::Out
        } else {
            let wait = WAIT_MIN.saturating_mul(1 << (self.failures - 1)).min(WAIT_MAX);
            State::Waiting { until: now + wait }
        };
    }

    /// When it counts as stalled, unless something is heard of it.
    pub(super) fn stalls(&self) -> Option<Duration> {
        let asked = self.state == State::Active && !self.asked.is_empty();
        asked.then(|| (self.heard + STALL).min(self.head_since + RANGE_TIME_MAX))
    }
}
