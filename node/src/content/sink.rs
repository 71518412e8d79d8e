//! Where checked ranges go.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};

use super::geometry::{Content, GroupRange};
use super::piece::Piece;

/// Takes pieces of one content, in any order and some of them twice.
pub trait Sink: std::fmt::Debug + Send + Sync + 'static {
    /// Of which content.
    fn content(&self) -> Content;

    /// The groups that it lacks, in ascending order.
    fn missing(&self) -> Vec<GroupRange>;

    /// Takes a piece. An error ends the transfer: there is no room, or the disk is broken.
    fn store(self: Arc<Self>, piece: Piece) -> BoxFuture<'static, io::Result<()>>;
}

/// Content that is gathered in memory.
#[derive(Debug)]
pub struct MemorySink {
    content: Content,
    bytes: Mutex<Vec<u8>>,
}

impl MemorySink {
    /// Memory for all of the content; the caller bounds its size.
    pub fn new(content: Content) -> Self {
        let length = usize::try_from(content.size()).expect("memory is addressed");
        Self { content, bytes: Mutex::new(vec![0; length]) }
    }

    /// What was gathered, with zeros where nothing arrived. It is empty afterwards.
    pub fn take(&self) -> Bytes {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Sink for MemorySink {
    fn content(&self) -> Content {
        self.content
    }

    fn missing(&self) -> Vec<GroupRange> {
        vec![self.content.whole()]
    }

    fn store(self: Arc<Self>, piece: Piece) -> BoxFuture<'static, io::Result<()>> {
        let start = usize::try_from(self.content.bytes(piece.range()).start).expect("memory is addressed");
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match bytes.get_mut(start..start + piece.data().len()) {
            Some(place) if piece.content() == self.content => {
                place.copy_from_slice(piece.data());
                Ok(())
            }
            Some(_) | None => Err(io::ErrorKind::InvalidInput.into()),
        };
        ready(outcome).boxed()
    }
}
