//! What the sessions of each simulated node know of placements, and what there is to know.

use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_protocol::core::MeshCore;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::id::PlacementEpoch;
use hedgerow_protocol::placement::{Holdings, Lineage, Settled, Tenure, Transition, tenure};
use hedgerow_protocol::session_id::GroupId;
use hedgerow_protocol::view::PlacementView;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A placement, by the cell that decided it and its number.
pub(super) type Placed = (CellId, PlacementEpoch);

/// What a core shows of what it follows: how many cells ended, and of each cell the last placement, the last that is retired and
/// how many between them are known.
type Mark = (usize, Vec<(CellId, PlacementEpoch, PlacementEpoch, usize)>);

/// What one node knows of the placements of all cells.
#[derive(Debug)]
pub(super) struct Follower<D: Defects> {
    defects: D,
    mark: Option<Mark>,
    pub(super) known: Known,
    groups: BTreeMap<GroupId, Option<Arc<Followed<D>>>>,
    /// What its process said last of each cell, and which process that was: the next one knows nothing of it.
    pub(super) said: BTreeMap<CellId, (u32, Settled)>,
}

/// What a node learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    None,
    /// More than it knew.
    More,
    /// By a recovery, something that it knew never counted.
    Undone,
}

/// Which cells ended, and the placements of all.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) lineage: Lineage,
    pub(super) placements: BTreeMap<CellId, PlacementView>,
}

/// The placements that count for one group.
#[derive(Debug)]
pub(super) struct Followed<D: Defects> {
    pub(super) transition: Transition<D>,
    /// The last one.
    pub(super) last: Placed,
    /// All of them.
    pub(super) counting: BTreeSet<Placed>,
}

impl<D: Defects> Follower<D> {
    pub(super) fn new(defects: D) -> Self {
        Self { defects, mark: None, known: Known::default(), groups: BTreeMap::new(), said: BTreeMap::new() }
    }

    /// Learns what its core follows.
    pub(super) fn follow(&mut self, core: &MeshCore<D>) -> News {
        let mark = Some(core.placement_mark());
        if self.mark == mark {
            return News::None;
        }
        self.mark = mark;
        let (lineage, placements) = core.followed_placements();
        let before = std::mem::replace(&mut self.known, Known { lineage, placements });
        self.groups.clear();
        self.said.clear();
        if self.known.undoes(&before) { News::Undone } else { News::More }
    }

    /// Looks up what counts for a group.
    pub(super) fn look_up(&mut self, group: &GroupId) {
        if !self.groups.contains_key(group) {
            let found = self.known.tenure(group).map(|tenure| Arc::new(Followed::of(&tenure, group, self.defects)));
            self.groups.insert(group.clone(), found);
        }
    }

    /// What counts for a group that was looked up.
    pub(super) fn of(&self, group: &GroupId) -> Option<&Followed<D>> {
        self.groups.get(group)?.as_deref()
    }

    /// The last placement by which the group goes.
    pub(super) fn last(&self, group: &GroupId) -> PlacementEpoch {
        self.of(group).map_or(PlacementEpoch(0), |followed| followed.last.1)
    }

    /// Who holds the group today.
    pub(super) fn holders(&self, group: &GroupId) -> &[NodeId] {
        self.of(group).map_or(&[], |followed| followed.transition.holders(&group.class, group.prefix))
    }

    /// Whether the node holds the group by a placement that counts.
    pub(super) fn counts(&self, group: &GroupId, node: &NodeId) -> bool {
        let sets = self.of(group).map(|followed| followed.transition.write_sets(&group.class, group.prefix));
        sets.into_iter().flatten().any(|set| set.contains(node))
    }
}

impl<D: Defects> Followed<D> {
    fn of(tenure: &Tenure<'_>, group: &GroupId, defects: D) -> Self {
        Self {
            transition: Transition::of_tenure(tenure, group, defects),
            last: (tenure.cell, tenure.epoch),
            counting: counting(tenure),
        }
    }
}

impl Known {
    fn tenure(&self, group: &GroupId) -> Option<Tenure<'_>> {
        tenure(&self.lineage, &self.placements, group)
    }

    /// The placements that count for a group.
    pub(super) fn counting(&self, group: &GroupId) -> BTreeSet<Placed> {
        self.tenure(group).as_ref().map(counting).unwrap_or_default()
    }

    /// Whether a recovery lies between what was known before and this: an end does not count, or tables begin afresh.
    fn undoes(&self, before: &Self) -> bool {
        let generation = |placement: &PlacementView| placement.epoch.generation();
        let begins = |(cell, placement): (&CellId, &PlacementView)| {
            before.placements.get(cell).is_some_and(|known| generation(known) < generation(placement))
        };
        before.lineage.ended().any(|cell| !self.lineage.has_ended(&cell)) || self.placements.iter().any(begins)
    }

    /// Takes in what a node knows.
    pub(super) fn merge(&mut self, other: &Self) {
        self.lineage.extend(&other.lineage);
        for (cell, theirs) in &other.placements {
            // A cell that came of a split names the one before it in each table of its own; until then it shows that one's.
            let parent = self.lineage.parent(cell);
            let is_own =
                |placement: &PlacementView| parent.is_none_or(|parent| placement.inherits.contains_key(&parent));
            match self.placements.get_mut(cell) {
                Some(mine) if is_own(mine) && is_own(theirs) => merge(mine, theirs),
                Some(mine) if is_own(mine) => {}
                Some(mine) => mine.clone_from(theirs),
                None => {
                    self.placements.insert(*cell, theirs.clone());
                }
            }
        }
    }
}

fn merge(mine: &mut PlacementView, theirs: &PlacementView) {
    let held = |placement: &PlacementView| Holdings { groups: placement.groups.clone(), ..Holdings::default() };
    let (before, formers, retired) = ((mine.epoch, held(mine)), mine.formers.clone(), mine.retired);
    if theirs.epoch > mine.epoch {
        mine.clone_from(theirs);
    }
    mine.retired = retired.max(theirs.retired);
    mine.formers
        .extend(formers.into_iter().chain(theirs.formers.clone()).chain([before, (theirs.epoch, held(theirs))]));
    let (epoch, retired) = (mine.epoch, mine.retired);
    mine.formers.retain(|known, _| *known > retired && *known < epoch);
}

fn counting(tenure: &Tenure<'_>) -> BTreeSet<Placed> {
    let formers = tenure.formers.iter().map(|former| (former.cell, former.epoch));
    formers.chain([(tenure.cell, tenure.epoch)]).collect()
}
