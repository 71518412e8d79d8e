//! The voters of a cell as facts: a genesis, the decided voter sets since, recoveries, and the end of the cell, each with the
//! one before it. The register of a cell that came of a split begins with the end of that one.

use super::verified::{Fact, VerifiedFact};
use crate::id::ConfigEpoch;
use crate::register::{Configuration, Content, Point, Succession, VerifiedRecovery, Voter};
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
    /// The cell and the place in its register, where the fact is a genesis, a decided voter set, a recovery, or the end of a cell.
    #[must_use]
    pub fn charter(&self) -> Option<(CellId, Point)> {
        match self.fact() {
            Fact::Genesis(founding) => Some((founding.birth().cell(), Point::default())),
            Fact::Recovery(recovery) => Some((recovery.cell, recovery.point())),
            Fact::Decision(decision) => match &decision.value.content {
                Content::Configuration(_) | Content::Split(_) | Content::MergeInto(_) => {
                    Some((decision.value.cell, decision.value.point()))
                }
                Content::Placement(_) | Content::Takeover(_) | Content::Retirement(_) | Content::Absorb(_) => None,
            },
            Fact::Member(_)
            | Fact::Record(_)
            | Fact::Accusation(_)
            | Fact::Rollup(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_)
            | Fact::Revocation(_) => None,
        }
    }

    /// The cell, where the fact is a genesis, a decided voter set, a recovery, or the end of a cell.
    pub(crate) fn chartered(&self) -> Option<&CellId> {
        self.key().chartered()
    }

    /// The voters that the fact gives a cell, and the place after which. A split gives voters to the cells that it makes.
    #[must_use]
    pub fn voters_of(&self, cell: &CellId) -> Option<(Point, &Configuration)> {
        match self.fact() {
            Fact::Genesis(founding) => {
                Some((Point::default(), founding.voters())).filter(|_| founding.birth().cell() == *cell)
            }
            Fact::Recovery(recovery) => Some((recovery.point(), &recovery.voters)).filter(|_| recovery.cell == *cell),
            Fact::Decision(decision) => match &decision.value.content {
                Content::Configuration(next) => {
                    Some((decision.value.point(), next)).filter(|_| decision.value.cell == *cell)
                }
                Content::Split(split) => {
                    let children = decision.succession().into_iter().flat_map(Succession::cells);
                    let place = children.zip(&split.halves).find(|(child, _)| child == cell);
                    place.map(|(_, half)| (Point::default(), &half.voters))
                }
                Content::Placement(_)
                | Content::Takeover(_)
                | Content::Retirement(_)
                | Content::Absorb(_)
                | Content::MergeInto(_) => None,
            },
            Fact::Member(_)
            | Fact::Record(_)
            | Fact::Accusation(_)
            | Fact::Rollup(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_)
            | Fact::Revocation(_) => None,
        }
    }

    /// What takes the place of the cell whose end the fact is.
    #[must_use]
    pub fn succession(&self) -> Option<Succession<'_>> {
        self.decided()?.succession()
    }

    /// Whether what the fact says, or what it follows, never counted by that recovery.
    pub(crate) fn is_undone_by(&self, recovery: &VerifiedRecovery) -> bool {
        let undone = |(cell, point): (CellId, Point)| cell == recovery.cell && recovery.undoes(point);
        self.charters().any(|fact| fact.charter().is_some_and(undone))
    }

    /// This fact and those before it, back to the genesis.
    pub(crate) fn charters(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |fact| fact.prior())
    }
}
