//! Who watches whom: each member's neighbours in a few rings, in each of which the members stand in another order (Suresh
//! et al., "Stable and Consistent Membership at Scale with Rapid", ATC 2018, section 4.1).
//!
//! The order is a draw by hash, so that everybody who knows the members draws the same rings, and one member more or less
//! changes the neighbours of few. A neighbour is either successor or predecessor: whoever observes is observed.

use super::config::Monitoring;
use super::members::Members;
use super::peer::Peer;
use hedgerow_attest::id::NodeId;
use std::collections::BTreeSet;

/// Rings that there are at most; in each a member has two neighbours.
const RINGS_MAX: usize = Monitoring::OBSERVERS_MAX as usize / 2;

/// Where a member stands in each ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    rings: [u32; RINGS_MAX],
    /// Between two that stand at the same point.
    tie: u32,
}

impl Place {
    pub(super) fn of(node: &NodeId) -> Self {
        let digest = blake3::Hasher::new_derive_key("hedgerow observer rings 1").update(node.as_bytes()).finalize();
        let mut words = digest.as_bytes().chunks_exact(4).map(|word| {
            let word = word.first_chunk::<4>().copied().unwrap_or_default();
            u32::from_be_bytes(word)
        });
        Self { rings: std::array::from_fn(|_| words.next().unwrap_or(0)), tie: words.next().unwrap_or(0) }
    }

    fn points(&self, rings: usize) -> impl Iterator<Item = u64> {
        let tie = u64::from(self.tie);
        self.rings.iter().take(rings).map(move |point| u64::from(*point) << 32 | tie)
    }
}

/// The neighbours of a member, this node among them where it is one: those who count as its observers.
pub(super) fn neighbours(members: &Members, observers: u8, of: &NodeId) -> BTreeSet<NodeId> {
    let rings = usize::from(observers / 2).min(RINGS_MAX);
    let Some(center) = place(members, of) else { return BTreeSet::new() };
    let others = || {
        let peers = members.peers().iter().filter(|(node, peer)| *node != of && peer.is_in_ring());
        let me = (members.me != *of).then_some((&members.me, &members.place));
        peers.map(|(node, peer): (&NodeId, &Peer)| (node, &peer.place)).chain(me)
    };
    if others().count() <= rings * 2 {
        return others().map(|(node, _)| *node).collect();
    }
    let mut nearest: [(Nearest, Nearest); RINGS_MAX] = Default::default();
    for (node, place) in others() {
        for ((after, before), (here, there)) in nearest.iter_mut().zip(center.points(rings).zip(place.points(rings))) {
            after.offer(there.wrapping_sub(here), node);
            before.offer(here.wrapping_sub(there), node);
        }
    }
    nearest.into_iter().flat_map(|(after, before)| [after.0, before.0]).flatten().map(|(_, node)| node).collect()
}

fn place<'m>(members: &'m Members, of: &NodeId) -> Option<&'m Place> {
    if *of == members.me { Some(&members.place) } else { members.get(of).map(|peer| &peer.place) }
}

/// The nearest in one direction so far, and how far away it is.
#[derive(Debug, Clone, Copy, Default)]
struct Nearest(Option<(u64, NodeId)>);

impl Nearest {
    fn offer(&mut self, distance: u64, node: &NodeId) {
        if self.0.is_none_or(|(least, _)| distance < least) {
            self.0 = Some((distance, *node));
        }
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
