//! The emulated network between the six nodes: rules around each node's own socket, set over its admin socket.

use anyhow::Result;
use serde_json::{Value, json};

use super::mesh::{DemoMesh, DemoNode};

/// One-way delay between nodes of different regions, in milliseconds.
pub(super) const DELAY_MS: u32 = 20;

/// Gives every node its rules: delay towards the other region, and a two-way cut between any two nodes named in `apart`.
///
/// The rules replace what was set before, so that an empty `apart` heals every cut.
pub(super) async fn set(mesh: &DemoMesh, apart: &[&str]) -> Result<()> {
    for node in mesh.nodes() {
        let rules: Vec<_> = mesh.nodes().iter().filter_map(|peer| rule(node, peer, apart)).collect();
        let _set: Value =
            node.admin.put("set the rules of its links", "/admin/v1/emulation", &json!({ "rules": rules })).await?;
    }
    Ok(())
}

fn rule(node: &DemoNode, peer: &DemoNode, apart: &[&str]) -> Option<Value> {
    if node.name != peer.name && apart.contains(&node.name) && apart.contains(&peer.name) {
        return Some(json!({ "peer": peer.udp, "cut": "both" }));
    }
    (node.region != peer.region).then(|| json!({ "peer": peer.udp, "delay_ms": DELAY_MS }))
}
