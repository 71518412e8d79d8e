//! What a running node looks after beside its requests: where members can be dialled, now and after a restart, and by which
//! certificates they are known.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::revocation::VerifiedRevocation;
use hedgerow_protocol::fact::VerifiedFact;
use hedgerow_protocol::link::Origin;
use hedgerow_protocol::roster::Roster;
use hedgerow_protocol::view::{MemberState, MeshView};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::identity::issues;
use crate::net::{Net, Trust};
use crate::store::MeshStore;

/// What it takes.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) net: Net,
    pub(super) views: watch::Receiver<Arc<MeshView>>,
    pub(super) rosters: watch::Receiver<Arc<Roster>>,
    pub(super) store: MeshStore,
    pub(super) trust: watch::Sender<Arc<Trust>>,
    /// Told when this node itself is out.
    pub(super) expulsion: watch::Sender<Option<VerifiedRevocation>>,
}

impl Upkeep {
    /// Runs until `stop`: every member of the view can be dialled where it says that it is, so that a request finds one to which
    /// this node keeps no link. After a restart the same records come from the mesh store; those of issuers also when their
    /// certificates ended meanwhile, since this node's own may have, too.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let (mut learnt, mut kept, mut noted) = (BTreeMap::new(), BTreeMap::new(), Noted::new());
        let mut look = tokio::time::interval(NOTE_EVERY);
        loop {
            let view = self.views.borrow_and_update().clone();
            let roster = self.rosters.borrow_and_update().clone();
            self.judge(&roster);
            for (node, addresses) in news(&mut learnt, &view) {
                self.net.learn(node, Origin::Said, &addresses);
            }
            for link in self.net.links() {
                if let Some(member) = roster.member(&link.node) {
                    self.net.renewed(member);
                }
            }
            self.keep_issuers(&roster, &mut kept).await;
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.views.changed() => if changed.is_err() { break },
                changed = self.rosters.changed() => if changed.is_err() { break },
                _ = look.tick() => self.note(&mut noted).await,
            }
        }
        self.note(&mut noted).await;
    }

    /// Keeps what changed of the address book. Nobody waits for it: what a crash loses is learnt again.
    async fn note(&self, noted: &mut Noted) {
        for (node, known) in self.net.address_book() {
            let now: Vec<_> = known.iter().map(|known| (known.address, known.origin, known.worked)).collect();
            if noted.get(&node) != Some(&now) {
                noted.insert(node, now);
                drop(self.store.put_addresses(node, &known).await);
            }
        }
    }

    /// Handshakes and links go by who is out from here on.
    fn judge(&self, roster: &Roster) {
        // The first roster may be that of a core that has read nothing yet: what is known already stays.
        let mut revoked = self.trust.borrow().revoked.clone();
        if revoked.merge(roster.revoked()) {
            self.trust.send_modify(|trust| Arc::make_mut(trust).revoked = revoked);
        }
        let me = self.trust.borrow().node;
        if let Some(revocation) = roster.revocation_of(&me).and_then(VerifiedFact::revoked) {
            self.expulsion.send_replace(Some(revocation.clone()));
        }
    }

    /// Keeps by which certificates issuers are known.
    async fn keep_issuers(&self, roster: &Roster, kept: &mut BTreeMap<NodeId, u64>) {
        for issuer in roster.members().filter(|member| issues(member)) {
            if kept.get(&issuer.node()) == Some(&issuer.serial()) {
                continue;
            }
            let certificate = self.store.put_certificate(issuer.node(), issuer.certificate().to_bytes()).await;
            match certificate.await {
                Ok(()) => drop(kept.insert(issuer.node(), issuer.serial())),
                Err(error) => {
                    tracing::warn!(%error, issuer = %issuer.node(), "an issuer's certificate was not kept");
                }
            }
        }
    }
}

/// How often it is looked at whether members are elsewhere than was written.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// What was last written of where each member is.
type Noted = BTreeMap<NodeId, Vec<(SocketAddr, Origin, bool)>>;

/// The members that are elsewhere than `learnt` says, which is brought up to date. One that says nothing may still be where it was;
/// nobody dials one that left.
fn news(learnt: &mut BTreeMap<NodeId, Vec<SocketAddr>>, view: &MeshView) -> Vec<(NodeId, Vec<SocketAddr>)> {
    learnt.retain(|node, _| view.members.contains_key(node));
    let mut news = Vec::new();
    let others = view.members.values().filter(|member| member.node != view.me && member.state != MemberState::Left);
    for member in others.filter(|member| !member.addresses.is_empty()) {
        if learnt.get(&member.node) != Some(&member.addresses) {
            learnt.insert(member.node, member.addresses.clone());
            news.push((member.node, member.addresses.clone()));
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{node, view};

    #[test]
    fn a_member_is_learnt_when_it_moves_and_not_forgotten_when_it_says_nothing() {
        let at = |port: u16| vec![SocketAddr::from(([192, 0, 2, 1], port))];
        let mut learnt = BTreeMap::new();
        let mut now = view(&[(1, at(1)), (2, at(2)), (3, vec![])]);
        assert_eq!(news(&mut learnt, &now), [(node(2), at(2))], "neither itself nor nowhere");
        assert_eq!(news(&mut learnt, &now), []);
        now = view(&[(1, at(1)), (2, vec![]), (3, at(3))]);
        assert_eq!(news(&mut learnt, &now), [(node(3), at(3))]);
        now = view(&[(1, at(1)), (2, at(4)), (3, at(3))]);
        assert_eq!(news(&mut learnt, &now), [(node(2), at(4))]);
    }
}
