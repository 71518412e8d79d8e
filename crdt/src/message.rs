//! What replicas of one placement group say to each other, link by link.

use hedgerow_protocol::{
    id::PlacementEpoch,
    session_id::{GroupId, SessionId},
};
use serde::{Deserialize, Serialize};

use crate::{
    frame::{FrameError, Lsn, Origin, SealedFrame},
    heads::ChangeHash,
    limits::{MESSAGE_BYTES_MAX, VECTOR_ENTRIES_MAX, WANTED_CHANGES_MAX},
};

/// A message between two replicas of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncMessage {
    /// Which group; the driver hands the message to that group's machine.
    pub group: GroupId,
    /// The last placement that the sender follows; 0 if none. What it says it holds counts for a hand-over only if that is no
    /// earlier than the receiver's: a holder that does not know yet that it is one may drop what it has.
    pub placement: PlacementEpoch,
    /// What is said.
    pub body: SyncBody,
}

/// What a replica says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncBody {
    /// Frames, pushed after a commit or in answer to [`Ask::Frames`] or [`SyncBody::Want`]. Their signatures are unchecked.
    Frames(Vec<SealedFrame>),
    /// The sender holds these origins durably up to these numbers, without a gap.
    Ack(Vec<Held>),
    /// All that the sender holds durably, and what it asks for in return.
    Vector {
        /// One entry per origin, without repeats.
        held: Vec<Held>,
        /// What is asked for.
        ask: Ask,
    },
    /// Asks for the frames that contain these changes: the repair of one document.
    Want {
        /// Which session.
        session: SessionId,
        /// Hashes of changes that the sender lacks.
        changes: Vec<ChangeHash>,
    },
}

/// How far one replica holds the records of one origin durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whose records.
    pub origin: Origin,
    /// All up to and including this one.
    pub durable: Lsn,
}

/// What a vector asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Nothing: it is an answer.
    Nothing,
    /// The other's vector.
    Vector,
    /// Frames beyond this vector, oldest first, as many as one answer holds.
    Frames,
}

/// Why bytes are no message between replicas; the sender is broken, hostile or of another release. Drop the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Longer than [`MESSAGE_BYTES_MAX`].
    #[error("read a replication message of {bytes} bytes, at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes given.
        bytes: usize,
    },
    /// Written by a later release; upgrade this node.
    #[error("read a replication message of version {version}, this node knows version {MESSAGE_VERSION}")]
    UnsupportedVersion {
        /// The version found.
        version: u8,
    },
    /// Not the encoding of a message, or a list over its bound.
    #[error("read a malformed replication message")]
    Malformed,
    /// A frame in it does not read.
    #[error("read a frame in a replication message")]
    Frame(#[from] FrameError),
}

impl SyncMessage {
    /// The message for the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = match &self.body {
            SyncBody::Frames(frames) => BodyV1::Frames(frames.iter().map(SealedFrame::to_bytes).collect()),
            SyncBody::Ack(held) => BodyV1::Ack(held.clone()),
            SyncBody::Vector { held, ask } => BodyV1::Vector { held: held.clone(), ask: *ask },
            SyncBody::Want { session, changes } => BodyV1::Want { session: session.clone(), changes: changes.clone() },
        };
        let message = MessageV2 { group: self.group.clone(), placement: self.placement, body };
        postcard::to_extend(&message, vec![MESSAGE_VERSION]).expect("a vector takes any number of bytes")
    }

    /// Reads a message within its bounds.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLarge { bytes: bytes.len() });
        }
        let rest = match bytes.split_first() {
            Some((&MESSAGE_VERSION, rest)) => rest,
            Some((&version, _)) => return Err(MessageError::UnsupportedVersion { version }),
            None => return Err(MessageError::Malformed),
        };
        let Ok((MessageV2 { group, placement, body }, [])) = postcard::take_from_bytes::<MessageV2>(rest) else {
            return Err(MessageError::Malformed);
        };
        let bounded = |length: usize, max: usize| if length <= max { Ok(()) } else { Err(MessageError::Malformed) };
        let body = match body {
            BodyV1::Frames(frames) => {
                let frames: Result<Vec<_>, FrameError> =
                    frames.iter().map(|bytes| SealedFrame::from_bytes(bytes)).collect();
                SyncBody::Frames(frames?)
            }
            BodyV1::Ack(held) => {
                bounded(held.len(), VECTOR_ENTRIES_MAX)?;
                SyncBody::Ack(held)
            }
            BodyV1::Vector { held, ask } => {
                bounded(held.len(), VECTOR_ENTRIES_MAX)?;
                SyncBody::Vector { held, ask }
            }
            BodyV1::Want { session, changes } => {
                bounded(changes.len(), WANTED_CHANGES_MAX)?;
                SyncBody::Want { session, changes }
            }
        };
        Ok(Self { group, placement, body })
    }
}

#[derive(Serialize, Deserialize)]
struct MessageV2 {
    group: GroupId,
    placement: PlacementEpoch,
    body: BodyV1,
}

#[derive(Serialize, Deserialize)]
enum BodyV1 {
    Frames(Vec<Vec<u8>>),
    Ack(Vec<Held>),
    Vector { held: Vec<Held>, ask: Ask },
    Want { session: SessionId, changes: Vec<ChangeHash> },
}

const MESSAGE_VERSION: u8 = 2;

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
