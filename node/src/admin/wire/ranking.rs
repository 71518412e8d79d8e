//! Which nodes answer, hold or can be reached, and why.

use serde::{Deserialize, Serialize};

/// `GET /mesh/v1/nearest`: the order in which a request would ask, and who would not be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestReport {
    /// Best first.
    pub candidates: Vec<NearestCandidate>,
    /// Everybody else.
    pub refused: Vec<NearestRefused>,
}

/// A node that would be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestCandidate {
    /// `NodeId`, base32.
    pub node: String,
    /// Its region, if the member is known.
    pub region: Option<String>,
    /// Nodes between the answering node and this one.
    pub hops: u8,
    /// Way and queue together, as far as they were measured.
    pub expected_ms: f64,
    /// Why it has this place.
    pub reason: String,
}

/// A node that would not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearestRefused {
    /// `NodeId`, base32.
    pub node: String,
    /// Its region, if the member is known.
    pub region: Option<String>,
    /// Why not.
    pub reason: String,
}

/// `POST /admin/v1/ping`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PingReport {
    /// Whether a member answered.
    pub reached: bool,
    /// Who answered, or was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Where.
    pub address: Option<String>,
    /// The round trip; nothing where nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Why nobody was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to look at next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// `GET /admin/v1/placement/KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementReport {
    /// What was asked about, and what is wanted for it.
    pub what: String,
    /// The epoch of the placement that this follows from, where there is one.
    pub epoch: Option<u64>,
    /// Whether a placement before it still counts for a session, so that a write needs its quorum there too.
    #[serde(default)]
    pub moving: bool,
    /// Holders first for a session, members by id for a model.
    pub nodes: Vec<PlacementRow>,
}

/// One node of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementRow {
    /// `NodeId`, base32.
    pub node: String,
    /// Its region, if the member is known.
    pub region: Option<String>,
    /// `holds`, `hands over`, `reserve`, `refused` or `-`.
    pub verdict: String,
    /// Why.
    pub reason: String,
}
