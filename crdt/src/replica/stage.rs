//! What the next commit will hold: copies of the documents it changes, and who waits for it.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::{session_id::SessionId, time::Mono};

use crate::{
    engine::{Author, DocEngine},
    frame::{FrameHead, Origin, Record, SealedFrame, VerifiedFrame},
    heads::ChangeHash,
    limits::{FRAME_BYTES_TARGET, FRAME_RECORDS_MAX},
    message::SyncBody,
    replica::{
        Event, Output, Refusal, Replica, Write, WriteResult, Written,
        log::Holding,
        machine::{Context, Parked},
        requests::refuse_write,
    },
    session_doc::{NotAdmitted, SessionDoc},
};

/// A batch that is being put together. Nothing in it is visible to anyone before it is durable.
#[derive(Debug)]
pub(crate) struct Stage<E> {
    pub(crate) docs: BTreeMap<SessionId, SessionDoc<E>>,
    /// This node's own changes.
    pub(crate) records: Vec<Record>,
    pub(crate) writes: Vec<StagedWrite>,
    /// Frames of others, appended to the log of this machine and to be persisted.
    pub(crate) frames: Vec<SealedFrame>,
    /// Who is to be told how far this replica holds an origin, once that is durable.
    pub(crate) acks: BTreeSet<(NodeId, Origin)>,
    /// Answers that show a state which is not durable yet.
    pub(crate) held: Vec<Output>,
    bytes: usize,
    /// Sessions that the batch creates.
    created: usize,
}

/// A write that is in the batch.
#[derive(Debug)]
pub(crate) struct StagedWrite {
    pub(crate) request: u64,
    /// Its place among the batch's records.
    pub(crate) record: usize,
    pub(crate) written: Written,
    pub(crate) deadline: Mono,
}

impl<E> Stage<E> {
    pub(crate) fn empty() -> Self {
        let (docs, records, writes) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self {
            docs,
            records,
            writes,
            frames: Vec::new(),
            acks: BTreeSet::new(),
            held: Vec::new(),
            bytes: 0,
            created: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.frames.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() == FRAME_RECORDS_MAX
            || self.frames.len() == FRAME_RECORDS_MAX
            || self.bytes >= FRAME_BYTES_TARGET
    }

    /// Sends the answer at once, or with the commit when it shows what the batch did.
    fn answer(&mut self, cx: &mut Context<'_>, session: &SessionId, answer: Output) {
        if self.docs.contains_key(session) { self.held.push(answer) } else { cx.out.push(answer) }
    }
}

impl<E: DocEngine> Replica<E> {
    /// Applies a write to the batch's copy of its session.
    pub(crate) fn stage_write(&self, cx: &mut Context<'_>, stage: &mut Stage<E>, write: Write) {
        let Write { request, session, ops, if_match, quorum, deadline } = write;
        if deadline <= cx.now {
            return refuse_write(cx.out, request, Refusal::DeadlinePassed);
        }
        if let Some(refusal) = self.no_room(stage, std::iter::once(&session)) {
            return refuse_write(cx.out, request, refusal);
        }
        let doc = self.staged(stage, &session);
        if if_match.is_some_and(|expected| expected != doc.etag()) {
            let (etag, token, body) = (doc.etag(), doc.token(&session), doc.body());
            let result = WriteResult::PreconditionFailed { etag, token, body };
            return stage.answer(cx, &session, Output::WriteReply { request, result });
        }
        let epoch = doc.epoch();
        let author = Author { statement: self.config.statement, boot: self.config.boot };
        match doc.edit(&author, &session, &ops, &self.config.limits) {
            Ok((doc, change)) => {
                let wanted = quorum.unwrap_or_else(|| self.class_quorum());
                let written = Written { etag: doc.etag(), token: doc.token(&session), acked: 0, wanted };
                stage.writes.push(StagedWrite { request, record: stage.records.len(), written, deadline });
                stage.bytes += change.bytes.len() + RECORD_OVERHEAD;
                self.put_in(stage, session.clone(), doc);
                stage.records.push(Record { session, epoch, change: change.bytes });
            }
            Err(refusal) => {
                let result = WriteResult::Refused(refusal.into());
                stage.answer(cx, &session, Output::WriteReply { request, result });
            }
        }
    }

    /// Applies another node's frame to the batch's copies, all of its records or none.
    pub(crate) fn stage_frame(
        &mut self,
        cx: &mut Context<'_>,
        stage: &mut Stage<E>,
        from: NodeId,
        frame: VerifiedFrame,
    ) {
        let head = frame.head().clone();
        if self.quarantined.contains(&head.origin) {
            return;
        }
        match self.log.holding(&head) {
            Holding::Same => {
                stage.acks.insert((from, head.origin));
                return;
            }
            Holding::Contradicted(held) => return self.convict(cx, &frame, Some(held)),
            Holding::Impossible => return self.convict(cx, &frame, None),
            Holding::Absent if head.origin == self.origin() => return self.convict(cx, &frame, None),
            Holding::Absent => {}
        }
        if self.no_room(stage, frame.records().iter().map(|record| &record.session)).is_some() {
            return cx.out.push(Output::Event(Event::NoRoom { origin: head.origin, first_lsn: head.first_lsn }));
        }
        match self.admitted(stage, &frame) {
            Ok(docs) => {
                if head.origin.node == self.config.me && self.log.reach(&head.origin).0 == 0 {
                    cx.out.push(Output::Event(Event::OwnPast { origin: head.origin }));
                }
                docs.into_iter().for_each(|(session, doc)| self.put_in(stage, session, doc));
                stage.bytes +=
                    frame.records().iter().map(|record| record.change.len() + RECORD_OVERHEAD).sum::<usize>();
                stage.acks.extend([(from, head.origin), (head.origin.node, head.origin)]);
                stage.frames.push(frame.seal());
                self.log.append(head, frame.seal());
            }
            Err((session, NotAdmitted::Missing(missing))) => self.park(cx, from, frame, session, missing),
            Err((session, not_admitted)) => self.turn_away(cx, &frame, session, not_admitted),
        }
    }

    /// The class' W.
    fn class_quorum(&self) -> u8 {
        self.placement.as_ref().map_or(u8::MAX, |placement| placement.write_quorum)
    }

    fn staged(&self, stage: &Stage<E>, session: &SessionId) -> SessionDoc<E> {
        let doc = stage.docs.get(session).or_else(|| self.docs.get(session));
        doc.cloned().unwrap_or_else(SessionDoc::unwritten)
    }

    /// The documents as the frame leaves them.
    fn admitted(
        &self,
        stage: &Stage<E>,
        frame: &VerifiedFrame,
    ) -> Result<BTreeMap<SessionId, SessionDoc<E>>, (SessionId, NotAdmitted)> {
        let author = frame.author();
        let mut docs = BTreeMap::new();
        for record in frame.records() {
            let doc = docs.remove(&record.session).unwrap_or_else(|| self.staged(stage, &record.session));
            let admitted = doc.admit(&author, &record.session, record.epoch, &record.change);
            docs.insert(record.session.clone(), admitted.map_err(|reason| (record.session.clone(), reason))?);
        }
        Ok(docs)
    }

    /// Why the group cannot grow by changes to these sessions.
    fn no_room<'a>(&self, stage: &Stage<E>, sessions: impl Iterator<Item = &'a SessionId>) -> Option<Refusal> {
        let bytes = self.log.bytes() + stage.bytes;
        if bytes >= self.config.limits.log_bytes {
            return Some(Refusal::LogFull { bytes });
        }
        let is_new = |session: &&SessionId| !self.docs.contains_key(*session) && !stage.docs.contains_key(*session);
        let fresh: BTreeSet<&SessionId> = sessions.filter(is_new).collect();
        let beside = self.docs.len() + stage.created;
        (!fresh.is_empty() && beside + fresh.len() > self.config.limits.sessions)
            .then_some(Refusal::TooManySessions { sessions: beside })
    }

    fn put_in(&self, stage: &mut Stage<E>, session: SessionId, doc: SessionDoc<E>) {
        if !self.docs.contains_key(&session) && !stage.docs.contains_key(&session) {
            stage.created += 1;
        }
        stage.docs.insert(session, doc);
    }

    /// Puts a frame aside until the changes that it depends on are here, and asks its sender for them.
    fn park(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        frame: VerifiedFrame,
        session: SessionId,
        missing: Vec<ChangeHash>,
    ) {
        let body = SyncBody::Want { session: session.clone(), changes: missing.clone() };
        self.send(cx, from, body);
        self.parked.retain(|parked| parked.frame.head() != frame.head());
        self.parked.push_back(Parked { from, frame, session, missing });
        if self.parked.len() > self.config.limits.parked_frames
            && let Some(Parked { frame, .. }) = self.parked.pop_front()
        {
            let FrameHead { origin, first_lsn, .. } = frame.head();
            cx.out.push(Output::Event(Event::NoRoom { origin: *origin, first_lsn: *first_lsn }));
        }
    }

    fn turn_away(&mut self, cx: &mut Context<'_>, frame: &VerifiedFrame, session: SessionId, reason: NotAdmitted) {
        let head = frame.head();
        match reason {
            NotAdmitted::Missing(_) | NotAdmitted::HistoryFull => {
                cx.out.push(Output::Event(Event::NoRoom { origin: head.origin, first_lsn: head.first_lsn }));
            }
            NotAdmitted::Equivocation { actor, seq } => {
                let held = self.log.frame_numbered(&head.origin, actor, seq).cloned();
                self.convict(cx, frame, held);
            }
            NotAdmitted::Refused(reason) => {
                self.quarantined.insert(head.origin);
                cx.out.push(Output::Event(Event::Quarantined { origin: head.origin, session, reason }));
            }
        }
    }

    /// Reports two histories under one name and takes no more of that origin.
    fn convict(&mut self, cx: &mut Context<'_>, frame: &VerifiedFrame, held: Option<SealedFrame>) {
        let origin = frame.head().origin;
        if origin != self.origin() {
            self.quarantined.insert(origin);
        }
        let (held, refused) = (held.map(Box::new), Box::new(frame.seal()));
        cx.out.push(Output::Event(Event::Equivocation { origin, held, refused }));
    }
}

/// Bytes that a record takes in a frame besides its change, at most: birth, namespace, name, epoch and lengths.
const RECORD_OVERHEAD: usize = 160;
