//! A node that leaves its mesh for good.

use serde::{Deserialize, Serialize};

/// Body of `POST /admin/v1/departure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepartureRequest {
    /// Leave although no other node can take over what this one does.
    pub abandon: bool,
}

/// Answer to `GET` and `POST /admin/v1/departure`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartureReport {
    /// `NodeId`, base32.
    pub node: String,
    /// How far it is.
    pub state: DepartureState,
    /// Whether it votes in its cell.
    pub votes: bool,
    /// Groups of sessions that the placement in force has it hold.
    pub groups_held: u64,
    /// Groups of sessions that it holds from before and that others do not have yet.
    pub groups_open: u64,
    /// Whether others have what it had: its vote and its sessions.
    pub is_relieved: bool,
    /// Since it was asked to leave, until it had.
    pub waited_ms: u64,
    /// While it leaves: until it goes whether or not it is relieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gives_up_in_ms: Option<u64>,
    /// Why it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far a departure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DepartureState {
    /// Nobody asked it to leave.
    Staying,
    /// It drains: others take over its vote and its sessions.
    Leaving,
    /// The mesh knows that it left, and so will the node after a crash.
    Left,
    /// It could not; nobody was told.
    Failed,
    /// A state of a later version.
    #[serde(other)]
    Unknown,
}
