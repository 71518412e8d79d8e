//! Which connection is the link: the rule that both ends follow, and the end of one.

use super::interface::{CloseReason, Connected, ConnectionId, Ended, LinkOutput, Urgency};
use super::links::{Links, Step, close};
use super::peer::{Connection, Dialling};
use super::relayed::Address;
use std::fmt::Debug;
use std::hash::Hash;

impl<K: Copy + Ord + Debug + Hash, A: Address> Links<K, A> {
    pub(super) fn accepted(&mut self, cx: Step<'_, '_, K, A>, peer: K, connected: Connected<A>) {
        let me = self.me;
        let Some(known) = self.entry(cx, peer) else {
            return close(cx, peer, connected.connection, CloseReason::Unwelcome);
        };
        // Whoever dials through a relay need not wait there.
        if !connected.address.is_relayed() {
            known.addresses.worked(connected.address);
        }
        self.adopt(cx, peer, Connection { connected, dialled: false });
        // Only the side whose dial would lose tries no further: if both did, none would be left. What it has begun may have been
        // accepted already, and ends like any other that is one too many.
        if peer < me && !connected.address.is_relayed() {
            self.leave_round(peer);
            self.begin_waiting(cx);
        }
    }

    /// Makes a connection the link, unless the one that there is is better.
    pub(super) fn adopt(&mut self, cx: Step<'_, '_, K, A>, peer: K, new: Connection<A>) {
        self.last_epoch = self.last_epoch.wrapping_add(1);
        let (me, now, epoch) = (self.me, cx.now, self.last_epoch);
        let Some(known) = self.peer_mut(&peer) else { return };
        known.backoff = None;
        if matches!(known.dialling, Dialling::Queued(_)) {
            known.dialling = Dialling::No;
        }
        let connection = new.connected.connection;
        let same_life = known.link.is_none_or(|link| link.connected.life == new.connected.life);
        let surplus = match known.link {
            Some(link) if same_life && link.is_preferred_to(&new, me < peer) => known.keep_other(new, now),
            Some(link) if same_life => {
                known.link = Some(new);
                known.acknowledged_by = None;
                cx.out.push(LinkOutput::Moved { peer, connection });
                known.keep_other(link, now)
            }
            link => {
                known.link = Some(new);
                known.acknowledged_by = None;
                known.epoch = epoch;
                if let Some(old) = link {
                    cx.out.push(LinkOutput::Down { peer, why: Ended::Restarted });
                    close(cx, peer, old.connected.connection, CloseReason::Duplicate);
                }
                cx.out.push(LinkOutput::Up { peer, connection });
                // Others are of the same run as the link: there are none, or they end with it.
                for (other, _) in std::mem::take(&mut known.others) {
                    close(cx, peer, other.connected.connection, CloseReason::Duplicate);
                }
                None
            }
        };
        known.plan_upgrade(now);
        let deadline = known.deadline();
        surplus.into_iter().for_each(|surplus| close(cx, peer, surplus.connected.connection, CloseReason::Duplicate));
        deadline.into_iter().for_each(|deadline| self.due(deadline));
    }

    pub(super) fn closed(&mut self, cx: Step<'_, '_, K, A>, peer: K, connection: ConnectionId) {
        let lower = self.me < peer;
        let Some(known) = self.peer_mut(&peer) else { return };
        known.others.retain(|(other, _)| other.connected.connection != connection);
        if !known.is_link(connection) {
            return;
        }
        known.acknowledged_by = None;
        known.fall_back(lower);
        known.plan_upgrade(cx.now);
        let (link, deadline) = (known.link, known.deadline());
        match link {
            Some(link) => cx.out.push(LinkOutput::Moved { peer, connection: link.connected.connection }),
            None => cx.out.push(LinkOutput::Down { peer, why: Ended::Closed }),
        }
        deadline.into_iter().for_each(|deadline| self.due(deadline));
    }

    /// What was sent over the link is not acknowledged. A connection beside it, if there is one, is the link from here on;
    /// without one another way is tried, since whoever sent something wants a link.
    pub(super) fn give_up(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        self.last_epoch = self.last_epoch.wrapping_add(1);
        let (lower, epoch) = (self.me < peer, self.last_epoch);
        let Some(known) = self.peer_mut(&peer) else { return };
        known.acknowledged_by = None;
        let Some(link) = known.link.take() else { return };
        known.addresses.failed(link.connected.address);
        known.fall_back(lower);
        known.plan_upgrade(cx.now);
        cx.out.push(LinkOutput::Down { peer, why: Ended::Unacknowledged });
        close(cx, peer, link.connected.connection, CloseReason::Unacknowledged);
        match known.link {
            Some(other) => {
                known.epoch = epoch;
                cx.out.push(LinkOutput::Up { peer, connection: other.connected.connection });
            }
            None => self.want(cx, peer, Urgency::Request),
        }
    }

    /// Ends all connections to a peer from this side.
    pub(super) fn end(&mut self, cx: Step<'_, '_, K, A>, peer: K) {
        let Some(known) = self.peer_mut(&peer) else { return };
        let (link, others) = (known.link.take(), std::mem::take(&mut known.others));
        known.acknowledged_by = None;
        known.plan_upgrade(cx.now);
        if link.is_some() {
            cx.out.push(LinkOutput::Down { peer, why: Ended::HungUp });
        }
        for ended in link.into_iter().chain(others.into_iter().map(|(other, _)| other)) {
            close(cx, peer, ended.connected.connection, CloseReason::HungUp);
        }
    }
}
