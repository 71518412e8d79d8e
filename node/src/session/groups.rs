//! The groups that this node owns a replica of: which there are follows from the placements, and each has one task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_crdt::limits::Limits;
use hedgerow_crdt::message::SyncMessage;
use hedgerow_crdt::replica::{Input, Replica, ReplicaConfig, Snapshot, SnapshotError};
use hedgerow_protocol::id::BootId;
use hedgerow_protocol::placement::ReplicaSet;
use hedgerow_protocol::roster::Roster;
use hedgerow_protocol::session_id::GroupId;
use hedgerow_protocol::view::MeshView;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::group::{GROUP_QUEUE, GroupContext, GroupInput, GroupTask};
use super::local::LocalSession;
use crate::net::Net;
use crate::observe::Counters;
use crate::store::{LoadError, SessionLog};

/// What the groups are made of.
#[derive(Debug)]
pub struct GroupsParts {
    /// This node.
    pub me: NodeId,
    /// This run of it.
    pub boot: BootId,
    /// The node's statement key.
    pub statement: Arc<SecretKey>,
    /// Where changes are kept.
    pub log: SessionLog,
    /// How replicas reach each other.
    pub net: Net,
    /// Whose signatures hold.
    pub roster: watch::Receiver<Arc<Roster>>,
    /// Where refusals are counted.
    pub counters: Counters,
    /// 256 bits from the operating system.
    pub seed: [u8; 32],
}

/// Why the groups cannot be started. Nothing was changed.
#[derive(Debug, Error)]
pub enum GroupsStartError {
    /// The log cannot be read.
    #[error("read the session log")]
    Load(#[source] LoadError),
    /// What was read is not a log of sessions.
    #[error("use the session log")]
    Snapshot(#[source] SnapshotError),
}

/// The running groups. Clones share them.
#[derive(Clone, Debug)]
pub struct Groups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    me: NodeId,
    boot: BootId,
    context: GroupContext,
    stop: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    running: BTreeMap<GroupId, Running>,
    /// What the log holds of groups that have no task yet.
    stored: BTreeMap<GroupId, Snapshot>,
    tasks: JoinSet<()>,
    rng: ChaCha8Rng,
}

#[derive(Debug)]
struct Running {
    inbox: mpsc::Sender<GroupInput>,
    set: Option<ReplicaSet>,
}

impl Groups {
    /// Reads the log; tasks start as placements or stored sessions call for them.
    pub fn new(parts: GroupsParts, stop: CancellationToken) -> Result<Self, GroupsStartError> {
        let mut stored = BTreeMap::new();
        for index in parts.log.indexes().map_err(GroupsStartError::Load)? {
            let rows = parts.log.rows(&index).map_err(GroupsStartError::Load)?;
            let records = rows.iter().map(|(_, record)| record.as_slice());
            stored.extend(Snapshot::by_group(records).map_err(GroupsStartError::Snapshot)?);
        }
        let context = GroupContext {
            statement: parts.statement,
            log: parts.log,
            net: parts.net,
            roster: parts.roster,
            counters: parts.counters,
        };
        let groups: Vec<_> = stored.keys().cloned().collect();
        let state =
            State { running: BTreeMap::new(), stored, tasks: JoinSet::new(), rng: ChaCha8Rng::from_seed(parts.seed) };
        let inner = Inner { me: parts.me, boot: parts.boot, context, stop, state: Mutex::new(state) };
        let this = Self(Arc::new(inner));
        for group in groups {
            this.start(&group);
        }
        Ok(this)
    }

    /// Follows the view: every group that places a replica here has a task, and every task knows its replicas.
    pub async fn follow(self, mut views: watch::Receiver<Arc<MeshView>>) {
        loop {
            let view = views.borrow_and_update().clone();
            for set in sets_here(&view, self.0.me) {
                self.start(&set.group);
                self.place(set).await;
            }
            let changed = tokio::select! {
                () = self.0.stop.cancelled() => return,
                changed = views.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Hands a message of another replica to its group; one for a group without a task here is dropped.
    pub fn deliver(&self, from: NodeId, message: SyncMessage) {
        let Some(inbox) = self.inbox(&message.group) else {
            return tracing::trace!(group = %message.group, "a message for a group that is not here");
        };
        // A full queue is loss to the replicas, which ask again.
        if inbox.try_send(GroupInput::Net(from, message)).is_err() {
            tracing::debug!("a group's queue is full: a session message was dropped");
        }
    }

    /// Tells every group that a link changed.
    pub async fn link(&self, peer: NodeId, up: bool) {
        for inbox in self.inboxes() {
            if inbox.send(GroupInput::Link(peer, up)).await.is_err() {
                tracing::debug!("a group has ended");
            }
        }
    }

    /// The sessions that this node holds, by id.
    pub async fn sessions(&self) -> Vec<LocalSession> {
        let mut sessions = Vec::new();
        for inbox in self.inboxes() {
            let (reply, answer) = oneshot::channel();
            if inbox.send(GroupInput::List(reply)).await.is_ok() {
                sessions.extend(answer.await.unwrap_or_else(|_ended| Vec::new()));
            }
        }
        sessions.sort_by(|a, b| a.session.cmp(&b.session));
        sessions
    }

    /// Waits until every group's task has ended; they end with the token that the groups were made with.
    pub async fn ended(&self) {
        let mut tasks = std::mem::take(&mut self.state().tasks);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a group's task failed");
            }
        }
    }

    /// The queue of a group that has a task.
    pub(super) fn inbox(&self, group: &GroupId) -> Option<mpsc::Sender<GroupInput>> {
        self.state().running.get(group).map(|running| running.inbox.clone())
    }

    fn inboxes(&self) -> Vec<mpsc::Sender<GroupInput>> {
        self.state().running.values().map(|running| running.inbox.clone()).collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder of the lock panics")
    }

    /// Starts a group's task unless it runs.
    fn start(&self, group: &GroupId) {
        let Inner { me, boot, context, stop, .. } = &*self.0;
        let mut state = self.state();
        if state.running.contains_key(group) {
            return;
        }
        let snapshot = state.stored.remove(group).unwrap_or_else(Snapshot::empty);
        let config = ReplicaConfig {
            me: *me,
            boot: *boot,
            statement: context.statement.public(),
            group: group.clone(),
            limits: Limits::standard(),
        };
        let index = postcard::to_stdvec(group).expect("a vector takes any number of bytes");
        let mut seed = [0; 32];
        state.rng.fill_bytes(&mut seed);
        let (inbox, arrivals) = mpsc::channel(GROUP_QUEUE);
        let start = Input::Start(Box::new(snapshot));
        let rng = ChaCha8Rng::from_seed(seed);
        let task = GroupTask::new(Replica::new(config), index, start, context.clone(), rng, arrivals);
        for link in context.net.links() {
            if inbox.try_send(GroupInput::Link(link.node, true)).is_err() {
                tracing::debug!(%group, "a starting group was not told of every link");
            }
        }
        state.tasks.spawn(task.run(stop.clone()));
        state.running.insert(group.clone(), Running { inbox, set: None });
    }

    /// Tells a group its replicas, where they differ from what it was told before.
    async fn place(&self, set: ReplicaSet) {
        let inbox = {
            let mut state = self.state();
            let Some(running) = state.running.get_mut(&set.group) else { return };
            if running.set.as_ref() == Some(&set) {
                return;
            }
            running.set = Some(set.clone());
            running.inbox.clone()
        };
        if inbox.send(GroupInput::Placement(set)).await.is_err() {
            tracing::debug!("a group has ended");
        }
    }
}

/// The replica sets of all groups that this node is a replica of, or was told to be one of: a group that moved away must hear it.
fn sets_here(view: &MeshView, me: NodeId) -> Vec<ReplicaSet> {
    let mut sets = Vec::new();
    let Some(policy) = view.policy.as_deref() else { return sets };
    for (cell, placement) in &view.placements {
        for ((class, prefix), nodes) in &placement.groups {
            let Some(rule) = policy.class(class).filter(|rule| rule.allows(&placement.region)) else { continue };
            if !nodes.contains(&me) {
                continue;
            }
            let allowed: BTreeSet<_> =
                view.members.values().filter(|member| rule.allows(&member.region)).map(|member| member.node).collect();
            sets.push(ReplicaSet {
                group: GroupId { cell: *cell, class: class.clone(), prefix: *prefix },
                epoch: placement.epoch,
                nodes: nodes.iter().filter(|node| allowed.contains(node)).copied().collect(),
                write_quorum: rule.write_quorum,
                ttl: (rule.ttl_s > 0).then(|| std::time::Duration::from_secs(rule.ttl_s)),
            });
        }
    }
    sets
}
