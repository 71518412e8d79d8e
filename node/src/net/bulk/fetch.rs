//! Fetching: the bytes are hashed as they come, and returned only when they are what was asked for.

use bytes::Bytes;
use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use hedgerow_attest::id::NodeId;
use quinn::RecvStream;
use sha2::Digest as _;
use tokio::time::timeout;

use super::wire::{Answer, Ask};
use crate::net::close::Close;
use crate::net::dial::{DialError, Dialer};
use crate::net::event::ContentDigest;
use crate::net::lane::LinkLane;
use crate::net::limits::{BULK_BYTES_MAX, BULK_STALL_TIMEOUT};
use crate::net::rpc::{FrameError, Links};
use crate::net::tls::Expected;

/// Why content was not fetched. Nothing of it is kept; another member may do better.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No address of the member is known.
    #[error("no known address of the node")]
    Unknown,
    /// The member could not be reached.
    #[error("dial the node")]
    Dial(#[source] DialError),
    /// The member does not hold the content.
    #[error("the node does not hold the content")]
    Absent,
    /// The member writes its limit of answers; retry later.
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
    /// No byte came for [`BULK_STALL_TIMEOUT`].
    #[error("the transfer stalled for {} s", BULK_STALL_TIMEOUT.as_secs())]
    Stalled,
    /// The connection broke.
    #[error("the transfer broke")]
    Broken(#[source] FrameError),
}

pub(in crate::net) async fn fetch(
    dialer: &Dialer,
    links: &Links,
    from: NodeId,
    digest: ContentDigest,
    max_bytes: u64,
) -> Result<Bytes, FetchError> {
    let addresses = links.addresses(from);
    if addresses.is_empty() {
        return Err(FetchError::Unknown);
    }
    let max = max_bytes.min(BULK_BYTES_MAX);
    let dialled = dialer.dial_any(&addresses, LinkLane::Bulk, Expected::Node(from)).await;
    let connection = dialled.map_err(FetchError::Dial)?.connection;
    let content = transfer(&connection, Ask { digest, max_bytes: max }).await;
    Close::Done.close(&connection);
    content
}

async fn transfer(connection: &quinn::Connection, ask: Ask) -> Result<Bytes, FetchError> {
    let opened = async {
        let (mut send, mut recv) = connection.open_bi().await.map_err(FrameError::connection)?;
        send.write_all(&ask.encode()).await.map_err(|error| FrameError::Stream(error.into()))?;
        send.finish().map_err(|closed| FrameError::Stream(closed.into()))?;
        let answer = Answer::read(&mut recv).await?;
        Ok::<_, FrameError>((answer, recv))
    };
    let opened = timeout(BULK_STALL_TIMEOUT, opened).await.map_err(|_elapsed| FetchError::Stalled)?;
    let (answer, recv) = opened.map_err(FetchError::Broken)?;
    match answer {
        Answer::Found { length } if length <= ask.max_bytes => read_content(recv, length, ask.digest).await,
        Answer::Found { length } | Answer::TooLong { length } => {
            Err(FetchError::TooLong { length, max: ask.max_bytes })
        }
        Answer::Absent => Err(FetchError::Absent),
        Answer::Busy => Err(FetchError::Busy),
    }
}

async fn read_content(mut recv: RecvStream, length: u64, digest: ContentDigest) -> Result<Bytes, FetchError> {
    let mut check = Check::new(digest);
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
        check.update(&chunk.bytes);
        content.extend_from_slice(&chunk.bytes);
    }
    if check.holds() { Ok(content.into()) } else { Err(FetchError::Mismatch) }
}

/// A digest under way and what it must come to.
enum Check {
    Sha256(sha2::Sha256, Sha256Digest),
    Blake3(Box<blake3::Hasher>, Blake3Digest),
}

impl Check {
    fn new(digest: ContentDigest) -> Self {
        match digest {
            ContentDigest::Sha256(expected) => Self::Sha256(sha2::Sha256::new(), expected),
            ContentDigest::Blake3(expected) => Self::Blake3(Box::default(), expected),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher, _) => hasher.update(bytes),
            Self::Blake3(hasher, _) => drop(hasher.update(bytes)),
        }
    }

    fn holds(self) -> bool {
        match self {
            Self::Sha256(hasher, expected) => Sha256Digest::from_bytes(hasher.finalize().into()) == expected,
            Self::Blake3(hasher, expected) => Blake3Digest::from_bytes(*hasher.finalize().as_bytes()) == expected,
        }
    }
}

const CHUNK_BYTES: usize = 256 << 10;
