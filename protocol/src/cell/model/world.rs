//! A state of the whole: three nodes, what is under way between them, and what was seen so far.

use super::super::state::Role;
use super::history::History;
use super::letter::{Kind, Letter};
use super::setting::{NODES, Rate, Setting, Wish};
use super::turn::{Deed, Node, Turn};
use crate::id::Term;
use crate::time::Mono;
use crate::wire::VerifiedLease;
use hedgerow_attest::id::NodeId;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A state. Parts that a step leaves as they were are shared.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) tick: u8,
    pub(super) rates: [Rate; NODES],
    pub(super) nodes: [Arc<Node>; NODES],
    /// By sender and receiver, the oldest first.
    pub(super) letters: Vec<Arc<Letter>>,
    pub(super) spent: Spent,
    pub(super) history: Arc<History>,
}

/// How often what may go wrong did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Spent {
    pub(super) copies: u8,
    pub(super) crashes: u8,
    pub(super) handovers: u8,
    pub(super) proposals: u8,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// True time goes on, and every clock at its own rate. Of the letters under way those at these places, one bit each,
    /// are late; the others are lost.
    Tick { late: u32 },
    /// A node looks at its clock.
    Wake(usize),
    /// A letter arrives, and perhaps once more later.
    Deliver { from: usize, to: usize, kind: Kind, place: usize, again: bool },
    /// A node hears what another knows to be decided.
    Learn { node: usize, from: usize },
    /// A holder proposes something of its own.
    Propose(usize, Wish),
    /// A holder, or whoever asks, gives back, and names the other candidate.
    HandOver(usize),
    /// A node is killed and starts again.
    Restart(usize),
    /// The oldest write of a node is durable.
    Sync(usize),
}

/// What happens, and to the disk in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) act: Act,
    /// The node is killed when it has synced so many writes of this step, and one more was to come.
    pub(super) crash_after: Option<usize>,
}

impl World {
    pub(super) fn new(setting: &Setting, rates: [Rate; NODES]) -> Self {
        let node = |me: usize| Arc::new(Node::born(setting, me).marked(setting.clock(&rates, me, 0)));
        Self {
            tick: 0,
            rates,
            nodes: [node(0), node(1), node(2)],
            letters: vec![],
            spent: Spent::default(),
            history: Arc::default(),
        }
    }

    pub(super) fn now(&self, setting: &Setting, node: usize) -> Mono {
        setting.clock(&self.rates, node, self.tick)
    }

    /// The nodes that hold the lease, by their own clocks, in this moment of true time.
    pub(super) fn holders(&self, setting: &Setting) -> Vec<(usize, Term)> {
        let held = (0..NODES).map(|node| (node, self.nodes[node].cell.holds(self.now(setting, node))));
        held.filter_map(|(node, held)| Some((node, held?.0))).collect()
    }

    /// Whether a lease was given back and the other candidate holds the next.
    pub(super) fn is_handed_over(&self, setting: &Setting) -> bool {
        let parts = |node: usize| self.nodes[node].cell.is_parting();
        self.holders(setting).iter().any(|(node, _)| *node < 2 && parts(1 - node))
    }

    pub(super) fn asks(&self, node: usize) -> bool {
        self.nodes[node].cell.seat.as_ref().is_some_and(|seat| matches!(seat.role, Role::Asking(_)))
    }

    /// What is there if that happens; nothing if it makes no difference.
    pub(super) fn after(&self, setting: &Setting, Move { act, crash_after }: Move) -> Option<Self> {
        let mut next = self.clone();
        match act {
            Act::Tick { late } => {
                next.tick += 1;
                let mut places = 0..;
                next.letters.retain(|_| places.next().is_some_and(|place| late >> place & 1 == 1));
                for me in 0..NODES {
                    let now = next.now(setting, me);
                    next.nodes[me] = Arc::new(Node::clone(&next.nodes[me]).marked(now));
                }
                return Some(next);
            }
            Act::Restart(me) => {
                let now = next.now(setting, me);
                next.nodes[me] = Arc::new(Node::clone(&next.nodes[me]).crashed(setting, me, now).marked(now));
                next.spent.crashes += 1;
                return Some(next);
            }
            Act::Wake(_) | Act::Learn { .. } | Act::Sync(_) => {}
            Act::Deliver { place, again: false, .. } => {
                next.letters.remove(place);
            }
            Act::Deliver { again: true, .. } => next.spent.copies += 1,
            Act::Propose(..) => next.spent.proposals += 1,
            Act::HandOver(_) => next.spent.handovers += 1,
        }
        let me = act.node();
        let now = self.now(setting, me);
        let mut turn = Turn::new(setting, me, now, Node::clone(&self.nodes[me]));
        self.perform(setting, act, &mut turn);
        let crashes = match crash_after {
            None if setting.bounds.slow_disk => false,
            None => {
                while !turn.node.cached.is_empty() {
                    turn.sync_one();
                }
                false
            }
            Some(writes) => {
                (0..writes).for_each(|_| turn.sync_one());
                if turn.node.cached.is_empty() {
                    return None;
                }
                true
            }
        };
        let (node, deeds) = (turn.node, turn.deeds);
        let answers = !deeds.is_empty();
        next.record(me, deeds);
        let node = if crashes {
            next.spent.crashes += 1;
            node.crashed(setting, me, now)
        } else {
            node
        };
        let node = node.marked(now);
        // A letter that changes nothing and is answered by nothing may as well be lost.
        if node.mark == self.nodes[me].mark && !crashes && !answers {
            return None;
        }
        next.nodes[me] = Arc::new(node);
        Some(next)
    }

    fn perform(&self, setting: &Setting, act: Act, turn: &mut Turn<'_>) {
        match act {
            Act::Wake(me) => turn.wake(me < 2),
            Act::Deliver { from, place, .. } => turn.receive(from, self.letters[place].lease.clone()),
            Act::Learn { node, from } => turn.adopt_all(self.news(node, from)),
            Act::Propose(me, wish) => {
                let voters = self.nodes[me].cell.voters().expect("a holder has a seat");
                let content = setting.content(wish, voters);
                turn.act(|cell, fx, _| cell.propose(fx, content));
            }
            Act::HandOver(me) => {
                let other: NodeId = setting.nodes[1 - me];
                turn.act(|cell, fx, outcomes| cell.hand_over(fx, Some(other), outcomes));
            }
            Act::Sync(_) => turn.sync_one(),
            Act::Tick { .. } | Act::Restart(_) => {}
        }
    }

    /// What another node knows to be decided and this one could take in next.
    pub(super) fn news(&self, node: usize, from: usize) -> Option<crate::register::VerifiedDecision> {
        let cell = &self.nodes[node].cell;
        let (slot, epoch) = (cell.head()?.slot, cell.voters()?.epoch);
        let known = self.nodes[from].disk.decisions.iter();
        known
            .filter(|known| known.value.slot > slot && known.config_epoch == epoch)
            .min_by_key(|known| known.value.slot)
            .cloned()
    }

    fn record(&mut self, me: usize, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Posted(to, lease) => {
                    if let VerifiedLease::Grant(reply) = &lease {
                        Arc::make_mut(&mut self.history).granted(&reply.grant);
                    }
                    self.post(Letter::new(me, to, lease));
                }
                Deed::Acquired(term) => Arc::make_mut(&mut self.history).acquired(me, term),
                Deed::Certified(decision) => Arc::make_mut(&mut self.history).decided(decision),
                Deed::WentBack => Arc::make_mut(&mut self.history).promise_broken = true,
                Deed::Accepted(term, value) => Arc::make_mut(&mut self.history).accepted(me, term, value),
            }
        }
    }

    /// The same letter twice is one.
    fn post(&mut self, letter: Letter) {
        self.letters.retain(|known| known.mark != letter.mark);
        let way = (letter.from, letter.to);
        let end = self.letters.partition_point(|known| (known.from, known.to) <= way);
        self.letters.insert(end, Arc::new(letter));
    }
}

impl Act {
    /// Whose step it is.
    fn node(self) -> usize {
        match self {
            Self::Tick { .. } => 0,
            Self::Wake(node)
            | Self::Deliver { to: node, .. }
            | Self::Learn { node, .. }
            | Self::Propose(node, _)
            | Self::HandOver(node)
            | Self::Restart(node)
            | Self::Sync(node) => node,
        }
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let mark = |world: &Self| {
            let mut hasher = std::hash::DefaultHasher::new();
            world.hash(&mut hasher);
            hasher.finish()
        };
        mark(self) == mark(other)
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { tick, rates, nodes, letters, spent, history } = self;
        (tick, rates, spent).hash(state);
        nodes.iter().for_each(|node| node.mark.hash(state));
        letters.iter().for_each(|letter| letter.mark.hash(state));
        history.hash(state);
    }
}
