//! What the aggregator of a cell says about it to the rest of the mesh.

use super::totals::Totals;
use super::verified::{Fact, VerifiedFact};
use crate::coords::Coordinate;
use crate::id::{ConfigEpoch, Generation, Incarnation, Term};
use crate::name::ModelRef;
use crate::time::Wall;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::region::Region;
use hedgerow_attest::signed::Domain;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::ops::Deref;

/// Members that a cell may have.
pub const CELL_MEMBERS_MAX: usize = 128;

/// Members that one rollup names.
pub const CONTACTS_MAX: usize = 8;

/// Addresses of one of them: one per family.
pub const CONTACT_ADDRESSES_MAX: usize = 2;

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
    /// Its members, counted and added up.
    pub totals: Totals,
    /// Models that are warm on members that are alive, by name and version; the first [`ROLLUP_MODELS_MAX`] of them.
    #[serde(deserialize_with = "bounded_vec::<_, _, ROLLUP_MODELS_MAX>")]
    pub models: Vec<WarmModel>,
    /// Members to turn to, by node: all of them while there are no more than [`CONTACTS_MAX`], else so many that are alive and
    /// hold, together, as many of the warm models as so many can.
    #[serde(deserialize_with = "bounded_vec::<_, _, CONTACTS_MAX>")]
    pub contacts: Vec<CellContact>,
}

impl Domain for Rollup {
    const DOMAIN: &'static str = "hedgerow/rollup/1";
    const PAYLOAD_MAX: usize = 16 * 1024;
}

impl Rollup {
    /// Whether the other one says the same of the cell, loads and places aside: those move all the time.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let lasting = |totals: &Totals| (totals.alive, totals.suspect, totals.down, totals.leaving, totals.on_battery);
        let fence = |rollup: &Self| (rollup.generation, rollup.config_epoch, rollup.term, rollup.holder);
        let calm = |contact: &CellContact| CellContact { queue_depth: 0, ..contact.clone() };
        fence(self) == fence(other)
            && lasting(&self.totals) == lasting(&other.totals)
            && self.totals.classes == other.totals.classes
            && self.models == other.models
            && self.contacts.iter().map(calm).eq(other.contacts.iter().map(calm))
    }

    /// Whether that model of the rollup is warm at one of its contacts.
    #[must_use]
    pub fn is_warm_at(&self, contact: &CellContact, model: &ModelRef) -> bool {
        let bit = self.models.iter().position(|warm| warm.model == *model);
        bit.is_some_and(|bit| contact.warm >> bit & 1 == 1)
    }
}

/// A rollup whose signature was checked. Clones share their contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRollup(VerifiedFact);

impl VerifiedRollup {
    /// The rollup that the fact is, if it is one.
    #[must_use]
    pub fn of(fact: &VerifiedFact) -> Option<Self> {
        matches!(fact.fact(), Fact::Rollup(_)).then(|| Self(fact.clone()))
    }
}

impl Deref for VerifiedRollup {
    type Target = Rollup;

    fn deref(&self) -> &Rollup {
        let Fact::Rollup(rollup) = self.0.fact() else { unreachable!("made of rollups only") };
        rollup
    }
}

/// One model that is warm in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmModel {
    /// The model.
    pub model: ModelRef,
    /// On how many members that are alive.
    pub nodes: u32,
}

/// One member of a cell, as its aggregator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellContact {
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
    /// Where it says that it can be dialled, best first: the handshake proves who answers, so that its certificate need not
    /// be known in advance.
    #[serde(deserialize_with = "bounded_vec::<_, _, CONTACT_ADDRESSES_MAX>")]
    pub addresses: Vec<SocketAddr>,
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

#[cfg(test)]
#[path = "rollup_tests.rs"]
mod tests;
