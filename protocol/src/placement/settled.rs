//! What a node says of the groups that it holds by former placements: the word on which a placement is retired.

use super::lineage::Lineage;
use super::policy::CLASSES_MAX;
use crate::id::PlacementEpoch;
use crate::name::ClassName;
use crate::session_id::{GROUP_PREFIXES, GroupId};
use crate::view::PlacementView;
use hedgerow_attest::bounded::bounded_vec;
use hedgerow_attest::id::CellId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of every group that the sender holds, a quorum of its holders by that placement has, durably, everything that the sender
/// has, but for those named here. Point to point and first hand: nobody says it for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The cell whose placement it is.
    pub cell: CellId,
    /// The placement whose holders are meant.
    pub epoch: PlacementEpoch,
    /// The groups that are not handed over, by class.
    #[serde(deserialize_with = "bounded_vec::<_, _, CLASSES_MAX>")]
    open: Vec<OpenGroups>,
}

/// The groups of one class that are not handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OpenGroups {
    class: ClassName,
    /// One bit per hash prefix, the lowest for prefix 0.
    prefixes: u16,
}

const _: () = assert!(GROUP_PREFIXES as u32 <= u16::BITS, "a mask has a bit for each group");

impl Settled {
    /// Says so of all groups but these. Of more classes than a policy may have the rest is left out, which at worst lets a
    /// placement be retired early: that permits and never forces.
    #[must_use]
    pub fn but_for(cell: CellId, epoch: PlacementEpoch, open: impl IntoIterator<Item = (ClassName, u8)>) -> Self {
        let mut masks = BTreeMap::<ClassName, u16>::new();
        for (class, prefix) in open {
            *masks.entry(class).or_default() |= 1_u16.checked_shl(prefix.into()).unwrap_or_default();
        }
        let open = masks.into_iter().take(CLASSES_MAX).map(|(class, prefixes)| OpenGroups { class, prefixes });
        Self { cell, epoch, open: open.collect() }
    }

    /// Says so of the last placement of each cell that has not ended, of all groups but these, each in the cell in which it
    /// lives.
    #[must_use]
    pub fn of_living(
        lineage: &Lineage,
        placements: &BTreeMap<CellId, PlacementView>,
        open: impl IntoIterator<Item = GroupId>,
    ) -> BTreeMap<CellId, Self> {
        let mut by_home = BTreeMap::<CellId, Vec<(ClassName, u8)>>::new();
        for group in open {
            by_home.entry(lineage.home(&group)).or_default().push((group.class, group.prefix));
        }
        let living = placements.iter().filter(|(cell, _)| !lineage.has_ended(cell));
        let said = living.map(|(cell, placement)| {
            let open = by_home.remove(cell).into_iter().flatten();
            (*cell, Self::but_for(*cell, placement.epoch, open))
        });
        said.collect()
    }

    /// Whether everything is handed over.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    /// How many groups are not handed over.
    #[must_use]
    pub fn open_groups(&self) -> usize {
        self.open.iter().map(|row| row.prefixes.count_ones() as usize).sum()
    }

    /// Whether the group is not handed over.
    #[must_use]
    pub fn is_open(&self, class: &ClassName, prefix: u8) -> bool {
        let bit = 1_u16.checked_shl(prefix.into()).unwrap_or_default();
        self.open.iter().any(|row| row.class == *class && row.prefixes & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_handed_over() {
        let [cart, user] = ["cart", "user"].map(|name| ClassName::new(name).unwrap());
        let open = [(cart.clone(), 0), (user.clone(), 15), (cart.clone(), 9)];
        let said = Settled::but_for(CellId::from_bytes([7; 32]), PlacementEpoch(3), open);
        let open_of = |class| (0..=u8::MAX).filter(|prefix| said.is_open(class, *prefix)).collect::<Vec<_>>();
        assert_eq!([open_of(&cart), open_of(&user)], [vec![0, 9], vec![15]]);
        assert_eq!(open_of(&ClassName::new("other").unwrap()), Vec::<u8>::new());
        assert!(!said.is_complete() && Settled::but_for(said.cell, said.epoch, []).is_complete());
        let bytes = postcard::to_stdvec(&said).unwrap();
        let rows = b"\x02\x04cart\x81\x04\x04user\x80\x80\x02";
        assert_eq!(bytes, [&[7; 32][..], &[3], rows].concat());
        assert_eq!(postcard::from_bytes(&bytes), Ok(said));
        let boast = [vec![7; 32], vec![3, 33], vec![0; 99]].concat();
        assert_eq!(postcard::from_bytes::<Settled>(&boast), Err(postcard::Error::SerdeDeCustom));
    }
}
