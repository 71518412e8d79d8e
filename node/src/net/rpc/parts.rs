//! The answers of a request that waits for a stream of them.
//!
//! On the answering half of the request's QUIC stream: parts `code:u8 len:u32 bytes` after a version byte `2`. Code 0 is an
//! answer, 1 to 6 a [`RemoteError`] and 255 the end, both without bytes and the last of all. A stream that ends without
//! such a part was cut short.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use quinn::RecvStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::frame::{FrameError, RemoteError};
use super::link::Link;
use super::request::RequestError;
use crate::net::limits::STREAMED_BYTES_MAX;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Answer(Bytes),
    Failed(RemoteError),
    End,
}

impl Part {
    /// The same, but for an answer above [`STREAMED_BYTES_MAX`], which becomes an error.
    pub(super) fn bounded(self) -> Self {
        match self {
            Self::Answer(bytes) if bytes.len() > STREAMED_BYTES_MAX => Self::Failed(RemoteError::TooLarge),
            fits => fits,
        }
    }

    /// Whether no other comes after it.
    pub(super) fn is_last(&self) -> bool {
        !matches!(self, Self::Answer(_))
    }

    /// The bytes for the stream, of a part that is bounded.
    pub(super) fn encode(self) -> [Bytes; 2] {
        let (code, bytes) = match self {
            Self::Answer(bytes) => (0, bytes),
            Self::Failed(error) => (error.code(), Bytes::new()),
            Self::End => (END, Bytes::new()),
        };
        let len = u32::try_from(bytes.len()).expect("STREAMED_BYTES_MAX fits");
        let mut head = [code, 0, 0, 0, 0];
        head[1..].copy_from_slice(&len.to_le_bytes());
        [Bytes::copy_from_slice(&head), bytes]
    }

    /// Takes the next whole part off what has arrived; nothing while some of it is missing.
    pub(crate) fn take(arrived: &mut BytesMut) -> Result<Option<Self>, FrameError> {
        let Some((&[code, a, b, c, d], _)) = arrived.split_first_chunk() else { return Ok(None) };
        let len = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let max = if code == 0 { STREAMED_BYTES_MAX } else { 0 };
        if len > max {
            return Err(FrameError::TooLong { got: len, max });
        }
        if arrived.len() < PART_HEAD_BYTES + len {
            return Ok(None);
        }
        arrived.advance(PART_HEAD_BYTES);
        let bytes = arrived.split_to(len).freeze();
        match (code, RemoteError::from_code(code)) {
            (0, _) => Ok(Some(Self::Answer(bytes))),
            (END, _) => Ok(Some(Self::End)),
            (_, Some(error)) => Ok(Some(Self::Failed(error))),
            (got, None) => Err(FrameError::Code { got }),
        }
    }
}

/// The answers to a request, in the order in which the member gives them. It gives no more than are taken; dropping this
/// tells it to stop.
#[derive(Debug)]
pub struct Answers {
    link: Arc<Link>,
    recv: RecvStream,
    arrived: BytesMut,
    deadline: Duration,
    until: Instant,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unversioned,
    Open,
    Over,
}

impl Answers {
    pub(super) fn new(link: Arc<Link>, recv: RecvStream, deadline: Duration, until: Instant) -> Self {
        Self { link, recv, arrived: BytesMut::new(), deadline, until, state: State::Unversioned }
    }

    /// The next answer; nothing once the member has given all of them. After an error there is nothing either. A future of this
    /// that is dropped loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, RequestError>> {
        if self.state == State::Over {
            return None;
        }
        let next = match timeout_at(self.until, self.part()).await {
            Ok(Ok(Part::Answer(bytes))) => return Some(Ok(bytes)),
            Ok(Ok(Part::End)) => None,
            Ok(Ok(Part::Failed(error))) => Some(Err(RequestError::Remote(error))),
            Ok(Err(error)) => Some(Err(RequestError::Lost(error))),
            Err(_elapsed) => Some(Err(RequestError::Deadline { after: self.deadline })),
        };
        self.state = State::Over;
        next
    }

    async fn part(&mut self) -> Result<Part, FrameError> {
        loop {
            if self.state == State::Unversioned && !self.arrived.is_empty() {
                match self.arrived.get_u8() {
                    // A member that serves no stream refuses as it does any request, and a refusal has the form of a part.
                    1 | STREAM_VERSION => self.state = State::Open,
                    got => return Err(FrameError::Version { got }),
                }
            }
            if self.state == State::Open
                && let Some(part) = Part::take(&mut self.arrived)?
            {
                self.link.works();
                return Ok(part);
            }
            let chunk =
                self.recv.read_chunk(CHUNK_BYTES, true).await.map_err(|error| FrameError::Stream(error.into()))?;
            let chunk = chunk.ok_or_else(|| FrameError::Stream(std::io::ErrorKind::UnexpectedEof.into()))?;
            self.arrived.extend_from_slice(&chunk.bytes);
        }
    }
}

/// Where the answers to one request go. Dropping it unfinished tells the caller [`RemoteError::Failed`].
#[derive(Debug)]
pub struct AnswerSink(mpsc::Sender<Part>);

/// The caller waits no more: its link is gone, its time is over, or it has seen enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give an answer to a caller that waits no more")]
pub struct CallerLeft;

impl AnswerSink {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Part>) {
        let (tx, rx) = mpsc::channel(PARTS_QUEUE);
        (Self(tx), rx)
    }

    /// Gives one answer, at most [`STREAMED_BYTES_MAX`]; waits while the caller takes none.
    ///
    /// # Errors
    /// [`CallerLeft`]: there is nobody to work for.
    pub async fn give(&self, answer: Bytes) -> Result<(), CallerLeft> {
        self.0.send(Part::Answer(answer)).await.map_err(|_closed| CallerLeft)
    }

    /// Says that these were all.
    pub async fn finish(self) {
        self.end(Part::End).await;
    }

    /// Says why there are no more.
    pub async fn fail(self, error: RemoteError) {
        self.end(Part::Failed(error)).await;
    }

    /// Ends when the caller waits no more.
    pub async fn abandoned(&self) {
        self.0.closed().await;
    }

    async fn end(self, part: Part) {
        if self.0.send(part).await.is_err() {
            tracing::debug!("answers ended after their asker had left");
        }
    }
}

/// First byte of the answering half of a stream.
pub(super) const STREAM_VERSION: u8 = 2;
const PART_HEAD_BYTES: usize = 5;
const END: u8 = 255;
/// Answers between who gives them and the stream: what the caller does not take waits here, then with who gives them.
const PARTS_QUEUE: usize = 2;
/// What is read at once; more than a part is never kept.
const CHUNK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(parts: &[Part]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for part in parts {
            for piece in part.clone().encode() {
                bytes.extend_from_slice(&piece);
            }
        }
        bytes
    }

    fn all(mut arrived: BytesMut) -> Vec<Part> {
        std::iter::from_fn(|| Part::take(&mut arrived).unwrap()).collect()
    }

    #[test]
    fn parts_are_frozen_and_read_back() {
        let parts = [Part::Answer(Bytes::from_static(b"ab")), Part::Failed(RemoteError::Refused), Part::End];
        let bytes = encoded(&parts);
        assert_eq!(data_encoding::HEXLOWER.encode(&bytes), "000200000061620500000000ff00000000");
        assert_eq!(all(bytes), parts);
    }

    #[test]
    fn lengths_and_codes_are_judged_before_anything_waits_for_more() {
        let take = |bytes: &[u8]| Part::take(&mut BytesMut::from(bytes));
        let max = u32::try_from(STREAMED_BYTES_MAX).unwrap();
        let [a, b, c, d] = (max + 1).to_le_bytes();
        assert!(matches!(take(&[0, a, b, c, d]), Err(FrameError::TooLong { max: STREAMED_BYTES_MAX, .. })));
        assert!(matches!(take(&[255, 1, 0, 0, 0, 9]), Err(FrameError::TooLong { got: 1, max: 0 })));
        assert!(matches!(take(&[7, 0, 0, 0, 0]), Err(FrameError::Code { got: 7 })));
        let [a, b, c, d] = max.to_le_bytes();
        assert!(matches!(take(&[0, a, b, c, d]), Ok(None)), "the longest is waited for");
        let long = Part::Answer(Bytes::from(vec![0; STREAMED_BYTES_MAX + 1]));
        assert_eq!(long.bounded(), Part::Failed(RemoteError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_parts(
            lengths in proptest::collection::vec(0_usize..200, 0..8),
            cut in 1_usize..40,
        ) {
            let parts: Vec<_> = lengths.iter().map(|len| Part::Answer(Bytes::from(vec![7; *len]))).collect();
            let (mut arrived, mut taken) = (BytesMut::new(), Vec::new());
            for piece in encoded(&parts).chunks(cut) {
                arrived.extend_from_slice(piece);
                while let Some(part) = Part::take(&mut arrived).unwrap() {
                    taken.push(part);
                }
            }
            prop_assert_eq!(taken, parts);
            prop_assert!(arrived.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut arrived = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = Part::take(&mut arrived) {}
        }
    }
}
