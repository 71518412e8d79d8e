//! What is known of the voters of every cell: of thousands of cells a few bytes each, since the facts are shared.

use crate::fact::{Founding, VerifiedFact};
use crate::register::VerifiedRecovery;
use crate::sorted::{find_spread, insert_at};
use hedgerow_attest::id::CellId;
use hedgerow_attest::region::Region;
use std::cmp::Ordering;

/// The last that is known of each cell. Each fact leads to those before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Charters {
    /// The end of each cell, else its latest known voter set or recovery, else its genesis; by the cell that each of them names.
    told: Vec<VerifiedFact>,
    /// Cells of which nothing is known but that they came of a split, by cell: the end of the one that was split.
    untold: Vec<(CellId, VerifiedFact)>,
    /// Where among `told` the cells stand with which regions began, by region and then by cell.
    births: Vec<u16>,
    /// How many cells have not ended.
    living: usize,
}

impl Charters {
    /// Takes in what is news of a cell, and the cells with which a split begins.
    pub(crate) fn insert(&mut self, cell: &CellId, children: &[CellId], fact: &VerifiedFact) {
        match self.place(cell) {
            Ok(place) => {
                if let Some(last) = self.told.get_mut(place) {
                    last.clone_from(fact);
                }
            }
            Err(place) => {
                self.tell(place, fact);
                match self.untold_place(cell) {
                    Ok(place) => drop(self.untold.remove(place)),
                    Err(_) => self.living += 1,
                }
            }
        }
        self.living -= usize::from(fact.succession().is_some());
        for child in children {
            if let (Err(_), Err(place)) = (self.place(child), self.untold_place(child)) {
                insert_at(&mut self.untold, place, (*child, fact.clone()));
                self.living += 1;
            }
        }
    }

    /// Forgets what never counted by that recovery, and the cells that came of it.
    pub(crate) fn undo(&mut self, recovery: &VerifiedRecovery) {
        let before = |(cell, last): (CellId, &VerifiedFact)| Some((cell, left_of(&cell, last, recovery)?.clone()));
        let kept: Vec<(CellId, VerifiedFact)> = self.iter().filter_map(before).collect();
        *self = Self::default();
        for (cell, last) in kept {
            self.living += usize::from(!is_end_of(&cell, &last));
            if last.chartered() == Some(&cell) {
                self.tell(self.told.len(), &last);
            } else {
                self.untold.push((cell, last));
            }
        }
    }

    /// Cells that are known, ended or not.
    pub(crate) fn len(&self) -> usize {
        self.told.len() + self.untold.len()
    }

    /// How many of them have not ended.
    pub(crate) fn living(&self) -> usize {
        self.living
    }

    /// The last that is known of a cell: its end, else its latest voter set, else that with which it began.
    pub(crate) fn last_of(&self, cell: &CellId) -> Option<&VerifiedFact> {
        if let Ok(place) = self.place(cell) {
            return self.told.get(place);
        }
        self.untold.get(self.untold_place(cell).ok()?).map(|(_, last)| last)
    }

    /// The last that is known of every cell, by cell.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CellId, &VerifiedFact)> {
        let mut told = self.told.iter().filter_map(|last| Some((*last.chartered()?, last))).peekable();
        let mut untold = self.untold.iter().map(|(cell, last)| (*cell, last)).peekable();
        std::iter::from_fn(move || match (told.peek(), untold.peek()) {
            (Some((one, _)), Some((other, _))) if other < one => untold.next(),
            (Some(_), Some(_) | None) => told.next(),
            (None, Some(_) | None) => untold.next(),
        })
    }

    /// The cells of all births that were signed for a region, by cell.
    pub(crate) fn births_of<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = CellId> + 'a {
        let first = self.births.partition_point(|birth| self.region_of(*birth).is_some_and(|known| known < region));
        let births = self.births.iter().skip(first).take_while(move |birth| self.region_of(**birth) == Some(region));
        births.filter_map(|birth| self.told.get(usize::from(*birth))?.chartered().copied())
    }

    /// The first word of a cell.
    fn tell(&mut self, place: usize, fact: &VerifiedFact) {
        insert_at(&mut self.told, place, fact.clone());
        let place = u16::try_from(place).expect("a roster holds fewer cells than that");
        self.births.iter_mut().filter(|birth| **birth >= place).for_each(|birth| *birth += 1);
        let is_of_birth = fact.charters().last().is_some_and(|birth| birth.chartered() == fact.chartered());
        if is_of_birth {
            let name = |birth: u16| (self.region_of(birth), birth);
            let at = self.births.partition_point(|birth| name(*birth) < name(place));
            insert_at(&mut self.births, at, place);
        }
    }

    /// The region that began with the cell at that place.
    fn region_of(&self, place: u16) -> Option<&Region> {
        self.told.get(usize::from(place))?.charters().last()?.founding().map(Founding::region)
    }

    fn place(&self, cell: &CellId) -> Result<usize, usize> {
        let order =
            |place: usize| self.told.get(place).map_or(Ordering::Greater, |last| last.chartered().cmp(&Some(cell)));
        find_spread(self.told.len(), cell.lead(), order)
    }

    fn untold_place(&self, cell: &CellId) -> Result<usize, usize> {
        self.untold.binary_search_by_key(cell, |(cell, _)| *cell)
    }
}

/// What a recovery leaves of a chain that is about a cell; nothing where the cell came of what never counted.
pub(crate) fn left_of<'a>(
    cell: &CellId,
    last: &'a VerifiedFact,
    recovery: &VerifiedRecovery,
) -> Option<&'a VerifiedFact> {
    let stays = last.charters().find(|fact| !fact.is_undone_by(recovery))?;
    let is_its = stays.voters_of(cell).is_some() || stays.chartered() == Some(cell);
    is_its.then_some(stays)
}

/// Those of a chain that are about the cell itself: it may begin with the end of another.
pub(crate) fn own_charters(cell: CellId, last: &VerifiedFact) -> impl Iterator<Item = &VerifiedFact> {
    last.charters().take_while(move |fact| fact.chartered() == Some(&cell))
}

/// Whether the last that is known of a cell is its end, and not that of the one of which it came.
pub(crate) fn is_end_of(cell: &CellId, last: &VerifiedFact) -> bool {
    last.succession().is_some() && last.chartered() == Some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hedgerow_attest::testing::SampleMesh;

    #[test]
    fn births_are_found_by_region_in_whatever_order_they_were_learnt() {
        let mesh = SampleMesh::new(1);
        // Of the last region two births were signed.
        let regions = ["r3", "r1", "r10", "r2", "r2"];
        let births: Vec<VerifiedFact> = (0..)
            .zip(regions)
            .map(|(number, region)| VerifiedFact::genesis(mesh.birth(region, &mesh.member(number, region))))
            .collect();
        let cell = |birth: &VerifiedFact| *birth.chartered().expect("a genesis names its cell");
        for turn in 0..births.len() {
            let mut charters = Charters::default();
            let (late, early) = births.split_at(turn);
            for birth in early.iter().chain(late) {
                charters.insert(&cell(birth), &[], birth);
            }
            for name in ["r1", "r10", "r2", "r3", "r4"] {
                let region = Region::new(name).expect("a region of a test");
                let of_region = births.iter().zip(regions).filter(|(_, of)| *of == name);
                let mut expected: Vec<CellId> = of_region.map(|(birth, _)| cell(birth)).collect();
                expected.sort_unstable();
                assert_eq!(charters.births_of(&region).collect::<Vec<_>>(), expected, "{turn}: {name}");
            }
            let mut all: Vec<CellId> = births.iter().map(cell).collect();
            all.sort_unstable();
            assert_eq!(charters.iter().map(|(cell, _)| cell).collect::<Vec<_>>(), all);
            assert_eq!((charters.len(), charters.living()), (5, 5));
        }
    }
}
