//! A region keeps an aggregator while a majority of its voters runs.

use hedgerow::admin::wire::Aggregator;
use serde_json::{Value, json};

use super::fleet::{Mesh, until};

pub(super) const NODES: [&str; 3] = ["a", "b", "c"];

/// What all the named nodes say of the aggregator, once they say the same and it is wanted.
pub(super) async fn agreed(mesh: &Mesh, names: &[&str], wanted: impl Fn(&Aggregator) -> bool) -> Aggregator {
    until("one answer from every node", async || {
        let first = mesh.aggregator(names[0]).await.filter(|first| wanted(first))?;
        for name in names {
            if mesh.aggregator(name).await.as_ref() != Some(&first) {
                return None;
            }
        }
        Some(first)
    })
    .await
}

/// Waits until three nodes are placed, which is decided after they have become the voters.
pub(super) async fn three_voters(mesh: &Mesh) {
    until("three nodes vote", async || {
        let key = json!({ "class": "default", "namespace": "test", "key": "x" });
        let named: Value = mesh.admin("a").post("name a session", "/mesh/v1/sessions", &key).await.ok()?;
        let path = format!("/admin/v1/placement/{}", named["id"].as_str()?);
        for name in NODES {
            let explained: Value = mesh.admin(name).get("explain", &path).await.ok()?;
            let holds = explained["nodes"].as_array()?.iter().filter(|node| node["verdict"] == "holds").count();
            if holds != NODES.len() {
                return None;
            }
        }
        Some(())
    })
    .await;
}

#[tokio::test]
async fn another_node_takes_over_from_a_dead_aggregator_and_the_dead_one_comes_back_under_it() {
    let mut mesh = Mesh::of(&NODES).await;
    three_voters(&mesh).await;
    let old = agreed(&mesh, &NODES, |_any| true).await;
    let dead = mesh.name_of(&old.holder).await;
    let left: Vec<&str> = NODES.into_iter().filter(|name| *name != dead).collect();
    mesh.kill(dead).await;

    let successor = agreed(&mesh, &left, |seen| seen.holder != old.holder).await;
    assert!(successor.term > old.term, "term {} after {}", successor.term, old.term);
    assert_eq!((&successor.region, &successor.cell), (&old.region, &old.cell));
    for name in &left {
        until("the dead node is down", async || {
            (mesh.state_of(&old.holder, name).await.as_deref() == Some("down")).then_some(())
        })
        .await;
        let rows = mesh.members(name).await;
        let leading: Vec<_> = rows.iter().filter(|row| row.aggregator).map(|row| row.node.as_str()).collect();
        assert_eq!(leading, [successor.holder.as_str()], "one member is marked as the aggregator");
    }

    let back = mesh.start_again(dead).await;
    assert_eq!(back.node, old.holder);
    mesh.all_alive().await;
    let after = agreed(&mesh, &NODES, |_any| true).await;
    assert_ne!(after.holder, old.holder, "who comes back takes no lease from who has it");
    assert!(after.term >= successor.term, "term {} after {}", after.term, successor.term);
}
