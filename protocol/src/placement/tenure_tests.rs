use super::super::lineage::Heirs;
use super::*;
use crate::placement::Holdings;
use hedgerow_attest::region::Region;

fn cell(number: u8) -> CellId {
    CellId::from_bytes([number; 32])
}

fn nodes(numbers: &[u8]) -> Vec<NodeId> {
    numbers.iter().map(|number| NodeId::from_bytes([*number; 32])).collect()
}

fn cart() -> ClassName {
    ClassName::new("cart").unwrap()
}

fn held(numbers: &[u8]) -> Holdings {
    Holdings { groups: BTreeMap::from([((cart(), 0), nodes(numbers))]), ..Holdings::default() }
}

/// The last table of a cell, and those before it that are known and not retired.
fn placed(retired: u64, inherits: &[(u8, u64)], formers: &[(u64, &[u8])], last: (u64, &[u8])) -> PlacementView {
    PlacementView {
        region: Region::new("eu").unwrap(),
        epoch: PlacementEpoch(last.0),
        retired: PlacementEpoch(retired),
        inherits: inherits.iter().map(|(number, since)| (cell(*number), PlacementEpoch(*since))).collect(),
        policy: None,
        formers: formers.iter().map(|(epoch, numbers)| (PlacementEpoch(*epoch), held(numbers))).collect(),
        groups: held(last.1).groups,
        models: BTreeMap::new(),
    }
}

/// What counts for the group of that birth cell: the last placement, those before, and whether these are retired.
type Counting = ((u8, u64, Vec<NodeId>), Vec<(u8, u64, Vec<NodeId>)>, bool);

fn counting(lineage: &Lineage, placements: &Placements, birth: u8) -> Option<Counting> {
    let group = GroupId { cell: cell(birth), class: cart(), prefix: 0 };
    let name = |cell: CellId| cell.as_bytes()[0];
    let found = tenure(lineage, placements, &group)?;
    let former = |former: &Former<'_>| (name(former.cell), former.epoch.0, former.nodes.to_vec());
    let formers = found.formers.iter().map(former).collect();
    Some(((name(found.cell), found.epoch.0, found.nodes.to_vec()), formers, found.is_settled))
}

/// Cell 9 was split; the group went to the half with this number.
fn split() -> (Lineage, u8) {
    let lineage = Lineage::new([(cell(9), Heirs::Halves([cell(3), cell(4)]))]);
    let half = lineage.path(&cell(9), &cart(), 0)[1].as_bytes()[0];
    (lineage, half)
}

#[test]
fn a_group_goes_by_the_table_of_the_cell_that_was_split_until_its_half_names_that() {
    let (lineage, half) = split();
    let old = placed(4, &[], &[(5, &[1, 2])], (6, &[2, 3]));
    let before = BTreeMap::from([(cell(9), old.clone()), (cell(half), placed(0, &[], &[], (6, &[2, 3])))]);
    let by_old = ((9, 6, nodes(&[2, 3])), vec![(9, 5, nodes(&[1, 2]))], false);
    assert_eq!(counting(&lineage, &before, 9), Some(by_old));

    let own = placed(0, &[(9, 7)], &[], (7, &[3, 4]));
    let after = BTreeMap::from([(cell(9), old.clone()), (cell(half), own)]);
    let formers = vec![(9, 5, nodes(&[1, 2])), (9, 6, nodes(&[2, 3]))];
    assert_eq!(counting(&lineage, &after, 9), Some(((half, 7, nodes(&[3, 4])), formers.clone(), false)));
    // Sessions that were born in the half meanwhile were written by the table that it had inherited.
    assert_eq!(counting(&lineage, &after, half), Some(((half, 7, nodes(&[3, 4])), formers, false)));

    let own = placed(6, &[(9, 7)], &[], (7, &[3, 4]));
    let over = BTreeMap::from([(cell(9), old), (cell(half), own.clone())]);
    assert_eq!(counting(&lineage, &over, 9), Some(((half, 7, nodes(&[3, 4])), vec![], true)));
    let forgotten = BTreeMap::from([(cell(half), own)]);
    assert_eq!(counting(&lineage, &forgotten, 9), counting(&lineage, &over, 9), "the old table may be forgotten");
}

#[test]
fn whoever_holds_a_group_by_the_last_table_alone_stays_and_others_hand_over_or_keep() {
    let (lineage, half) = split();
    let old = placed(4, &[], &[], (6, &[2, 3]));
    let owed = |placements: &Placements, birth: u8| {
        let group = GroupId { cell: cell(birth), class: cart(), prefix: 0 };
        [1, 2, 3, 4].map(|number| duty(&lineage, placements, &group, &nodes(&[number])[0]))
    };
    let before = BTreeMap::from([(cell(9), old.clone())]);
    assert_eq!(owed(&before, 9), [Duty::Keeps; 4], "the half places it not yet");
    let after = BTreeMap::from([(cell(9), old), (cell(half), placed(0, &[(9, 7)], &[], (7, &[3, 4])))]);
    assert_eq!(owed(&after, 9), [Duty::HandsOver, Duty::HandsOver, Duty::HandsOver, Duty::Stays]);
    let retired = BTreeMap::from([(cell(half), placed(6, &[(9, 7)], &[], (7, &[3, 4])))]);
    assert_eq!(owed(&retired, 9), [Duty::HandsOver, Duty::HandsOver, Duty::Stays, Duty::Stays]);
    assert_eq!(owed(&retired, 8), [Duty::Keeps; 4], "of a cell that is not known");
}

#[test]
fn what_another_cell_retired_before_it_took_a_cell_in_says_nothing_of_that() {
    let lineage = Lineage::new([(cell(5), Heirs::Into(cell(2)))]);
    let taken = placed(1, &[], &[], (2, &[7, 8]));
    let placements = |own: PlacementView| BTreeMap::from([(cell(5), taken.clone()), (cell(2), own)]);
    // Cell 2 is at placement 9, far beyond the numbers of cell 5, and does not name it.
    let before = placements(placed(8, &[], &[], (9, &[1, 2])));
    assert_eq!(counting(&lineage, &before, 5), Some(((5, 2, nodes(&[7, 8])), vec![], true)));
    assert_eq!(counting(&lineage, &before, 2), Some(((2, 9, nodes(&[1, 2])), vec![], true)));

    let named = placements(placed(8, &[(5, 10)], &[(9, &[1, 2])], (10, &[1, 3])));
    let own_former = (2, 9, nodes(&[1, 2]));
    let last = (2, 10, nodes(&[1, 3]));
    assert_eq!(counting(&lineage, &named, 5), Some((last.clone(), vec![(5, 2, nodes(&[7, 8]))], false)));
    assert_eq!(counting(&lineage, &named, 2), Some((last.clone(), vec![own_former], false)));
    let rows: Vec<(u64, &[NodeId])> = named
        .get(&cell(2))
        .map(|_| inherited(&lineage, &named, &cell(2)))
        .into_iter()
        .flatten()
        .map(|(epoch, _, held)| (epoch.0, held))
        .collect();
    assert_eq!(rows, [(2, nodes(&[7, 8]).as_slice())]);

    let over = placements(placed(9, &[(5, 10)], &[], (10, &[1, 3])));
    assert_eq!(counting(&lineage, &over, 5), Some((last, vec![], true)));
    assert_eq!(inherited(&lineage, &over, &cell(2)), []);
}

#[test]
fn a_table_that_turns_up_late_counts_until_its_number_is_retired() {
    let lineage = Lineage::new([(cell(5), Heirs::Into(cell(2)))]);
    let late = placed(11, &[], &[], (12, &[7, 8]));
    let known = |retired, epoch| {
        let own = placed(retired, &[(5, 10)], &[], (epoch, &[1, 3]));
        BTreeMap::from([(cell(5), late.clone()), (cell(2), own)])
    };
    let formers = |placements: &Placements| counting(&lineage, placements, 5).map(|(_, formers, _)| formers.len());
    assert_eq!([known(9, 10), known(11, 13), known(12, 13)].map(|known| formers(&known)), [Some(1), Some(1), Some(0)]);
}

#[test]
fn a_cell_that_ended_in_one_that_had_ended_before_is_not_taken_for_named() {
    // Cell 5 ended in cell 2 when that had ended in cell 1, and cell 1 names only cell 2.
    let lineage = Lineage::new([(cell(5), Heirs::Into(cell(2))), (cell(2), Heirs::Into(cell(1)))]);
    let placements = BTreeMap::from([
        (cell(5), placed(1, &[], &[], (2, &[7, 8]))),
        (cell(2), placed(3, &[], &[], (4, &[5, 6]))),
        (cell(1), placed(5, &[(2, 5)], &[], (6, &[1, 2]))),
    ]);
    assert_eq!(counting(&lineage, &placements, 2), Some(((1, 6, nodes(&[1, 2])), vec![], true)));
    assert_eq!(counting(&lineage, &placements, 5), Some(((5, 2, nodes(&[7, 8])), vec![], true)));
}

#[test]
fn of_a_full_list_who_is_not_named_was_named_first() {
    let lineage = Lineage::new([(cell(5), Heirs::Into(cell(2)))]);
    let mut own = placed(8, &[], &[], (9, &[1, 3]));
    let many = (0..INHERITED_MAX).map(|number| {
        let mut bytes = [0xee; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        (CellId::from_bytes(bytes), PlacementEpoch(1))
    });
    own.inherits = many.collect();
    let placements = BTreeMap::from([(cell(5), placed(1, &[], &[], (2, &[7, 8]))), (cell(2), own)]);
    assert_eq!(counting(&lineage, &placements, 5), Some(((2, 9, nodes(&[1, 3])), vec![], true)));
}
