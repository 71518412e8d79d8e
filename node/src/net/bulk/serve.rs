//! Serving content to members that ask for it by digest.

use std::sync::Arc;

use hedgerow_attest::id::NodeId;
use quinn::{RecvStream, SendStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::wire::{Answer, Ask};
use crate::net::event::{NetEvent, Respond};
use crate::net::limits::{BULK_SERVED_MAX, BULK_STALL_TIMEOUT};
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
        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
            if let Err(error) = self.answer(from, &mut send, &mut recv).await {
                tracing::debug!(%from, %error, "a bulk answer was not taken");
            }
        }
    }

    async fn answer(&self, from: NodeId, send: &mut SendStream, recv: &mut RecvStream) -> Result<(), FrameError> {
        let ask = in_time(Ask::read(recv)).await?;
        let Ok(_slot) = self.slots.try_acquire() else {
            return write(send, &Answer::Busy.encode()).await;
        };
        let (respond, answer) = Respond::channel();
        let request = NetEvent::BulkRequest { from, digest: ask.digest, max_bytes: ask.max_bytes, respond };
        if self.events.send(request).await.is_err() {
            return write(send, &Answer::Absent.encode()).await;
        }
        // A node that drops the request, or that takes too long to look, does not have it for this asker.
        let content = timeout(BULK_STALL_TIMEOUT, answer).await;
        let Some(content) = content.ok().and_then(Result::ok).flatten() else {
            return write(send, &Answer::Absent.encode()).await;
        };
        let length = content.len() as u64;
        if length > ask.max_bytes {
            return write(send, &Answer::TooLong { length }.encode()).await;
        }
        write(send, &Answer::Found { length }.encode()).await?;
        for chunk in content.chunks(CHUNK_BYTES) {
            write(send, chunk).await?;
        }
        send.finish().map_err(|closed| FrameError::Stream(closed.into()))
    }
}

async fn write(send: &mut SendStream, bytes: &[u8]) -> Result<(), FrameError> {
    in_time(async { send.write_all(bytes).await.map_err(|error| FrameError::Stream(error.into())) }).await
}

async fn in_time<T>(step: impl Future<Output = Result<T, FrameError>>) -> Result<T, FrameError> {
    timeout(BULK_STALL_TIMEOUT, step)
        .await
        .unwrap_or_else(|_elapsed| Err(FrameError::Stream(std::io::ErrorKind::TimedOut.into())))
}

const CHUNK_BYTES: usize = 256 << 10;
