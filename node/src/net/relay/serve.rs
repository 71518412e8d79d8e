//! Relaying for members: datagrams from one connection go to another, within bounds.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_protocol::link::Origin;
use tokio::time::Instant;

use super::frame::{Frame, HEAD_BYTES, write_places};
use super::post::{Post, frames, write_stream};
use super::quota::Quota;
use super::reached::Reached;
use super::ways::is_place;
use crate::net::close::Close;
use crate::net::limits::{RELAY_BURST_BYTES, RELAY_BYTES_PER_S, RELAY_MEMBERS_MAX};
use crate::net::quic::serve_relay;
use crate::net::rpc::Links;
use crate::net::tasks::Tasks;
use crate::net::trust::Gate;

/// Whether a node relays for members that cannot dial each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relaying {
    /// Once it was reached from the world or from two networks.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// A word that is none of auto, on and off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("none of auto, on and off")]
pub struct ParseRelayingError;

impl FromStr for Relaying {
    type Err = ParseRelayingError;

    fn from_str(word: &str) -> Result<Self, ParseRelayingError> {
        match word {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(ParseRelayingError),
        }
    }
}

/// What a node relays for members that cannot dial each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Whether it takes members.
    pub is_open: bool,
    /// Members that are connected for that.
    pub members: usize,
    /// Bytes of datagrams that it carried since the start.
    pub carried_bytes: u64,
}

/// The relay of this node; clones share it.
#[derive(Clone, Debug)]
pub(in crate::net) struct RelayServer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    relaying: Relaying,
    reached: Reached,
    gate: Arc<Gate>,
    links: Links,
    tasks: Tasks,
    members: Mutex<BTreeMap<NodeId, Post>>,
    carried_bytes: AtomicU64,
}

impl RelayServer {
    pub(in crate::net) fn new(
        relaying: Relaying,
        reached: Reached,
        gate: Arc<Gate>,
        links: Links,
        tasks: Tasks,
    ) -> Self {
        let (members, carried_bytes) = (Mutex::default(), AtomicU64::new(0));
        Self(Arc::new(Inner { relaying, reached, gate, links, tasks, members, carried_bytes }))
    }

    /// Whether it takes members.
    pub(in crate::net) fn is_open(&self) -> bool {
        match self.0.relaying {
            Relaying::Auto => self.0.reached.may_relay(Instant::now()),
            Relaying::On => true,
            Relaying::Off => false,
        }
    }

    pub(in crate::net) fn load(&self) -> Relayed {
        let carried_bytes = self.0.carried_bytes.load(Ordering::Relaxed);
        Relayed { is_open: self.is_open(), members: self.members().len(), carried_bytes }
    }

    /// Relays for a member until its connection ends.
    pub(in crate::net) async fn serve(&self, connection: quinn::Connection, member: Member) {
        let node = member.node();
        let seen = connection.remote_address();
        // A way through two relays would be one that nobody asked for.
        if !self.is_open() || is_place(&seen) {
            return Close::NotARelay.close(&connection);
        }
        serve_relay(&connection);
        // Where it is seen, which others may need to meet it: first of all, before anybody else's frame has a stream.
        if !write_stream(&connection, &write_places(&[seen])).await {
            return;
        }
        let post = Post::new(connection, &self.0.tasks);
        if !self.admit(node, post.clone()) {
            return Close::Overloaded.close(&post.connection);
        }
        // A way through this node to the member is a way to the member.
        self.0.links.learn(node, Origin::Seen, &[seen]);
        tracing::debug!(node = %node.short(), %seen, "relays for a member");
        let mut quota = Quota::new(RELAY_BYTES_PER_S, RELAY_BURST_BYTES, Instant::now());
        tokio::select! {
            _ = frames(&post.connection, |frame| self.pass_on(node, frame, &post, &mut quota)) => {}
            () = self.0.gate.unwelcome(&member) => Close::Trust.close(&post.connection),
        }
        self.dismiss(node, &post);
    }

    /// Of two connections of one member the later counts: the other is from before a restart.
    fn admit(&self, node: NodeId, post: Post) -> bool {
        let mut members = self.members();
        if members.len() >= RELAY_MEMBERS_MAX && !members.contains_key(&node) {
            return false;
        }
        if let Some(before) = members.insert(node, post) {
            Close::Duplicate.close(&before.connection);
        }
        true
    }

    fn dismiss(&self, node: NodeId, post: &Post) {
        let mut members = self.members();
        let ended = post.connection.stable_id();
        if members.get(&node).is_some_and(|known| known.connection.stable_id() == ended) {
            members.remove(&node);
        }
    }

    fn pass_on(&self, from: NodeId, frame: Frame, back: &Post, quota: &mut Quota) {
        // Only a relay says who is absent.
        let Frame::Carry { node: to, datagram } = frame else { return };
        if !quota.take(HEAD_BYTES + datagram.len(), Instant::now()) {
            return;
        }
        let post = self.members().get(&to).cloned();
        match post {
            Some(post) => {
                let bytes = datagram.len() as u64;
                if post.send(Frame::Carry { node: from, datagram }.encode()) {
                    self.0.carried_bytes.fetch_add(bytes, Ordering::Relaxed);
                }
            }
            None => drop(back.send(Frame::Absent { node: to }.encode())),
        }
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<NodeId, Post>> {
        self.0.members.lock().expect("no holder of the lock panics")
    }
}
