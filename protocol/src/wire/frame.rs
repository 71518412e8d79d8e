//! The frame around every message.

use super::message::Message;
use thiserror::Error;

/// Bytes that a frame may have, its length field included. A full page of facts fits.
pub const FRAME_MAX: usize = 256 * 1024;

/// Version of the messages in a frame. A node of a later release that sends another one keeps speaking this one to peers
/// that know no other.
pub const FRAME_VERSION: u8 = 1;

const LENGTH_BYTES: usize = 4;

/// Why bytes are not a frame; the sender is broken, hostile, or of another release. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// Longer than any frame may be.
    #[error("frame of {found} bytes, {FRAME_MAX} are the most")]
    TooLong {
        /// Bytes that there are.
        found: usize,
    },
    /// The length field and the number of bytes disagree, or there is not even a length field.
    #[error("frame whose length field does not match its {found} bytes")]
    Length {
        /// Bytes that there are.
        found: usize,
    },
    /// A version that this release does not know: upgrade the older of the two nodes.
    #[error("frame of version {0}, which this release does not know")]
    UnsupportedVersion(u8),
    /// A field out of its bounds, an unknown message, or bytes after its end.
    #[error("malformed message")]
    Malformed {
        /// What the decoder stumbled over; nothing when bytes were left over.
        #[source]
        source: Option<postcard::Error>,
    },
}

/// The frame of a message.
///
/// # Panics
/// When the message is longer than a frame, which the machines' own paging rules out.
#[must_use]
pub fn encode(message: &Message) -> Vec<u8> {
    let mut frame = vec![0; LENGTH_BYTES];
    frame.push(FRAME_VERSION);
    let mut frame = postcard::to_extend(message, frame).expect("postcard writes every message into memory");
    assert!(frame.len() <= FRAME_MAX, "messages are paged to fit a frame, this one has {} bytes", frame.len());
    let length = u32::try_from(frame.len() - LENGTH_BYTES).expect("a frame is far shorter than 4 GiB");
    for (place, byte) in frame.iter_mut().zip(length.to_be_bytes()) {
        *place = byte;
    }
    frame
}

/// Reads one whole frame. Signatures inside are not checked.
///
/// # Errors
/// [`WireError`].
pub fn decode(bytes: &[u8]) -> Result<Message, WireError> {
    let found = bytes.len();
    if found > FRAME_MAX {
        return Err(WireError::TooLong { found });
    }
    let (length, body) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(WireError::Length { found })?;
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(body.len()) {
        return Err(WireError::Length { found });
    }
    match body.split_first() {
        None => Err(WireError::Length { found }),
        Some((&FRAME_VERSION, message)) => match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            Ok((_message, _rest)) => Err(WireError::Malformed { source: None }),
            Err(source) => Err(WireError::Malformed { source: Some(source) }),
        },
        Some((&version, _message)) => Err(WireError::UnsupportedVersion(version)),
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
