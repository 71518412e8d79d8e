//! The replica itself: its state, and which part takes which input.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::{
    id::Token,
    machine::{Cx, Machine},
    placement::ReplicaSet,
    session_id::SessionId,
    time::Mono,
};

use crate::{
    engine::{Author, AutomergeDoc, DocEngine},
    frame::{Origin, VerifiedFrame},
    replica::{
        Event, Input, Output, ReplicaConfig, Snapshot, Standing, Write,
        commit::Commit,
        log::Log,
        peers::{Peer, Peers},
        requests::Waiting,
    },
    session_doc::SessionDoc,
};

/// The sessions of one placement group on one node; see the module for how it works and [`Input`] for how it is driven.
#[derive(Debug)]
pub struct Replica<E = AutomergeDoc> {
    pub(crate) config: ReplicaConfig,
    pub(crate) phase: Phase,
    pub(crate) placement: Option<ReplicaSet>,
    /// What was said last of the hand-over.
    pub(crate) standing: Option<Standing>,
    /// Durable states only.
    pub(crate) docs: BTreeMap<SessionId, SessionDoc<E>>,
    pub(crate) log: Log,
    pub(crate) peers: Peers,
    pub(crate) inbox: VecDeque<Work>,
    pub(crate) commit: Option<Commit<E>>,
    pub(crate) waiting: BTreeMap<u64, Waiting>,
    pub(crate) parked: VecDeque<Parked>,
    pub(crate) quarantined: BTreeSet<Origin>,
    pub(crate) last_token: Token,
}

/// Whether the machine may promise anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the log is read.
    Starting,
    Serving,
    /// Everything was handed over, and the driver was told to drop it.
    Dropped,
    /// After a failed persist or an unreadable log.
    Failed,
}

/// What waits for the next commit.
#[derive(Debug)]
pub(crate) enum Work {
    Write(Write),
    Frame { from: NodeId, frame: VerifiedFrame },
}

/// A frame that depends on changes which are not here.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) from: NodeId,
    pub(crate) frame: VerifiedFrame,
    pub(crate) session: SessionId,
    pub(crate) missing: Vec<crate::heads::ChangeHash>,
}

/// What the parts of this machine work with.
pub(crate) type Context<'a> = Cx<'a, Output>;

impl<E: DocEngine> Replica<E> {
    /// A machine that waits for [`Input::Start`].
    #[must_use]
    pub fn new(config: ReplicaConfig) -> Self {
        Self {
            config,
            phase: Phase::Starting,
            placement: None,
            standing: None,
            docs: BTreeMap::new(),
            log: Log::default(),
            peers: BTreeMap::new(),
            inbox: VecDeque::new(),
            commit: None,
            waiting: BTreeMap::new(),
            parked: VecDeque::new(),
            quarantined: BTreeSet::new(),
            last_token: Token(0),
        }
    }

    /// Every session with its present tag, in the order of their ids.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, crate::etag::Etag)> {
        self.docs.iter().map(|(session, doc)| (session, doc.etag()))
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin { node: self.config.me, boot: self.config.boot }
    }

    pub(crate) fn next_token(&mut self) -> Token {
        self.last_token = self.last_token.next();
        self.last_token
    }

    /// Whether the node is another replica by a placement that counts.
    pub(crate) fn is_peer(&self, node: &NodeId) -> bool {
        *node != self.config.me && self.placement.as_ref().is_some_and(|placement| placement.counts(node))
    }

    /// Whether this node is a replica by a placement that counts. If not it takes nothing in, and hands over what it has.
    pub(crate) fn is_replica(&self) -> bool {
        self.placement.as_ref().is_some_and(|placement| placement.counts(&self.config.me))
    }

    /// The other replicas to which there is a link.
    pub(crate) fn peers_up(&self) -> Vec<NodeId> {
        let up = |(node, peer): (&NodeId, &Peer)| (peer.up && self.is_peer(node)).then_some(*node);
        self.peers.iter().filter_map(up).collect()
    }

    fn start(&mut self, cx: &mut Context<'_>, snapshot: Snapshot) {
        if self.phase != Phase::Starting {
            return;
        }
        self.phase = match self.load(snapshot) {
            Ok(()) => {
                let (sessions, frames) = (self.docs.len(), self.log.frames().count());
                cx.out.push(Output::Event(Event::Started { sessions, frames }));
                Phase::Serving
            }
            Err(index) => {
                cx.out.push(Output::Event(Event::LogUnreadable { index }));
                Phase::Failed
            }
        };
        self.settle_peers(cx);
    }

    /// Applies the log again. The error is the place of the frame that does not apply.
    fn load(&mut self, snapshot: Snapshot) -> Result<(), usize> {
        for (index, frame) in snapshot.into_frames().into_iter().enumerate() {
            let head = frame.claimed_head().map_err(|_unreadable| index)?;
            let author = Author { statement: frame.claimed_signer(), boot: head.origin.boot };
            for record in frame.records() {
                let doc = self.docs.remove(&record.session).unwrap_or_else(SessionDoc::unwritten);
                let admitted = doc.admit(&author, &record.session, record.epoch, &record.change);
                self.docs.insert(record.session.clone(), admitted.map_err(|_refused| index)?);
            }
            self.log.append(head, frame);
        }
        self.log.settle();
        Ok(())
    }

    fn place(&mut self, cx: &mut Context<'_>, placement: ReplicaSet) {
        self.placement = Some(placement);
        for node in self.peers_up() {
            self.greet(cx, node);
        }
        self.settle_writes(cx);
    }

    fn link(&mut self, cx: &mut Context<'_>, peer: NodeId, up: bool) {
        self.peers.insert(peer, Peer { up, ..Peer::default() });
        if up && self.is_peer(&peer) {
            self.greet(cx, peer);
        }
    }
}

impl<E: DocEngine> Machine for Replica<E> {
    type Input = Input;
    type Output = Output;

    fn step(&mut self, cx: &mut Context<'_>, input: Input) {
        match input {
            Input::Start(snapshot) => self.start(cx, *snapshot),
            Input::Placement(placement) => self.place(cx, placement),
            Input::Write(write) => self.take_write(cx, write),
            Input::Read(read) => self.take_read(cx, read),
            Input::Net { from, message } => self.take_message(cx, from, message),
            Input::FrameVerified { from, frame } => self.take_frame(from, frame),
            Input::Signed { token, head } => self.signed(cx, token, head),
            Input::Persisted(token) => self.persisted(cx, token),
            Input::PersistFailed(token) => self.persist_failed(cx, token),
            Input::Link { peer, up } => self.link(cx, peer, up),
            Input::Tick => {}
        }
        self.begin_commit(cx);
        self.expire(cx);
        self.retry_exchange(cx);
        self.hand_over(cx);
    }

    fn next_deadline(&self) -> Option<Mono> {
        let waiting = self.waiting.values().map(Waiting::deadline);
        let retries = self.peers.values().flat_map(|peer| [peer.pull.due(), peer.nudge.due()]).flatten();
        waiting.chain(retries).min()
    }

    fn digest(&self, hasher: &mut blake3::Hasher) {
        for (session, etag) in self.sessions() {
            hasher.update(session.to_string().as_bytes()).update(etag.to_string().as_bytes());
        }
        for (origin, lsn) in self.log.durable_reach() {
            hasher.update(origin.node.as_bytes()).update(&origin.boot.0).update(&lsn.0.to_le_bytes());
        }
        let counts = [self.inbox.len(), self.waiting.len(), self.parked.len(), self.quarantined.len()];
        for count in counts {
            hasher.update(&u64::try_from(count).expect("counts fit 64 bits").to_le_bytes());
        }
        hasher.update(&self.last_token.0.to_le_bytes()).update(&[u8::from(self.commit.is_some()), self.phase.code()]);
        if let Some(due) = self.next_deadline() {
            hasher.update(&due.0.to_le_bytes());
        }
    }
}

impl Phase {
    fn code(self) -> u8 {
        match self {
            Self::Starting => 0,
            Self::Serving => 1,
            Self::Failed => 2,
            Self::Dropped => 3,
        }
    }
}
