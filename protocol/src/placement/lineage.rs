//! Which cells ended and what took their place: how the cell is found in which a group of sessions lives.

use crate::name::ClassName;
use crate::register::{Succession, half_of_group};
use crate::roster::Roster;
use crate::session_id::GroupId;
use hedgerow_attest::id::CellId;
use std::collections::{BTreeMap, VecDeque};

/// The known cells that ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage(BTreeMap<CellId, Heirs>);

/// What took the place of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heirs {
    /// The two of a split.
    Halves([CellId; 2]),
    /// The one that took it in.
    Into(CellId),
}

impl Lineage {
    /// As a roster knows it.
    #[must_use]
    pub fn of(roster: &Roster) -> Self {
        let heirs = |succession| match succession {
            Succession::Split(halves, _) => Heirs::Halves(halves),
            Succession::Merged(into) => Heirs::Into(into),
        };
        Self(roster.ends().map(|(cell, succession)| (cell, heirs(succession))).collect())
    }

    /// Of these ends.
    #[must_use]
    pub fn new(ends: impl IntoIterator<Item = (CellId, Heirs)>) -> Self {
        Self(ends.into_iter().collect())
    }

    /// Takes in what another knows.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// How many cells are known to have ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no end is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the cell is known to have ended.
    #[must_use]
    pub fn has_ended(&self, cell: &CellId) -> bool {
        self.0.contains_key(cell)
    }

    /// The cells that ended, by id.
    pub fn ended(&self) -> impl Iterator<Item = CellId> + '_ {
        self.0.keys().copied()
    }

    /// The cell in which a group lives, with all of its sessions: found from the one in which they were born through those that
    /// ended.
    #[must_use]
    pub fn home(&self, group: &GroupId) -> CellId {
        self.path(&group.cell, &group.class, group.prefix).last().copied().unwrap_or(group.cell)
    }

    /// The cells through which the groups of that class and prefix came that lived in a cell: that one first, the one in which
    /// they live last.
    #[must_use]
    pub fn path(&self, from: &CellId, class: &ClassName, prefix: u8) -> Vec<CellId> {
        let mut path = vec![*from];
        while let Some(heirs) = path.last().and_then(|cell| self.0.get(cell)) {
            let next = match heirs {
                Heirs::Halves(halves) => half_of_group(halves, class, prefix),
                Heirs::Into(next) => *next,
            };
            // Sound voters never make a circle; others get nowhere.
            if path.contains(&next) {
                break;
            }
            path.push(next);
        }
        path
    }

    /// The cell by whose split a cell began.
    #[must_use]
    pub fn parent(&self, cell: &CellId) -> Option<CellId> {
        let halves = |heirs: &Heirs| matches!(heirs, Heirs::Halves(halves) if halves.contains(cell));
        self.0.iter().find(|(_, heirs)| halves(heirs)).map(|(parent, _)| *parent)
    }

    /// The cells by whose splits a cell came about, the last first.
    #[must_use]
    pub fn parents(&self, cell: &CellId) -> Vec<CellId> {
        let mut parents: Vec<CellId> = Vec::new();
        while let Some(parent) = self.parent(parents.last().unwrap_or(cell)).filter(|next| !parents.contains(next)) {
            parents.push(parent);
        }
        parents
    }

    /// The cells that ended and from which something may have come to that cell, the last first.
    #[must_use]
    pub fn leading_to(&self, cell: &CellId) -> Vec<CellId> {
        let (mut leading, mut open) = (Vec::new(), VecDeque::from([*cell]));
        while let Some(reached) = open.pop_front() {
            let leads = |heirs: &Heirs| match heirs {
                Heirs::Halves(halves) => halves.contains(&reached),
                Heirs::Into(next) => *next == reached,
            };
            let news = |(from, heirs): &(&CellId, &Heirs)| leads(heirs) && !leading.contains(*from);
            let before: Vec<CellId> = self.0.iter().filter(news).map(|(from, _)| *from).collect();
            open.extend(&before);
            leading.extend(before);
        }
        leading
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn cell(number: u8) -> CellId {
        CellId::from_bytes([number; 32])
    }

    #[test]
    fn a_group_goes_through_every_end_to_one_cell() {
        let lineage = Lineage::new([
            (cell(1), Heirs::Halves([cell(2), cell(3)])),
            (cell(3), Heirs::Into(cell(2))),
            (cell(2), Heirs::Halves([cell(4), cell(5)])),
        ]);
        let cart = ClassName::new("cart").unwrap();
        let mut homes = BTreeSet::new();
        for prefix in 0..16 {
            let path = lineage.path(&cell(1), &cart, prefix);
            let (first, last) = (path[0], path[path.len() - 1]);
            assert!(first == cell(1) && [cell(4), cell(5)].contains(&last), "{path:?}");
            assert_eq!(lineage.home(&GroupId { cell: cell(1), class: cart.clone(), prefix }), last);
            homes.insert(last);
        }
        assert_eq!(homes.len(), 2);
        assert_eq!(lineage.leading_to(&cell(4)), [cell(2), cell(1), cell(3)]);
        assert_eq!((lineage.parents(&cell(4)), lineage.parents(&cell(1))), (vec![cell(2), cell(1)], vec![]));
        assert_eq!(lineage.path(&cell(9), &cart, 0), [cell(9)], "of a cell that has not ended nothing is elsewhere");
    }
}
