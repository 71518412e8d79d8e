//! An answer that is read line by line while the node still writes it.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use tokio::task::JoinSet;

use super::answer::{ANSWER_BYTES_MAX, ClientError, Door};

/// The lines of an answer that may go on for as long as the node runs.
#[derive(Debug)]
pub struct Lines {
    door: Door,
    body: Incoming,
    read: BytesMut,
    /// Ends the connection with this value.
    _connection: JoinSet<Result<(), hyper::Error>>,
}

impl Lines {
    pub(super) fn new(door: Door, body: Incoming, connection: JoinSet<Result<(), hyper::Error>>) -> Self {
        Self { door, body, read: BytesMut::new(), _connection: connection }
    }

    /// The next line without its end, as soon as it is there; nothing at the end of the answer. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Http`] where the conversation broke off, [`ClientError::TooLarge`] for a line that no node writes.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.read[searched..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.read.split_to(searched + end + 1);
                line.truncate(line.len() - 1);
                return Ok(Some(line.freeze()));
            }
            searched = self.read.len();
            if searched > ANSWER_BYTES_MAX {
                return Err(ClientError::TooLarge);
            }
            let Some(frame) = self.body.frame().await else {
                let rest = self.read.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            };
            let frame = frame.map_err(|source| ClientError::Http { door: self.door.clone(), source })?;
            if let Ok(data) = Frame::into_data(frame) {
                self.read.extend_from_slice(&data);
            }
        }
    }
}
