//! The links of this node as its groups see them: by level, so that a slow group holds nobody up and misses no change.

use std::collections::BTreeMap;

use hedgerow_attest::id::NodeId;

/// The live links, each with a number that no earlier link to the same node had.
pub(super) type LinkCounts = BTreeMap<NodeId, u64>;

/// What a replica has to be told: what went down, then what came up. A link that was replaced went down and came up.
pub(super) fn link_changes(told: &LinkCounts, are: &LinkCounts) -> Vec<(NodeId, bool)> {
    let gone = told.iter().filter(|(node, count)| are.get(node) != Some(count)).map(|(node, _)| (*node, false));
    let come = are.iter().filter(|(node, count)| told.get(node) != Some(count)).map(|(node, _)| (*node, true));
    gone.chain(come).collect()
}

/// Notes that a link came up or went down.
pub(super) fn note_link(links: &mut LinkCounts, last: &mut u64, peer: NodeId, up: bool) {
    if up {
        *last += 1;
        links.insert(peer, *last);
    } else {
        links.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_looked_away_hears_of_every_link_that_is_another() {
        let [steady, flapped, gone, come] = [1, 2, 3, 4].map(|byte| NodeId::from_bytes([byte; 32]));
        let (mut links, mut last) = (LinkCounts::new(), 0);
        for peer in [steady, flapped, gone] {
            note_link(&mut links, &mut last, peer, true);
        }
        let told = links.clone();
        assert_eq!(link_changes(&LinkCounts::new(), &told), [(steady, true), (flapped, true), (gone, true)]);
        for (peer, up) in [(flapped, false), (come, true), (flapped, true), (gone, false)] {
            note_link(&mut links, &mut last, peer, up);
        }
        assert_eq!(link_changes(&told, &links), [(flapped, false), (gone, false), (flapped, true), (come, true)]);
        assert_eq!(link_changes(&links, &links), []);
    }
}
