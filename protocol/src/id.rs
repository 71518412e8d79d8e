//! Counters and identifiers, each a type of its own, so that no two can be exchanged.
//!
//! The fence of an exclusive act is (cell, generation, slot, term): the cell is [`hedgerow_attest::id::CellId`], the rest
//! is here. Four more counters never share a name with them or with each other: the configuration epoch, the placement
//! epoch, the epoch of a document (in the crate of sessions) and the version of the policy.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            ///
            /// # Panics
            /// At the end of 64 bits, which counting by one does not reach.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.checked_add(1).expect("a counter of 64 bits does not run out by counting"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

counters! {
    /// A member's own counter against rumours about it (SWIM, section 4.2): only the member raises it.
    Incarnation;
    /// Numbers the holders of a cell's lease; also the ballot of the register (Paxos).
    Term;
    /// A place in the register of a cell. Slot 0 is its genesis; each later one is decided once.
    Slot;
    /// Counts the recoveries of a cell that lost its quorum for good; 0 from birth.
    Generation;
    /// Numbers the voter sets of a cell; the genesis is 1.
    ConfigEpoch;
    /// Numbers the placement tables of a cell; 0 is the absence of one.
    PlacementEpoch;
    /// Numbers the policies of a mesh.
    PolicyVersion;
    /// Ties an output of a machine to the input that completes it; unique within one boot of one machine.
    Token;
}

/// Recoveries that a cell may have.
pub const GENERATIONS_MAX: u64 = 1 << 15;

impl ConfigEpoch {
    /// The first of a generation: [`ConfigEpoch`]s that a generation counts from here never meet those of another, however far
    /// that one had come where nobody heard of it.
    #[must_use]
    pub const fn first_of(generation: Generation) -> Self {
        Self(first_of(generation))
    }
}

impl PlacementEpoch {
    /// The first of a generation, as for [`ConfigEpoch::first_of`].
    #[must_use]
    pub const fn first_of(generation: Generation) -> Self {
        Self(first_of(generation))
    }

    /// The generation that counts with it.
    #[must_use]
    pub const fn generation(self) -> Generation {
        Generation(self.0.saturating_sub(1) >> 32)
    }
}

/// Every generation has 2^32 numbers.
const fn first_of(generation: Generation) -> u64 {
    generation.0.saturating_mul(1 << 32).saturating_add(1)
}

/// Names one run of a node's process: 128 random bits, drawn at each start and never stored for reuse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootId(pub [u8; 16]);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_print_as_numbers_and_boots_as_hex() {
        assert_eq!(Term(6).next(), Term(7));
        assert_eq!(Slot(12).to_string(), "12");
        assert_eq!(BootId([0xab; 16]).to_string(), "ab".repeat(16));
    }

    #[test]
    fn every_generation_counts_from_numbers_of_its_own() {
        assert_eq!(ConfigEpoch::first_of(Generation(0)), ConfigEpoch(1));
        assert_eq!(PlacementEpoch::first_of(Generation(3)), PlacementEpoch(3 * 4_294_967_296 + 1));
        let last = PlacementEpoch(PlacementEpoch::first_of(Generation(3)).0 - 1);
        assert_eq!([last, last.next(), PlacementEpoch(0)].map(PlacementEpoch::generation), [2, 3, 0].map(Generation));
        assert!(ConfigEpoch::first_of(Generation(GENERATIONS_MAX)) < ConfigEpoch(u64::MAX >> 16));
    }

    #[test]
    fn a_counter_is_one_varint_on_the_wire() {
        assert_eq!(postcard::to_stdvec(&Term(300)).unwrap(), [0xac, 0x02]);
    }
}
