//! What a node knows of time beside the clock of its machine, which may begin anew with each start, or be set back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hedgerow_attest::member::Member;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::roster::Roster;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::observe::{Condition, Conditions, behind, chain, raise_floor, wall};
use crate::store::Layout;

/// How often the clock of the machine is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often the moment is kept on the disk. A crash loses so much of it; more often would wear out flash for little.
const KEEP_EVERY: Duration = Duration::from_secs(600);
/// A clock that is set is moved by less.
const BEHIND_MOST: Duration = Duration::from_secs(10);

/// What time is known from, and who is told.
#[derive(Debug)]
pub(super) struct Timekeeper {
    pub(super) layout: Layout,
    /// This node's own certificate.
    pub(super) own: watch::Receiver<Member>,
    /// The members, by whose certificates time has passed.
    pub(super) rosters: watch::Receiver<Arc<Roster>>,
    /// By how many seconds clocks may differ.
    pub(super) skew_s: u64,
    pub(super) conditions: Conditions,
}

impl Timekeeper {
    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut kept: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.keep().await,
                changed = self.rosters.changed() => if changed.is_err() { return },
                _ = look.tick() => {}
            }
            let roster = self.rosters.borrow_and_update().clone();
            if let Some(passed) = passed_by(roster.members().map(Member::not_before), self.skew_s) {
                raise_floor(passed);
            }
            let is_behind = behind() > BEHIND_MOST;
            self.conditions.set(Condition::ClockBehind, is_behind);
            if kept.is_none_or(|kept| kept.elapsed() >= KEEP_EVERY) {
                kept = Some(Instant::now());
                self.keep().await;
            }
        }
    }

    /// No later moment than the end of this node's certificate is kept: a clock that runs years ahead for an hour must not have
    /// the node live there for good. What was kept before is never taken back.
    async fn keep(&self) {
        let passed = wall().unix_seconds().min(self.own.borrow().not_after());
        let layout = self.layout.clone();
        let kept = tokio::task::spawn_blocking(move || match layout.read_clock()? {
            Some(before) if before >= passed => Ok(()),
            Some(_) | None => layout.write_clock(passed),
        });
        if let Err(error) = kept.await.expect("writing a file does not panic") {
            tracing::warn!(error = chain(&error), "the time was not kept for the next start");
        }
    }
}

/// The last moment that has passed by these certificates: an issuer's clock is ahead of the right time by no more than clocks may
/// differ. With less taken off, issuers whose clocks run ahead could drive a node into the future, one step with each certificate.
fn passed_by(issued: impl Iterator<Item = UnixSeconds>, skew_s: u64) -> Option<UnixSeconds> {
    let issued = issued.max()?;
    Some(UnixSeconds(issued.0.saturating_sub(skew_s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_certificate_says_that_time_has_passed_give_or_take_the_clocks() {
        let passed = |issued: &[u64], skew_s| passed_by(issued.iter().copied().map(UnixSeconds), skew_s);
        assert_eq!(passed(&[100, 900, 500], 300), Some(UnixSeconds(600)));
        assert_eq!(passed(&[100, 900, 500], 1_000), Some(UnixSeconds(0)));
        assert_eq!(passed(&[], 300), None);
    }
}
