//! The fixed frames of the bulk lane.

use hedgerow_attest::digest::{Blake3Digest, Sha256Digest};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::net::event::ContentDigest;
use crate::net::rpc::FrameError;

/// Asks for content of at most `max_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) digest: ContentDigest,
    pub(super) max_bytes: u64,
}

impl Ask {
    pub(super) fn encode(self) -> [u8; ASK_BYTES] {
        let (kind, digest) = match self.digest {
            ContentDigest::Sha256(digest) => (0, *digest.as_bytes()),
            ContentDigest::Blake3(digest) => (1, *digest.as_bytes()),
        };
        let mut frame = [0; ASK_BYTES];
        frame[0] = VERSION;
        frame[1] = kind;
        frame[2..34].copy_from_slice(&digest);
        frame[34..].copy_from_slice(&self.max_bytes.to_le_bytes());
        frame
    }

    pub(super) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Self, FrameError> {
        version(stream).await?;
        let kind = stream.read_u8().await?;
        let mut digest = [0; 32];
        stream.read_exact(&mut digest).await?;
        let digest = match kind {
            0 => ContentDigest::Sha256(Sha256Digest::from_bytes(digest)),
            1 => ContentDigest::Blake3(Blake3Digest::from_bytes(digest)),
            got => return Err(FrameError::Code { got }),
        };
        let max_bytes = stream.read_u64_le().await?;
        Ok(Self { digest, max_bytes })
    }
}

/// What stands before the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// So many bytes follow.
    Found { length: u64 },
    /// The node does not hold it.
    Absent,
    /// It is longer than the asker takes.
    TooLong { length: u64 },
    /// The node writes its limit of answers.
    Busy,
}

impl Answer {
    pub(super) fn encode(self) -> [u8; ANSWER_BYTES] {
        let (status, length) = match self {
            Self::Found { length } => (0, length),
            Self::Absent => (1, 0),
            Self::TooLong { length } => (2, length),
            Self::Busy => (3, 0),
        };
        let mut frame = [0; ANSWER_BYTES];
        frame[0] = VERSION;
        frame[1] = status;
        frame[2..].copy_from_slice(&length.to_le_bytes());
        frame
    }

    pub(super) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Self, FrameError> {
        version(stream).await?;
        let status = stream.read_u8().await?;
        let length = stream.read_u64_le().await?;
        match status {
            0 => Ok(Self::Found { length }),
            1 => Ok(Self::Absent),
            2 => Ok(Self::TooLong { length }),
            3 => Ok(Self::Busy),
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

const VERSION: u8 = 1;
const ASK_BYTES: usize = 42;
const ANSWER_BYTES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_frozen_and_read_back() {
        let ask = Ask { digest: ContentDigest::Blake3(Blake3Digest::from_bytes([0xab; 32])), max_bytes: 0x0102 };
        let frame = ask.encode();
        let expected = [[1, 1].as_slice(), &[0xab; 32], &[2, 1, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(frame, expected.as_slice());
        assert_eq!(Ask::read(&mut frame.as_slice()).await.unwrap(), ask);

        for (status, answer) in
            (0_u8..).zip([Answer::Found { length: 7 }, Answer::Absent, Answer::TooLong { length: 9 }, Answer::Busy])
        {
            let frame = answer.encode();
            assert_eq!(frame[..2], [1, status]);
            assert_eq!(Answer::read(&mut frame.as_slice()).await.unwrap(), answer);
        }
    }

    #[tokio::test]
    async fn unknown_versions_and_codes_are_refused() {
        let mut frame = Ask { digest: ContentDigest::Sha256(Sha256Digest::of(b"")), max_bytes: 1 }.encode();
        frame[1] = 2;
        assert!(matches!(Ask::read(&mut frame.as_slice()).await, Err(FrameError::Code { got: 2 })));
        frame[0] = 9;
        assert!(matches!(Ask::read(&mut frame.as_slice()).await, Err(FrameError::Version { got: 9 })));
        let mut frame = Answer::Busy.encode();
        frame[1] = 4;
        assert!(matches!(Answer::read(&mut frame.as_slice()).await, Err(FrameError::Code { got: 4 })));
    }
}
