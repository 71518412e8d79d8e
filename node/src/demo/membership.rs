//! Step 1: the founder, five joiners, and a stranger at the door.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::mesh::{DemoMesh, NODES, REGIONS};
use super::observe::until;
use super::report::Report;

/// Founds the mesh with `n1`, joins the others by ticket, and lets a member of another mesh dial in.
pub(super) async fn run(folder: &Path, mesh: &mut DemoMesh, report: &mut Report) -> Result<()> {
    let joined = report.check("six nodes join by ticket", join(folder, mesh)).await?;
    if !joined {
        bail!("without its nodes there is no mesh to show");
    }
    report.check("all agree on the membership", agree(mesh)).await?;
    report.check("a member of another mesh is refused in the handshake", refuse_stranger(mesh)).await?;
    Ok(())
}

async fn join(folder: &Path, mesh: &mut DemoMesh) -> Result<String> {
    let mut founder = words(&["--init", "--name", "demo", "--region", REGIONS[0], "--uses", "3"]);
    for region in REGIONS {
        founder.push("--ticket-out".to_owned());
        founder.push(format!("{region}={}", ticket(folder, region)));
    }
    mesh.start(NODES[0].0, founder)?;
    mesh.ready(NODES[0].0, NODES[0].1).await?;
    for (name, region) in &NODES[1..] {
        mesh.start(name, words(&["--ticket-file", &ticket(folder, region)]))?;
    }
    let mut regions = BTreeSet::new();
    for (name, region) in &NODES[1..] {
        regions.insert(mesh.ready(name, region).await?.region);
    }
    let meshes: BTreeSet<_> = {
        let mut ids = BTreeSet::new();
        for node in mesh.nodes() {
            ids.insert(node.status().await?.mesh);
        }
        ids
    };
    anyhow::ensure!(meshes.len() == 1, "they are in {} meshes", meshes.len());
    Ok(format!("{} nodes of {}", mesh.nodes().len(), REGIONS.join(" and ")))
}

/// Every node sees exactly these six alive, with the same regions.
async fn agree(mesh: &DemoMesh) -> Result<String> {
    let expected: BTreeMap<String, (String, String)> =
        mesh.nodes().iter().map(|node| (node.id.clone(), (node.region.to_owned(), "alive".to_owned()))).collect();
    let (views, _) = until("six equal views", Duration::from_secs(20), async || {
        for node in mesh.nodes() {
            let seen: BTreeMap<_, _> =
                node.members().await?.into_iter().map(|row| (row.node, (row.region, row.state))).collect();
            if seen != expected {
                return Ok(None);
            }
        }
        Ok(Some(mesh.nodes().len()))
    })
    .await?;
    Ok(format!("{views} equal views of {} members", expected.len()))
}

/// A node that founded a mesh of its own dials the mesh socket of `n1`; `n1` counts why it refused.
async fn refuse_stranger(mesh: &mut DemoMesh) -> Result<String> {
    let target = mesh.node("n1")?.clone();
    let before = target.status().await?.refusals;
    mesh.start("stranger", words(&["--init", "--name", "another"]))?;
    let status = mesh.ready("stranger", "home").await?;
    let answer: Value = mesh
        .node("stranger")?
        .admin
        .post("ping", "/admin/v1/ping", &json!({ "target": target.udp.to_string() }))
        .await?;
    anyhow::ensure!(answer["reached"] == false, "the stranger of mesh {} was let in", status.mesh);
    let ((reason, count), _) = until("a refusal is counted", Duration::from_secs(5), async || {
        let after = target.status().await?.refusals;
        Ok(after.into_iter().find(|(reason, count)| before.get(reason).unwrap_or(&0) < count))
    })
    .await?;
    mesh.kill("stranger").await.context("take the stranger away")?;
    anyhow::ensure!(reason == "other_mesh", "it was refused for {reason}");
    Ok(format!("n1 counts {count} × {reason}"))
}

fn ticket(folder: &Path, region: &str) -> String {
    folder.join(format!("ticket-{region}")).display().to_string()
}

/// Words after `run` that every node of the demonstration has: free ports, and rules around its socket.
fn words(own: &[&str]) -> Vec<String> {
    let common = ["--port-base", "0", "--listen", "127.0.0.1:0", "--emulate"];
    own.iter().chain(&common).map(|word| (*word).to_owned()).collect()
}
