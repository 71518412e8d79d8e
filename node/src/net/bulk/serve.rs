//! Serving content to members that ask for it: one answer after the other on a connection, each at the pace of its window.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use quinn::{RecvStream, SendStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use super::pace::{Pacer, WINDOW_MIN};
use super::wire::{Answer, Ask};
use crate::content::{GroupRange, Held, Holding, HoldingError, Served};
use crate::net::close::Close;
use crate::net::event::{NetEvent, Respond};
use crate::net::limits::{
    BULK_ANSWER_TIMEOUT, BULK_CONNECTIONS_PER_PEER, BULK_QUEUE_TIMEOUT, BULK_SERVED_MAX, BULK_STALL_TIMEOUT,
    BULK_WHOLE_BYTES_MAX,
};
use crate::net::quic;
use crate::net::rpc::FrameError;
use crate::net::trust::Gate;

/// Answers bulk requests; clones share the limits on answers written at once and on connections.
#[derive(Clone, Debug)]
pub(in crate::net) struct BulkServer {
    events: mpsc::Sender<NetEvent>,
    gate: Arc<Gate>,
    slots: Arc<Semaphore>,
    /// Connections that are served, by member.
    served: Arc<Mutex<BTreeMap<NodeId, usize>>>,
}

/// A connection that is counted for its member until it is dropped.
#[derive(Debug)]
struct Counted {
    served: Arc<Mutex<BTreeMap<NodeId, usize>>>,
    member: NodeId,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut served = self.served.lock().expect("no holder of the lock panics");
        let left = served.get(&self.member).map_or(0, |count| count - 1);
        if left == 0 {
            served.remove(&self.member);
        } else {
            served.insert(self.member, left);
        }
    }
}

impl BulkServer {
    pub(in crate::net) fn new(events: mpsc::Sender<NetEvent>, gate: Arc<Gate>) -> Self {
        Self { events, gate, slots: Arc::new(Semaphore::new(BULK_SERVED_MAX)), served: Arc::default() }
    }

    /// Serves one connection, request after request, until the asker closes it or is a member no more.
    pub(in crate::net) async fn serve(&self, connection: quinn::Connection, member: Member) {
        let from = member.node();
        let Some(_counted) = self.count(from) else { return Close::Overloaded.close(&connection) };
        let pacer = Pacer::new(Instant::now().into_std());
        quic::serve_bulk(&connection, pacer.window());
        let mut asker = Asker { from, connection, pacer, holding: None };
        while let Ok((mut send, mut recv)) = asker.connection.accept_bi().await {
            if let Err(reason) = self.gate.standing().trust.still_admits(&member) {
                tracing::info!(%from, %reason, "closed a bulk connection");
                return Close::Trust.close(&asker.connection);
            }
            let answer = timeout(BULK_ANSWER_TIMEOUT, self.answer(&mut asker, &mut send, &mut recv)).await;
            if let Err(error) = answer.unwrap_or_else(|_elapsed| Err(FrameError::Stream(ErrorKind::TimedOut.into()))) {
                tracing::debug!(%from, %error, "a bulk answer was not taken");
            }
        }
    }

    /// One more connection of a member, unless it has its share.
    fn count(&self, member: NodeId) -> Option<Counted> {
        let mut served = self.served.lock().expect("no holder of the lock panics");
        let count = served.entry(member).or_default();
        (*count < BULK_CONNECTIONS_PER_PEER).then(|| {
            *count += 1;
            Counted { served: self.served.clone(), member }
        })
    }

    async fn answer(&self, asker: &mut Asker, send: &mut SendStream, recv: &mut RecvStream) -> Result<(), FrameError> {
        let ask = in_time(Ask::read(recv)).await?;
        let Some(_slot) = self.slot().await else {
            return asker.write(send, Bytes::copy_from_slice(&Answer::Busy.encode())).await;
        };
        let (answer, parts) = match ask {
            Ask::Whole { digest, max_bytes } => self.whole(asker.from, digest, max_bytes).await,
            Ask::Range { blake3, range } => self.range(asker, blake3, range).await,
        };
        let [head, body] = parts.unwrap_or_default();
        let mut first = BytesMut::from(&answer.encode()[..]);
        first.extend_from_slice(&head);
        asker.write(send, first.freeze()).await?;
        asker.write(send, body).await?;
        send.finish().map_err(|closed| FrameError::Stream(closed.into()))
    }

    /// Waits a moment for its turn.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        timeout(BULK_QUEUE_TIMEOUT, self.slots.clone().acquire_owned()).await.ok()?.ok()
    }

    async fn whole(&self, from: NodeId, digest: Sha256Digest, max_bytes: u64) -> (Answer, Option<[Bytes; 2]>) {
        let max = max_bytes.min(BULK_WHOLE_BYTES_MAX);
        let ask = |respond| NetEvent::BulkRequest { from, digest, max_bytes: max, respond };
        let content = match self.ask_node(ask).await {
            Ok(Some(content)) => content,
            Ok(None) => return (Answer::Absent, None),
            Err(unanswered) => return (unanswered, None),
        };
        let length = content.len() as u64;
        if length > max {
            return (Answer::TooLong { length }, None);
        }
        (Answer::Found { length }, Some([Bytes::new(), content]))
    }

    async fn range(&self, asker: &mut Asker, blake3: Blake3Digest, range: GroupRange) -> (Answer, Option<[Bytes; 2]>) {
        let known = asker.holding.take().filter(|holding| holding.content().blake3() == blake3);
        let holding = match known {
            Some(holding) => holding,
            None => {
                let from = asker.from;
                let ask = |respond| NetEvent::HoldingRequest { from, blake3, respond };
                match self.ask_node(ask).await {
                    Ok(Held::Whole(holding)) => holding,
                    Ok(Held::Partly) => return (Answer::Partly, None),
                    Ok(Held::Nothing) => return (Answer::Absent, None),
                    Err(unanswered) => return (unanswered, None),
                }
            }
        };
        match read(holding.clone(), range).await {
            Ok(Served { proof, data }) => {
                let length = holding.content().size();
                asker.holding = Some(holding);
                (Answer::Found { length }, Some([proof.into(), data]))
            }
            Err(error @ HoldingError::Outside { .. }) => {
                tracing::debug!(from = %asker.from, %error, "asked for what the content does not have");
                (Answer::Absent, None)
            }
            Err(error) => {
                tracing::warn!(%blake3, %error, "content that is held here cannot be served");
                // What the disk refuses now it may give later; what is damaged it will not.
                let answer = if matches!(error, HoldingError::Io(_)) { Answer::Busy } else { Answer::Absent };
                (answer, None)
            }
        }
    }

    /// What the node says; else what its asker is told: one that drops the request has nothing, one that looks for long is busy.
    async fn ask_node<T>(&self, event: impl FnOnce(Respond<T>) -> NetEvent) -> Result<T, Answer> {
        let (respond, answer) = Respond::channel();
        self.events.send(event(respond)).await.map_err(|_stopping| Answer::Absent)?;
        let answer = timeout(BULK_STALL_TIMEOUT, answer).await.map_err(|_elapsed| Answer::Busy)?;
        answer.map_err(|_dropped| Answer::Absent)
    }
}

/// The other end of one connection.
#[derive(Debug)]
struct Asker {
    from: NodeId,
    connection: quinn::Connection,
    pacer: Pacer,
    /// What it asked for last; it is likely to ask for more of it.
    holding: Option<Arc<Holding>>,
}

impl Asker {
    async fn write(&mut self, send: &mut SendStream, mut bytes: Bytes) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(PART_BYTES));
            let written = part.len() as u64;
            let write = async { send.write_chunk(part).await.map_err(|error| FrameError::Stream(error.into())) };
            in_time(write).await?;
            if self.pacer.sample(Instant::now().into_std(), self.connection.rtt(), written) {
                self.connection.set_send_window(self.pacer.window());
            }
        }
        Ok(())
    }
}

async fn read(holding: Arc<Holding>, range: GroupRange) -> Result<Served, HoldingError> {
    if !holding.blocks() {
        return holding.read(range);
    }
    tokio::task::spawn_blocking(move || holding.read(range)).await.expect("disk work neither panics nor is cancelled")
}

async fn in_time<T>(step: impl Future<Output = Result<T, FrameError>>) -> Result<T, FrameError> {
    timeout(BULK_STALL_TIMEOUT, step)
        .await
        .unwrap_or_else(|_elapsed| Err(FrameError::Stream(ErrorKind::TimedOut.into())))
}

/// Written at once: no more than the least window, so that a window that shrinks is looked at while it holds.
const PART_BYTES: usize = WINDOW_MIN as usize;
