//! How members are cut in two, and when.

use super::*;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn at(first: i32, second: i32) -> Option<[i32; DIMENSIONS]> {
    Some([first, second, 0, 0, 0, 0, 0, 0])
}

fn named(halves: [Vec<NodeId>; 2]) -> [Vec<u8>; 2] {
    halves.map(|half| half.iter().map(|node| node.as_bytes()[0]).collect())
}

#[test]
fn members_are_cut_by_the_median_of_the_widest_axis() {
    let members = vec![(node(1), at(5, 900)), (node(2), at(6, 10)), (node(3), at(7, 800)), (node(4), at(90, 20))];
    assert_eq!(named(halves(members.clone())), [vec![2, 4], vec![1, 3]]);
    let mut more = members;
    more.push((node(5), None));
    assert_eq!(named(halves(more)), [vec![2, 4], vec![1, 3, 5]], "whose place is unknown lies in the middle");
    assert_eq!(named(halves((1..6).map(|n| (node(n), at(3, 3))).collect())), [vec![1, 2], vec![3, 4, 5]]);
    assert_eq!(named(halves((1..6).map(|n| (node(n), None)).collect())), [vec![1, 2], vec![3, 4, 5]]);
}

#[test]
fn a_cell_is_too_large_or_too_small_only_after_a_while_without_a_break() {
    let config = DivisionConfig { split_above: 4, merge_below: 2, ..DivisionConfig::STANDARD };
    let mut census = Census::default();
    let after = Duration::from_secs(10);
    let mut due = |at_s: u64, size: usize| {
        let now = Mono(at_s * 1_000_000);
        census.count(now, size, &config);
        (Census::is_due(census.large_since, now, after), Census::is_due(census.small_since, now, after))
    };
    let seen = [(1, 5), (6, 4), (10, 5), (19, 6), (20, 5), (21, 1), (31, 1), (32, 2), (33, 1)];
    let seen = seen.map(|(at_s, size)| due(at_s, size));
    let (large, small) = ((true, false), (false, true));
    let none = (false, false);
    assert_eq!(seen, [none, none, none, none, large, none, small, none, none]);
}

#[test]
fn what_was_split_is_not_to_be_merged_and_what_was_merged_not_to_be_split() {
    let config = DivisionConfig::STANDARD;
    let smallest = config.split_above.div_ceil(2);
    assert!(!config.fit_together(smallest, smallest) && smallest >= config.merge_below);
    let largest = (0..200).flat_map(|one| (0..200).map(move |other| (one, other)));
    let largest =
        largest.filter(|(one, other)| config.fit_together(*one, *other)).map(|(one, other)| one + other).max();
    assert_eq!(largest, Some(46));
}
