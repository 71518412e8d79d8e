//! The fixed frames of the bulk lane.

use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::content::{GroupRange, RANGE_GROUPS_MAX};
use crate::net::rpc::FrameError;

/// What is asked for on one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Ask {
    /// Small content of at most `max_bytes`, in one piece and without a proof.
    Whole { digest: Sha256Digest, max_bytes: u64 },
    /// A range of content with its proof.
    Range { blake3: Blake3Digest, range: GroupRange },
}

impl Ask {
    pub(super) fn encode(self) -> [u8; ASK_BYTES] {
        let (kind, digest, rest) = match self {
            Self::Whole { digest, max_bytes } => (0, *digest.as_bytes(), max_bytes),
            Self::Range { blake3, range } => {
                (1, *blake3.as_bytes(), u64::from(range.first()) | u64::from(range.count()) << 32)
            }
        };
        let mut frame = [0; ASK_BYTES];
        frame[0] = VERSION;
        frame[1] = kind;
        frame[2..34].copy_from_slice(&digest);
        frame[34..].copy_from_slice(&rest.to_le_bytes());
        frame
    }

    pub(in crate::net) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Self, FrameError> {
        version(stream).await?;
        let kind = stream.read_u8().await?;
        let mut digest = [0; 32];
        stream.read_exact(&mut digest).await?;
        match kind {
            0 => {
                let max_bytes = stream.read_u64_le().await?;
                Ok(Self::Whole { digest: Sha256Digest::from_bytes(digest), max_bytes })
            }
            1 => {
                let (first, count) = (stream.read_u32_le().await?, stream.read_u32_le().await?);
                let range = GroupRange::new(first, count).filter(|range| range.count() <= RANGE_GROUPS_MAX);
                let range = range.ok_or(FrameError::Range { first, count })?;
                Ok(Self::Range { blake3: Blake3Digest::from_bytes(digest), range })
            }
            got => Err(FrameError::Code { got }),
        }
    }
}

/// What stands before what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Answer {
    /// The content has so many bytes; what was asked for of it follows.
    Found { length: u64 },
    /// The node does not hold it.
    Absent,
    /// It is longer than the asker takes.
    TooLong { length: u64 },
    /// The node writes its limit of answers.
    Busy,
    /// The node holds some of it only.
    Partly,
}

impl Answer {
    pub(super) fn encode(self) -> [u8; ANSWER_BYTES] {
        let (status, length) = match self {
            Self::Found { length } => (0, length),
            Self::Absent => (1, 0),
            Self::TooLong { length } => (2, length),
            Self::Busy => (3, 0),
            Self::Partly => (4, 0),
        };
        let mut frame = [0; ANSWER_BYTES];
        frame[0] = VERSION;
        frame[1] = status;
        frame[2..].copy_from_slice(&length.to_le_bytes());
        frame
    }

    pub(in crate::net) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Self, FrameError> {
        version(stream).await?;
        let status = stream.read_u8().await?;
        let length = stream.read_u64_le().await?;
        match status {
            0 => Ok(Self::Found { length }),
            1 => Ok(Self::Absent),
            2 => Ok(Self::TooLong { length }),
            3 => Ok(Self::Busy),
            4 => Ok(Self::Partly),
            got => Err(FrameError::Code { got }),
        }
    }
}

async fn version<R: AsyncRead + Unpin>(stream: &mut R) -> Result<(), FrameError> {
    match stream.read_u8().await? {
        VERSION => Ok(()),
        got => Err(FrameError::Version { got }),
    }
}

const VERSION: u8 = 2;
const ASK_BYTES: usize = 42;
const ANSWER_BYTES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u32, count: u32) -> GroupRange {
        GroupRange::new(first, count).unwrap()
    }

    #[tokio::test]
    async fn frames_are_frozen_and_read_back() {
        let whole = Ask::Whole { digest: Sha256Digest::from_bytes([0xab; 32]), max_bytes: 0x0102 };
        let expected = [[2, 0].as_slice(), &[0xab; 32], &[2, 1, 0, 0, 0, 0, 0, 0]].concat();
        let part = Ask::Range { blake3: Blake3Digest::from_bytes([0xcd; 32]), range: range(0x0304, 64) };
        let ranged = [[2, 1].as_slice(), &[0xcd; 32], &[4, 3, 0, 0, 64, 0, 0, 0]].concat();
        for (ask, expected) in [(whole, expected), (part, ranged)] {
            let frame = ask.encode();
            assert_eq!(frame, expected.as_slice());
            assert_eq!(Ask::read(&mut frame.as_slice()).await.unwrap(), ask);
        }
        let answers = [
            (Answer::Found { length: 7 }, [2, 0, 7, 0, 0, 0, 0, 0, 0, 0]),
            (Answer::Absent, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            (Answer::TooLong { length: 0x0908 }, [2, 2, 8, 9, 0, 0, 0, 0, 0, 0]),
            (Answer::Busy, [2, 3, 0, 0, 0, 0, 0, 0, 0, 0]),
            (Answer::Partly, [2, 4, 0, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (answer, expected) in answers {
            assert_eq!(answer.encode(), expected);
            assert_eq!(Answer::read(&mut expected.as_slice()).await.unwrap(), answer);
        }
    }

    #[tokio::test]
    async fn other_versions_unknown_codes_and_ranges_that_are_none_are_refused() {
        let mut frame = Ask::Whole { digest: Sha256Digest::of(b""), max_bytes: 1 }.encode();
        frame[1] = 2;
        assert!(matches!(Ask::read(&mut frame.as_slice()).await, Err(FrameError::Code { got: 2 })));
        frame[0] = 1;
        assert!(matches!(Ask::read(&mut frame.as_slice()).await, Err(FrameError::Version { got: 1 })));
        let mut frame = Answer::Busy.encode();
        frame[1] = 5;
        assert!(matches!(Answer::read(&mut frame.as_slice()).await, Err(FrameError::Code { got: 5 })));
        for (first, count) in [(0, 0), (0, 65), (u32::MAX, 1)] {
            let mut frame = Ask::Range { blake3: Blake3Digest::of(b""), range: range(0, 1) }.encode();
            frame[34..38].copy_from_slice(&u32::to_le_bytes(first));
            frame[38..].copy_from_slice(&u32::to_le_bytes(count));
            let refused = Ask::read(&mut frame.as_slice()).await.unwrap_err();
            let expected = FrameError::Range { first, count };
            assert_eq!(format!("{refused:?}"), format!("{expected:?}"));
        }
        let cut =
            Ask::read(&mut &Ask::Range { blake3: Blake3Digest::of(b""), range: range(0, 1) }.encode()[..41]).await;
        assert!(matches!(cut, Err(FrameError::Stream(_))));
    }
}
