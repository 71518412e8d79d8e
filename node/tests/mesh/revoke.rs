//! A node that is put out of its mesh for good.

use super::fleet::{Mesh, until};

const NODES: [&str; 3] = ["a", "b", "c"];
const REASON: &str = "laptop was stolen in Utrecht";

/// Waits until none of these shows that node any more.
async fn unseen(mesh: &Mesh, node: &str, by: &[&str]) {
    for name in by {
        until("it is no member there", async || mesh.state_of(node, name).await.is_none().then_some(())).await;
        assert_eq!(mesh.status(name).await.revoked, 1);
    }
}

/// Starting a node that was put out is of no use, and it says why by itself.
async fn says_why(mesh: &Mesh, name: &str) {
    let again = mesh.run(name, &["run", "--rest", "127.0.0.1:0", "--listen", "127.0.0.1:0"]).await;
    let by = "this node was put out of its mesh for good, by the operators of the mesh on ";
    again.refused(6, &[by, REASON, "next: remove its data folder, or join as another node"]);
    assert_eq!(again.stdout, "", "it announces no port");
    let doctor = mesh.run(name, &["doctor"]).await;
    assert_eq!(doctor.code, Some(1));
    let told = "FAIL  node: it was put out of its mesh for good on ";
    assert!(doctor.stdout.contains(told) && doctor.stdout.contains(REASON), "{}", doctor.stdout);
}

#[tokio::test]
async fn a_revoked_node_is_shut_out_by_all_says_why_and_stays_out() {
    let mut mesh = Mesh::of(&NODES).await;
    let node = mesh.status("c").await.node;
    let ran = mesh.run("a", &["revoke", &node[..12], "--reason", REASON]).await.ok();
    assert_eq!(ran.trim(), format!("node {} is out for good, by operators: {REASON}", &node[..8]));
    mesh.ended("c").await;
    unseen(&mesh, &node, &["a", "b"]).await;
    let log = mesh.log("c");
    assert!(log.contains("was put out of its mesh for good") && log.contains(REASON), "{log}");
    says_why(&mesh, "c").await;

    for name in ["a", "b"] {
        mesh.stop(name).await;
        mesh.start_again(name).await;
        mesh.all_alive().await;
    }
    unseen(&mesh, &node, &["a", "b"]).await;
    mesh.run("a", &["revoke", &node]).await.refused(1, &["the node is out already", "next: nothing has to be done"]);
}

#[tokio::test]
async fn a_node_that_was_off_when_it_was_revoked_is_told_why_when_it_comes_back() {
    let mut mesh = Mesh::of(&NODES).await;
    let (node, other) = (mesh.status("c").await.node, mesh.status("b").await.node);
    mesh.stop("c").await;
    mesh.run("a", &["revoke", &node, "--reason", REASON]).await.ok();
    unseen(&mesh, &node, &["a", "b"]).await;
    mesh.run("a", &["forget", &other[..12]]).await.refused(1, &["it is a member", "next: have it leave"]);
    mesh.run("a", &["forget", &node[..12]]).await.ok();
    let events = mesh.run("a", &["events"]).await.ok();
    let short = &node[..8];
    for line in [format!("  revoked      {short}  {REASON}\n"), format!("  forgotten    {short}  is shown no more\n")] {
        assert!(events.contains(&line), "`{line}` is not in: {events}");
    }

    mesh.run_again("c");
    mesh.ended("c").await;
    let log = mesh.log("c");
    assert!(log.contains("a member shows why others refuse this node") && log.contains(REASON), "{log}");
    says_why(&mesh, "c").await;
    let refusals = mesh.status("a").await.refusals;
    let counted = |reason: &str| refusals.get(reason).copied().unwrap_or(0);
    assert!(counted("revoked") > 0 && counted("renewal_revoked") > 0, "{refusals:?}");
}

#[tokio::test]
async fn only_those_revoke_who_may_and_each_refusal_says_what_to_do() {
    let mut mesh = Mesh::of(&NODES).await;
    let (a, c) = (mesh.status("a").await.node, mesh.status("c").await.node);
    let policy_key = mesh.path("a/policy.key").display().to_string();
    let operator_key = mesh.path("a/operator.key").display().to_string();
    let refused = [
        (vec!["revoke", &c, "--key", &policy_key], 1, ["load the revocation key", "next: name an operator's key"]),
        (vec!["revoke", &a], 1, ["this node would end before others hear of it", "run it on another node"]),
        (vec!["revoke", "zz"], 2, ["no node that is known here begins with 'zz'", "next: list the members"]),
        (vec!["revoke", &c, "--reason", "two\nlines"], 2, ["control character", "one line"]),
    ];
    for (words, code, told) in refused {
        mesh.run("a", &words).await.refused(code, &told);
    }
    mesh.run("b", &["revoke", &c]).await.refused(1, &["operator.key", "next: name an operator's key"]);
    mesh.run("b", &["revoke", &c, "--as-issuer"])
        .await
        .refused(2, &["this node may not issue", "next: run it on the issuer"]);
    assert_eq!([mesh.status("a").await.revoked, mesh.status("b").await.revoked], [0, 0], "nothing changed");

    // What one operator signed another one hands in, at any node.
    let file = mesh.path("statement").display().to_string();
    let written = mesh.run("a", &["revoke", &c, "--reason", REASON, "--out", &file]).await.ok();
    assert!(written.contains("signed by 1 operator and written to"), "{written}");
    assert_eq!([mesh.status("a").await.revoked, mesh.status("b").await.revoked], [0, 0], "nothing changed");
    mesh.run("b", &["revoke", "--file", &file, "--key", &operator_key]).await.ok();
    mesh.ended("c").await;
    unseen(&mesh, &c, &["a", "b"]).await;
}

#[tokio::test]
async fn an_issuer_puts_out_whom_it_let_in_without_an_operators_key() {
    let mut mesh = Mesh::of(&["a", "b"]).await;
    let (issuer, node) = (mesh.status("a").await.node, mesh.status("b").await.node);
    std::fs::remove_file(mesh.path("a/operator.key")).expect("operators take it off the machine");
    let told = mesh.run("a", &["revoke", &node[..12], "--as-issuer", "--reason", REASON]).await.ok();
    assert_eq!(told.trim(), format!("node {} is out for good, by issuer {}: {REASON}", &node[..8], &issuer[..8]));
    mesh.ended("b").await;
    unseen(&mesh, &node, &["a"]).await;
    let again = mesh.run("b", &["run", "--rest", "127.0.0.1:0", "--listen", "127.0.0.1:0"]).await;
    again.refused(6, &[&format!("by issuer {issuer} on "), REASON]);
}
