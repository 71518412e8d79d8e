//! The groups that this node owns a replica of: which there are follows from the placements, and each has one task.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::key::SecretKey;
use hedgerow_crdt::limits::Limits;
use hedgerow_crdt::message::SyncMessage;
use hedgerow_crdt::replica::{Input, Replica, ReplicaConfig, Snapshot, SnapshotError};
use hedgerow_protocol::core::Command;
use hedgerow_protocol::id::BootId;
use hedgerow_protocol::placement::{ReplicaSet, Settled, group_set};
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
use super::links::{LinkCounts, note_link};
use super::local::LocalSession;
use super::sizes::{GroupBytes, Sizes};
use super::standings::{GroupStanding, Said, Standings, settled};
use crate::core::CoreHandle;
use crate::net::Net;
use crate::observe::{Condition, Conditions, Counters};
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
    /// Where it is raised that a group answers no more.
    pub conditions: Conditions,
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
    links: watch::Sender<LinkCounts>,
    /// What the core is to be told of hand-overs.
    settled: watch::Sender<Said>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the core showed last.
    view: Option<Arc<MeshView>>,
    running: BTreeMap<GroupId, Running>,
    /// What the log holds of groups that have no task yet.
    stored: BTreeMap<GroupId, Snapshot>,
    /// Groups of which this run numbered changes that are in the log no more.
    dropped: BTreeSet<GroupId>,
    tasks: JoinSet<()>,
    rng: ChaCha8Rng,
    last_link: u64,
}

#[derive(Debug)]
struct Running {
    inbox: mpsc::Sender<GroupInput>,
    set: Option<ReplicaSet>,
}

impl Groups {
    /// Reads the log; tasks start as placements or stored sessions call for them.
    pub fn new(parts: GroupsParts, stop: CancellationToken) -> Result<Self, GroupsStartError> {
        let (mut stored, sizes) = (BTreeMap::new(), Sizes::default());
        for index in parts.log.indexes().map_err(GroupsStartError::Load)? {
            let rows = parts.log.rows(&index).map_err(GroupsStartError::Load)?;
            let records = rows.iter().map(|(_, record)| record.as_slice());
            let groups = Snapshot::by_group(records).map_err(GroupsStartError::Snapshot)?;
            // The rows of an index are those of one group.
            for group in groups.keys() {
                sizes.add(group, rows.iter().map(|(_, record)| record.len() as u64).sum());
            }
            stored.extend(groups);
        }
        let context = GroupContext {
            statement: parts.statement,
            log: parts.log,
            net: parts.net,
            roster: parts.roster,
            counters: parts.counters,
            conditions: parts.conditions,
            standings: watch::Sender::default(),
            sizes,
        };
        let groups: Vec<_> = stored.keys().cloned().collect();
        let rng = ChaCha8Rng::from_seed(parts.seed);
        let (running, dropped, tasks) = (BTreeMap::new(), BTreeSet::new(), JoinSet::new());
        let state = State { view: None, running, stored, dropped, tasks, rng, last_link: 0 };
        let links = watch::Sender::new(LinkCounts::new());
        let (settled, state) = (watch::Sender::default(), Mutex::new(state));
        let inner = Inner { me: parts.me, boot: parts.boot, context, stop, links, settled, state };
        let this = Self(Arc::new(inner));
        for group in groups {
            this.start(&group);
        }
        Ok(this)
    }

    /// Follows the view of the core, and tells it what was handed over.
    pub async fn drive(self, core: CoreHandle) {
        tokio::join!(self.clone().follow(core.views()), self.report(core));
    }

    /// Follows the view: every group that places a replica here has a task, and every task knows its replicas. A group whose
    /// task dropped it has none until it is placed here again.
    pub(super) async fn follow(self, mut views: watch::Receiver<Arc<MeshView>>) {
        let mut standings = self.0.context.standings.subscribe();
        loop {
            let view = views.borrow_and_update().clone();
            let said = standings.borrow_and_update().clone();
            self.state().view = Some(view.clone());
            self.bury(&said);
            for set in sets_to_tell(&view, &self.told()) {
                self.start(&set.group);
                self.place(set).await;
            }
            let settled = settled(&view, &said, self.told().into_keys());
            self.0.settled.send_if_modified(|told| std::mem::replace(told, settled.clone()) != settled);
            let changed = tokio::select! {
                () = self.0.stop.cancelled() => return,
                changed = views.changed() => changed,
                changed = standings.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Tells the core what was handed over, whenever that changes.
    async fn report(self, core: CoreHandle) {
        let mut settled = self.0.settled.subscribe();
        let mut told = Said::default();
        loop {
            let changed = tokio::select! {
                () = self.0.stop.cancelled() => return,
                changed = settled.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            let now = settled.borrow_and_update().clone();
            let is_news = |cell: &CellId| now.ended != told.ended || now.cells.get(cell) != told.cells.get(cell);
            for said in now.cells.iter().filter(|(cell, _)| is_news(cell)).map(|(_, said)| said.clone()) {
                if let Err(error) = core.command(Command::Settled { said, ended: now.ended }).await {
                    tracing::debug!(%error, "what was handed over was not told");
                }
            }
            told = now;
        }
    }

    /// Hands a message of another replica to its group; one for a group that is not here is dropped.
    pub fn deliver(&self, from: NodeId, message: SyncMessage) {
        let Some(inbox) = self.open(&message.group) else {
            return tracing::trace!(group = %message.group, "a message for a group that is not here");
        };
        // A full queue is loss to the replicas, which ask again.
        if inbox.try_send(GroupInput::Net(from, message)).is_err() {
            tracing::debug!("a group's queue is full: a session message was dropped");
        }
    }

    /// Tells every group that a link changed, without waiting for any.
    pub fn link(&self, peer: NodeId, up: bool) {
        let mut state = self.state();
        self.0.links.send_modify(|links| note_link(links, &mut state.last_link, peer, up));
    }

    /// How many groups are not handed over that this node holds from before the placement in force.
    pub fn open_groups(&self) -> usize {
        self.0.settled.borrow().cells.values().map(Settled::open_groups).sum()
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

    /// Bytes that this node's log holds of each group that lives in a cell.
    pub(super) fn sizes(&self, view: &MeshView, cell: &CellId) -> GroupBytes {
        self.0.context.sizes.of_cell(&view.lineage, cell)
    }

    /// The queue of a group that has a task. One of a cell that ended gets its task when it is first asked for where it is
    /// placed here: there may be many such groups of which nobody holds anything.
    pub(super) fn open(&self, group: &GroupId) -> Option<mpsc::Sender<GroupInput>> {
        let known = |state: &State| state.running.get(group).map(|running| running.inbox.clone());
        let view = {
            let state = self.state();
            match known(&state) {
                Some(inbox) => return Some(inbox),
                None => state.view.clone()?,
            }
        };
        let set = group_set(&view, group).ok().filter(|set| set.counts(&view.me))?;
        self.start(group);
        let mut state = self.state();
        let running = state.running.get_mut(group)?;
        if running.set.is_none() {
            // The queue of a task that was just started is empty; a later placement follows in any case.
            let told = running.inbox.try_send(GroupInput::Placement(set.clone()));
            running.set = told.is_ok().then_some(set);
        }
        Some(running.inbox.clone())
    }

    fn inboxes(&self) -> Vec<mpsc::Sender<GroupInput>> {
        self.state().running.values().map(|running| running.inbox.clone()).collect()
    }

    /// The groups that have a task, with the last set that each was told.
    fn told(&self) -> BTreeMap<GroupId, Option<ReplicaSet>> {
        self.state().running.iter().map(|(group, running)| (group.clone(), running.set.clone())).collect()
    }

    /// Forgets the tasks that have ended since what they held was dropped.
    fn bury(&self, standings: &Standings) {
        for (group, _) in standings.iter().filter(|(_, said)| **said == GroupStanding::Dropped) {
            let mut state = self.state();
            state.running.remove(group);
            state.dropped.insert(group.clone());
            drop(state);
            self.0.context.standings.send_modify(|standings| {
                standings.remove(group);
            });
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder of the lock panics")
    }

    /// Starts a group's task unless it runs.
    fn start(&self, group: &GroupId) {
        let Inner { me, boot, context, stop, links, .. } = &*self.0;
        let mut state = self.state();
        if state.running.contains_key(group) {
            return;
        }
        let snapshot = state.stored.remove(group).unwrap_or_else(Snapshot::empty);
        // A number is never given to two changes: what comes back after a drop counts as another run.
        let boot = if state.dropped.contains(group) { another(&mut state.rng) } else { *boot };
        let config = ReplicaConfig {
            me: *me,
            boot,
            statement: context.statement.public(),
            group: group.clone(),
            limits: Limits::standard(),
        };
        let mut seed = [0; 32];
        state.rng.fill_bytes(&mut seed);
        let (inbox, arrivals) = mpsc::channel(GROUP_QUEUE);
        let start = Input::Start(Box::new(snapshot));
        let rng = ChaCha8Rng::from_seed(seed);
        let ears = (arrivals, links.subscribe());
        let task = GroupTask::new(Replica::new(config), group.clone(), start, context.clone(), rng, ears);
        let (run, conditions) = (AssertUnwindSafe(task.run(stop.clone())).catch_unwind(), context.conditions.clone());
        state.tasks.spawn(async move {
            // The panic's message went to the panic hook. Other groups go on; this one is found elsewhere.
            if run.await.is_err() {
                conditions.raise(Condition::GroupEnded);
            }
        });
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

fn another(rng: &mut ChaCha8Rng) -> BootId {
    let mut boot = [0; 16];
    rng.fill_bytes(&mut boot);
    BootId(boot)
}

/// What groups have to hear: the sets of all that a placement which counts puts on this node (those that were born where it
/// holds them, and of others those that have a task); and of groups with a task that are placed elsewhere, where. One that is
/// placed nowhere hears that if it was told a set with this node in it: from then on it refuses requests, and hands over what
/// it holds to those who hold it today, if anybody does.
fn sets_to_tell(view: &MeshView, told: &BTreeMap<GroupId, Option<ReplicaSet>>) -> Vec<ReplicaSet> {
    let mut groups: BTreeSet<GroupId> = told.keys().cloned().collect();
    for (cell, placement) in &view.placements {
        let former = placement.formers.values().flat_map(|former| &former.groups);
        let mine = placement.groups.iter().chain(former).filter(|(_, nodes)| nodes.contains(&view.me));
        groups.extend(mine.map(|((class, prefix), _)| GroupId { cell: *cell, class: class.clone(), prefix: *prefix }));
    }
    let nowhere = |told: &ReplicaSet| ReplicaSet { nodes: vec![], formers: vec![], is_settled: false, ..told.clone() };
    let set = |group: GroupId| match (group_set(view, &group), told.get(&group)) {
        (Ok(set), Some(_)) => Some(set),
        (Ok(set), None) => set.counts(&view.me).then_some(set),
        (Err(error), running) => {
            tracing::debug!(%error, "a group is here and must not be");
            running?.as_ref().map(nowhere)
        }
    };
    groups.into_iter().filter_map(set).collect()
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
