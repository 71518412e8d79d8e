//! Fetching small content in one piece: it is hashed when all of it is there, and returned only when it is what was asked for.

use bytes::Bytes;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use quinn::RecvStream;
use tokio::time::timeout;

use super::wire::{Answer, Ask};
use crate::net::close::Close;
use crate::net::lane::LinkLane;
use crate::net::limits::{BULK_ANSWER_TIMEOUT, BULK_STALL_TIMEOUT, BULK_WHOLE_BYTES_MAX};
use crate::net::rpc::{BesideError, FrameError, Links};

/// Why content was not fetched. Nothing of it is kept; another member may do better.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The member could not be reached.
    #[error("reach the node")]
    Unreachable(#[source] BesideError),
    /// The member does not hold the content.
    #[error("the node does not hold the content")]
    Absent,
    /// The member writes its limit of answers, or serves as many connections of this node as it does; retry later.
    #[error("the node is busy")]
    Busy,
    /// The content is longer than asked for.
    #[error("the content has {length} bytes, at most {max} were asked for")]
    TooLong {
        /// Its length.
        length: u64,
        /// The bound.
        max: u64,
    },
    /// The bytes are not the content; the member is broken or lies.
    #[error("the node sent other bytes than the digest names")]
    Mismatch,
    /// No byte came for [`BULK_STALL_TIMEOUT`], or not all of them within [`BULK_ANSWER_TIMEOUT`].
    #[error("the transfer stalled for {} s, or took {}", BULK_STALL_TIMEOUT.as_secs(), BULK_ANSWER_TIMEOUT.as_secs())]
    Stalled,
    /// The connection broke.
    #[error("the transfer broke")]
    Broken(#[source] FrameError),
}

pub(in crate::net) async fn fetch(
    links: &Links,
    from: NodeId,
    digest: Sha256Digest,
    max_bytes: u64,
) -> Result<Bytes, FetchError> {
    let max_bytes = max_bytes.min(BULK_WHOLE_BYTES_MAX);
    let dialled = links.dial_beside(from, LinkLane::Bulk).await;
    let connection = dialled.map_err(refused)?.connection;
    let content = timeout(BULK_ANSWER_TIMEOUT, transfer(&connection, digest, max_bytes)).await;
    let is_full = Close::by_peer(&connection) == Some(Close::Overloaded);
    Close::Done.close(&connection);
    match content {
        // It closed the connection before it read anything.
        Ok(Err(FetchError::Broken(_))) if is_full => Err(FetchError::Busy),
        Ok(content) => content,
        Err(_elapsed) => Err(FetchError::Stalled),
    }
}

fn refused(error: BesideError) -> FetchError {
    if error.is_of_overload() { FetchError::Busy } else { FetchError::Unreachable(error) }
}

async fn transfer(connection: &quinn::Connection, digest: Sha256Digest, max: u64) -> Result<Bytes, FetchError> {
    let opened = async {
        let (mut send, mut recv) = connection.open_bi().await.map_err(FrameError::connection)?;
        let ask = Ask::Whole { digest, max_bytes: max }.encode();
        send.write_all(&ask).await.map_err(|error| FrameError::Stream(error.into()))?;
        send.finish().map_err(|closed| FrameError::Stream(closed.into()))?;
        let answer = Answer::read(&mut recv).await?;
        Ok::<_, FrameError>((answer, recv))
    };
    let opened = timeout(BULK_STALL_TIMEOUT, opened).await.map_err(|_elapsed| FetchError::Stalled)?;
    let (answer, recv) = opened.map_err(FetchError::Broken)?;
    match answer {
        Answer::Found { length } if length <= max => {
            let content = read_content(recv, length).await?;
            if Sha256Digest::of(&content) == digest { Ok(content) } else { Err(FetchError::Mismatch) }
        }
        Answer::Found { length } | Answer::TooLong { length } => Err(FetchError::TooLong { length, max }),
        Answer::Absent | Answer::Partly => Err(FetchError::Absent),
        Answer::Busy => Err(FetchError::Busy),
    }
}

async fn read_content(mut recv: RecvStream, length: u64) -> Result<Bytes, FetchError> {
    let mut content = Vec::new(); // grows with what arrives, not with what was announced
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let chunk = timeout(BULK_STALL_TIMEOUT, recv.read_chunk(most, true)).await;
        let chunk = chunk.map_err(|_elapsed| FetchError::Stalled)?;
        let chunk = chunk.map_err(|error| FetchError::Broken(FrameError::Stream(error.into())))?;
        let Some(chunk) = chunk else {
            let ended = std::io::ErrorKind::UnexpectedEof.into();
            return Err(FetchError::Broken(FrameError::Stream(ended)));
        };
        left -= chunk.bytes.len() as u64;
        content.extend_from_slice(&chunk.bytes);
    }
    Ok(content.into())
}

const CHUNK_BYTES: usize = 256 << 10;
