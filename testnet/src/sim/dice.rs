//! Random draws in integers, so that a run is the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;

/// Draws from a stream of random numbers.
pub(crate) trait Dice {
    /// A number below the bound; 0 when the bound is 0.
    fn below(&mut self, bound: u64) -> u64;

    /// True in so many of a million draws.
    fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < u64::from(ppm)
    }

    /// A number from the range, both ends included.
    fn within(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// Random order (Fisher and Yates, in Durstenfeld's form).
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }

    /// One of the items.
    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(usize::try_from(self.below(items.len() as u64)).unwrap_or(0))
    }
}

impl Dice for ChaCha8Rng {
    fn below(&mut self, bound: u64) -> u64 {
        let scaled = (u128::from(self.next_u64()) * u128::from(bound)) >> 64;
        u64::try_from(scaled).expect("a product of two numbers below 2^64, shifted by 64 bits")
    }
}

/// A bijection of 64-bit numbers that looks random (the finaliser of `SplitMix64`, Steele, Lea and Flood, OOPSLA 2014).
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
