//! Step 6: the node that an application talks to is gone between two of its requests.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::mesh::{DemoMesh, DemoNode, REGIONS};
use super::observe::until;
use super::report::{Report, duration};
use super::sessions::Session;

/// Writes before the entry node dies, and after.
const WRITES: u32 = 20;

/// Kills the entry node in the middle of a run of writes.
pub(super) async fn run(mesh: &mut DemoMesh, report: &mut Report, session: &Session) -> Result<()> {
    let entry = entry_node(mesh).await?;
    let (mut acknowledged, mut killed) = (Vec::new(), Instant::now());
    report
        .check("the client goes on through the next nearest peer", async {
            let next = next_nearest(mesh, &entry).await?;
            for number in 0..WRITES {
                write(session, &entry, number, &mut acknowledged).await?;
            }
            mesh.kill(entry.name).await?;
            killed = Instant::now();
            let cut_off = write(session, &entry, WRITES, &mut acknowledged).await;
            ensure!(cut_off.is_err(), "a killed node answered");
            let ((), gap) = until("a write through the next peer", Duration::from_secs(15), async || {
                write(session, &next, WRITES, &mut acknowledged).await.map(Some)
            })
            .await?;
            for number in WRITES + 1..2 * WRITES {
                write(session, &next, number, &mut acknowledged).await?;
            }
            Ok(format!("{} was killed, {} took over; first write after {}", entry.name, next.name, duration(gap)))
        })
        .await?;
    report.check("every acknowledged write is there", all_there(mesh, session, &acknowledged)).await?;
    report.check("no node routes to the dead one", unrouted(mesh, &entry, killed)).await?;
    Ok(())
}

/// A node of the first region that holds a model and is not its aggregator, so that both its roles are missed.
async fn entry_node(mesh: &DemoMesh) -> Result<DemoNode> {
    let status = mesh.node("n4")?.status().await?;
    for node in mesh.region(REGIONS[0]) {
        let leads = status.aggregators.iter().any(|aggregator| aggregator.holder == node.id);
        if !leads && !node.status().await?.models.is_empty() {
            return Ok(node.clone());
        }
    }
    anyhow::bail!("no node of {} holds a model and is not the aggregator", REGIONS[0])
}

/// What the client would try next: the entry node's own ranking of its peers by measured round trip.
async fn next_nearest(mesh: &DemoMesh, entry: &DemoNode) -> Result<DemoNode> {
    let rows = entry.members().await?.into_iter().filter(|row| row.node != entry.id);
    let nearest = rows
        .filter_map(|row| Some((row.rtt_ms?, row.node)))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .context("the entry node has measured no peer")?;
    mesh.node(mesh.name_of(&nearest.1)).cloned()
}

async fn write(session: &Session, node: &DemoNode, number: u32, acknowledged: &mut Vec<u32>) -> Result<()> {
    let set = json!({ format!("log/{number:04}"): number });
    let answer = session.write(node, &set, "quorum=2", None).await?;
    ensure!(answer.status == 200, "{} answered {}", node.name, answer.status);
    acknowledged.push(number);
    Ok(())
}

/// Reads through every node that is left, in both regions.
async fn all_there(mesh: &DemoMesh, session: &Session, acknowledged: &[u32]) -> Result<String> {
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged");
    for node in mesh.nodes() {
        let read = session.read(node, None).await.with_context(|| format!("through {}", node.name))?;
        let missing: Vec<_> =
            acknowledged.iter().filter(|number| read["value"]["log"][format!("{number:04}")] != **number).collect();
        ensure!(missing.is_empty(), "{} misses the writes {missing:?}", node.name);
    }
    Ok(format!("{} writes, read through {} nodes", acknowledged.len(), mesh.nodes().len()))
}

async fn unrouted(mesh: &DemoMesh, dead: &DemoNode, killed: Instant) -> Result<String> {
    until("no candidate is the dead node", Duration::from_secs(15), async || {
        for node in mesh.nodes() {
            for model in ["digits", "fraud"] {
                let path = format!("/mesh/v1/nearest?model={model}");
                let ranking: Value = node.rest.get("rank the peers", &path).await?;
                let candidates = ranking["candidates"].as_array().context("no candidates")?;
                if candidates.iter().any(|candidate| candidate["node"] == dead.id.as_str()) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(()))
    })
    .await?;
    Ok(format!("{} after the kill", duration(killed.elapsed())))
}
