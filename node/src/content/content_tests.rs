//! Tests of trees, proofs and pieces, with bao's own encoder as the judge of what a proof has to hold.

use std::io::Write as _;
use std::sync::Arc;

use bao_tree::io::outboard::PreOrderMemOutboard;
use bao_tree::io::sync::{DecodeResponseIter, encode_ranges};
use bao_tree::io::{BaoContentItem, Leaf as BaoLeaf, Parent as BaoParent};
use hedgerow_attest::digest::Blake3Digest;
use proptest::prelude::*;

use super::testing::{bytes, outboard, range, receive};
use super::*;

/// Sizes around every border: none, less than a chunk, chunks, groups, an odd number of groups.
const SIZES: [usize; 10] = [0, 1, 1024, 1025, 16_384, 16_385, 32_768, 5 * 16_384, 7 * 16_384 + 64, 130 * 16_384 + 3000];

fn sized(size: usize) -> (Outboard, bytes::Bytes) {
    let bytes = bytes(7, size);
    (outboard(&bytes), bytes)
}

fn some_ranges(content: Content) -> Vec<GroupRange> {
    let groups = content.groups();
    let mut ranges: Vec<_> = content.whole().cut().collect();
    ranges.extend([range(groups / 3, groups / 3 + 1), range(groups - 1, groups), range(groups / 2, groups)]);
    ranges
}

#[test]
fn a_tree_has_the_digest_of_its_bytes_and_is_that_of_bao() {
    for size in SIZES {
        let (outboard, bytes) = sized(size);
        assert_eq!(outboard.content(), Content::new(Blake3Digest::of(&bytes), size as u64).unwrap(), "{size}");
        let bao = PreOrderMemOutboard::create(&bytes, bao_tree::BlockSize::from_chunk_log(4));
        assert_eq!(outboard.pairs(), bao.data, "{size}");
        assert_eq!(Outboard::checked(outboard.content(), outboard.pairs().to_vec()).as_ref(), Ok(&outboard));
    }
}

/// A proof and its bytes, put together in the order of bao's encoding, are that encoding.
#[test]
fn proofs_hold_what_bao_sends_for_a_range() {
    for size in SIZES {
        let (outboard, bytes) = sized(size);
        let content = outboard.content();
        let tree = bao_tree::BaoTree::new(size as u64, bao_tree::BlockSize::from_chunk_log(4));
        let bao = PreOrderMemOutboard::create(&bytes, tree.block_size());
        for range in some_ranges(content) {
            let chunks = content.chunks(range);
            let mut encoded = Vec::new();
            encode_ranges(bytes.as_ref(), &bao, &chunks, &mut encoded).unwrap();
            let (mut proof, mut data) = (Vec::new(), Vec::new());
            for item in DecodeResponseIter::new(bao.root, tree, encoded.as_slice(), &chunks) {
                match item.unwrap() {
                    BaoContentItem::Parent(BaoParent { pair: (left, right), .. }) => {
                        proof.extend(left.as_bytes());
                        proof.extend(right.as_bytes());
                    }
                    BaoContentItem::Leaf(BaoLeaf { data: leaf, .. }) => data.extend(leaf),
                }
            }
            let served = Holding::in_memory(outboard.clone(), bytes.clone()).read(range).unwrap();
            assert_eq!((&served.proof, &served.data[..]), (&proof, &data[..]), "{size} {range:?}");
            assert_eq!(content.proof_bytes(range), proof.len());
        }
    }
}

#[test]
fn the_proof_of_a_range_is_frozen() {
    let (outboard, bytes) = sized(5 * 16_384);
    assert_eq!(outboard.content().blake3().to_string(), ROOT);
    let proofs = [range(0, 1), range(3, 5), range(0, 5)].map(|range| outboard.proof(range).0);
    let seen = proofs.map(|proof| (proof.len() / PAIR_BYTES, Blake3Digest::of(&proof).to_string()[..16].to_owned()));
    let frozen = [(3, "8ebc66a30f46710e"), (3, "677902320a98f3f1"), (4, "f8eb9a33ee6c1257")];
    assert_eq!(seen.each_ref().map(|(pairs, digest)| (*pairs, digest.as_str())), frozen);
    let served = Holding::in_memory(outboard, bytes.clone()).read(range(3, 5)).unwrap();
    assert_eq!(served.data, bytes[3 * 16_384..]);
}

const ROOT: &str = "41868b208416e494d2d255f163060dbb82e8b97b6ced9bf1b33f6a238b62d2f7";

#[test]
fn what_arrives_in_any_parts_is_the_range_and_rebuilds_the_tree() {
    for size in SIZES {
        let (outboard, bytes) = sized(size);
        let content = outboard.content();
        let holding = Holding::in_memory(outboard.clone(), bytes.clone());
        let sink = Arc::new(MemorySink::new(content));
        let mut pairs = vec![0; outboard.pairs().len()];
        for (range, step) in content.whole().cut().zip([1, 1000, 70_000].into_iter().cycle()) {
            let piece = receive(content, range, holding.read(range).unwrap(), step).unwrap();
            let at = content.bytes(range);
            assert_eq!((piece.content(), piece.range()), (content, range));
            assert_eq!(piece.data(), &bytes[at.start as usize..at.end as usize]);
            for (slot, run) in piece.pairs() {
                pairs[slot * PAIR_BYTES..slot * PAIR_BYTES + run.len()].copy_from_slice(run);
            }
            futures::executor::block_on(sink.clone().store(piece)).unwrap();
        }
        assert_eq!(pairs, outboard.pairs(), "{size}");
        assert_eq!(sink.take(), bytes);
    }
}

#[test]
fn a_range_is_not_done_before_its_last_byte_and_takes_no_more() {
    let (outboard, bytes) = sized(3 * 16_384);
    let (content, range) = (outboard.content(), range(1, 3));
    let served = Holding::in_memory(outboard, bytes).read(range).unwrap();
    let begun = || Incoming::new(content, range, served.proof.clone()).unwrap();
    let (mut incoming, most) = (begun(), served.data.len());
    incoming.take(&served.data[..most - 1]).unwrap();
    assert_eq!(incoming.wanted(), 1);
    assert_eq!(incoming.take(&[0, 0]), Err(Mismatch));
    assert_eq!(incoming.finish(), None);
    assert_eq!(begun().finish(), None);
}

#[test]
fn ranges_outside_and_damaged_files_are_not_handed_out() {
    let (outboard, bytes) = sized(3 * 16_384 + 5);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let holding = Holding::in_file(outboard.clone(), file.try_clone().unwrap());
    assert!(holding.blocks() && !Holding::in_memory(outboard.clone(), bytes.clone()).blocks());
    let served = holding.read(range(0, 4)).unwrap();
    assert_eq!((served.data, served.proof), (bytes, outboard.proof(range(0, 4)).0));
    assert!(matches!(holding.read(range(3, 5)), Err(HoldingError::Outside { groups: 4, .. })));

    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 2 * 16_384 + 9).unwrap();
    assert!(matches!(holding.read(range(1, 4)), Err(HoldingError::Damaged { group: 2 })));
    assert!(holding.read(range(0, 2)).is_ok() && holding.read(range(3, 4)).is_ok());
    file.set_len(100).unwrap();
    assert!(matches!(holding.read(range(3, 4)), Err(HoldingError::Io(_))));
}

#[test]
fn a_tree_with_a_wrong_hash_or_of_another_length_is_refused() {
    let (outboard, _) = sized(9 * 16_384);
    for at in [0, 33, 64 * 4 + 1, 64 * 8 - 1] {
        let mut pairs = outboard.pairs().to_vec();
        pairs[at] ^= 1;
        assert_eq!(Outboard::checked(outboard.content(), pairs), Err(Mismatch), "{at}");
    }
    let shorter = outboard.pairs()[64..].to_vec();
    assert_eq!(Outboard::checked(outboard.content(), shorter), Err(Mismatch));
}

proptest! {
    /// One flipped bit anywhere in what a peer sends, or a proof cut short or lengthened, is noticed.
    #[test]
    fn nothing_false_is_taken(size in 1_usize..600_000, first: u32, count in 1_u32..64, flip: u64, change in 0..4) {
        let (outboard, bytes) = sized(size);
        let content = outboard.content();
        let first = first % content.groups();
        let range = range(first, (first + count).min(content.groups()));
        let served = Holding::in_memory(outboard, bytes).read(range).unwrap();
        let (mut proof, mut data) = (served.proof, served.data.to_vec());
        match change {
            0 => {
                let at = (flip / 8) as usize % (proof.len() + data.len());
                let byte = if at < proof.len() { &mut proof[at] } else { &mut data[at - proof.len()] };
                *byte ^= 1 << (flip % 8);
            }
            1 => proof.extend([0; 64]),
            2 if !proof.is_empty() => proof.truncate(proof.len() - 64),
            _ => { data.pop(); }
        }
        let received = receive(content, range, Served { proof, data: data.into() }, 5000);
        prop_assert_eq!(received, Err(Mismatch));
    }
}
