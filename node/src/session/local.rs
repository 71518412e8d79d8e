//! What an operator sees of the sessions that this node holds.

use hedgerow_crdt::replica::Replica;
use serde::Serialize;

/// One session as this node holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalSession {
    /// Its id.
    pub session: String,
    /// Its data class.
    pub class: String,
    /// The state in which it is here.
    pub etag: String,
}

/// Every session of a replica, in the order of their ids.
pub(super) fn local_sessions(replica: &Replica) -> Vec<LocalSession> {
    let row = |(session, etag): (&hedgerow_protocol::session_id::SessionId, hedgerow_crdt::etag::Etag)| LocalSession {
        session: session.to_string(),
        class: session.class.to_string(),
        etag: etag.to_string(),
    };
    replica.sessions().map(row).collect()
}
