//! Views as tests want them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hedgerow_attest::id::{CellId, MeshId, NodeId};
use hedgerow_attest::region::Region;
use hedgerow_protocol::fact::Health;
use hedgerow_protocol::id::{Incarnation, PlacementEpoch, PolicyVersion};
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::{DataClass, Heirs, Lineage, Policy};
use hedgerow_protocol::time::Mono;
use hedgerow_protocol::view::{MemberState, MemberView, MeshView, PlacementView};

/// The only cell.
pub(crate) const CELL: CellId = CellId::from_bytes([7; 32]);

/// A node by its number.
pub(crate) fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

/// The view of node 1: members of one region, all alive, with a policy of one class, `cart`, of which nothing is placed.
pub(crate) fn view(members: &[(u8, Vec<SocketAddr>)]) -> MeshView {
    let region = Region::new("home").unwrap();
    let member = |(number, addresses): &(u8, Vec<SocketAddr>)| MemberView {
        node: node(*number),
        region: region.clone(),
        cell: Some(CELL),
        class: "edge".to_owned(),
        domain: None,
        roles: hedgerow_attest::membership::Roles::all(),
        state: MemberState::Alive,
        incarnation: Incarnation(1),
        addresses: addresses.clone(),
        health: Health::default(),
        rtt_us: None,
        said_ms_ago: 0,
        load_ms_ago: None,
        estimate_us: None,
        heard_ms_ago: None,
    };
    let cart = DataClass { name: cart(), replicas: 2, write_quorum: 2, regions: vec![], personal: false, ttl_s: 0 };
    MeshView {
        me: node(1),
        mesh: MeshId::from_bytes([9; 32]),
        region: region.clone(),
        cell: Some(CELL),
        at: Mono(0),
        members: members.iter().map(|row| (node(row.0), member(row))).collect(),
        aggregators: BTreeMap::new(),
        cells: BTreeMap::new(),
        lineage: Lineage::default(),
        placements: BTreeMap::new(),
        deployments: vec![],
        policy: Some(Arc::new(Policy { version: PolicyVersion(1), parent: None, classes: vec![cart] })),
        policy_heads: vec![],
        node_classes: hedgerow_protocol::placement::NodeClasses::default(),
        needed: hedgerow_protocol::view::Needed::default(),
    }
}

/// The class.
pub(crate) fn cart() -> ClassName {
    ClassName::new("cart").unwrap()
}

/// A cell that ended in the other.
pub(crate) const OLD: CellId = CellId::from_bytes([8; 32]);

/// A placement of [`OLD`] puts one group on these nodes; it ended in [`CELL`], of whose placements one names it, if any.
pub(crate) fn end_old(view: &mut MeshView, epoch: u64, prefix: u8, nodes: &[u8], named: Option<u64>) {
    let mut before = view.clone();
    before.placements.clear();
    place(&mut before, epoch, prefix, nodes);
    view.placements.extend(before.placements.remove(&CELL).map(|placement| (OLD, placement)));
    view.lineage = Lineage::new([(OLD, Heirs::Into(CELL))]);
    if let Some(placement) = view.placements.get_mut(&CELL) {
        placement.inherits = named.map(|since| (OLD, PlacementEpoch(since))).into_iter().collect();
    }
}

/// Places one group of the class on these nodes.
pub(crate) fn place(view: &mut MeshView, epoch: u64, prefix: u8, nodes: &[u8]) {
    let region = view.region.clone();
    let empty = PlacementView {
        region,
        epoch: PlacementEpoch(0),
        retired: PlacementEpoch(0),
        formers: BTreeMap::new(),
        inherits: BTreeMap::new(),
        policy: None,
        groups: BTreeMap::new(),
        models: BTreeMap::new(),
    };
    let placement = view.placements.entry(CELL).or_insert(empty);
    placement.epoch = PlacementEpoch(epoch);
    placement.groups.insert((cart(), prefix), nodes.iter().map(|number| node(*number)).collect());
}
