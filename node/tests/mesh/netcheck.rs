//! The links of a cell, as all of its members see them.

use hedgerow::admin::wire::{NetcheckReport, Notable};
use serde_json::{Value, json};

use super::failover::NODES;
use super::fleet::{Mesh, until};

fn report(text: &str) -> NetcheckReport {
    serde_json::from_str(text).expect("the report")
}

#[tokio::test]
async fn every_member_tells_its_links_and_its_clock_and_nothing_is_notable() {
    let mesh = Mesh::of(&NODES).await;
    // Each has a link to each in a cell of three, once all have found each other.
    let report = until("all are linked and nothing is notable", async || {
        let ran = mesh.run("a", &["netcheck", "-o", "json"]).await;
        let report = report(&ran.stdout);
        assert_eq!(ran.code, Some(i32::from(!report.notable.is_empty())));
        let linked = report.members.iter().filter(|member| member.links.len() == 2).count();
        (linked == 3 && report.notable.is_empty()).then_some(report)
    })
    .await;
    let me = mesh.status("a").await.node;
    for member in &report.members {
        assert_eq!((member.me, member.failure.as_deref()), (member.node == me, None));
        for link in &member.links {
            assert!(report.members.iter().any(|other| other.node == link.node && other.node != member.node));
            assert!(link.path == "direct" && link.rtt_ms > 0.0 && link.sent_packets > 0, "{link:?}");
        }
        // All of them read the same clock.
        let off = member.clock_offset_ms.zip(member.clock_error_ms);
        assert!(off.is_none_or(|(offset, error)| offset.abs() <= error + 1.0), "{member:?}");
        assert_eq!((off.is_none(), member.answered_ms.is_none()), (member.me, member.me));
    }
    let text = mesh.run("b", &["netcheck"]).await.ok();
    assert!(text.contains("RTT IN MS") && text.ends_with("nothing notable\n"), "{text}");
}

#[tokio::test]
async fn a_lossy_link_and_a_member_that_does_not_answer_are_named() {
    let mesh = Mesh::of(&NODES).await;
    let (b, c) = (mesh.status("b").await, mesh.status("c").await);
    let rules = json!({ "rules": [{ "peer": b.listen.udp, "loss_percent": 20 }] });
    let set = mesh.admin("a").put("lose", "/admin/v1/emulation", &rules).await;
    let _rules: Value = set.expect("the node runs with --emulate");
    let a = mesh.status("a").await.node;
    until("the loss is named", async || {
        let ran = mesh.run("b", &["netcheck", "-o", "json"]).await;
        let lossy = |notable: &Notable| {
            matches!(notable, Notable::Loss { node, peer, percent } if *node == a && *peer == b.node && *percent > 1.0)
        };
        report(&ran.stdout).notable.iter().any(lossy).then(|| assert_eq!(ran.code, Some(1)))
    })
    .await;

    mesh.cut(&["b", "c"]).await;
    let told = format!("notable: {} did not answer: ", &c.node[..8]);
    until("the other end of a cut is named", async || {
        let ran = mesh.run("b", &["netcheck"]).await;
        ran.stdout.contains(&told).then(|| assert_eq!(ran.code, Some(1)))
    })
    .await;
}
