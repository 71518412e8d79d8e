//! Nodes that may issue certificates, and how one becomes such.

use serde::{Deserialize, Serialize};

/// A row of `GET /admin/v1/issuers`: a member that may issue, as far as the answering node knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerRow {
    /// `NodeId`, base32.
    pub node: String,
    /// Whether it is the answering node.
    pub me: bool,
    /// The state in which the answering node sees it.
    pub state: String,
    /// Last second of its right, as `2031-02-03T04:05:06Z`, by the certificate that is known here.
    pub until: String,
    /// Certificates in use that it issued.
    pub issued: u64,
    /// Whether the root names it for regions that it does not name another node for.
    pub founds: bool,
}

/// `GET /admin/v1/issuers/{target}`: what an operator has to know to give a node the right to issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationDraft {
    /// `NodeId`, base32.
    pub node: String,
    /// `MeshId`, base32.
    pub mesh: String,
    /// Its certificate, hex: the keys in it are bound to the id by themselves, so that whoever signs need not believe this node.
    pub certificate: String,
    /// The serial of the delegation; a right that is given again has a higher one.
    pub serial: u64,
    /// The longest that the root allows, seconds.
    pub lifetime_s_max: u64,
}

/// A right that a node has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentReport {
    /// Who may issue.
    pub node: String,
    /// Last second of its right.
    pub until: String,
}
