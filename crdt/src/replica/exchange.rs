//! The conversation with the other replicas: who holds what, who lacks what, and getting it there.

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::id::PlacementEpoch;

use crate::{
    engine::DocEngine,
    frame::{Lsn, SealedFrame, VerifiedFrame},
    limits::PULL_BYTES_MAX,
    message::{Ask, Held, SyncBody, SyncMessage},
    replica::{
        Output, Replica,
        log::Holding,
        machine::{Context, Phase, Work},
        peers::exceeds,
    },
};

impl<E: DocEngine> Replica<E> {
    /// Takes a message of another node. Those that are replicas are told all that they ask for. Others may have been, and then they hand over what
    /// they have: that is taken, and nothing but what is held here is told to them.
    pub(crate) fn take_message(&mut self, cx: &mut Context<'_>, from: NodeId, message: SyncMessage) {
        let SyncMessage { group, placement, body } = message;
        if self.phase != Phase::Serving || group != self.config.group {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.up) {
            peer.follows(placement);
        }
        match body {
            SyncBody::Frames(frames) if self.is_replica() => {
                for frame in frames {
                    self.look_at(cx, from, frame);
                }
            }
            SyncBody::Ack(held) if self.is_peer(&from) => self.heard(cx, from, &held),
            SyncBody::Vector { held, ask } if self.is_peer(&from) => {
                self.heard(cx, from, &held);
                self.answer(cx, from, ask);
            }
            SyncBody::Vector { held, ask } if self.is_replica() => {
                self.heard(cx, from, &held);
                if ask != Ask::Nothing {
                    self.answer(cx, from, Ask::Vector);
                }
            }
            SyncBody::Want { session: _, changes } if self.is_peer(&from) => {
                let frames = self.log.containing(&changes, PULL_BYTES_MAX);
                if !frames.is_empty() {
                    self.send(cx, from, SyncBody::Frames(frames));
                }
            }
            SyncBody::Frames(_) | SyncBody::Ack(_) | SyncBody::Vector { .. } | SyncBody::Want { .. } => {}
        }
    }

    /// A frame whose signature holds waits for the next commit.
    pub(crate) fn take_frame(&mut self, from: NodeId, frame: VerifiedFrame) {
        let is_replica = self.phase == Phase::Serving && self.is_replica();
        if is_replica && frame.head().group == self.config.group && self.inbox.len() < self.config.limits.requests {
            let origin = frame.head().origin;
            if origin.node == from
                && let Some(peer) = self.peers.get_mut(&from)
            {
                // Nobody sends its own records before they are durable, nor out of their order.
                peer.heard(&[Held { origin, durable: frame.head().last_lsn() }]);
            }
            self.inbox.push_back(Work::Frame { from, frame });
        }
    }

    /// Says what this replica holds and asks for the same.
    pub(crate) fn greet(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if self.phase == Phase::Serving {
            self.send(cx, node, SyncBody::Vector { held: self.log.held(), ask: Ask::Vector });
            self.settle_peer(cx, node);
        }
    }

    /// Pulls from and nudges those with whom this replica is known to differ.
    pub(crate) fn settle_peers(&mut self, cx: &mut Context<'_>) {
        for node in self.peers_up() {
            self.settle_peer(cx, node);
        }
    }

    /// Repeats what is due, with nodes that have links: replicas are asked and told, others only asked. For the rest nothing is due any more.
    pub(crate) fn retry_exchange(&mut self, cx: &mut Context<'_>) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            let serves = self.phase == Phase::Serving;
            let (asks, tells) = (serves && self.is_replica(), serves && self.is_peer(&node));
            let peer = self.peers.get_mut(&node).expect("the peer was just listed");
            if !(peer.up && asks) {
                peer.pull.reset();
            }
            if !(peer.up && tells) {
                peer.nudge.reset();
            }
            let is_due = |due| due <= cx.now;
            let ask = if peer.pull.due().is_some_and(is_due) {
                peer.pull.arm(cx.now);
                Ask::Frames
            } else if peer.nudge.due().is_some_and(is_due) {
                peer.nudge.arm(cx.now);
                Ask::Vector
            } else {
                continue;
            };
            self.send(cx, node, SyncBody::Vector { held: self.log.held(), ask });
        }
    }

    pub(crate) fn send(&self, cx: &mut Context<'_>, to: NodeId, body: SyncBody) {
        if to != self.config.me {
            let placement = self.placement.as_ref().map_or(PlacementEpoch(0), |placement| placement.epoch);
            let message = SyncMessage { group: self.config.group.clone(), placement, body };
            cx.out.push(Output::Send { to, message });
        }
    }

    /// Has a frame's signature checked, unless the frame is known or unwanted: a check costs a hundred times what finding that out does.
    fn look_at(&self, cx: &mut Context<'_>, from: NodeId, frame: SealedFrame) {
        let Ok(head) = frame.claimed_head() else { return };
        let is_parked = self.parked.iter().any(|parked| *parked.frame.head() == head);
        if head.group != self.config.group || self.quarantined.contains(&head.origin) || is_parked {
            return;
        }
        match self.log.holding(&head) {
            Holding::Same => {
                let durable = self.log.durable_reach().get(&head.origin).copied().unwrap_or_default();
                self.send(cx, from, SyncBody::Ack(vec![Held { origin: head.origin, durable }]));
            }
            // What contradicts the log is a proof of misbehaviour if the signature holds.
            Holding::Absent | Holding::Contradicted(_) | Holding::Impossible => {
                cx.out.push(Output::VerifyFrame { from, frame })
            }
        }
    }

    fn heard(&mut self, cx: &mut Context<'_>, from: NodeId, held: &[Held]) {
        let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.up) else { return };
        if peer.heard(held) {
            peer.nudge.reset();
        }
        self.settle_writes(cx);
        self.settle_peer(cx, from);
    }

    fn answer(&self, cx: &mut Context<'_>, from: NodeId, ask: Ask) {
        let held = self.log.held();
        match ask {
            Ask::Nothing => {}
            Ask::Vector => self.send(cx, from, SyncBody::Vector { held, ask: Ask::Nothing }),
            Ask::Frames => {
                let reach = self.peers.get(&from).map(|peer| peer.held.clone()).unwrap_or_default();
                let frames = self.log.beyond(&reach, PULL_BYTES_MAX);
                let body = if frames.is_empty() {
                    SyncBody::Vector { held, ask: Ask::Nothing }
                } else {
                    SyncBody::Frames(frames)
                };
                self.send(cx, from, body);
            }
        }
    }

    /// Pulls at once when the peer has more and nothing was asked of it yet; nudges after a while when it has less, since a push may be under way.
    /// Only replicas pull, and only they are nudged.
    fn settle_peer(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let serves = self.phase == Phase::Serving;
        let (asks, tells) = (self.is_replica(), self.is_peer(&node));
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.up && serves) else { return };
        if asks && exceeds(&peer.held, |origin| self.log.reach(origin)) {
            if !peer.pull.is_armed() {
                peer.pull.arm(cx.now);
                self.send(cx, node, SyncBody::Vector { held: self.log.held(), ask: Ask::Frames });
                return;
            }
        } else {
            peer.pull.reset();
        }
        let has = |origin: &_| peer.held.get(origin).copied().unwrap_or(Lsn(0));
        // Whoever follows an earlier placement has to say again what it holds when it follows this one.
        let lags = peer.lags(self.placement.as_ref());
        let here = self.log.durable_reach();
        if tells && (exceeds(here, has) || lags && !here.is_empty()) {
            if !peer.nudge.is_armed() {
                peer.nudge.arm(cx.now);
            }
        } else {
            peer.nudge.reset();
        }
    }
}
