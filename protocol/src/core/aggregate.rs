//! What the rollup of a cell says about its lease.

use crate::coords::Coordinate;
use crate::fact::Rollup;
use crate::id::{ConfigEpoch, Generation, Term};
use crate::time::Mono;
use hedgerow_attest::id::NodeId;

/// The latest rollup of one cell, without its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aggregate {
    pub(super) holder: NodeId,
    pub(super) generation: Generation,
    pub(super) term: Term,
    pub(super) config_epoch: ConfigEpoch,
    pub(super) heard: Mono,
    /// Where the holder says that it lies.
    pub(super) place: Option<Coordinate>,
}

impl Aggregate {
    pub(super) fn of(rollup: &Rollup) -> Self {
        Self {
            holder: rollup.holder,
            generation: rollup.generation,
            term: rollup.term,
            config_epoch: rollup.config_epoch,
            heard: Mono(0),
            place: rollup.place,
        }
    }

    pub(super) fn fence(&self) -> (Generation, Term, NodeId, ConfigEpoch) {
        (self.generation, self.term, self.holder, self.config_epoch)
    }
}
