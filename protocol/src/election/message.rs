//! What candidates, holders and voters of a cell tell each other.
//!
//! Campaigns, denials and proposals are believed because the link names their sender; grants and acceptances are signed,
//! since they can be shown to others: two grants of one term by one voter are proof of misbehaviour.

use crate::id::{BootId, ConfigEpoch, Generation, Slot, Term};
use crate::register::{Acceptance, Decision, Head, Value, VerifiedDecision};
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::signed::{Domain, Signed, Verified};
use serde::{Deserialize, Serialize};

/// A request for the lease of a cell, and for its renewal: a voter tells the two apart by what it promised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Campaign {
    /// The cell.
    pub cell: CellId,
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The voter set by which the candidate counts.
    pub config_epoch: ConfigEpoch,
    /// The term it asks for.
    pub term: Term,
    /// The candidate's run: after a restart an old term is not a renewal.
    pub boot: BootId,
    /// Names this round of asking; grants of earlier rounds are void.
    pub nonce: u64,
    /// The last slot that the candidate knows to be certified.
    pub head: Slot,
}

/// A voter's signed promise to grant nobody else for one lease length.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The cell.
    pub cell: CellId,
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The voter set.
    pub config_epoch: ConfigEpoch,
    /// The term granted.
    pub term: Term,
    /// To whom.
    pub candidate: NodeId,
    /// To which run of it.
    pub boot: BootId,
    /// In which round of asking.
    pub nonce: u64,
    /// The voter, who signs.
    pub voter: NodeId,
    /// The end of the register as the voter knows it.
    pub head: Head,
    /// What it accepted for the slot after that, by term and digest, if anything.
    pub accepted: Option<(Term, Sha256Digest)>,
}

impl Domain for Grant {
    const DOMAIN: &'static str = "hedgerow/lease-grant/1";
    const PAYLOAD_MAX: usize = 320;
}

/// A grant with what its digests name, as far as the candidate lacks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantReply {
    /// The promise.
    pub grant: Signed<Grant>,
    /// The certificate of the voter's head, where the candidate's head is behind it.
    pub head: Option<Box<Decision>>,
    /// The value that the voter accepted for the next slot.
    pub accepted: Option<Box<Value>>,
}

/// A refusal of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// The cell.
    pub cell: CellId,
    /// The round that is refused.
    pub nonce: u64,
    /// The highest term that the voter promised.
    pub promised: Term,
    /// For how long it will not grant anyone else, in milliseconds.
    pub remaining_ms: u32,
    /// The certificate of the voter's configuration where the candidate counts by an older one.
    pub moved: Option<Box<Decision>>,
}

/// The end of a round that did not reach a quorum, or of a lease given back: voters are free at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Abandon {
    /// The cell.
    pub cell: CellId,
    /// The term given up.
    pub term: Term,
    /// The candidate's run.
    pub boot: BootId,
}

/// A lease given back to a voter that is to lead next: to it what [`Abandon`] is to the others, and it asks at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// What is given back.
    pub abandon: Abandon,
    /// The certificate of the last slot, in case the successor lacks it.
    pub head: Option<Box<Decision>>,
}

/// The holder's proposal for the next slot. To accept it counts as granting the proposer a lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Propose {
    /// The proposer's term, the ballot.
    pub term: Term,
    /// The proposer's run.
    pub boot: BootId,
    /// The voter set in force.
    pub config_epoch: ConfigEpoch,
    /// The value.
    pub value: Box<Value>,
}

/// Why a voter did not accept a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// It promised a higher term.
    Promised {
        /// The cell.
        cell: CellId,
        /// The term promised.
        term: Term,
    },
    /// Its register ends elsewhere; the certificates of what lies between have to be exchanged first.
    Head {
        /// The cell.
        cell: CellId,
        /// Where it ends.
        head: Head,
    },
    /// The value breaks a rule, or speaks of a policy or a member that the voter does not know yet.
    Unfit {
        /// The cell.
        cell: CellId,
        /// The slot proposed.
        slot: Slot,
    },
}

/// Everything that the election and the register of a cell send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseMessage {
    /// From a candidate or holder to voters.
    Campaign(Campaign),
    /// From a voter.
    Grant(GrantReply),
    /// From a voter.
    Denial(Denial),
    /// From a candidate or holder.
    Abandon(Abandon),
    /// From the holder.
    Propose(Propose),
    /// From a voter.
    Accepted(Signed<Acceptance>),
    /// From a voter.
    Refused(Refusal),
    /// The certificate of a slot, to a voter that lacks it.
    Decided(Box<Decision>),
    /// From a holder that leaves.
    Handover(Handover),
}

/// A grant whose signature was checked with the key that it names; whether that key votes is for the election to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedGrant {
    /// The promise.
    pub grant: Verified<Grant>,
    /// The certified head, where the voter sent one and it verified.
    pub head: Option<VerifiedDecision>,
    /// The accepted value, where its digest is the one that was signed.
    pub accepted: Option<Value>,
}
