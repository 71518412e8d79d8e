//! The bytes of the rpc lane, over any stream, so that tests can read and write them in memory.
//!
//! All integers are little endian. A request is a head and a body, the answer to one `version:u8 status:u8 body_len:u32 body`
//! where only status 0 has a body. An ordered stream opens with `version:u8 lane:u8`, then carries `len:u32 message` again
//! and again.

use std::borrow::Cow;
use std::fmt;
use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::content::RANGE_GROUPS_MAX;
use crate::net::lane::Lane;
use crate::net::limits::{MESSAGE_BYTES_MAX, PROTOCOL_NAME_BYTES_MAX, REQUEST_BODY_BYTES_MAX};

/// Name of a request protocol, such as `session/write/1`: 1 to 32 bytes of `a-z`, `0-9`, `/`, `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(Cow<'static, str>);

impl Protocol {
    /// A protocol of this program.
    ///
    /// # Panics
    /// When `name` is not well formed, at compile time if used in a constant.
    pub const fn new(name: &'static str) -> Self {
        assert!(well_formed(name.as_bytes()), "malformed protocol name");
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(name: Vec<u8>) -> Result<Self, FrameError> {
        match String::from_utf8(name) {
            Ok(name) if well_formed(name.as_bytes()) => Ok(Self(Cow::Owned(name))),
            Ok(_) | Err(_) => Err(FrameError::Name),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn well_formed(name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if !matches!(name[i], b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-') {
            return false;
        }
        i += 1;
    }
    !name.is_empty() && name.len() <= PROTOCOL_NAME_BYTES_MAX
}

/// Why the peer did not answer a request with a body. Nothing beyond the code crosses the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The peer does not serve the protocol; it may run another version. A retry does not help.
    #[error("the peer does not serve this protocol")]
    UnknownProtocol,
    /// The peer serves its limit of requests; nothing was done. Retry elsewhere or later.
    #[error("the peer is overloaded")]
    Overloaded,
    /// The deadline passed while the peer worked; whether it changed state is unknown.
    #[error("the peer ran out of time")]
    Deadline,
    /// The answer does not fit a frame; ask for less, or use the bulk lane.
    #[error("the answer exceeds what a frame holds")]
    TooLarge,
    /// The peer refuses to serve this request to us; nothing was done.
    #[error("the peer refused the request")]
    Refused,
    /// The peer failed; its log says why. Whether it changed state is unknown.
    #[error("the peer failed to serve the request")]
    Failed,
}

impl RemoteError {
    const ALL: [Self; 6] =
        [Self::UnknownProtocol, Self::Overloaded, Self::Deadline, Self::TooLarge, Self::Refused, Self::Failed];

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::UnknownProtocol => 1,
            Self::Overloaded => 2,
            Self::Deadline => 3,
            Self::TooLarge => 4,
            Self::Refused => 5,
            Self::Failed => 6,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.code() == code)
    }
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended or broke.
    #[error("the stream broke")]
    Stream(#[from] io::Error),
    /// A version this program does not speak.
    #[error("unknown frame version {got}")]
    Version {
        /// The version byte.
        got: u8,
    },
    /// A length above the bound; nothing was allocated for it.
    #[error("a frame of {got} bytes, at most {max} are taken")]
    TooLong {
        /// Announced length.
        got: usize,
        /// The bound.
        max: usize,
    },
    /// A protocol name outside its alphabet or length.
    #[error("malformed protocol name")]
    Name,
    /// A status or lane byte without meaning.
    #[error("unknown code {got}")]
    Code {
        /// The byte.
        got: u8,
    },
    /// A range of content that is none, or longer than one answer may be; nothing was looked up for it.
    #[error("a range of {count} groups from {first} on, 1 to {RANGE_GROUPS_MAX} are served at once")]
    Range {
        /// Its first group.
        first: u32,
        /// How many groups.
        count: u32,
    },
}

impl FrameError {
    /// The connection under the stream ended.
    pub(crate) fn connection(error: quinn::ConnectionError) -> Self {
        Self::Stream(error.into())
    }
}

pub(crate) async fn write_answer<W: AsyncWrite + Unpin>(
    stream: &mut W,
    answer: Result<&[u8], RemoteError>,
) -> Result<(), FrameError> {
    let (status, body) = match answer {
        Ok(body) if body.len() > REQUEST_BODY_BYTES_MAX => (RemoteError::TooLarge.code(), &[][..]),
        Ok(body) => (0, body),
        Err(error) => (error.code(), &[][..]),
    };
    let body_len = bounded_len(body.len(), REQUEST_BODY_BYTES_MAX)?;
    let mut head = [VERSION, status, 0, 0, 0, 0];
    head[2..].copy_from_slice(&body_len.to_le_bytes());
    stream.write_all(&head).await?;
    stream.write_all(body).await?;
    Ok(())
}

pub(crate) async fn read_answer<R: AsyncRead + Unpin>(
    stream: &mut R,
) -> Result<Result<Bytes, RemoteError>, FrameError> {
    read_version(stream).await?;
    let status = stream.read_u8().await?;
    let body_bytes = read_len(stream, REQUEST_BODY_BYTES_MAX).await?;
    let body = read_body(stream, body_bytes).await?;
    if status == 0 {
        return Ok(Ok(body));
    }
    RemoteError::from_code(status).map(Err).ok_or(FrameError::Code { got: status })
}

pub(crate) async fn write_stream_head<W: AsyncWrite + Unpin>(stream: &mut W, lane: Lane) -> Result<(), FrameError> {
    Ok(stream.write_all(&[VERSION, lane.tag()]).await?)
}

pub(crate) async fn read_stream_head<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Lane, FrameError> {
    read_version(stream).await?;
    let got = stream.read_u8().await?;
    Lane::from_tag(got).ok_or(FrameError::Code { got })
}

pub(crate) async fn write_message<W: AsyncWrite + Unpin>(stream: &mut W, message: &[u8]) -> Result<(), FrameError> {
    let len = bounded_len(message.len(), MESSAGE_BYTES_MAX)?;
    stream.write_all(&len.to_le_bytes()).await?;
    stream.write_all(message).await?;
    Ok(())
}

pub(crate) async fn read_message<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Bytes, FrameError> {
    let len = read_len(stream, MESSAGE_BYTES_MAX).await?;
    read_body(stream, len).await
}

/// Writes `version:u8 len:u32 bytes`, the one frame of an enrolment in each direction.
pub(crate) async fn write_block<W: AsyncWrite + Unpin>(
    stream: &mut W,
    bytes: &[u8],
    max: usize,
) -> Result<(), FrameError> {
    let len = bounded_len(bytes.len(), max)?;
    stream.write_u8(VERSION).await?;
    stream.write_all(&len.to_le_bytes()).await?;
    stream.write_all(bytes).await?;
    Ok(())
}

/// Reads what [`write_block`] wrote.
pub(crate) async fn read_block<R: AsyncRead + Unpin>(stream: &mut R, max: usize) -> Result<Bytes, FrameError> {
    read_version(stream).await?;
    let len = read_len(stream, max).await?;
    read_body(stream, len).await
}

/// A probe as a datagram: `version:u8 message`.
pub(crate) fn datagram(message: &[u8]) -> Bytes {
    let mut datagram = BytesMut::with_capacity(message.len() + 1);
    datagram.put_u8(DATAGRAM_VERSION);
    datagram.put_slice(message);
    datagram.freeze()
}

/// Reads exactly `len` bytes; memory grows with what arrives, not with what was announced.
pub(crate) async fn read_body<R: AsyncRead + Unpin>(stream: &mut R, len: usize) -> Result<Bytes, FrameError> {
    let mut body = Vec::with_capacity(len.min(FIRST_ALLOCATION_BYTES));
    stream.take(len as u64).read_to_end(&mut body).await?;
    if body.len() < len {
        return Err(FrameError::Stream(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(body.into())
}

async fn read_version<R: AsyncRead + Unpin>(stream: &mut R) -> Result<(), FrameError> {
    match stream.read_u8().await? {
        VERSION => Ok(()),
        got => Err(FrameError::Version { got }),
    }
}

pub(super) async fn read_len<R: AsyncRead + Unpin>(stream: &mut R, max: usize) -> Result<usize, FrameError> {
    let got = usize::try_from(stream.read_u32_le().await?).unwrap_or(usize::MAX);
    if got > max {
        return Err(FrameError::TooLong { got, max });
    }
    Ok(got)
}

pub(super) fn bounded_len(got: usize, max: usize) -> Result<u32, FrameError> {
    u32::try_from(got).ok().filter(|_| got <= max).ok_or(FrameError::TooLong { got, max })
}

const VERSION: u8 = 1;
/// First byte of a datagram; the rest is the message.
pub(crate) const DATAGRAM_VERSION: u8 = 1;
const FIRST_ALLOCATION_BYTES: usize = 16 << 10;

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
