//! What a node that says `ready` does at once.

use hyper::Method;
use serde_json::json;

use super::fleet::Mesh;

/// Elsewhere nodes told that they were ready because they meant to be, and refused what they were asked next. Here the first
/// requests after the word are served, by a node alone and by one that has just joined: nothing is tried twice.
#[tokio::test]
async fn a_node_that_says_ready_serves_the_first_request_that_it_is_asked() {
    let mut mesh = Mesh::empty();
    let ticket = mesh.path("ticket").display().to_string();
    mesh.start("a", &["--init", "--region", "eu", "--ticket-out", &ticket]);
    let founder = mesh.ready("a").await;
    let body = || json!({ "set": { "cart/items": 3 } }).to_string();
    let named = json!({ "class": "local", "namespace": "test", "key": "first" }).to_string();
    let named = mesh.rest("a", Method::POST, "/mesh/v1/sessions", named).await;
    let named: serde_json::Value = named.json_or_refusal("name a session").expect("its cell is known");
    let session = format!("/mesh/v1/sessions/{}", named["id"].as_str().expect("an id"));
    let written = mesh.rest("a", Method::PATCH, &session, body()).await;
    assert!((200..300).contains(&written.status), "{}: {}", written.status, String::from_utf8_lossy(&written.body));

    mesh.start("b", &["--ticket-file", &ticket]);
    mesh.ready("b").await;
    let pinged = mesh.run("b", &["ping", &founder.node[..12]]).await.ok();
    assert!(pinged.contains("answered in"), "{pinged}");
    let read = mesh.rest("b", Method::GET, &session, String::new()).await;
    assert_eq!(read.status, 200, "{}", String::from_utf8_lossy(&read.body));
}
