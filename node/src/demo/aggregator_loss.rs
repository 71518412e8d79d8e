//! Step 7: an aggregator dies, another takes its place, and the old one comes back as a plain member.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::mesh::{DemoMesh, DemoNode, REGIONS};
use super::observe::until;
use super::report::{Report, duration};
use super::sessions::Session;

/// Kills the aggregator of the second region and restarts it with its data.
pub(super) async fn run(mesh: &mut DemoMesh, report: &mut Report) -> Result<()> {
    let region = REGIONS[1];
    let asked = mesh.node("n4")?;
    let ((old, old_term), _) =
        until("an aggregator", Duration::from_secs(10), async || aggregator(asked, region).await).await?;
    let old = mesh.node(mesh.name_of(&old))?.clone();
    let witness = mesh.region(region).find(|node| node.name != old.name).context("no other node")?.clone();
    mesh.kill(old.name).await?;

    let mut successor = (String::new(), 0);
    report
        .check(&format!("{} of {region} is killed; another takes its place with a higher term", old.name), async {
            let (found, took) = until("a new aggregator", Duration::from_secs(20), async || {
                let found = aggregator(&witness, region).await?;
                Ok(found.filter(|(holder, term)| *holder != old.id && *term > old_term))
            })
            .await?;
            successor = found;
            Ok(format!("{}, term {} after {old_term}, in {}", mesh.name_of(&successor.0), successor.1, duration(took)))
        })
        .await?;

    let session = Session::named(&witness, "while-away").await?;
    report.check("the region takes writes meanwhile", write_meanwhile(&session, &witness)).await?;
    report
        .check(&format!("{} comes back as a plain member", old.name), come_back(mesh, &old, region, &successor))
        .await?;
    report.check(&format!("{} catches up", old.name), catch_up(mesh, &old, &session)).await?;
    Ok(())
}

async fn aggregator(node: &DemoNode, region: &str) -> Result<Option<(String, u64)>> {
    let known = node.status().await?.aggregators.into_iter().find(|each| each.region == region);
    Ok(known.map(|each| (each.holder, each.term)))
}

async fn write_meanwhile(session: &Session, node: &DemoNode) -> Result<String> {
    let (body, _) = until("a write reaches two nodes", Duration::from_secs(10), async || {
        let answer = session.write(node, &json!({ "note": "written while one was away" }), "quorum=2", None).await?;
        let body: Value = answer.json_or_refusal("write the session")?;
        Ok((answer.status == 200).then_some(body))
    })
    .await?;
    Ok(format!("durable on {} of {}", body["acked"], body["wanted"]))
}

/// The same identity at a new port, alive in every view, and no lease taken from its successor.
async fn come_back(mesh: &mut DemoMesh, old: &DemoNode, region: &str, successor: &(String, u64)) -> Result<String> {
    mesh.start_again(old.name)?;
    let status = mesh.ready(old.name, old.region).await?;
    ensure!(status.node == old.id, "it came back as another node");
    let ((), took) = until("it is alive in every view", Duration::from_secs(20), async || {
        for node in mesh.nodes() {
            let members = node.members().await?;
            if !members.iter().any(|row| row.node == old.id && row.state == "alive") {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    let back = mesh.node(old.name)?;
    let (now, _) =
        until("it knows the aggregator", Duration::from_secs(10), async || aggregator(back, region).await).await?;
    ensure!(now.0 != old.id && now.1 >= successor.1, "it names {} with term {}", mesh.name_of(&now.0), now.1);
    Ok(format!("alive in every view {}, under {} with term {}", duration(took), mesh.name_of(&now.0), now.1))
}

async fn catch_up(mesh: &DemoMesh, old: &DemoNode, session: &Session) -> Result<String> {
    let back = mesh.node(old.name)?;
    let (held, took) = until("its own copy of the session", Duration::from_secs(15), async || {
        let held: Vec<Value> = back.admin.get("list the sessions", "/admin/v1/sessions").await?;
        Ok(held.into_iter().find(|row| row["session"] == session.id.as_str()))
    })
    .await?;
    let read = session.read(back, None).await?;
    ensure!(read["value"]["note"] == "written while one was away", "it reads {}", read["value"]);
    Ok(format!("holds the session at {} after {}", held["etag"].as_str().unwrap_or("?"), duration(took)))
}
