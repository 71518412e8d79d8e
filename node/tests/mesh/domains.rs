//! Copies are kept apart where operators said what would fail together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use super::fleet::{Mesh, until};

const PAIR: &str = "\
apiVersion: hedgerow/v1
kind: DataClass
metadata:
  name: pair
spec:
  replicas: 2
  writeQuorum: 1
";

/// Two nodes in each of two racks.
async fn racks() -> Mesh {
    let mut mesh = Mesh::empty();
    mesh.start("a", &["--init", "--region", "eu", "--domain", "rack-1"]);
    mesh.ready("a").await;
    for (name, rack) in [("b", "rack-1"), ("c", "rack-2"), ("d", "rack-2")] {
        let ticket = mesh.run("a", &["invite", "--domain", rack]).await.ok();
        let file = mesh.path(&format!("{name}.ticket"));
        fs::write(&file, ticket).expect("the file");
        mesh.start(name, &["--ticket-file", file.to_str().expect("ASCII")]);
    }
    for name in ["b", "c", "d"] {
        mesh.ready(name).await;
    }
    mesh.all_alive().await;
    mesh
}

#[tokio::test]
async fn two_copies_stand_in_two_racks() {
    let mesh = racks().await;
    mesh.run("a", &["invite", "--domain", "Rack 1"]).await.refused(2, &["no failure domain"]);
    let racks: BTreeMap<String, String> = mesh
        .members("d")
        .await
        .into_iter()
        .map(|row| (row.node, row.domain.expect("every ticket named one")))
        .collect();
    let counts = ["rack-1", "rack-2"].map(|rack| racks.values().filter(|domain| *domain == rack).count());
    assert_eq!(counts, [2, 2]);
    let wide = mesh.run("a", &["members", "-o", "wide"]).await.ok();
    assert!(wide.contains("DOMAIN") && wide.contains("rack-2"), "{wide}");

    let file = mesh.path("pair.yaml");
    fs::write(&file, PAIR).expect("the file");
    mesh.run("a", &["apply", "-f", file.to_str().expect("ASCII")]).await.ok();
    // Sixteen names or so fall into most of the groups.
    let names: Vec<String> = (0..24).map(|number| format!("session-{number}")).collect();
    until("every group of the class has a copy in either rack", async || {
        for name in &names {
            let key = json!({ "class": "pair", "namespace": "test", "key": name });
            let named: Value = mesh.admin("a").post("name a session", "/mesh/v1/sessions", &key).await.ok()?;
            let path = format!("/admin/v1/placement/{}", named["id"].as_str()?);
            let explained: Value = mesh.admin("a").get("explain", &path).await.ok()?;
            let holders = explained["nodes"].as_array()?.iter().filter(|node| node["verdict"] == "holds");
            let held: BTreeSet<&String> = holders.filter_map(|node| racks.get(node["node"].as_str()?)).collect();
            if held.len() != 2 {
                return None;
            }
        }
        Some(())
    })
    .await;
}
