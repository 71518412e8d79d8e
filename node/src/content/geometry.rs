//! Content as a row of chunk groups, and ranges of them.

use std::ops::Range;

use bao_tree::{BaoTree, BlockSize, ChunkNum, ChunkRanges};
use hedgerow_attest::digest::Blake3Digest;

/// Bytes of a chunk group, the smallest part of content that is checked by itself. Smaller groups make more hashes (64 bytes
/// each), larger ones more bytes that a liar can waste; 16 KiB is what iroh-blobs uses.
pub const GROUP_BYTES: u64 = 16 << 10;
/// Groups of the longest range that is asked for and answered at once: 1 MiB.
pub const RANGE_GROUPS_MAX: u32 = 64;
/// Largest content whose tree is looked at; its groups are counted in 32 bits.
pub const CONTENT_BYTES_MAX: u64 = 1 << 40;

/// [`GROUP_BYTES`], for what lies in memory.
pub(super) const GROUP_LENGTH: usize = 16 << 10;
const GROUP_CHUNKS: u64 = GROUP_BYTES / 1024;

/// Content by name: its digest, and its size, from which the shape of its tree follows. Whoever names it has both from a
/// manifest; a size from a peer would have to be proved first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    blake3: Blake3Digest,
    size: u64,
}

/// The content is larger than [`CONTENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("content of {size} bytes, at most {CONTENT_BYTES_MAX} are cut into groups")]
pub struct ContentTooLarge {
    /// Its size in bytes.
    pub size: u64,
}

/// Chunk groups that follow each other; never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupRange {
    first: u32,
    count: u32,
}

impl Content {
    /// Content with this digest and size in bytes.
    pub fn new(blake3: Blake3Digest, size: u64) -> Result<Self, ContentTooLarge> {
        if size > CONTENT_BYTES_MAX {
            return Err(ContentTooLarge { size });
        }
        Ok(Self { blake3, size })
    }

    /// The digest of all bytes.
    pub fn blake3(self) -> Blake3Digest {
        self.blake3
    }

    /// Bytes.
    pub fn size(self) -> u64 {
        self.size
    }

    /// How many groups it has. Empty content has one, without bytes.
    pub fn groups(self) -> u32 {
        u32::try_from(self.tree().blocks()).expect("the size is bounded when content is named")
    }

    /// All of it.
    pub fn whole(self) -> GroupRange {
        GroupRange { first: 0, count: self.groups() }
    }

    /// Whether it has every group of the range.
    pub fn has(self, range: GroupRange) -> bool {
        range.end() <= self.groups()
    }

    /// The bytes of a range, which must be one of this content.
    pub fn bytes(self, range: GroupRange) -> Range<u64> {
        debug_assert!(self.has(range));
        let at = |group: u32| (u64::from(group) * GROUP_BYTES).min(self.size);
        at(range.first)..at(range.end())
    }

    /// How many bytes a range has, which must be one of this content.
    pub fn length(self, range: GroupRange) -> usize {
        let bytes = self.bytes(range);
        usize::try_from(bytes.end - bytes.start).expect("memory is addressed")
    }

    /// Content of the same size and another digest.
    pub(super) fn named(self, blake3: Blake3Digest) -> Self {
        Self { blake3, ..self }
    }

    pub(super) fn tree(self) -> BaoTree {
        BaoTree::new(self.size, BlockSize::from_chunk_log(4))
    }

    /// A range in the terms of bao. One that reaches the end is left open, which is how bao names the last chunk.
    pub(super) fn chunks(self, range: GroupRange) -> ChunkRanges {
        let at = |group: u32| ChunkNum(u64::from(group) * GROUP_CHUNKS);
        if range.end() == self.groups() {
            ChunkRanges::from(at(range.first)..)
        } else {
            ChunkRanges::from(at(range.first)..at(range.end()))
        }
    }
}

impl GroupRange {
    /// `count` groups from `first` on; `None` for none, or where they cannot be counted.
    pub fn new(first: u32, count: u32) -> Option<Self> {
        (count > 0 && first.checked_add(count).is_some()).then_some(Self { first, count })
    }

    /// One group of some content.
    pub(super) fn one(group: u32) -> Self {
        Self { first: group, count: 1 }
    }

    /// The first group.
    pub fn first(self) -> u32 {
        self.first
    }

    /// How many groups.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The group behind the last.
    pub fn end(self) -> u32 {
        self.first + self.count
    }

    /// The same groups as ranges of at most [`RANGE_GROUPS_MAX`], cut where subtrees of that many begin, so that a proof
    /// holds few hashes that are not of the range itself.
    pub fn cut(self) -> impl Iterator<Item = Self> {
        let mut first = self.first;
        std::iter::from_fn(move || {
            let next = (first / RANGE_GROUPS_MAX).saturating_add(1).saturating_mul(RANGE_GROUPS_MAX).min(self.end());
            let range = Self::new(first, next.saturating_sub(first))?;
            first = next;
            Some(range)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: u64) -> Content {
        Content::new(Blake3Digest::from_bytes([0; 32]), size).unwrap()
    }

    fn range(first: u32, count: u32) -> GroupRange {
        GroupRange::new(first, count).unwrap()
    }

    #[test]
    fn bytes_of_groups_end_with_the_content() {
        assert_eq!((of(0).groups(), of(0).bytes(of(0).whole())), (1, 0..0));
        assert_eq!(of(GROUP_BYTES).groups(), 1);
        let content = of(3 * GROUP_BYTES + 1);
        assert_eq!(content.groups(), 4);
        assert_eq!(content.bytes(range(1, 2)), GROUP_BYTES..3 * GROUP_BYTES);
        assert_eq!(content.bytes(range(3, 1)), 3 * GROUP_BYTES..3 * GROUP_BYTES + 1);
        assert!(content.has(range(3, 1)) && !content.has(range(3, 2)));
        assert_eq!(of(CONTENT_BYTES_MAX).groups(), 1 << 26);
        let digest = Blake3Digest::from_bytes([0; 32]);
        let size = CONTENT_BYTES_MAX + 1;
        assert_eq!(Content::new(digest, size), Err(ContentTooLarge { size }));
    }

    #[test]
    fn ranges_are_cut_at_subtrees_and_lose_nothing() {
        let cut: Vec<_> = range(10, 150).cut().collect();
        assert_eq!(cut, [range(10, 54), range(64, 64), range(128, 32)]);
        assert_eq!(range(u32::MAX - 1, 1).cut().collect::<Vec<_>>(), [range(u32::MAX - 1, 1)]);
        assert_eq!((GroupRange::new(3, 0), GroupRange::new(u32::MAX, 1)), (None, None));
    }
}
