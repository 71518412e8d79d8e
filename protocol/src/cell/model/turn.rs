//! One step of one node, with what its driver does for it.

use super::super::state::{Cell, Outcome, Standing};
use super::mark::Marker;
use super::setting::Setting;
use crate::core::{Effects, Output, Snapshot, StoreOp};
use crate::election::{Grant, VoterRecord};
use crate::fact::Statement;
use crate::id::{BootId, Term, Token};
use crate::machine::Cx;
use crate::register::{Acceptance, Value, VerifiedDecision, Waiver};
use crate::testing::Planted;
use crate::time::{Mono, Wall};
use crate::wire::{VerifiedLease, VerifiedMessage};
use hedgerow_attest::id::CellId;
use hedgerow_attest::signed::{Domain, Verified};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// A node that runs, and its disk.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) cell: Cell<Planted>,
    pub(super) run: u8,
    pub(super) disk: Disk,
    /// Written and not durable, in order.
    pub(super) cached: Vec<(Token, Write)>,
    /// What waits for a write.
    held: Vec<Held>,
    token: Token,
    pub(super) mark: u64,
}

/// What survives a crash.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    votes: BTreeMap<CellId, VoterRecord>,
    pub(super) decisions: Vec<VerifiedDecision>,
}

#[derive(Debug, Clone)]
pub(super) enum Write {
    Votes(BTreeMap<CellId, VoterRecord>),
    Decision(VerifiedDecision),
}

#[derive(Debug, Clone)]
struct Held {
    to: usize,
    lease: VerifiedLease,
    after: Token,
    not_after: Option<Mono>,
}

/// What others may notice of a step.
#[derive(Debug)]
pub(super) enum Deed {
    Posted(usize, VerifiedLease),
    Acquired(Term),
    Certified(VerifiedDecision),
    /// The acceptance is durable.
    Accepted(Term, Value),
    /// The promise on the disk is an earlier one than before.
    WentBack,
}

/// A step of one node.
pub(super) struct Turn<'a> {
    setting: &'a Setting,
    me: usize,
    now: Mono,
    pub(super) node: Node,
    pub(super) deeds: Vec<Deed>,
    out: Vec<Output>,
    adopting: BTreeMap<Token, VerifiedDecision>,
}

impl Node {
    /// A node that starts with what its disk holds.
    pub(super) fn start(setting: &Setting, me: usize, run: u8, disk: Disk, now: Mono) -> Self {
        let mut boot = [0; 16];
        boot[0] = u8::try_from(me).expect("three nodes");
        boot[1] = run;
        let mut cell = Cell::new(setting.nodes[me], BootId(boot), setting.election, setting.planted);
        cell.restore(disk.votes.clone());
        cell.open(now, setting.cell, &setting.roster);
        for decision in &disk.decisions {
            cell.decided(now, decision, &mut Vec::new());
        }
        Self { cell, run, disk, cached: vec![], held: vec![], token: Token(0), mark: 0 }
    }

    /// It comes up as the mesh was formed.
    pub(super) fn born(setting: &Setting, me: usize) -> Self {
        let disk = Disk { votes: BTreeMap::new(), decisions: setting.decided.clone() };
        Self::start(setting, me, 0, disk, setting.birth(me))
    }

    /// All that was written and not durable is gone.
    pub(super) fn crashed(self, setting: &Setting, me: usize, now: Mono) -> Self {
        Self::start(setting, me, self.run + 1, self.disk, now)
    }

    /// Notes what it is like at that moment.
    pub(super) fn marked(mut self, now: Mono) -> Self {
        let mut marker = Marker::new(now, self.token);
        marker.plain((self.run, &self.disk.votes, self.cached.len(), self.held.len()));
        marker.cell(&self.cell);
        self.disk.decisions.iter().for_each(|decision| marker.decision(decision));
        for (token, write) in &self.cached {
            marker.token(*token);
            match write {
                Write::Votes(votes) => marker.plain(votes),
                Write::Decision(decision) => marker.decision(decision),
            }
        }
        for held in &self.held {
            marker.token(held.after);
            marker.plain(held.to);
            super::letter::mark_lease(&mut marker, &held.lease);
            held.not_after.iter().for_each(|moment| marker.ahead(*moment));
        }
        self.mark = marker.finish();
        self
    }
}

impl<'a> Turn<'a> {
    pub(super) fn new(setting: &'a Setting, me: usize, now: Mono, node: Node) -> Self {
        Self { setting, me, now, node, deeds: vec![], out: vec![], adopting: BTreeMap::new() }
    }

    /// One input, and all that follows from it at once.
    pub(super) fn act<R>(&mut self, act: impl FnOnce(&mut Cell<Planted>, &mut Effects<'_>, &mut Vec<Outcome>) -> R) {
        let mut outcomes = Vec::new();
        self.raw(&mut outcomes, act);
        self.settle(outcomes);
        for output in std::mem::take(&mut self.out) {
            self.carry_out(output);
        }
    }

    /// The node looks at its clock. Candidates do not wait for each other, and nobody is known to be alive.
    pub(super) fn wake(&mut self, may_lead: bool) {
        let standing = Standing { may_lead, rivals: 0, down: None, in_view: 1 };
        self.act(|cell, fx, outcomes| cell.tick(fx, standing, outcomes));
        self.act(|cell, fx, _| cell.propose_inherited(fx));
    }

    /// What the core does with a message; compare `core/lead.rs`.
    pub(super) fn receive(&mut self, from: usize, lease: VerifiedLease) {
        let from = self.setting.nodes[from];
        match lease {
            VerifiedLease::Campaign(campaign) => self.act(|cell, fx, _| cell.campaign(fx, from, &campaign)),
            VerifiedLease::Grant(mut reply) => {
                let head = reply.head.take();
                self.adopt_all(head);
                self.act(|cell, fx, outcomes| cell.granted(fx.now, *reply, outcomes));
            }
            VerifiedLease::Denial(denial, moved) => {
                self.act(|cell, fx, _| cell.denied(fx, from, &denial));
                self.adopt_all(moved);
            }
            VerifiedLease::Abandon(abandon) => self.act(|cell, fx, _| cell.abandoned(fx.now, from, &abandon)),
            VerifiedLease::Propose(propose) => {
                let fit = self.is_fit(&propose.value);
                self.act(|cell, fx, _| cell.proposed(fx, from, propose, fit));
            }
            VerifiedLease::Accepted(acceptance) => {
                self.act(|cell, fx, outcomes| cell.accepted(fx.now, from, acceptance, outcomes));
            }
            VerifiedLease::Refused(refusal) => self.act(|cell, fx, _| cell.refused(fx, from, &refusal)),
            VerifiedLease::Decided(decision) => self.adopt_all(Some(decision)),
            VerifiedLease::Handover(abandon, head) => {
                self.adopt_all(head);
                let leads = self.me < 2;
                self.act(|cell, fx, outcomes| cell.handed_over(fx, from, &abandon, leads, outcomes));
            }
        }
    }

    /// Takes in a decision that follows what this node knows.
    pub(super) fn adopt_all(&mut self, decisions: impl IntoIterator<Item = VerifiedDecision>) {
        for decision in decisions {
            self.adopt(&decision);
            for output in std::mem::take(&mut self.out) {
                self.carry_out(output);
            }
        }
    }

    /// The oldest write is durable.
    pub(super) fn sync_one(&mut self) {
        if self.node.cached.is_empty() {
            return;
        }
        let (token, write) = self.node.cached.remove(0);
        match write {
            Write::Votes(votes) => {
                let term =
                    |votes: &BTreeMap<CellId, VoterRecord>| votes.get(&self.setting.cell)?.promise.map(|it| it.term);
                if term(&votes) < term(&self.node.disk.votes) {
                    self.deeds.push(Deed::WentBack);
                }
                let accepted = votes.values().filter_map(|record| record.accepted.clone());
                self.deeds.extend(accepted.map(|accepted| Deed::Accepted(accepted.term, accepted.value)));
                self.node.disk.votes.extend(votes);
            }
            Write::Decision(decision) => self.node.disk.decisions.push(decision),
        }
        let (due, held) = std::mem::take(&mut self.node.held).into_iter().partition(|held: &Held| held.after <= token);
        self.node.held = held;
        for held in due {
            self.post(held.to, held.lease, held.not_after);
        }
        self.act(|cell, fx, outcomes| cell.persisted(fx, token, outcomes));
    }

    fn raw<R>(
        &mut self,
        outcomes: &mut Vec<Outcome>,
        act: impl FnOnce(&mut Cell<Planted>, &mut Effects<'_>, &mut Vec<Outcome>) -> R,
    ) -> R {
        // One seed per node and moment: whoever asks twice in one moment does so under another term.
        let mut rng = ChaCha8Rng::seed_from_u64(self.now.0);
        let mut cx = Cx { now: self.now, wall: Wall(self.now.0), rng: &mut rng, out: &mut self.out };
        act(&mut self.node.cell, &mut Effects::new(&mut cx, &mut self.node.token), outcomes)
    }

    /// What the core makes of what became of the cell.
    fn settle(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            let mut further = Vec::new();
            match outcome {
                Outcome::Acquired(term) => {
                    self.deeds.push(Deed::Acquired(term));
                    self.raw(&mut further, |cell, fx, _| cell.propose_inherited(fx));
                }
                Outcome::Lost(term) => {
                    let successor = Some(self.setting.nodes[usize::from(self.me == 0)]);
                    self.raw(&mut further, |cell, fx, _| cell.voted_out(fx, term, successor));
                }
                Outcome::Decided(decision) => {
                    self.deeds.push(Deed::Certified((*decision).clone()));
                    self.adopt(&decision);
                }
            }
            self.settle(further);
        }
    }

    fn adopt(&mut self, decision: &VerifiedDecision) {
        let (Some(head), Some(voters)) = (self.node.cell.head(), self.node.cell.voters()) else { return };
        if decision.value.slot <= head.slot || decision.config_epoch != voters.epoch {
            return;
        }
        let mut outcomes = Vec::new();
        let token = self.raw(&mut outcomes, |_, fx, _| fx.persist(vec![], true));
        self.adopting.insert(token, decision.clone());
        self.raw(&mut outcomes, |cell, fx, outcomes| cell.decided(fx.now, decision, outcomes));
        self.settle(outcomes);
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Persist { token, ops, sync: _ } => {
                let write = self.adopting.remove(&token).map_or_else(|| Write::Votes(votes(ops)), Write::Decision);
                self.node.cached.push((token, write));
            }
            Output::Send { to, lane: _, message: VerifiedMessage::Lease(lease), after, not_after } => {
                let to = self.setting.index(&to);
                match after {
                    Some(after) if self.node.cached.iter().any(|(token, _)| *token <= after) => {
                        self.node.held.push(Held { to, lease: *lease, after, not_after });
                    }
                    Some(_) | None => self.post(to, *lease, not_after),
                }
            }
            Output::Sign { token, statement: Statement::Grant(grant) } => {
                let grant: Verified<Grant> = GRANTS.with_borrow_mut(|known| self.sign(known, &grant));
                self.act(|cell, fx, _| cell.signed_grant(fx, token, &grant));
            }
            Output::Sign { token, statement: Statement::Acceptance(acceptance) } => {
                let acceptance = ACCEPTANCES.with_borrow_mut(|known| self.sign(known, &acceptance));
                self.act(|cell, fx, outcomes| cell.signed_acceptance(fx, token, acceptance, outcomes));
            }
            Output::Sometimes(_) => {}
            other @ (Output::Send { .. }
            | Output::Sign { .. }
            | Output::Follow(_)
            | Output::Unfollow(_)
            | Output::Publish { .. }
            | Output::Reply { .. }
            | Output::Event(_)
            | Output::Hint(_)) => panic!("a cell does not do that: {other:?}"),
        }
    }

    fn post(&mut self, to: usize, lease: VerifiedLease, not_after: Option<Mono>) {
        // What was decided spreads otherwise: whoever is told of it may as well have asked.
        let told = matches!(lease, VerifiedLease::Decided(_));
        if !told && not_after.is_none_or(|end| self.now <= end) {
            self.deeds.push(Deed::Posted(to, lease));
        }
    }

    fn sign<T: Domain + Hash + Clone>(&self, known: &mut BTreeMap<u64, Verified<T>>, statement: &T) -> Verified<T> {
        let mut hasher = DefaultHasher::new();
        (self.me, statement).hash(&mut hasher);
        let key = self.setting.key(self.me);
        known.entry(hasher.finish()).or_insert_with(|| Verified::sign_verified(statement, key)).clone()
    }

    /// Of placements every one is fit: what they are checked against is not here.
    fn is_fit(&self, value: &Value) -> bool {
        value.content.next_voters().is_none_or(|next| {
            let voters = self.node.cell.voters();
            voters.is_some_and(|voters| Waiver::of(self.setting.planted).allows(voters, next))
        })
    }
}

fn votes(ops: Vec<StoreOp>) -> BTreeMap<CellId, VoterRecord> {
    let rows = ops.into_iter().map(|op| match op {
        StoreOp::Put { table, key, value } => (table, key, value),
        other @ (StoreOp::Keep(_) | StoreOp::Delete { .. }) => panic!("a voter writes its record only: {other:?}"),
    });
    Snapshot::from_memory(rows, vec![]).expect("its own row").votes
}

thread_local! {
    // Signatures are deterministic, and by far the most expensive part of a step.
    static GRANTS: RefCell<BTreeMap<u64, Verified<Grant>>> = const { RefCell::new(BTreeMap::new()) };
    static ACCEPTANCES: RefCell<BTreeMap<u64, Verified<Acceptance>>> = const { RefCell::new(BTreeMap::new()) };
}
