//! Weighted rendezvous hashing: every node draws a number for every key, and the lowest numbers hold it.
//!
//! With weight `w` and a uniform hash `u` the draw is `-ln(u) / w` (Schindelhauer, Schomaker: "Weighted distributed hash
//! tables", SPAA 2005): a node's share is its share of the weights, and one that leaves moves only what it held. The
//! logarithm is to base 2 and in integers, so that every machine draws alike.

use hedgerow_attest::id::NodeId;

/// Fraction bits of a draw.
const FRACTION: u32 = 32;

/// The draw of a node for a key; the lower, the nearer. A weight of 0 counts as 1.
pub(crate) fn draw(key: &[u8], node: &NodeId, weight: u32) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(node.as_bytes()).update(key);
    let digest = hasher.finalize();
    let hash = digest.as_bytes().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
    negative_log2(hash) / u64::from(weight.max(1))
}

/// `-log2(hash / 2^64)` with 32 fraction bits, by squaring: each squaring of the mantissa yields one bit of its logarithm.
fn negative_log2(hash: u64) -> u64 {
    let hash = hash | 1;
    let zeros = hash.leading_zeros();
    // The mantissa in [1, 2) with 63 fraction bits.
    let mut mantissa = u128::from(hash << zeros);
    let mut fraction = 0_u64;
    for _ in 0..FRACTION {
        mantissa = (mantissa * mantissa) >> 63;
        fraction <<= 1;
        if mantissa >> 64 != 0 {
            fraction |= 1;
            mantissa >>= 1;
        }
    }
    let whole = u64::from(63 - zeros) << FRACTION;
    (64 << FRACTION) - (whole + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_the_textbook() {
        assert_eq!(negative_log2(1 << 63), 1 << 32);
        assert_eq!(negative_log2(1), 64 << 32);
        let third = negative_log2(u64::MAX / 3);
        let exact = 3_f64.log2() * 4_294_967_296.0;
        assert!((third as f64 - exact).abs() < 4.0, "{third} for {exact}");
    }

    #[test]
    fn shares_follow_weights() {
        let nodes: Vec<(NodeId, u32)> =
            [1, 1, 2].iter().zip(1..).map(|(&w, n)| (NodeId::from_bytes([n; 32]), w)).collect();
        let mut held = [0_u32; 3];
        for key in 0..4_000_u32 {
            let best = (0..3).min_by_key(|&i| draw(&key.to_be_bytes(), &nodes[i].0, nodes[i].1)).unwrap();
            held[best] += 1;
        }
        // 1000, 1000 and 2000 expected; four standard deviations of the binomial are 110 and 126.
        assert!(
            held[0].abs_diff(1_000) < 110 && held[1].abs_diff(1_000) < 110 && held[2].abs_diff(2_000) < 126,
            "{held:?}"
        );
    }
}
