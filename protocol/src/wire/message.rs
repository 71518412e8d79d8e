//! The messages of wire version 1. Their encoding is frozen by fixtures; later versions get types of their own.

use crate::coords::Coordinate;
use crate::election::{LeaseMessage, LeaseName, LeaseNews};
use crate::fact::{Accusation, FactVersion, Liveness, Scope, SignedFact};
use crate::id::Incarnation;
use crate::placement::Settled;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::signed::Signed;
use serde::{Deserialize, Serialize};

/// Members that one probe may name as suspects of its sender.
pub const SUSPECTS_MAX: usize = 4;

/// Buckets of a summary of facts.
pub const SUMMARY_BUCKETS: usize = 16;

/// Other scopes of which a summary may speak: a datagram holds no more.
pub const SCOPES_MAX: usize = 16;

/// Facts that one digest may list, and that one pull may ask for.
pub const DIGEST_ENTRIES_MAX: usize = 1024;

/// Facts that one push may carry, whatever their size.
pub const PUSH_FACTS_MAX: usize = 128;

/// Everything that one node's core sends to another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Who is alive.
    Probe(ProbeMessage),
    /// What is known.
    Exchange(ExchangeMessage),
    /// Who decides, and what was decided.
    Lease(Box<LeaseMessage>),
    /// The sender could not reach the accused; asks what the receiver knows. Signed, so that it can be shown to others.
    Accusation(Signed<Accusation>),
    /// What the sender has handed over of what it holds by former placements; to the holder of its cell's lease. Not signed:
    /// nobody says it for another, and too much of it permits what nobody is forced to.
    Settled(Settled),
}

/// Liveness, as in SWIM (Das, Gupta, Motivala, DSN 2002). Not signed: the link names the sender, and what it says about
/// others is only a reason to ask them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeMessage {
    /// Are you there?
    Ping {
        /// To be returned.
        nonce: u64,
        /// What the sender believes about the receiver, so that a falsely suspected member hears of it first.
        belief: Suspicion,
        /// What the sender knows of its cell, where the receiver belongs to it too.
        cell: Option<CellMark>,
        /// Members that the sender itself could not reach.
        #[serde(deserialize_with = "bounded_vec::<_, _, SUSPECTS_MAX>")]
        suspects: Vec<(NodeId, Incarnation)>,
    },
    /// Yes.
    Ack {
        /// That of the ping.
        nonce: u64,
        /// The sender's own incarnation.
        incarnation: Incarnation,
        /// Values that move all the time.
        load: Load,
        /// What the sender knows of the cell, where it was asked.
        cell: Option<CellNews>,
        /// Members that the sender itself could not reach.
        #[serde(deserialize_with = "bounded_vec::<_, _, SUSPECTS_MAX>")]
        suspects: Vec<(NodeId, Incarnation)>,
        /// Where the sender says that it lies; nothing where it keeps no coordinate.
        at: Option<Coordinate>,
        /// Milliseconds of the sender's monotonic clock at that moment. It starts anywhere and wraps: two readings of one
        /// node are differenced to see whether clocks run alike, and nothing else is done with them.
        clock_ms: u32,
    },
    /// Please ping that member for me.
    Ask {
        /// To be returned.
        nonce: u64,
        /// The member that did not answer the sender.
        target: NodeId,
    },
    /// It answered me, or it did not.
    Tell {
        /// That of the request.
        nonce: u64,
        /// The member asked about.
        target: NodeId,
        /// Whether it answered in time.
        reached: bool,
    },
    /// What I believe about the one that you accuse.
    Opinion {
        /// The accused.
        about: NodeId,
        /// The belief.
        belief: Suspicion,
    },
}

/// What one node believes about the liveness of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspicion {
    /// The incarnation it speaks of.
    pub incarnation: Incarnation,
    /// The belief.
    pub liveness: Liveness,
}

/// What a node knows of its cell, in the fewest bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CellMark {
    /// The lease that it believes in.
    pub lease: Option<LeaseName>,
    /// Bits of a hash over the accusations that it holds: two nodes with different ones compare what they know.
    pub charges: u16,
}

/// The answer to a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellNews {
    /// The lease in which the sender believes.
    pub lease: Option<LeaseNews>,
    /// As in [`CellMark::charges`].
    pub charges: u16,
}

/// Values that move all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Requests that wait or run.
    pub queue_depth: u32,
    /// Memory that models and sessions could still take, in MiB; 0 where the system does not say.
    pub free_memory_mib: u32,
}

/// Anti-entropy of facts: summary, digest of the buckets that differ, then push and pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeMessage {
    /// One hash per bucket of the sender's facts of one scope.
    Summary {
        /// Whose facts.
        scope: Scope,
        /// Each the exclusive or of the bucket's entries, hashed.
        buckets: [u64; SUMMARY_BUCKETS],
        /// Other scopes that the sender keeps: where the receiver's differ, it opens a comparison of them.
        #[serde(deserialize_with = "bounded_vec::<_, _, SCOPES_MAX>")]
        others: Vec<ScopeRoot>,
    },
    /// What the sender has in the buckets that differ.
    Digest {
        /// Whose facts.
        scope: Scope,
        /// The buckets listed in full, one bit each.
        buckets: u16,
        /// Their entries.
        #[serde(deserialize_with = "bounded_vec::<_, _, DIGEST_ENTRIES_MAX>")]
        entries: Vec<FactEntry>,
    },
    /// Please send these.
    Pull {
        /// Whose facts.
        scope: Scope,
        /// Hashes of keys.
        #[serde(deserialize_with = "bounded_vec::<_, _, DIGEST_ENTRIES_MAX>")]
        keys: Vec<u64>,
    },
    /// Facts that the receiver lacks, those first on which others depend.
    Push {
        /// The facts.
        #[serde(deserialize_with = "bounded_vec::<_, _, PUSH_FACTS_MAX>")]
        facts: Vec<SignedFact>,
    },
}

/// Everything that the sender knows of one scope, in one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRoot {
    /// The scope.
    pub scope: Scope,
    /// The exclusive or of its buckets, the one at place n (from 0) rotated left by n + 1 bits.
    pub root: u64,
}

/// One fact in a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FactEntry {
    /// The hash of its key.
    pub key: u64,
    /// Its version; of two the higher holds.
    pub version: FactVersion,
}
