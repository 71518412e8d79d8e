//! What a node is and whom it sees.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use hedgerow_attest::id::NodeId;
use serde::{Deserialize, Serialize};

use super::emulation::EmulationReport;

/// `GET /admin/v1/status`: what this process is and what it believes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `NodeId`, base32.
    pub node: String,
    /// Current `PeerId`, base58.
    pub peer: String,
    /// `MeshId`, base32.
    pub mesh: String,
    /// The region in this node's certificate.
    pub region: String,
    /// The cell that this node belongs to, once its region's genesis is known.
    pub cell: Option<String>,
    /// Whether the node answers.
    pub state: NodeState,
    /// Why the node is not ready, or ready but degraded: one stable word each.
    pub reasons: Vec<String>,
    /// Version of the binary.
    pub version: String,
    /// Process id, for people; nothing may act on it.
    pub pid: u32,
    /// Time since the process started.
    pub uptime_ms: u64,
    /// Where this node listens.
    pub listen: Listening,
    /// The node's certificate; nothing from a node of an earlier release.
    #[serde(default)]
    pub certificate: Option<CertificateReport>,
    /// The node's right to issue certificates, where it has one or had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuing: Option<IssuingReport>,
    /// Members by state.
    pub members: MemberCounts,
    /// The lease holder of each cell, as far as this node knows.
    pub aggregators: Vec<Aggregator>,
    /// Nodes that were put out for good.
    #[serde(default)]
    pub revoked: u64,
    /// Handshakes and messages refused since the start, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Models placed on this node.
    pub models: Vec<LocalModel>,
    /// What is emulated around the node's own socket, on a node started with `--emulate`.
    pub emulation: Option<EmulationReport>,
    /// Resident memory.
    pub memory_rss_bytes: u64,
    /// What the mesh socket moved.
    #[serde(default)]
    pub traffic: SocketTraffic,
    /// How this node reaches those whom it cannot dial, and what it does for others.
    #[serde(default)]
    pub relays: RelayReport,
}

/// Relays that a node uses, and what it relays itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayReport {
    /// Members at which others find this node, `NodeId` each; none where they reach it by themselves.
    pub waits_at: Vec<String>,
    /// Whether this node relays for members that cannot dial each other.
    pub relays: bool,
    /// Members that are connected for that.
    pub members: u64,
    /// Bytes that it carried for them since the start.
    pub carried_bytes: u64,
}

/// The way on which a link runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum LinkPath {
    /// To the member itself.
    Direct {
        /// Where it is.
        address: SocketAddr,
    },
    /// Through another member.
    Relayed {
        /// `NodeId` of that one.
        by: String,
    },
    /// A kind of way of a later version.
    #[serde(other)]
    Unknown,
}

impl LinkPath {
    /// The way to an address, or through a relay.
    pub(crate) fn of(address: SocketAddr, relay: Option<NodeId>) -> Self {
        relay.map_or(Self::Direct { address }, |relay| Self::Relayed { by: relay.to_string() })
    }
}

/// By which certificate a node is a member, and whether it will go on being one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// `NodeId` of who issued it.
    pub issuer: String,
    /// Its serial; each renewal has a higher one.
    pub serial: u64,
    /// First second at which it is renewed, as `2031-02-03T04:05:06Z`.
    pub renews_from: String,
    /// Its last second.
    pub not_after: String,
    /// Why the last attempt to renew it failed, and what to do; nothing while none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Nodes that may issue, as far as the answering node knows.
    pub issuers: u64,
}

/// Until when a node may issue certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuingReport {
    /// Last second of its right, as `2031-02-03T04:05:06Z`.
    pub until: String,
    /// How that stands.
    pub state: RightState,
}

/// How a right to issue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RightState {
    /// Certificates are issued under it.
    Holds,
    /// The same, and operators should give it again.
    EndsSoon,
    /// None is any more.
    Ended,
    /// A state of a later version.
    #[serde(other)]
    Unknown,
}

/// UDP payload that the mesh socket moved since the process started; headers of IP and UDP are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketTraffic {
    /// Sent.
    pub sent_bytes: u64,
    /// Received.
    pub received_bytes: u64,
}

/// Whether a node answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Opening its stores, joining, or not yet sure of its membership.
    Starting,
    /// It answers.
    Ready,
    /// It has announced that it stops.
    Stopping,
    /// A state of a later version.
    #[serde(other)]
    Unknown,
}

/// Where a node listens; the ports are those that were really bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// The mesh socket.
    pub udp: SocketAddr,
    /// REST.
    pub rest: SocketAddr,
    /// The admin socket.
    pub admin: PathBuf,
}

/// Members by state, this node included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberCounts {
    /// Answering.
    pub alive: u64,
    /// Silent, not yet given up.
    pub suspect: u64,
    /// Given up by the cell.
    pub down: u64,
    /// Announced a restart.
    pub stopping: u64,
    /// Departed for good.
    pub left: u64,
    /// All of the above.
    pub total: u64,
}

/// The lease holder of a cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Aggregator {
    /// Its region.
    pub region: String,
    /// The cell.
    pub cell: String,
    /// `NodeId` of the holder.
    pub holder: String,
    /// How often operators had the cell go on after it lost its quorum.
    #[serde(default)]
    pub generation: u64,
    /// The term of the lease.
    pub term: u64,
    /// How many nodes vote; with one there is no failover.
    #[serde(default)]
    pub voters: u64,
}

/// A model placed on the answering node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalModel {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// sha256 of the manifest, hex.
    pub digest: String,
    /// How far it is: one stable word such as `fetching` or `warm`.
    pub state: String,
    /// Why it is not warm, where something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One row of `GET /admin/v1/members`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberRow {
    /// `NodeId`, base32.
    pub node: String,
    /// Current `PeerId`, base58.
    pub peer: String,
    /// Region in its certificate.
    pub region: String,
    /// Its cell, if known.
    pub cell: Option<String>,
    /// Node class in its certificate.
    pub class: String,
    /// Failure domain in its certificate, if any.
    #[serde(default)]
    pub domain: Option<String>,
    /// State in the answering node's view, lower case.
    pub state: String,
    /// The member's own counter against rumours.
    pub incarnation: u64,
    /// Where it says it can be reached.
    pub addresses: Vec<SocketAddr>,
    /// On which way the answering node's link to it runs; nothing without a link, or where that is not told.
    #[serde(default)]
    pub path: Option<LinkPath>,
    /// Windowed minimum round trip as measured by the answering node.
    pub rtt_ms: Option<f64>,
    /// Time since the answering node heard from it at first hand.
    pub heard_ms_ago: Option<u64>,
    /// Models that it holds warm, `name@version`.
    pub warm: Vec<String>,
    /// Whether it holds the lease of its cell.
    pub aggregator: bool,
    /// Whether it is the answering node itself.
    #[serde(default)]
    pub me: bool,
}
