//! What recoveries of cells leave of their registers.

use super::Roster;
use crate::fact::VerifiedFact;
use crate::register::{Point, VerifiedRecovery};
use hedgerow_attest::id::CellId;

impl Roster {
    /// What of the voters and ends of cells never counted by that recovery.
    pub(crate) fn undone_by(&self, recovery: &VerifiedRecovery) -> Vec<VerifiedFact> {
        self.charters().filter(|fact| fact.is_undone_by(recovery)).cloned().collect()
    }

    /// Whether what was decided there never counted, by a recovery of the cell.
    pub(crate) fn is_undone(&self, cell: &CellId, point: Point) -> bool {
        self.recoveries_of(cell).any(|recovery| recovery.undoes(point))
    }

    /// The recoveries of a cell that this node follows, the last first.
    pub(crate) fn recoveries_of(&self, cell: &CellId) -> impl Iterator<Item = &VerifiedRecovery> {
        self.charters_of(cell).filter_map(VerifiedFact::recovered)
    }
}
