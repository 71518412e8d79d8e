//! What the sessions of each simulated node know of placements, and what there is to know.

use hedgerow_attest::id::{CellId, NodeId};
use hedgerow_protocol::core::MeshCore;
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::id::PlacementEpoch;
use hedgerow_protocol::placement::{Duty, Holdings, Lineage, ReplicaSet, Settled, Tenure, group_set_with, tenure};
use hedgerow_protocol::session_id::GroupId;
use hedgerow_protocol::time::Mono;
use hedgerow_protocol::view::{MeshView, PlacementView};
use std::collections::{BTreeMap, BTreeSet};

/// A placement, by the cell that decided it and its number.
pub(super) type Placed = (CellId, PlacementEpoch);

/// What one node knows of the placements of all cells, by the view of its core.
#[derive(Debug)]
pub(super) struct Follower<D: Defects> {
    defects: D,
    /// Of which view of which run of its process this is.
    version: Option<(u32, u64)>,
    pub(super) view: Option<Box<MeshView>>,
    groups: BTreeMap<GroupId, Option<Followed>>,
    /// What its process said last of each cell, in which of its runs, and how many cells had ended: the next one knows nothing
    /// of it.
    pub(super) said: BTreeMap<CellId, (u32, usize, Settled)>,
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
    lineage: Lineage,
    placements: BTreeMap<CellId, PlacementView>,
}

/// The placements that count for one group.
#[derive(Debug)]
pub(super) struct Followed {
    /// The replicas that follow from them, where the rule for its data lets it be there.
    pub(super) set: Option<ReplicaSet>,
    /// The last one.
    pub(super) last: Placed,
    /// All of them.
    pub(super) counting: BTreeSet<Placed>,
    /// What the node owes to the holders.
    pub(super) duty: Duty,
}

impl<D: Defects> Follower<D> {
    pub(super) fn new(defects: D) -> Self {
        Self { defects, version: None, view: None, groups: BTreeMap::new(), said: BTreeMap::new() }
    }

    /// Learns what its core believes.
    pub(super) fn follow(&mut self, run: u32, core: &MeshCore<D>, now: Mono) -> News {
        let former = self.version.replace((run, core.view_version()));
        if former == self.version {
            return News::None;
        }
        let before = self.view.take().filter(|_| former.is_some_and(|(former, _)| former == run));
        let view = self.view.insert(Box::new(core.view(now)));
        let is_followed = before
            .as_ref()
            .is_some_and(|before| before.lineage == view.lineage && before.placements == view.placements);
        let is_ruled = before
            .as_ref()
            .is_some_and(|before| before.policy == view.policy && before.members.keys().eq(view.members.keys()));
        if !(is_followed && is_ruled) {
            self.groups.clear();
        }
        match before {
            Some(_) if is_followed => News::None,
            Some(before) if undoes(view, &before) => News::Undone,
            Some(_) | None => News::More,
        }
    }

    /// Looks up what counts for a group.
    pub(super) fn look_up(&mut self, group: &GroupId) {
        if let Some(view) = self.view.as_ref().filter(|_| !self.groups.contains_key(group)) {
            self.groups.insert(group.clone(), Followed::of(self.defects, view, group));
        }
    }

    /// What counts for a group that was looked up.
    pub(super) fn of(&self, group: &GroupId) -> Option<&Followed> {
        self.groups.get(group)?.as_ref()
    }

    /// The replicas of a group that was looked up.
    pub(super) fn set(&self, group: &GroupId) -> Option<&ReplicaSet> {
        self.of(group)?.set.as_ref()
    }

    /// The last placement by which the group goes.
    pub(super) fn last(&self, group: &GroupId) -> PlacementEpoch {
        self.of(group).map_or(PlacementEpoch(0), |followed| followed.last.1)
    }

    /// Who holds the group today.
    pub(super) fn holders(&self, group: &GroupId) -> &[NodeId] {
        self.set(group).map_or(&[], |set| &set.nodes)
    }
}

impl Followed {
    fn of<D: Defects>(defects: D, view: &MeshView, group: &GroupId) -> Option<Self> {
        let tenure = tenure(&view.lineage, &view.placements, group)?;
        let set = group_set_with(defects, view, group).ok();
        let duty = tenure.duty(&view.lineage, group, &view.me);
        Some(Self { set, last: (tenure.cell, tenure.epoch), counting: counting(&tenure), duty })
    }
}

/// Whether a recovery lies between what was known before and this: an end, a table or a retirement does not count, or tables
/// begin afresh.
fn undoes(view: &MeshView, before: &MeshView) -> bool {
    let generation = |placement: &PlacementView| placement.epoch.generation();
    let is_other = |(cell, placement): (&CellId, &PlacementView)| {
        before.placements.get(cell).is_some_and(|known| {
            let goes_back = placement.epoch < known.epoch || placement.retired < known.retired;
            goes_back || generation(known) < generation(placement)
        })
    };
    before.lineage.ended().any(|cell| !view.lineage.has_ended(&cell)) || view.placements.iter().any(is_other)
}

impl Known {
    /// The placements that count for a group.
    pub(super) fn counting(&self, group: &GroupId) -> BTreeSet<Placed> {
        tenure(&self.lineage, &self.placements, group).as_ref().map(counting).unwrap_or_default()
    }

    /// Takes in what a node knows.
    pub(super) fn merge(&mut self, other: &MeshView) {
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
