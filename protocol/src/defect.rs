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
    /// A departure is forgotten after a minute, while nodes that were away still hold the last word before it.
    DepartureForgotten,
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
    /// The voters of a cell that ended go on as if it had not.
    RetiredCellGrants,
    /// A cell ends in another that has not taken it in.
    MergesUnabsorbed,
    /// Clocks that moved apart are not taken for a sign that the machine stood still.
    StandstillUnnoticed,
    /// A recovery is followed and not written, so that a restart goes back to the generation before it.
    RecoveryNotPersisted,
    /// The tables of a cell do not name the ended cells whose placements go on in them.
    TakeoverNamesNothing,
    /// A retired placement makes a replica drop a group although nobody said that it has what this one has.
    RetireForces,
    /// While a placement follows another, only the new holders are read.
    TransitionReadsNewOnly,
    /// A rule for data that a policy tightens counts only with the next placement.
    TighteningWaits,
}

impl Defect {
    /// Those of the transition from one placement to the next; the rest is in a mesh core.
    pub const OF_TRANSITIONS: [Self; 3] = [Self::RetireForces, Self::TransitionReadsNewOnly, Self::TighteningWaits];

    /// Every one that a mesh of cores may be built with.
    pub const ALL: [Self; 22] = [
        Self::NoRestartWait,
        Self::QuorumOfOwnView,
        Self::LeaseFromReceipt,
        Self::SkippedVerification,
        Self::DepartureForgotten,
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
        Self::RetiredCellGrants,
        Self::MergesUnabsorbed,
        Self::StandstillUnnoticed,
        Self::RecoveryNotPersisted,
        Self::TakeoverNamesNothing,
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
    fn the_lists_are_complete_and_without_repetition() {
        let all = [&Defect::ALL[..], &Defect::OF_TRANSITIONS[..]].concat();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, all);
        assert_eq!(sorted.last().map(|last| *last as usize), Some(sorted.len() - 1));
    }
}
