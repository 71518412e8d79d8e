//! Who belongs to the mesh and who votes in its cells: everything that signatures are checked against.

mod members;
mod recoveries;
mod revocations;

use crate::charters::{Charters, is_end_of, own_charters};
use crate::defect::Defects;
use crate::fact::{Fact, Founding, VerifiedFact};
use crate::id::ConfigEpoch;
use crate::register::{Configuration, Head, Point, Succession, VerifiedRecovery, Waiver};
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::region::Region;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use recoveries::Basis;
use revocations::Revocations;

/// Members that a roster holds; a mesh of more cells than fit keeps detail of other cells in rollups only.
pub const MEMBERS_MAX: usize = 16 * 1024;

/// Cells that a roster holds.
pub const CELLS_MAX: usize = 16 * 1024;

/// Verified members and the voters of every known cell.
///
/// Small and cheap to clone: it holds certificates and geneses and voter sets by reference, all rosters of a process the same
/// ones.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// By node.
    members: Vec<Member>,
    /// Who was a member and is none, where what it signed counts on.
    former: Arc<BTreeMap<NodeId, Member>>,
    revocations: Arc<Revocations>,
    /// Shared with the copies by which messages are verified, which hardly ever learn of a cell.
    charters: Arc<Charters>,
    waiver: Waiver,
}

/// The birth of one cell and its voter sets since.
#[derive(Debug, Clone, Copy)]
pub struct CellBook<'a> {
    cell: CellId,
    last: &'a VerifiedFact,
}

impl Roster {
    /// An empty roster by which certificates are judged without the rules that these defects leave out.
    pub(crate) fn waiving<D: Defects>(defects: D) -> Self {
        Self { waiver: Waiver::of(defects), ..Self::default() }
    }

    /// Takes in the birth of a cell, a decided voter set that follows those known, a recovery, or the end of a cell. True when
    /// anything changed.
    pub fn charter(&mut self, fact: &VerifiedFact) -> bool {
        let Some((cell, _)) = fact.charter().filter(|_| self.is_news(fact)) else { return false };
        let children: Vec<CellId> = match fact.succession() {
            Some(Succession::Split(children, _)) => children.to_vec(),
            Some(Succession::Merged(_)) | None => Vec::new(),
        };
        let added = children.len() + usize::from(self.latest_charter(&cell).is_none());
        if self.charters.len() + added > CELLS_MAX {
            return false;
        }
        let charters = Arc::make_mut(&mut self.charters);
        if let Some(recovery) = fact.recovered() {
            charters.undo(recovery);
        }
        charters.insert(&cell, &children, fact);
        true
    }

    /// Whether a genesis, a voter set, a recovery or the end of a cell says more than is known. Of two recoveries in one
    /// generation the first to come is followed.
    #[must_use]
    pub fn is_news(&self, fact: &VerifiedFact) -> bool {
        let Some((cell, point)) = fact.charter() else { return false };
        // A cell that came of a split begins with the end of another, which says nothing of slots of its own.
        let own = |known: &VerifiedFact| known.charter().filter(|(of, _)| *of == cell).map(|(_, known)| known);
        match self.latest_charter(&cell).map(|known| own(known).unwrap_or_default()) {
            Some(known) if fact.recovered().is_some() => point.generation > known.generation,
            Some(known) => point > known,
            None => point == Point::default(),
        }
    }

    /// Whether [`Self::learn`] would change anything.
    pub(crate) fn is_lesson(&self, fact: &VerifiedFact) -> bool {
        if let Fact::Member(member) = fact.fact() {
            self.author(&member.node()).is_none_or(|known| member.supersedes(known))
        } else if let Fact::Revocation(_) = fact.fact() {
            self.is_revocation_news(fact)
        } else {
            self.is_news(fact)
        }
    }

    /// Takes in whatever of a fact signatures are checked against. True when anything changed.
    pub(crate) fn learn(&mut self, fact: &VerifiedFact) -> bool {
        if let Fact::Member(member) = fact.fact() {
            self.admit(member)
        } else if let Fact::Revocation(_) = fact.fact() {
            let is_news = self.is_revocation_news(fact);
            self.revoke(fact);
            is_news
        } else {
            self.charter(fact)
        }
    }

    /// What is known of the cell's voters.
    #[must_use]
    pub fn cell(&self, cell: &CellId) -> Option<CellBook<'_>> {
        self.latest_charter(cell).map(|last| CellBook { cell: *cell, last })
    }

    /// The known cells that have not ended, by id.
    pub fn cells(&self) -> impl Iterator<Item = (CellId, CellBook<'_>)> {
        let living = self.charters.iter().filter(|(cell, last)| !is_end_of(cell, last));
        living.map(|(cell, last)| (cell, CellBook { cell, last }))
    }

    /// How many known cells have not ended.
    #[must_use]
    pub fn cell_count(&self) -> usize {
        self.charters.living()
    }

    /// The cell with which a region began, ended or not. An issuer that signed two births is at fault; then all nodes choose
    /// the lower id.
    #[must_use]
    pub fn birth_of(&self, region: &Region) -> Option<CellId> {
        self.births_of(region).next()
    }

    /// The cells of every birth that was signed for a region.
    pub(crate) fn births_of<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = CellId> + 'a {
        self.charters.births_of(region)
    }

    /// The cells into which a region is divided, by id.
    #[must_use]
    pub fn cells_of(&self, region: &Region) -> Vec<CellId> {
        self.birth_of(region).map(|birth| self.living_after(birth)).unwrap_or_default()
    }

    /// The known cells to which a cell leads, or itself where it has not ended.
    pub(crate) fn living_after(&self, from: CellId) -> Vec<CellId> {
        let mut open = vec![from];
        let (mut seen, mut living) = (BTreeSet::new(), Vec::new());
        while let Some(cell) = open.pop() {
            seen.insert(cell);
            match self.succession_of(&cell) {
                Some(succession) => open.extend(succession.cells().filter(|next| !seen.contains(next))),
                None if self.cell(&cell).is_some() => living.push(cell),
                None => {}
            }
        }
        living.sort_unstable();
        living.dedup();
        living
    }

    /// The cell to which a member of that region belongs. It follows from what ended cells say and from the member's name, so
    /// that all nodes agree on it without asking the member.
    #[must_use]
    pub fn cell_of(&self, region: &Region, node: &NodeId) -> Option<CellId> {
        self.cell_of_member(&self.birth_of(region)?, node)
    }

    /// The same, where the first cell of the region is known.
    pub(crate) fn cell_of_member(&self, birth: &CellId, node: &NodeId) -> Option<CellId> {
        self.descend(*birth, |succession| succession.of_member(node))
    }

    /// Whether something that belonged to one cell may belong to the other by now.
    pub(crate) fn leads_to(&self, from: &CellId, to: &CellId) -> bool {
        self.living_after(*from).contains(to)
    }

    /// The fact with which the cell ended.
    #[must_use]
    pub fn end_of(&self, cell: &CellId) -> Option<&VerifiedFact> {
        self.latest_charter(cell).filter(|last| is_end_of(cell, last))
    }

    /// What took the place of a cell that ended.
    #[must_use]
    pub fn succession_of(&self, cell: &CellId) -> Option<Succession<'_>> {
        self.end_of(cell)?.succession()
    }

    /// The cell by whose split a cell began.
    pub(crate) fn parent_of(&self, cell: &CellId) -> Option<CellId> {
        let charters = self.latest_charter(cell)?.charters().filter_map(VerifiedFact::charter);
        charters.map(|(of, _)| of).find(|of| of != cell)
    }

    /// How many known cells have ended.
    pub(crate) fn ended(&self) -> usize {
        self.charters.len() - self.charters.living()
    }

    /// The known cells that ended, and what took their place.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (CellId, Succession<'_>)> {
        let ended = self.charters.iter().filter(|(cell, last)| is_end_of(cell, last));
        ended.filter_map(|(cell, last)| Some((cell, last.succession()?)))
    }

    /// The known cell that has not ended to which these steps lead. Sound voters never make a circle; others get nowhere.
    fn descend(&self, from: CellId, step: impl Fn(&Succession<'_>) -> CellId) -> Option<CellId> {
        let mut cell = from;
        for _ in 0..=self.charters.len() {
            match self.succession_of(&cell) {
                Some(succession) => cell = step(&succession),
                None => return self.cell(&cell).map(|_known| cell),
            }
        }
        None
    }

    /// The voters whose quorum decides what comes there, as far as is known.
    #[must_use]
    pub fn voters_at(&self, cell: &CellId, place: Point) -> Option<&Configuration> {
        self.charter_before(cell, place)?.voters_of(cell).map(|(_, voters)| voters)
    }

    /// What put the voters in force who decide what comes there.
    pub(crate) fn charter_before(&self, cell: &CellId, place: Point) -> Option<&VerifiedFact> {
        let begins = Point::default();
        let decided = |fact: &&VerifiedFact| fact.voters_of(cell).is_some_and(|(at, _)| at < place || at == begins);
        self.latest_charter(cell)?.charters().find(decided)
    }

    /// The last that is known of the cell's voters, or its end.
    pub(crate) fn latest_charter(&self, cell: &CellId) -> Option<&VerifiedFact> {
        self.charters.last_of(cell)
    }

    /// Every genesis, every voter set, every recovery and every end of a cell.
    pub(crate) fn charters(&self) -> impl Iterator<Item = &VerifiedFact> {
        self.charters.iter().flat_map(|(cell, last)| own_charters(cell, last))
    }

    /// Those of one cell, the last first.
    pub(crate) fn charters_of(&self, cell: &CellId) -> impl Iterator<Item = &VerifiedFact> {
        self.latest_charter(cell).into_iter().flat_map(|last| own_charters(*cell, last))
    }

    /// Which rules of certificates are left out: none, but in a simulation.
    pub(crate) fn waiver(&self) -> Waiver {
        self.waiver
    }

    /// The key with which a voter of that cell signs: the one that its latest voter set names, else that of its certificate.
    #[must_use]
    pub fn voter_key(&self, cell: &CellId, node: &NodeId) -> Option<PublicKey> {
        let named = self.cell(cell).and_then(|book| book.latest().key_of(node));
        named.or_else(|| self.statement_key(node))
    }
}

impl<'a> CellBook<'a> {
    /// The region in which the cell lies.
    #[must_use]
    pub fn region(self) -> &'a Region {
        self.genesis().founding().map(Founding::region).expect("every chain of voter sets begins with a genesis")
    }

    /// The cell with which its region began.
    #[must_use]
    pub fn origin(self) -> CellId {
        self.genesis().charter().map(|(cell, _)| cell).expect("a chain begins with a genesis")
    }

    /// The voter set with which its present generation began, and the head of the register that nothing was decided in since.
    #[must_use]
    pub fn beginning(self) -> (&'a Configuration, Head) {
        match self.recovery() {
            Some(recovery) => (&recovery.voters, recovery.head()),
            None => (self.voters().last().expect("every cell begins with voters"), Head::genesis(self.cell)),
        }
    }

    /// The last recovery of the cell.
    #[must_use]
    pub fn recovery(self) -> Option<&'a VerifiedRecovery> {
        own_charters(self.cell, self.last).find_map(VerifiedFact::recovered)
    }

    /// The latest known voter set.
    #[must_use]
    pub fn latest(self) -> &'a Configuration {
        self.voters().next().expect("every cell begins with voters")
    }

    /// The voter set of that epoch.
    #[must_use]
    pub fn configuration(self, epoch: ConfigEpoch) -> Option<&'a Configuration> {
        self.voters().find(|configuration| configuration.epoch == epoch)
    }

    fn voters(self) -> impl Iterator<Item = &'a Configuration> {
        self.last.charters().filter_map(move |fact| fact.voters_of(&self.cell)).map(|(_, voters)| voters)
    }

    fn genesis(self) -> &'a VerifiedFact {
        self.last.charters().last().expect("a chain has at least the fact that it starts from")
    }
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
