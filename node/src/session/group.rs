//! The owner of one placement group: drives its replica, and is the only one who does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::signed::Verified;
use hedgerow_crdt::frame::SealedFrame;
use hedgerow_crdt::message::SyncMessage;
use hedgerow_crdt::replica::{Event, Input, Output, Read, Replica, Write};
use hedgerow_protocol::id::Token;
use hedgerow_protocol::machine::{Cx, Machine as _};
use hedgerow_protocol::placement::ReplicaSet;
use hedgerow_protocol::roster::Roster;
use hedgerow_protocol::session_id::GroupId;
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::answer::{Refused, SessionAnswer};
use super::links::{LinkCounts, link_changes};
use super::local::{LocalSession, local_sessions};
use super::sizes::Sizes;
use super::standings::{GroupStanding, Standings};
use crate::net::{Lane, Net};
use crate::observe::{Condition, Conditions, Counters, clocks, mono};
use crate::store::{Completion, LogRow, SessionLog};

/// Waiting inputs of one group: a burst of clients; what is beyond waits at the sender.
pub(super) const GROUP_QUEUE: usize = 256;

/// What reaches a group's task.
#[derive(Debug)]
pub(super) enum GroupInput {
    /// A client writes.
    Write(Write, oneshot::Sender<SessionAnswer>),
    /// A client reads.
    Read(Read, oneshot::Sender<SessionAnswer>),
    /// Another replica speaks.
    Net(NodeId, SyncMessage),
    /// The group's replicas changed.
    Placement(ReplicaSet),
    /// An operator wants to know which sessions there are.
    List(oneshot::Sender<Vec<LocalSession>>),
}

/// What every group's task uses.
#[derive(Clone, Debug)]
pub(super) struct GroupContext {
    pub(super) statement: Arc<SecretKey>,
    pub(super) log: SessionLog,
    pub(super) net: Net,
    pub(super) roster: watch::Receiver<Arc<Roster>>,
    pub(super) counters: Counters,
    pub(super) conditions: Conditions,
    pub(super) standings: watch::Sender<Standings>,
    pub(super) sizes: Sizes,
}

/// One group's replica and what it waits for.
#[derive(Debug)]
pub(super) struct GroupTask {
    replica: Replica,
    group: GroupId,
    /// Names its rows in the log.
    index: Vec<u8>,
    context: GroupContext,
    rng: ChaCha8Rng,
    inbox: mpsc::Receiver<GroupInput>,
    links: watch::Receiver<LinkCounts>,
    /// The links of which the replica was told.
    linked: LinkCounts,
    soon: VecDeque<Input>,
    /// The replica has at most one persist outstanding.
    persisting: Option<(Token, Completion<u64>)>,
    writes: BTreeMap<u64, oneshot::Sender<SessionAnswer>>,
    reads: BTreeMap<u64, oneshot::Sender<SessionAnswer>>,
    next_request: u64,
    /// The replica answers nothing any more, and what it is asked is certainly not done.
    broken: bool,
    /// The replica was handed over and the log holds nothing of it.
    dropped: bool,
}

impl GroupTask {
    /// A task for a replica of that group that has not started; `start` is its first input.
    pub(super) fn new(
        replica: Replica,
        group: GroupId,
        start: Input,
        context: GroupContext,
        rng: ChaCha8Rng,
        (inbox, mut links): (mpsc::Receiver<GroupInput>, watch::Receiver<LinkCounts>),
    ) -> Self {
        links.mark_changed();
        Self {
            replica,
            index: postcard::to_stdvec(&group).expect("a vector takes any number of bytes"),
            group,
            context,
            rng,
            inbox,
            links,
            linked: LinkCounts::new(),
            soon: VecDeque::from([start]),
            persisting: None,
            writes: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_request: 0,
            broken: false,
            dropped: false,
        }
    }

    /// Drives the replica until `stop`, until nobody can reach it any more, or until it was dropped.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            while let Some(input) = self.soon.pop_front() {
                self.step(input).await;
            }
            if self.dropped {
                return self.say(GroupStanding::Dropped);
            }
            let deadline = self.replica.next_deadline();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                input = persisted(&mut self.persisting) => self.step(input).await,
                changed = self.links.changed() => match changed {
                    Ok(()) => self.relink(),
                    Err(_ended) => return,
                },
                input = self.inbox.recv() => match input {
                    Some(input) => self.take(input).await,
                    None => return,
                },
                () = async {
                    match deadline {
                        Some(deadline) => tokio::time::sleep(mono().until(deadline)).await,
                        None => std::future::pending().await,
                    }
                } => self.step(Input::Tick).await,
            }
        }
    }

    /// Tells the replica what became of the links since it was told last.
    fn relink(&mut self) {
        let links = self.links.borrow_and_update().clone();
        let changes = link_changes(&self.linked, &links);
        self.soon.extend(changes.into_iter().map(|(peer, up)| Input::Link { peer, up }));
        self.linked = links;
    }

    async fn take(&mut self, input: GroupInput) {
        let input = match input {
            GroupInput::Write(_, reply) | GroupInput::Read(_, reply) if self.broken => {
                return answer(Some(reply), broken());
            }
            GroupInput::Write(mut write, reply) => {
                write.request = self.number();
                self.writes.insert(write.request, reply);
                Input::Write(write)
            }
            GroupInput::Read(mut read, reply) => {
                read.request = self.number();
                self.reads.insert(read.request, reply);
                Input::Read(read)
            }
            GroupInput::Net(from, message) => Input::Net { from, message },
            GroupInput::Placement(set) => Input::Placement(set),
            GroupInput::List(reply) => return answer(Some(reply), local_sessions(&self.replica)),
        };
        self.step(input).await;
    }

    fn number(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    async fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        let (now, wall) = clocks();
        self.replica.step(&mut Cx { now, wall, rng: &mut self.rng, out: &mut out }, input);
        for output in out {
            self.carry_out(output).await;
        }
    }

    async fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { to, message } => {
                // What is lost here is noticed by the replicas themselves.
                if let Err(error) = self.context.net.send(to, Lane::Session, Bytes::from(message.encode())) {
                    tracing::trace!(%to, %error, "a session message was not queued");
                }
            }
            Output::Persist { token, records } => {
                let row = |record: &SealedFrame| LogRow { index: self.index.clone(), value: record.to_bytes() };
                let rows: Vec<LogRow> = records.iter().map(row).collect();
                self.context.sizes.add(&self.group, rows.iter().map(|row| row.value.len() as u64).sum());
                let completion = self.context.log.append(rows).await;
                self.persisting = Some((token, completion));
            }
            Output::Sign { token, head } => {
                let head = Verified::sign_verified(&head, &self.context.statement);
                self.soon.push_back(Input::Signed { token, head });
            }
            Output::VerifyFrame { from, frame } => self.verify(from, frame),
            Output::WriteReply { request, result } => answer(self.writes.remove(&request), result.into()),
            Output::ReadReply { request, result } => answer(self.reads.remove(&request), result.into()),
            Output::Standing(standing) => self.say(GroupStanding::Held(standing)),
            Output::Drop => self.drop_rows().await,
            Output::Event(event) => {
                if matches!(event, Event::StorageFailed | Event::LogUnreadable { .. }) {
                    self.broken = true;
                    self.context.conditions.raise(Condition::SessionStorage);
                }
                log(&event);
            }
        }
    }

    fn say(&self, standing: GroupStanding) {
        self.context.standings.send_modify(|standings| {
            standings.insert(self.group.clone(), standing);
        });
    }

    /// Those who hold the group today have everything: what the log holds of it goes.
    async fn drop_rows(&mut self) {
        match self.context.log.delete(self.index.clone()).await.await {
            Ok(rows) => {
                tracing::info!(group = %self.group, rows, "a group was handed over and is dropped here");
                self.context.sizes.forget(&self.group);
                self.dropped = true;
            }
            Err(error) => {
                tracing::error!(%error, "a group that was handed over was not dropped: it will be after a restart");
                self.broken = true;
                self.context.conditions.raise(Condition::SessionStorage);
            }
        }
    }

    /// A frame is believed when the node that it names as its origin signed it.
    fn verify(&mut self, from: NodeId, frame: SealedFrame) {
        let verified = frame.claimed_head().ok().and_then(|head| {
            let statement = self.context.roster.borrow().statement_key(&head.origin.node)?;
            frame.verify(&statement).ok()
        });
        match verified {
            Some(frame) => self.soon.push_back(Input::FrameVerified { from, frame }),
            None => {
                tracing::debug!(%from, "refused a session frame whose signature does not hold");
                self.context.counters.add("refusals", "unproven_frame", 1);
            }
        }
    }
}

/// The next input that the store leads to; never, while nothing is being written.
async fn persisted(persisting: &mut Option<(Token, Completion<u64>)>) -> Input {
    let Some((token, completion)) = persisting else {
        return std::future::pending().await;
    };
    let (token, outcome) = (*token, completion.await);
    *persisting = None;
    match outcome {
        Ok(_first) => Input::Persisted(token),
        Err(error) => {
            tracing::error!(%error, "a session log may not be durable: this group answers nothing more");
            Input::PersistFailed(token)
        }
    }
}

/// Another replica may do it, since nothing was done here.
fn broken() -> SessionAnswer {
    let detail = "answer for a group whose log failed on this node: nothing was done".to_owned();
    SessionAnswer::Refused { why: Refused::Later, detail }
}

fn answer<T>(asker: Option<oneshot::Sender<T>>, answer: T) {
    if asker.is_some_and(|asker| asker.send(answer).is_err()) {
        tracing::debug!("a session request was answered after its asker had left");
    }
}

fn log(event: &Event) {
    match event {
        Event::Started { sessions, frames } => tracing::debug!(sessions, frames, "a group was read from the log"),
        Event::LogUnreadable { index } => tracing::error!(index, "a session log does not read back"),
        Event::Quarantined { origin, session, reason } => {
            tracing::warn!(node = %origin.node.short(), %session, %reason, "refused a session's change and what follows it");
        }
        Event::NoRoom { origin, first_lsn } => {
            tracing::debug!(node = %origin.node.short(), lsn = first_lsn.0, "put a frame aside for lack of room");
        }
        Event::Equivocation { origin, .. } => {
            tracing::warn!(node = %origin.node.short(), "a node signed two histories of its sessions");
        }
        Event::OwnPast { origin } => {
            tracing::warn!(boot = %origin.boot, "others hold writes of this node that are not here: the group was dropped here once, or the data folder is an older copy");
        }
        Event::StorageFailed => tracing::error!("a session log failed"),
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
