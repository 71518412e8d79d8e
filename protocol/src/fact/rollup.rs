//! What the aggregator of a cell says about it to the rest of the mesh.

use crate::coords::Coordinate;
use crate::id::{ConfigEpoch, Generation, Incarnation, Term};
use crate::name::ModelRef;
use crate::time::Wall;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::region::Region;
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};

/// Members that a cell may have, and so rows that a rollup may have.
pub const CELL_MEMBERS_MAX: usize = 128;

/// Models that one rollup names.
pub const ROLLUP_MODELS_MAX: usize = 64;

/// The state of one cell, signed by the holder of its lease. Of two the later (generation, term, window) holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// The cell.
    pub cell: CellId,
    /// The region in which it lies.
    pub region: Region,
    /// The recovery count of the cell.
    pub generation: Generation,
    /// The voter set that elected the holder.
    pub config_epoch: ConfigEpoch,
    /// The term of the holder: receivers refuse a lower one than they saw.
    pub term: Term,
    /// Counts the rollups of one term.
    pub window: u64,
    /// Who holds the lease, and who signs.
    pub holder: NodeId,
    /// When it was signed, by the holder's wall clock.
    pub at: Wall,
    /// Where the holder lies, and so, roughly, every member of a cell of near nodes; nothing where it keeps no coordinate.
    pub place: Option<Coordinate>,
    /// Models that are warm somewhere in the cell, by name and version; the first [`ROLLUP_MODELS_MAX`] of them.
    #[serde(deserialize_with = "bounded_vec::<_, _, ROLLUP_MODELS_MAX>")]
    pub models: Vec<ModelRef>,
    /// The members of the cell, by node.
    #[serde(deserialize_with = "bounded_vec::<_, _, CELL_MEMBERS_MAX>")]
    pub members: Vec<RollupMember>,
}

impl Domain for Rollup {
    const DOMAIN: &'static str = "hedgerow/rollup/1";
    const PAYLOAD_MAX: usize = 20 * 1024;
}

/// One member of a cell, as its aggregator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupMember {
    /// The member.
    pub node: NodeId,
    /// The incarnation that was seen; a higher one is news to the aggregator.
    pub incarnation: Incarnation,
    /// Whether it answers.
    pub liveness: Liveness,
    /// Requests that wait or run there.
    pub queue_depth: u32,
    /// Which models of the rollup are warm there, one bit each, the first the lowest.
    pub warm: u64,
}

/// Whether a member answers, as others find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It did not answer lately.
    Suspect,
    /// It did not answer when verified.
    Down,
}
