//! Tests of whom a rollup names.

use super::*;
use crate::fact::{DegradedReason, Health};
use crate::id::{BootId, Incarnation};
use crate::name::{ModelName, ModelVersion};
use crate::time::Wall;
use hedgerow_attest::region::Region;

fn model(name: &str) -> ModelRef {
    ModelRef { model: ModelName::new(name).unwrap(), version: ModelVersion::new("1").unwrap() }
}

fn record(number: u8, warm: &[&str]) -> NodeRecord {
    let warm = warm.iter().map(|name| model(name)).collect();
    NodeRecord {
        node: NodeId::from_bytes([number; 32]),
        boot: BootId([0; 16]),
        incarnation: Incarnation(1),
        seq: 1,
        region: Region::new("eu").unwrap(),
        cell: None,
        addresses: ["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"].map(|text| text.parse().unwrap()).to_vec(),
        state: NodeState::Up,
        health: Health { warm, ..Health::default() },
        at: Wall(0),
    }
}

fn named(records: &[NodeRecord], liveness: impl Fn(u8) -> Liveness, holder: u8) -> Vec<(u8, u64)> {
    let number = |node: &NodeId| node.as_bytes()[0];
    let seen = |node: &NodeId| liveness(number(node));
    let members: Vec<Seen<'_>> = records
        .iter()
        .map(|record| Seen { node: record.node, liveness: seen(&record.node), queue_depth: 0, record })
        .collect();
    let contacts = contacts(&members, &warm_models(&members), &NodeId::from_bytes([holder; 32]));
    contacts.iter().map(|contact| (number(&contact.node), contact.warm)).collect()
}

#[test]
fn a_small_cell_names_everybody_however_they_are() {
    let records: Vec<NodeRecord> = (1..=8).map(|number| record(number, &[])).collect();
    let down = |number| if number == 3 { Liveness::Down } else { Liveness::Alive };
    let all: Vec<(u8, u64)> = (1..=8).map(|number| (number, 0)).collect();
    assert_eq!(named(&records, down, 5), all);
}

#[test]
fn a_large_cell_names_its_holder_and_whoever_holds_what_the_others_do_not() {
    let mut records: Vec<NodeRecord> = (1..=60).map(|number| record(number, &[])).collect();
    let mut warm = |number: u8, models: &[&str]| records[usize::from(number) - 1] = record(number, models);
    warm(40, &["a", "b"]);
    warm(41, &["b", "c"]);
    warm(42, &["d"]);
    warm(43, &["a"]);
    records[0].health.degraded = vec![DegradedReason::DISK];
    records[1].state = NodeState::Draining;
    let alive = |number| if number == 3 { Liveness::Suspect } else { Liveness::Alive };
    // a is bit 0, and so on: 40 brings two models, 41 and 42 one more each, and then the first names in order.
    let expected = [(4, 0), (5, 0), (6, 0), (7, 0), (40, 0b11), (41, 0b110), (42, 0b1000), (50, 0)];
    assert_eq!(named(&records, alive, 50), expected);
    let later: Vec<NodeRecord> = records.iter().filter(|record| record.node.as_bytes()[0] != 30).cloned().collect();
    assert_eq!(named(&later, alive, 50), expected, "who is named does not depend on those who are not");
}

#[test]
fn a_contact_has_one_address_of_each_family() {
    let record = record(1, &[]);
    let seen = Seen { node: record.node, liveness: Liveness::Alive, queue_depth: 7, record: &record };
    let expected = CellContact {
        node: record.node,
        incarnation: Incarnation(1),
        liveness: Liveness::Alive,
        queue_depth: 7,
        warm: 5,
        addresses: vec!["192.0.2.1:1".parse().unwrap(), "[2001:db8::1]:1".parse().unwrap()],
    };
    assert_eq!(contact(&seen, 5), expected);
}
