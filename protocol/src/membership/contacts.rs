//! What this node itself heard from others, wherever they are: the only first-hand evidence there is.

use super::rtt::RttWindow;
use crate::core::{Effects, Lane};
use crate::id::Incarnation;
use crate::time::{Mono, micros};
use crate::wire::{Load, ProbeMessage, Suspicion, VerifiedMessage};
use hedgerow_attest::id::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the acknowledgement of a ping still measures a round trip.
const PING_LIFE: Duration = Duration::from_secs(10);

/// Pings that are remembered; the oldest is forgotten for the next.
const PINGS_MAX: usize = 1024;

/// One node's traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Contact {
    /// When anything arrived from it last.
    pub(crate) heard: Option<Mono>,
    /// How far away it is.
    pub(crate) rtt: RttWindow,
    /// What its last acknowledgement said.
    pub(crate) load: Load,
    /// When that arrived.
    pub(crate) loaded: Option<Mono>,
    /// Whether the transport has a link to it.
    pub(crate) linked: bool,
    /// When it was last told that it is taken for down.
    pub(crate) told: Option<Mono>,
}

/// Everybody's traces.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    nodes: BTreeMap<NodeId, Contact>,
    /// Pings whose acknowledgement is awaited, by nonce.
    pings: BTreeMap<u64, (NodeId, Mono)>,
    last_nonce: u64,
}

impl Contacts {
    pub(crate) fn of(&self, node: &NodeId) -> Contact {
        self.nodes.get(node).copied().unwrap_or_default()
    }

    pub(crate) fn entry(&mut self, node: NodeId) -> &mut Contact {
        self.nodes.entry(node).or_default()
    }

    /// Sends a ping and returns its nonce.
    pub(crate) fn ping(
        &mut self,
        fx: &mut Effects<'_>,
        to: NodeId,
        belief: Suspicion,
        suspects: Vec<(NodeId, Incarnation)>,
    ) -> u64 {
        // Starts anywhere, so that an acknowledgement for an earlier run measures nothing.
        self.last_nonce = if self.last_nonce == 0 { fx.random() } else { self.last_nonce.wrapping_add(1) };
        let nonce = self.last_nonce;
        let now = fx.now;
        self.pings.retain(|_, (_, sent)| now.since(*sent) < PING_LIFE);
        if self.pings.len() >= PINGS_MAX {
            self.pings.pop_first();
        }
        self.pings.insert(nonce, (to, now));
        fx.send(to, Lane::Probe, VerifiedMessage::Probe(ProbeMessage::Ping { nonce, belief, suspects }));
        nonce
    }

    /// Takes an acknowledgement: the round trip it measures. `None` when it answers no ping of ours to that node.
    pub(crate) fn acknowledged(&mut self, from: NodeId, nonce: u64, load: Load, now: Mono) -> Option<u64> {
        let (_, sent) = self.pings.remove(&nonce).filter(|(to, _)| *to == from)?;
        let rtt_us = micros(now.since(sent)).max(1);
        let contact = self.entry(from);
        contact.load = load;
        contact.loaded = Some(now);
        contact.rtt.measured(rtt_us);
        Some(rtt_us)
    }

    /// How long an answer of that node may take, given a grace beyond its round trip.
    pub(crate) fn patience(&self, node: &NodeId, grace: Duration) -> Duration {
        let rtt = self.of(node).rtt.least_us().unwrap_or(RTT_UNKNOWN_US);
        grace + Duration::from_micros(rtt.min(RTT_PATIENCE_US))
    }
}

/// Assumed until a round trip was measured, in microseconds.
const RTT_UNKNOWN_US: u64 = 50_000;

/// A node cannot make its observers wait longer than this for each answer, in microseconds.
const RTT_PATIENCE_US: u64 = 400_000;
