//! The tree of one content, beside its bytes.

use std::io;

use bao_tree::io::outboard::PreOrderMemOutboard;
use bao_tree::io::sync::outboard;
use hedgerow_attest::digest::Blake3Digest;

use super::geometry::{Content, ContentTooLarge, GroupRange};
use super::piece::Mismatch;
use super::tree::{Leaf, PAIR_BYTES, Pair, walk};

/// All hashes of the tree over content, in memory: 64 bytes for each 16 KiB. Every one of them was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outboard {
    content: Content,
    pairs: Vec<u8>,
}

impl Outboard {
    /// Reads `size` bytes and hashes them. What they are named is for the caller to compare.
    ///
    /// # Errors
    /// What the reader says, also when it ends too early, and [`io::ErrorKind::FileTooLarge`].
    pub fn of(bytes: impl io::Read, size: u64) -> io::Result<Self> {
        let unnamed = Content::new(Blake3Digest::from_bytes([0; 32]), size);
        let unnamed =
            unnamed.map_err(|too_large: ContentTooLarge| io::Error::new(io::ErrorKind::FileTooLarge, too_large))?;
        let (tree, data) = (unnamed.tree(), vec![0; pairs_bytes(unnamed)]);
        let mut hashes = PreOrderMemOutboard { root: [0; 32].into(), tree, data };
        let root = outboard(bytes, tree, &mut hashes)?;
        Ok(Self { content: unnamed.named(Blake3Digest::from_bytes(*root.as_bytes())), pairs: hashes.data })
    }

    /// The tree whose hashes were kept elsewhere, all of them checked against the digest.
    pub fn checked(content: Content, pairs: Vec<u8>) -> Result<Self, Mismatch> {
        if pairs.len() != pairs_bytes(content) {
            return Err(Mismatch);
        }
        let this = Self { content, pairs };
        let known = |_, leaf: Option<Leaf>| leaf.map(drop).ok_or(Mismatch);
        walk(content, content.whole(), |slot| Ok(Some(this.pair(slot))), known)?;
        Ok(this)
    }

    /// Whose tree it is.
    pub fn content(&self) -> Content {
        self.content
    }

    /// The pairs of hashes of all inner nodes, parents before children and left before right.
    pub fn pairs(&self) -> &[u8] {
        &self.pairs
    }

    /// What proves a range, and what its groups must hash to. The content must have the range.
    pub fn proof(&self, range: GroupRange) -> (Vec<u8>, Vec<Leaf>) {
        let (mut proof, mut leaves) = (Vec::with_capacity(PAIR_BYTES * range.count() as usize), Vec::new());
        let pair = |slot| {
            let pair = self.pair(slot);
            proof.extend_from_slice(&pair);
            Ok::<_, Mismatch>(Some(pair))
        };
        let leaf = |_, leaf: Option<Leaf>| {
            leaves.push(leaf.ok_or(Mismatch)?);
            Ok(())
        };
        walk(self.content, range, pair, leaf).expect("every hash was checked when the tree was made");
        (proof, leaves)
    }

    fn pair(&self, slot: usize) -> Pair {
        let at = slot * PAIR_BYTES;
        self.pairs[at..at + PAIR_BYTES].try_into().expect("a pair long")
    }
}

/// Which groups of content a disk holds, of whose tree it holds some pairs (those of the others are anything of their length):
/// a group is held if its bytes lead to the digest. `read` fills a buffer from an offset.
pub fn groups_held(
    content: Content,
    pairs: &[u8],
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<Vec<bool>> {
    let (mut held, mut buffer) = (Vec::new(), Vec::new());
    let pair = |slot: usize| {
        let rest = pairs.get(slot * PAIR_BYTES..);
        Ok::<_, io::Error>(rest.and_then(|rest| rest.first_chunk().copied()))
    };
    let look = |group, leaf: Option<Leaf>| {
        let range = GroupRange::one(group);
        let right = match leaf {
            Some(leaf) => {
                buffer.resize(content.length(range), 0);
                read(&mut buffer, content.bytes(range).start)?;
                leaf.matches(&buffer)
            }
            None => false,
        };
        held.push(right);
        Ok(())
    };
    walk(content, content.whole(), pair, look)?;
    Ok(held)
}

/// Bytes that the hashes of content take together.
pub fn pairs_bytes(content: Content) -> usize {
    usize::try_from(content.tree().outboard_size()).expect("the size of content is bounded")
}
