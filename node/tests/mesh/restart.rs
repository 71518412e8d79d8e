//! A node that ends with notice is expected back.

use std::collections::BTreeSet;
use std::process::ExitStatus;

use hedgerow::runner::Stopped;

use super::fleet::{Mesh, until};

#[tokio::test]
async fn a_stopped_node_is_stopping_and_not_lost() {
    let mut mesh = Mesh::of(&["a", "b"]).await;
    let node = mesh.status("b").await.node;
    assert!(mesh.path("b/admin.sock").exists(), "a running node has a socket");

    assert_eq!(mesh.stop("b").await, Stopped::Itself(ExitStatus::default()), "exit code 0, without being killed");
    assert!(!mesh.path("b/admin.sock").exists(), "it left its socket behind");
    mesh.run("b", &["status"]).await.refused(3, &["next: start it with `hedgerow run`"]);
    let mut seen = BTreeSet::new();
    until("a has heard that b stops", async || {
        let state = mesh.state_of(&node, "a").await?;
        seen.insert(state.clone());
        (state == "stopping").then_some(())
    })
    .await;

    let back = mesh.start_again("b").await;
    assert_eq!(back.node, node);
    until("b is back", async || {
        let state = mesh.state_of(&node, "a").await?;
        seen.insert(state.clone());
        (state == "alive").then_some(())
    })
    .await;
    let allowed = BTreeSet::from(["alive".to_owned(), "stopping".to_owned()]);
    assert!(seen.is_subset(&allowed), "{seen:?}");
    mesh.all_alive().await;
}

#[tokio::test]
async fn a_killed_node_starts_over_its_old_socket() {
    let mut mesh = Mesh::of(&["a"]).await;
    let before = mesh.status("a").await;
    mesh.kill("a").await;
    assert!(mesh.path("a/admin.sock").exists(), "a dead node removes nothing");
    let after = mesh.start_again("a").await;
    assert_eq!((&after.node, &after.mesh, &after.cell), (&before.node, &before.mesh, &before.cell));
    assert_ne!(after.pid, before.pid);
    until("it leads its region again, in a later term", async || {
        let then = before.aggregators.first().map_or(0, |aggregator| aggregator.term);
        mesh.aggregator("a").await.filter(|now| now.holder == after.node && now.term > then)
    })
    .await;
}
