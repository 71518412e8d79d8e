//! One range from one source: asked for, and checked as it arrives.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use quinn::Connection;

use super::schedule::Fault;
use super::wire::{Answer, Ask};
use crate::content::{Content, GroupRange, Incoming, Mismatch, Piece};
use crate::net::close::Close;
use crate::net::rpc::{BesideError, FrameError};

/// Why a range did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum RangeError {
    /// The source could not be reached.
    #[error("reach the node")]
    Unreachable(#[source] BesideError),
    /// The source says why it sends nothing.
    #[error("{0}")]
    Said(Fault),
    /// The connection broke, or what came is no answer.
    #[error("read the answer")]
    Frame(#[source] FrameError),
    /// The source sent something else.
    #[error("check what came")]
    Mismatch(#[source] Mismatch),
    /// It cannot be kept. This is nobody's fault but this node's.
    #[error("store what came")]
    Sink(#[source] io::Error),
}

impl RangeError {
    /// The same with what the end of the connection says: a source that has no room for another closes it before it reads.
    pub(super) fn of(self, connection: &Connection) -> Self {
        match (self, Close::by_peer(connection)) {
            (Self::Frame(_), Some(Close::Overloaded)) => Self::Said(Fault::Busy),
            (error, _) => error,
        }
    }

    /// What it says of the source; the error itself, where it says nothing.
    pub(super) fn fault(self) -> Result<Fault, io::Error> {
        match self {
            Self::Unreachable(error) if error.is_of_overload() => Ok(Fault::Busy),
            Self::Unreachable(_) => Ok(Fault::Unreachable),
            Self::Said(fault) => Ok(fault),
            Self::Frame(FrameError::Stream(_)) => Ok(Fault::Broke),
            Self::Frame(
                FrameError::Version { .. }
                | FrameError::TooLong { .. }
                | FrameError::Name
                | FrameError::Code { .. }
                | FrameError::Range { .. },
            ) => Ok(Fault::Unfit),
            Self::Mismatch(_) => Ok(Fault::Lied),
            Self::Sink(error) => Err(error),
        }
    }
}

/// Asks for a range and takes it. Whoever watches the time is told through `heard` that something came.
pub(super) async fn receive(
    connection: &Connection,
    content: Content,
    range: GroupRange,
    heard: &Arc<AtomicBool>,
) -> Result<Piece, RangeError> {
    let broke = |error: io::Error| RangeError::Frame(FrameError::Stream(error));
    let (mut send, mut recv) = connection.open_bi().await.map_err(|error| broke(error.into()))?;
    let ask = Ask::Range { blake3: content.blake3(), range };
    send.write_all(&ask.encode()).await.map_err(|error| broke(error.into()))?;
    send.finish().map_err(|closed| broke(closed.into()))?;
    match Answer::read(&mut recv).await.map_err(RangeError::Frame)? {
        Answer::Found { length } if length == content.size() => {}
        // There is no other content with that digest.
        Answer::Found { .. } => return Err(RangeError::Said(Fault::Lied)),
        Answer::Absent => return Err(RangeError::Said(Fault::Absent)),
        Answer::Busy => return Err(RangeError::Said(Fault::Busy)),
        Answer::Partly => return Err(RangeError::Said(Fault::Partly)),
        Answer::TooLong { .. } => return Err(RangeError::Said(Fault::Unfit)),
    }
    let mut proof = vec![0; content.proof_bytes(range)];
    recv.read_exact(&mut proof).await.map_err(|error| match error {
        quinn::ReadExactError::FinishedEarly(_) => broke(io::ErrorKind::UnexpectedEof.into()),
        quinn::ReadExactError::ReadError(error) => broke(error.into()),
    })?;
    let mut incoming = Incoming::new(content, range, proof).map_err(RangeError::Mismatch)?;
    // Many packets at a time: each look at the stream takes the connection's lock. A group is hashed here, while the
    // processor has it at hand; it takes some microseconds.
    let mut packets = vec![Bytes::new(); PACKETS];
    while incoming.wanted() > 0 {
        heard.store(true, Ordering::Relaxed);
        let read = recv.read_chunks(&mut packets).await.map_err(|error| broke(error.into()))?;
        let count = read.ok_or_else(|| broke(io::ErrorKind::UnexpectedEof.into()))?;
        for packet in &mut packets[..count] {
            incoming.take(&std::mem::take(packet)).map_err(RangeError::Mismatch)?;
        }
    }
    incoming.finish().ok_or(RangeError::Mismatch(Mismatch))
}

/// Parts of a stream that are taken at once; a packet on the internet has about 1.2 KiB.
const PACKETS: usize = 32;
