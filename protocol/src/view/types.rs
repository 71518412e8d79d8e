//! The snapshot itself.

use super::state::MemberState;
use crate::fact::{CellContact, Health, Totals, VerifiedRollup};
use crate::id::{ConfigEpoch, Generation, Incarnation, PlacementEpoch, Term};
use crate::name::{ClassName, ModelRef};
use crate::placement::{Deployment, Holdings, Lineage, NodeClasses, Policy, PolicyName};
use crate::time::Mono;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::{CellId, MeshId, NodeId};
use hedgerow_attest::membership::Roles;
use hedgerow_attest::name::FailureDomain;
use hedgerow_attest::region::Region;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// What one node believes at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshView {
    /// Whose view it is.
    pub me: NodeId,
    /// The mesh.
    pub mesh: MeshId,
    /// The region of this node.
    pub region: Region,
    /// The cell of this node, once its region has one.
    pub cell: Option<CellId>,
    /// When, by this node's clock.
    pub at: Mono,
    /// The members of this node's cell and of the other cells whose detail it keeps, this node included.
    pub members: BTreeMap<NodeId, MemberView>,
    /// Every known cell.
    pub cells: BTreeMap<CellId, CellView>,
    /// The aggregator of each region that has a cell.
    pub aggregators: BTreeMap<Region, AggregatorView>,
    /// The cells that ended, through which it is found where a session lives.
    pub lineage: Lineage,
    /// The adopted placement of each cell.
    pub placements: BTreeMap<CellId, PlacementView>,
    /// The models that publishers want served, by name.
    pub deployments: Vec<DeploymentView>,
    /// The rules for data, where the mesh has any: of concurrent policies what all of them allow.
    pub policy: Option<Arc<Policy>>,
    /// The policies from which that follows, and which a successor has to name.
    pub policy_heads: Vec<PolicyName>,
    /// The shares of node classes that an operator wrote.
    pub node_classes: NodeClasses,
    /// What this node would be missed for if it left.
    pub needed: Needed,
}

/// What a node would be missed for if it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needed {
    /// Its vote in its cell.
    pub votes: Need,
    /// Sessions that it holds, or has not handed over.
    pub holds: Need,
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Need {
    /// Not at all.
    #[default]
    None,
    /// Until another node of the region has taken its part.
    UntilRelieved,
    /// No other node of the region can take its part: it goes with the node.
    Alone,
}

impl Needed {
    /// Whether it is worth waiting before the node leaves.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        [self.votes, self.holds].contains(&Need::UntilRelieved)
    }
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// The member.
    pub node: NodeId,
    /// Its region, by its certificate.
    pub region: Region,
    /// The cell of its region, where one is known.
    pub cell: Option<CellId>,
    /// What kind of machine it is, by its certificate.
    pub class: String,
    /// What it would fail together with, by its certificate.
    pub domain: Option<FailureDomain>,
    /// What it may be asked to do, by its certificate.
    pub roles: Roles,
    /// How it is seen.
    pub state: MemberState,
    /// Its latest known incarnation.
    pub incarnation: Incarnation,
    /// Where it says that it can be dialled, best first.
    pub addresses: Vec<SocketAddr>,
    /// What it says it can do. Queue depth and free memory are as old as `load_ms_ago` where that is known; all else is as old
    /// as `said_ms_ago`.
    pub health: Health,
    /// Milliseconds since it signed its record, by its clock and by this node's, which may differ; 0 for this node itself.
    pub said_ms_ago: u64,
    /// Milliseconds since an acknowledgement told this node its queue depth and free memory; nothing where none did, so that
    /// they are those of its record.
    pub load_ms_ago: Option<u64>,
    /// The smallest round trip that this node measured to it within the last minute, in microseconds.
    pub rtt_us: Option<u64>,
    /// The round trip to expect where none was measured, in microseconds: by network coordinates, and only as good as the
    /// word of others. For shortlists; it never overrules a measurement.
    pub estimate_us: Option<u64>,
    /// Milliseconds since this node itself last heard from it; nothing if it never did in this run.
    pub heard_ms_ago: Option<u64>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellView {
    /// The region in which it lies.
    pub region: Region,
    /// Whether its members are known one by one; of other cells there is the rollup, with some of them.
    pub detail: bool,
    /// What its aggregator said last, if anything was heard.
    pub rollup: Option<VerifiedRollup>,
    /// Milliseconds since the aggregator signed that, by its wall clock and by this node's, which may differ.
    pub said_ms_ago: Option<u64>,
    /// The round trip to expect, in microseconds, by network coordinates and the word of the aggregator.
    pub estimate_us: Option<u64>,
}

impl MeshView {
    /// Somebody to turn to in a cell whose members are not known here, and the cell.
    #[must_use]
    pub fn contact(&self, node: &NodeId) -> Option<(&CellView, &CellContact)> {
        let cells = self.cells.values().filter(|cell| !cell.detail);
        let contacts = cells.flat_map(|cell| {
            cell.rollup.iter().flat_map(move |rollup| rollup.contacts.iter().map(move |contact| (cell, contact)))
        });
        contacts.into_iter().find(|(_, contact)| contact.node == *node)
    }

    /// All cells, counted and added up as far as their rollups were heard.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.cells.values().flat_map(|cell| &cell.rollup).for_each(|rollup| totals.merge(&rollup.totals));
        totals
    }
}

/// The aggregator of one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregatorView {
    /// The cell.
    pub cell: CellId,
    /// Who holds the lease, or held it last.
    pub holder: NodeId,
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The holder's term.
    pub term: Term,
    /// The voter set that elected it.
    pub config_epoch: ConfigEpoch,
    /// How many vote; with one there is no failover.
    pub voters: usize,
    /// Whether the lease is believed to run.
    pub valid: bool,
}

/// The placement of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementView {
    /// The region in which the cell lies.
    pub region: Region,
    /// Numbers the placements of the cell.
    pub epoch: PlacementEpoch,
    /// The last placement of the cell that is retired; 0 if none.
    pub retired: PlacementEpoch,
    /// The cells that ended and whose groups it places, and since which placement.
    pub inherits: BTreeMap<CellId, PlacementEpoch>,
    /// The rules that it keeps, where they are known. A looser rule counts only once a placement keeps it.
    pub policy: Option<Arc<Policy>>,
    /// The placements before it that are not retired, as far as they are known: their holders count beside those of today.
    pub formers: BTreeMap<PlacementEpoch, Holdings>,
    /// Nodes by class and hash prefix, home first.
    pub groups: BTreeMap<(ClassName, u8), Vec<NodeId>>,
    /// Nodes by model and version, best first.
    pub models: BTreeMap<ModelRef, ModelPlacement>,
}

/// Where one model is placed in one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPlacement {
    /// The digest of its manifest.
    pub manifest: Sha256Digest,
    /// Who should hold it warm.
    pub nodes: Vec<NodeId>,
}

/// A model that a publisher wants served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentView {
    /// As signed.
    pub deployment: Deployment,
    /// Whether this node is among those that should hold it warm.
    pub mine: bool,
    /// Nodes that hold it warm, by their own word, whatever their state.
    pub warm: Vec<NodeId>,
}
