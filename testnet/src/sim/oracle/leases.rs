//! Leases in true time.

use super::invariant::Invariant;
use super::measures::Measures;
use super::reign::Reign;
use crate::sim::time::{Micros, S};
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_protocol::election::Grant;
use hedgerow_protocol::id::BootId;
use std::collections::BTreeMap;

/// The error of a clock beyond which the promises of leases do not bind: the bound of the election.
const RATE_BOUND_PPM: i64 = 10_000;

/// One node's belief to hold the lease of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    node: u32,
    reign: Reign,
    from: Micros,
    until: Micros,
}

/// What one cell's leases were.
#[derive(Debug, Default)]
struct History {
    /// Leases that have not ended long ago.
    recent: Vec<Lease>,
    last_holder: Option<u32>,
    /// Since when a holder is missing, and whether it crashed.
    vacant: Option<(Micros, bool)>,
    /// A change of the holder before that moment is no flap: something disturbed the last one.
    excused_until: Micros,
}

/// A change of the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// After a crash, so long after it.
    Failover(Micros),
    /// After an announcement, so long after it.
    Handover(Micros),
    /// For no reason.
    Flap,
    /// For a reason that is not timed, or the first one.
    Other,
}

/// All cells' leases.
#[derive(Debug, Default)]
pub(super) struct Leases {
    cells: BTreeMap<CellId, History>,
    holders: BTreeMap<(CellId, Reign), u32>,
    /// By voter.
    grants: BTreeMap<(u32, CellId), (Reign, NodeId, BootId)>,
    drifts: BTreeMap<u32, i64>,
    network_changed: Micros,
}

/// After a change of the network the holder may change for that long without being called a flap.
const EXCUSE: Micros = 30 * S;

/// How long ended leases are remembered.
const MEMORY: Micros = 60 * S;

impl Leases {
    /// After a step a node believes to hold a lease.
    pub(super) fn held(
        &mut self,
        now: Micros,
        cell: CellId,
        node: u32,
        reign: Reign,
        until: Micros,
    ) -> Result<Option<Change>, (Invariant, String)> {
        let excused = self.network_changed + EXCUSE > now;
        let holder = *self.holders.entry((cell, reign)).or_insert(node);
        if holder != node {
            let what = format!("term {reign} is held by node {node} and was held by node {holder}");
            return Err((Invariant::OneHolderPerTerm, what));
        }
        let in_bound = |node: u32| keeps_time(&self.drifts, node);
        let history = self.cells.entry(cell).or_default();
        history.recent.retain(|lease| lease.until + MEMORY > now);
        // Whoever has not heard of a recovery may lead those who have not, until somebody tells them.
        let rivals = |lease: &&Lease| lease.node != node && lease.reign.generation == reign.generation;
        let other = history.recent.iter().filter(rivals).find(|lease| lease.until > now);
        if let Some(other) = other.filter(|other| in_bound(node) && in_bound(other.node)) {
            let what = format!("node {node} holds term {reign} beside {other:?}");
            return Err((Invariant::LeasesDoNotOverlap, what));
        }
        let known = history.recent.iter_mut().rev().find(|lease| (lease.node, lease.reign) == (node, reign));
        if let Some(lease) = known.filter(|lease| lease.until >= now) {
            lease.until = until;
            return Ok(None);
        }
        history.recent.push(Lease { node, reign, from: now, until });
        let before = history.last_holder.replace(node);
        let change = match history.vacant.take() {
            _ if before.is_none() => Change::Other,
            Some((since, true)) => Change::Failover(now - since),
            Some((since, false)) if before != Some(node) => Change::Handover(now - since),
            Some(_) => Change::Other,
            None if excused || history.excused_until > now => Change::Other,
            None => Change::Flap,
        };
        Ok(Some(change))
    }

    /// After a step a node believes to hold none.
    pub(super) fn released(&mut self, now: Micros, cell: CellId, node: u32) {
        if let Some(history) = self.cells.get_mut(&cell) {
            for lease in history.recent.iter_mut().filter(|lease| lease.node == node && lease.until > now) {
                lease.until = now;
            }
        }
    }

    /// The node stops believing anything. True when it held the lease.
    pub(super) fn ended_by_crash(&mut self, now: Micros, cell: CellId, node: u32) -> bool {
        let held = self.is_held_by(now, cell, node);
        self.released(now, cell, node);
        held
    }

    /// The holder is gone, or about to be; the next one is timed from here.
    pub(super) fn vacate(&mut self, now: Micros, cell: CellId, crashed: bool) {
        self.cells.entry(cell).or_default().vacant.get_or_insert((now, crashed));
    }

    /// The holder may change for a while.
    pub(super) fn excuse(&mut self, now: Micros, cell: CellId) {
        self.cells.entry(cell).or_default().excused_until = now + EXCUSE;
    }

    pub(super) fn network_changed(&mut self, now: Micros) {
        self.network_changed = now;
        // What a cut does to a holder is not a failover after a crash.
        for history in self.cells.values_mut() {
            history.vacant = None;
        }
    }

    pub(super) fn set_drift(&mut self, node: u32, rate_ppm: i64) {
        self.drifts.insert(node, rate_ppm);
    }

    /// A grant left its voter.
    pub(super) fn granted(&mut self, voter: u32, grant: &Grant) -> Result<(), String> {
        let reign = Reign { generation: grant.generation, term: grant.term };
        let says = (reign, grant.candidate, grant.boot);
        match self.grants.insert((voter, grant.cell), says) {
            Some(said) if says != said && reign <= said.0 => Err(format!(
                "node {voter} granted term {} to {} after term {} to {}",
                reign,
                grant.candidate.short(),
                said.0,
                said.1.short()
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// What a voter that runs remembers of its promises.
    pub(super) fn remembers(&self, voter: u32, cell: CellId, promised: Reign) -> Result<(), String> {
        match self.grants.get(&(voter, cell)) {
            // What it promised in an earlier generation it need not remember as a promise of this one, which is later.
            Some((granted, ..)) if *granted > promised => {
                Err(format!("node {voter} granted term {granted} and remembers {promised}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the clock of a node is within the bound.
    pub(super) fn keeps_time(&self, node: u32) -> bool {
        keeps_time(&self.drifts, node)
    }

    /// Whether the node holds the lease of that term.
    pub(super) fn covers(&self, now: Micros, cell: CellId, node: u32, reign: Reign) -> bool {
        let holds =
            |lease: &Lease| lease.node == node && lease.reign == reign && lease.from <= now && lease.until >= now;
        self.cells.get(&cell).is_some_and(|history| history.recent.iter().any(holds))
    }

    /// Whether the node holds the lease.
    pub(super) fn is_held_by(&self, now: Micros, cell: CellId, node: u32) -> bool {
        self.holder(now, cell) == Some(node)
    }

    /// Who holds the lease: of the last generation, where whoever led the one before has not heard of it.
    pub(super) fn holder(&self, now: Micros, cell: CellId) -> Option<u32> {
        let running = self.cells.get(&cell)?.recent.iter().filter(|lease| lease.from <= now && lease.until > now);
        running.max_by_key(|lease| lease.reign).map(|lease| lease.node)
    }
}

fn keeps_time(drifts: &BTreeMap<u32, i64>, node: u32) -> bool {
    drifts.get(&node).is_none_or(|drift| drift.abs() <= RATE_BOUND_PPM)
}

impl Measures {
    /// Counts a change of a holder.
    pub(super) fn count(&mut self, change: Change) {
        match change {
            Change::Failover(span) => self.failover.take(span),
            Change::Handover(span) => self.handover.take(span),
            Change::Flap => self.flaps += 1,
            Change::Other => {}
        }
    }
}
