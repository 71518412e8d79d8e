//! One relay connection, at either end: frames onto it, and frames from it.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use quinn::{Connection, ConnectionError, RecvStream, SendDatagramError};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frame::{Frame, LONG_FRAME_BYTES};
use crate::net::limits::{FRAME_TIMEOUT, RELAY_STREAMS};
use crate::net::tasks::Tasks;

/// Where frames are posted. Nothing waits, and nothing tells whether a frame arrives: they carry datagrams.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) connection: Connection,
    long: mpsc::Sender<Bytes>,
}

impl Post {
    pub(super) fn new(connection: Connection, tasks: &Tasks) -> Self {
        let (long, queue) = mpsc::channel(LONG_QUEUE);
        tasks.spawn(write_long(connection.clone(), queue, tasks.stop().clone()));
        Self { connection, long }
    }

    /// Posts a frame; false where it is lost at once.
    pub(super) fn send(&self, frame: Bytes) -> bool {
        match self.connection.send_datagram(frame.clone()) {
            Ok(()) => true,
            // The path is not known to carry more yet, or never will.
            Err(SendDatagramError::TooLarge) if frame.len() <= LONG_FRAME_BYTES => self.long.try_send(frame).is_ok(),
            Err(_) => false,
        }
    }
}

/// Writes frames that are too long for a datagram, each on a stream of its own, until the connection ends.
async fn write_long(
    connection: Connection,
    mut queue: mpsc::Receiver<Bytes>,
    stop: tokio_util::sync::CancellationToken,
) {
    loop {
        let frame = tokio::select! {
            frame = queue.recv() => frame,
            _ = connection.closed() => return,
            () = stop.cancelled() => return,
        };
        let Some(frame) = frame else { return };
        // A peer that takes no streams loses what is meant for it.
        if !write_stream(&connection, &frame).await {
            tracing::debug!("a relay connection takes no streams");
        }
    }
}

/// Writes bytes on a stream of their own; whether they were taken.
pub(super) async fn write_stream(connection: &Connection, bytes: &[u8]) -> bool {
    let write = async {
        match connection.open_uni().await {
            // Dropping the stream finishes it.
            Ok(mut stream) => stream.write_all(bytes).await.is_ok(),
            Err(_ended) => false,
        }
    };
    timeout(FRAME_TIMEOUT, write).await.unwrap_or(false)
}

/// Hands every frame that arrives to `take`, until the connection ends.
pub(super) async fn frames(connection: &Connection, mut take: impl FnMut(Frame)) -> ConnectionError {
    let mut long = FuturesUnordered::new();
    loop {
        let bytes = tokio::select! {
            datagram = connection.read_datagram() => match datagram {
                Ok(bytes) => Some(bytes),
                Err(ended) => return ended,
            },
            stream = connection.accept_uni(), if long.len() < RELAY_STREAMS => match stream {
                Ok(stream) => {
                    long.push(read_long(stream));
                    None
                }
                Err(ended) => return ended,
            },
            Some(bytes) = long.next() => bytes,
        };
        match bytes.map(Frame::parse) {
            Some(Some(frame)) => take(frame),
            Some(None) => tracing::debug!("a malformed frame on a relay connection"),
            None => {}
        }
    }
}

async fn read_long(mut stream: RecvStream) -> Option<Bytes> {
    let read = timeout(FRAME_TIMEOUT, stream.read_to_end(LONG_FRAME_BYTES)).await;
    read.ok()?.ok().map(Bytes::from)
}

/// Long frames that wait for a stream; a datagram that waits for longer is better lost.
const LONG_QUEUE: usize = 32;
