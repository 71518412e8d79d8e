//! The client side: a request finds a replica here or on the best peer that has one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hedgerow_attest::id::NodeId;
use hedgerow_crdt::etag::{CausalToken, Etag};
use hedgerow_crdt::ops::SessionOp;
use hedgerow_crdt::replica::{Read, Write};
use hedgerow_protocol::name::{ClassName, Namespace};
use hedgerow_protocol::placement::{PlacementError, replica_set};
use hedgerow_protocol::session_id::SessionId;
use hedgerow_protocol::view::{MemberState, MeshView};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use super::answer::{Refused, SessionAnswer};
use super::call::{Parsed, SessionCall};
use super::group::GroupInput;
use super::groups::Groups;
use super::local::LocalSession;
use crate::net::{Net, Protocol, RemoteError, RequestError};
use crate::observe::mono;

/// The name of session requests on the rpc lane.
pub const SESSION_PROTOCOL: Protocol = Protocol::new("session/1");

/// What a forwarded request is given on top of its own time, so that the replica's answer at its deadline still arrives.
const FORWARD_GRACE: Duration = Duration::from_millis(250);

/// A write of a client.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// What to do, all or nothing.
    pub ops: Vec<SessionOp>,
    /// Write only if the session is in this state at the replica.
    pub if_match: Option<Etag>,
    /// Durable copies before it counts as done; the class's number when left out.
    pub quorum: Option<u8>,
    /// After this it is answered with what was reached.
    pub timeout: Duration,
}

/// A read of a client.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// What the answer must contain.
    pub min: Option<CausalToken>,
    /// How long to wait for that.
    pub timeout: Duration,
}

/// Either of them on its way.
enum Request {
    Write(WriteRequest),
    Read(ReadRequest),
}

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum SessionError {
    /// This node's region has no cell yet: its genesis, or the first contact with the cell, is still to come.
    #[error("find the cell of this node's region")]
    NoCell,
    /// Nobody is known to hold the session.
    #[error("find the session's replicas")]
    Placement(#[from] PlacementError),
    /// No replica answered. Nothing was written, as far as this node knows.
    #[error("reach a replica of the session, of {replicas}")]
    Unreachable {
        /// How many there are.
        replicas: usize,
    },
    /// A replica was asked and its answer did not come. A write may or may not have been made: read before repeating it.
    #[error("hear a replica out")]
    Unknown(#[source] RequestError),
    /// A replica of another release answered.
    #[error("read a replica's answer")]
    Answer,
}

/// A cheap handle for clients of sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    me: NodeId,
    groups: Groups,
    net: Net,
    view: watch::Receiver<Arc<MeshView>>,
}

impl Sessions {
    /// A handle over this node's groups.
    pub fn new(me: NodeId, groups: Groups, net: Net, view: watch::Receiver<Arc<MeshView>>) -> Self {
        Self { me, groups, net, view }
    }

    /// The session that an application calls `key`, born in this node's cell.
    pub fn named(&self, class: ClassName, namespace: Namespace, key: &str) -> Result<SessionId, SessionError> {
        let cell = self.view.borrow().cell.ok_or(SessionError::NoCell)?;
        let session = SessionId::named(cell, class, namespace, key);
        // A class that nobody could place is refused here rather than at the first write.
        match replica_set(&self.view.borrow(), &session) {
            Err(error @ (PlacementError::UnknownClass(_) | PlacementError::Forbidden(_))) => Err(error.into()),
            Ok(_) | Err(_) => Ok(session),
        }
    }

    /// Writes through the nearest replica.
    pub async fn write(&self, session: &SessionId, request: WriteRequest) -> Result<SessionAnswer, SessionError> {
        let call = SessionCall::Write {
            session: session.to_string(),
            ops: request.ops.clone(),
            if_match: request.if_match.map(|tag| tag.to_string()),
            quorum: request.quorum,
        };
        self.route(session, &call, Request::Write(request)).await
    }

    /// Reads from the nearest replica.
    pub async fn read(&self, session: &SessionId, request: ReadRequest) -> Result<SessionAnswer, SessionError> {
        let min = request.min.as_ref().map(ToString::to_string);
        let call = SessionCall::Read { session: session.to_string(), min };
        self.route(session, &call, Request::Read(request)).await
    }

    /// Serves a request that another node forwarded: here or not at all.
    pub async fn serve(&self, body: &Bytes, timeout: Duration) -> Result<Bytes, RemoteError> {
        let call = SessionCall::from_bytes(body).and_then(|call| call.parse(timeout));
        let answer = match call {
            Ok(Parsed::Write(session, request)) => self.write_here(&session, request).await,
            Ok(Parsed::Read(session, request)) => self.read_here(&session, request).await,
            Err(error) => {
                tracing::debug!(%error, "refused a session call");
                return Err(RemoteError::Refused);
            }
        };
        Ok(Bytes::from(answer.to_bytes()))
    }

    /// The sessions that this node holds.
    pub async fn local(&self) -> Vec<LocalSession> {
        self.groups.sessions().await
    }

    /// Tries the replicas nearest first; goes on to the next one only where nothing can have been written.
    async fn route(
        &self,
        session: &SessionId,
        call: &SessionCall,
        request: Request,
    ) -> Result<SessionAnswer, SessionError> {
        let timeout = match &request {
            Request::Write(write) => write.timeout,
            Request::Read(read) => read.timeout,
        };
        let until = Instant::now() + timeout;
        let view = self.view.borrow().clone();
        let nodes = nearest_first(&view, &replica_set(&view, session)?.nodes);
        let body = Bytes::from(call.to_bytes());
        let mut last = None;
        for node in &nodes {
            let answer = match &request {
                _ if *node != self.me => self.ask(*node, body.clone(), until).await,
                Request::Write(write) => Ok(self.write_here(session, write.clone()).await),
                Request::Read(read) => Ok(self.read_here(session, read.clone()).await),
            };
            match answer {
                Ok(answer) if answer.is_elsewhere() => last = Some(answer),
                Ok(answer) => return Ok(answer),
                Err(Some(error)) if matches!(request, Request::Write(_)) => return Err(SessionError::Unknown(error)),
                Err(_) => {}
            }
        }
        last.ok_or(SessionError::Unreachable { replicas: nodes.len() })
    }

    /// Asks another node; the error is `None` where it certainly did nothing.
    async fn ask(&self, node: NodeId, body: Bytes, until: Instant) -> Result<SessionAnswer, Option<RequestError>> {
        let remaining = until.saturating_duration_since(Instant::now()) + FORWARD_GRACE;
        let outcome = self.net.request(node, SESSION_PROTOCOL, body, remaining).await;
        match &outcome {
            Ok(bytes) => SessionAnswer::from_bytes(bytes).ok_or(None),
            Err(RequestError::Remote(RemoteError::Deadline | RemoteError::Failed | RemoteError::TooLarge))
            | Err(RequestError::Deadline { .. } | RequestError::Lost(_)) => Err(outcome.err()),
            Err(RequestError::TooLong { .. } | RequestError::Unreachable(_) | RequestError::Remote(_)) => Err(None),
        }
    }

    async fn write_here(&self, session: &SessionId, request: WriteRequest) -> SessionAnswer {
        let WriteRequest { ops, if_match, quorum, timeout } = request;
        let (reply, answer) = oneshot::channel();
        let write = Write { request: 0, session: session.clone(), ops, if_match, quorum, deadline: mono() + timeout };
        self.put(session, GroupInput::Write(write, reply)).await;
        answer.await.map_or_else(|_ended| elsewhere(), Into::into)
    }

    async fn read_here(&self, session: &SessionId, request: ReadRequest) -> SessionAnswer {
        let (reply, answer) = oneshot::channel();
        let read = Read { request: 0, session: session.clone(), min: request.min, deadline: mono() + request.timeout };
        self.put(session, GroupInput::Read(read, reply)).await;
        answer.await.map_or_else(|_ended| elsewhere(), Into::into)
    }

    /// Hands a request to its group; where there is none the request is dropped, which its asker sees.
    async fn put(&self, session: &SessionId, input: GroupInput) {
        let group = session.group(hedgerow_protocol::session_id::GROUP_PREFIXES);
        if let Some(inbox) = self.groups.inbox(&group)
            && inbox.send(input).await.is_err()
        {
            tracing::debug!(%group, "a group has ended");
        }
    }
}

fn elsewhere() -> SessionAnswer {
    let detail = "answer for a group that is not on this node".to_owned();
    SessionAnswer::Refused { why: Refused::Elsewhere, detail }
}

/// This node first, then those that answer by round trip, then the others: a node that is believed dead may still be the only one left.
fn nearest_first(view: &MeshView, nodes: &[NodeId]) -> Vec<NodeId> {
    let mut nodes = nodes.to_vec();
    nodes.sort_by_key(|node| {
        let member = view.members.get(node);
        let silent = member.is_none_or(|member| !matches!(member.state, MemberState::Alive | MemberState::Draining));
        (*node != view.me, silent, member.and_then(|member| member.rtt_us).unwrap_or(u64::MAX))
    });
    nodes
}
