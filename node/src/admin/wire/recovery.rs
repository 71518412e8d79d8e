//! What operators sign so that a cell goes on.

use serde::{Deserialize, Serialize};

/// A recovery: as it is to be signed, or as it was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryReport {
    /// The cell.
    pub cell: String,
    /// The generation that begins.
    pub generation: u64,
    /// The generation that ends.
    pub ends_generation: u64,
    /// The last slot of it that counts.
    pub last_slot: u64,
    /// Who votes from here on.
    pub voters: Vec<String>,
    /// Votes that decide.
    pub quorum: u8,
    /// How many operators signed it.
    pub signatures: usize,
    /// Whether the mesh goes by it.
    pub in_force: bool,
}

impl RecoveryReport {
    /// What a statement says.
    pub(crate) fn of(recovery: &hedgerow_protocol::register::Recovery, signatures: usize, in_force: bool) -> Self {
        Self {
            cell: recovery.cell.to_string(),
            generation: recovery.generation.0,
            ends_generation: recovery.base.generation.0,
            last_slot: recovery.base.slot.0,
            voters: recovery.voters.voters.iter().map(|voter| voter.node.to_string()).collect(),
            quorum: recovery.voters.quorum,
            signatures,
            in_force,
        }
    }
}
