//! The register of a cell: one sequence of slots, each decided once, through which every exclusive act of the cell goes.
//!
//! A slot is single-decree Paxos (Lamport, "Paxos made simple", 2001) with the term of the lease as ballot: a grant of a
//! lease is the promise and carries what the voter accepted, and a new holder proposes the value of the highest such term
//! again before any of its own. The lease only says who proposes; no lease alone excludes two actors.
//! See `docs/rfd/0001-register.md`.

mod configuration;
mod decision;
mod recovery;
mod succession;
mod value;

pub use configuration::{Configuration, Trust, VOTERS_MAX, Voter};
pub(crate) use decision::Waiver;
pub use decision::{Decision, DecisionError, VerifiedDecision};
pub use recovery::{Recovery, RecoveryError, VerifiedRecovery};
pub(crate) use succession::half_of_group;
pub use succession::{
    Absorb, HALF_MEMBERS_MAX, Half, INHERITED_MAX, Inherited, MergeInto, Split, Succession, Takeover,
};
pub use value::{Acceptance, Content, Head, Point, Value};
