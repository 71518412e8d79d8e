//! Requests: one bidirectional stream each, under one deadline.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use tokio::time::Instant;

use super::frame::{FrameError, Protocol, RemoteError, read_answer};
use super::head::{AnswerCount, RequestHead, write_request};
use super::link::Link;
use super::link_error::LinkError;
use super::links::Links;
use super::parts::Answers;
use crate::net::event::NetEvent;
use crate::net::limits::REQUEST_BODY_BYTES_MAX;
use crate::observe::current_trace;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The body is longer than a frame holds; nothing was sent.
    #[error("a request of {got} bytes, at most {REQUEST_BODY_BYTES_MAX} are sent")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// There is no link to the member; nothing was sent.
    #[error("no link to the node")]
    Unreachable(#[source] LinkError),
    /// The deadline passed. The member may have served the request.
    #[error("no answer within the deadline of {} ms", .after.as_millis())]
    Deadline {
        /// The time allowed.
        after: Duration,
    },
    /// The link broke, or the answer was malformed. The member may have served the request.
    #[error("the answer was lost")]
    Lost(#[source] FrameError),
    /// The member answered with an error.
    #[error("the node answered with an error")]
    Remote(#[source] RemoteError),
}

/// A request that has had no answer for so long beyond a round trip is a reason to ask whether the member lives.
const IMPATIENCE: Duration = Duration::from_millis(500);

impl Links {
    pub(in crate::net) async fn request(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RequestError> {
        let (until, link) = (Instant::now() + deadline, self.used_link(to, &body, deadline).await?);
        let exchange = async {
            let answer = self.watched(&link, exchange(&link, &protocol, &body, until)).await;
            answer.map_err(RequestError::Lost)?.map_err(RequestError::Remote)
        };
        tokio::time::timeout_at(until, exchange).await.unwrap_or(Err(RequestError::Deadline { after: deadline }))
    }

    /// Asks for a stream of answers. What is returned has not heard from the member yet.
    pub(in crate::net) async fn stream(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Answers, RequestError> {
        let (until, link) = (Instant::now() + deadline, self.used_link(to, &body, deadline).await?);
        let asking = async {
            let (mut send, recv) = link.connection.open_bi().await.map_err(FrameError::connection)?;
            let head = head(&protocol, AnswerCount::Stream, until, &body);
            write_request(&mut send, &head, &body).await?;
            if send.finish().is_err() {
                tracing::trace!("the peer stopped a request it had read");
            }
            Ok(Answers::new(link.clone(), recv, deadline, until))
        };
        let asked = tokio::time::timeout_at(until, asking).await;
        asked.map_or(Err(RequestError::Deadline { after: deadline }), |asked| asked.map_err(RequestError::Lost))
    }

    /// The link for a request with this body.
    async fn used_link(&self, to: NodeId, body: &Bytes, deadline: Duration) -> Result<Arc<Link>, RequestError> {
        if body.len() > REQUEST_BODY_BYTES_MAX {
            return Err(RequestError::TooLong { got: body.len() });
        }
        let link = self.link_within(to, deadline).await.map_err(RequestError::Unreachable)?;
        if self.table(|table, _| table.member(to)).is_some_and(|member| member.is_use_news()) {
            self.tell(NetEvent::LinkUsed { peer: to });
        }
        link.works();
        Ok(link)
    }

    /// Waits for an answer, and tells those above when it takes long.
    async fn watched<T>(&self, link: &Link, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        let patience = IMPATIENCE + link.connection.rtt();
        if let Ok(answer) = tokio::time::timeout(patience, &mut answer).await {
            return answer;
        }
        self.tell(NetEvent::LinkUnanswered { peer: link.member.node() });
        let answer = answer.await;
        link.works();
        answer
    }

    /// Hints for the failure detector: where those above are behind, one more would not help them.
    fn tell(&self, hint: NetEvent) {
        if let Err(error) = self.events().try_send(hint) {
            tracing::trace!(%error, "dropped a hint");
        }
    }

    /// Waits for a link to a member.
    pub(in crate::net) async fn reach(&self, to: NodeId, within: Duration) -> Result<(), LinkError> {
        self.link_within(to, within).await.map(|_link| ())
    }

    pub(super) async fn link_within(&self, to: NodeId, within: Duration) -> Result<Arc<Link>, LinkError> {
        let link = tokio::time::timeout(within, self.link(to)).await;
        link.unwrap_or(Err(LinkError::Slow { after: within }))
    }
}

/// Dropping this future resets nothing but stops the answer's stream, which tells the peer to give up.
pub(super) async fn exchange(
    link: &Arc<Link>,
    protocol: &Protocol,
    body: &[u8],
    until: Instant,
) -> Result<Result<Bytes, RemoteError>, FrameError> {
    let (mut send, mut recv) = link.connection.open_bi().await.map_err(FrameError::connection)?;
    let head = head(protocol, AnswerCount::One, until, body);
    // A peer that refuses before it has read everything stops our stream; its answer tells why.
    let written = write_request(&mut send, &head, body).await;
    if written.is_ok() && send.finish().is_err() {
        tracing::trace!("the peer stopped a request it had read");
    }
    match (read_answer(&mut recv).await, written) {
        (Ok(answer), _) => Ok(answer),
        (Err(_), Err(error)) => Err(error),
        (Err(error), Ok(())) => Err(error),
    }
}

/// The head of a request that belongs to the trace of this task.
fn head(protocol: &Protocol, answers: AnswerCount, until: Instant, body: &[u8]) -> RequestHead {
    let remaining = until.saturating_duration_since(Instant::now());
    RequestHead { protocol: protocol.clone(), remaining, answers, trace: current_trace(), body_bytes: body.len() }
}
