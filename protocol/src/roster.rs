//! Who belongs to the mesh and who votes in its cells: everything that signatures are checked against.

use crate::defect::Defects;
use crate::fact::Fact;
use crate::id::{ConfigEpoch, Slot};
use crate::register::{Configuration, Content, VerifiedDecision, Voter, Waiver};
use hedgerow_attest::genesis::Birth;
use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_attest::key::PublicKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::peer_id::PeerId;
use hedgerow_attest::region::Region;
use std::collections::BTreeMap;

/// Members that a roster holds; a mesh of more cells than fit keeps detail of other cells in rollups only.
pub const MEMBERS_MAX: usize = 16 * 1024;

/// Verified members by node and by peer, and the voters of every known cell.
///
/// Cheap to clone: certificates are shared.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    members: BTreeMap<NodeId, Member>,
    peers: BTreeMap<PeerId, NodeId>,
    cells: BTreeMap<CellId, CellBook>,
    waiver: Waiver,
}

/// The birth of one cell and its voter sets since.
#[derive(Debug, Clone)]
pub struct CellBook {
    region: Region,
    /// Voter sets by the slot that decided them; each is in force from the next slot on.
    configurations: BTreeMap<Slot, Configuration>,
}

impl Roster {
    /// An empty roster by which certificates are judged without the rules that these defects leave out.
    pub(crate) fn waiving<D: Defects>(defects: D) -> Self {
        Self { waiver: Waiver::of(defects), ..Self::default() }
    }

    /// Takes a member in, unless a certificate that supersedes this one is known. True when anything changed.
    pub fn admit(&mut self, member: &Member) -> bool {
        let known = self.members.get(&member.node());
        let room = known.is_some() || self.members.len() < MEMBERS_MAX;
        if !room || known.is_some_and(|known| !member.supersedes(known)) {
            return false;
        }
        if let Some(former) = self.members.insert(member.node(), member.clone()) {
            self.peers.remove(&former.peer());
        }
        self.peers.insert(member.peer(), member.node());
        true
    }

    /// Forgets a member.
    pub fn dismiss(&mut self, node: &NodeId) {
        if let Some(member) = self.members.remove(node) {
            self.peers.remove(&member.peer());
        }
    }

    /// Takes in the birth of a cell. True when it was not known.
    pub fn found(&mut self, birth: &Birth) -> bool {
        let (cell, genesis) = (birth.cell(), birth.genesis());
        if self.cells.contains_key(&cell) {
            return false;
        }
        let sole = Voter { node: genesis.voter, key: genesis.voter_statement };
        let birth = Configuration::majority(ConfigEpoch(1), vec![sole]);
        let configurations = BTreeMap::from([(Slot(0), birth)]);
        self.cells.insert(cell, CellBook { region: genesis.region.clone(), configurations });
        true
    }

    /// Takes in a decided voter set. True when it was not known.
    pub fn configure(&mut self, decision: &VerifiedDecision) -> bool {
        let Content::Configuration(next) = &decision.value.content else { return false };
        let Some(book) = self.cells.get_mut(&decision.value.cell) else { return false };
        book.configurations.insert(decision.value.slot, next.clone()).as_ref() != Some(next)
    }

    /// Takes in whatever of a fact signatures are checked against. True when anything changed.
    pub(crate) fn learn(&mut self, fact: &Fact) -> bool {
        match fact {
            Fact::Member(member) => self.admit(member),
            Fact::Genesis(birth) => self.found(birth),
            Fact::Decision(decision) => self.configure(decision),
            Fact::Record(_) | Fact::Accusation(_) | Fact::Rollup(_) | Fact::Policy(..) | Fact::Deployment(_) => false,
        }
    }

    /// The member with this identity.
    #[must_use]
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.members.get(node)
    }

    /// All members, by node.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Whose transport key that is.
    #[must_use]
    pub fn node_of(&self, peer: &PeerId) -> Option<NodeId> {
        self.peers.get(peer).copied()
    }

    /// The key with which the node signs its statements.
    #[must_use]
    pub fn statement_key(&self, node: &NodeId) -> Option<PublicKey> {
        self.members.get(node).map(|member| *member.statement())
    }

    /// What is known of the cell's voters.
    #[must_use]
    pub fn cell(&self, cell: &CellId) -> Option<&CellBook> {
        self.cells.get(cell)
    }

    /// The known cells, by id.
    pub fn cells(&self) -> impl Iterator<Item = (&CellId, &CellBook)> {
        self.cells.iter()
    }

    /// The cell of a region. An issuer that signed two births is at fault; then all nodes choose the lower id.
    #[must_use]
    pub fn cell_of(&self, region: &Region) -> Option<CellId> {
        self.cells.iter().find(|(_, book)| book.region() == region).map(|(cell, _)| *cell)
    }

    /// The voters whose quorum decides that slot, as far as is known.
    #[must_use]
    pub fn voters_at(&self, cell: &CellId, slot: Slot) -> Option<&Configuration> {
        let before = ..slot.max(Slot(1));
        self.cells.get(cell)?.configurations.range(before).next_back().map(|(_, configuration)| configuration)
    }

    /// Which rules of certificates are left out: none, but in a simulation.
    pub(crate) fn waiver(&self) -> Waiver {
        self.waiver
    }

    /// The key with which a voter of that cell signs: the one that its latest voter set names, else that of its certificate.
    #[must_use]
    pub fn voter_key(&self, cell: &CellId, node: &NodeId) -> Option<PublicKey> {
        let named = self.cells.get(cell).and_then(|book| book.latest().key_of(node));
        named.or_else(|| self.statement_key(node))
    }
}

impl CellBook {
    /// The region in which the cell lies.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The voter set of the genesis.
    #[must_use]
    pub fn birth(&self) -> &Configuration {
        self.configurations.values().next().expect("a book opens with the voter set of the genesis")
    }

    /// The latest known voter set.
    #[must_use]
    pub fn latest(&self) -> &Configuration {
        self.configurations.values().next_back().expect("a book opens with the voter set of the genesis")
    }

    /// The voter set of that epoch.
    #[must_use]
    pub fn configuration(&self, epoch: ConfigEpoch) -> Option<&Configuration> {
        self.configurations.values().find(|configuration| configuration.epoch == epoch)
    }
}
