//! Clients' requests: taken in, waiting for what they wait for, answered.

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::{session_id::SessionId, time::Mono};

use crate::{
    engine::DocEngine,
    etag::{CausalToken, SessionMark},
    frame::Lsn,
    heads::ChangeHash,
    limits::WANTED_CHANGES_MAX,
    message::SyncBody,
    ops::check_ops,
    replica::{
        Found, Output, Read, ReadResult, Refusal, Replica, Write, WriteResult, Written,
        machine::{Context, Phase, Work},
        peers::exceeds,
    },
    session_doc::SessionDoc,
};

/// A request that was begun and is not answered.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// Durable here, not yet on enough nodes.
    Write { lsn: Lsn, written: Written, deadline: Mono },
    /// Changes of the token are missing here.
    Read { session: SessionId, min: CausalToken, deadline: Mono },
}

impl Waiting {
    pub(crate) fn deadline(&self) -> Mono {
        match self {
            Self::Write { deadline, .. } | Self::Read { deadline, .. } => *deadline,
        }
    }
}

impl<E: DocEngine> Replica<E> {
    /// Checks what can be checked without the document and queues the write for the next commit.
    pub(crate) fn take_write(&mut self, cx: &mut Context<'_>, write: Write) {
        let refusal = self.refusal(&write.session).or_else(|| {
            if write.quorum == Some(0) {
                return Some(Refusal::QuorumZero);
            }
            check_ops(&write.ops, &self.config.limits).err().map(Refusal::Ops)
        });
        match refusal {
            Some(refusal) => refuse_write(cx.out, write.request, refusal),
            None => self.inbox.push_back(Work::Write(write)),
        }
    }

    /// Answers from the durable state, at once when it contains what the token asks for.
    pub(crate) fn take_read(&mut self, cx: &mut Context<'_>, read: Read) {
        let Read { request, session, min, deadline } = read;
        if let Some(refusal) = self.refusal(&session) {
            return cx.out.push(Output::ReadReply { request, result: ReadResult::Refused(refusal) });
        }
        let Some(min) = min else {
            return cx.out.push(Output::ReadReply { request, result: self.found(&session) });
        };
        if min.session != SessionMark::of(&session.to_string()) {
            return cx.out.push(Output::ReadReply { request, result: ReadResult::Refused(Refusal::OtherSession) });
        }
        let mut missing = self.missing(&session, &min);
        if missing.is_empty() {
            return cx.out.push(Output::ReadReply { request, result: self.found(&session) });
        }
        missing.truncate(WANTED_CHANGES_MAX);
        for to in self.peers_up() {
            let body = SyncBody::Want { session: session.clone(), changes: missing.clone() };
            self.send(cx, to, body);
        }
        self.waiting.insert(request, Waiting::Read { session, min, deadline });
    }

    /// Answers the writes that have reached their quorum.
    pub(crate) fn settle_writes(&mut self, cx: &mut Context<'_>) {
        let mut done = Vec::new();
        for (request, waiting) in &self.waiting {
            if let Waiting::Write { lsn, written, .. } = waiting {
                let acked = self.acked(*lsn);
                if acked >= written.wanted {
                    done.push((*request, WriteResult::Done(Written { acked, ..written.clone() })));
                }
            }
        }
        for (request, result) in done {
            self.waiting.remove(&request);
            cx.out.push(Output::WriteReply { request, result });
        }
    }

    /// Answers the reads whose changes have arrived.
    pub(crate) fn settle_reads(&mut self, cx: &mut Context<'_>) {
        let mut done = Vec::new();
        for (request, waiting) in &self.waiting {
            if let Waiting::Read { session, min, .. } = waiting
                && self.missing(session, min).is_empty()
            {
                done.push((*request, self.found(session)));
            }
        }
        for (request, result) in done {
            self.waiting.remove(&request);
            cx.out.push(Output::ReadReply { request, result });
        }
    }

    /// Answers what has passed its deadline: writes as pending, reads as behind.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>) {
        let late = |(request, waiting): (&u64, &Waiting)| (waiting.deadline() <= cx.now).then_some(*request);
        let late: Vec<u64> = self.waiting.iter().filter_map(late).collect();
        for request in late {
            let waiting = self.waiting.remove(&request).expect("the request was just found");
            cx.out.push(self.late_answer(request, waiting));
        }
    }

    /// Answers every write that waits for other nodes: it is durable here, and nothing more will be counted.
    pub(crate) fn give_up_waiting(&mut self, cx: &mut Context<'_>) {
        for (request, waiting) in std::mem::take(&mut self.waiting) {
            cx.out.push(self.late_answer(request, waiting));
        }
    }

    /// Nodes of the placement that hold this boot's records up to `lsn` durably, this one included; while former placements count, of the set
    /// in which they are fewest.
    fn acked(&self, lsn: Lsn) -> u8 {
        let origin = self.origin();
        let holds = |node: &NodeId| {
            *node == self.config.me || self.peers.get(node).is_some_and(|peer| peer.holds(&origin, lsn))
        };
        self.placement.as_ref().map_or(0, |placement| placement.reached(holds))
    }

    fn late_answer(&self, request: u64, waiting: Waiting) -> Output {
        match waiting {
            Waiting::Write { lsn, written, .. } => {
                let written = Written { acked: self.acked(lsn), ..written };
                Output::WriteReply { request, result: WriteResult::Pending(written) }
            }
            Waiting::Read { session, min, .. } => {
                let missing = self.missing(&session, &min).len();
                Output::ReadReply { request, result: ReadResult::Behind { missing } }
            }
        }
    }

    /// Why this machine does not answer for the session at present.
    fn refusal(&self, session: &SessionId) -> Option<Refusal> {
        let is_replica = self.phase != Phase::Dropped && self.is_replica();
        match (self.phase, &self.placement) {
            (Phase::Failed, _) => return Some(Refusal::StorageFailed),
            (Phase::Starting, _) | (_, None) => return Some(Refusal::Starting),
            (Phase::Serving | Phase::Dropped, Some(placement)) if !is_replica => {
                return Some(Refusal::NotReplica { nodes: placement.nodes.clone() });
            }
            (Phase::Serving | Phase::Dropped, Some(_)) => {}
        }
        if session.class != self.config.group.class {
            return Some(Refusal::OtherGroup);
        }
        let waiting = self.waiting.len() + self.inbox.len();
        (waiting >= self.config.limits.requests).then_some(Refusal::Busy { waiting })
    }

    fn found(&self, session: &SessionId) -> ReadResult {
        let stale = self.is_stale();
        match self.docs.get(session) {
            Some(doc) => {
                ReadResult::Found(Found { body: doc.body(), etag: doc.etag(), token: doc.token(session), stale })
            }
            None => ReadResult::NotFound { stale },
        }
    }

    fn missing(&self, session: &SessionId, min: &CausalToken) -> Vec<ChangeHash> {
        match self.docs.get(session) {
            Some(doc) if doc.epoch() == min.epoch => doc.lacking(min.heads.iter()),
            Some(_) => min.heads.iter().copied().collect(),
            None => SessionDoc::<E>::unwritten().lacking(min.heads.iter()),
        }
    }

    /// A write that was acknowledged by W of N replicas is held by one of any N − W + 1; a replica in contact with fewer may miss one. While a
    /// placement follows another that holds for the replicas of each.
    fn is_stale(&self) -> bool {
        let Some(placement) = &self.placement else {
            return true;
        };
        let up = self.peers_up();
        let ahead = |node| {
            exceeds(&self.peers[node].held, |origin| self.log.durable_reach().get(origin).copied().unwrap_or_default())
        };
        !placement.covers(|node| *node == self.config.me || up.contains(node)) || up.iter().any(ahead)
    }
}

pub(crate) fn refuse_write(out: &mut Vec<Output>, request: u64, refusal: Refusal) {
    out.push(Output::WriteReply { request, result: WriteResult::Refused(refusal) });
}
