//! From a ticket to a member, and from a bad ticket to an explanation.

use std::fs;
use std::time::SystemTime;

use hedgerow::admin::wire::Status;
use hedgerow_attest::id::MeshId;
use hedgerow_attest::invite::InviteSecret;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::ticket::{Invitation, Ticket};

use super::fleet::{Mesh, until};

/// A node that founded a mesh and runs.
async fn founder() -> Mesh {
    let mut mesh = Mesh::empty();
    mesh.run("a", &["init", "--name", "orchard", "--region", "eu"]).await.ok();
    mesh.start("a", &[]);
    mesh.ready("a").await;
    mesh
}

async fn ticket(mesh: &Mesh, node: &str, words: &[&str]) -> String {
    mesh.run(node, &[&["invite"], words].concat()).await.ok().trim().to_owned()
}

/// The same invitation with something else in it, under a signature that holds: anybody can write that.
fn rewritten(ticket: &str, change: impl FnOnce(&mut Invitation)) -> String {
    let mut invitation: Invitation = (*Ticket::decode(ticket).expect("a ticket")).clone();
    change(&mut invitation);
    Ticket::issue(&invitation, &SecretKey::from_seed([7; 32])).encode()
}

#[tokio::test]
async fn a_node_joins_by_ticket_and_needs_none_afterwards() {
    let mut mesh = founder().await;
    let ticket = ticket(&mesh, "a", &[]).await;
    let printed = mesh.run("b", &["join", &ticket]).await.ok();
    assert!(printed.contains("next: hedgerow run"), "{printed}");
    mesh.start("b", &[]);
    let joined = mesh.ready("b").await;
    mesh.all_alive().await;
    let founder = mesh.status("a").await;
    assert_eq!((joined.mesh, joined.region, joined.cell), (founder.mesh, "eu".to_owned(), founder.cell));
    assert!(printed.contains(&joined.node), "{printed}");

    mesh.stop("b").await;
    let again: Status = mesh.start_again("b").await;
    assert_eq!((again.node, again.peer), (joined.node, joined.peer));
    mesh.all_alive().await;
}

#[tokio::test]
async fn a_ticket_of_one_use_admits_one_of_two_at_once() {
    let mesh = founder().await;
    let only = ticket(&mesh, "a", &["--uses", "1"]).await;
    let words = ["join", only.as_str()];
    let (b, c) = tokio::join!(mesh.run("b", &words), mesh.run("c", &words));
    let (late, turned_away) = if b.code == Some(0) { ("c", c) } else { ("b", b) };
    turned_away.refused(1, &["every use of the ticket is taken", "ask for a fresh one"]);
    let other = if late == "c" { "b" } else { "c" };
    assert!(mesh.path(other).join("membership.bin").exists(), "one was admitted");
    assert!(!mesh.path(late).join("membership.bin").exists(), "the other was not");

    let second = ticket(&mesh, "a", &[]).await;
    mesh.run(late, &["join", &second]).await.ok();
    // The node that has used the ticket up is no member twice.
    mesh.run(other, &["join", &second]).await.refused(1, &["belongs to a member already", "hedgerow run", "--data"]);
}

#[tokio::test]
async fn a_spoiled_ticket_is_told_from_others_and_leaves_the_folder_fit_for_a_good_one() {
    let mesh = founder().await;
    let good = ticket(&mesh, "a", &["--uses", "2"]).await;
    let letter = if good.as_bytes()[120] == b'a' { "b" } else { "a" };
    let mistyped = [&good[..120], letter, &good[121..]].concat();
    let later_version = good.replacen("hedgerow1", "hedgerow2", 1);
    let other_mesh = rewritten(&good, |invitation| invitation.mesh = MeshId::from_bytes([9; 32]));
    let guessed = rewritten(&good, |invitation| invitation.secret = InviteSecret::from_bytes([9; 16]));
    let ended = rewritten(&good, |invitation| invitation.not_after.0 = 1);
    for (ticket, complaint) in [
        (&good[..good.len() - 6], "cut short or mistyped: copy it again"),
        (&mistyped, "cut short or mistyped: copy it again"),
        ("orchard", "text that is not a ticket: it has to begin with hedgerow1"),
        (&later_version, "a version that this release does not know"),
        (&ended, "ticket that expired at 1970-01-01"),
        (&guessed, "the ticket's secret is not that of the invitation; ask for a fresh ticket"),
        (&other_mesh, "the issuer's root is that of mesh"),
    ] {
        let ran = mesh.run("b", &["join", ticket]).await;
        ran.refused(1, &[complaint]);
        assert!(ran.stderr.contains("next: ask") || ran.stderr.contains("; ask"), "no remedy in: {}", ran.stderr);
        assert!(!mesh.path("b/membership.bin").exists(), "{complaint}");
    }
    mesh.run("b", &["join", &good]).await.ok();
}

#[tokio::test]
async fn a_ticket_ends_on_its_second() {
    let mesh = founder().await;
    let brief = ticket(&mesh, "a", &["--ttl", "1s"]).await;
    let ends = Ticket::decode(&brief).expect("a ticket").not_after.0;
    until("the ticket's second is over", async || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the epoch is over");
        (now.as_secs() > ends).then_some(())
    })
    .await;
    mesh.run("b", &["join", &brief]).await.refused(1, &["ticket that expired at", "hedgerow invite"]);
    // Nor does the issuer believe a later date that the ticket's holder wrote.
    let extended = rewritten(&brief, |invitation| invitation.not_after.0 += 3_600);
    mesh.run("b", &["join", &extended]).await.refused(1, &["the ticket expired at", "ask for a fresh one"]);
    let fresh = ticket(&mesh, "a", &[]).await;
    mesh.run("b", &["join", &fresh]).await.ok();
}

#[tokio::test]
async fn a_member_stays_in_its_mesh_whatever_ticket_it_is_given() {
    let mut mesh = founder().await;
    mesh.run("o", &["init", "--name", "other"]).await.ok();
    mesh.start("o", &[]);
    mesh.ready("o").await;
    let home = ticket(&mesh, "a", &[]).await;
    mesh.run("b", &["join", &home]).await.ok();
    let kept = fs::read(mesh.path("b/membership.bin")).expect("a member");

    let foreign = ticket(&mesh, "o", &[]).await;
    mesh.run("b", &["join", &foreign]).await.refused(1, &["ticket of mesh", "this node belongs to mesh", "--data"]);
    assert_eq!(fs::read(mesh.path("b/membership.bin")).expect("a member"), kept);
    fs::write(mesh.path("foreign"), foreign).expect("the ticket");
    let file = mesh.path("foreign").display().to_string();
    mesh.start("b", &["--ticket-file", &file]);
    let running = mesh.ready("b").await;
    assert_eq!(running.mesh, mesh.status("a").await.mesh);
}
