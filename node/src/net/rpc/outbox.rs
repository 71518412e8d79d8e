//! One-way messages: a bounded queue and a writer per member and lane.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use quinn::SendStream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::frame::{FrameError, datagram, write_message, write_stream_head};
use super::link::Link;
use super::link_error::LinkError;
use super::links::Links;
use super::table::Member;
use crate::net::lane::Lane;
use crate::net::limits::{MESSAGE_BYTES_MAX, OUTBOX_QUEUE};

/// Why a message was not queued.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Longer than [`MESSAGE_BYTES_MAX`]; split it, or use the bulk lane.
    #[error("a message of {got} bytes, at most {MESSAGE_BYTES_MAX} are sent")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// The queue to the member is full: it is slow, or being dialled. The message was dropped.
    #[error("the queue to the node is full")]
    QueueFull,
    /// There can be no link to the member.
    #[error("no link to the node")]
    Link(#[source] LinkError),
}

/// What was lost inside this node, in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Outbound, because the queue to the member was full.
    pub queue_full: u64,
    /// Outbound, because there was no link or it broke while writing.
    pub unsent: u64,
    /// Inbound datagrams and gossip, because the node did not drain its events.
    pub undelivered: u64,
}

/// The counters behind [`Dropped`].
#[derive(Debug, Default)]
pub(in crate::net) struct Losses {
    pub(super) queue_full: AtomicU64,
    pub(super) unsent: AtomicU64,
    pub(super) undelivered: AtomicU64,
}

impl Losses {
    pub(super) fn snapshot(&self) -> Dropped {
        Dropped {
            queue_full: self.queue_full.load(Ordering::Relaxed),
            unsent: self.unsent.load(Ordering::Relaxed),
            undelivered: self.undelivered.load(Ordering::Relaxed),
        }
    }

    pub(in crate::net) fn count_undelivered(&self) {
        self.undelivered.fetch_add(1, Ordering::Relaxed);
    }
}

impl Links {
    pub(in crate::net) fn send(&self, to: NodeId, lane: Lane, bytes: Bytes) -> Result<(), SendError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(SendError::TooLong { got: bytes.len() });
        }
        if to == self.dialer().gate.node() {
            return Err(SendError::Link(LinkError::Myself));
        }
        if lane == Lane::Probe
            && let Some(link) = self.live_link(&to)
            && sent_as_datagram(&link, &bytes)
        {
            return Ok(());
        }
        let member = self.table(|table, _| table.member(to)).ok_or(SendError::QueueFull)?;
        self.outbox(to, &member, lane).try_send(bytes).map_err(|error| {
            if matches!(error, TrySendError::Full(_)) {
                self.losses().queue_full.fetch_add(1, Ordering::Relaxed);
            }
            SendError::QueueFull
        })
    }

    /// The queue of a lane; its writer starts with the first message.
    fn outbox(&self, node: NodeId, member: &Member, lane: Lane) -> mpsc::Sender<Bytes> {
        let mut outboxes = member.outboxes.lock().expect("no holder of the lock panics");
        let outbox = &mut outboxes[usize::from(lane.tag())];
        outbox
            .get_or_insert_with(|| {
                let (tx, rx) = mpsc::channel(OUTBOX_QUEUE);
                // The writer holds no strong reference to the slot, so that an evicted slot ends it.
                let writer = Writer { links: self.clone(), node, lane, open: None };
                self.tasks().spawn(writer.run(rx));
                tx
            })
            .clone()
    }
}

/// Writes one lane's messages to one member, in order, over whatever connection is the link.
struct Writer {
    links: Links,
    node: NodeId,
    lane: Lane,
    open: Option<(usize, SendStream)>,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Bytes>) {
        let stop = self.links.tasks().stop().clone();
        loop {
            let message = tokio::select! {
                message = queue.recv() => message,
                () = stop.cancelled() => None,
            };
            let Some(message) = message else { return };
            let written = tokio::select! {
                written = tokio::time::timeout(WRITE_TIMEOUT, self.write(&message)) => written,
                () = stop.cancelled() => return,
            };
            if !matches!(written, Ok(Ok(()))) {
                self.open = None;
                self.links.losses().unsent.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(node = %self.node, lane = ?self.lane, ?written, "dropped a message");
            }
        }
    }

    async fn write(&mut self, message: &Bytes) -> Result<(), WriteError> {
        let link = self.links.link(self.node).await?;
        if self.lane == Lane::Probe && sent_as_datagram(&link, message) {
            return Ok(());
        }
        if self.lane == Lane::Session {
            link.works();
        }
        let id = link.connection.stable_id();
        // Taken out while writing: a write that is cut off leaves half a frame behind, and its stream unusable.
        let mut stream = match self.open.take() {
            Some((open, stream)) if open == id => stream,
            Some(_) | None => {
                let mut stream = link.connection.open_uni().await.map_err(FrameError::connection)?;
                write_stream_head(&mut stream, self.lane).await?;
                stream
            }
        };
        write_message(&mut stream, message).await?;
        self.open = Some((id, stream));
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("no link to the node")]
    Link(#[from] LinkError),
    #[error("write the message")]
    Frame(#[from] FrameError),
}

/// Sends a probe as a datagram, unless it does not fit the path.
fn sent_as_datagram(link: &Link, bytes: &Bytes) -> bool {
    let fits = link.connection.max_datagram_size().is_some_and(|max| bytes.len() < max);
    fits && link.connection.send_datagram(datagram(bytes)).is_ok()
}

/// A write that makes no progress for this long is given up with its stream.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
