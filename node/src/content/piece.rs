//! A range that arrives: its proof first, then its bytes, each group checked as soon as it is there.

use bao_tree::iter::BaoChunk;

use super::geometry::{Content, GROUP_LENGTH, GroupRange};
use super::tree::{Leaf, PAIR_BYTES, walk};

/// What came is not what the digest names: whoever sent it is broken, or lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not those that the digest names")]
pub struct Mismatch;

/// A range under way. It holds what arrived, never more than the range has.
#[derive(Debug)]
pub struct Incoming {
    piece: Piece,
    leaves: Vec<Leaf>,
    /// Groups whose bytes are there and right.
    checked: usize,
    /// Bytes that the range has.
    length: usize,
}

/// A range whose every byte was checked; made by [`Incoming`] only.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    content: Content,
    range: GroupRange,
    slots: Vec<usize>,
    pairs: Vec<u8>,
    data: Vec<u8>,
}

impl Content {
    /// Bytes of the proof of a range, which must be one of this content.
    pub fn proof_bytes(self, range: GroupRange) -> usize {
        let (tree, chunks) = (self.tree(), self.chunks(range));
        let nodes = tree.ranges_pre_order_chunks_iter_ref(&chunks, 0);
        let count = nodes.filter(|node| matches!(node, BaoChunk::Parent { .. })).count();
        count * PAIR_BYTES
    }
}

impl Incoming {
    /// Begins with a proof of [`Content::proof_bytes`] for a range of the content.
    pub fn new(content: Content, range: GroupRange, proof: Vec<u8>) -> Result<Self, Mismatch> {
        let (mut slots, mut leaves) = (Vec::new(), Vec::new());
        let mut pairs = proof.chunks_exact(PAIR_BYTES);
        let pair = |slot| {
            slots.push(slot);
            let pair = pairs.next().ok_or(Mismatch)?;
            Ok(pair.first_chunk().copied())
        };
        let leaf = |_, leaf: Option<Leaf>| {
            leaves.push(leaf.ok_or(Mismatch)?);
            Ok(())
        };
        walk(content, range, pair, leaf)?;
        if slots.len() * PAIR_BYTES != proof.len() {
            return Err(Mismatch);
        }
        let length = content.length(range);
        let piece = Piece { content, range, slots, pairs: proof, data: Vec::with_capacity(length) };
        let mut incoming = Self { piece, leaves, checked: 0, length };
        incoming.check()?;
        Ok(incoming)
    }

    /// Bytes that are still to come.
    pub fn wanted(&self) -> usize {
        self.length - self.piece.data.len()
    }

    /// Takes the next bytes, at most as many as are wanted.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        if bytes.len() > self.wanted() {
            return Err(Mismatch);
        }
        self.piece.data.extend_from_slice(bytes);
        self.check()
    }

    /// The range, once nothing is wanted any more.
    pub fn finish(self) -> Option<Piece> {
        (self.wanted() == 0 && self.checked == self.leaves.len()).then_some(self.piece)
    }

    fn check(&mut self) -> Result<(), Mismatch> {
        while let Some(leaf) = self.leaves.get(self.checked) {
            let from = self.checked * GROUP_LENGTH;
            let to = (from + GROUP_LENGTH).min(self.length);
            let Some(bytes) = self.piece.data.get(from..to) else { break };
            if !leaf.matches(bytes) {
                return Err(Mismatch);
            }
            self.checked += 1;
        }
        Ok(())
    }
}

impl Piece {
    /// Whose range it is.
    pub fn content(&self) -> Content {
        self.content
    }

    /// Which range.
    pub fn range(&self) -> GroupRange {
        self.range
    }

    /// Its bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The hashes that prove it, by slot ([`super::Outboard::pairs`]), in runs of slots that follow each other.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (start, first) = (at, *self.slots.get(at)?);
            while self.slots.get(at) == Some(&(first + (at - start))) {
                at += 1;
            }
            Some((first, &self.pairs[start * PAIR_BYTES..at * PAIR_BYTES]))
        })
    }
}
