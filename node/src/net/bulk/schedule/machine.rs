//! The schedule: ranges that are missing, ranges under way, sources, and who gets what next.
//!
//! A source gets its next range when it brought one, so those that are faster bring more. What was asked of a source that
//! fails is asked of another; one that lied is never asked again. When nothing is left to ask for, sources that have nothing
//! to do are asked for what others are slow to bring.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hedgerow_attest::id::NodeId;

use super::source::{Fault, Source, State};
use crate::content::GroupRange;

/// Sources in use at the same time (guess: enough to fill a downlink that is wider than the uplinks of edge nodes).
const ACTIVE_MAX: usize = 8;
/// Sources that are kept in mind; more are not taken.
const SOURCES_MAX: usize = 128;
/// Nodes that are asked for one range at the same time.
const ASKERS_MAX: usize = 2;
/// A range that is under way for this long is asked of another source, if nothing else is left for that one to do.
const SECOND_ASK: Duration = Duration::from_secs(2);
/// The same where a source would have to be put to use for it.
const SECOND_SOURCE: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net::bulk) enum Input {
    /// A node may hold the content. Those named first are asked first; one that is known already is not news.
    Join(NodeId),
    /// Bytes of a source came.
    Heard(NodeId),
    /// A range was brought by a source, was checked, and lies in the sink.
    Stored { source: NodeId, range: GroupRange },
    /// A source does not bring what was asked of it.
    Failed { source: NodeId, fault: Fault },
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net::bulk) enum Output {
    /// Ask a source for a range.
    Ask { source: NodeId, range: GroupRange },
    /// Ask no further for a range: another source brought it.
    Cancel { source: NodeId, range: GroupRange },
    /// Give the connection to a source up, and all that was asked on it. It may be asked again later, unless it lied.
    Drop { source: NodeId, fault: Fault },
    /// Every range is stored. Nothing follows.
    Done,
    /// No source is left that may bring what is missing. Nothing follows.
    Failed,
}

/// Who brings which range of one content. Times count from the beginning of the transfer.
#[derive(Debug)]
pub(in crate::net::bulk) struct Schedule {
    /// In the order in which they are put to use.
    sources: Vec<Source>,
    /// Neither stored nor asked of anybody.
    missing: BTreeSet<GroupRange>,
    flights: BTreeMap<GroupRange, Flight>,
    /// Of the last step.
    now: Duration,
    ended: bool,
}

/// A range that is asked of somebody.
#[derive(Debug)]
struct Flight {
    askers: Vec<NodeId>,
    since: Duration,
}

impl Schedule {
    /// A transfer of these groups, which are cut into ranges here.
    pub(in crate::net::bulk) fn new(missing: impl IntoIterator<Item = GroupRange>) -> Self {
        let missing = missing.into_iter().flat_map(GroupRange::cut).collect();
        Self { sources: Vec::new(), missing, flights: BTreeMap::new(), now: Duration::ZERO, ended: false }
    }

    /// Takes what happened at `now` and appends what follows from it.
    pub(in crate::net::bulk) fn step(&mut self, now: Duration, input: Input, out: &mut Vec<Output>) {
        if self.ended {
            return;
        }
        self.now = now;
        self.sources.iter_mut().for_each(|source| source.rested(now));
        match input {
            Input::Join(node) => self.join(node),
            Input::Heard(node) => self.with(node, |source| source.heard(now)),
            Input::Stored { source, range } => self.stored(source, range, now, out),
            Input::Failed { source, fault } => self.failed(source, fault, now, out),
            // Whoever has sent something meanwhile was told before.
            Input::Tick => {
                for node in self.stalled(now) {
                    self.failed(node, Fault::Stalled, now, out);
                }
            }
        }
        self.ask_for_missing(now, out);
        self.ask_again(now, out);
        self.conclude(out);
    }

    /// When [`Input::Tick`] is due, unless something else happens before.
    pub(in crate::net::bulk) fn next_deadline(&self) -> Option<Duration> {
        let stalls = self.sources.iter().filter_map(Source::stalls);
        let waits = self.sources.iter().filter_map(|source| match source.state {
            State::Waiting { until } => Some(until),
            State::Spare | State::Active | State::Out => None,
        });
        let lone = self.flights.values().filter(|flight| flight.askers.len() < ASKERS_MAX);
        let seconds = lone.flat_map(|flight| [flight.since + SECOND_ASK, flight.since + SECOND_SOURCE]);
        let seconds = seconds.filter(|_| self.missing.is_empty());
        // What was due at the last step was done then, or nobody can do it.
        stalls.chain(waits).chain(seconds).filter(|at| !self.ended && *at > self.now).min()
    }

    /// What went wrong last with each source with which something did, in the order of their joining.
    pub(in crate::net::bulk) fn faults(&self) -> Vec<(NodeId, Fault)> {
        self.sources.iter().filter_map(|source| Some((source.node, source.last_fault?))).collect()
    }

    fn join(&mut self, node: NodeId) {
        let known = self.sources.iter().any(|source| source.node == node);
        if !known && self.sources.len() < SOURCES_MAX {
            self.sources.push(Source::new(node));
        }
    }

    fn stored(&mut self, node: NodeId, range: GroupRange, now: Duration, out: &mut Vec<Output>) {
        self.with(node, |source| source.brought(range, now));
        // It may have been taken back from a source that broke just after it had brought it.
        self.missing.remove(&range);
        let Some(flight) = self.flights.remove(&range) else { return };
        for other in flight.askers.into_iter().filter(|asker| *asker != node) {
            self.with(other, |source| {
                source.forget(range, now);
            });
            out.push(Output::Cancel { source: other, range });
        }
    }

    fn failed(&mut self, node: NodeId, fault: Fault, now: Duration, out: &mut Vec<Output>) {
        let failing = self.sources.iter_mut().find(|source| source.node == node && source.state == State::Active);
        // What a connection that was given up still reports is no news.
        let Some(source) = failing else { return };
        let asked: Vec<_> = source.asked.iter().copied().collect();
        source.failed(fault, now);
        out.push(Output::Drop { source: node, fault });
        for range in asked {
            let Some(flight) = self.flights.get_mut(&range) else { continue };
            flight.askers.retain(|asker| *asker != node);
            if flight.askers.is_empty() {
                self.flights.remove(&range);
                self.missing.insert(range);
            }
        }
    }

    fn stalled(&self, now: Duration) -> Vec<NodeId> {
        let stalled = self.sources.iter().filter(|source| source.stalls().is_some_and(|at| at <= now));
        stalled.map(|source| source.node).collect()
    }

    fn ask_for_missing(&mut self, now: Duration, out: &mut Vec<Output>) {
        while let Some(range) = self.missing.first().copied() {
            let may_add = self.active() < ACTIVE_MAX;
            let takes = |source: &Source| source.has_room() || (may_add && source.state == State::Spare);
            // One that has nothing to do, then one that was not used yet, then the one with least to do.
            let willing = self.sources.iter().filter(|source| takes(source));
            let chosen = willing.min_by_key(|source| (source.asked.len(), source.state == State::Spare));
            let Some(node) = chosen.map(|source| source.node) else { return };
            self.missing.remove(&range);
            self.ask(node, range, now, out);
        }
    }

    /// Has what is slow to come brought by another source as well, once there is nothing else to ask for.
    fn ask_again(&mut self, now: Duration, out: &mut Vec<Output>) {
        while self.missing.is_empty() {
            let slow = self.flights.iter().filter(|(_, flight)| flight.askers.len() < ASKERS_MAX);
            let Some((range, flight)) = slow.min_by_key(|(range, flight)| (flight.since, **range)) else { return };
            let age = now.saturating_sub(flight.since);
            let may_add = self.active() < ACTIVE_MAX && age >= SECOND_SOURCE;
            let mut idle = self.sources.iter().filter(|source| {
                let has_nothing = source.state == State::Active && source.asked.is_empty() && age >= SECOND_ASK;
                has_nothing || (may_add && source.state == State::Spare)
            });
            let Some(node) = idle.next().map(|source| source.node) else { return };
            self.ask(node, *range, now, out);
        }
    }

    fn ask(&mut self, node: NodeId, range: GroupRange, now: Duration, out: &mut Vec<Output>) {
        self.with(node, |source| source.ask(range, now));
        let flight = self.flights.entry(range).or_insert(Flight { askers: Vec::new(), since: now });
        flight.askers.push(node);
        out.push(Output::Ask { source: node, range });
    }

    fn conclude(&mut self, out: &mut Vec<Output>) {
        let end = if self.missing.is_empty() && self.flights.is_empty() {
            Output::Done
        } else if self.sources.iter().all(|source| source.state == State::Out) {
            Output::Failed
        } else {
            return;
        };
        self.ended = true;
        out.push(end);
    }

    fn active(&self) -> usize {
        self.sources.iter().filter(|source| source.state == State::Active).count()
    }

    fn with(&mut self, node: NodeId, change: impl FnOnce(&mut Source)) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.node == node) {
            change(source);
        }
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
