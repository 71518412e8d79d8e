//! Who has to know a fact.

use hedgerow_attest::id::CellId;
use serde::{Deserialize, Serialize};

/// Who has to know a fact: nodes keep the facts of a scope or do not, publish to it, and compare what they know one scope at
/// a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Everybody. These facts are rare: who may found cells, geneses, voter sets, policies, deployments.
    Mesh,
    /// Everybody, at leisure: the rollups of all cells, which change all the time and are compared by themselves.
    Directory,
    /// The members of that cell, and whoever keeps its detail: certificates, records, accusations, and its placement.
    Cell(CellId),
}
