//! A node that leaves its mesh for good.

use hedgerow::admin::wire::{DepartureReport, DepartureState};

use super::fleet::{Mesh, until};

#[tokio::test]
async fn a_node_leaves_when_others_have_what_it_had_and_never_runs_again() {
    let mut mesh = Mesh::of(&["a", "b", "c"]).await;
    let node = mesh.status("c").await.node;
    until("a write is on all three", async || {
        let put = mesh.run("c", &["session", "put", "cart", "n=1", "--quorum", "3"]).await;
        (put.code == Some(0)).then_some(())
    })
    .await;
    let ran = mesh.run("c", &["leave", "-o", "json"]).await;
    let told = ran.stderr.clone();
    let report: DepartureReport = serde_json::from_str(&ran.ok()).expect("the report");
    assert!(told.starts_with("leaving: waits for "), "{told}");
    let expected = DepartureReport {
        node: node.clone(),
        state: DepartureState::Left,
        votes: false,
        groups_held: 0,
        groups_open: 0,
        is_relieved: true,
        waited_ms: report.waited_ms,
        gives_up_in_ms: None,
        error: None,
    };
    assert_eq!(report, expected);
    mesh.ended("c").await;
    for name in ["a", "b"] {
        until("the others know that it left", async || (mesh.state_of(&node, name).await? == "left").then_some(()))
            .await;
        until("the write is there", async || {
            let got = mesh.run(name, &["session", "get", "cart"]).await;
            (got.code == Some(0) && got.stdout.contains('1')).then_some(())
        })
        .await;
    }

    let again = mesh.run("c", &["run", "--port-base", "0", "--listen", "127.0.0.1:0"]).await;
    again.refused(5, &["this node left its mesh for good", "next: remove its data folder, or join as another node"]);
    assert_eq!(again.stdout, "", "it announces no port");
    let doctor = mesh.run("c", &["doctor"]).await;
    assert_eq!(doctor.code, Some(1));
    assert!(
        doctor.stdout.contains("FAIL  node: it left its mesh for good\n      next: remove its data"),
        "{}",
        doctor.stdout
    );
    mesh.run("c", &["leave"]).await.refused(3, &["failed to reach a node"]);
}

#[tokio::test]
async fn a_node_that_nobody_can_relieve_stays_unless_it_may_go_alone() {
    let mut mesh = Mesh::of(&["a"]).await;
    let refused = mesh.run("a", &["leave"]).await;
    refused.refused(
        1,
        &[
            "failed to leave the mesh: no other node of region eu can take over this node's vote",
            "next: let another node join region eu with a ticket of `hedgerow invite`; or repeat with --abandon",
        ],
    );
    assert_eq!(mesh.state_of(&mesh.status("a").await.node, "a").await.as_deref(), Some("alive"), "nothing changed");

    let left = mesh.run("a", &["leave", "--abandon"]).await.ok();
    assert!(left.contains("NOT all that it had was taken over"), "{left}");
    mesh.ended("a").await;
    mesh.run("a", &["run", "--port-base", "0"]).await.refused(5, &["this node left its mesh for good"]);
}

#[tokio::test]
async fn a_node_without_which_a_class_is_short_of_copies_stays() {
    let mesh = Mesh::of(&["a", "b"]).await;
    until("both hold the class `default`, which wants each write on two", async || {
        mesh.run("b", &["session", "put", "cart", "n=1", "--quorum", "2"]).await.code.filter(|code| *code == 0)
    })
    .await;
    mesh.run("b", &["leave"]).await.refused(
        1,
        &[
            "failed to leave the mesh: sessions of class default are to be on 2 nodes, and region eu would have 1",
            "next: let another node join region eu with a ticket of `hedgerow invite`; or repeat with --abandon",
        ],
    );
    assert_eq!(mesh.state_of(&mesh.status("b").await.node, "a").await.as_deref(), Some("alive"), "nothing changed");
}
