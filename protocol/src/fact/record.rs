//! What a node says about itself.

use crate::id::{BootId, Incarnation};
use crate::name::ModelRef;
use crate::time::Wall;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::region::Region;
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// Addresses that one node may advertise.
pub const ADDRESSES_MAX: usize = 8;

/// Models that one node may name as warm.
pub const WARM_MAX: usize = 64;

/// Reasons for which one node may call itself degraded.
pub const DEGRADED_MAX: usize = 8;

/// The signed record of one node: where it can be reached, what it holds, and whether it means to stay.
///
/// Only the node itself signs one, and of two the later (incarnation, sequence) holds. It changes rarely; values that move
/// all the time ride on probe acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Whom it is about, and who signs it.
    pub node: NodeId,
    /// The run of the process that says so.
    pub boot: BootId,
    /// Raised durably at each start before anything is sent, and to refute a rumour.
    pub incarnation: Incarnation,
    /// Counts the records of one incarnation.
    pub seq: u64,
    /// The fence in which the node stands; its certificate says the same.
    pub region: Region,
    /// The cell to which the node counts itself, once its region has one.
    pub cell: Option<CellId>,
    /// Where to dial it, best first.
    #[serde(deserialize_with = "bounded_vec::<_, _, ADDRESSES_MAX>")]
    pub addresses: Vec<SocketAddr>,
    /// Whether it means to stay.
    pub state: NodeState,
    /// What it can do at the moment.
    pub health: Health,
    /// When it was signed, by the node's own wall clock; for people, nothing is decided by it.
    pub at: Wall,
}

impl Domain for NodeRecord {
    const DOMAIN: &'static str = "hedgerow/node-record/1";
    const PAYLOAD_MAX: usize = 10 * 1024;
}

/// What a node says it means to do; whether it is alive is for others to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NodeState {
    /// To stay.
    Up,
    /// To be back soon: a restart. Nothing is moved for 30 s.
    Stopping,
    /// To leave when what it holds has been handed on.
    Draining,
    /// Gone for good. Nothing that the node signs afterwards counts.
    Left,
}

/// What a node can do at the moment, by its own account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Requests that wait or run. Current in acknowledgements of probes, a snapshot in records.
    pub queue_depth: u32,
    /// Memory that models and sessions could still take, in MiB; 0 where the system does not say. Current in acknowledgements
    /// of probes, a snapshot in records.
    pub free_memory_mib: u32,
    /// What the node runs on.
    pub energy: Energy,
    /// Why it should be passed over where another can do the work.
    #[serde(deserialize_with = "bounded_vec::<_, _, DEGRADED_MAX>")]
    pub degraded: Vec<DegradedReason>,
    /// Models that are verified, loaded and answer at once.
    #[serde(deserialize_with = "bounded_vec::<_, _, WARM_MAX>")]
    pub warm: Vec<ModelRef>,
}

/// What a node runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Energy {
    /// Mains, or whatever does not run out.
    #[default]
    Mains,
    /// A battery that is not low.
    Battery,
    /// A battery that is low: work should rather go elsewhere.
    Low,
}

impl fmt::Display for Energy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mains => "mains",
            Self::Battery => "battery",
            Self::Low => "low",
        })
    }
}

/// A public code for why a node calls itself degraded; codes that a release does not know are passed on unchanged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DegradedReason(pub u8);

impl DegradedReason {
    /// The disk refuses writes or is nearly full.
    pub const DISK: Self = Self(1);
    /// The clock may run faster or slower than leases allow.
    pub const CLOCK: Self = Self(2);
    /// Memory is short.
    pub const MEMORY: Self = Self(3);
    /// More work waits than can be done in time.
    pub const OVERLOAD: Self = Self(4);
}

impl fmt::Display for DegradedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DISK => f.pad("disk"),
            Self::CLOCK => f.pad("clock"),
            Self::MEMORY => f.pad("memory"),
            Self::OVERLOAD => f.pad("overload"),
            Self(code) => write!(f, "reason-{code}"),
        }
    }
}

impl fmt::Debug for DegradedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_that_claims_too_many_models_is_refused_before_it_is_allocated() {
        // queue 0, no memory, mains, no reasons, and a count of 65 models.
        let boast = [vec![0, 0, 0, 0, 65], vec![0; 130]].concat();
        assert_eq!(postcard::from_bytes::<Health>(&boast), Err(postcard::Error::SerdeDeCustom));
        assert_eq!(
            postcard::from_bytes::<Health>(&[7, 9, 2, 1, 2, 0]),
            Ok(Health {
                queue_depth: 7,
                free_memory_mib: 9,
                energy: Energy::Low,
                degraded: vec![DegradedReason::CLOCK],
                warm: vec![]
            })
        );
    }

    #[test]
    fn an_unknown_reason_keeps_its_code() {
        assert_eq!(DegradedReason(200).to_string(), "reason-200");
        assert_eq!(DegradedReason::DISK.to_string(), "disk");
    }
}
