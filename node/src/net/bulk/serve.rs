//! Serving content to members that ask for it by digest, each at the pace of its window.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use quinn::{RecvStream, SendStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::pace::{Pacer, WINDOW_MIN};
use super::wire::{Answer, Ask};
use crate::net::event::{NetEvent, Respond};
use crate::net::limits::{BULK_SERVED_MAX, BULK_STALL_TIMEOUT};
use crate::net::quic;
use crate::net::rpc::FrameError;

/// Answers bulk requests; clones share the limit on answers written at once.
#[derive(Clone, Debug)]
pub(in crate::net) struct BulkServer {
    events: mpsc::Sender<NetEvent>,
    slots: Arc<Semaphore>,
}

impl BulkServer {
    pub(in crate::net) fn new(events: mpsc::Sender<NetEvent>) -> Self {
        Self { events, slots: Arc::new(Semaphore::new(BULK_SERVED_MAX)) }
    }

    /// Serves one connection, request after request, until the asker closes it.
    pub(in crate::net) async fn serve(&self, connection: quinn::Connection, from: NodeId) {
        let pacer = Pacer::new(Instant::now());
        quic::serve_bulk(&connection, pacer.window());
        let mut asker = Asker { from, connection, pacer };
        while let Ok((mut send, mut recv)) = asker.connection.accept_bi().await {
            if let Err(error) = self.answer(&mut asker, &mut send, &mut recv).await {
                tracing::debug!(%from, %error, "a bulk answer was not taken");
            }
        }
    }

    async fn answer(&self, asker: &mut Asker, send: &mut SendStream, recv: &mut RecvStream) -> Result<(), FrameError> {
        let ask = in_time(Ask::read(recv)).await?;
        let Ok(_slot) = self.slots.try_acquire() else {
            return asker.answer(send, Answer::Busy).await;
        };
        let (respond, answer) = Respond::channel();
        let (from, digest, max_bytes) = (asker.from, ask.digest, ask.max_bytes);
        if self.events.send(NetEvent::BulkRequest { from, digest, max_bytes, respond }).await.is_err() {
            return asker.answer(send, Answer::Absent).await;
        }
        // A node that drops the request, or that takes too long to look, does not have it for this asker.
        let content = timeout(BULK_STALL_TIMEOUT, answer).await;
        let Some(content) = content.ok().and_then(Result::ok).flatten() else {
            return asker.answer(send, Answer::Absent).await;
        };
        let length = content.len() as u64;
        if length > max_bytes {
            return asker.answer(send, Answer::TooLong { length }).await;
        }
        asker.answer(send, Answer::Found { length }).await?;
        asker.write(send, content).await?;
        send.finish().map_err(|closed| FrameError::Stream(closed.into()))
    }
}

/// The other end of one connection.
#[derive(Debug)]
struct Asker {
    from: NodeId,
    connection: quinn::Connection,
    pacer: Pacer,
}

impl Asker {
    async fn answer(&mut self, send: &mut SendStream, answer: Answer) -> Result<(), FrameError> {
        self.write(send, Bytes::copy_from_slice(&answer.encode())).await
    }

    async fn write(&mut self, send: &mut SendStream, mut bytes: Bytes) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(PART_BYTES));
            let written = part.len() as u64;
            let write = async { send.write_chunk(part).await.map_err(|error| FrameError::Stream(error.into())) };
            in_time(write).await?;
            if self.pacer.sample(Instant::now(), self.connection.rtt(), written) {
                self.connection.set_send_window(self.pacer.window());
            }
        }
        Ok(())
    }
}

async fn in_time<T>(step: impl Future<Output = Result<T, FrameError>>) -> Result<T, FrameError> {
    timeout(BULK_STALL_TIMEOUT, step)
        .await
        .unwrap_or_else(|_elapsed| Err(FrameError::Stream(std::io::ErrorKind::TimedOut.into())))
}

/// Written at once: no more than the least window, so that a window that shrinks is looked at while it holds.
const PART_BYTES: usize = WINDOW_MIN as usize;
