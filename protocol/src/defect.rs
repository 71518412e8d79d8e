//! Rules that a machine can be built without, so that a simulation can show that it would notice.
//!
//! A machine is generic over [`Defects`]. A node uses [`Sound`], which has no size and answers `false` in a constant, so
//! that no build of a node contains any of these; a simulation may plant one.

use std::fmt;

/// One rule broken. The name says what is then missing or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// A restarted voter grants at once, although it forgot for how long it had promised.
    NoRestartWait,
    /// A candidate counts a majority of the members that it believes alive instead of the configured voters.
    QuorumOfOwnView,
    /// A holder counts its lease from when the grants arrived instead of from before it asked.
    LeaseFromReceipt,
    /// A suspect is taken for down without being asked once more.
    SkippedVerification,
    /// The word of another revives a member that is down.
    ThirdPartyRevival,
    /// A voter's promise is not written before its grant leaves.
    TermNotPersisted,
    /// Voters are replaced, instead of added and removed one at a time with both quorums.
    VotersReplaced,
    /// A new holder proposes its own value although a voter accepted another.
    AcceptedNotReproposed,
    /// A voter exchanges its accepted value for another of the same term.
    AcceptedReplacedAtSameTerm,
    /// A voter grants and accepts before it knows the certified head of the register.
    NewVoterWithoutHead,
    /// A restarted candidate that asks for its former term is taken for a renewal.
    RestartTakenForRenewal,
    /// Grants that arrive after the candidate gave up or gave back still count.
    GrantAfterReleaseCounted,
    /// The holder alone signs a placement, without the register.
    HolderSignsAlone,
    /// A coordinate moves as far as one measurement says.
    CoordinateUnbounded,
    /// The comparison of what two nodes know leaves out incarnations.
    DigestWithoutIncarnation,
    /// A holder acts without looking whether its lease still runs, and receivers do not look at fences.
    StaleHolderActs,
}

impl Defect {
    /// Every one of them.
    pub const ALL: [Self; 16] = [
        Self::NoRestartWait,
        Self::QuorumOfOwnView,
        Self::LeaseFromReceipt,
        Self::SkippedVerification,
        Self::ThirdPartyRevival,
        Self::TermNotPersisted,
        Self::VotersReplaced,
        Self::AcceptedNotReproposed,
        Self::AcceptedReplacedAtSameTerm,
        Self::NewVoterWithoutHead,
        Self::RestartTakenForRenewal,
        Self::GrantAfterReleaseCounted,
        Self::HolderSignsAlone,
        Self::CoordinateUnbounded,
        Self::DigestWithoutIncarnation,
        Self::StaleHolderActs,
    ];
}

/// Which defects a machine is built with.
pub trait Defects: Copy + fmt::Debug + Send + Sync + 'static {
    /// Whether this one is planted.
    fn has(self, defect: Defect) -> bool;
}

/// None: every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sound;

impl Defects for Sound {
    #[inline(always)]
    fn has(self, _defect: Defect) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_machine_carries_nothing_and_has_no_defect() {
        assert_eq!(size_of::<Sound>(), 0);
        assert!(Defect::ALL.iter().all(|defect| !Sound.has(*defect)));
    }

    #[test]
    fn the_list_is_complete_and_without_repetition() {
        let mut sorted = Defect::ALL.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), Defect::ALL.len());
        assert_eq!(Defect::ALL.last().map(|last| *last as usize), Some(Defect::ALL.len() - 1));
    }
}
