//! What must never happen, by name.

use crate::sim::time::{Micros, S};
use std::fmt;

/// A promise that holds after every step of every node, whatever the network, the disks and the clocks do within their
/// bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
pub(crate) enum Invariant {
    /// A term of a generation of a cell has one holder.
    OneHolderPerTerm,
    /// The spans of true time in which two nodes believe that they hold the lease of a cell, in one generation of it, do not
    /// overlap.
    LeasesDoNotOverlap,
    /// While a node believes that it holds a lease, a quorum of the voters has promised nobody else anything.
    LeasesRestOnPromises,
    /// A voter's terms never go back, across its restarts: it remembers what it granted, and grants one term to one run of
    /// one node.
    GrantsGoForward,
    /// Whoever proposes or speaks for a cell holds its lease at that moment.
    ActsUnderLease,
    /// Who saw a later holder believes no act of an earlier one, across its restarts in order.
    FencesHold,
    /// A slot of a register has one value, whether or not anybody knows that a quorum accepted it.
    OneValuePerSlot,
    /// Whoever proposes under a term proposes one value for a slot.
    OneValuePerBallot,
    /// A decision carries the acceptances of a quorum of the voters in force, and of those that it puts in force.
    DecidedByAQuorum,
    /// A voter grants in the configuration that it knows to be in force, and accepts for the slot after the last that it
    /// knows.
    VotersAreCurrent,
    /// A decided configuration follows the one before it by one change, so that their quorums meet.
    QuorumsMeet,
    /// Whoever knows that a cell ended votes in it no more, across its restarts; and once its end is decided nobody decides,
    /// proposes or says anything in its name.
    TombstonedNeverGrants,
    /// A cell ends in another only after that one took it in.
    AbsorbedBeforeMerged,
    /// A node's incarnations never go back, and each of its runs has a higher one.
    IncarnationsGoForward,
    /// Nobody is seen alive again who does not run and was taken for down as what it last called itself.
    NoRevivalOfTheDead,
    /// Nobody is accused by a node that did not ask it, with the suspicion attached, as often as verification demands.
    VerifiedBeforeDown,
    /// A departure is final.
    DeparturesAreFinal,
    /// After the faults have ended everybody who runs is seen alive by everybody in its cell, and everybody knows the last
    /// that it said of itself.
    ViewsBecomeEqual,
    /// After the faults have ended the cell has a holder.
    CellsAreLed,
    /// A coordinate is finite and moves by no more than its bound.
    CoordinatesAreBounded,
    /// Nobody takes data, not even to hand it on, where a policy that it knows forbids it.
    ConstraintsHold,
    /// A write that was acknowledged is on a disk.
    AcknowledgedWritesSurvive,
    /// A read of enough replicas by a node that knows the placements misses no write that was acknowledged under one of them.
    ReadsMissNothing,
    /// After the faults have ended former placements are retired.
    PlacementsRetire,
}

impl Invariant {
    /// The short name that the design gives it.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::OneHolderPerTerm => "E1",
            Self::LeasesDoNotOverlap => "E2",
            Self::LeasesRestOnPromises => "E3",
            Self::GrantsGoForward => "E4",
            Self::ActsUnderLease => "E5",
            Self::FencesHold => "E9",
            Self::OneValuePerSlot => "R1",
            Self::OneValuePerBallot => "R2",
            Self::DecidedByAQuorum => "R3",
            Self::VotersAreCurrent => "R4",
            Self::QuorumsMeet => "E6",
            Self::TombstonedNeverGrants => "E7",
            Self::AbsorbedBeforeMerged => "E8",
            Self::IncarnationsGoForward => "M1",
            Self::ViewsBecomeEqual => "M2",
            Self::NoRevivalOfTheDead => "M3",
            Self::VerifiedBeforeDown => "M4",
            Self::DeparturesAreFinal => "M5",
            Self::CellsAreLed => "L1",
            Self::CoordinatesAreBounded => "C1",
            Self::ConstraintsHold => "P2",
            Self::AcknowledgedWritesSurvive => "Q1",
            Self::ReadsMissNothing => "Q2",
            Self::PlacementsRetire => "L2",
        }
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Violation {
    /// When, in microseconds of true time.
    pub(crate) at_us: Micros,
    /// Which.
    pub(crate) invariant: Invariant,
    /// By whom and how.
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_us, invariant, what } = self;
        write!(f, "{} {invariant:?} at {}.{:06} s: {what}", invariant.code(), at_us / S, at_us % S)
    }
}
