//! What a running node looks after beside its requests: where members can be dialled, now and after a restart, and how long its
//! certificate lasts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::link::{Candidate, Origin};
use hedgerow_protocol::view::MeshView;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::net::Net;
use crate::observe::{Condition, Conditions, EXPIRY_NOTICE_S, wall};
use crate::store::MeshStore;

/// How often the certificate's end is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Runs until `stop`: every member of the view can be dialled where it says that it is, so that a request finds one to which
/// this node keeps no link. After a restart the same records come from the mesh store.
pub(super) async fn upkeep(
    net: Net,
    store: MeshStore,
    mut views: watch::Receiver<Arc<MeshView>>,
    not_after: UnixSeconds,
    conditions: Conditions,
    stop: CancellationToken,
) {
    let (mut learnt, mut noted) = (BTreeMap::new(), BTreeMap::new());
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        let view = views.borrow_and_update().clone();
        for (node, addresses) in news(&mut learnt, &view) {
            net.learn(node, Origin::Said, &addresses);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = views.changed() => if changed.is_err() { break },
            _ = look.tick() => {
                judge_certificate(not_after, wall().unix_seconds(), &conditions);
                note(&store, &mut noted, net.address_book()).await;
            }
        }
    }
    note(&store, &mut noted, net.address_book()).await;
}

/// What was last written of where each member is.
type Noted = BTreeMap<NodeId, Vec<(SocketAddr, Origin, bool)>>;

/// Keeps what changed of the address book. Nobody waits for it: what a crash loses is learnt again.
async fn note(store: &MeshStore, noted: &mut Noted, book: Vec<(NodeId, Vec<Candidate<SocketAddr>>)>) {
    for (node, known) in book {
        let now: Vec<_> = known.iter().map(|known| (known.address, known.origin, known.worked)).collect();
        if noted.get(&node) != Some(&now) {
            noted.insert(node, now);
            drop(store.put_addresses(node, &known).await);
        }
    }
}

/// The members that are elsewhere than `learnt` says, which is brought up to date. One that says nothing may still be where it was.
fn news(learnt: &mut BTreeMap<NodeId, Vec<SocketAddr>>, view: &MeshView) -> Vec<(NodeId, Vec<SocketAddr>)> {
    learnt.retain(|node, _| view.members.contains_key(node));
    let mut news = Vec::new();
    for member in view.members.values().filter(|member| member.node != view.me && !member.addresses.is_empty()) {
        if learnt.get(&member.node) != Some(&member.addresses) {
            learnt.insert(member.node, member.addresses.clone());
            news.push((member.node, member.addresses.clone()));
        }
    }
    news
}

fn judge_certificate(not_after: UnixSeconds, now: UnixSeconds, conditions: &Conditions) {
    let ended = now.0 > not_after.0;
    let ends = !ended && now.0.saturating_add(EXPIRY_NOTICE_S) >= not_after.0;
    for (condition, holds) in [(Condition::CertificateEnded, ended), (Condition::CertificateEnds, ends)] {
        if holds { conditions.raise(condition) } else { conditions.clear(condition) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    #[test]
    fn the_end_of_the_certificate_is_told_before_it_comes_and_after() {
        let (conditions, end) = (Conditions::default(), UnixSeconds(1_000_000));
        let look = |now| {
            judge_certificate(end, UnixSeconds(now), &conditions);
            conditions.standing()
        };
        assert_eq!(look(1_000_000 - EXPIRY_NOTICE_S - 1), BTreeSet::new());
        assert_eq!(look(1_000_000 - EXPIRY_NOTICE_S), BTreeSet::from([Condition::CertificateEnds]));
        assert_eq!(look(1_000_001), BTreeSet::from([Condition::CertificateEnded]));
    }
}
