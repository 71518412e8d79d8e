//! Two that cannot reach each other, and a third that both reach.

use hedgerow::admin::wire::LinkPath;

use super::fleet::{Mesh, until};

/// On which way a node's link to another runs.
async fn path(mesh: &Mesh, from: &str, to: &str) -> Option<LinkPath> {
    mesh.members(from).await.into_iter().find(|row| row.node == to)?.path
}

#[tokio::test]
async fn two_that_are_cut_from_each_other_go_on_through_a_third_and_directly_when_they_can() {
    let mesh = Mesh::of(&["a", "b", "c"]).await;
    let (a, b, c) = (mesh.status("a").await, mesh.status("b").await, mesh.status("c").await);
    let by = a.node.clone();
    for name in ["b", "c"] {
        let waits = async || (mesh.status(name).await.relays.waits_at == [by.clone()]).then_some(());
        until("it waits at the relay", waits).await;
    }
    mesh.cut(&["b", "c"]).await;
    let relayed = Some(LinkPath::Relayed { by: by.clone() });
    let through_a = async || {
        (path(&mesh, "b", &c.node).await == relayed && path(&mesh, "c", &b.node).await == relayed).then_some(())
    };
    until("they talk through the third", through_a).await;
    mesh.all_alive().await;
    let pong = mesh.run("b", &["ping", &c.node]).await.ok();
    assert!(pong.contains(&c.node[..8]), "{pong}");
    let table = mesh.run("b", &["members", "-o", "wide"]).await.ok();
    assert!(table.contains(&format!("relayed by {}", &by[..8])), "{table}");
    assert!(table.contains(&format!("at relay {}", &by[..8])), "{table}");
    let status = mesh.run("a", &["status"]).await.ok();
    assert!(status.contains("relays      for 2 member(s), "), "{status}");
    let status = mesh.run("c", &["status"]).await.ok();
    assert!(status.contains(&format!("found at    {}: others may not reach", &by[..8])), "{status}");
    let events = mesh.run("b", &["events"]).await.ok();
    assert!(events.contains(&format!("relayed by {}", &by[..8])), "{events}");

    mesh.cut(&[]).await;
    let direct = |path: Option<LinkPath>| matches!(path, Some(LinkPath::Direct { .. }));
    let both =
        async || (direct(path(&mesh, "b", &c.node).await) && direct(path(&mesh, "c", &b.node).await)).then_some(());
    until("their link is direct again", both).await;
    mesh.all_alive().await;
}
