//! Choosing the holders of one group among the nodes that a rule lets in.
//!
//! Weighted draws decide inside the nearest round-trip buckets that hold enough nodes, at most one node is taken per failure
//! domain, and whoever holds the group stays. So a node that leaves moves what it held, and a node that joins takes the
//! places in which it draws better than a holder; nothing else moves.

use super::bucket::RttBucket;
use super::rendezvous::draw;
use super::rule::{Host, Refusal, Rule};
use super::table::NODES_MAX;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::name::FailureDomain;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes among which is drawn, for each copy: with fewer the nearest few would hold everything (research prototype: the
/// busiest of 1,000 nodes held 2.1 times its share with three times the copies, 8.3 times with as many as there are copies).
const DRAWN_PER_COPY: usize = 3;

/// The nodes of a cell as one rule sees them.
#[derive(Debug)]
pub struct Field<'a> {
    copies: usize,
    /// Those that may be given something, by node.
    open: BTreeMap<NodeId, &'a Host>,
    /// Those that may keep what they hold and get nothing.
    closed: BTreeMap<NodeId, &'a Host>,
    refusals: BTreeMap<NodeId, Vec<Refusal>>,
    /// The farthest bucket in which is drawn while it has anybody left.
    reach: RttBucket,
}

/// Who holds what was placed before.
#[derive(Debug, Clone, Copy)]
pub struct Incumbents<'a> {
    /// The holders of this group, in any order.
    pub holders: &'a [NodeId],
    /// All that hold anything. Who does not, and draws better than a holder that is as far, takes its place; between those
    /// who do, nothing moves.
    pub established: &'a BTreeSet<NodeId>,
}

/// The holders of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Best draw first: the first is home.
    pub nodes: Vec<NodeId>,
    /// What could not be kept to.
    pub notes: Vec<Note>,
}

/// What a choice could not keep to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Fewer nodes are let in than the rule wants copies.
    TooFew {
        /// Copies that the rule wants.
        wanted: usize,
        /// Nodes that hold one.
        found: usize,
    },
    /// There are fewer failure domains than copies, so that one holds several.
    SharedDomain {
        /// The domain.
        domain: FailureDomain,
        /// Copies in it.
        copies: usize,
    },
}

/// A host with its draw for one key.
#[derive(Debug, Clone, Copy)]
struct Drawn<'a> {
    host: &'a Host,
    draw: u64,
}

impl<'a> Field<'a> {
    /// Judges every host; their order does not matter, and of two that name one node the lesser counts.
    #[must_use]
    pub fn new(rule: &Rule, hosts: &'a [Host]) -> Self {
        let mut by_node: BTreeMap<NodeId, &'a Host> = BTreeMap::new();
        for host in hosts {
            let known = by_node.entry(host.node).or_insert(host);
            *known = (*known).min(host);
        }
        let copies = usize::from(rule.copies).min(NODES_MAX);
        let mut field = Self {
            copies,
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
            refusals: BTreeMap::new(),
            reach: RttBucket::FARTHEST,
        };
        for (node, host) in by_node {
            let refusals = rule.refusals(host);
            if refusals.is_empty() {
                field.open.insert(node, host);
                continue;
            }
            if !refusals.iter().any(Refusal::evicts) {
                field.closed.insert(node, host);
            }
            field.refusals.insert(node, refusals);
        }
        let within = |reach: &RttBucket| field.open.values().filter(|host| host.bucket <= *reach).count();
        let enough = RttBucket::all().find(|reach| within(reach) >= copies * DRAWN_PER_COPY);
        field.reach = enough.unwrap_or(RttBucket::FARTHEST);
        field
    }

    /// The demands of the rule that each node does not meet; nodes that meet all of them are not in it.
    #[must_use]
    pub const fn refusals(&self) -> &BTreeMap<NodeId, Vec<Refusal>> {
        &self.refusals
    }

    /// Whether a node may be given what it does not hold.
    #[must_use]
    pub fn lets_in(&self, node: &NodeId) -> bool {
        self.open.contains_key(node)
    }

    /// The holders of the group with that key.
    #[must_use]
    pub fn choose(&self, key: &[u8], incumbents: Incumbents<'_>) -> Choice {
        let drawn = |host: &'a Host| Drawn { host, draw: draw(key, &host.node, host.weight) };
        let holds = |node: &NodeId| incumbents.holders.contains(node);
        let held = |(_, host): &(&NodeId, &&'a Host)| holds(&host.node);
        let mut holders: Vec<Drawn<'_>> =
            self.open.iter().chain(&self.closed).filter(held).map(|(_, host)| drawn(host)).collect();
        holders.sort_by_key(Drawn::order);
        let mut others: Vec<Drawn<'_>> =
            self.open.values().filter(|host| !holds(&host.node)).map(|host| drawn(host)).collect();

        let mut chosen = Vec::with_capacity(self.copies);
        self.fill(&mut chosen, &holders, Spread::OnePerDomain);
        others.sort_by_key(|other| (self.distance(other.host), other.order()));
        self.fill(&mut chosen, &others, Spread::OnePerDomain);
        self.fill(&mut chosen, &holders, Spread::Any);
        self.fill(&mut chosen, &others, Spread::Any);
        others.retain(|other| !incumbents.established.contains(&other.host.node));
        others.sort_by_key(Drawn::order);
        outdraw(&mut chosen, &others);
        chosen.sort_by_key(Drawn::order);
        let notes = self.notes(&chosen);
        Choice { nodes: chosen.iter().map(|drawn| drawn.host.node).collect(), notes }
    }

    fn fill(&self, chosen: &mut Vec<Drawn<'a>>, ranked: &[Drawn<'a>], spread: Spread) {
        for drawn in ranked {
            let known = chosen.iter().any(|taken| taken.host.node == drawn.host.node);
            let crowded = spread == Spread::OnePerDomain && chosen.iter().any(|taken| taken.fails_with(drawn));
            if chosen.len() < self.copies && !known && !crowded {
                chosen.push(*drawn);
            }
        }
    }

    /// Within reach nobody is farther than anybody.
    fn distance(&self, host: &Host) -> RttBucket {
        if host.bucket <= self.reach { RttBucket::NEAREST } else { host.bucket }
    }

    fn notes(&self, chosen: &[Drawn<'_>]) -> Vec<Note> {
        let mut notes = Vec::new();
        if chosen.len() < self.copies {
            notes.push(Note::TooFew { wanted: self.copies, found: chosen.len() });
        }
        let mut domains: BTreeMap<&FailureDomain, usize> = BTreeMap::new();
        for domain in chosen.iter().filter_map(|drawn| drawn.host.domain.as_ref()) {
            *domains.entry(domain).or_default() += 1;
        }
        let shared = domains.into_iter().filter(|(_, copies)| *copies > 1);
        notes.extend(shared.map(|(domain, copies)| Note::SharedDomain { domain: domain.clone(), copies }));
        notes
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    OnePerDomain,
    Any,
}

impl Drawn<'_> {
    const fn order(&self) -> (u64, NodeId) {
        (self.draw, self.host.node)
    }

    fn fails_with(&self, other: &Self) -> bool {
        self.host.domain.is_some() && self.host.domain == other.host.domain
    }
}

/// Lets newcomers take the places of holders that draw worse and are not nearer. Each exchange lowers the sum of the draws,
/// so it ends.
fn outdraw<'a>(chosen: &mut [Drawn<'a>], newcomers: &[Drawn<'a>]) {
    let mut moved = true;
    while std::mem::take(&mut moved) {
        for newcomer in newcomers {
            let taken = chosen.iter().any(|holder| holder.host.node == newcomer.host.node);
            let Some(place) = (!taken).then(|| weakest(chosen, newcomer)).flatten() else { continue };
            if let Some(holder) = chosen.get_mut(place) {
                *holder = *newcomer;
                moved = true;
            }
        }
    }
}

/// The place of the holder with the worst draw that the newcomer may replace.
fn weakest(chosen: &[Drawn<'_>], newcomer: &Drawn<'_>) -> Option<usize> {
    let beside = |place: usize| chosen.iter().enumerate().any(|(at, other)| at != place && other.fails_with(newcomer));
    let beaten = |holder: &Drawn<'_>| newcomer.order() < holder.order() && newcomer.host.bucket <= holder.host.bucket;
    let places = chosen.iter().enumerate().filter(|(place, holder)| beaten(holder) && !beside(*place));
    places.max_by_key(|(_, holder)| holder.order()).map(|(place, _)| place)
}

#[cfg(test)]
#[path = "field_tests.rs"]
mod tests;
