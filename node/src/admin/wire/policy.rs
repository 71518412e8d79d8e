//! The rules for data, and what a change of them would move.

use serde::{Deserialize, Serialize};

/// `GET /admin/v1/policy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// The policies that no known one replaces. With several, the classes are what all of them allow.
    pub heads: Vec<PolicyHead>,
    /// The classes in force, by name.
    pub classes: Vec<DataClassRow>,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyHead {
    /// Its version.
    pub version: u64,
    /// sha256 of its payload, hex.
    pub digest: String,
}

/// One class of data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataClassRow {
    /// Its name.
    pub name: String,
    /// Copies in the home cell.
    pub replicas: u8,
    /// Copies that must be durable before a write counts.
    pub write_quorum: u8,
    /// Regions in which its data may be; all when empty.
    pub regions: Vec<String>,
    /// Whether it speaks about people.
    pub personal: bool,
    /// Seconds after its last write at which a session may be forgotten; never when 0.
    pub ttl_s: u64,
}

/// One node class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClassRow {
    /// Its name.
    pub name: String,
    /// The share of what is placed that one node of it gets, relative to others.
    pub weight: u32,
    /// Members of it that the answering node knows.
    pub nodes: u64,
}

/// A node class as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeClassShare {
    /// Its name.
    pub name: String,
    /// Its share relative to others.
    pub weight: u16,
}

/// `GET /admin/v1/node-classes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClassReport {
    /// The revision of what an operator wrote; 0 if nothing.
    pub revision: u64,
    /// What an operator wrote, by name.
    pub written: Vec<NodeClassShare>,
    /// Every class that is written, built in, or that a member has.
    pub classes: Vec<NodeClassRow>,
}

/// `POST /admin/v1/policy/plan`: what would be in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// All data classes.
    pub classes: Vec<DataClassRow>,
    /// All node classes that are written.
    #[serde(default)]
    pub node_classes: Vec<NodeClassShare>,
}

/// What would change in the cell of the answering node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanReport {
    /// The cell.
    pub cell: String,
    /// Its region.
    pub region: String,
    /// Copies that would be made.
    pub copies: u64,
    /// Bytes of those whose size is known.
    pub bytes: u64,
    /// Copies whose size is not known.
    pub copies_of_unknown_size: u64,
    /// By class.
    pub classes: Vec<PlannedClass>,
    /// Models that would move.
    pub models: Vec<PlannedMove>,
}

/// What would become of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedClass {
    /// The class.
    pub class: String,
    /// `placed`, `removed`, `forbidden` or `nobody`.
    pub fate: String,
    /// Groups in all.
    pub groups: u64,
    /// The groups that would move, or that a rule cannot be kept for.
    pub moves: Vec<PlannedMove>,
    /// Nodes that may not hold it or get none of it.
    pub refusals: Vec<PlannedRefusal>,
}

/// One group or model before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMove {
    /// `CLASS.PREFIX` or `MODEL@VERSION`.
    pub what: String,
    /// Who holds it, home first.
    pub from: Vec<String>,
    /// Who will, home first.
    pub to: Vec<String>,
    /// Of the holders, who serves nothing of it from the moment the rule is known.
    pub stops: Vec<String>,
    /// Of the holders to be, who gets nothing of it before the placement is committed.
    pub waits: Vec<String>,
    /// Bytes of one copy, where they are known.
    pub bytes: Option<u64>,
    /// What could not be kept to.
    pub notes: Vec<String>,
}

/// One node that a rule keeps out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRefusal {
    /// `NodeId`, base32.
    pub node: String,
    /// Every rule that does, in words.
    pub rules: Vec<String>,
}

/// `POST /admin/v1/policy` and `POST /admin/v1/node-classes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAccepted {
    /// The version of the policy, or the revision of the shares, that holds from here on.
    pub version: u64,
}
