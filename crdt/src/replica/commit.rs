//! Group commit: one batch at a time goes through signing and the log, and takes effect when it is durable.

use std::collections::BTreeMap;

use hedgerow_attest::{id::NodeId, signed::Verified};
use hedgerow_protocol::id::Token;

use crate::{
    engine::DocEngine,
    frame::{FrameHead, Lsn, SealedFrame, VerifiedFrame},
    message::{Held, SyncBody},
    replica::{
        Event, Output, Refusal, Replica,
        machine::{Context, Parked, Phase, Work},
        requests::{Waiting, refuse_write},
        stage::Stage,
    },
};

/// The batch that is on its way to stable storage.
#[derive(Debug)]
pub(crate) struct Commit<E> {
    stage: Stage<E>,
    step: Step,
    /// This node's own frame, once it is signed.
    own: Option<SealedFrame>,
    /// The number of the first of this node's own records.
    first_lsn: Lsn,
}

/// What the batch waits for.
#[derive(Debug)]
enum Step {
    Signing(Token, FrameHead),
    Persisting(Token),
}

impl<E: DocEngine> Replica<E> {
    /// Takes everything that waits into a batch, unless one is on its way.
    pub(crate) fn begin_commit(&mut self, cx: &mut Context<'_>) {
        while self.commit.is_none() && self.phase == Phase::Serving && !self.inbox.is_empty() {
            let mut stage = Stage::empty();
            while let Some(work) = if stage.is_full() { None } else { self.inbox.pop_front() } {
                match work {
                    Work::Write(write) => self.stage_write(cx, &mut stage, write),
                    Work::Frame { from, frame } => self.stage_frame(cx, &mut stage, from, frame),
                }
            }
            if stage.is_empty() {
                self.acknowledge(cx, &stage);
            } else {
                self.commit = Some(self.sign_or_persist(cx, stage));
            }
        }
    }

    /// The signed head of this node's own frame has come back: the batch goes to the log, others' frames first, since this node's changes may
    /// depend on them and never the other way round.
    pub(crate) fn signed(&mut self, cx: &mut Context<'_>, token: Token, head: Verified<FrameHead>) {
        let Some(mut commit) = self.commit.take() else { return };
        let is_awaited = matches!(&commit.step, Step::Signing(awaited, asked) if *awaited == token && *asked == *head);
        if is_awaited {
            let records = commit.stage.records.clone();
            let frame = VerifiedFrame::new(head, records).expect("the head was made over these records").seal();
            let head = frame.claimed_head().expect("the head was just encoded");
            self.log.append(head, frame.clone());
            commit.own = Some(frame.clone());
            let token = self.next_token();
            let records = commit.stage.frames.iter().cloned().chain([frame]).collect();
            cx.out.push(Output::Persist { token, records });
            commit.step = Step::Persisting(token);
        }
        self.commit = Some(commit);
    }

    /// The batch is durable: it becomes what reads see, and everything that was promised on its condition leaves.
    pub(crate) fn persisted(&mut self, cx: &mut Context<'_>, token: Token) {
        let Some(commit) =
            self.commit.take_if(|commit| matches!(commit.step, Step::Persisting(awaited) if awaited == token))
        else {
            return;
        };
        let Commit { mut stage, own, first_lsn, step: _ } = commit;
        self.log.settle();
        self.docs.append(&mut stage.docs);
        if let Some(frame) = own {
            for to in self.peers_up() {
                self.send(cx, to, SyncBody::Frames(vec![frame.clone()]));
            }
        }
        self.acknowledge(cx, &stage);
        cx.out.append(&mut stage.held);
        for write in stage.writes {
            let offset = u64::try_from(write.record).expect("a place in a frame fits 64 bits");
            let lsn = Lsn(first_lsn.0 + offset);
            self.waiting
                .insert(write.request, Waiting::Write { lsn, written: write.written, deadline: write.deadline });
        }
        self.settle_writes(cx);
        self.settle_reads(cx);
        self.unpark();
        for (from, _) in &stage.acks {
            // What it sent was of use: what it has beyond that is asked for at once.
            if let Some(peer) = self.peers.get_mut(from) {
                peer.pull.reset();
            }
        }
        self.settle_peers(cx);
    }

    /// Nothing is certain about the log any more: the machine answers what it durably knows and then nothing.
    pub(crate) fn persist_failed(&mut self, cx: &mut Context<'_>, token: Token) {
        let Some(commit) =
            self.commit.take_if(|commit| matches!(commit.step, Step::Persisting(awaited) if awaited == token))
        else {
            return;
        };
        self.phase = Phase::Failed;
        cx.out.push(Output::Event(Event::StorageFailed));
        self.give_up_waiting(cx);
        let queued = self.inbox.drain(..).filter_map(|work| match work {
            Work::Write(write) => Some(write.request),
            Work::Frame { .. } => None,
        });
        let staged = commit.stage.writes.iter().map(|write| write.request);
        for request in staged.chain(queued) {
            refuse_write(cx.out, request, Refusal::StorageFailed);
        }
        for answer in commit.stage.held {
            if let Output::WriteReply { request, .. } = answer {
                refuse_write(cx.out, request, Refusal::StorageFailed);
            }
        }
    }

    fn sign_or_persist(&mut self, cx: &mut Context<'_>, stage: Stage<E>) -> Commit<E> {
        let (origin, token) = (self.origin(), self.next_token());
        let first_lsn = Lsn(self.log.reach(&origin).0 + 1);
        let step = if stage.records.is_empty() {
            cx.out.push(Output::Persist { token, records: stage.frames.clone() });
            Step::Persisting(token)
        } else {
            let previous = self.log.last_root(&origin);
            let head = FrameHead::over(origin, self.config.group.clone(), first_lsn, previous, &stage.records);
            cx.out.push(Output::Sign { token, head: head.clone() });
            Step::Signing(token, head)
        };
        Commit { stage, step, own: None, first_lsn }
    }

    /// Tells each sender and each origin how far this replica holds the origin's records durably.
    fn acknowledge(&self, cx: &mut Context<'_>, stage: &Stage<E>) {
        let mut acks = BTreeMap::<NodeId, Vec<Held>>::new();
        for (to, origin) in &stage.acks {
            let durable = self.log.durable_reach().get(origin).copied().unwrap_or_default();
            acks.entry(*to).or_default().push(Held { origin: *origin, durable });
        }
        for (to, held) in acks {
            self.send(cx, to, SyncBody::Ack(held));
        }
    }

    /// Queues the frames again whose dependencies have arrived.
    fn unpark(&mut self) {
        let docs = &self.docs;
        let is_ready =
            |parked: &Parked| docs.get(&parked.session).is_some_and(|doc| doc.lacking(&parked.missing).is_empty());
        let (ready, waiting): (Vec<_>, Vec<_>) = self.parked.drain(..).partition(is_ready);
        self.parked.extend(waiting);
        self.inbox.extend(ready.into_iter().map(|Parked { from, frame, .. }| Work::Frame { from, frame }));
    }
}
