//! The loop that drives the mesh core: take the next thing that happened, read the clocks, step, carry out the outputs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::revocation::VerifiedRevocation;
use hedgerow_attest::revoked::Revoked;
use hedgerow_attest::root::TrustRoot;
use hedgerow_protocol::core::{
    Command, CoreConfig, Input, MeshCore, Output, Reply, Snapshot, SnapshotError, StorageFailure,
};
use hedgerow_protocol::fact::SignedFact;
use hedgerow_protocol::machine::{Cx, Machine as _};
use hedgerow_protocol::roster::Roster;
use hedgerow_protocol::time::Mono;
use hedgerow_protocol::view::MeshView;
use hedgerow_protocol::wire::{self, Opened};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::durability::Durability;
use super::handle::{CommandError, CoreHandle};
use super::inbox::{Arrival, CoreInbox, INBOX_BOUND};
use super::pace::Pace;
use crate::net::{GossipVerdict, Net, Verdict};
use crate::observe::{Condition, Conditions, Counters, EventLog, chain, clocks, mono, wall};
use crate::store::{CommitError, LoadError, MeshStore};

/// Where the answer to a command goes.
pub(super) type Answer = oneshot::Sender<Result<Reply, CommandError>>;

/// What the task is made of.
#[derive(Debug)]
pub struct CoreParts {
    /// Who this node is, and the times by which it works.
    pub config: CoreConfig,
    /// The root of the mesh.
    pub root: Arc<TrustRoot>,
    /// The node's statement key.
    pub statement: Arc<SecretKey>,
    /// Where promises are kept.
    pub store: MeshStore,
    /// How messages leave.
    pub net: Net,
    /// Facts from files of the node's own, in an order in which each can be checked.
    pub facts: Vec<SignedFact>,
    /// Where refusals are counted.
    pub counters: Counters,
    /// Where it is raised that the store failed.
    pub conditions: Conditions,
    /// Where it is told what happens.
    pub events: EventLog,
    /// 256 bits from the operating system.
    pub seed: [u8; 32],
}

/// Why the core cannot start. Nothing was changed.
#[derive(Debug, Error)]
pub enum CoreStartError {
    /// The store cannot be read.
    #[error("read what this node has promised")]
    Load(#[source] LoadError),
    /// What was read cannot be used.
    #[error("use what this node has promised")]
    Snapshot(#[source] SnapshotError),
    /// The node left its mesh for good; nobody believes anything that it says.
    #[error("speak for a node that left its mesh for good")]
    Left,
    /// The node was put out of its mesh for good; nobody believes anything that it says.
    #[error("speak for a node that was put out of its mesh for good")]
    Revoked(Box<VerifiedRevocation>),
}

/// Owns the core until it is stopped.
#[derive(Debug)]
pub struct CoreTask {
    pub(super) core: MeshCore,
    pub(super) root: Arc<TrustRoot>,
    pub(super) statement: Arc<SecretKey>,
    pub(super) store: MeshStore,
    pub(super) net: Net,
    pub(super) durability: Durability,
    /// Inputs that outputs led to at once, such as signatures.
    pub(super) soon: VecDeque<Input>,
    pub(super) replies: BTreeMap<u64, Answer>,
    pub(super) events: EventLog,
    counters: Counters,
    conditions: Conditions,
    facts: Vec<SignedFact>,
    pace: Pace,
    rng: ChaCha8Rng,
    arrivals: mpsc::Receiver<Arrival>,
    next_command: u64,
    view: watch::Sender<Arc<MeshView>>,
    roster: watch::Sender<Arc<Roster>>,
    shown: Option<u64>,
}

impl CoreTask {
    /// Reads what was durable and makes the core; [`Self::run`] starts it.
    pub fn new(parts: CoreParts) -> Result<(Self, CoreHandle, CoreInbox), CoreStartError> {
        let snapshot = snapshot(&parts.store, &parts.root)?;
        if snapshot.has_left(&parts.config.me) {
            return Err(CoreStartError::Left);
        }
        if let Some(revocation) = snapshot.revocation_of(&parts.config.me) {
            return Err(CoreStartError::Revoked(Box::new(revocation)));
        }
        if snapshot.expired > 0 {
            tracing::info!(facts = snapshot.expired, "stored facts have ended meanwhile");
        }
        let core = MeshCore::new(parts.config, Arc::clone(&parts.root));
        let (tx, arrivals) = mpsc::channel(INBOX_BOUND);
        let (view_tx, view) = watch::channel(Arc::new(core.view(mono())));
        let (roster_tx, roster) = watch::channel(core.roster().clone());
        let handle = CoreHandle { arrivals: tx.clone(), view, roster };
        let task = Self {
            core,
            root: parts.root,
            statement: parts.statement,
            store: parts.store,
            net: parts.net,
            durability: Durability::default(),
            soon: VecDeque::from([Input::Start(Box::new(snapshot))]),
            replies: BTreeMap::new(),
            events: parts.events,
            counters: parts.counters,
            conditions: parts.conditions,
            facts: parts.facts,
            pace: Pace::new(),
            rng: ChaCha8Rng::from_seed(parts.seed),
            arrivals,
            next_command: 0,
            view: view_tx,
            roster: roster_tx,
            shown: None,
        };
        Ok((task, handle, CoreInbox(tx)))
    }

    /// Drives the core until `stop`. Outputs that wait for the disk then are lost, as in a crash.
    pub async fn run(mut self, stop: CancellationToken) {
        self.settle().await;
        self.own_facts().await;
        loop {
            self.settle().await;
            let wake = self.core.next_deadline();
            // Unbiased: a member that sends without pause must not keep the timers from running.
            tokio::select! {
                () = stop.cancelled() => return,
                (token, outcome) = self.durability.next() => self.persisted(token, outcome).await,
                arrival = self.arrivals.recv() => match arrival {
                    Some(arrival) => self.arrived(arrival).await,
                    None => return,
                },
                () = sleep_until(wake) => self.step(Input::Tick).await,
            }
        }
    }

    /// Steps through what outputs led to at once.
    async fn settle(&mut self) {
        while let Some(input) = self.soon.pop_front() {
            self.step(input).await;
        }
    }

    /// What the node has in files of its own: its certificate, the members that it was told of, the geneses, the policy.
    async fn own_facts(&mut self) {
        for signed in std::mem::take(&mut self.facts) {
            match signed.verify(self.core.roster(), &self.root, wall().unix_seconds()) {
                Ok(fact) => {
                    self.step(Input::Fact(Box::new(fact))).await;
                    self.settle().await;
                }
                Err(refusal) => tracing::info!(%refusal, "a fact in the data folder no longer holds"),
            }
        }
    }

    async fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Message { from, bytes } => self.message(from, &bytes).await,
            Arrival::Gossip { from, bytes, verdict } => self.gossip(from, &bytes, verdict).await,
            Arrival::Met(member) => self.command(Command::AddMember(member), None).await,
            Arrival::Link { peer, event } => self.step(Input::Link { peer, event }).await,
            Arrival::Command { command, reply } => self.command(*command, Some(reply)).await,
        }
    }

    async fn command(&mut self, command: Command, reply: Option<Answer>) {
        self.next_command += 1;
        let id = self.next_command;
        if let Some(reply) = reply {
            self.replies.insert(id, reply);
        }
        self.step(Input::Command { id, command }).await;
    }

    /// A frame is decoded and its signatures are checked before the core hears of it.
    async fn message(&mut self, from: NodeId, bytes: &Bytes) {
        let message = match wire::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(%from, %error, "refused a frame");
                return self.counters.add("refusals", "malformed_message", 1);
            }
        };
        match message.verify(from, self.core.roster(), &self.root, wall().unix_seconds()) {
            Ok(Opened { message, refused }) => {
                if refused > 0 {
                    self.counters.add("refusals", "unproven_fact", u64::try_from(refused).unwrap_or(u64::MAX));
                }
                self.step(Input::Net { from, message }).await;
            }
            Err(refusal) => {
                tracing::debug!(%from, %refusal, "refused a message");
                self.counters.add("refusals", "unproven_message", 1);
            }
        }
    }

    /// Only what verifies is passed on; what may verify later is ignored, which costs the messenger nothing.
    async fn gossip(&mut self, from: NodeId, bytes: &Bytes, verdict: GossipVerdict) {
        if !self.pace.takes_from(from, Instant::now()) {
            self.counters.add("refusals", "gossip_too_fast", 1);
            return verdict.give(Verdict::Ignore);
        }
        let Ok(signed) = SignedFact::from_bytes(bytes) else {
            self.counters.add("refusals", "malformed_fact", 1);
            return verdict.give(Verdict::Reject);
        };
        match signed.verify(self.core.roster(), &self.root, wall().unix_seconds()) {
            Ok(fact) => {
                // What is known takes nothing of anybody's allowance: others may say it again and again.
                let (known, said) = (self.core.known_version(fact.key()), Some(fact.version()));
                if known > said {
                    return verdict.give(Verdict::Ignore);
                }
                if known < said && !self.pace.takes(&fact, Instant::now()) {
                    self.counters.add("refusals", "origin_too_fast", 1);
                    return verdict.give(Verdict::Ignore);
                }
                verdict.give(Verdict::Accept);
                self.step(Input::Fact(Box::new(fact))).await;
            }
            Err(refusal) if refusal.may_heal() || refusal.is_of_its_time() => verdict.give(Verdict::Ignore),
            Err(refusal) => {
                tracing::debug!(%refusal, "refused a gossiped fact");
                self.counters.add("refusals", "unproven_fact", 1);
                verdict.give(Verdict::Reject);
            }
        }
    }

    async fn persisted(&mut self, token: hedgerow_protocol::id::Token, outcome: Result<(), CommitError>) {
        match outcome {
            Ok(()) => {
                for output in self.durability.succeeded(token) {
                    self.release(output).await;
                }
                self.step(Input::Persisted(token)).await;
            }
            Err(error) => {
                let error_chain = chain(&error);
                tracing::error!(error = error_chain, "a promise may not be durable: this node promises nothing more");
                self.conditions.raise(Condition::MeshStorage);
                for output in self.durability.failed() {
                    self.drop_output(output);
                }
                self.step(Input::PersistFailed { token, kind: storage_failure(&error) }).await;
            }
        }
    }

    /// One step: the clocks are read after the input was taken from its queue.
    async fn step(&mut self, input: Input) {
        let (now, wall) = clocks();
        let mut out: Vec<Output> = Vec::new();
        self.core.step(&mut Cx { now, wall, rng: &mut self.rng, out: &mut out }, input);
        for output in out {
            self.carry_out(output).await;
        }
        let version = self.core.view_version();
        if self.shown != Some(version) {
            self.shown = Some(version);
            self.view.send_replace(Arc::new(self.core.view(now)));
            self.roster.send_replace(self.core.roster().clone());
        }
    }
}

/// Whether a node may speak for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It may.
    Stays,
    /// It left its mesh for good.
    Left,
    /// It was put out of it.
    Revoked(Box<VerifiedRevocation>),
}

/// What became of the node of that store.
pub fn fate(store: &MeshStore, root: &TrustRoot, node: &NodeId) -> Result<Fate, CoreStartError> {
    let snapshot = snapshot(store, root)?;
    Ok(match snapshot.revocation_of(node) {
        Some(revocation) => Fate::Revoked(Box::new(revocation)),
        None if snapshot.has_left(node) => Fate::Left,
        None => Fate::Stays,
    })
}

/// Who is out for good, by what that store knows.
pub fn revoked(store: &MeshStore, root: &TrustRoot) -> Result<Revoked, CoreStartError> {
    let rows = super::outputs::core_rows(store.rows().map_err(CoreStartError::Load)?);
    Snapshot::revoked_in(rows, root).map_err(CoreStartError::Snapshot)
}

fn snapshot(store: &MeshStore, root: &TrustRoot) -> Result<Snapshot, CoreStartError> {
    let rows = super::outputs::core_rows(store.rows().map_err(CoreStartError::Load)?);
    Snapshot::from_rows(rows, root, wall().unix_seconds()).map_err(CoreStartError::Snapshot)
}

/// Sleeps until a moment of the boot clock; for ever where there is none.
async fn sleep_until(deadline: Option<Mono>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(mono().until(deadline)).await,
        None => std::future::pending().await,
    }
}

fn storage_failure(error: &CommitError) -> StorageFailure {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            return if io.kind() == std::io::ErrorKind::StorageFull {
                StorageFailure::Full
            } else {
                StorageFailure::Io
            };
        }
        cause = current.source();
    }
    StorageFailure::Io
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
