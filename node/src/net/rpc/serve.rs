//! Serving one rpc connection: requests, ordered streams and datagrams, each within its bounds.

use std::sync::Arc;

use bytes::Bytes;
use quinn::{ConnectionError, RecvStream, SendStream, WriteError};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::frame::{
    DATAGRAM_VERSION, FrameError, RemoteError, read_body, read_message, read_stream_head, write_answer,
};
use super::head::{AnswerCount, RequestHead, read_request_head};
use super::link::Link;
use super::links::Links;
use super::meet::MEET;
use super::parts::{AnswerSink, Part, STREAM_VERSION};
use crate::net::close::Close;
use crate::net::event::{NetEvent, Respond};
use crate::net::lane::Lane;
use crate::net::limits::FRAME_TIMEOUT;

impl Links {
    /// Serves a connection until it ends, and returns why it did.
    pub(super) async fn serve(&self, link: &Arc<Link>) -> ConnectionError {
        loop {
            tokio::select! {
                stream = link.connection.accept_bi() => match stream {
                    Ok((send, recv)) => self.take_request(link, send, recv),
                    Err(ended) => return ended,
                },
                stream = link.connection.accept_uni() => match stream {
                    Ok(recv) => {
                        let (links, link) = (self.clone(), link.clone());
                        self.tasks().spawn(async move { links.read_messages(&link, recv).await });
                    }
                    Err(ended) => return ended,
                },
                datagram = link.connection.read_datagram() => match datagram {
                    Ok(datagram) => self.deliver_datagram(link, &datagram),
                    Err(ended) => return ended,
                },
            }
        }
    }

    fn take_request(&self, link: &Arc<Link>, mut send: SendStream, recv: RecvStream) {
        let links = self.clone();
        match link.serving.clone().try_acquire_owned() {
            Ok(permit) => {
                let link = link.clone();
                self.tasks().spawn(async move { links.serve_request(&link, send, recv, permit).await });
            }
            Err(_full) => self.tasks().spawn(async move {
                // The unread request is stopped when its stream is dropped.
                if let Err(error) = answer(&mut send, Err(RemoteError::Overloaded)).await {
                    tracing::debug!(%error, "could not say overloaded");
                }
                drop(recv);
            }),
        }
    }

    async fn serve_request(
        &self,
        link: &Arc<Link>,
        mut send: SendStream,
        mut recv: RecvStream,
        permit: OwnedSemaphorePermit,
    ) {
        let from = link.member.node();
        let result = match timeout(FRAME_TIMEOUT, read_request_head(&mut recv)).await {
            Ok(Ok(head)) if head.answers == AnswerCount::Stream => {
                self.answer_all(link, head, send, &mut recv).await;
                return drop(permit);
            }
            Ok(Ok(head)) => self.work(link, head, &send, &mut recv).await,
            Ok(Err(FrameError::TooLong { .. })) => Err(RemoteError::TooLarge),
            Ok(Err(FrameError::Stream(_))) => return, // the caller left
            Ok(Err(error)) => {
                tracing::info!(%from, %error, "malformed request");
                Err(RemoteError::Refused)
            }
            Err(_elapsed) => Err(RemoteError::Deadline),
        };
        let result = result.as_ref().map(AsRef::as_ref).map_err(|error| *error);
        match timeout(FRAME_TIMEOUT, answer(&mut send, result)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%from, %error, "could not answer a request"),
            Err(_elapsed) => tracing::debug!(%from, "the caller did not take its answer"),
        }
        drop(permit);
    }

    /// Reads the body, hands the request up, and waits for the answer.
    async fn work(
        &self,
        link: &Arc<Link>,
        head: RequestHead,
        send: &SendStream,
        recv: &mut RecvStream,
    ) -> Result<Bytes, RemoteError> {
        link.works();
        let deadline = Instant::now() + head.remaining;
        let work = async {
            let (budget, body) = self.body(link, &head, recv).await?;
            if head.protocol == MEET {
                return self.agree_to_meet(link, &body);
            }
            let (respond, answer) = Respond::channel();
            let (from, trace) = (link.member.node(), head.trace);
            let request = NetEvent::Request { from, protocol: head.protocol, body, deadline, trace, respond };
            self.events().send(request).await.map_err(|_closed| RemoteError::Failed)?;
            let answer = tokio::select! {
                answer = answer => answer.unwrap_or(Err(RemoteError::Failed)),
                _left = send.stopped() => Err(RemoteError::Failed), // nobody waits any more
            };
            drop(budget);
            answer
        };
        timeout_at(deadline, work).await.unwrap_or(Err(RemoteError::Deadline))
    }

    /// The body of a request, and what it takes of the bytes that are held for all.
    /// Each peer has a share of it: one that announces bodies and sends none holds up itself.
    async fn body<'a>(
        &'a self,
        link: &'a Link,
        head: &RequestHead,
        recv: &mut RecvStream,
    ) -> Result<([SemaphorePermit<'a>; 2], Bytes), RemoteError> {
        let kibibytes = u32::try_from(head.body_bytes.div_ceil(1024)).map_err(|_too_many| RemoteError::TooLarge)?;
        let failed = |_closed| RemoteError::Failed;
        let share = link.bodies.acquire_many(kibibytes).await.map_err(failed)?;
        let budget = self.body_budget().acquire_many(kibibytes).await.map_err(failed)?;
        let body = read_body(recv, head.body_bytes).await.map_err(|_broken| RemoteError::Refused)?;
        Ok(([share, budget], body))
    }

    /// Reads the body, hands the request up, and writes its answers as the caller takes them.
    async fn answer_all(&self, link: &Arc<Link>, head: RequestHead, mut send: SendStream, recv: &mut RecvStream) {
        link.works();
        let (from, deadline) = (link.member.node(), Instant::now() + head.remaining);
        let work = async {
            send.write_all(&[STREAM_VERSION]).await?;
            let (budget, body) = match self.body(link, &head, recv).await {
                Ok(taken) => taken,
                Err(error) => return write_part(&mut send, Part::Failed(error)).await,
            };
            let (answers, mut parts) = AnswerSink::channel();
            let (protocol, trace) = (head.protocol, head.trace);
            let request = NetEvent::StreamRequest { from, protocol, body, deadline, trace, answers };
            if self.events().send(request).await.is_err() {
                return write_part(&mut send, Part::Failed(RemoteError::Failed)).await;
            }
            // Who gives answers for long does not hold on to what was asked.
            drop(budget);
            loop {
                let part = tokio::select! {
                    part = parts.recv() => part.unwrap_or(Part::Failed(RemoteError::Failed)).bounded(),
                    _left = send.stopped() => return Ok(()), // nobody waits any more
                };
                let is_last = part.is_last();
                link.works();
                write_part(&mut send, part).await?;
                if is_last {
                    return Ok(());
                }
            }
        };
        match timeout_at(deadline, work).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%from, %error, "could not give all answers"),
            // It may stand in the middle of a part: the caller, whose time is over too, sees no more of it.
            Err(_elapsed) => tracing::debug!(%from, "the time of a stream of answers is over"),
        }
    }

    async fn read_messages(&self, link: &Arc<Link>, mut recv: RecvStream) {
        let from = link.member.node();
        let ended = async {
            let lane = read_stream_head(&mut recv).await?;
            loop {
                let bytes = read_message(&mut recv).await?;
                if lane == Lane::Session {
                    link.works();
                }
                let message = NetEvent::Message { from, lane, bytes };
                if self.events().send(message).await.is_err() {
                    return Ok(());
                }
            }
        };
        match ended.await {
            Ok(()) | Err(FrameError::Stream(_)) => {} // the node stops, or the stream's writer went on elsewhere
            Err(error) => {
                tracing::info!(%from, %error, "malformed message; closing the link");
                Close::Protocol.close(&link.connection);
            }
        }
    }

    fn deliver_datagram(&self, link: &Arc<Link>, datagram: &Bytes) {
        let Some((&DATAGRAM_VERSION, _)) = datagram.split_first() else {
            tracing::debug!(from = %link.member.node(), "datagram of an unknown version");
            return;
        };
        let message = NetEvent::Message { from: link.member.node(), lane: Lane::Probe, bytes: datagram.slice(1..) };
        if self.events().try_send(message).is_err() {
            self.losses().count_undelivered();
        }
    }
}

async fn write_part(send: &mut SendStream, part: Part) -> Result<(), WriteError> {
    let is_last = part.is_last();
    for bytes in part.encode() {
        send.write_chunk(bytes).await?;
    }
    if is_last && send.finish().is_err() {
        tracing::trace!("the caller stopped a stream that was over");
    }
    Ok(())
}

async fn answer(send: &mut SendStream, answer: Result<&[u8], RemoteError>) -> Result<(), FrameError> {
    write_answer(send, answer).await?;
    send.finish().map_err(|closed| FrameError::Stream(closed.into()))
}
