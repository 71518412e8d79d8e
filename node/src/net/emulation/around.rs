//! The emulation around a node's own socket: what a rule says of a peer is done to what this node sends to it, cuts and the
//! firewall also to what arrives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use quinn::udp::Transmit;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::firewall::{Firewall, Pinholes};
use super::held::{Held, datagrams};
use super::path::{DropReason, Fate, PathSettings, Paths, datagram_bytes};
use super::rule::{EmulationError, EmulationSettings, Rule, RuleTable};
use super::schedule::Schedule;
use crate::net::limits::HELD_BYTES_MAX;
use crate::net::socket::canonical;

/// What one node emulates, changeable while it runs; clones share it.
#[derive(Clone, Debug)]
pub struct Emulation(Arc<Shared>);

/// What becomes of a batch that the node sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Outbound {
    /// No rule concerns it.
    Pass,
    /// It was held back, dropped, or partly both.
    Taken,
}

impl Emulation {
    /// Nothing is emulated yet. What is lost and how late the rest is follows from `seed` and the order of packets.
    pub fn new(seed: u64) -> Self {
        let state = State {
            firewall: Firewall::Open,
            rules: RuleTable::default(),
            paths: Paths::default(),
            pinholes: Pinholes::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            held: Schedule::new(HELD_BYTES_MAX),
            dropped: BTreeMap::new(),
        };
        Self(Arc::new(Shared { is_on: AtomicBool::new(false), state: Mutex::new(state), earlier: Notify::new() }))
    }

    /// Replaces all rules and leaves the firewall as it is. What is on its way keeps its time, and what follows under
    /// another rule may overtake it.
    pub fn set(&self, rules: &[Rule]) -> Result<(), EmulationError> {
        let rules = RuleTable::new(rules)?;
        self.change(|state| state.rules = rules);
        Ok(())
    }

    /// Sets the firewall and leaves the rules as they are. One that closes begins without anybody to let in.
    pub fn set_firewall(&self, firewall: Firewall) {
        self.change(|state| {
            if state.firewall != firewall {
                state.firewall = firewall;
                state.pinholes = Pinholes::default();
            }
        });
    }

    /// Replaces all.
    pub fn replace(&self, settings: &EmulationSettings) -> Result<(), EmulationError> {
        self.set(&settings.rules)?;
        self.set_firewall(settings.firewall);
        Ok(())
    }

    /// What is in force, rules by peer.
    pub fn settings(&self) -> EmulationSettings {
        let state = self.state();
        EmulationSettings { firewall: state.firewall, rules: state.rules.rules() }
    }

    /// Datagrams dropped since the start, by reason; a batch that arrived as one counts once.
    pub fn dropped(&self) -> BTreeMap<DropReason, u64> {
        self.state().dropped.clone()
    }

    /// Whether a packet from `peer` is dropped on arrival.
    pub(in crate::net) fn drops_inbound(&self, peer: SocketAddr) -> bool {
        self.is_on() && self.state().drops_inbound(Instant::now(), canonical(peer))
    }

    /// Does to a batch that this node sends what the rules say.
    pub(in crate::net) fn outbound(&self, transmit: &Transmit<'_>) -> Outbound {
        if !self.is_on() {
            return Outbound::Pass;
        }
        let mut state = self.state();
        let earliest = state.held.next_due();
        let outbound = state.outbound(Instant::now(), transmit);
        if state.held.next_due() != earliest {
            self.0.earlier.notify_one();
        }
        outbound
    }

    /// When the next held datagram is to be sent.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.state().held.next_due()
    }

    /// The next one that is due.
    pub(super) fn pop_due(&self) -> Option<Held> {
        self.state().held.pop_due(Instant::now())
    }

    /// Ends when something became due earlier than all before.
    pub(super) async fn earlier_due(&self) {
        self.0.earlier.notified().await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let is_on = state.firewall != Firewall::Open || !state.rules.is_empty();
        self.0.is_on.store(is_on, Ordering::Release);
    }

    fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder of the lock panics")
    }
}

#[derive(Debug)]
struct Shared {
    /// Whether there is a rule or a firewall: without, a packet costs this one look.
    is_on: AtomicBool,
    state: Mutex<State>,
    earlier: Notify,
}

#[derive(Debug)]
struct State {
    firewall: Firewall,
    rules: RuleTable,
    paths: Paths<SocketAddr>,
    pinholes: Pinholes,
    rng: ChaCha8Rng,
    held: Schedule<Held>,
    dropped: BTreeMap<DropReason, u64>,
}

impl State {
    fn drops_inbound(&mut self, now: Instant, peer: SocketAddr) -> bool {
        let reason = if self.rules.rule(peer).is_some_and(|rule| rule.cut.drops_in()) {
            Some(DropReason::Cut)
        } else if self.firewall == Firewall::Stateful && !self.pinholes.admits(now, peer) {
            Some(DropReason::Firewall)
        } else {
            None
        };
        self.count(reason);
        reason.is_some()
    }

    fn outbound(&mut self, now: Instant, transmit: &Transmit<'_>) -> Outbound {
        let peer = canonical(transmit.destination);
        if self.firewall == Firewall::Stateful {
            self.pinholes.sent(now, peer);
        }
        let settings = self.rules.rule(peer).map_or(PathSettings::CLEAR, Rule::outgoing);
        if settings == PathSettings::CLEAR {
            return Outbound::Pass;
        }
        if settings.tells_datagrams_apart() || settings.is_cut {
            for datagram in datagrams(transmit) {
                self.hold(now, (peer, settings), datagram.len(), || Held::new(transmit, datagram, None));
            }
        } else {
            let batch = || Held::new(transmit, transmit.contents, transmit.segment_size);
            self.hold(now, (peer, settings), transmit.contents.len(), batch);
        }
        Outbound::Taken
    }

    /// Offers so many bytes to the path to that peer and holds them, or counts why they do not arrive.
    fn hold(
        &mut self,
        now: Instant,
        (peer, settings): (SocketAddr, PathSettings),
        bytes: usize,
        held: impl FnOnce() -> Held,
    ) {
        let path = self.paths.path(now, peer, settings);
        let fate = path.map(|path| path.offer(now, datagram_bytes(bytes, peer), &mut self.rng));
        let reason = match fate {
            None => Some(DropReason::BufferFull),
            Some(Fate::Drop(reason)) => Some(reason),
            Some(Fate::Deliver { at }) => (!self.held.push(at, bytes, held())).then_some(DropReason::BufferFull),
        };
        self.count(reason);
    }

    fn count(&mut self, reason: Option<DropReason>) {
        if let Some(reason) = reason {
            *self.dropped.entry(reason).or_default() += 1;
        }
    }
}
