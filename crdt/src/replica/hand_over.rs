//! Leaving a group: whether the holders of today have what this replica has, and when it may be dropped.

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::placement::ReplicaSet;

use crate::{
    engine::DocEngine,
    frame::Lsn,
    replica::{
        Output, Replica, Standing,
        machine::{Context, Phase},
        peers::exceeds,
    },
};

impl<E: DocEngine> Replica<E> {
    /// Says how far the hand-over is, where that changed, and has everything dropped that nobody needs here.
    pub(crate) fn hand_over(&mut self, cx: &mut Context<'_>) {
        let Some(placement) = self.placement.as_ref().filter(|_| self.phase == Phase::Serving) else { return };
        let standing = Standing { epoch: placement.epoch, is_open: self.is_open(placement) };
        let is_idle = self.commit.is_none() && self.inbox.is_empty() && self.waiting.is_empty();
        let has_any = self.log.frames().next().is_some();
        let may_drop = is_idle && has_any && placement.may_drop(&self.config.me, |node| self.has_all(node)).is_ok();
        if self.standing != Some(standing) {
            self.standing = Some(standing);
            cx.out.push(Output::Standing(standing));
        }
        if may_drop {
            self.phase = Phase::Dropped;
            cx.out.push(Output::Drop);
        }
    }

    fn is_open(&self, placement: &ReplicaSet) -> bool {
        let stays = placement.nodes.contains(&self.config.me) && placement.formers.is_empty();
        !stays && placement.has_quorum(|node| self.has_all(node)).is_err()
    }

    /// Whether the node said, since there is a link to it, that it durably has everything that this one durably has; and said
    /// so as one that follows a placement no earlier than this one does: by an earlier one it may hand over to this one.
    fn has_all(&self, node: &NodeId) -> bool {
        let here = self.log.durable_reach();
        let Some(peer) = self.peers.get(node) else { return *node == self.config.me || here.is_empty() };
        if peer.lags(self.placement.as_ref()) && !here.is_empty() {
            return false;
        }
        !exceeds(here, |origin| peer.held.get(origin).copied().unwrap_or(Lsn(0)))
    }
}
