//! Who belongs to the mesh, and who did.

use super::{MEMBERS_MAX, Roster};
use crate::sorted::{find_spread, insert_at};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::revoked::Outcast;
use std::cmp::Ordering;
use std::sync::Arc;

impl Roster {
    /// Takes a member in, unless a certificate that supersedes this one is known; one who is a member no more, or out for good, as
    /// an author only. True when anything changed.
    pub fn admit(&mut self, member: &Member) -> bool {
        match self.revoked().judge(member) {
            Some(Outcast::Node | Outcast::Certificate) => return self.remember(&member.past()),
            None if member.is_past() => return self.remember(member),
            None => {}
        }
        let is_back = self.former.contains_key(&member.node())
            && Arc::make_mut(&mut self.former).remove(&member.node()).is_some();
        is_back | self.enter(member)
    }

    fn enter(&mut self, member: &Member) -> bool {
        match self.place_of(&member.node()) {
            Ok(known) => self.members.get_mut(known).is_some_and(|known| {
                let supersedes = member.supersedes(known);
                if supersedes {
                    known.clone_from(member);
                }
                supersedes
            }),
            Err(_) if self.members.len() >= MEMBERS_MAX => false,
            Err(place) => {
                insert_at(&mut self.members, place, member.clone());
                true
            }
        }
    }

    /// Somebody who is a member no more is known as an author.
    fn remember(&mut self, member: &Member) -> bool {
        let known = self.author(&member.node());
        let is_news = known.is_none_or(|known| known.is_past() && member.supersedes(known));
        let has_room = self.former.len() < MEMBERS_MAX || self.former.contains_key(&member.node());
        if is_news && has_room {
            Arc::make_mut(&mut self.former).insert(member.node(), member.clone());
        }
        is_news && has_room
    }

    /// Forgets a member.
    pub fn dismiss(&mut self, node: &NodeId) {
        if let Ok(place) = self.place_of(node) {
            self.members.remove(place);
        }
    }

    /// Forgets that somebody is a member, and not by which keys to check what it signed.
    pub fn retire(&mut self, node: &NodeId) {
        if let Some(member) = self.member(node).map(Member::past) {
            self.dismiss(node);
            self.remember(&member);
        }
    }

    /// The member with this identity.
    #[must_use]
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.members.get(self.place_of(node).ok()?)
    }

    /// The member with this identity, or who was it and is none any more: what it signed is checked by its keys.
    #[must_use]
    pub fn author(&self, node: &NodeId) -> Option<&Member> {
        self.member(node).or_else(|| self.former.get(node))
    }

    /// Who was a member and is none, as far as what they signed counts.
    pub(crate) fn former(&self) -> impl Iterator<Item = &Member> {
        self.former.values()
    }

    /// Forgets somebody who is a member no more.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        if self.former.contains_key(node) {
            Arc::make_mut(&mut self.former).remove(node);
        }
    }

    /// All members, by node.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.iter()
    }

    /// Whose transport key that is. Looks at all members; handshakes are rare.
    #[must_use]
    pub fn node_of(&self, peer: &PeerId) -> Option<NodeId> {
        self.members.iter().find(|member| member.peer() == *peer).map(Member::node)
    }

    /// The key with which the node signs its statements, or signed them when it was a member.
    #[must_use]
    pub fn statement_key(&self, node: &NodeId) -> Option<PublicKey> {
        self.author(node).map(|member| *member.statement())
    }

    fn place_of(&self, node: &NodeId) -> Result<usize, usize> {
        let order = |place: usize| self.members.get(place).map_or(Ordering::Greater, |known| known.node().cmp(node));
        find_spread(self.members.len(), node.lead(), order)
    }
}
