//! The cluster: nodes, an event queue, and the faults between them.

use super::censor::{Censor, Fate, Frame, Kind};
use super::judge::Invariant;
use super::judge::Judge;
use super::node::{Planted, TestNode};
use crate::core::{Input, Output};
use crate::defect::Defect;
use crate::fact::SignedFact;
use crate::id::Token;
use crate::machine::{Cx, Machine as _};
use crate::wire::{self, Opened, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::testing::SampleMesh;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// One millisecond and one second of virtual time.
pub(crate) const MS: u64 = 1_000;
pub(crate) const S: u64 = 1_000_000;

/// What links and disks do at random.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) loss_percent: u64,
    pub(crate) delay_us: (u64, u64),
    pub(crate) sync_us: (u64, u64),
    /// Added between regions.
    pub(crate) far_us: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self { loss_percent: 0, delay_us: (500, 3_000), sync_us: (1_000, 8_000), far_us: 0 }
    }
}

enum Happening {
    Frame { from: usize, to: usize, bytes: Vec<u8> },
    Gossip { to: usize, bytes: Vec<u8> },
    Tick { node: usize, run: u32 },
    Synced { node: usize, run: u32, token: Token },
}

/// Virtual time, and everything in it.
pub(crate) struct Cluster {
    pub(crate) seed: u64,
    pub(crate) mesh: SampleMesh,
    pub(crate) nodes: Vec<TestNode>,
    pub(crate) now: u64,
    pub(crate) faults: Faults,
    pub(crate) judge: Judge,
    pub(crate) sometimes: BTreeMap<&'static str, u64>,
    /// Commands that were answered.
    pub(crate) replies: Vec<u64>,
    /// Frames from the first to the second are lost.
    pub(crate) cuts: BTreeSet<(usize, usize)>,
    /// Decides over single frames, where a test does.
    pub(crate) censor: Option<Censor>,
    /// Frames that the censor withheld, with sender and receiver.
    pub(crate) withheld: Vec<(usize, usize, Vec<u8>)>,
    /// Where a defect is planted, violations are collected, not asserted.
    planted: Planted,
    excused: bool,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    order: u64,
    rng: ChaCha8Rng,
    by_id: BTreeMap<NodeId, usize>,
    /// Per node: outputs that wait for a token.
    pub(super) held: BTreeMap<(usize, Token), Vec<Output>>,
    pub(super) unsynced: BTreeMap<usize, BTreeSet<Token>>,
    pub(super) next_command: u64,
}

impl Cluster {
    /// Nodes 0.. in these regions, not started. Node 0 is the issuer.
    pub(crate) fn new(seed: u64, regions: &[&str]) -> Self {
        Self::with_defect(seed, regions, None)
    }

    /// The same, of nodes built with that defect.
    pub(crate) fn with_defect(seed: u64, regions: &[&str], defect: Option<Defect>) -> Self {
        let mesh = SampleMesh::new(1);
        let planted = Planted(defect);
        let node = |(region, number): (&&str, u32)| TestNode::new(&mesh, number, region, seed, planted);
        let nodes: Vec<TestNode> = regions.iter().zip(0..).map(node).collect();
        let by_id = nodes.iter().enumerate().map(|(index, node)| (node.id(), index)).collect();
        Self {
            seed,
            mesh,
            nodes,
            now: S,
            faults: Faults::default(),
            judge: Judge::default(),
            sometimes: BTreeMap::new(),
            replies: Vec::new(),
            cuts: BTreeSet::new(),
            censor: None,
            withheld: Vec::new(),
            planted,
            excused: false,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            order: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            by_id,
            held: BTreeMap::new(),
            unsynced: BTreeMap::new(),
            next_command: 0,
        }
    }

    /// A random number below the bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound.max(1)
    }

    pub(crate) fn step(&mut self, node: usize, input: Input) {
        let now = self.now;
        let n = &mut self.nodes[node];
        assert!(n.up, "seed {}: an input for a node that is down", self.seed);
        let (mono, wall) = (n.mono(now), n.wall(now));
        let mut out = Vec::new();
        let mut rng = n.rng.clone();
        n.core.step(&mut Cx { now: mono, wall, rng: &mut rng, out: &mut out }, input);
        n.rng = rng;
        for output in &out {
            self.judge.emitted(now, node, &self.nodes[node], output);
        }
        for output in out {
            self.carry_out(node, output);
        }
        self.judge.look(now, node, &self.nodes[node]);
        let excused = self.excused || self.planted != Planted(None);
        assert!(excused || self.judge.violations.is_empty(), "seed {}: {:?}", self.seed, self.judge.violations);
        self.schedule_tick(node);
    }

    /// From here on something is out of the bounds within which the invariants are promised.
    pub(crate) fn excuse(&mut self) {
        self.excused = true;
    }

    /// Whether that was broken so far.
    pub(crate) fn broke(&self, invariant: Invariant) -> bool {
        self.judge.violations.iter().any(|violation| violation.invariant == invariant)
    }

    fn schedule_tick(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        let Some(deadline) = n.core.next_deadline().filter(|_| n.up) else { return };
        if deadline.0 == u64::MAX {
            return;
        }
        let at = n.true_time(deadline).max(self.now + 1);
        if n.tick_at.is_none_or(|tick_at| at < tick_at || tick_at <= self.now) {
            n.tick_at = Some(at);
            let run = n.run;
            self.push(at, Happening::Tick { node, run });
        }
    }

    fn push(&mut self, at: u64, happening: Happening) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order)));
        self.happenings.insert(self.order, happening);
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        let waits = match &output {
            Output::Send { after, .. } | Output::Publish { after, .. } | Output::Reply { after, .. } => *after,
            Output::Persist { .. }
            | Output::Sign { .. }
            | Output::Event(_)
            | Output::Hint(_)
            | Output::Follow(_)
            | Output::Unfollow(_)
            | Output::Sometimes(_) => None,
        };
        if let Some(token) = waits.filter(|token| self.unsynced.get(&node).is_some_and(|set| set.contains(token))) {
            self.held.entry((node, token)).or_default().push(output);
            return;
        }
        let now = self.now;
        match output {
            Output::Send { to, message, not_after, .. } => {
                let late = not_after.is_some_and(|limit| self.nodes[node].mono(now) > limit);
                if let Some(&to) = self.by_id.get(&to).filter(|_| !late) {
                    self.judge.sent(now, &message);
                    self.transmit(node, to, &message);
                }
            }
            Output::Publish { fact, .. } => self.gossip(node, fact.signed()),
            Output::Persist { token, ops, sync: _ } => {
                self.nodes[node].disk.write(ops);
                self.unsynced.entry(node).or_default().insert(token);
                let (least, most) = self.faults.sync_us;
                let at = now + least + self.below(most - least);
                let run = self.nodes[node].run;
                self.push(at, Happening::Synced { node, run, token });
            }
            Output::Sign { token, statement } => {
                let statement = statement.sign(&self.nodes[node].statement);
                self.step(node, Input::Signed { token, statement });
            }
            Output::Event(event) => self.nodes[node].events.push((now, event)),
            Output::Sometimes(what) => *self.sometimes.entry(what).or_default() += 1,
            Output::Reply { id, .. } => self.replies.push(id),
            Output::Hint(_) | Output::Follow(_) | Output::Unfollow(_) => {}
        }
    }

    fn transmit(&mut self, from: usize, to: usize, message: &VerifiedMessage) {
        let bytes = wire::encode(&message.to_wire());
        let frame = Frame { now: self.now, from, to, kind: Kind::of(message), octets: bytes.len() };
        let fate = self.censor.as_mut().map_or(Fate::Pass, |censor| censor(frame));
        let lost = self.below(100) < self.faults.loss_percent || self.cuts.contains(&(from, to));
        let (least, most) = self.faults.delay_us;
        let far = self.nodes[from].member.region() != self.nodes[to].member.region();
        let at = self.now + least + self.below(most - least) + u64::from(far) * self.faults.far_us;
        match fate {
            Fate::Withhold => self.withheld.push((from, to, bytes)),
            Fate::Lose => {}
            Fate::Pass | Fate::Delay(_) if lost => {}
            Fate::Pass => self.push(at, Happening::Frame { from, to, bytes }),
            Fate::Delay(more) => self.push(at + more, Happening::Frame { from, to, bytes }),
        }
    }

    /// Delivers what the censor withheld.
    pub(crate) fn deliver_withheld(&mut self) {
        for (from, to, bytes) in std::mem::take(&mut self.withheld) {
            self.push(self.now, Happening::Frame { from, to, bytes });
        }
    }

    /// Gossip reaches whoever can be reached in some hops over links that are not cut.
    fn gossip(&mut self, from: usize, fact: &SignedFact) {
        let bytes = fact.to_bytes();
        let (mut reached, mut edge) = (BTreeSet::from([from]), vec![from]);
        while let Some(hop) = edge.pop() {
            for to in 0..self.nodes.len() {
                if !reached.contains(&to) && self.nodes[to].up && !self.cuts.contains(&(hop, to)) {
                    reached.insert(to);
                    edge.push(to);
                }
            }
        }
        for to in reached {
            if to != from && !self.nodes[to].deaf_to_gossip {
                let at = self.now + 5 * MS + self.below(40 * MS);
                self.push(at, Happening::Gossip { to, bytes: bytes.clone() });
            }
        }
    }

    /// Lets time pass up to that moment.
    pub(crate) fn run_until(&mut self, until: u64) {
        while let Some(Reverse((at, order))) = self.queue.peek().copied() {
            if at > until {
                break;
            }
            self.queue.pop();
            let happening = self.happenings.remove(&order).expect("each is queued once");
            self.now = self.now.max(at);
            self.happen(happening);
        }
        self.now = until;
    }

    pub(crate) fn run_for(&mut self, span: u64) {
        self.run_until(self.now + span);
    }

    /// Lets time pass until the predicate holds; returns how long it took.
    pub(crate) fn run_until_holds(&mut self, most: u64, what: &str, holds: impl Fn(&Self) -> bool) -> u64 {
        let start = self.now;
        while !holds(self) {
            assert!(self.now < start + most, "seed {}: not within {} ms: {what}", self.seed, most / MS);
            self.run_for(10 * MS);
        }
        self.now - start
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick { node, run } if self.nodes[node].up && self.nodes[node].run == run => {
                if self.nodes[node].tick_at == Some(self.now) {
                    self.nodes[node].tick_at = None;
                }
                self.step(node, Input::Tick);
            }
            Happening::Synced { node, run, token } if self.nodes[node].up && self.nodes[node].run == run => {
                self.synced(node, token);
            }
            Happening::Frame { from, to, bytes } if self.nodes[to].up => {
                let sender = self.nodes[from].id();
                let message = wire::decode(&bytes).expect("an honest node's frame");
                let core = &self.nodes[to].core;
                let now = self.nodes[to].wall(self.now).unix_seconds();
                if let Ok(Opened { message, .. }) = message.verify(sender, core.roster(), core.root(), now) {
                    self.step(to, Input::Net { from: sender, message });
                }
            }
            Happening::Gossip { to, bytes } if self.nodes[to].up => {
                let core = &self.nodes[to].core;
                let now = self.nodes[to].wall(self.now).unix_seconds();
                let fact = SignedFact::from_bytes(&bytes).expect("an honest node's fact");
                if let Ok(fact) = fact.verify(core.roster(), core.root(), now) {
                    self.step(to, Input::Fact(Box::new(fact)));
                }
            }
            Happening::Tick { .. } | Happening::Synced { .. } | Happening::Frame { .. } | Happening::Gossip { .. } => {}
        }
    }

    /// Writes complete in the order in which they were asked for, so an earlier one is complete with a later.
    fn synced(&mut self, node: usize, token: Token) {
        let waiting = self.unsynced.entry(node).or_default();
        let done: Vec<Token> = waiting.range(..=token).copied().collect();
        waiting.retain(|other| *other > token);
        if done.is_empty() {
            return;
        }
        // Later writes may be in the cache of the disk already; syncing them early does no harm.
        self.nodes[node].disk.sync();
        for token in done {
            if self.nodes[node].up {
                self.step(node, Input::Persisted(token));
            }
            for output in self.held.remove(&(node, token)).unwrap_or_default() {
                self.carry_out(node, output);
            }
        }
    }
}
