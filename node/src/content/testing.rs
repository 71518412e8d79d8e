//! Content for tests.

use bytes::Bytes;

use super::geometry::{Content, GroupRange};
use super::holding::Served;
use super::outboard::Outboard;
use super::piece::{Incoming, Mismatch, Piece};

/// So many bytes of no pattern, the same for the same seed (`SplitMix64`).
pub(crate) fn bytes(seed: u64, length: usize) -> Bytes {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes.into()
}

/// The tree over these bytes.
pub(crate) fn outboard(bytes: &[u8]) -> Outboard {
    Outboard::of(bytes, bytes.len() as u64).unwrap()
}

/// A range from its first to its last group.
pub(crate) fn range(first: u32, end: u32) -> GroupRange {
    GroupRange::new(first, end - first).unwrap()
}

/// Takes a range that was served, in parts of `step` bytes.
pub(crate) fn receive(content: Content, range: GroupRange, served: Served, step: usize) -> Result<Piece, Mismatch> {
    let mut incoming = Incoming::new(content, range, served.proof)?;
    for part in served.data.chunks(step) {
        incoming.take(part)?;
    }
    incoming.finish().ok_or(Mismatch)
}
