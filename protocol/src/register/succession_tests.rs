//! What ends of cells say.

use super::*;
use crate::id::{Generation, Slot};
use crate::name::{ClassName, Namespace};
use crate::register::{Head, Voter};
use crate::session_id::SessionId;
use hedgerow_attest::key::SecretKey;

const CELL: CellId = CellId::from_bytes([0xce; 32]);

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn half(voters: &[u8], members: &[u8]) -> Half {
    let voter = |n: &u8| Voter { node: node(*n), key: SecretKey::from_seed([*n; 32]).public() };
    let voters = Configuration::majority(ConfigEpoch(1), voters.iter().map(voter).collect());
    Half { voters, members: members.iter().map(|n| node(*n)).collect() }
}

fn value(content: Content) -> Value {
    let head = Head::genesis(CELL);
    Value { cell: CELL, generation: Generation(0), slot: Slot(1), previous: head.digest, content }
}

fn split() -> Split {
    Split { halves: [half(&[1, 2, 3], &[1, 2, 3, 4]), half(&[5], &[5, 6, 7])] }
}

#[test]
fn halves_have_voters_of_their_own_and_no_member_in_common() {
    let with = |one: Half, other: Half| Split { halves: [one, other] }.is_well_formed();
    assert!(split().is_well_formed());
    assert!(!with(half(&[1], &[1, 2]), half(&[3], &[2, 3])), "a member of both");
    assert!(!with(half(&[1], &[2]), half(&[3], &[3])), "a voter that is no member");
    assert!(!with(half(&[1], &[2, 1]), half(&[3], &[3])), "out of order");
    let mut late = split();
    late.halves[1].voters.epoch = ConfigEpoch(2);
    assert!(!late.is_well_formed());
}

#[test]
fn a_cell_takes_in_those_with_higher_ids_only() {
    let [lower, higher] = [0x0c, 0xff].map(|byte| CellId::from_bytes([byte; 32]));
    let absorbed = Sha256Digest::from_bytes([9; 32]);
    let fit = |content| value(content).succeeds_well();
    assert!(fit(Content::Absorb(Absorb { source: higher })) && !fit(Content::Absorb(Absorb { source: lower })));
    let into = |target| Content::MergeInto(MergeInto { target, absorbed });
    assert!(fit(into(lower)) && !fit(into(higher)) && !fit(into(CELL)));
}

#[test]
fn the_cells_of_a_split_and_who_falls_to_them_are_frozen() {
    let value = value(Content::Split(split()));
    let cells = children_of(&value, &value.digest()).expect("it is a split");
    let split = split();
    let succession = Succession::Split(cells, &split);
    assert_eq!(cells.map(|cell| cell.short()), FROZEN);
    let fall = |nodes: std::ops::Range<u8>| nodes.map(|n| split.half_of(&node(n), &cells)).collect::<Vec<_>>();
    assert_eq!(fall(1..8), [0, 0, 0, 0, 1, 1, 1], "those who are named");
    let others = fall(8..108);
    assert_eq!(others.iter().sum::<usize>(), 51, "of a hundred others");
    assert_eq!(succession.of_member(&node(6)), cells[1]);
    let session = |name: &str| {
        let class = ClassName::new("cart").expect("a short word");
        SessionId::named(CELL, class, Namespace::new("shop").expect("a short word"), name)
    };
    let of_session = |session: &SessionId| {
        let group = session.group(16);
        half_of_group(&cells, &group.class, group.prefix)
    };
    let alice = of_session(&session("alice"));
    assert!(cells.contains(&alice));
    let of_group =
        (0..200).map(|n| session(&n.to_string())).filter(|other| other.group(16) == session("alice").group(16));
    assert!(of_group.count() > 1, "some share her group");
    let apart = (0..200)
        .map(|n| session(&n.to_string()))
        .find(|other| other.group(16) == session("alice").group(16) && of_session(other) != alice);
    assert_eq!(apart, None, "a group stays together");
}

#[test]
fn the_bytes_of_an_end_are_frozen() {
    let absorb = value(Content::Absorb(Absorb { source: CellId::from_bytes([0xff; 32]) }));
    let merge = MergeInto { target: CellId::from_bytes([1; 32]), absorbed: Sha256Digest::from_bytes([2; 32]) };
    let contents = [Content::Split(split()), absorb.content, Content::MergeInto(merge)];
    let bytes = contents.map(|content| postcard::to_stdvec(&content).expect("written into memory"));
    assert_eq!(bytes[1], [vec![4], vec![0xff; 32]].concat());
    assert_eq!(bytes[2], [vec![5], vec![1; 32], vec![2; 32]].concat());
    assert_eq!(Sha256Digest::of(&bytes[0]).to_string()[..16], *FROZEN_SPLIT);
}

#[test]
fn a_table_names_the_cells_that_it_takes_over_in_order_and_none_before_its_time() {
    let takeover = |inherits: &[(u8, u64)]| {
        let inherited = |(cell, since): &(u8, u64)| Inherited {
            cell: CellId::from_bytes([*cell; 32]),
            since: PlacementEpoch(*since),
        };
        let table = PlacementTable {
            epoch: PlacementEpoch(7),
            config_epoch: ConfigEpoch(3),
            policy: None,
            members: vec![],
            classes: vec![],
            models: vec![],
        };
        value(Content::Takeover(Takeover { table, inherits: inherits.iter().map(inherited).collect() }))
    };
    let bytes = postcard::to_stdvec(&takeover(&[(9, 7)]).content).expect("written into memory");
    assert_eq!(bytes, [vec![6, 7, 3, 0, 0, 0, 0, 1], vec![9; 32], vec![7]].concat());
    let lists: [&[(u8, u64)]; 6] = [&[(9, 7)], &[(8, 1), (9, 7)], &[], &[(9, 7), (8, 1)], &[(9, 6), (9, 7)], &[(9, 8)]];
    let fit = lists.map(|inherits| takeover(inherits).succeeds_well());
    assert_eq!(fit, [true, true, false, false, false, false]);
    assert_eq!(takeover(&[(9, 7)]).content.table().map(|table| table.epoch), Some(PlacementEpoch(7)));
}

const FROZEN: [&str; 2] = ["pajxseu7", "ekjru3nh"];
const FROZEN_SPLIT: &str = "dad2ff2d17e4f6dc";
