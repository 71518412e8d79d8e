//! The links of a cell as its members see them.

use serde::{Deserialize, Serialize};

/// `GET /admin/v1/netcheck`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetcheckReport {
    /// The members of the cell that were asked, by id.
    pub members: Vec<MemberCheck>,
    /// What somebody should look at.
    pub notable: Vec<Notable>,
}

/// What one member said, or why it said nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberCheck {
    /// `NodeId`, base32.
    pub node: String,
    /// Whether it is the node that asked.
    pub me: bool,
    /// How long its answer took; nothing where none came, and of the node that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<f64>,
    /// By how much its clock is ahead of the asking node's: negative is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<f64>,
    /// By how much that may be wrong: half of what the answer took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_error_ms: Option<f64>,
    /// Its live links, those to other cells among them.
    #[serde(default)]
    pub links: Vec<LinkCheck>,
    /// Why it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A link as one end sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkCheck {
    /// `NodeId` of the other end.
    pub node: String,
    /// Smoothed round trip.
    pub rtt_ms: f64,
    /// Packets that this end sent since the connection was made.
    pub sent_packets: u64,
    /// Those of them that it counts as lost.
    pub lost_packets: u64,
    /// The same in percent.
    pub loss_percent: f64,
    /// The kind of way: `direct`, `relayed` or `other`.
    pub path: String,
}

/// Something that should be looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Notable {
    /// A member did not answer.
    Silent {
        /// Which.
        node: String,
        /// Why.
        failure: String,
    },
    /// A member has a link to another, who has none to it, also when both were asked again.
    OneSided {
        /// Who has it.
        node: String,
        /// Who has none.
        peer: String,
    },
    /// Much of what one member sends to another is lost.
    Loss {
        /// Who sends.
        node: String,
        /// To whom.
        peer: String,
        /// How much.
        percent: f64,
    },
    /// A clock is off, whatever the error.
    Clock {
        /// Whose.
        node: String,
        /// By how much it is ahead of the asking node's.
        offset_ms: f64,
        /// By how much that may be wrong.
        error_ms: f64,
    },
    /// Something of a later version.
    #[serde(other)]
    Unknown,
}
