//! Rounds of dials: when one begins, what it tries, and how it ends.

use super::interface::{AttemptId, CloseReason, Connected, DialFailure, LinkOutput, Urgency};
use super::limits::ROUNDS_MAX;
use super::links::{Links, Step, close};
use super::peer::{Connection, Dialling, Next, Peer, Round};
use super::relayed::Address;
use rand_core::Rng as _;
use std::fmt::Debug;
use std::hash::Hash;

impl<K: Copy + Ord + Debug + Hash, A: Address> Links<K, A> {
    pub(super) fn want(&mut self, cx: Step<'_, '_, K, A>, peer: K, urgency: Urgency) {
        let (rounds, now) = (self.rounds, cx.now);
        let Some(known) = self.entry(cx, peer) else { return };
        let backs_off = known.backoff.is_some_and(|backoff| now < backoff.until);
        match known.dialling {
            _ if known.link.is_some() || known.addresses.is_empty() => {}
            Dialling::Round(_) => {}
            Dialling::No if backs_off => {}
            Dialling::No | Dialling::Queued(_) if rounds < ROUNDS_MAX => self.begin(cx, peer),
            Dialling::Queued(queued) if queued >= urgency => {}
            Dialling::No | Dialling::Queued(_) => {
                known.dialling = Dialling::Queued(urgency);
                match urgency {
                    Urgency::Request => self.urgent.push_back(peer),
                    Urgency::Upkeep => self.upkeep.push_back(peer),
                }
            }
        }
    }

    /// Begins a round; the peer is known, has no link, and is not dialled.
    fn begin(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        let Some(known) = self.peer_mut(&peer) else { return };
        let round = Round::new(known.addresses.candidates().iter().map(|known| known.address));
        known.dialling = Dialling::Round(Box::new(round));
        self.rounds += 1;
        self.attempt(cx, peer);
    }

    /// Tries the next address.
    pub(super) fn attempt(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        self.last_attempt += 1;
        let attempt = AttemptId(self.last_attempt);
        let Some(known) = self.peer_mut(&peer) else { return };
        let Some(address) = known.round().and_then(|round| round.attempt(attempt, cx.now)) else { return };
        let deadline = known.deadline();
        cx.out.push(LinkOutput::Dial { peer, attempt, address });
        deadline.into_iter().for_each(|deadline| self.due(deadline));
    }

    pub(super) fn attempted(
        &mut self,
        cx: Step<'_, '_, K, A>,
        peer: K,
        attempt: AttemptId,
        outcome: Result<Connected<A>, DialFailure>,
    ) {
        let known = self.peer_mut(&peer);
        let address = known.and_then(|known| known.round()?.ended(attempt));
        match (address, outcome) {
            (Some(address), Ok(connected)) => {
                self.end_round(cx, peer);
                if let Some(known) = self.peer_mut(&peer) {
                    known.addresses.worked(address);
                }
                self.adopt(cx, peer, Connection { connected, dialled: true });
                self.begin_waiting(cx);
            }
            (Some(address), Err(failure)) => self.attempt_failed(cx, peer, address, failure),
            (None, Ok(connected)) => self.came_all_the_same(cx, peer, connected),
            (None, Err(_)) => {}
        }
    }

    fn attempt_failed(&mut self, cx: Step<'_, '_, K, A>, peer: K, address: A, failure: DialFailure) {
        let Some(known) = self.peer_mut(&peer) else { return };
        known.addresses.failed(address);
        match known.round().map(|round| round.next()) {
            Some(Next::Attempt) => self.attempt(cx, peer),
            // The peer dialled meanwhile, or was not met where its link is relayed.
            Some(Next::Failed) if known.link.is_some() => {
                self.end_round(cx, peer);
                self.begin_waiting(cx);
            }
            // The relayed link ended while both tried to meet: whoever waits for one waits for a round that tries everything.
            Some(Next::Failed) if known.round().is_some_and(|round| round.is_meeting) => {
                self.end_round(cx, peer);
                self.want(cx, peer, Urgency::Request);
            }
            Some(Next::Failed) => {
                let retry_in = known.back_off(cx.now, cx.rng.next_u64());
                cx.out.push(LinkOutput::Failed { peer, failure, retry_in });
                self.end_round(cx, peer);
                self.begin_waiting(cx);
            }
            Some(Next::Wait) | None => {}
        }
    }

    /// An attempt that was given up was made all the same, and the peer may take it for the link. Where a dial of the peer's is
    /// the link here, both go by the rule for such a pair; of two dials of this node's own the peer has to keep the first.
    fn came_all_the_same(&mut self, cx: Step<'_, '_, K, A>, peer: K, connected: Connected<A>) {
        match self.peer(&peer).map(|known| known.link) {
            Some(Some(link)) if !link.dialled && link.connected.life == connected.life => {
                self.adopt(cx, peer, Connection { connected, dialled: true });
            }
            Some(None) => self.adopt(cx, peer, Connection { connected, dialled: true }),
            // Both ends prefer it.
            Some(Some(link)) if link.is_relayed() && !connected.address.is_relayed() => {
                self.adopt(cx, peer, Connection { connected, dialled: true });
            }
            Some(Some(_)) | None => close(cx, peer, connected.connection, CloseReason::Duplicate),
        }
    }

    /// Ends the round of a peer, if there is one, without giving up what is under way of it.
    pub(super) fn leave_round(&mut self, peer: K) -> Option<Box<Round<A>>> {
        let known = self.peer_mut(&peer)?;
        match std::mem::replace(&mut known.dialling, Dialling::No) {
            Dialling::Round(round) => {
                let count = if round.is_meeting { &mut self.meetings } else { &mut self.rounds };
                *count -= 1;
                Some(round)
            }
            Dialling::No | Dialling::Queued(_) => None,
        }
    }

    /// Ends the round of a peer, if there is one, and gives up what is under way of it.
    pub(super) fn end_round(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        if let Some(round) = self.leave_round(peer) {
            cx.out.extend(round.running().map(|attempt| LinkOutput::Cancel { attempt }));
        }
    }

    /// Begins rounds that waited, as many as there is room for.
    pub(super) fn begin_waiting(&mut self, cx: Step<'_, '_, K, A>) {
        while self.rounds < ROUNDS_MAX {
            let Some(peer) = self.urgent.pop_front().or_else(|| self.upkeep.pop_front()) else { return };
            let waits = |known: &Peer<A>| matches!(known.dialling, Dialling::Queued(_));
            if self.peer(&peer).is_some_and(waits) {
                self.begin(cx, peer);
            }
        }
    }
}
