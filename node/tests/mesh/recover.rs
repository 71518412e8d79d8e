//! Operators have a region go on that lost the quorum of its voters for good.

use hedgerow::admin::wire::{Aggregator, RecoveryReport};
use serde_json::Value;

use super::failover::{NODES, agreed, three_voters};
use super::fleet::{Mesh, until};

#[tokio::test]
async fn a_region_without_a_quorum_goes_on_when_its_operator_says_so_and_the_dead_follow_when_they_are_back() {
    let mut mesh = Mesh::of(&NODES).await;
    three_voters(&mesh).await;
    let old = agreed(&mesh, &NODES, |_any| true).await;
    mesh.run("a", &["recover"])
        .await
        .refused(1, &["recovery of a cell that somebody leads", "next: nothing has to be done"]);
    mesh.kill("b").await;
    mesh.kill("c").await;
    until("nobody leads", async || {
        let ran = mesh.run("a", &["recover", "-o", "json"]).await;
        (ran.code == Some(0)).then_some(ran.stdout)
    })
    .await;

    // What is only looked at changes nothing.
    let file = mesh.path("recovery").display().to_string();
    let drafted = mesh.run("a", &["recover", "--out", &file]).await.ok();
    assert!(drafted.contains("signed by   0 operators") && drafted.contains("after slot"), "{drafted}");
    mesh.run("a", &["recover", &file, "--submit"]).await.refused(1, &["0 valid signatures of the key set, 1 needed"]);
    let stranger = mesh.path("a/policy.key").display().to_string();
    mesh.run("a", &["recover", &file, "--sign", "--key", &stranger])
        .await
        .refused(1, &["next: name an operator's key"]);
    assert_eq!(mesh.aggregator("a").await, None);

    let signed = mesh.run("a", &["recover", &file, "--sign", "-o", "json"]).await.ok();
    let report: RecoveryReport = serde_json::from_str(&signed).expect("a report");
    assert_eq!((report.generation, report.ends_generation, report.signatures, report.in_force), (1, 0, 1, true));
    assert_eq!((&report.cell, report.quorum, report.voters.len()), (&old.cell, 1, 1));
    let recovered = |seen: &Aggregator| seen.generation == 1;
    let alone = agreed(&mesh, &["a"], recovered).await;
    assert_eq!((&alone.holder, alone.voters), (&report.voters[0], 1));
    mesh.run("a", &["recover", &file, "--sign"]).await.refused(1, &["next: the cell goes on in this generation"]);

    // The two that come back are a quorum of the voters that were.
    for name in ["b", "c"] {
        mesh.start_again(name).await;
    }
    mesh.all_alive().await;
    let after = agreed(&mesh, &NODES, |seen| recovered(seen) && seen.voters == 3).await;
    assert_eq!((&after.region, &after.cell), (&old.region, &old.cell));
    let status: Value = serde_json::from_str(&mesh.run("c", &["status", "-o", "json"]).await.ok()).expect("a status");
    assert_eq!(status["aggregators"][0]["generation"], 1);
}
