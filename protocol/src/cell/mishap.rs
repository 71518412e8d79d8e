//! What makes a node's promises or its lease doubtful: a disk that fails, a machine that stood still, a clock that runs
//! wrong.

use super::state::{Cell, Outcome, Role};
use crate::defect::Defects;
use crate::election::ClockVerdict;
use crate::time::Mono;
use hedgerow_attest::id::NodeId;

impl<D: Defects> Cell<D> {
    /// Storage failed: no promise, no act, until the node is restarted from what is on disk.
    pub(crate) fn halt(&mut self, outcomes: &mut Vec<Outcome>) {
        self.halted = true;
        if let Some(seat) = self.seat.as_mut()
            && let Role::Holding(holding) = std::mem::replace(&mut seat.role, Role::Idle)
        {
            outcomes.push(Outcome::Lost(holding.term));
        }
    }

    /// The machine stood still: what it promised and held may have ended unnoticed.
    pub(crate) fn clock_jumped(&mut self, now: Mono, outcomes: &mut Vec<Outcome>) {
        self.clock.forget();
        let (me, span) = (self.me, self.config.voter_span());
        let Some(seat) = self.seat.as_mut() else { return };
        if seat.record.promise.is_some_and(|promise| promise.holder != me) {
            seat.blocked_until = seat.blocked_until.max(now + span);
        }
        if let Role::Holding(holding) = std::mem::replace(&mut seat.role, Role::Idle) {
            outcomes.push(Outcome::Lost(holding.term));
        }
    }

    /// Another clock was read. A clock that is trusted again had measured promises wrongly before.
    pub(crate) fn read_clock(&mut self, from: NodeId, sent: Mono, now: Mono, clock_ms: u32) -> Option<ClockVerdict> {
        let verdict = self.clock.read(from, sent, now, clock_ms, self.config.rate_bound_permille)?;
        let span = self.config.voter_span();
        if let Some(seat) = self.seat.as_mut() {
            seat.blocked_until = seat.blocked_until.max(now + span);
        }
        Some(verdict)
    }
}
