//! A mesh that does not hang on the node that founded it.

use std::time::{SystemTime, UNIX_EPOCH};

use hedgerow::admin::wire::IssuerRow;
use hedgerow_attest::time::UnixSeconds;

use super::fleet::{Mesh, until};

/// Clocks may differ by a quarter of a certificate's life.
const SKEW_S: u64 = 3;

fn now() -> UnixSeconds {
    UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set").as_secs())
}

async fn issuers(mesh: &Mesh, name: &str) -> Vec<IssuerRow> {
    mesh.admin(name).get("list the issuers", "/admin/v1/issuers").await.expect("it answers")
}

/// Waits until a node's certificate is by that issuer.
async fn renewed_by(mesh: &Mesh, name: &str, issuer: &str) {
    until("its certificate is of that issuer", async || {
        let report = mesh.status(name).await.certificate.expect("a node of this release says so");
        (report.issuer == issuer && report.failure.is_none()).then_some(())
    })
    .await;
}

/// What `doctor` says where it finds nothing that is wrong.
async fn doctor(mesh: &Mesh, name: &str, line: &str) {
    until("doctor says so", async || {
        let ran = mesh.run(name, &["doctor"]).await;
        (ran.code == Some(0) && ran.stdout.contains(line)).then_some(())
    })
    .await;
}

/// Has a node join with a ticket of another.
async fn join(mesh: &mut Mesh, name: &'static str, by: &str) {
    let ticket = mesh.path(&format!("ticket-{name}"));
    std::fs::write(&ticket, mesh.run(by, &["invite"]).await.ok()).expect("the folder");
    mesh.start(name, &["--ticket-file", &ticket.display().to_string()]);
    mesh.ready(name).await;
    mesh.all_alive().await;
}

#[tokio::test]
async fn a_mesh_with_a_second_issuer_renews_and_admits_without_its_founder() {
    let mut mesh = Mesh::of_short_lives("12s").await;
    join(&mut mesh, "c", "a").await;
    let (a, b) = (mesh.status("a").await.node, mesh.status("b").await.node);
    doctor(&mesh, "b", "warn  issuers: one alone: while it is away nobody joins").await;
    mesh.run("b", &["invite"]).await.refused(2, &["this node may not issue", "next: ask an issuer for a ticket"]);

    let told = mesh.run("a", &["issuer", "add", &b[..12]]).await.ok();
    assert!(told.starts_with(&format!("node {} may issue until 2", &b[..8])), "{told}");
    for name in ["a", "b", "c"] {
        until("it knows both issuers", async || {
            let mut known: Vec<_> = issuers(&mesh, name).await.into_iter().map(|row| row.node).collect();
            known.sort();
            let mut both = [a.clone(), b.clone()];
            both.sort();
            (known == both).then_some(())
        })
        .await;
    }
    let listed = mesh.run("a", &["issuer", "ls"]).await.ok();
    assert!(listed.contains("MAY ISSUE UNTIL") && listed.contains("founds cells, this node"), "{listed}");
    doctor(&mesh, "c", "ok    issuers: 2 may admit and renew").await;
    doctor(&mesh, "b", "ok    right to issue: until ").await;

    let founders = mesh.status("a").await.certificate.expect("a node of this release says so");
    mesh.stop("a").await;
    renewed_by(&mesh, "b", &b).await;
    renewed_by(&mesh, "c", &b).await;
    // Its certificate is over, and still the region's birth is checked by its keys.
    let end = UnixSeconds::parse(&founders.not_after).expect("a date").plus_s(SKEW_S);
    until("the founder's certificate is over", async || (now() > end).then_some(())).await;
    let ticket = mesh.path("ticket-d");
    std::fs::write(&ticket, mesh.run("b", &["invite"]).await.ok()).expect("the folder");
    mesh.start("d", &["--ticket-file", &ticket.display().to_string()]);
    mesh.ready("d").await;
    renewed_by(&mesh, "d", &b).await;

    // The right is on the disk, and the founder finds a mesh that went on.
    mesh.stop("b").await;
    mesh.start_again("b").await;
    mesh.run("b", &["invite"]).await.ok();
    mesh.start_again("a").await;
    mesh.all_alive().await;
    assert_eq!(issuers(&mesh, "d").await.len(), 2);
}

#[tokio::test]
async fn only_operators_give_the_right_to_issue_and_each_refusal_says_what_to_do() {
    let mesh = Mesh::of(&["a", "b"]).await;
    let (a, b) = (mesh.status("a").await.node, mesh.status("b").await.node);
    let key = |name: &str| mesh.path(name).display().to_string();
    let (policy_key, operator_key) = (key("a/policy.key"), key("a/operator.key"));
    let refused = [
        (vec!["issuer", "add"], 2, ["required arguments", "NODE"]),
        (vec!["issuer", "add", "zz"], 2, ["no node that is known here begins with 'zz'", "next: list the members"]),
        (
            vec!["issuer", "add", &b, "--key", &policy_key],
            1,
            ["load the membership key", "next: name an operator's key"],
        ),
        (
            vec!["issuer", "add", &b, "--for", "400d"],
            1,
            ["delegation over 34560000 s", "at most 31536000 s: --for 31536000s"],
        ),
        (vec!["issuer", "add", &b, "--for", "1h"], 1, ["ends no later than its right", "next: give it a longer right"]),
        (vec!["issuer", "add", &a, "--for", "90d"], 1, ["which is no sooner", "next: nothing has to be done"]),
        (vec!["invite", "--roles", "worker,king"], 2, ["'king' is no role", "voter, replica and worker"]),
        (vec!["invite", "--region", "moon", "--roles", "worker"], 1, ["has no cell yet", "with the role voter"]),
    ];
    for (words, code, told) in refused {
        mesh.run("a", &words).await.refused(code, &told);
    }
    mesh.run("b", &["issuer", "add", &b]).await.refused(1, &["operator.key", "next: name an operator's key"]);
    assert_eq!(issuers(&mesh, "b").await.len(), 1, "nothing changed");

    // What one operator signed another one hands in, at any node.
    let file = key("delegation");
    let written = mesh.run("a", &["issuer", "add", &b, "--for", "90d", "--out", &file]).await.ok();
    assert!(written.contains("signed by 1 operator and written to"), "{written}");
    assert_eq!(issuers(&mesh, "b").await.len(), 1, "nothing changed");
    mesh.run("b", &["issuer", "add", "--file", &file, "--key", &operator_key]).await.ok();
    until("all know of it", async || (issuers(&mesh, "a").await.len() == 2).then_some(())).await;
    let founder = format!("node {a} alone may found one");
    mesh.run("b", &["invite", "--region", "moon"]).await.refused(1, &[&founder, "next: have that node invite"]);
}

#[tokio::test]
async fn a_ticket_leads_to_an_issuer_that_moved_after_it_was_written() {
    let mut mesh = Mesh::empty();
    mesh.run("a", &["init", "--region", "eu"]).await.ok();
    mesh.start("a", &[]);
    mesh.ready("a").await;
    join(&mut mesh, "b", "a").await;
    let ticket = mesh.run("a", &["invite"]).await.ok();
    let (issuer, before) = (mesh.status("a").await.node, mesh.status("a").await.listen.udp);

    // It comes back on another free port, and somebody else may answer at its old one.
    mesh.stop("a").await;
    mesh.run("c", &["join", ticket.trim()]).await.refused(
        1,
        &[&format!("{before}: "), "refused the peer: wrong_peer", "next: see that it runs and that UDP reaches it"],
    );
    let doctor = mesh.run("c", &["doctor"]).await;
    assert_eq!(doctor.code, Some(1));
    assert!(doctor.stdout.contains("the last attempt to join: 20"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains(&format!("{before}: ")), "{}", doctor.stdout);
    let moved = mesh.start_again("a").await;
    assert_ne!(moved.listen.udp, before);
    until("b knows where it is", async || {
        let rows = mesh.members("b").await;
        rows.iter().find(|row| row.node == issuer)?.addresses.contains(&moved.listen.udp).then_some(())
    })
    .await;
    let printed = mesh.run("c", &["join", ticket.trim()]).await.ok();
    assert!(printed.contains("next: hedgerow run"), "{printed}");
}
