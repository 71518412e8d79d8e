//! The facts that this node knows, scope by scope. Geneses and voter sets are kept by the roster alone, which leads to them
//! from the latest of each cell; their summary is kept here.

use super::shelf::{Adoption, Buckets, Shelf, bucket};
use crate::defect::{Defects, Sound};
use crate::fact::{FactKey, Scope, VerifiedFact};
use crate::placement::Deployment;
use crate::roster::{CELLS_MAX, Roster};
use crate::wire::SUMMARY_BUCKETS;
use hedgerow_attest::id::CellId;

/// Policies that are kept: tables speak of the one under which they were made.
const POLICIES_MAX: usize = 64;

/// Deployments that are kept.
const DEPLOYMENTS_MAX: usize = 256;

/// Certificates of members that may found cells: an issuer per region at most, and few are.
const ISSUERS_MAX: usize = 256;

/// Mergers, one for every cell that ended in another. Those that came to their end are kept too: a voter that restarts knows
/// the head of its register by them.
const ABSORBS_MAX: usize = CELLS_MAX;

/// Nodes that are out, of each kind of revocation: a mesh forgets none.
const REVOCATIONS_MAX: usize = 4096;

/// Facts of one cell: certificate, record and accusation of each member of a region of one cell, and a placement.
const CELL_FACTS_MAX: usize = 3 * 4096;

/// Facts of nodes whose cell is not known, or not kept.
const STRAYS_MAX: usize = 512;

/// Where a fact is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// With its scope.
    Scope(Scope),
    /// For as long as it is not known where it belongs, or as its author is linked: nobody compares it.
    Stray,
    /// Not at all.
    Elsewhere,
}

/// One fact per key and scope.
#[derive(Debug)]
pub(crate) struct FactStore<D = Sound> {
    defects: D,
    mesh: Shelf<D>,
    charters: Buckets,
    directory: Shelf<D>,
    /// Of the cells whose detail is kept: the own one and a few others.
    cells: Vec<(CellId, Shelf<D>)>,
    strays: Shelf<D>,
}

impl<D: Defects> FactStore<D> {
    pub(crate) fn new(defects: D) -> Self {
        let shelf = || Shelf::new(defects);
        let (charters, cells) = (Buckets::default(), Vec::new());
        Self { defects, mesh: shelf(), charters, directory: shelf(), cells, strays: shelf() }
    }

    /// Whether the mesh holds as many facts of that kind as it may.
    pub(crate) fn is_full(&self, key: &FactKey) -> bool {
        self.mesh_room(key) == 0
    }

    /// Keeps the fact if its version is higher than that of the known one.
    pub(crate) fn adopt(&mut self, keeping: Keeping, fact: VerifiedFact) -> Adoption {
        match keeping {
            Keeping::Scope(Scope::Mesh) => {
                let most = self.mesh_room(fact.key());
                self.mesh.adopt(fact, most)
            }
            Keeping::Scope(Scope::Directory) => self.directory.adopt(fact, CELLS_MAX),
            Keeping::Scope(Scope::Cell(cell)) => match self.cell_mut(&cell) {
                Some(shelf) => shelf.adopt(fact, CELL_FACTS_MAX),
                None => Adoption::Elsewhere,
            },
            Keeping::Stray => self.strays.adopt(fact, STRAYS_MAX),
            Keeping::Elsewhere => Adoption::Elsewhere,
        }
    }

    /// The roster took in a genesis, a voter set, a recovery or the end of a cell, or forgot it again.
    pub(crate) fn chartered(&mut self, fact: &VerifiedFact) {
        self.charters.toggle(fact, self.defects);
    }

    /// Detail of that cell is kept from here on.
    pub(crate) fn keep(&mut self, cell: CellId) {
        if !self.keeps(&cell) {
            // Most nodes keep one.
            self.cells.reserve_exact(1);
            self.cells.push((cell, Shelf::new(self.defects)));
        }
    }

    /// Gives up the detail of a cell.
    pub(crate) fn drop_cell(&mut self, cell: &CellId) -> Vec<VerifiedFact> {
        let gone = self.cells.extract_if(.., |(known, _)| known == cell);
        gone.flat_map(|(_, mut shelf)| shelf.take(|_| true)).collect()
    }

    /// Gives up some of a cell.
    pub(crate) fn take_of_cell(&mut self, cell: &CellId, leaves: impl Fn(&VerifiedFact) -> bool) -> Vec<VerifiedFact> {
        self.cell_mut(cell).map(|shelf| shelf.take(leaves)).unwrap_or_default()
    }

    /// Gives up strays.
    pub(crate) fn take_strays(&mut self, leaves: impl Fn(&VerifiedFact) -> bool) -> Vec<VerifiedFact> {
        self.strays.take(leaves)
    }

    /// The facts of a cell whose detail is kept.
    pub(crate) fn of_cell(&self, cell: &CellId) -> impl Iterator<Item = &VerifiedFact> {
        self.shelf(Scope::Cell(*cell)).into_iter().flat_map(Shelf::iter)
    }

    pub(crate) fn remove(&mut self, key: &FactKey) -> bool {
        self.shelves_mut().any(|shelf| shelf.remove(key))
    }

    pub(crate) fn keeps(&self, cell: &CellId) -> bool {
        self.cells.iter().any(|(known, _)| known == cell)
    }

    /// The cells whose detail is kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = CellId> + '_ {
        self.cells.iter().map(|(cell, _)| *cell)
    }

    /// A fact that is neither a genesis nor a voter set.
    pub(crate) fn get(&self, key: &FactKey) -> Option<&VerifiedFact> {
        self.shelves().find_map(|shelf| shelf.get(key))
    }

    /// All but geneses and voter sets, scope by scope.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &VerifiedFact> {
        self.shelves().flat_map(Shelf::iter)
    }

    /// The deployments that publishers want.
    pub(crate) fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.mesh.iter().filter_map(VerifiedFact::deployed)
    }

    /// The last rollup of a cell.
    pub(crate) fn rollup(&self, cell: &CellId) -> Option<&VerifiedFact> {
        self.directory.get(&FactKey::Rollup(*cell))
    }

    /// The rollups of all cells, in an order of cells that is the same on every node.
    pub(crate) fn rollups(&self) -> impl ExactSizeIterator<Item = &VerifiedFact> {
        self.directory.iter()
    }

    /// One hash per bucket; nothing for a scope that is not kept.
    pub(crate) fn summary(&self, scope: Scope) -> Option<Buckets> {
        let shelf = self.shelf(scope)?.buckets();
        Some(if scope == Scope::Mesh { shelf.and(&self.charters) } else { *shelf })
    }

    /// A hash over the charges against members of that cell.
    pub(crate) fn charges(&self, cell: &CellId) -> u64 {
        self.shelf(Scope::Cell(*cell)).map_or(0, Shelf::charges)
    }

    /// The facts of a scope in these buckets, geneses and voter sets included, by the hashes of their keys.
    pub(crate) fn listed<'a>(&'a self, scope: Scope, mask: u16, roster: &'a Roster) -> Vec<&'a VerifiedFact> {
        let charters = (scope == Scope::Mesh).then(|| roster.charters()).into_iter().flatten();
        let all = self.shelf(scope).into_iter().flat_map(Shelf::iter).chain(charters);
        let mut listed: Vec<&VerifiedFact> = all.filter(|fact| mask >> bucket(fact.hash()) & 1 == 1).collect();
        listed.sort_by_key(|fact| fact.hash());
        listed
    }

    /// The facts of a scope with these hashes of keys.
    pub(crate) fn by_hashes<'a>(&'a self, scope: Scope, hashes: &[u64], roster: &'a Roster) -> Vec<&'a VerifiedFact> {
        let shelf = self.shelf(scope);
        let mut found: Vec<&VerifiedFact> =
            hashes.iter().filter_map(|hash| shelf.and_then(|shelf| shelf.by_hash(*hash))).collect();
        if scope == Scope::Mesh && found.len() < hashes.len() {
            found.extend(roster.charters().filter(|fact| hashes.contains(&fact.hash())));
        }
        found
    }

    /// For the audit of a replay: everything that is kept, in hashes.
    pub(crate) fn digest(&self, hasher: &mut blake3::Hasher) {
        let buckets = self.shelves().map(Shelf::buckets).chain([&self.charters]);
        for hash in buckets.flat_map(|Buckets(hashes): &Buckets| -> &[u64; SUMMARY_BUCKETS] { hashes }) {
            hasher.update(&hash.to_be_bytes());
        }
    }

    fn shelf(&self, scope: Scope) -> Option<&Shelf<D>> {
        match scope {
            Scope::Mesh => Some(&self.mesh),
            Scope::Directory => Some(&self.directory),
            Scope::Cell(cell) => self.cells.iter().find(|(known, _)| *known == cell).map(|(_, shelf)| shelf),
        }
    }

    fn cell_mut(&mut self, cell: &CellId) -> Option<&mut Shelf<D>> {
        self.cells.iter_mut().find(|(known, _)| known == cell).map(|(_, shelf)| shelf)
    }

    /// The cells first: most questions are about members.
    fn shelves(&self) -> impl Iterator<Item = &Shelf<D>> {
        self.cells.iter().map(|(_, shelf)| shelf).chain([&self.mesh, &self.strays, &self.directory])
    }

    fn shelves_mut(&mut self) -> impl Iterator<Item = &mut Shelf<D>> {
        let cells = self.cells.iter_mut().map(|(_, shelf)| shelf);
        cells.chain([&mut self.mesh, &mut self.strays, &mut self.directory])
    }

    /// How many facts the shelf of the mesh may hold so that there is room for one more of that kind.
    fn mesh_room(&self, key: &FactKey) -> usize {
        let kind = std::mem::discriminant(key);
        let most = match key {
            FactKey::Policy(_) | FactKey::PolicyChild(..) => POLICIES_MAX,
            FactKey::Deployment(_) => DEPLOYMENTS_MAX,
            FactKey::Absorb(..) => ABSORBS_MAX,
            FactKey::Revocation(_) | FactKey::Withdrawal(..) => REVOCATIONS_MAX,
            FactKey::Member(_)
            | FactKey::Genesis(_)
            | FactKey::Configuration(..)
            | FactKey::Record(_)
            | FactKey::Accusation(_)
            | FactKey::Placement(..)
            | FactKey::Retirement(_)
            | FactKey::End(_)
            | FactKey::Recovery(..)
            | FactKey::Rollup(_)
            | FactKey::NodeClasses => ISSUERS_MAX,
        };
        let of_kind = self.mesh.iter().filter(|fact| std::mem::discriminant(fact.key()) == kind).count();
        if of_kind < most { usize::MAX } else { 0 }
    }
}
