//! To whom this node wants links, and which it can spare.

use super::effects::Effects;
use super::interface::Hint;
use super::mesh_core::MeshCore;
use crate::defect::Defects;
use crate::membership::anywhere;
use crate::view::MemberState;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;

/// A node with fewer links asks for more: gossip needs as many, and a few to spare.
const LINKS_LEAST: usize = 8;

/// Links to members of the own cell beyond which those are given up that nothing needs: each costs a packet every two
/// seconds to keep. The distance to [`LINKS_LEAST`] keeps two nodes from undoing each other's work.
const LINKS_MOST: usize = 12;

/// Links that are given up in one round of chores.
const SPARED: usize = 2;

/// Links beyond those to neighbours that are asked for in one round of chores.
const DIALS: usize = 2;

/// Members of whom nothing but the certificate is known that are dialled in one round of chores.
const STRANGERS: usize = 4;

/// Members that are looked at for that.
const LOOKED_AT: usize = 16;

impl<D: Defects> MeshCore<D> {
    /// Asks for links to neighbours, and to a few members more. A member of whom nothing but its certificate is known is
    /// dialled as well: after a restart of the whole cell two groups that found each other first would never meet.
    pub(super) fn want_links(&self, fx: &mut Effects<'_>) {
        let unlinked = |node: &NodeId| !self.contacts.of(node).is_linked();
        let mut wanted: Vec<NodeId> = self.swim.neighbours().filter(unlinked).collect();
        if self.roster.members().len() > self.swim.known() + self.remote.known() + 1 {
            let unheard = |node: &NodeId| *node != self.config.me && self.liveness(node).is_none() && unlinked(node);
            let mut unheard: Vec<NodeId> = self.roster.members().map(Member::node).filter(unheard).collect();
            fx.shuffle(&mut unheard);
            wanted.extend(unheard.into_iter().take(STRANGERS));
        }
        if self.contacts.links() < LINKS_LEAST {
            let start = anywhere(fx);
            let around = self.shown.around(start).take(LOOKED_AT);
            let wants = |(node, state): &(&NodeId, &MemberState)| {
                **node != self.config.me && matches!(state, MemberState::Alive | MemberState::Suspect) && unlinked(node)
            };
            wanted.extend(around.filter(wants).map(|(node, _)| *node).take(DIALS));
        }
        for node in wanted {
            self.dial(fx, node);
        }
    }

    /// Asks for a link, and says where the member may be found.
    pub(super) fn dial(&self, fx: &mut Effects<'_>, peer: NodeId) {
        if self.roster.revoked().contains(&peer) {
            return;
        }
        let addresses = self.record(&peer).map(|record| record.addresses.clone()).unwrap_or_default();
        fx.hint(Hint::Dial { peer, addresses });
    }

    /// Gives up links to members of the own cell that neither failure detection nor the election needs, where there are
    /// many. The transport keeps those over which requests or sessions travel.
    pub(super) fn spare_links(&self, fx: &mut Effects<'_>) {
        if self.contacts.links() <= LINKS_MOST {
            return;
        }
        let near = |node: &NodeId| self.swim.peers().contains_key(node);
        let linked: Vec<NodeId> = self.contacts.linked().filter(near).collect();
        let Some(surplus) = linked.len().checked_sub(LINKS_MOST) else { return };
        let votes = |node: &NodeId| self.cell.voters().is_some_and(|voters| voters.has(node));
        let both_vote = |node: &NodeId| votes(node) && votes(&self.config.me);
        let needless = |node: &NodeId| !self.swim.watches(node) && !both_vote(node);
        let mut spare: Vec<NodeId> = linked.into_iter().filter(needless).collect();
        fx.shuffle(&mut spare);
        for peer in spare.into_iter().take(surplus.min(SPARED)) {
            fx.hint(Hint::Hangup { peer });
        }
    }
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
