//! The client side: a request finds a replica here or on the best peer that has one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_crdt::etag::{CausalToken, Etag};
use hedgerow_crdt::ops::SessionOp;
use hedgerow_crdt::replica::{Read, Write};
use hedgerow_protocol::name::{ClassName, Namespace};
use hedgerow_protocol::placement::{PlacementError, replica_set};
use hedgerow_protocol::session_id::{GROUP_PREFIXES, SessionId};
use hedgerow_protocol::view::{MemberState, MeshView};
use thiserror::Error;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{oneshot, watch};

use super::answer::{Refused, SessionAnswer};
use super::call::{Parsed, SessionCall};
use super::group::GroupInput;
use super::groups::Groups;
use super::local::LocalSession;
use super::sizes::{self, GroupBytes};
use crate::net::{Net, Protocol, RemoteError, RequestError};
use crate::observe::mono;
use crate::route::{Ask, hedged, patience};

/// The name of session requests on the rpc lane.
pub const SESSION_PROTOCOL: Protocol = Protocol::new("session/1");

/// What a forwarded request is given on top of its own time, so that the replica's answer at its deadline still arrives.
const FORWARD_GRACE: Duration = Duration::from_millis(250);
/// How far past its deadline a group may answer: one fsync of a slow disk.
const DISK_GRACE: Duration = Duration::from_secs(2);

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
    /// A replica answered in a form of another release. A write may or may not have been made: upgrade this node.
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

    /// How many groups are not handed over that this node holds from before the placement in force.
    pub fn open_groups(&self) -> usize {
        self.groups.open_groups()
    }

    /// Bytes of one copy of each group of a cell, as its holders say; a group of which none answers is left out.
    pub async fn sizes(&self, cell: CellId) -> GroupBytes {
        let view = self.view.borrow().clone();
        let own = self.groups.sizes(&view, &cell);
        sizes::ask(&self.net, &view, cell, own).await
    }

    /// Says the same of this node to another; the question is the 32 bytes of a cell.
    pub fn serve_sizes(&self, body: &Bytes) -> Result<Bytes, RemoteError> {
        let cell: [u8; 32] = body.as_ref().try_into().map_err(|_not_a_cell| RemoteError::Refused)?;
        Ok(sizes::encode(self.groups.sizes(&self.view.borrow(), &CellId::from_bytes(cell))))
    }

    /// The sessions that this node holds.
    pub async fn local(&self) -> Vec<LocalSession> {
        self.groups.sessions().await
    }

    /// Asks the replicas, nearest first.
    async fn route(
        &self,
        session: &SessionId,
        call: &SessionCall,
        request: Request,
    ) -> Result<SessionAnswer, SessionError> {
        let view = self.view.borrow().clone();
        // Who holds it by a former placement that counts has what those of today may still lack.
        let nodes = nearest_first(&view, &replica_set(&view, session)?.holders());
        let body = Bytes::from(call.to_bytes());
        match request {
            Request::Write(write) => self.write_somewhere(session, &nodes, &body, write).await,
            Request::Read(read) => self.read_somewhere(session, &view, &nodes, &body, read).await,
        }
    }

    /// A read changes nothing, so that a replica which is slow to answer is overtaken by the next one.
    async fn read_somewhere(
        &self,
        session: &SessionId,
        view: &MeshView,
        nodes: &[NodeId],
        body: &Bytes,
        read: ReadRequest,
    ) -> Result<SessionAnswer, SessionError> {
        let until = Instant::now() + read.timeout;
        let asks = nodes.iter().map(|node| {
            let (node, body, read) = (*node, body.clone(), read.clone());
            let ask = async move {
                if node == self.me {
                    let timeout = until.saturating_duration_since(Instant::now());
                    return useful_read(self.read_here(session, ReadRequest { timeout, ..read }).await);
                }
                match self.ask(node, body, until).await {
                    Ok(answer) => useful_read(answer),
                    Err(_silent) => Err(None),
                }
            };
            Ask { patience: patience(view.members.get(&node).and_then(|member| member.rtt_us)), ask }
        });
        let asks: Vec<_> = asks.collect();
        match hedged(asks).await {
            Ok(answer) => Ok(answer),
            Err(refusals) => {
                refusals.into_iter().flatten().next().ok_or(SessionError::Unreachable { replicas: nodes.len() })
            }
        }
    }

    /// Goes on to the next replica only where nothing can have been written. Those that cannot be reached share the time, so
    /// that one of them does not take all of it.
    async fn write_somewhere(
        &self,
        session: &SessionId,
        nodes: &[NodeId],
        body: &Bytes,
        write: WriteRequest,
    ) -> Result<SessionAnswer, SessionError> {
        let until = Instant::now() + write.timeout;
        let mut last = None;
        for (place, node) in nodes.iter().enumerate() {
            let remaining = until.saturating_duration_since(Instant::now());
            let answer = if *node == self.me {
                self.write_here(session, WriteRequest { timeout: remaining, ..write.clone() }).await
            } else {
                if let Err(error) = self.net.reach(*node, share(remaining, nodes.len() - place)).await {
                    tracing::debug!(%node, %error, "a replica was passed over");
                    continue;
                }
                match self.ask(*node, body.clone(), until).await {
                    Ok(answer) => answer,
                    Err(Unheard::Undone) => continue,
                    Err(Unheard::Unknown(error)) => return Err(SessionError::Unknown(error)),
                    Err(Unheard::Unread) => return Err(SessionError::Answer),
                }
            };
            if !answer.is_elsewhere() {
                return Ok(answer);
            }
            last = Some(answer);
        }
        last.ok_or(SessionError::Unreachable { replicas: nodes.len() })
    }

    /// Asks another node.
    async fn ask(&self, node: NodeId, body: Bytes, until: Instant) -> Result<SessionAnswer, Unheard> {
        let remaining = until.saturating_duration_since(Instant::now()) + FORWARD_GRACE;
        match self.net.request(node, SESSION_PROTOCOL, body, remaining).await {
            Ok(bytes) => SessionAnswer::from_bytes(&bytes).ok_or(Unheard::Unread),
            Err(
                error @ (RequestError::Remote(RemoteError::Deadline | RemoteError::Failed | RemoteError::TooLarge)
                | RequestError::Deadline { .. }
                | RequestError::Lost(_)),
            ) => Err(Unheard::Unknown(error)),
            Err(RequestError::TooLong { .. } | RequestError::Unreachable(_) | RequestError::Remote(_)) => {
                Err(Unheard::Undone)
            }
        }
    }

    async fn write_here(&self, session: &SessionId, request: WriteRequest) -> SessionAnswer {
        let WriteRequest { ops, if_match, quorum, timeout } = request;
        let (reply, answer) = oneshot::channel();
        let write = Write { request: 0, session: session.clone(), ops, if_match, quorum, deadline: mono() + timeout };
        self.put(session, GroupInput::Write(write, reply), answer, timeout).await
    }

    async fn read_here(&self, session: &SessionId, request: ReadRequest) -> SessionAnswer {
        let (reply, answer) = oneshot::channel();
        let read = Read { request: 0, session: session.clone(), min: request.min, deadline: mono() + request.timeout };
        self.put(session, GroupInput::Read(read, reply), answer, request.timeout).await
    }

    /// Hands a request to its group, which answers at the request's deadline unless the disk holds it up.
    async fn put(
        &self,
        session: &SessionId,
        input: GroupInput,
        answer: oneshot::Receiver<SessionAnswer>,
        timeout: Duration,
    ) -> SessionAnswer {
        let group = session.group(GROUP_PREFIXES);
        let Some(inbox) = self.groups.open(&group) else {
            return refused(Refused::Elsewhere, "answer for a group that is not on this node");
        };
        match inbox.send_timeout(input, timeout).await {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(_)) => return refused(Refused::Later, "take a request beside all that wait"),
            Err(SendTimeoutError::Closed(_)) => {
                return refused(Refused::Later, "answer for a group that has ended here");
            }
        }
        match tokio::time::timeout(timeout + DISK_GRACE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_ended)) => refused(Refused::Broken, "answer for a group that ended meanwhile"),
            Err(_elapsed) => refused(Refused::Broken, "write in time: the disk does not answer"),
        }
    }
}

/// Why another node's answer is not there.
enum Unheard {
    /// It certainly did nothing.
    Undone,
    /// It may have done what it was asked.
    Unknown(RequestError),
    /// It answered in a form that this release does not know.
    Unread,
}

/// An answer to a read, or a reason to ask elsewhere. A replica whose log failed is no reason to go without an answer, nor is one that
/// has nothing and says that it may miss something: a group may be on its way to it.
fn useful_read(answer: SessionAnswer) -> Result<SessionAnswer, Option<SessionAnswer>> {
    let broken = matches!(answer, SessionAnswer::Refused { why: Refused::Broken, .. });
    let unsure = matches!(answer, SessionAnswer::NotFound { stale: true });
    if broken || unsure || answer.is_elsewhere() { Err(Some(answer)) } else { Ok(answer) }
}

/// What one of so many may take of the time that is left.
fn share(remaining: Duration, among: usize) -> Duration {
    remaining / u32::try_from(among.max(1)).unwrap_or(u32::MAX)
}

fn refused(why: Refused, detail: &str) -> SessionAnswer {
    SessionAnswer::Refused { why, detail: detail.to_owned() }
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

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
