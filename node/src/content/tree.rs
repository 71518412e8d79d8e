//! One walk over the tree of content, for whoever makes a proof, checks one, or looks what a disk holds.

use bao_tree::blake3::{
    self, Hash,
    hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use bao_tree::iter::BaoChunk;
use bao_tree::{BaoTree, ChunkNum, TreeNode};

use super::geometry::{Content, GROUP_BYTES, GroupRange};

/// Two hashes, the left child's and the right child's.
pub const PAIR_BYTES: usize = 64;

pub(super) type Pair = [u8; PAIR_BYTES];

/// What the bytes of one group must hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    group: u32,
    hash: Hash,
    /// Content of one group has no other node.
    is_root: bool,
}

impl Leaf {
    /// The group.
    pub fn group(self) -> u32 {
        self.group
    }

    /// Whether these are the bytes of the group.
    pub fn matches(self, bytes: &[u8]) -> bool {
        let hash = if self.is_root {
            blake3::hash(bytes)
        } else if bytes.is_empty() {
            return false; // only the one group of empty content has no bytes
        } else {
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset(u64::from(self.group) * GROUP_BYTES).update(bytes);
            Hash::from(hasher.finalize_non_root())
        };
        hash == self.hash
    }
}

/// Walks from the root to the groups of `range`, parents before children and left before right.
///
/// `pair` is asked for the two hashes of each inner node by its slot, its place among all inner nodes in that order, and may
/// not know them. What it says is believed only if it hashes to what is expected there. `leaf` hears of each group of the
/// range in ascending order: the leaf, where everything above it was known and held, else `None`.
pub(super) fn walk<E>(
    content: Content,
    range: GroupRange,
    mut pair: impl FnMut(usize) -> Result<Option<Pair>, E>,
    mut leaf: impl FnMut(u32, Option<Leaf>) -> Result<(), E>,
) -> Result<(), E> {
    let (tree, chunks) = (content.tree(), content.chunks(range));
    let mut expected = vec![Some(Hash::from_bytes(*content.blake3().as_bytes()))];
    for item in tree.ranges_pre_order_chunks_iter_ref(&chunks, 0) {
        let hash = expected.pop().flatten(); // there is one for each node, since each is reached from its parent
        match item {
            BaoChunk::Parent { node, is_root, left, right, .. } => {
                let told = match hash {
                    Some(hash) => pair(slot_of(tree, node))?.and_then(|pair| children(&pair, hash, is_root)),
                    None => None,
                };
                let (of_left, of_right) = told.unzip();
                if right {
                    expected.push(of_right);
                }
                if left {
                    expected.push(of_left);
                }
            }
            BaoChunk::Leaf { start_chunk, is_root, .. } => {
                let group = group_of(start_chunk);
                leaf(group, hash.map(|hash| Leaf { group, hash, is_root }))?;
            }
        }
    }
    Ok(())
}

fn slot_of(tree: BaoTree, node: TreeNode) -> usize {
    let slot = tree.pre_order_offset(node).expect("nodes above groups have a slot");
    usize::try_from(slot).expect("the size of content is bounded")
}

fn group_of(chunk: ChunkNum) -> u32 {
    u32::try_from(chunk.0 * 1024 / GROUP_BYTES).expect("the size of content is bounded")
}

/// The hashes of both children, if together they have the hash of their parent.
fn children(pair: &Pair, parent: Hash, is_root: bool) -> Option<(Hash, Hash)> {
    let (left, right) = pair.split_at(32);
    let left: ChainingValue = left.try_into().ok()?;
    let right: ChainingValue = right.try_into().ok()?;
    let hash = if is_root {
        merge_subtrees_root(&left, &right, Mode::Hash)
    } else {
        Hash::from(merge_subtrees_non_root(&left, &right, Mode::Hash))
    };
    (hash == parent).then(|| (Hash::from_bytes(left), Hash::from_bytes(right)))
}
