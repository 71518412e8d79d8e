//! What happens is told by each node as it sees it, to whoever asks and to whoever follows.

use std::process::Stdio;

use hedgerow::admin::Lines;
use hedgerow::admin::wire::{EventKind, EventRow, LinkChange, LinkPath};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::time::timeout;

use super::failover::{NODES, agreed};
use super::fleet::{Mesh, PATIENCE, command, until};

/// The next events, up to the first that is wanted.
async fn read_until(lines: &mut Lines, wanted: impl Fn(&EventKind) -> bool) -> Vec<EventRow> {
    let mut rows = Vec::new();
    loop {
        let line = timeout(PATIENCE, lines.next()).await.expect("more events are told");
        let line = line.expect("the node goes on").expect("the node follows");
        let row: EventRow = serde_json::from_slice(&line).expect("a row");
        let is_last = wanted(&row.what);
        rows.push(row);
        if is_last {
            return rows;
        }
    }
}

async fn events(mesh: &Mesh, name: &str, words: &[&str]) -> Vec<EventRow> {
    let text = mesh.run(name, &[&["events", "-o", "json"], words].concat()).await.ok();
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn member<'a>(row: &'a EventRow, of: &str) -> Option<&'a str> {
    match &row.what {
        EventKind::Member { node, to, .. } if node == of => Some(to),
        _ => None,
    }
}

fn link(row: &EventRow, of: &str) -> Option<LinkChange> {
    match &row.what {
        EventKind::Link { node, change, .. } if node == of => Some(*change),
        _ => None,
    }
}

#[tokio::test]
async fn the_death_of_a_node_is_told_to_followers_as_it_happens_and_to_others_later() {
    let mut mesh = Mesh::of(&NODES).await;
    let leader = agreed(&mesh, &NODES, |_any| true).await;
    let dead = mesh.status("c").await;
    let mut follower = mesh.admin("a").lines("follow", "/admin/v1/events?follow=true").await.expect("it answers");
    let before = read_until(
        &mut follower,
        |what| matches!(what, EventKind::Link { node, change: LinkChange::Up, .. } if *node == dead.node),
    )
    .await;
    let EventKind::Link { path, .. } = &before.last().expect("a row").what else { panic!("{before:?}") };
    assert_eq!(*path, LinkPath::Direct { address: dead.listen.udp });

    mesh.kill("c").await;
    let down =
        |what: &EventKind| matches!(what, EventKind::Member { node, to, .. } if *node == dead.node && to == "down");
    let told = [before, read_until(&mut follower, down).await].concat();
    let numbers: Vec<u64> = told.iter().map(|row| row.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "none is left out");
    assert!(told.is_sorted_by_key(|row| &row.at));
    let states: Vec<&str> = told.iter().filter_map(|row| member(row, &dead.node)).collect();
    assert!(states.ends_with(&["alive", "suspect", "down"]), "{states:?}");
    until("the link is told to be down", async || {
        let rows = events(&mesh, "a", &[]).await;
        let changes: Vec<LinkChange> = rows.iter().filter_map(|row| link(row, &dead.node)).collect();
        changes.ends_with(&[LinkChange::Up, LinkChange::Down]).then_some(())
    })
    .await;

    let rows = events(&mesh, "a", &[]).await;
    assert_eq!(rows[..told.len()], told);
    let led = |row: &EventRow| match &row.what {
        EventKind::Aggregator { holder: Some(holder), term, .. } => (holder, *term) == (&leader.holder, leader.term),
        _ => false,
    };
    assert!(rows.iter().any(led), "{leader:?} is not in {rows:?}");
    assert!(rows.iter().any(|row| matches!(row.what, EventKind::Placement { fault: None, .. })), "{rows:?}");
    let since = numbers[numbers.len() - 2];
    let rest = events(&mesh, "a", &["--since", &since.to_string()]).await;
    assert_eq!(rest[0], told[told.len() - 1]);
    let text = mesh.run("a", &["events"]).await.ok();
    let line = format!("  member       {}  suspect -> down", &dead.node[..8]);
    assert!(text.lines().any(|told| told.ends_with(&line)), "`{line}` is not in: {text}");
}

#[tokio::test]
async fn a_node_with_followers_stops_and_they_end_with_it() {
    let mut mesh = Mesh::of(&["a"]).await;
    let mut follower = command(&mesh.path("a"), &["events", "-f"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("it is piped"));
    let mut first = String::new();
    timeout(PATIENCE, lines.read_line(&mut first)).await.expect("in time").expect("a line");
    mesh.stop("a").await;
    assert_eq!(timeout(PATIENCE, follower.wait()).await.expect("it ends").expect("it ran").code(), Some(0));
    let mut rest = String::new();
    lines.read_to_string(&mut rest).await.expect("text");
    let told = [first, rest].concat();
    assert!(told.contains("  node         -         speaks, incarnation 1\n"), "{told}");
    assert!(!mesh.log("a").contains("did not end in time"), "nothing had to be cut off");
}

#[tokio::test]
async fn a_stranger_that_is_refused_is_an_event() {
    let mut mesh = Mesh::of(&["a"]).await;
    mesh.run("x", &["init", "--name", "elsewhere"]).await.ok();
    mesh.start("x", &[]);
    mesh.ready("x").await;
    let address = mesh.status("a").await.listen.udp.to_string();
    assert_eq!(mesh.run("x", &["ping", &address]).await.code, Some(1));
    until("the refusal is told", async || {
        let rows = events(&mesh, "a", &[]).await;
        let refused =
            |row: &EventRow| matches!(&row.what, EventKind::Refusal { reason, times: 1 } if reason == "other_mesh");
        rows.iter().any(refused).then_some(())
    })
    .await;
}
