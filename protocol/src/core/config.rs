//! The settings of a mesh core.

use crate::election::ElectionConfig;
use crate::id::BootId;
use crate::membership::SwimConfig;
use hedgerow_attest::id::{MeshId, NodeId};
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::region::Region;
use std::time::Duration;

/// Who this node is, and the times by which it works. The times should be equal on all nodes of a mesh; those of the
/// election have to be.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// The mesh.
    pub mesh: MeshId,
    /// This node.
    pub me: NodeId,
    /// This run of its process: 128 random bits, drawn at each start.
    pub boot: BootId,
    /// The region in which its certificate puts it.
    pub region: Region,
    /// The public half of the key with which the driver signs.
    pub statement: PublicKey,
    /// How liveness is found out.
    pub swim: SwimConfig,
    /// How leases are timed.
    pub election: ElectionConfig,
    /// Time between exchanges of facts with a random peer. Bounds how long a node that gossip missed stays wrong.
    pub exchange: Duration,
    /// Longest time between two rollups of the same term in a mesh of few cells; changes are told within
    /// [`CoreConfig::rollup_gap`].
    pub rollup: Duration,
    /// What every cell of the mesh adds to that time once the sum is longer: the budget for rollups. One has about 600 bytes, so
    /// that 2 s make 300 B/s for every node, however many cells there are.
    pub rollup_share: Duration,
    /// Shortest time between two rollups, so that a storm of changes is told once.
    pub rollup_gap: Duration,
    /// Other cells whose members this node knows one by one; of the rest it knows the rollup. More cost memory and gossip, and
    /// fewer cost a hop: requests to a cell that is not among them go to one of its contacts. 0 for very large meshes.
    pub detail_cells: usize,
    /// How long a replica must be gone before what it holds is placed elsewhere. A restart or a pause moves nothing.
    pub repair: Duration,
    /// When cells split and merge.
    pub division: DivisionConfig,
    /// Silence after which a node of another cell is doubted; after twice as long it is taken for down.
    pub stale: Duration,
}

/// When cells split and merge. Equal on all nodes of a mesh, or they undo each other's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DivisionConfig {
    /// A cell of more members is to be split. What a node pays for its cell grows with it; see `docs/rfd/0002-membership.md`.
    pub split_above: usize,
    /// For how long it must have been larger, by the holder's own count.
    pub split_after: Duration,
    /// A cell of fewer members is to be merged with another such one. At most half of `split_above`, so that neither half of a
    /// cell that was split is to be merged, and no two cells that were merged are to be split.
    pub merge_below: usize,
    /// For how long it must have been smaller.
    pub merge_after: Duration,
}

impl DivisionConfig {
    /// For every mesh outside of a simulation.
    pub const STANDARD: Self = Self {
        split_above: 128,
        split_after: Duration::from_secs(600),
        merge_below: 24,
        merge_after: Duration::from_secs(1800),
    };

    /// Whether cells of so many members should be one.
    #[must_use]
    pub fn fit_together(&self, one: usize, other: usize) -> bool {
        one.max(other) < self.merge_below && one + other <= self.split_above
    }
}

impl CoreConfig {
    /// The settings for nodes on one machine or in one building, and for round trips below 100 ms.
    #[must_use]
    pub fn local(mesh: MeshId, me: NodeId, boot: BootId, region: Region, statement: PublicKey) -> Self {
        Self {
            mesh,
            me,
            boot,
            region,
            statement,
            swim: SwimConfig::local(),
            election: ElectionConfig::local(),
            exchange: Duration::from_secs(5),
            rollup: Duration::from_secs(5),
            rollup_share: Duration::from_secs(2),
            rollup_gap: Duration::from_millis(500),
            detail_cells: 8,
            repair: Duration::from_secs(30),
            division: DivisionConfig::STANDARD,
            stale: Duration::from_secs(15),
        }
    }
}
