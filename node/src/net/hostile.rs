//! The decoders of this room, for [`crate::hostile`].

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;

use super::bulk::{Answer, Ask};
use super::certificate::Presented;
use super::limits::JOIN_ANSWER_BYTES_MAX;
use super::relay::{Frame, read_places};
use super::rpc::{Part, read_answer, read_block, read_body, read_message, read_request_head, read_stream_head};

/// The certificate of a TLS handshake.
pub(crate) fn takes_tls_certificate(der: &[u8]) -> bool {
    Presented::read(&der.into()).is_ok()
}

/// Places, as two that meet tell them.
pub(crate) fn takes_places(bytes: &[u8]) -> bool {
    read_places(bytes).is_some()
}

/// A frame of the relay lane.
pub(crate) fn takes_relay_frame(bytes: &[u8]) -> bool {
    Frame::parse(Bytes::copy_from_slice(bytes)).is_some()
}

/// A request: its head and its body.
pub(crate) async fn takes_request(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    match read_request_head(stream).await {
        Ok(head) => read_body(stream, head.body_bytes).await.is_ok(),
        Err(_) => false,
    }
}

/// A block of the join lane, of either end.
pub(crate) async fn takes_block(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    read_block(stream, JOIN_ANSWER_BYTES_MAX).await.is_ok()
}

/// The answer to a request.
pub(crate) async fn takes_answer(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    read_answer(stream).await.is_ok()
}

/// The answers of a stream of them, as far as they are whole.
pub(crate) fn takes_parts(bytes: &[u8]) -> bool {
    let mut arrived = BytesMut::from(bytes);
    loop {
        match Part::take(&mut arrived) {
            Ok(Some(_)) => {}
            Ok(None) => return arrived.is_empty(),
            Err(_) => return false,
        }
    }
}

/// A stream of one-way messages, to its end.
pub(crate) async fn takes_messages(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    if read_stream_head(stream).await.is_err() {
        return false;
    }
    loop {
        match read_message(stream).await {
            Ok(_) => {}
            Err(error) => {
                let ended = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
                return matches!(error, super::FrameError::Stream(error) if ended(&error));
            }
        }
    }
}

/// What is asked on the bulk lane.
pub(crate) async fn takes_bulk_ask(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    Ask::read(stream).await.is_ok()
}

/// What stands before the bytes of an answer on the bulk lane.
pub(crate) async fn takes_bulk_answer(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    Answer::read(stream).await.is_ok()
}
