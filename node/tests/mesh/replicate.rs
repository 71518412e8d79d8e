//! What an acknowledged write to a session promises, with the network whole, in pieces, and with nodes gone.

use hedgerow::admin::Answer;
use hedgerow::admin::HttpClient;
use hyper::Method;
use serde_json::{Value, json};

use super::fleet::{Mesh, until};

const NODES: [&str; 3] = ["a", "b", "c"];

/// Three nodes, each of which holds every session of the class `default`; and the id of one.
async fn three_replicas() -> (Mesh, String) {
    let mesh = Mesh::of(&NODES).await;
    let body = json!({ "class": "default", "namespace": "test", "key": "cart" }).to_string();
    let named: Value = mesh
        .rest("a", Method::POST, "/mesh/v1/sessions", body)
        .await
        .json_or_refusal("name a session")
        .expect("a cell is known");
    let session = named["id"].as_str().expect("an id").to_owned();
    until("every node knows of three replicas", async || {
        for name in NODES {
            let path = format!("/admin/v1/placement/{session}");
            let explained: Value = mesh.admin(name).get("explain", &path).await.ok()?;
            let nodes = explained["nodes"].as_array()?;
            let holders = nodes.iter().filter(|node| node["verdict"] == "holds").count();
            // While the mesh grew each placement had one replica more, and their quorums count until they are retired.
            if holders != NODES.len() || explained["moving"] != false {
                return None;
            }
        }
        Some(())
    })
    .await;
    (mesh, session)
}

/// Sets values through a node, with headers and a query of the caller's.
async fn write(mesh: &Mesh, name: &str, target: &str, etag: Option<&str>, set: Value) -> (u16, Value) {
    let rest = HttpClient::tcp(mesh.status(name).await.listen.rest);
    let headers: Vec<_> = etag.map(|etag| ("if-match", etag)).into_iter().collect();
    let path = format!("/mesh/v1/sessions/{target}");
    let answer: Answer =
        rest.exchange(Method::PATCH, &path, &headers, json!({ "set": set }).to_string()).await.expect("it answers");
    (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
}

/// The session as a node answers for it, at least as new as the token says.
async fn read(mesh: &Mesh, name: &str, session: &str, token: Option<&str>) -> Option<Value> {
    let rest = HttpClient::tcp(mesh.status(name).await.listen.rest);
    let headers: Vec<_> = token.map(|token| ("hedgerow-token", token)).into_iter().collect();
    let answer = rest.exchange(Method::GET, &format!("/mesh/v1/sessions/{session}"), &headers, "").await;
    answer.expect("it answers").json_or_refusal("read the session").ok()
}

/// Waits until a node's own answer has this value.
async fn comes_to_hold(mesh: &Mesh, name: &str, session: &str, value: &Value) {
    until(&format!("{name} holds {value}"), async || {
        (read(mesh, name, session, None).await?["value"] == *value).then_some(())
    })
    .await;
}

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_else(|| panic!("no {key} in {answer}"))
}

#[tokio::test]
async fn a_write_on_two_nodes_is_read_through_another_and_guarded_by_its_tag() {
    let (mesh, session) = three_replicas().await;
    let target = format!("{session}?quorum=2");
    let (status, written) = write(&mesh, "a", &target, None, json!({ "items/milk": 2 })).await;
    assert_eq!((status, written["wanted"].as_u64()), (200, Some(2)), "{written}");
    assert!(written["acked"].as_u64() >= Some(2), "{written}");
    for name in ["b", "c"] {
        let seen = read(&mesh, name, &session, Some(text(&written, "token"))).await.expect("at least that state");
        assert_eq!(seen["value"], json!({ "items": { "milk": 2 } }), "through {name}");
        assert_eq!(text(&seen, "etag"), text(&written, "etag"), "through {name}");
    }

    let first = text(&written, "etag").to_owned();
    let (status, second) = write(&mesh, "a", &target, Some(&first), json!({ "items/milk": 3 })).await;
    assert_eq!(status, 200, "{second}");
    let (status, refused) = write(&mesh, "a", &target, Some(&first), json!({ "items/milk": 9 })).await;
    assert_eq!((status, text(&refused, "type")), (412, "session-precondition-failed"));
    assert_eq!(refused["value"], json!({ "items": { "milk": 3 } }));
    assert_eq!(refused["etag"], second["etag"], "a client can go on from the refusal");
    let after = read(&mesh, "b", &session, Some(text(&second, "token"))).await.expect("at least that state");
    assert_eq!(after["value"], json!({ "items": { "milk": 3 } }));
}

#[tokio::test]
async fn writes_on_both_sides_of_a_cut_are_accepted_below_their_quorum_and_merge_after_it() {
    let (mesh, session) = three_replicas().await;
    let target = format!("{session}?quorum=2&timeout_ms=400");
    mesh.cut(&NODES).await;
    for (name, set) in [("a", json!({ "bread": 1 })), ("b", json!({ "eggs": 6 }))] {
        let (status, body) = write(&mesh, name, &target, None, set).await;
        let told = (status, body["acked"].as_u64(), body["wanted"].as_u64());
        assert_eq!(told, (202, Some(1), Some(2)), "through {name}: {body}");
    }
    let own = read(&mesh, "a", &session, None).await.expect("its own write");
    assert_eq!(own["value"], json!({ "bread": 1 }));
    mesh.cut(&[]).await;
    for name in NODES {
        comes_to_hold(&mesh, name, &session, &json!({ "bread": 1, "eggs": 6 })).await;
    }
    let (status, body) = write(&mesh, "c", &session, None, json!({ "salt": 1 })).await;
    assert_eq!((status, body["wanted"].as_u64()), (200, Some(2)), "{body}");
}

#[tokio::test]
async fn an_acknowledged_write_survives_the_death_of_the_only_node_that_has_it() {
    let (mut mesh, session) = three_replicas().await;
    let target = format!("{session}?quorum=2");
    let (status, body) = write(&mesh, "b", &target, None, json!({ "before": 1 })).await;
    assert_eq!(status, 200, "{body}");
    mesh.cut(&NODES).await;
    let alone = format!("{session}?quorum=1");
    let (status, written) = write(&mesh, "b", &alone, None, json!({ "last": "word" })).await;
    assert_eq!((status, written["acked"].as_u64()), (200, Some(1)), "{written}");
    mesh.kill("b").await;
    // The rules that part the others end with their processes only; those of a node that starts again are gone.
    mesh.start_again("b").await;
    let value = json!({ "before": 1, "last": "word" });
    comes_to_hold(&mesh, "b", &session, &value).await;
    mesh.cut(&[]).await;
    for name in NODES {
        comes_to_hold(&mesh, name, &session, &value).await;
    }
}

#[tokio::test]
async fn a_node_that_is_left_alone_never_claims_a_quorum() {
    let (mut mesh, session) = three_replicas().await;
    let target = format!("{session}?timeout_ms=500");
    let (status, body) = write(&mesh, "a", &target, None, json!({ "n": 0 })).await;
    assert_eq!((status, body["wanted"].as_u64()), (200, Some(2)), "the class wants two: {body}");
    mesh.kill("b").await;
    mesh.kill("c").await;
    // Before and after the node has noticed: the answer is the same.
    let mut answers = Vec::new();
    for number in 1..=4 {
        let (status, body) = write(&mesh, "a", &target, None, json!({ "n": number })).await;
        answers.push((status, body["acked"].as_u64(), body["wanted"].as_u64()));
    }
    assert_eq!(answers, [(202, Some(1), Some(2)); 4]);
    mesh.start_again("b").await;
    comes_to_hold(&mesh, "b", &session, &json!({ "n": 4 })).await;
    until("two nodes make a quorum", async || {
        let (status, body) = write(&mesh, "a", &target, None, json!({ "n": 5 })).await;
        (status == 200 && body["acked"].as_u64() >= Some(2)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_is_no_longer_wanted_hands_over_what_it_has_and_drops_it() {
    let (mesh, session) = three_replicas().await;
    let (status, body) = write(&mesh, "a", &session, None, json!({ "n": 1 })).await;
    assert_eq!(status, 200, "{body}");
    // What only one node has when the placement changes, and that node may be the one that leaves it.
    mesh.cut(&NODES).await;
    for name in NODES {
        let alone = format!("{session}?quorum=1");
        let (status, body) = write(&mesh, name, &alone, None, json!({ name: 1 })).await;
        assert_eq!(status, 200, "{body}");
    }
    let holders = async || {
        let mut holders = Vec::new();
        for name in NODES {
            let held: Vec<Value> = mesh.admin(name).get("list the sessions", "/admin/v1/sessions").await.ok()?;
            holders.extend(held.iter().any(|held| held["session"] == *session).then_some(name));
        }
        Some(holders)
    };
    assert_eq!(holders().await.map(|holders| holders.len()), Some(3));
    let file = mesh.path("fewer.yaml");
    let fewer =
        "apiVersion: hedgerow/v1\nkind: DataClass\nmetadata: {name: default}\nspec: {replicas: 2, writeQuorum: 2}\n";
    std::fs::write(&file, fewer).expect("the file");
    mesh.cut(&[]).await;
    mesh.run("a", &["apply", "-f", file.to_str().expect("a path of ASCII")]).await.ok();
    let left = until("one of three has dropped it", async || {
        let holders = holders().await?;
        (holders.len() == 2).then_some(holders)
    })
    .await;
    for name in left {
        comes_to_hold(&mesh, name, &session, &json!({ "n": 1, "a": 1, "b": 1, "c": 1 })).await;
    }
    let (status, body) = write(&mesh, "c", &session, None, json!({ "n": 2 })).await;
    assert_eq!((status, body["acked"].as_u64()), (200, Some(2)), "{body}");
}
