//! The links of this node, as the rest of the network asks for them; what is decided about them is decided by
//! [`hedgerow_protocol::link`].

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_protocol::link::{
    AttemptId, Candidate, Connected, DialFailure, Life, LinkInput, LinkState, Origin, Urgency,
};
use hedgerow_protocol::machine::Machine as _;
use hedgerow_protocol::time::{Mono, micros};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::link::{Link, LinkView, Made};
use super::link_error::{DialsFailed, LinkError};
use super::outbox::{Dropped, Losses};
use super::table::{Dial, Input, Table};
use crate::net::certificate::Presented;
use crate::net::close::Close;
use crate::net::dial::{DialError, Dialer};
use crate::net::event::NetEvent;
use crate::net::limits::SERVED_BODY_BYTES_MAX;
use crate::net::relay::{Relays, is_place};
use crate::net::socket::canonical;
use crate::net::tasks::{Tasks, until};

/// All links of this node; clones share the table.
#[derive(Clone, Debug)]
pub(in crate::net) struct Links(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialer: Dialer,
    relays: Relays,
    events: mpsc::Sender<NetEvent>,
    tasks: Tasks,
    table: Mutex<Table>,
    start: Instant,
    version: watch::Sender<u64>,
    /// Something may be due sooner than the keeper of time sleeps.
    hurry: Notify,
    /// Bytes of request bodies held at once, in KiB.
    body_budget: Arc<Semaphore>,
    losses: Losses,
    /// How often another member would have none of this node, by its own word.
    shunned: watch::Sender<u64>,
}

impl Links {
    /// No links yet. Random choices follow from `seed`.
    pub(in crate::net) fn new(
        dialer: Dialer,
        relays: Relays,
        events: mpsc::Sender<NetEvent>,
        tasks: Tasks,
        seed: [u8; 32],
    ) -> Self {
        let table = Mutex::new(Table::new(dialer.gate.node(), seed));
        Self(Arc::new(Inner {
            dialer,
            relays,
            events,
            tasks,
            table,
            start: Instant::now(),
            version: watch::Sender::new(0),
            hurry: Notify::new(),
            body_budget: Arc::new(Semaphore::new(SERVED_BODY_BYTES_MAX >> 10)),
            losses: Losses::default(),
            shunned: watch::Sender::new(0),
        }))
    }

    /// Steps the machine when something is due, until the network stops.
    pub(in crate::net) async fn keep_time(self) {
        let stop = self.tasks().stop().clone();
        loop {
            let deadline = self.table(|table, _| table.machine.next_deadline());
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.hurry.notified() => continue,
                () = until(deadline.map(|deadline| self.0.start + Duration::from_micros(deadline.0))) => {}
            }
            // An acknowledgement may have come since the last look.
            self.look_at_progress();
            self.step(LinkInput::Tick);
        }
    }

    pub(in crate::net) fn learn(&self, peer: NodeId, origin: Origin, addresses: &[SocketAddr]) {
        // A place is this node's own word for somebody at a relay: from others it means nothing.
        let addresses = addresses.iter().copied().map(canonical).filter(|address| !is_place(address)).collect();
        self.step(LinkInput::Learn { peer, origin, addresses });
    }

    pub(in crate::net) fn recall(&self, peer: NodeId, mut known: Vec<Candidate<SocketAddr>>) {
        known.retain(|known| !is_place(&known.address));
        // Something on the way may let them in that remembers the last run of this node.
        known.iter().for_each(|known| self.dialer().reached.sends(known.address, Instant::now()));
        self.step(LinkInput::Recall { peer, known });
    }

    pub(in crate::net) fn connect(&self, peer: NodeId) {
        self.step(LinkInput::Want { peer, urgency: Urgency::Upkeep });
    }

    pub(in crate::net) fn hangup(&self, peer: NodeId) {
        self.step(LinkInput::HangUp { peer });
    }

    /// Closes the link to a member, unless something travelled over it lately that the caller does not know of.
    pub(in crate::net) fn spare(&self, node: NodeId) {
        if self.live_link(&node).is_some_and(|link| link.is_idle()) {
            self.hangup(node);
        }
    }

    /// A member has a later certificate, by which its link goes on.
    pub(in crate::net) fn renewed(&self, member: &Member) {
        for link in self.table(|table, _| table.all_open()) {
            if link.member.node() == member.node() {
                link.renew(member);
            }
        }
    }

    /// Forgets a member to which there is no link.
    pub(in crate::net) fn forget(&self, node: NodeId) {
        if self.live_link(&node).is_none() {
            self.step(LinkInput::Forget { peer: node });
            self.table(|table, _| table.forget(&node));
            // Whoever waits for a link learns that there is none.
            self.changed();
        }
    }

    /// Live links by NodeId.
    pub(in crate::net) fn live(&self) -> Vec<LinkView> {
        self.all_live().iter().map(|(link, epoch)| LinkView::new(link, *epoch)).collect()
    }

    /// Changes whenever a link comes, goes or is replaced, or could not be made.
    pub(in crate::net) fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Grows whenever a member says that this node is none, or none any more.
    pub(in crate::net) fn shunned(&self) -> watch::Receiver<u64> {
        self.0.shunned.subscribe()
    }

    /// Where a member can be dialled at once.
    pub(in crate::net) fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        // The address of a live link is known to work.
        match self.live_link(&node) {
            Some(link) => vec![link.remote()],
            None => self.direct_addresses(node),
        }
    }

    /// What is known of where a member is, best first.
    pub(in crate::net) fn candidates(&self, node: NodeId) -> Vec<Candidate<SocketAddr>> {
        self.table(|table, _| table.machine.addresses(&node).to_vec())
    }

    /// The same of everybody.
    pub(in crate::net) fn address_book(&self) -> Vec<(NodeId, Vec<Candidate<SocketAddr>>)> {
        self.table(|table, _| table.machine.known().map(|(node, known)| (node, known.to_vec())).collect())
    }

    pub(in crate::net) fn dropped(&self) -> Dropped {
        self.0.losses.snapshot()
    }

    /// Takes an inbound rpc connection.
    pub(in crate::net) fn adopt_inbound(&self, connection: quinn::Connection, presented: &Presented, member: Member) {
        let peer = member.node();
        let life = life(presented);
        let Some(made) = self.made(connection, member) else { return };
        let link = self.table(|table, _| table.number(|id| Link::new(id, made, false)));
        let connected = Connected { connection: link.id, life, address: link.place() };
        self.step(LinkInput::Accepted { peer, connected });
        self.serve_to_the_end(link);
    }

    /// The link to a member, dialled if there is none. Callers that come while a dial runs share its result.
    pub(super) async fn link(&self, peer: NodeId) -> Result<Arc<Link>, LinkError> {
        let mut changes = self.changes();
        let mut waited = false;
        loop {
            changes.borrow_and_update();
            if let Some(link) = self.live_link(&peer) {
                return Ok(link);
            }
            if !waited {
                self.step(LinkInput::Want { peer, urgency: Urgency::Request });
            }
            match self.table(|table, now| (table.machine.state(&peer, now), now)) {
                // Up, with a connection that is closed and not told so yet.
                (LinkState::Up { .. }, _) => {}
                (LinkState::Dialling, _) => waited = true,
                (LinkState::BackingOff { until, .. }, now) if !waited => {
                    return Err(LinkError::BackingOff { retry_in: now.until(until), failed: self.failed(peer) });
                }
                (LinkState::BackingOff { .. } | LinkState::Idle, _) => return Err(LinkError::Dial(self.failed(peer))),
                (LinkState::Nowhere, _) => return Err(LinkError::Unknown),
                (LinkState::Myself, _) => return Err(LinkError::Myself),
            }
            changes.changed().await.expect("this holds the sender");
        }
    }

    pub(super) fn live_link(&self, peer: &NodeId) -> Option<Arc<Link>> {
        self.table(|table, _| table.live(peer))
    }

    pub(super) fn all_live(&self) -> Vec<(Arc<Link>, u32)> {
        self.table(|table, _| table.all_live())
    }

    /// Looks at the table, or changes what no step does.
    pub(super) fn table<T>(&self, look: impl FnOnce(&mut Table, Mono) -> T) -> T {
        let mut table = self.0.table.lock().expect("no holder of the lock panics");
        // Read under the lock, so that no step has an earlier clock than the one before.
        let now = Mono(micros(self.0.start.elapsed()));
        look(&mut table, now)
    }

    /// Something may be due sooner than it was.
    pub(super) fn hurry(&self) {
        self.0.hurry.notify_one();
    }

    pub(in crate::net) fn dialer(&self) -> &Dialer {
        &self.0.dialer
    }

    pub(super) fn events(&self) -> &mpsc::Sender<NetEvent> {
        &self.0.events
    }

    pub(in crate::net) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(super) fn relays(&self) -> &Relays {
        &self.0.relays
    }

    pub(super) fn body_budget(&self) -> &Arc<Semaphore> {
        &self.0.body_budget
    }

    pub(in crate::net) fn losses(&self) -> &Losses {
        &self.0.losses
    }

    fn failed(&self, peer: NodeId) -> DialsFailed {
        let known = self.candidates(peer);
        let member = self.table(|table, _| table.known_member(&peer));
        let failed = member.map(|member| member.failed.lock().expect("no holder of the lock panics").clone());
        let still = |(address, _): &(SocketAddr, _)| known.iter().any(|known| known.address == *address);
        DialsFailed(failed.unwrap_or_default().0.into_iter().filter(still).collect())
    }

    pub(super) fn step(&self, input: Input) {
        let (todo, is_due) = self.table(|table, now| {
            let before = table.machine.next_deadline();
            let todo = table.step(now, input);
            (todo, table.machine.next_deadline() != before)
        });
        for dial in todo.dials {
            self.dial(dial);
        }
        for link in todo.meetings {
            self.tasks().spawn(self.clone().ask_to_meet(link));
        }
        if todo.changed {
            self.changed();
        }
        if is_due {
            self.hurry();
        }
    }

    fn changed(&self) {
        self.0.version.send_modify(|version| *version += 1);
    }

    fn dial(&self, dial: Dial) {
        let links = self.clone();
        self.tasks().spawn(async move {
            let Dial { peer, attempt, address, cancelled } = dial;
            let dialled = tokio::select! {
                dialled = links.attempt(peer, address) => dialled,
                () = cancelled.cancelled() => return,
            };
            let outcome = match dialled {
                Ok(dialled) => {
                    let life = life(&dialled.peer.presented);
                    let member = dialled.peer.member.expect("a dial of this lane judges the membership");
                    links.made(dialled.connection, member).map(|made| (made, life)).ok_or(DialFailure::Broken)
                }
                Err(error) => Err(links.note_failure(peer, address, error)),
            };
            links.dial_ended(peer, attempt, address, outcome);
        });
    }

    fn dial_ended(
        &self,
        peer: NodeId,
        attempt: AttemptId,
        address: SocketAddr,
        outcome: Result<(Made, Life), DialFailure>,
    ) {
        let outcome = outcome.map(|(made, life)| {
            let link = self.table(|table, _| table.number(|id| Link::new(id, made, true)));
            (Connected { connection: link.id, life, address }, link)
        });
        self.table(|table, _| table.dial_ended(attempt));
        let connected = outcome.as_ref().map(|(connected, _)| *connected).map_err(|failure| *failure);
        self.step(LinkInput::Attempted { peer, attempt, outcome: connected });
        if let Ok((_, link)) = outcome {
            self.serve_to_the_end(link);
        }
    }

    fn shun(&self) {
        self.0.shunned.send_modify(|times| *times += 1);
    }

    /// Remembers why an address came to nothing, beside the others of its round.
    fn note_failure(&self, peer: NodeId, address: SocketAddr, error: DialError) -> DialFailure {
        let failure = failure(&error);
        if error.is_of_trust() {
            self.shun();
        }
        if let Some(member) = self.table(|table, _| table.member(peer)) {
            let mut failed = member.failed.lock().expect("no holder of the lock panics");
            failed.0.retain(|(known, _)| *known != address);
            failed.0.push((address, Arc::new(error)));
            if failed.0.len() > hedgerow_protocol::link::ADDRESSES_MAX {
                failed.0.remove(0);
            }
        }
        failure
    }

    fn serve_to_the_end(&self, link: Arc<Link>) {
        let links = self.clone();
        self.tasks().spawn(async move {
            let peer = link.member.node();
            let reason = links.serve(&link).await;
            tracing::debug!(node = %peer.short(), %reason, "a connection ended");
            if Close::of(&reason) == Some(Close::Trust) {
                links.shun();
            }
            links.table(|table, _| table.connection_ended(link.id));
            links.step(LinkInput::Closed { peer, connection: link.id });
        });
    }
}

fn failure(error: &DialError) -> DialFailure {
    match error {
        DialError::Timeout | DialError::Relay(_) => DialFailure::NoAnswer,
        DialError::RefusedByUs { .. } => DialFailure::RefusedByUs,
        DialError::RefusedByPeer { .. } => DialFailure::RefusedByPeer,
        DialError::Broken(_) | DialError::Tls(_) => DialFailure::Broken,
        DialError::Address(_) => DialFailure::Address,
    }
}

/// The key of a TLS certificate is made anew when a process starts.
fn life(presented: &Presented) -> Life {
    let [a, b, c, d, e, f, g, h, ..] = *presented.fingerprint.as_bytes();
    Life(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}
