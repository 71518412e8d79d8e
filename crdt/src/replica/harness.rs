//! A group of replicas under a virtual clock, with links that lose and reorder, and disks that forget what was not synced.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use hedgerow_attest::{id::NodeId, signed::Verified};
use hedgerow_protocol::{
    id::{BootId, PlacementEpoch, Token},
    machine::{Cx, Machine},
    placement::ReplicaSet,
    session_id::SessionId,
    time::{Mono, Wall},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    engine::{AutomergeDoc, DocEngine},
    etag::{CausalToken, Etag},
    heads::ChangeHash,
    limits::Limits,
    message::{SyncBody, SyncMessage},
    ops::SessionOp,
    prescan::hash_of,
    replica::{Event, Input, Output, Read, ReadResult, Replica, ReplicaConfig, Snapshot, Standing, Write, WriteResult},
    testing::{group, node, secret},
};

/// One node: its machine while it runs, and its disk.
pub(crate) struct Host {
    id: u8,
    boots: u8,
    pub(crate) machine: Option<Replica>,
    /// Records in the log, all synced.
    pub(crate) disk: Vec<Vec<u8>>,
    /// What a persist has handed over and not synced.
    pub(crate) unsynced: Option<(Token, Vec<Vec<u8>>)>,
    /// Hashes of the changes on the disk.
    durable: BTreeSet<ChangeHash>,
    /// What it knows of where the group is.
    placement: ReplicaSet,
    pub(crate) standing: Option<Standing>,
    rng: ChaCha8Rng,
}

/// A message on its way.
#[derive(Clone)]
pub(crate) struct Flight {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct Mesh {
    pub(crate) now: Mono,
    pub(crate) hosts: Vec<Host>,
    pub(crate) flights: VecDeque<Flight>,
    cut: BTreeSet<(u8, u8)>,
    limits: Limits,
    requests: u64,
    pub(crate) writes: BTreeMap<u64, WriteResult>,
    pub(crate) reads: BTreeMap<u64, ReadResult>,
    pub(crate) events: Vec<(u8, Event)>,
    /// Frames whose signature was checked.
    pub(crate) verifications: usize,
}

impl Mesh {
    /// Nodes 1 to `nodes`, all running and linked, with nothing on their disks.
    pub(crate) fn new(nodes: u8, write_quorum: u8) -> Self {
        Self::with_limits(nodes, write_quorum, Limits::standard())
    }

    pub(crate) fn with_limits(nodes: u8, write_quorum: u8, limits: Limits) -> Self {
        let members = (1..=nodes).map(node).collect();
        let placement = ReplicaSet {
            group: group(),
            epoch: PlacementEpoch(1),
            nodes: members,
            formers: vec![],
            is_settled: true,
            write_quorum,
            ttl: None,
        };
        let host = |id| Host {
            id,
            boots: 0,
            machine: None,
            disk: Vec::new(),
            unsynced: None,
            durable: AutomergeDoc::skeleton().heads().into_iter().collect(),
            placement: placement.clone(),
            standing: None,
            rng: ChaCha8Rng::seed_from_u64(u64::from(id)),
        };
        let mut mesh = Self {
            now: Mono(1),
            hosts: (1..=nodes).map(host).collect(),
            flights: VecDeque::new(),
            cut: BTreeSet::new(),
            limits,
            requests: 0,
            writes: BTreeMap::new(),
            reads: BTreeMap::new(),
            events: Vec::new(),
            verifications: 0,
        };
        (1..=nodes).for_each(|id| mesh.restart(id));
        mesh
    }

    /// Begins a write that waits for its quorum for a second.
    pub(crate) fn write(&mut self, at: u8, session: &SessionId, ops: &[SessionOp], if_match: Option<Etag>) -> u64 {
        self.requests += 1;
        let deadline = self.now + Duration::from_secs(1);
        let (request, session, ops) = (self.requests, session.clone(), ops.to_vec());
        self.input(at, Input::Write(Write { request, session, ops, if_match, quorum: None, deadline }));
        request
    }

    /// Begins a read that waits for its token for a second.
    pub(crate) fn read(&mut self, at: u8, session: &SessionId, min: Option<CausalToken>) -> u64 {
        self.requests += 1;
        let deadline = self.now + Duration::from_secs(1);
        self.input(at, Input::Read(Read { request: self.requests, session: session.clone(), min, deadline }));
        self.requests
    }

    pub(crate) fn place(&mut self, nodes: &[u8], write_quorum: u8) {
        for at in 1..=self.count() {
            let nodes = nodes.iter().copied().map(node).collect();
            let told = ReplicaSet { nodes, write_quorum, ..self.host(at).placement.clone() };
            self.tell(at, told);
        }
    }

    /// One node learns where the group is.
    pub(crate) fn tell(&mut self, at: u8, placement: ReplicaSet) {
        self.host(at).placement = placement.clone();
        self.input(at, Input::Placement(placement));
    }

    /// What one node knows of where the group is.
    pub(crate) fn told(&self, at: u8) -> &ReplicaSet {
        &self.hosts[usize::from(at) - 1].placement
    }

    pub(crate) fn set_link(&mut self, one: u8, two: u8, up: bool) {
        let pair = (one.min(two), one.max(two));
        let changed = if up { self.cut.remove(&pair) } else { self.cut.insert(pair) };
        if one != two && changed {
            self.flights.retain(|flight| (flight.from.min(flight.to), flight.from.max(flight.to)) != pair);
            self.link(one, two, up);
            self.link(two, one, up);
        }
    }

    /// Delivers one message on its way, not necessarily the oldest.
    pub(crate) fn deliver(&mut self, place: usize) {
        if let Some(Flight { from, to, bytes }) = self.flights.remove(place) {
            let message = SyncMessage::decode(&bytes).expect("replicas send what reads back");
            self.input(to, Input::Net { from: node(from), message });
        }
    }

    /// The disk has synced what it was given.
    pub(crate) fn sync(&mut self, at: u8) {
        if let Some((token, records)) = self.host(at).unsynced.take() {
            self.host(at).store(records);
            self.input(at, Input::Persisted(token));
        }
    }

    /// The process ends; what was not synced survives only by luck.
    pub(crate) fn crash(&mut self, at: u8, lucky: bool) {
        let host = self.host(at);
        host.machine = None;
        let unsynced = host.unsynced.take();
        if let Some((_, records)) = unsynced.filter(|_| lucky) {
            host.store(records);
        }
        self.flights.retain(|flight| flight.from != at && flight.to != at);
        for other in (1..=self.count()).filter(|other| *other != at) {
            self.link(other, at, false);
        }
    }

    /// A new run of the process with what is on the disk.
    pub(crate) fn restart(&mut self, at: u8) {
        let limits = self.limits;
        let host = self.host(at);
        if host.machine.is_some() {
            return;
        }
        host.boots += 1;
        let boot = BootId([host.boots; 16]);
        let config = ReplicaConfig { me: node(at), boot, statement: secret(at).public(), group: group(), limits };
        host.machine = Some(Replica::new(config));
        let mut groups = Snapshot::by_group(host.disk.iter().map(Vec::as_slice)).unwrap();
        let snapshot = groups.remove(&group()).unwrap_or_else(Snapshot::empty);
        self.input(at, Input::Start(Box::new(snapshot)));
        let placement = self.host(at).placement.clone();
        self.input(at, Input::Placement(placement));
        for other in 1..=self.count() {
            if other != at && self.hosts[usize::from(other) - 1].machine.is_some() && self.is_linked(at, other) {
                self.link(at, other, true);
                self.link(other, at, true);
            }
        }
    }

    /// The disk is gone with everything on it.
    pub(crate) fn lose_disk(&mut self, at: u8) {
        self.crash(at, false);
        self.host(at).clear();
    }

    /// Lets time pass; machines get a tick when their deadlines come.
    pub(crate) fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
        for at in 1..=self.count() {
            let is_due = |machine: &Replica| machine.next_deadline().is_some_and(|due| due <= self.now);
            if self.hosts[usize::from(at) - 1].machine.as_ref().is_some_and(is_due) {
                self.input(at, Input::Tick);
            }
        }
    }

    /// Delivers and syncs until nothing is under way; no time passes.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            let unsynced: Vec<u8> = (1..=self.count()).filter(|at| self.host(*at).unsynced.is_some()).collect();
            if self.flights.is_empty() && unsynced.is_empty() {
                return;
            }
            self.deliver(0);
            unsynced.into_iter().for_each(|at| self.sync(at));
        }
        panic!("the replicas never come to rest");
    }

    /// Runs through several intervals of every timer.
    pub(crate) fn settle(&mut self) {
        for _ in 0..80 {
            self.run();
            self.advance(Duration::from_millis(250));
        }
        self.run();
    }

    /// Restarts and links everything and lets it settle.
    pub(crate) fn heal(&mut self) {
        (1..=self.count()).for_each(|at| self.restart(at));
        for (one, two) in self.cut.clone() {
            self.set_link(one, two, true);
        }
        self.settle();
    }

    pub(crate) fn count(&self) -> u8 {
        u8::try_from(self.hosts.len()).unwrap()
    }

    pub(crate) fn host(&mut self, at: u8) -> &mut Host {
        &mut self.hosts[usize::from(at) - 1]
    }

    pub(crate) fn input(&mut self, at: u8, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.now;
            let Host { machine: Some(machine), rng, .. } = self.host(at) else { return };
            let mut out = Vec::new();
            machine.step(&mut Cx { now, wall: Wall(now.0), rng, out: &mut out }, input);
            inputs.extend(out.into_iter().filter_map(|output| self.carry_out(at, output)));
        }
    }

    fn carry_out(&mut self, at: u8, output: Output) -> Option<Input> {
        self.check(at, &output);
        match output {
            Output::Send { to, message } => {
                let to = to.as_bytes()[0];
                if self.is_linked(at, to) && self.hosts[usize::from(to) - 1].machine.is_some() {
                    self.flights.push_back(Flight { from: at, to, bytes: message.encode() });
                }
            }
            Output::Persist { token, records } => {
                let records = records.iter().map(crate::frame::SealedFrame::to_bytes).collect();
                let earlier = self.host(at).unsynced.replace((token, records));
                assert!(earlier.is_none(), "one persist at a time");
            }
            Output::Sign { token, head } => {
                return Some(Input::Signed { token, head: Verified::sign_verified(&head, &secret(at)) });
            }
            Output::VerifyFrame { from, frame } => {
                self.verifications += 1;
                let signer = frame.claimed_head().unwrap().origin.node.as_bytes()[0];
                let frame = frame.verify(&secret(signer).public()).ok()?;
                return Some(Input::FrameVerified { from, frame });
            }
            Output::WriteReply { request, result } => {
                let earlier = self.writes.insert(request, result);
                assert_eq!(earlier, None, "one answer for a write");
            }
            Output::ReadReply { request, result } => {
                let earlier = self.reads.insert(request, result);
                assert_eq!(earlier, None, "one answer for a read");
            }
            Output::Standing(standing) => self.host(at).standing = Some(standing),
            Output::Drop => self.host(at).clear(),
            Output::Event(event) => self.events.push((at, event)),
        }
        None
    }

    /// Whatever leaves a node is on its disk.
    fn check(&self, at: u8, output: &Output) {
        let host = &self.hosts[usize::from(at) - 1];
        let shown =
            |token: &CausalToken| assert!(token.heads.iter().all(|head| host.durable.contains(head)), "{output:?}");
        match output {
            Output::Send { message: SyncMessage { body: SyncBody::Frames(frames), .. }, .. } => {
                assert!(
                    frames.iter().all(|frame| host.disk.contains(&frame.to_bytes())),
                    "node {at} sends what it may lose"
                );
            }
            Output::WriteReply { result: WriteResult::Done(written) | WriteResult::Pending(written), .. } => {
                shown(&written.token)
            }
            Output::WriteReply { result: WriteResult::PreconditionFailed { token, .. }, .. } => shown(token),
            Output::ReadReply { result: ReadResult::Found(found), .. } => shown(&found.token),
            Output::Drop => {
                let ReplicaSet { nodes, write_quorum, .. } = &host.placement;
                let has =
                    |node: &&NodeId| host.durable.is_subset(&self.hosts[usize::from(node.as_bytes()[0]) - 1].durable);
                let by = nodes.iter().filter(has).count();
                assert!(by >= usize::from(*write_quorum), "node {at} drops what {by} nodes have");
            }
            Output::Send { .. } | Output::Persist { .. } | Output::Sign { .. } | Output::VerifyFrame { .. } => {}
            Output::WriteReply { .. } | Output::ReadReply { .. } | Output::Standing(_) | Output::Event(_) => {}
        }
    }

    fn is_linked(&self, one: u8, two: u8) -> bool {
        !self.cut.contains(&(one.min(two), one.max(two)))
    }

    fn link(&mut self, at: u8, peer: u8, up: bool) {
        self.input(at, Input::Link { peer: NodeId::from_bytes([peer; 32]), up });
    }
}

impl Host {
    fn clear(&mut self) {
        self.disk.clear();
        self.durable = AutomergeDoc::skeleton().heads().into_iter().collect();
    }

    fn store(&mut self, records: Vec<Vec<u8>>) {
        for bytes in &records {
            let frame = crate::frame::SealedFrame::from_bytes(bytes).unwrap();
            self.durable.extend(frame.records().iter().map(|record| hash_of(&record.change)));
        }
        self.disk.extend(records);
    }

    /// The tag of every session, and its body.
    pub(crate) fn state(&self) -> BTreeMap<SessionId, (Etag, crate::engine::Body)> {
        let machine = self.machine.as_ref().unwrap_or_else(|| panic!("node {} runs", self.id));
        machine.docs.iter().map(|(session, doc)| (session.clone(), (doc.etag(), doc.body()))).collect()
    }
}
