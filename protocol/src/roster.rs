//! Who belongs to the mesh and who votes in its cells: everything that signatures are checked against.

use crate::defect::Defects;
use crate::fact::{Fact, VerifiedFact};
use crate::id::{ConfigEpoch, Slot};
use crate::register::{Configuration, Waiver};
use crate::sorted::insert_at;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::region::Region;

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
    /// The latest known voter set of each cell, else its genesis, by cell. Each leads to those before it.
    charters: Vec<VerifiedFact>,
    waiver: Waiver,
}

/// The birth of one cell and its voter sets since.
#[derive(Debug, Clone, Copy)]
pub struct CellBook<'a>(&'a VerifiedFact);

impl Roster {
    /// An empty roster by which certificates are judged without the rules that these defects leave out.
    pub(crate) fn waiving<D: Defects>(defects: D) -> Self {
        Self { waiver: Waiver::of(defects), ..Self::default() }
    }

    /// Takes a member in, unless a certificate that supersedes this one is known. True when anything changed.
    pub fn admit(&mut self, member: &Member) -> bool {
        match self.place_of(&member.node()) {
            Ok(known) => self.members.get_mut(known).is_some_and(|known| {
                let supersedes = member.supersedes(known);
                if supersedes {
                    known.clone_from(member);
                }
                supersedes
            }),
            Err(_) if self.members.len() >= MEMBERS_MAX => false,
            Err(place) => {
                insert_at(&mut self.members, place, member.clone());
                true
            }
        }
    }

    /// Forgets a member.
    pub fn dismiss(&mut self, node: &NodeId) {
        if let Ok(place) = self.place_of(node) {
            self.members.remove(place);
        }
    }

    /// Takes in the birth of a cell, or a decided voter set that follows those known. True when anything changed.
    pub fn charter(&mut self, fact: &VerifiedFact) -> bool {
        let Some((cell, slot, _)) = fact.charter() else { return false };
        match self.charter_place(&cell) {
            Ok(place) => self.charters.get_mut(place).is_some_and(|latest| {
                let later = latest.charter().is_some_and(|(_, known, _)| slot > known);
                if later {
                    latest.clone_from(fact);
                }
                later
            }),
            Err(place) if slot == Slot(0) && self.charters.len() < CELLS_MAX => {
                insert_at(&mut self.charters, place, fact.clone());
                true
            }
            Err(_) => false,
        }
    }

    /// Whether a genesis or a voter set says more than is known.
    #[must_use]
    pub fn is_news(&self, fact: &VerifiedFact) -> bool {
        let Some((cell, slot, _)) = fact.charter() else { return false };
        let known = self.latest_charter(&cell).and_then(VerifiedFact::charter);
        known.is_none_or(|(_, known, _)| slot > known)
    }

    /// Takes in whatever of a fact signatures are checked against. True when anything changed.
    pub(crate) fn learn(&mut self, fact: &VerifiedFact) -> bool {
        if let Fact::Member(member) = fact.fact() { self.admit(member) } else { self.charter(fact) }
    }

    /// The member with this identity.
    #[must_use]
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.members.get(self.place_of(node).ok()?)
    }

    /// All members, by node.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.iter()
    }

    /// Whose transport key that is. Looks at all members; handshakes are rare.
    #[must_use]
    pub fn node_of(&self, peer: &PeerId) -> Option<NodeId> {
        self.members.iter().find(|member| member.peer() == *peer).map(Member::node)
    }

    /// The key with which the node signs its statements.
    #[must_use]
    pub fn statement_key(&self, node: &NodeId) -> Option<PublicKey> {
        self.member(node).map(|member| *member.statement())
    }

    /// What is known of the cell's voters.
    #[must_use]
    pub fn cell(&self, cell: &CellId) -> Option<CellBook<'_>> {
        self.latest_charter(cell).map(CellBook)
    }

    /// The known cells, by id.
    pub fn cells(&self) -> impl Iterator<Item = (CellId, CellBook<'_>)> {
        self.charters.iter().map(|fact| (cell_of(fact), CellBook(fact)))
    }

    /// How many cells are known.
    #[must_use]
    pub fn cell_count(&self) -> usize {
        self.charters.len()
    }

    /// The cell of a region. An issuer that signed two births is at fault; then all nodes choose the lower id.
    #[must_use]
    pub fn cell_of(&self, region: &Region) -> Option<CellId> {
        self.cells().find(|(_, book)| book.region() == region).map(|(cell, _)| cell)
    }

    /// The voters whose quorum decides that slot, as far as is known.
    #[must_use]
    pub fn voters_at(&self, cell: &CellId, slot: Slot) -> Option<&Configuration> {
        self.charter_before(cell, slot)?.charter().map(|(_, _, voters)| voters)
    }

    /// The genesis or the voter set that is in force at that slot.
    pub(crate) fn charter_before(&self, cell: &CellId, slot: Slot) -> Option<&VerifiedFact> {
        let decided = |fact: &&VerifiedFact| fact.charter().is_some_and(|(_, at, _)| at < slot.max(Slot(1)));
        self.latest_charter(cell)?.charters().find(decided)
    }

    /// The genesis or the latest known voter set of the cell.
    pub(crate) fn latest_charter(&self, cell: &CellId) -> Option<&VerifiedFact> {
        self.charters.get(self.charter_place(cell).ok()?)
    }

    /// Every genesis and every voter set.
    pub(crate) fn charters(&self) -> impl Iterator<Item = &VerifiedFact> {
        self.charters.iter().flat_map(VerifiedFact::charters)
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

    fn place_of(&self, node: &NodeId) -> Result<usize, usize> {
        self.members.binary_search_by_key(node, Member::node)
    }

    fn charter_place(&self, cell: &CellId) -> Result<usize, usize> {
        self.charters.binary_search_by_key(cell, cell_of)
    }
}

impl<'a> CellBook<'a> {
    /// The region in which the cell lies.
    #[must_use]
    pub fn region(self) -> &'a Region {
        match self.genesis().fact() {
            Fact::Genesis(founding) => founding.region(),
            Fact::Member(_)
            | Fact::Record(_)
            | Fact::Accusation(_)
            | Fact::Rollup(_)
            | Fact::Policy(..)
            | Fact::Deployment(_)
            | Fact::NodeClasses(_)
            | Fact::Decision(_) => unreachable!("every chain of voter sets begins with a genesis"),
        }
    }

    /// The voter set of the genesis.
    #[must_use]
    pub fn birth(self) -> &'a Configuration {
        voters(self.genesis())
    }

    /// The latest known voter set.
    #[must_use]
    pub fn latest(self) -> &'a Configuration {
        voters(self.0)
    }

    /// The voter set of that epoch.
    #[must_use]
    pub fn configuration(self, epoch: ConfigEpoch) -> Option<&'a Configuration> {
        self.0.charters().map(voters).find(|configuration| configuration.epoch == epoch)
    }

    fn genesis(self) -> &'a VerifiedFact {
        self.0.charters().last().expect("a chain has at least the fact that it starts from")
    }
}

fn cell_of(fact: &VerifiedFact) -> CellId {
    fact.charter().map(|(cell, _, _)| cell).expect("a roster keeps geneses and voter sets here")
}

fn voters(fact: &VerifiedFact) -> &Configuration {
    fact.charter().map(|(_, _, voters)| voters).expect("a chain consists of geneses and voter sets")
}
