//! One simulated node: a core, its clocks, its disk and its links.

use super::clock::NodeClock;
use super::disk::Disk;
use super::geography::Spot;
use super::link::Links;
use super::signer::NodeSigner;
use super::time::Micros;
use hedgerow_attest::member::Member;
use hedgerow_protocol::core::{MeshCore, Output};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::fact::Scope;
use hedgerow_protocol::id::{Term, Token};
use hedgerow_protocol::time::Mono;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};

/// Publications that a node remembers having seen, as gossipsub does for two minutes.
const SEEN_MAX: usize = 128;

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct SimNode<D> {
    pub(crate) member: Member,
    pub(crate) region: usize,
    pub(crate) signer: NodeSigner,
    pub(crate) core: MeshCore<D>,
    pub(crate) clock: NodeClock,
    pub(crate) disk: Disk,
    pub(crate) spot: Spot,
    pub(crate) rng: ChaCha8Rng,
    /// Whether its process runs.
    pub(crate) up: bool,
    /// Counts its processes; what an earlier one foresaw is void.
    pub(crate) run: u32,
    pub(crate) process: Process,
    pub(crate) sent: Sent,
}

/// What is in the memory of a node's process beside its core, and gone with it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) links: Links,
    /// It stands still until then.
    pub(crate) asleep_until: Micros,
    /// When its next tick is foreseen; past when none is.
    pub(crate) tick_at: Micros,
    /// When its last write completes.
    pub(crate) sync_at: Micros,
    /// The last write that completed.
    pub(crate) done: Token,
    /// What waits for a write.
    pub(crate) waiting: BTreeMap<Token, Vec<Output>>,
    /// The last write that was asked for.
    pub(crate) written: Token,
    seen: VecDeque<u32>,
    /// The lease that it believed to hold after its last step.
    pub(crate) lease: Option<(Term, Mono)>,
    /// Gossip topics that it takes beside the one of the whole mesh.
    topics: Vec<Scope>,
}

impl Process {
    /// A process of the node of that number, which did nothing yet.
    pub(crate) fn new(number: u32) -> Self {
        Self {
            links: Links::new(number),
            asleep_until: 0,
            tick_at: 0,
            sync_at: 0,
            done: Token::default(),
            waiting: BTreeMap::new(),
            written: Token::default(),
            seen: VecDeque::new(),
            lease: None,
            topics: Vec::new(),
        }
    }
}

/// What a node sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sent {
    /// UDP payloads.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Of these, bytes of datagrams of the probe lane.
    pub(crate) probe_bytes: u64,
    /// Of these, bytes of gossip.
    pub(crate) gossip_bytes: u64,
}

impl<D> SimNode<D> {
    /// Notes a publication; false when it was seen before.
    pub(crate) fn see(&mut self, publication: u32) -> bool {
        if self.process.seen.contains(&publication) {
            return false;
        }
        if self.process.seen.len() >= SEEN_MAX {
            self.process.seen.pop_front();
        }
        self.process.seen.push_back(publication);
        true
    }

    /// From here on it takes that topic.
    pub(crate) fn follow(&mut self, scope: Scope) {
        if !self.process.topics.contains(&scope) {
            // Most nodes take that of one cell.
            self.process.topics.reserve_exact(1);
            self.process.topics.push(scope);
        }
    }

    /// It takes it no longer.
    pub(crate) fn unfollow(&mut self, scope: Scope) {
        self.process.topics.retain(|topic| *topic != scope);
    }

    /// Whether gossip on that topic reaches it.
    pub(crate) fn follows(&self, scope: Scope) -> bool {
        matches!(scope, Scope::Mesh | Scope::Directory) || self.process.topics.contains(&scope)
    }

    /// Whether that write is complete.
    pub(crate) fn is_done(&self, token: Token) -> bool {
        token <= self.process.done || token > self.process.written
    }

    /// Whether its process runs and does not stand still.
    pub(crate) fn is_awake(&self, now: Micros) -> bool {
        self.up && self.process.asleep_until <= now
    }

    /// Whether it runs and has not left.
    pub(crate) fn is_there(&self) -> bool
    where
        D: Defects,
    {
        self.up && !self.core.is_gone()
    }

    /// What its monotonic clock shows.
    pub(crate) fn mono(&self, now: Micros) -> Mono {
        self.clock.mono(now)
    }
}
