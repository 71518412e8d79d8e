//! The voters of a cell as facts: a genesis, and the decided voter sets since, each with the one before it.

use super::verified::{Fact, VerifiedFact};
use crate::id::{ConfigEpoch, Slot};
use crate::register::{Configuration, Content, Voter};
use hedgerow_attest::genesis::Birth;
use hedgerow_attest::id::CellId;
use hedgerow_attest::region::Region;

/// A verified genesis and the voter set that it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    birth: Birth,
    voters: Configuration,
}

impl Founding {
    pub(super) fn new(birth: Birth) -> Self {
        let genesis = birth.genesis();
        let sole = Voter { node: genesis.voter, key: genesis.voter_statement };
        let voters = Configuration::majority(ConfigEpoch(1), vec![sole]);
        Self { birth, voters }
    }

    /// The birth of the cell.
    #[must_use]
    pub fn birth(&self) -> &Birth {
        &self.birth
    }

    /// Its first voter, alone.
    #[must_use]
    pub fn voters(&self) -> &Configuration {
        &self.voters
    }

    /// The region in which the cell lies.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.birth.genesis().region
    }
}

impl VerifiedFact {
    /// The cell, the slot and the voter set, where the fact is a genesis or a decided voter set.
    #[must_use]
    pub fn charter(&self) -> Option<(CellId, Slot, &Configuration)> {
        match self.fact() {
            Fact::Genesis(founding) => Some((founding.birth().cell(), Slot(0), founding.voters())),
            Fact::Decision(decision) => match &decision.value.content {
                Content::Configuration(next) => Some((decision.value.cell, decision.value.slot, next)),
                Content::Placement(_) | Content::Retirement(_) => None,
            },
            Fact::Member(_)
            | Fact::Record(_)
            | Fact::Accusation(_)
            | Fact::Rollup(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_) => None,
        }
    }

    /// This fact and those before it, back to the genesis.
    pub(crate) fn charters(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |fact| fact.prior())
    }
}
