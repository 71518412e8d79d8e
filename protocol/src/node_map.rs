//! Maps by node, as every node keeps several of: small, in one piece, and quick to look into.
//!
//! A tree of the same holds half as much again, and each of its levels is another line of memory to wait for.

use crate::sorted::{find_spread, insert_at};
use hedgerow_attest::id::NodeId;
use std::cmp::Ordering;

/// Values by node, in the order of the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeMap<V> {
    nodes: Vec<NodeId>,
    /// One for each of `nodes`.
    values: Vec<V>,
}

impl<V> Default for NodeMap<V> {
    fn default() -> Self {
        Self { nodes: Vec::new(), values: Vec::new() }
    }
}

impl<V> NodeMap<V> {
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn contains_key(&self, node: &NodeId) -> bool {
        self.place(node).is_ok()
    }

    pub(crate) fn get(&self, node: &NodeId) -> Option<&V> {
        self.values.get(self.place(node).ok()?)
    }

    pub(crate) fn get_mut(&mut self, node: &NodeId) -> Option<&mut V> {
        let place = self.place(node).ok()?;
        self.values.get_mut(place)
    }

    /// The value of that node, which is made if there is none.
    pub(crate) fn entry(&mut self, node: NodeId, made: impl FnOnce() -> V) -> &mut V {
        let place = match self.place(&node) {
            Ok(place) => place,
            Err(place) => {
                insert_at(&mut self.nodes, place, node);
                insert_at(&mut self.values, place, made());
                place
            }
        };
        self.values.get_mut(place).expect("it was found, or put there")
    }

    /// Puts a value in and returns the former.
    pub(crate) fn insert(&mut self, node: NodeId, value: V) -> Option<V> {
        if let Some(known) = self.get_mut(&node) {
            return Some(std::mem::replace(known, value));
        }
        self.entry(node, || value);
        None
    }

    pub(crate) fn remove(&mut self, node: &NodeId) -> Option<V> {
        let place = self.place(node).ok()?;
        self.nodes.remove(place);
        Some(self.values.remove(place))
    }

    /// Keeps those for which that is true.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&NodeId, &mut V) -> bool) {
        let mut place = 0;
        while let (Some(node), Some(value)) = (self.nodes.get(place), self.values.get_mut(place)) {
            if stays(node, value) {
                place += 1;
            } else {
                self.nodes.remove(place);
                self.values.remove(place);
            }
        }
    }

    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = &NodeId> {
        self.nodes.iter()
    }

    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.values.iter()
    }

    pub(crate) fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut V> {
        self.values.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&NodeId, &V)> {
        self.nodes.iter().zip(&self.values)
    }

    pub(crate) fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&NodeId, &mut V)> {
        self.nodes.iter().zip(&mut self.values)
    }

    /// All of them, once around, from the first that does not come before that name.
    pub(crate) fn around(&self, start: NodeId) -> impl Iterator<Item = (&NodeId, &V)> {
        let (Ok(start) | Err(start)) = self.place(&start);
        self.iter().skip(start).chain(self.iter().take(start))
    }

    /// Where that node stands, or would.
    fn place(&self, node: &NodeId) -> Result<usize, usize> {
        let order = |place: usize| self.nodes.get(place).map_or(Ordering::Greater, |known| known.cmp(node));
        find_spread(self.nodes.len(), node.lead(), order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::{Rng as _, SeedableRng as _};
    use std::collections::BTreeMap;

    /// Names that are spread, that stand close together, and that stand at both ends.
    fn names(rng: &mut impl rand_core::Rng) -> Vec<NodeId> {
        let mut name = |shape: u64| {
            let mut bytes = [0; 32];
            match shape % 4 {
                0 => rng.fill_bytes(&mut bytes),
                1 => bytes[31] = (rng.next_u64() % 40) as u8,
                2 => bytes = [0xff; 32],
                _ => {
                    bytes = [0x80; 32];
                    bytes[9] = (rng.next_u64() % 40) as u8;
                }
            }
            NodeId::from_bytes(bytes)
        };
        (0..120).map(&mut name).collect()
    }

    #[test]
    fn it_is_what_a_tree_is_whatever_the_names() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let names = names(&mut rng);
        let (mut map, mut tree) = (NodeMap::default(), BTreeMap::new());
        for turn in 0..4_000_u64 {
            let node = names[usize::try_from(rng.next_u64() % 120).expect("it is small")];
            match rng.next_u64() % 5 {
                0 => assert_eq!(map.insert(node, turn), tree.insert(node, turn)),
                1 => assert_eq!(map.remove(&node), tree.remove(&node)),
                2 => assert_eq!(*map.entry(node, || turn), *tree.entry(node).or_insert(turn)),
                3 => assert_eq!(map.get(&node), tree.get(&node)),
                _ => {
                    let around = map.around(node).map(|(node, value)| (*node, *value));
                    let expected = tree.range(node..).chain(tree.range(..node)).map(|(node, value)| (*node, *value));
                    assert_eq!(around.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                }
            }
            if turn % 1_000 == 999 {
                map.retain(|_, value| *value % 3 != 0);
                tree.retain(|_, value| *value % 3 != 0);
            }
            assert!(map.iter().eq(&tree), "turn {turn}");
        }
    }
}
